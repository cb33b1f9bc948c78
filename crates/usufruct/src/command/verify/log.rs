//! `usufruct verify log`: checks a whole log once, or watches it for ever.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use usufruct_app::log::{Transport, VerifierKey};

use super::policy;
use crate::failure::Failure;
use crate::monitor::finding::{Code, Finding, Report, Severity};
use crate::monitor::outlet::{Form, Outlet, plain};
use crate::monitor::state::StateFile;
use crate::monitor::webhook::Webhook;
use crate::monitor::{Look, Monitor, Settings, keys};
use crate::network::Network;
use crate::{clock, server};

/// Check a whole log once, or watch it for ever.
///
/// Exit code 0: all is well. 1: there are findings. 2: it could not be checked. With --follow it ends when it is told to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct verify log https://pass.example.org --policy witnesses.policy
  usufruct verify log https://pass.example.org --follow --interval 10 --json
  usufruct verify log https://mirror.example --vkey 'pass.example.org/log+5e0e6f0a+AdG…'")]
pub struct Log {
    /// The site, the log, a mirror of it, or a folder with a copy.
    #[arg(value_name = "URL")]
    place: String,
    /// A key the log must be signed with, as its operator announced it; may be given again.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    vkey: Vec<VerifierKey>,
    /// The witnesses to ask for (tlog-policy) in place of those that the log declares. Its lines `log` count as --vkey.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The file that remembers the last run [default: one for each log under ~/.local/state/usufruct].
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// After how many seconds a cosignature is late and a checkpoint stale [default: from what the log declares].
    #[arg(long, value_name = "SECONDS")]
    late: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Post each finding to this address as JSON, once.
    #[arg(long, value_name = "URL", value_parser = web_address)]
    webhook: Option<String>,
    /// Go on looking until told to stop.
    #[arg(long)]
    follow: bool,
    /// How often to look [default: as often as the log declares new checkpoints, at most once a minute; otherwise 10].
    #[arg(long, value_name = "SECONDS", requires = "follow", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: Option<u64>,
    /// Stop at the first finding.
    #[arg(long, requires = "follow")]
    until_finding: bool,
}

impl Log {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let settings = Settings {
            place: self.place.clone(),
            vkeys: self.vkey.clone(),
            policy: self.policy.as_deref().map(policy).transpose()?,
            late_seconds: self.late,
            follows: self.follow,
        };
        let file = StateFile::hold(self.state.as_deref(), &self.place)?;
        let (stop, stopped) = watch::channel(false);
        let should_stop = {
            let stopped = stopped.clone();
            move || *stopped.borrow()
        };
        let mut monitor = Monitor::open(settings, file, Box::new(should_stop))?;
        let outlet = Outlet::new(self.form(), !self.follow, self.webhook(&monitor)?);
        let outcome = if self.follow { self.watch(&mut monitor, &outlet, stop, stopped) } else { check(&mut monitor, &outlet) };
        if let Some(webhook) = outlet.into_webhook() {
            let left = webhook.close();
            if !left.is_empty() {
                tracing::warn!(reports = left.len(), "the webhook has not taken these; the next run posts them");
            }
            monitor.keep_outbox(left)?;
        }
        outcome
    }

    fn form(&self) -> Form {
        match (self.json, self.follow) {
            (true, _) => Form::Json,
            (false, true) => Form::Log,
            (false, false) => Form::Summary,
        }
    }

    fn webhook(&self, monitor: &Monitor) -> Result<Option<Webhook>, Failure> {
        let Some(url) = self.webhook.clone() else { return Ok(None) };
        let transport: Arc<dyn Transport> = Arc::new(Network::new()?);
        Webhook::start(url, transport, monitor.remembered().outbox.clone(), FIRST_PAUSE).map(Some)
    }

    /// Looks again and again.
    fn watch(
        &self,
        monitor: &mut Monitor,
        outlet: &Outlet,
        stop: watch::Sender<bool>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<ExitCode, Failure> {
        let runtime = signals(stop)?;
        for finding in monitor.remembered().open.open() {
            let message = format!("{}: {}", finding.code, finding.message);
            outlet.tell(clock::now(), &origin_of(monitor), Code::StillOpen, message)?;
        }
        let (mut was_checked, mut has_trouble) = (false, false);
        loop {
            let look = monitor.look(clock::now(), outlet)?;
            was_checked |= look == Look::Checked;
            has_trouble = tell_trouble(monitor, outlet, has_trouble)?;
            let is_over = self.until_finding && monitor.remembered().open.has_findings();
            if is_over || look == Look::Stopped {
                break;
            }
            let every = self.interval.or_else(|| monitor.declared_seconds()).unwrap_or(EVERY_SECONDS);
            let every = Duration::from_secs(if self.interval.is_some() { every } else { every.clamp(1, 60) });
            let told =
                runtime.block_on(async { tokio::time::timeout(every, stopped.wait_for(|stopped| *stopped)).await.is_ok() });
            if told {
                break;
            }
        }
        Ok(match (monitor.remembered().open.has_findings(), was_checked) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(UNCHECKED),
        })
    }
}

