//! `usufruct letters`: lists that residents want by post, sealed for the print house.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_app::vault::hpke::{PrivateKey, PublicKey};
use usufruct_app::{Approved, Posting, counter_list_message, open_list};
use usufruct_core::Time;
use usufruct_core::ports::random;
use usufruct_web::SealedList;
use zeroize::Zeroizing;

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key::KeyFile;
use crate::data_dir;
use crate::failure::Failure;

/// Bring residents the list of their lines by post.
///
/// Whoever ordered one gets it by the address that the office has under her file number. What is printed is sealed for the print house, so that
/// whoever carries the files reads none of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct letters key --out print-house.json
  usufruct letters post --to PUBLIC --folder letters --data-dir pass
  usufruct letters open letters/4503599627370495.letter --key print-house.json > list.html")]
pub struct Letters {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the key of a print house, and show its public half.
    #[command(after_help = "Example:
  usufruct letters key --out print-house.json")]
    Key(NewKey),
    /// Open a list, at the print house.
    #[command(after_help = "Example:
  usufruct letters open letters/4503599627370495.letter --key print-house.json > list.html")]
    Open(Open),
    /// Order a list for a resident who is at the counter. Two clerks look at her and sign.
    #[command(after_help = "Example:
  usufruct letters order 4503599627370495 --posting monthly --key first-clerk.json --data-dir pass
  usufruct letters order 4503599627370495 --posting monthly --request REQUEST --key second-clerk.json --data-dir pass")]
    Order(Order),
    /// Write the lists that are due into a folder, each sealed for the print house and named by the file number of whom it is for.
    #[command(after_help = "Example:
  usufruct letters post --to PUBLIC --folder letters --data-dir pass")]
    Post(Post),
}

#[derive(Debug, Args)]
struct NewKey {
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Open {
    /// The list.
    file: PathBuf,
    /// The key file of the print house.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
struct Order {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// How often.
    #[arg(long, value_enum)]
    posting: PostingWord,
    /// The language of the list.
    #[arg(long, value_enum, default_value = "zh-hant")]
    language: LanguageWord,
    /// The request that the first clerk began.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The clerk's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Post {
    /// The public key of the print house.
    #[arg(long, value_name = "KEY")]
    to: String,
    /// Where to put them.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PostingWord {
    /// Once every month.
    Monthly,
    /// No more.
    Never,
    Once,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LanguageWord {
    En,
    ZhHant,
}

/// The key of a print house. It has no `Debug`, so that it cannot be printed by mistake.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrintKey {
    /// 32 bytes, base64url without padding.
    private: String,
}

/// A list in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterFile {
    file_number: u64,
    due_at: Time,
    /// HPKE, base64url without padding.
    sealed: String,
}

impl Letters {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Key(verb) => verb.run(),
            Verb::Open(verb) => verb.run(),
            Verb::Order(verb) => verb.run(),
            Verb::Post(verb) => verb.run(),
        }
    }
}

impl NewKey {
    fn run(self) -> Result<ExitCode, Failure> {
        if self.out.exists() {
            return Err(Failure::refused(
                format!("{} is there already.", self.out.display()),
                "Choose another name with --out; keys are never overwritten.",
            ));
        }
        let bytes = Zeroizing::new(random::<32>(&SystemRng));
        let file = PrintKey { private: URL_SAFE_NO_PAD.encode(*bytes) };
        data_dir::write(&self.out, json!(file).to_string().as_bytes())?;
        println!("{}", URL_SAFE_NO_PAD.encode(PrivateKey::from_bytes(*bytes).public().bytes()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Open {
    fn run(self) -> Result<ExitCode, Failure> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Failure::file(path, &error));
        let no_key =
            || Failure::refused(format!("{} is no key of a print house.", self.key.display()), "Restore it from a copy.");
        let key: PrintKey = serde_json::from_slice(&read(&self.key)?).map_err(|_| no_key())?;
        let bytes = URL_SAFE_NO_PAD.decode(key.private).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(no_key)?;
        let no_list = || {
            Failure::refused(
                format!("{} does not open.", self.file.display()),
                "It was sealed for another print house, or changed on its way; ask for it again.",
            )
        };
        let letter: LetterFile = serde_json::from_slice(&read(&self.file)?).map_err(|_| no_list())?;
        let sealed = URL_SAFE_NO_PAD.decode(letter.sealed).map_err(|_| no_list())?;
        let opened =
            open_list(&PrivateKey::from_bytes(bytes), letter.file_number, letter.due_at, &sealed).map_err(|_| no_list())?;
        print!("{}", String::from_utf8_lossy(&opened));
        Ok(ExitCode::SUCCESS)
    }
}

impl Order {
    fn run(self) -> Result<ExitCode, Failure> {
        let signer = KeyFile::read(&self.key)?.signer()?;
        let posting = match self.posting {
            PostingWord::Monthly => Posting::Monthly,
            PostingWord::Never => Posting::Never,
            PostingWord::Once => Posting::Once,
        };
        let language = match self.language {
            LanguageWord::En => "en",
            LanguageWord::ZhHant => "zh-Hant",
        };
        let access = Access::open(&self.data_dir)?;
        let origin = access.log_keys()?.origin;
        let id = match self.request {
            Some(id) => id,
            None => access.begin_counter_list(self.resident, posting, language)?,
        };
        // Signed is what this clerk typed, so an order for somebody else is not approved by mistake.
        let approval = signer.approve(&counter_list_message(&origin, &id, self.resident, posting, language));
        match access.approve_counter_list(&id, posting, language, &approval)? {
            Approved::Once => {
                println!("Approved once. Another clerk asks her, types the same and adds `--request {id}` within an hour.");
            }
            Approved::Twice => println!("Ordered. She sees it in her footprint."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Post {
    fn run(self) -> Result<ExitCode, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(self.to.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let to = bytes.and_then(PublicKey::new).ok_or_else(|| {
            Failure::refused("This is no public key of a print house.", "Take the one that `usufruct letters key` has shown.")
        })?;
        std::fs::create_dir_all(&self.folder).map_err(|error| Failure::file(&self.folder, &error))?;
        let access = Access::open(&self.data_dir)?;
        let (mut count, mut after) = (0, None);
        loop {
            let part = access.sealed_lists(&to, after)?;
            let Some(last) = part.last() else { break };
            after = Some(last.due.resident);
            for SealedList { due, sealed } in part {
                let path = self.folder.join(format!("{}.letter", due.resident));
                let letter = LetterFile { file_number: due.resident, due_at: due.due_at, sealed };
                // In the folder first: what is noted without being there would never be posted.
                data_dir::write(&path, json!(letter).to_string().as_bytes())?;
                access.list_posted(&due)?;
                count += 1;
            }
        }
        println!("{count} lists.");
        Ok(ExitCode::SUCCESS)
    }
}
