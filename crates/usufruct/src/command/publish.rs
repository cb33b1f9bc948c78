//! `usufruct publish`: agencies, agreements, audits, data blocks, cameras, checks, contracts, services, orders and meetings join the register.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::id::ContractId;
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key;
use crate::failure::Failure;
use crate::root::{self, RootKind};
use crate::{clock, compose, data_dir, written};

/// Publish an agency, an agreement, an audit of a body, a data block, a camera, a check of a vendor, a contract, a lawpack, a service, an order or the minutes of an oversight body, or the terms of the log or of
/// the vault, or its next revision.
///
/// The file is TOML as in examples/taipei-like, and its name gives the id: library.toml is agc_library. Agencies are
/// signed by the operator, blocks, lawpacks and the terms of log and vault by two of its offices, contracts and services by two offices
/// of the body that answers for them and so are payments that answer an order, orders and meetings by two offices of the oversight body, agreements by two offices of every party.
/// A check is signed by two offices of whoever looked: the body that commissions, or for the kind city the operator; the vendor's own word
/// that all is deleted by one of its own. An audit is signed by two offices of the auditor, a camera by one of the body that asks for it, and by two of
/// the authority where somebody has looked at it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct publish agency library.toml --key operator-head.json --data-dir pass
  usufruct publish agreement school-readers.toml --key a1.json --key a2.json --key b1.json --key b2.json --data-dir pass
  usufruct publish audit library-2026.toml --key chair.json --key member.json --data-dir pass
  usufruct publish block name.toml --key operator-head.json --key operator-protection.json --data-dir pass
  usufruct publish camera north-gate.toml --key parks-head.json --data-dir pass
  usufruct publish check event-3.toml --key head.json --key data-protection.json --data-dir pass
  usufruct publish contract event.toml --key head.json --key data-protection.json --data-dir pass
  usufruct publish lawpack tw.toml --key operator-head.json --key operator-protection.json --data-dir pass
  usufruct publish log city.toml --key operator-head.json --key operator-protection.json --data-dir pass
  usufruct publish order suspend-library-card.toml --key chair.json --key member.json --data-dir pass
  usufruct publish payment 2026-4.toml --key head.json --key data-protection.json --data-dir pass
  usufruct publish service library.toml --key head.json --key data-protection.json --data-dir pass")]
pub struct Publish {
    /// What it is.
    kind: Kind,
    /// TOML file.
    file: PathBuf,
    /// Key file of an official; twice for what two must sign.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// What a file can be about.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kind {
    Agency,
    Agreement,
    Audit,
    Block,
    Camera,
    Check,
    Contract,
    Lawpack,
    Log,
    Meeting,
    Order,
    Payment,
    Ruling,
    Service,
    Vault,
}

impl Publish {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let access = Access::open(&self.data_dir)?;
        let written = Written::read(self.kind, &self.file, &access, &self.data_dir)?;
        access.publish(|register, now| written.statements(register, &signers, now))?;
        println!("{} is in the register.", written.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Kind {
    fn named(self) -> (&'static str, StatementKind) {
        match self {
            Self::Agency => ("agc", StatementKind::Agency),
            Self::Agreement => ("agr", StatementKind::Agreement),
            Self::Audit => ("bau", StatementKind::BodyAudit),
            Self::Block => ("blk", StatementKind::DataBlock),
            Self::Camera => ("cam", StatementKind::Camera),
            Self::Check => ("chk", StatementKind::Check),
            Self::Contract => ("ctr", StatementKind::Contract),
            Self::Lawpack => ("law", StatementKind::Lawpack),
            Self::Log => ("log", StatementKind::Log),
            Self::Meeting => ("mtg", StatementKind::Meeting),
            Self::Order => ("ord", StatementKind::Order),
            Self::Payment => ("pay", StatementKind::Payment),
            Self::Ruling => ("rul", StatementKind::Ruling),
            Self::Service => ("svc", StatementKind::Service),
            Self::Vault => ("vlt", StatementKind::Vault),
        }
    }
}

/// A file as it was read, with the id that its name gives.
pub(super) struct Written {
    kind: Kind,
    pub(super) id: String,
    body: Value,
}

impl Written {
    pub(super) fn read(kind: Kind, file: &Path, access: &Access, data_dir: &Path) -> Result<Self, Failure> {
        let body = written::file(file, clock::now())?;
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let body = match kind {
            Kind::Log => compose::log_terms(body, &access.log_keys()?),
            Kind::Vault => {
                let setup = data_dir::setup(data_dir)?;
                let is_kept = setup.root() == RootKind::Keepers;
                let roster = is_kept.then(|| root::keepers(data_dir, &setup)).transpose()?;
                compose::vault_terms(body, &setup.origin, roster.as_ref())
            }
            _ => body,
        };
        Ok(Self { kind, id: format!("{}_{stem}", kind.named().0), body })
    }

    /// The statements that bring it into the register as it is, signed.
    pub(super) fn statements(&self, register: &Register, signers: &[&Signer], now: Time) -> Result<Vec<Statement>, Failure> {
        let (id, body) = (&*self.id, self.body.clone());
        match self.kind {
            Kind::Agreement => compose::agreement(register, id, body, signers, now, &SystemRng),
            Kind::Agency
            | Kind::Audit
            | Kind::Block
            | Kind::Camera
            | Kind::Lawpack
            | Kind::Log
            | Kind::Meeting
            | Kind::Order
            | Kind::Payment
            | Kind::Ruling
            | Kind::Vault => Ok(vec![compose::object(register, self.kind.named().1, id, body, signers, now)?]),
            Kind::Check => {
                let contract = body["contract"].as_str().and_then(|id| register.contracts.get(&id.parse::<ContractId>().ok()?));
                let contract = contract.ok_or_else(|| {
                    Failure::refused(
                        "The file names no contract of the register.",
                        "Write `contract = \"ctr_…\"` as in `usufruct contract list`.",
                    )
                })?;
                Ok(vec![compose::check(register, id, body, contract.hash, signers, now)?])
            }
            Kind::Contract => compose::contract(register, id, body, signers, now, &SystemRng),
            Kind::Service => compose::service(register, id, body, signers, now, &SystemRng),
        }
    }
}
