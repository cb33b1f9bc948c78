//! `usufruct deletions`: services that have not said in time that they deleted what they had to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::OverdueDeletion;
use usufruct_core::Time;
use usufruct_core::time::DAY;

use crate::access::Access;
use crate::clock;
use crate::failure::Failure;

/// List what services were told to delete and have not answered in time, the longest overdue first.
///
/// Ends with 1 if there is anything, so that whoever watches the pass is woken. Nobody's name is in it: a notice is known by its id,
/// which the service has, too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct deletions --data-dir pass
  usufruct deletions --data-dir pass --json")]
pub struct Deletions {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Print a list in JSON.
    #[arg(long)]
    json: bool,
}

impl Deletions {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let overdue = Access::open(&self.data_dir)?.overdue_deletions()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&overdue).map_err(Failure::of)?);
        } else if overdue.is_empty() {
            println!("Every answer that is due has come.");
        } else {
            print!("{}", table(&overdue, clock::now()));
        }
        Ok(if overdue.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn table(overdue: &[OverdueDeletion], now: Time) -> String {
    let line = |of: &OverdueDeletion| {
        let days = (now.micros() - of.due_at.micros()) / DAY;
        let mandate = of.mandate.as_ref().map_or("whole pass", |mandate| mandate.as_str());
        let told = of.told_at.map_or_else(|| "never read".to_owned(), |at| format!("read {}", at.day()));
        let altered = if of.altered_at.is_some() { "  altered in the database" } else { "" };
        format!("{}  {}  {mandate}  due {}, {days} days ago  {told}{altered}\n", of.service, of.id, of.due_at.day())
    };
    let lines: String = overdue.iter().map(line).collect();
    format!("{lines}Not answered in time: {}. Ask the service; its contract says what follows.\n", overdue.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_service_and_how_late() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let of = OverdueDeletion {
            id: "del_aaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
            service: "svc_library".parse().unwrap(),
            mandate: None,
            noted_at: at("2026-01-01T00:00:00Z"),
            due_at: at("2026-01-31T00:00:00Z"),
            told_at: Some(at("2026-01-02T00:00:00Z")),
            missed_at: None,
            altered_at: None,
        };
        let text = table(std::slice::from_ref(&of), at("2026-02-10T12:00:00Z"));
        assert!(text.starts_with("svc_library  del_"), "{text}");
        assert!(text.contains("whole pass  due 2026-01-31, 10 days ago  read 2026-01-02\n"), "{text}");
        let altered = OverdueDeletion { altered_at: Some(at("2026-02-01T00:00:00Z")), told_at: None, ..of };
        assert!(table(&[altered], at("2026-02-10T12:00:00Z")).contains("never read  altered in the database\n"));
    }
}
