//! Bringing the log to its mirrors, on a thread of its own: a slow mirror must not hold up a checkpoint.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use usufruct_app::App;
use usufruct_app::log::mirror::upload;
use usufruct_app::log::{self, Checkpoint, Note, Objects, checkpoint};

use crate::failure::Failure;
use crate::network::Network;

/// Starts the thread, if there are mirrors. It ends when the server stops.
pub fn start(app: Arc<App>, mirrors: Vec<String>, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    if mirrors.is_empty() {
        return Ok(());
    }
    let network = Network::patient()?;
    let run = move || {
        let mut brought: Vec<u64> = vec![0; mirrors.len()];
        while !*stopped.borrow_and_update() {
            for (mirror, size) in mirrors.iter().zip(&mut brought) {
                match bring(&app, mirror, *size, &network) {
                    Ok(now) => *size = now,
                    Err(error) => tracing::warn!(mirror, %error, "the log could not be brought to this mirror"),
                }
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new()
        .name("mirrors".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::impossible(format!("No thread could be started: {error}."), "Check the limits of the system."))
}

/// Brings what is public to one mirror, and answers how many leaves it holds then.
fn bring(app: &App, mirror: &str, brought: u64, network: &Network) -> log::Result<u64> {
    let Some(note) = Objects::fetch(app.log_objects(), checkpoint::PATH)? else { return Ok(0) };
    let note = Note::parse(&note)?;
    let size = note.text().parse::<Checkpoint>()?.size();
    if size > brought {
        upload(app.log_objects(), &note, mirror, &[], network)?;
    }
    Ok(size)
}

const EVERY: Duration = Duration::from_secs(5);
