//! `usufruct enrol`: a clerk makes a pass for somebody at the counter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use usufruct_core::id::BlockId;

use crate::access::{Access, Invited};
use crate::failure::Failure;

/// Make a pass for a resident and print the slip with her one-time code.
///
/// The file holds what the office knows of her. Delete it afterwards.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct enrol person.toml --data-dir pass

where person.toml is
  [blocks]
  blk_name = \"王小明\"
  blk_preferred-language = \"zh-Hant\"")]
pub struct Enrol {
    /// TOML file with the resident's blocks.
    file: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    blocks: BTreeMap<BlockId, String>,
}

impl Enrol {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        // The message of the parser could quote what is in the file, and that is personal data.
        let file: File = toml::from_str(&text).map_err(|_| {
            Failure::refused(
                format!("{} cannot be understood.", self.file.display()),
                "Write a table [blocks] with one line for each block; see `usufruct enrol --help`.",
            )
        })?;
        let invited = Access::open(&self.data_dir)?.enrol(file.blocks)?;
        print!("{}", slip(&invited));
        Ok(ExitCode::SUCCESS)
    }
}

/// The slip to print: above the line for the resident, below it for the office.
pub fn slip(invited: &Invited) -> String {
    format!(
        "\n\
         +------------------------------------------------------------+\n\
         \n\
         \x20  Your one-time code  ·  您的一次性啟用碼\n\
         \n\
         \x20          {}\n\
         \n\
         \x20  Open the pass, choose \"Enrol\", and type the code.\n\
         \x20  It works once, for 14 days. Do not pass it on.\n\
         \x20  開啟市民通，選擇「啟用」，輸入此碼。\n\
         \x20  限用一次，14 日內有效，請勿轉交他人。\n\
         \n\
         +- - - - - - - - - - - - - 8< - - - - - - - - - - - - - - - -+\n\
         \n\
         \x20  Office copy: file number {}. Needed for a new code\n\
         \x20  (usufruct invite). It never leaves the office.\n\
         \x20  機關留存聯：檔號同上，補發啟用碼時使用，不得外流。\n\
         \n\
         +------------------------------------------------------------+\n",
        invited.code, invited.resident
    )
}
