//! Bringing to services what they have to be told, again and again until the server stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use usufruct_web::{Outbound, Site};

/// Sends what is due. A slow or broken service holds up nobody else for longer than one request takes.
pub async fn run(site: Arc<Site>, outbound: Outbound, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow_and_update() {
        let pause = match usufruct_web::deliver(&site, &outbound).await {
            // There may be more than one round takes.
            Ok(sent) if sent > 0 => Duration::ZERO,
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "messages to services will be tried again");
                AFTER_FAILURE
            }
        };
        if tokio::time::timeout(pause, stopped.changed()).await.is_ok_and(|changed| changed.is_err()) {
            return;
        }
    }
}

const PAUSE: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
