//! `usufruct camera`: list cameras, permit and begin them, withhold and remove them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::id::CameraId;
use usufruct_core::lifecycle::State;

use crate::command::mandate::Place;
use crate::command::step;
use crate::failure::Failure;

/// List cameras, permit and begin them, withhold their pictures and remove them. A camera is proposed with `usufruct publish camera`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct camera list --register http://localhost:8080
  usufruct camera permit cam_north-gate --key head.json --key data-protection.json --data-dir pass \\
      --reason-en 'The gate was broken into.' --reason-zh '曾遭侵入。'
  usufruct camera withhold cam_north-gate --key head.json --data-dir pass --reason-en 'It was turned.' --reason-zh '方向偏移。' \\
      --reason-code check_failed --evidence report.pdf")]
pub struct Camera {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begin a camera that is permitted and was looked at, or bring back one that was withheld. Two offices of the authority sign.
    #[command(after_help = "Example:
  usufruct camera begin cam_north-gate --key head.json --key data-protection.json --data-dir pass \\
      --reason-en 'It is as it says.' --reason-zh '檢查相符。'")]
    Begin(Step),
    List(List),
    /// Permit a camera that is proposed. Two offices of the authority sign.
    #[command(after_help = "Example:
  usufruct camera permit cam_north-gate --key head.json --key data-protection.json --data-dir pass \\
      --reason-en 'The gate was broken into.' --reason-zh '曾遭侵入。'")]
    Permit(Step),
    /// Take a camera away for good. One office of the authority signs.
    #[command(after_help = "Example:
  usufruct camera remove cam_north-gate --key head.json --data-dir pass --reason-en 'Not needed.' --reason-zh '無需要。'")]
    Remove(Step),
    /// Withhold the pictures of a camera. One office of the authority signs.
    #[command(after_help = "Example:
  usufruct camera withhold cam_north-gate --key head.json --data-dir pass --reason-en 'It was turned.' --reason-zh '方向偏移。' \\
      --reason-code check_failed --evidence report.pdf")]
    Withhold(Step),
}

#[derive(Debug, Args)]
struct Step {
    /// The camera's id.
    id: CameraId,
    #[command(flatten)]
    step: step::Taken,
}

/// List the cameras of a register, each with its state, the end of its permit, the day of the last check and its authority.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct camera list --data-dir pass
  usufruct camera list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

impl Camera {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Begin(verb) => verb.run(State::Active),
            Verb::List(verb) => verb.run(),
            Verb::Permit(verb) => verb.run(State::Permitted),
            Verb::Remove(verb) => verb.run(State::Removed),
            Verb::Withhold(verb) => verb.run(State::Withheld),
        }
    }
}

impl Step {
    fn run(self, to: State) -> Result<ExitCode, Failure> {
        self.step.take(self.id.as_str(), to, |register| {
            let unknown = || Failure::refused(format!("There is no camera `{}`.", self.id), "See `usufruct camera list`.");
            Ok(register.cameras.get(&self.id).ok_or_else(unknown)?.into())
        })?;
        println!("{} is in the state {}.", self.id, to.code());
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let register = self
            .place
            .register()?
            .ok_or_else(|| Failure::impossible("No register is named.", "Name one with --data-dir or --register."))?;
        for (id, entry) in &register.cameras {
            let [until, checked] =
                [entry.body.permit_until, entry.body.last_check].map(|at| at.map_or_else(|| "-".to_owned(), |at| at.day()));
            println!("{:<28} {:<14} {until:<10} {checked:<10}  {}", id.as_str(), entry.state.code(), entry.body.authority);
        }
        Ok(ExitCode::SUCCESS)
    }
}
