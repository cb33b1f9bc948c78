//! `usufruct audit draw`: an oversight body orders a recount, and binds itself to a secret before chance chooses the days.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::hash::sha256;
use usufruct_core::id::{MandateId, OrderId};
use usufruct_core::mandate::Mandate;
use usufruct_core::order::{Order, Target};
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::tally::Tally;
use usufruct_core::{Digest, Text, Time, draw};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key;
use crate::failure::Failure;
use crate::{clock, compose, data_dir};

/// Order a recount of days that chance chooses, and keep the secret that chooses them together with the log.
///
/// The order binds the overseer to the secret before the log is there that chooses with it, and the operator, who makes the log, learns the
/// secret with the result. So the operator cannot try until it likes the days; nor can the overseer, since the log chooses as it stands
/// with the first tally after the order, which only the operator can sign.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct audit draw mdt_library-card --until 2026-12-31T16:00:00Z --key chair.json --key member.json --out draw.json --data-dir pass")]
pub struct Draw {
    /// The mandate.
    mandate: MandateId,
    /// Until when the days are recounted.
    #[arg(long, value_name = "TIME")]
    until: Time,
    /// Key file of an official of the oversight body; twice.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// From how many of the last days that were counted chance chooses.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=366))]
    from: u16,
    /// How many days it chooses.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// Where to write the secret.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// What a draw leaves with the overseer. It has no `Debug`, so that it cannot be printed by mistake.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrawFile {
    pub(super) order: OrderId,
    pub(super) secret: Digest,
}

impl Draw {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.out.exists() {
            return Err(Failure::refused(
                format!("{} is there already.", self.out.display()),
                "Choose another name with --out; secrets are never overwritten.",
            ));
        }
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let access = Access::open(&self.data_dir)?;
        let register = access.register()?;
        let body = &find(&register, &self.mandate)?.body.oversight_body;
        let tallies = tallies(&register, &self.mandate, usize::from(self.from));
        let (Some(first), Some(last)) = (tallies.first(), tallies.last()) else {
            return Err(Failure::refused("No day of this mandate has been counted.", "Wait until the first day is over."));
        };
        let secret = Digest(random::<32>(&SystemRng));
        let order = json!({
            "body": body,
            "kind": "audit",
            "target": self.mandate,
            "reasons": Text::new("The uses of days that chance chooses are counted again.", "抽選日期，重新清點使用紀錄。"),
            "comply_by": self.until,
            "draw": { "from": first.body.day, "to": last.body.day, "days": self.days, "chance": sha256(&secret.0), "next_tally": true },
        });
        let id = OrderId::fresh(clock::now(), &SystemRng);
        // Without the secret the order could be obeyed by nobody, so the secret is kept first.
        data_dir::write(&self.out, json!(DrawFile { order: id.clone(), secret }).to_string().as_bytes())?;
        access.publish(|register, now| {
            Ok(vec![compose::object(register, StatementKind::Order, id.as_str(), order.clone(), &signers, now)?])
        })?;
        println!(
            "{id} is in the register. Keep {} to yourself until the recount, which can be done once the next day is counted.",
            self.out.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// The order of a draw, the mandate that it is about, and from what it draws.
pub(super) fn drawn<'a>(
    register: &'a Register,
    file: &DrawFile,
) -> Result<(&'a Entry<Order>, &'a MandateId, &'a draw::Draw), Failure> {
    let order = register.orders.get(&file.order);
    let found = order.and_then(|order| match (&order.body.target, &order.body.draw) {
        (Target::Mandate(mandate), Some(draw)) => Some((order, mandate, draw)),
        _ => None,
    });
    found.ok_or_else(|| {
        Failure::refused(format!("No order {} in the register draws days.", file.order), "Draw with `usufruct audit draw`.")
    })
}

pub(super) fn read_draw(path: &Path) -> Result<DrawFile, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|_| Failure::refused(format!("{} is no draw.", path.display()), "Make one with `usufruct audit draw`."))
}

pub(super) fn find<'a>(register: &'a Register, mandate: &MandateId) -> Result<&'a Entry<Mandate>, Failure> {
    register
        .mandates
        .get(mandate)
        .ok_or_else(|| Failure::refused(format!("There is no mandate {mandate} in the register."), "Name one of the register."))
}

/// The last tallies of a mandate, oldest first.
fn tallies(register: &Register, mandate: &MandateId, count: usize) -> Vec<Entry<Tally>> {
    let mut all: Vec<_> = register.tallies.values().filter(|entry| entry.body.mandate == *mandate).cloned().collect();
    all.sort_by_key(|entry| entry.body.day);
    all.split_off(all.len().saturating_sub(count))
}
