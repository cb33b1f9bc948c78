//! Reading the files of certificate cards again when they change: lists of revoked cards come anew every day or hour, and what a
//! revoked card opened must not stay open.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use usufruct_app::App;

use super::CertificateCards;
use crate::failure::Failure;

/// Opens the door for the first time, and starts the thread that opens it anew when a file has changed. It ends when the server stops.
pub fn start(app: Arc<App>, table: CertificateCards, dir: PathBuf, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let mut seen = stamps(&table, &dir);
    app.open_card_door(table.door(&dir)?);
    let run = move || {
        let mut is_done = false;
        while !*stopped.borrow_and_update() {
            let now = stamps(&table, &dir);
            if now != seen {
                match table.door(&dir) {
                    Ok(door) => {
                        app.open_card_door(door);
                        (seen, is_done) = (now, false);
                        tracing::info!("the files of certificate cards were read again");
                    }
                    // A file that is being written is whole the next time.
                    Err(error) => tracing::warn!(%error, "the files of certificate cards have changed and cannot be used yet"),
                }
            }
            if !is_done {
                match app.end_revoked_cards() {
                    Ok(count) => {
                        is_done = true;
                        if count > 0 {
                            tracing::info!(count, "certificate cards were revoked by their issuers");
                        }
                    }
                    Err(error) => tracing::warn!(%error, "revoked certificate cards will be ended later"),
                }
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new()
        .name("certificate-cards".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::impossible(format!("No thread could be started: {error}."), "Check the limits of the system."))
}

/// By what a file that was written again is known: size, times and its place on the disk.
type Stamp = Option<(u64, u64, i64, i64)>;

fn stamps(table: &CertificateCards, dir: &std::path::Path) -> Vec<Stamp> {
    let stamp = |path: PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
    };
    table.files(dir).map(stamp).collect()
}

const EVERY: Duration = Duration::from_secs(1);
