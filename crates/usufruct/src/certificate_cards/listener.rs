//! Connections of browsers that show a certificate card.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use usufruct_app::App;
use usufruct_web::CardCaller;

use crate::connections::{Watched, Welcome};

/// Lets in whoever has shaken hands, and gives on what the handshake proved. It goes on as long as somebody needs to find her PIN.
pub struct CardListener(pub Arc<App>);

impl Welcome for CardListener {
    type Io = TlsStream<Watched>;
    type Caller = CardCaller;

    async fn welcome(&self, stream: Watched, address: SocketAddr) -> Option<(Self::Io, CardCaller)> {
        let (config, handshake) = self.0.card_handshake()?;
        let stream = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await.ok()?.ok()?;
        let proven = handshake.finish(stream.get_ref().1).map(Arc::new);
        Some((stream, CardCaller { address, proven }))
    }
}

const HANDSHAKE: Duration = Duration::from_secs(60);
