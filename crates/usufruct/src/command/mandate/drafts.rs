//! `usufruct mandate drafts`: read registers of elsewhere as drafts of mandates and cameras and say what they lack.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::{Elsewhere, elsewhere};
use usufruct_core::Time;
use usufruct_core::foreign::{self, Origin, Shortfall};

use crate::clock;
use crate::failure::Failure;

/// Read registers of elsewhere as drafts of mandates and of cameras, and count what keeps their entries from being one.
///
/// Without a file it reads those that ship with the program: the surveillance measures of the pandemic that De Correspondent gathered
/// (CSV), the algorithm register of the Netherlands (JSON), and the cameras of Trafford (CSV). Nothing is published.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct mandate drafts
  usufruct mandate drafts algoritmes.json
  usufruct mandate drafts --entry 11136893")]
pub struct Drafts {
    /// A newer file of one of the registers.
    files: Vec<PathBuf>,
    /// Print everything that the entry with this id lacks.
    #[arg(long, value_name = "ID")]
    entry: Option<String>,
}

impl Drafts {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let now = clock::now();
        let registers = self.registers()?;
        match &self.entry {
            Some(id) => one(&registers, id, now),
            None => Ok(counts(&registers, now)),
        }
    }

    fn registers(&self) -> Result<Vec<Elsewhere>, Failure> {
        if self.files.is_empty() {
            return elsewhere().map_err(Failure::of);
        }
        let mut registers = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
            let (origin, entries) = foreign::read(&text).map_err(|error| Failure::of(error).into_impossible())?;
            registers.push(Elsewhere { origin, entries });
        }
        Ok(registers)
    }
}

fn counts(registers: &[Elsewhere], now: Time) -> ExitCode {
    let mut is_complete = true;
    for register in registers {
        let name = match register.origin {
            Origin::DutchAlgorithms => "Algorithm register of the Netherlands (CC0 1.0)",
            Origin::PandemicMeasures => "Surveillance measures of the pandemic (MIT, (c) 2021 De Correspondent)",
            Origin::TraffordCameras => "Cameras of the council of Trafford (Open Government Licence v3.0)",
        };
        let found = Shortfall::of(&register.entries, now);
        println!("{name}: {} entries, {} complete", found.entries, found.complete);
        for lack in &found.lacks {
            println!("  {:<28} {:<14} {:>6}", lack.field, lack.rule, lack.entries);
        }
        is_complete &= found.lacks.is_empty();
    }
    exit(is_complete)
}

fn one(registers: &[Elsewhere], id: &str, now: Time) -> Result<ExitCode, Failure> {
    let entry = registers.iter().flat_map(|register| &register.entries).find(|entry| entry.id == id).ok_or_else(|| {
        Failure::refused(format!("No entry has the id `{id}`."), "Look the id up in the register it comes from.")
    })?;
    println!("{}", entry.title);
    let problems = entry.problems(now);
    for problem in &problems {
        println!("  {problem}");
    }
    Ok(exit(problems.is_empty()))
}

/// As for `mandate check`: what is missing is a finding.
fn exit(is_complete: bool) -> ExitCode {
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
