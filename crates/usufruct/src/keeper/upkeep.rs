//! Giving the root back to keepers that slept, and certificates what those sign then, on a thread of its own: a slow keeper must hold nobody up.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use usufruct_app::App;

use crate::failure::Failure;

/// Starts the thread. It ends when the server stops.
pub fn start(app: Arc<App>, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let run = move || {
        while !*stopped.borrow_and_update() {
            if let Err(error) = app.heal_root() {
                tracing::warn!(%error, "keepers could not be given their shares, will be tried again");
            }
            match app.publish_late_signatures() {
                Ok(0) => {}
                Ok(certificates) => tracing::info!(certificates, "gained what a keeper has signed late"),
                Err(error) => tracing::warn!(%error, "late signatures could not be published, will be tried again"),
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new()
        .name("keepers".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::impossible(format!("No thread could be started: {error}."), "Check the limits of the system."))
}

const EVERY: Duration = Duration::from_secs(5);
