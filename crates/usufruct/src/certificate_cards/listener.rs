//! Connections of browsers that show a certificate card.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use usufruct_app::App;
use usufruct_web::CardCaller;

/// A listener that gives on what its handshakes proved.
pub struct Listener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, CardCaller)>,
}

impl Listener {
    /// Starts to listen. Handshakes go on beside each other, a limited number at a time, and as long as somebody needs to find her PIN.
    pub fn start(tcp: TcpListener, app: Arc<App>) -> io::Result<Self> {
        let (sender, accepted) = mpsc::channel(BESIDE);
        let (address, places) = (tcp.local_addr()?, Arc::new(Semaphore::new(BESIDE)));
        tokio::spawn(async move {
            // The semaphore is never closed.
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let (stream, address) = match tcp.accept().await {
                    Ok(connection) => connection,
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be taken");
                        sleep(TROUBLE).await;
                        continue;
                    }
                };
                let Some((config, handshake)) = app.card_handshake() else { continue };
                let sender = sender.clone();
                tokio::spawn(async move {
                    let outcome = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
                    drop(place);
                    if let Ok(Ok(stream)) = outcome {
                        let proven = handshake.finish(stream.get_ref().1).map(Arc::new);
                        let _ = sender.send((stream, CardCaller { address, proven })).await;
                    }
                });
            }
        });
        Ok(Self { address, accepted })
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = CardCaller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The one who sends never ends before this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(CardCaller { address: self.address, proven: None })
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Caller(CardCaller);

impl Connected<IncomingStream<'_, Listener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self(stream.remote_addr().clone())
    }
}

/// Gives each request the caller of its connection, as the site knows callers.
pub async fn with_caller(mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(Caller(caller))) = request.extensions_mut().remove::<ConnectInfo<Caller>>() {
        request.extensions_mut().insert(ConnectInfo(caller));
    }
    next.run(request).await
}

/// Handshakes at a time.
const BESIDE: usize = 1_024;
const HANDSHAKE: Duration = Duration::from_secs(60);
const TROUBLE: Duration = Duration::from_millis(200);