/// Looks once, and prints all that is open.
fn check(monitor: &mut Monitor, outlet: &Outlet) -> Result<ExitCode, Failure> {
    let now = clock::now();
    if let Look::Unreached(why) = monitor.look(now, outlet)? {
        return Err(Failure::of(why).into_impossible());
    }
    let open: Vec<&Finding> = monitor.remembered().open.open().collect();
    let (findings, warnings): (Vec<&Finding>, Vec<&Finding>) =
        open.into_iter().partition(|finding| finding.severity == Severity::Finding);
    if outlet.form() == Form::Json {
        for finding in findings.iter().chain(&warnings) {
            outlet.print(&Report::new(now, monitor.origin(), (*finding).clone(), now, false))?;
        }
    } else {
        list("warnings", &warnings);
        list("findings", &findings);
    }
    if !findings.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let message = if warnings.is_empty() { "everything agrees" } else { "everything agrees, but for the warnings" };
    outlet.tell(now, monitor.origin(), Code::Verified, message)?;
    Ok(ExitCode::SUCCESS)
}

fn list(word: &str, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    println!("\n{} {word}:", findings.len());
    for finding in findings.iter().take(MOST_SHOWN) {
        println!("  - {}: {}", finding.code, plain(&finding.message));
        for path in &finding.evidence {
            println!("    evidence: {path}");
        }
    }
    if findings.len() > MOST_SHOWN {
        println!("  - and {} more", findings.len() - MOST_SHOWN);
    }
}

/// Says once that the webhook does not take what is posted to it, and answers whether that is so.
fn tell_trouble(monitor: &Monitor, outlet: &Outlet, was_told: bool) -> Result<bool, Failure> {
    let Some(why) = outlet.webhook().and_then(Webhook::trouble) else { return Ok(false) };
    if !was_told {
        let now = clock::now();
        let message = format!("The webhook does not take what is posted to it: {why}. It is tried again.");
        let finding = Finding::new(Severity::Warning, Code::WebhookFailing, message);
        outlet.print(&Report::new(now, monitor.origin(), finding, now, false))?;
    }
    Ok(true)
}

fn origin_of(monitor: &Monitor) -> String {
    let remembered = monitor.remembered().vkeys.first().and_then(|key| key.split_once('+'));
    remembered.map(|(name, _)| name.to_owned()).unwrap_or_default()
}

/// The runtime in which signals are waited for.
fn signals(stop: watch::Sender<bool>) -> Result<Runtime, Failure> {
    let failed = |error: std::io::Error| {
        Failure::impossible(format!("Nothing can be watched: {error}."), "Check the limits of the system.")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    runtime.block_on(async { server::watch_signals(Arc::new(stop)) }).map_err(failed)?;
    Ok(runtime)
}

fn web_address(text: &str) -> Result<String, String> {
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    if is_web { Ok(text.to_owned()) } else { Err("It is no address of the web. Begin it with https://.".to_owned()) }
}

const EVERY_SECONDS: u64 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MOST_SHOWN: usize = 50;
const UNCHECKED: u8 = 2;
