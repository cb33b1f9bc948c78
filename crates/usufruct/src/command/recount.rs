//! `usufruct audit key` and `usufruct audit recount`: an oversight body counts uses again in the log and says what it found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usufruct_app::log::Reader;
use usufruct_app::vault::hpke::PrivateKey;
use usufruct_app::{OpenedCopy, RecountDay};
use usufruct_core::Digest;
use usufruct_core::event::Event;
use usufruct_core::id::{AuditId, MandateId};
use usufruct_core::ports::random;
use usufruct_core::recount::{compare, sample, seed};
use usufruct_core::register::{Entry, Register};
use usufruct_core::source::Source;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::tally::{Day, Tally};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::draw::{drawn, find, read_draw};
use crate::command::key;
use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::{compose, data_dir};

/// Make the key to which second copies of all lines under a mandate are sealed. Keep it off the server.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct audit key --out audit.json
The public half goes into the mandate, as audit_key.")]
pub struct AuditKey {
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Count uses again in the log, on the days that were drawn, and publish what was found.
///
/// Whoever holds the audit key opens the copies of the lines of those days. Each must stand in the log, their numbers must be one run, and
/// their counts must be those of the published tallies. Two people of the oversight body sign the result, whether it pleases or not.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct audit recount --draw draw.json --audit-key audit.json --key chair.json --key member.json --data-dir pass")]
pub struct Recount {
    /// What `usufruct audit draw` wrote.
    #[arg(long, value_name = "FILE")]
    draw: PathBuf,
    /// The audit key of the mandate.
    #[arg(long, value_name = "FILE")]
    audit_key: PathBuf,
    /// Key file of an official of the oversight body; twice.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// The secret key of an auditor. It has no `Debug`, so that it cannot be printed by mistake.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    /// 32 bytes, base64url without padding.
    audit_secret: String,
}

/// What was found on all days.
#[derive(Default)]
struct Found {
    lines: usize,
    findings: Vec<String>,
}

impl AuditKey {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.out.exists() {
            return Err(Failure::refused(
                format!("{} is there already.", self.out.display()),
                "Choose another name with --out; keys are never overwritten.",
            ));
        }
        let file = KeyFile { audit_secret: URL_SAFE_NO_PAD.encode(random::<32>(&SystemRng)) };
        data_dir::write(&self.out, json!(file).to_string().as_bytes())?;
        println!("{} is written; whoever has it can read every line of the mandate. Its public half:\n", self.out.display());
        println!("audit_key = \"{}\"", URL_SAFE_NO_PAD.encode(read_key(&self.out)?.public().bytes()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Recount {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let secret = read_key(&self.audit_key)?;
        let file = read_draw(&self.draw)?;
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let access = Access::open(&self.data_dir)?;
        let register = access.register()?;
        let (order, mandate, draw) = drawn(&register, &file)?;
        self.check_key(&register, mandate, &secret)?;
        let log = PublicLog::in_data_dir(&self.data_dir)?;
        let head = log.newest()?;
        let size = register.chosen_at(order, draw).ok_or_else(|| {
            Failure::refused(
                "No day was counted since the order, so chance has not spoken.",
                "Try again when the next tally is in the log, soon after midnight.",
            )
        })?;
        if head.size() < size {
            return Err(Failure::refused(
                "The log has not published the leaf yet with which chance speaks.",
                "Wait a moment and try again.",
            ));
        }
        let reader = Reader::new(&log, head);
        let root = Digest(reader.root_at(size).map_err(Failure::of)?.0);
        let count = usize::try_from(draw.days).unwrap_or(usize::MAX);
        let days = sample(&seed(&root, &file.secret), mandate, draw.from, draw.to, count);
        let mut found = Found::default();
        for material in access.recount_days(mandate, &days)? {
            let of_day = |entry: &&Entry<Tally>| entry.body.mandate == *mandate && entry.body.day.to_string() == material.day;
            let Some(tally) = register.tallies.values().find(of_day) else { continue };
            found.day(&secret, &reader, &material, &tally.body);
        }
        let recount = json!({
            "mandate": mandate,
            "order": file.order,
            "secret": file.secret,
            "from": draw.from,
            "to": draw.to,
            "log_size": size,
            "log_root": root,
            "days": days,
        });
        say(&access, &signers, &recount, days.len(), &found)?;
        println!(
            "{} days of {mandate} recounted: {} lines stand in the log, {} findings.",
            days.len(),
            found.lines,
            found.findings.len()
        );
        found.findings.iter().for_each(|finding| println!("  {finding}"));
        Ok(if found.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn check_key(&self, register: &Register, mandate: &MandateId, secret: &PrivateKey) -> Result<(), Failure> {
        let public = URL_SAFE_NO_PAD.encode(secret.public().bytes());
        if find(register, mandate)?.body.audit_key.as_ref() == Some(&public) {
            return Ok(());
        }
        Err(Failure::refused(
            format!("{} is not the audit key of {mandate}.", self.audit_key.display()),
            "Give the one whose public half the mandate names.",
        ))
    }
}

impl Found {
    /// Opens the copies of a day, looks each up in the log, and holds them against the tally.
    fn day(&mut self, secret: &PrivateKey, reader: &Reader<'_, PublicLog>, material: &RecountDay, tally: &Tally) {
        let day = &material.day;
        let mut note = |what: String| self.findings.push(format!("{day}: {what}"));
        let mut lines: Vec<Event> = Vec::new();
        for copy in &material.copies {
            let Some(copy) = OpenedCopy::open(secret, copy) else {
                note("A copy does not open with the audit key.".to_owned());
                continue;
            };
            let is_of_day = Day::of(copy.event.at) == Some(tally.day);
            match reader.entry(copy.index) {
                Ok(leaf) if copy.is_in(&leaf) && is_of_day => lines.push(copy.event),
                Ok(_) => note(format!("A copy is not what stands in the log as number {}.", copy.index)),
                Err(error) => note(error.to_string()),
            }
        }
        let mut before = BTreeMap::<Source, u64>::new();
        let earlier = material.before.iter().filter_map(|copy| OpenedCopy::open(secret, copy)?.event.source);
        for mark in earlier {
            let last = before.entry(mark.source).or_default();
            *last = (*last).max(mark.number);
        }
        let spans: Vec<_> = material.spans.iter().filter_map(|span| span.opened()).collect();
        compare(tally, &lines, &spans, &before).iter().for_each(|finding| note(finding.to_string()));
        self.lines += lines.len();
    }
}

fn say(access: &Access, signers: &[&Signer], recount: &Value, days: usize, found: &Found) -> Result<(), Failure> {
    let body = json!({
        "drill": "recount",
        "sampled": days,
        "opened": found.lines,
        "closed": 0,
        "wrong": found.findings.len(),
        "searched_bytes": 0,
        "recount": recount,
    });
    access.publish(|register, now| {
        let id = AuditId::fresh(now, &SystemRng);
        Ok(vec![compose::object(register, StatementKind::Audit, id.as_str(), body.clone(), signers, now)?])
    })
}

fn read_key(path: &Path) -> Result<PrivateKey, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let secret = serde_json::from_slice::<KeyFile>(&bytes).ok().and_then(|file| URL_SAFE_NO_PAD.decode(&file.audit_secret).ok());
    let secret = secret.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    secret
        .map(PrivateKey::from_bytes)
        .ok_or_else(|| Failure::refused(format!("{} is no audit key.", path.display()), "Make one with `usufruct audit key`."))
}
