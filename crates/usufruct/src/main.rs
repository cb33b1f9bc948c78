//! The program `usufruct`: a city's pass, and the tools to run it and to check it from outside.
//!
//! This crate is the composition root. It alone has a clock, chance, sockets, signals and a terminal.

mod access;
mod backup;
mod backup_mark;
mod bucket;
mod certificate_cards;
mod chance;
mod cli;
mod clock;
mod command;
mod compose;
mod connections;
mod courier;
mod data_dir;
mod demo;
mod drill_database;
mod failure;
mod keeper;
mod memory;
mod messages;
mod mirrors;
mod monitor;
mod network;
mod nightly;
mod progress;
mod public_log;
mod root;
#[cfg(test)]
mod samples;
mod server;
mod written;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli::start_tracing();
    memory::protect();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code())
        }
    }
}
