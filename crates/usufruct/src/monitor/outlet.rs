//! Where reports go: standard output, as lines for people or for machines, and the webhook.

use std::io::Write as _;

use usufruct_core::Time;

use super::finding::{Code, Finding, Report, Severity};
use super::webhook::Webhook;
use crate::failure::Failure;

/// How reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// A line with its time each.
    Log,
    /// A summary, with what was found at its end.
    Summary,
}

/// Prints reports and posts findings.
pub struct Outlet {
    form: Form,
    /// Whether what is open is printed at the end, all of it, rather than what is new as it comes.
    defers: bool,
    webhook: Option<Webhook>,
}

impl Outlet {
    pub fn new(form: Form, defers: bool, webhook: Option<Webhook>) -> Self {
        Self { form, defers, webhook }
    }

    /// Says something that is no finding.
    pub fn tell(&self, now: Time, origin: &str, code: Code, message: impl Into<String>) -> Result<(), Failure> {
        let finding = Finding::new(Severity::Info, code, message);
        if self.form == Form::Summary {
            return line(&format!("{:<16} {}", finding.code.to_string(), finding.message));
        }
        self.print(&Report::new(now, origin, finding, now, false))
    }

    /// Prints news, and hands findings, and that they are over, to the webhook.
    pub fn report(&self, report: Report) -> Result<(), Failure> {
        if report.cleared || !self.defers {
            self.print(&report)?;
        }
        if let Some(webhook) = &self.webhook
            && (report.finding.severity == Severity::Finding || report.cleared)
        {
            webhook.post(report);
        }
        Ok(())
    }

    /// Prints without posting.
    pub fn print(&self, report: &Report) -> Result<(), Failure> {
        let Finding { severity, code, message, evidence, .. } = &report.finding;
        match self.form {
            Form::Json => {
                let json = serde_json::to_string(report).map_err(|error| {
                    Failure::impossible(format!("A report cannot be written: {error}."), "Report this as a defect.")
                })?;
                line(&json)
            }
            Form::Log | Form::Summary => {
                let weight = if report.cleared { "cleared".to_owned() } else { severity.to_string() };
                let kept = if evidence.is_empty() { String::new() } else { format!(" Evidence: {}", evidence.join(", ")) };
                let time = if self.form == Form::Log { format!("{} ", report.time) } else { String::new() };
                line(&format!("{time}{weight} {code}: {}{kept}", plain(message)))
            }
        }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// The webhook, if there is one.
    pub fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    /// Gives the webhook back, to be closed.
    pub fn into_webhook(self) -> Option<Webhook> {
        self.webhook
    }
}

/// Control characters, which a log could send, would rewrite what a terminal shows.
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() && character != '\n' { '\u{fffd}' } else { character }).collect()
}

/// Whoever reads along gets each line at once. A reader that has gone away is no reason to stop watching quietly.
fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::impossible(format!("Nothing more can be written: {error}."), "Keep standard output open."))
}
