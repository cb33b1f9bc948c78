//! `usufruct case`: the case desk of an office. Its officials see what residents ask, answer and decide, each by a signature.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use usufruct_app::{
    About, Act, Approved, CaseRequest, DeskAct, DeskCase, Letter, Party, Task, counter_case_message, desk_message,
};
use usufruct_core::case::{CaseKind, Finding, Ground, Relief, Remedy};
use usufruct_core::id::{CaseId, OrderId, ServiceId};
use usufruct_core::statement::Approval;

use crate::access::Access;
use crate::clock;
use crate::command::key::{self, KeyFile};
use crate::failure::Failure;

/// See what residents ask of an office, answer, take more time, decide as the overseer, and say what was done.
///
/// What is signed is exactly what is said, for an hour. The law of the office sets the day of the answer; from that day on the case is the
/// overseer's, whether or not anybody has looked at it. Reasons are read by the resident and by nobody else.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct case list --key head.json --data-dir pass
  usufruct case answer CASE --finding upheld --remedy delete --reasons 'You are right.' --key head.json --data-dir pass
  usufruct case decide CASE --finding dismissed --reasons 'The law orders it.' --key chair.json --key member.json --data-dir pass")]
pub struct Case {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say, as the office that it is about, that you have it. Any other word of yours says as much.
    #[command(after_help = "Example:
  usufruct case acknowledge CASE --key head.json --data-dir pass")]
    Acknowledge(Named),
    /// Answer a case, as the office that it is about.
    #[command(after_help = "Example:
  usufruct case answer CASE --finding partly --remedy correct --reasons 'The date was wrong.' --key head.json --data-dir pass")]
    Answer(Judged),
    /// Decide a case that was escalated, as the overseer. Two officials sign.
    #[command(after_help = "Example:
  usufruct case decide CASE --finding upheld --remedy compensate --order ord_2026-4 --reasons 'It was late.' \\
      --key chair.json --key member.json --data-dir pass")]
    Decide(Decided),
    /// Take more time, once and where the law allows it.
    #[command(after_help = "Example:
  usufruct case extend CASE --reasons 'The archive is closed.' --key head.json --data-dir pass")]
    Extend(Reasoned),
    /// File a case for a resident who is at the counter. Two clerks look at her and sign what she says.
    #[command(after_help = "Example:
  usufruct case file 4503599627370495 --kind complaint --service svc_library --words 'They sent me away.' --key first-clerk.json --data-dir pass
  usufruct case file 4503599627370495 --kind complaint --service svc_library --words 'They sent me away.' --request REQUEST \\
      --key second-clerk.json --data-dir pass")]
    File(File),
    /// List what waits for the office: cases to answer, to decide, and remedies to do, those first that are due first; and after them, without
    /// their words, cases that other offices have to answer under its eyes.
    #[command(after_help = "Examples:
  usufruct case list --key head.json --data-dir pass
  usufruct case list --key head.json --data-dir pass --json")]
    List(List),
    /// Say that people have done what was promised or ordered.
    #[command(after_help = "Example:
  usufruct case remedied CASE --reasons 'Paid on Monday.' --key head.json --data-dir pass")]
    Remedied(Reasoned),
    /// Sign an act that the page /office shows, on your own machine. Shows what is signed, and prints a line to paste there.
    #[command(after_help = "Example:
  usufruct case sign TEXT --origin pass.example.org/log --key head.json")]
    Sign(Sign),
}

#[derive(Debug, Args)]
struct Sign {
    /// The act, as the page gives it for the command line.
    #[arg(value_name = "TEXT")]
    packed: String,
    /// The name of the log of the pass, so that the signature is good for no other one.
    #[arg(long, value_name = "ORIGIN")]
    origin: String,
    /// The key file of the official who signs.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    desk: Desk,
    /// Print a list in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Named {
    /// The case.
    id: CaseId,
    #[command(flatten)]
    desk: Desk,
}

#[derive(Debug, Args)]
struct Reasoned {
    /// The case.
    id: CaseId,
    /// What the resident reads.
    #[arg(long, value_name = "TEXT")]
    reasons: String,
    #[command(flatten)]
    desk: Desk,
}

#[derive(Debug, Args)]
struct Judged {
    /// What it comes to.
    #[arg(long, value_enum)]
    finding: FindingWord,
    /// What is done about it.
    #[arg(long, value_enum)]
    remedy: Option<RemedyWord>,
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
struct Decided {
    /// The public order that says what is compensated and by when.
    #[arg(long, value_name = "ORDER")]
    order: Option<OrderId>,
    #[command(flatten)]
    judged: Judged,
}

#[derive(Debug, Args)]
struct File {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// What she asks for.
    #[arg(long, value_parser = kind)]
    kind: CaseKind,
    /// The line of her footprint that it is about.
    #[arg(long, value_name = "LINE", conflicts_with = "service")]
    line: Option<u64>,
    /// The service that it is about; without it and without a line it is about the pass.
    #[arg(long, value_name = "SERVICE")]
    service: Option<ServiceId>,
    /// What she says.
    #[arg(long, value_name = "TEXT")]
    words: String,
    /// Why, by a word of the list, if she says so.
    #[arg(long, value_parser = ground)]
    ground: Option<Ground>,
    /// What she wants to come of it, if she says so.
    #[arg(long, value_parser = relief)]
    relief: Option<Relief>,
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

/// Who signs, and where.
#[derive(Debug, Args)]
struct Desk {
    /// Key file of an official of the office; each of those who sign.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FindingWord {
    /// She is not right, or cannot have it.
    Dismissed,
    Partly,
    /// Both sides agreed; for an overseer's decision only.
    Settled,
    Upheld,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RemedyWord {
    /// The office makes good what happened.
    Compensate,
    /// Her data is put right.
    Correct,
    /// The machine destroys what she lent, and tells the services to delete.
    Delete,
    /// The machine uses nothing of hers any more under the mandate.
    Stop,
}

impl Case {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let (desk, act, json) = match self.verb {
            Verb::File(verb) => return verb.run(),
            Verb::Sign(verb) => return verb.run(),
            Verb::Acknowledge(Named { id: case, desk }) => (desk, Act::Acknowledge { case }, false),
            Verb::List(List { desk, json }) => (desk, Act::List {}, json),
            Verb::Extend(Reasoned { id: case, reasons, desk }) => (desk, Act::Extend { case, reasons }, false),
            Verb::Remedied(Reasoned { id: case, reasons, desk }) => (desk, Act::Remedied { case, reasons }, false),
            Verb::Answer(Judged { finding, remedy, reasoned: Reasoned { id: case, reasons, desk } }) => {
                (desk, Act::Answer { case, finding: finding.finding(), remedy: remedy.map(RemedyWord::remedy), reasons }, false)
            }
            Verb::Decide(Decided { order, judged }) => {
                let Judged { finding, remedy, reasoned: Reasoned { id: case, reasons, desk } } = judged;
                let (finding, remedy) = (finding.finding(), remedy.map(RemedyWord::remedy));
                (desk, Act::Decide { case, finding, remedy, reasons, order }, false)
            }
        };
        let waiting = desk.act(act)?;
        if json {
            println!("{}", serde_json::to_string_pretty(&waiting).map_err(Failure::of)?);
        } else {
            print!("{}", table(&waiting));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl File {
    fn run(self) -> Result<ExitCode, Failure> {
        let signer = KeyFile::read(&self.key)?.signer()?;
        let about = match (self.line, self.service) {
            (Some(line), _) => About::Line(line),
            (None, Some(service)) => About::Service(service),
            (None, None) => About::Pass,
        };
        let asked = CaseRequest::new(about, self.kind, self.words).asking(self.ground, self.relief);
        let access = Access::open(&self.data_dir)?;
        let origin = access.log_keys()?.origin;
        let id = match self.request {
            Some(id) => id,
            None => access.begin_counter_case(self.resident, &asked)?,
        };
        // Signed is what this clerk typed, so words that another put into her mouth are not approved by mistake.
        let approval = signer.approve(&counter_case_message(&origin, &id, self.resident, &asked));
        match access.approve_counter_case(&id, &asked, &approval)? {
            Approved::Once => {
                println!("Approved once. Another clerk asks her, types the same and adds `--request {id}` within an hour.")
            }
            Approved::Twice => println!("Filed. She sees it in her footprint and on the page of her cases."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sign {
    fn run(self) -> Result<ExitCode, Failure> {
        let wrong = || Failure::refused("This is no act of the case desk.", "Copy the whole command from the page /office.");
        let said = URL_SAFE_NO_PAD.decode(self.packed.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let said = said.ok_or_else(wrong)?;
        let act: DeskAct = serde_json::from_str(&said).map_err(|_| wrong())?;
        let signer = KeyFile::read(&self.key)?.signer()?;
        if act.agency != *signer.agency() {
            return Err(Failure::refused(
                format!("The act is one of {}, and the key is one of {}.", act.agency, signer.agency()),
                "Take the key by which you sign for the office.",
            ));
        }
        // Beside what is printed, so that a person reads what her key signs while a shell takes the line.
        eprintln!("{}", serde_json::to_string_pretty(&act).map_err(Failure::of)?);
        println!("{}.{}", signer.key(), signer.approve(&desk_message(&self.origin, &said)).signature);
        Ok(ExitCode::SUCCESS)
    }
}

fn kind(word: &str) -> Result<CaseKind, String> {
    let words = CaseKind::WORDS.map(|(word, _)| word).join(", ");
    CaseKind::from_code(word).ok_or_else(|| format!("There is no such kind of case. Write one of: {words}."))
}

fn ground(word: &str) -> Result<Ground, String> {
    let words = Ground::WORDS.map(|(word, _)| word).join(", ");
    Ground::from_code(word).ok_or_else(|| format!("There is no such ground. Write one of: {words}."))
}

fn relief(word: &str) -> Result<Relief, String> {
    let words = Relief::WORDS.map(|(word, _)| word).join(", ");
    Relief::from_code(word).ok_or_else(|| format!("There is no such relief. Write one of: {words}."))
}

impl Desk {
    /// Signs and sends an act. Answers what waits after it.
    fn act(&self, act: Act) -> Result<Vec<DeskCase>, Failure> {
        let signers = key::signers(&self.key)?;
        let agency = signers.first().map(|signer| signer.agency().clone());
        let agency = agency.ok_or_else(|| Failure::refused("Nobody signs.", "Name a key file with `--key`."))?;
        let access = Access::open(&self.data_dir)?;
        let said = serde_json::to_string(&DeskAct { agency, at: clock::now(), act }).map_err(Failure::of)?;
        let message = desk_message(&access.log_keys()?.origin, &said);
        let approvals: Vec<Approval> = signers.iter().map(|signer| signer.approve(&message)).collect();
        access.act_at_desk(&said, &approvals)
    }
}

/// Each case with what was written in it.
fn table(waiting: &[DeskCase]) -> String {
    let one = |case: &DeskCase| {
        let about = case.service.as_ref().map_or("the pass", |service| service.as_str());
        let known = case.subject.as_ref().map_or_else(String::new, |subject| format!("  subject {subject}"));
        let watched = if case.task == Task::Watch { format!("  watched, {} answers", case.office) } else { String::new() };
        let owed = match (case.remedy, case.remedy_due_at) {
            (Some(remedy), Some(due_at)) => format!("{} due {}", remedy.code(), due_at.day()),
            _ => format!("{} due {}", case.state, case.due_at.day()),
        };
        let rests = if case.rests { "  everything under the mandate rests" } else { "" };
        let letters: String = case.letters.iter().map(written).collect();
        format!("{}  {}  {owed}  {about}{known}{rests}{watched}\n{letters}", case.id, case.kind.code())
    };
    let lines: String = waiting.iter().map(one).collect();
    if lines.is_empty() { "Nothing waits for this office.\n".to_owned() } else { lines }
}

/// One letter: who wrote it, the words of the lists in it, and the text.
fn written(letter: &Letter) -> String {
    let ground = letter.ground.map_or_else(String::new, |ground| format!("[ground {}] ", ground.code()));
    let relief = letter.relief.map_or_else(String::new, |relief| format!("[wants {}] ", relief.code()));
    format!("  {}: {ground}{relief}{}\n", by(letter.by), letter.text)
}

fn by(party: Party) -> &'static str {
    match party {
        Party::Office => "office",
        Party::Overseer => "overseer",
        Party::Resident => "resident",
    }
}

impl FindingWord {
    fn finding(self) -> Finding {
        match self {
            Self::Dismissed => Finding::Dismissed,
            Self::Partly => Finding::Partly,
            Self::Settled => Finding::Settled,
            Self::Upheld => Finding::Upheld,
        }
    }
}

impl RemedyWord {
    fn remedy(self) -> Remedy {
        match self {
            Self::Compensate => Remedy::Compensate,
            Self::Correct => Remedy::Correct,
            Self::Delete => Remedy::Delete,
            Self::Stop => Remedy::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use usufruct_core::Time;
    use usufruct_core::case::CaseKind;

    use super::*;

    #[test]
    fn a_line_says_what_is_owed_and_what_was_written() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let letter = Letter::new(Party::Resident, at("2026-01-01T00:00:00Z"), "I was not there.");
        let case = DeskCase {
            id: "cas_one".parse().unwrap(),
            task: Task::Answer,
            office: "agc_library".parse().unwrap(),
            is_extended: false,
            kind: CaseKind::Challenge,
            state: "filed".into(),
            filed_at: at("2026-01-01T00:00:00Z"),
            acknowledge_due_at: None,
            due_at: at("2026-01-31T00:00:00Z"),
            remedy: None,
            remedy_due_at: None,
            mandate: None,
            service: Some("svc_library".parse().unwrap()),
            subject: Some("abc".into()),
            rests: true,
            letters: vec![letter],
        };
        let owed = DeskCase { remedy: Some(Remedy::Compensate), remedy_due_at: Some(at("2026-03-01T00:00:00Z")), ..case.clone() };
        let watched = case.clone();
        let text = table(&[case, owed]);
        assert!(text.starts_with("cas_one  challenge  filed due 2026-01-31  svc_library  subject abc  everything"), "{text}");
        assert!(text.contains("\n  resident: I was not there.\n") && text.contains("compensate due 2026-03-01"), "{text}");
        let watched = DeskCase { task: Task::Watch, subject: None, letters: Vec::new(), ..watched };
        assert!(table(&[watched]).ends_with("svc_library  everything under the mandate rests  watched, agc_library answers\n"));
        let letter = Letter { relief: Some(Relief::Stop), ..Letter::new(Party::Resident, Time::default(), "") };
        assert_eq!(written(&Letter { ground: Some(Ground::NotMine), ..letter }), "  resident: [ground not_mine] [wants stop] \n");
        assert_eq!(table(&[]), "Nothing waits for this office.\n");
    }
}
