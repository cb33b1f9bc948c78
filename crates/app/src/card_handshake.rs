//! Handshakes in which a certificate card is shown, and what only such a handshake gives.
//!
//! TLS 1.3 alone: before it, a certificate crosses the network in clear, with the name of its holder in it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme};
use usufruct_core::ports::Clock;

use crate::card_issuers::{CardIssuers, unix};
use crate::{App, Error};

/// Where certificate cards are shown: who issues them, and the certificate of the server itself.
pub struct CardDoor {
    pub(crate) issuers: CardIssuers,
    identity: Arc<dyn ResolvesServerCert>,
}

/// A certificate whose key has just signed a handshake with this house, and which was good at that moment. It is made by
/// [`CardHandshake::finish`], and again by [`App::take_shown_card`] from what that one gave, and nowhere else. No `Debug`: a name is in it.
pub struct ProvenCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// One handshake.
pub struct CardHandshake(Arc<Asked>);

impl CardDoor {
    /// A door with these issuers, and with the server's own chain and key as PEM.
    pub fn new(issuers: CardIssuers, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let broken = |error: &dyn fmt::Display| {
            Error::refused(
                &format!("The server's own certificate for cards cannot be used: {error}."),
                "Name a chain and the key that belongs to it under `certificate` and `key`, both as PEM.",
            )
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|error| broken(&error))?;
        if chain.is_empty() {
            return Err(broken(&"the file holds none"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| broken(&error))?;
        let pair = CertifiedKey::from_der(chain, key, &provider::default_provider()).map_err(|error| broken(&error))?;
        Ok(Self { issuers, identity: Arc::new(SingleCertAndKey::from(pair)) })
    }

    /// Who issues the cards that are taken here.
    pub fn issuers(&self) -> &CardIssuers {
        &self.issuers
    }
}

impl App {
    /// Takes certificate cards at this door from now on, in place of any door before.
    pub fn open_card_door(&self, door: CardDoor) {
        self.card_door.store(Some(Arc::new(door)));
    }

    /// What one handshake needs; `None` where no cards are taken. The configuration is for one connection: what it has seen is
    /// asked for once, by the second half.
    pub fn card_handshake(&self) -> Option<(Arc<ServerConfig>, CardHandshake)> {
        let door = self.card_door.load_full()?;
        let asked = Arc::new(Asked { verifier: Arc::clone(door.issuers.verifier()), seen: Mutex::new(Seen::Nothing) });
        let clock = Arc::new(HouseClock(Arc::clone(&self.clock)));
        let builder = ServerConfig::builder_with_details(Arc::new(provider::default_provider()), clock);
        let builder = builder.with_protocol_versions(&[&TLS13]).ok()?;
        let verifier = Arc::clone(&asked) as Arc<dyn ClientCertVerifier>;
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(&door.identity));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A connection that is resumed shows no card.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Some((Arc::new(config), CardHandshake(asked)))
    }
}

impl CardHandshake {
    /// What the handshake proved; `None` where no card was shown, or the handshake is not over.
    pub fn finish(self, connection: &ServerConnection) -> Option<ProvenCertificate> {
        let Seen::Proven(chain) = std::mem::replace(&mut *self.0.seen(), Seen::Nothing) else { return None };
        let is_this = connection.peer_certificates().and_then(<[_]>::first) == chain.first();
        (is_this && !connection.is_handshaking()).then_some(ProvenCertificate { chain })
    }
}

/// The verifier of one connection, which remembers what it saw.
struct Asked {
    verifier: Arc<dyn ClientCertVerifier>,
    seen: Mutex<Seen>,
}

enum Seen {
    Nothing,
    /// A certificate that is good, shown by somebody.
    Good(Vec<CertificateDer<'static>>),
    /// And whoever showed it has its key.
    Proven(Vec<CertificateDer<'static>>),
}

impl Asked {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

impl ClientCertVerifier for Asked {
    /// Who shows none is told so on a page instead of by a broken connection.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(certificate, others, now)?;
        let chain = std::iter::once(certificate).chain(others).map(|one| one.clone().into_owned()).collect();
        *self.seen() = Seen::Good(chain);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let valid = self.verifier.verify_tls13_signature(message, certificate, signed)?;
        let mut seen = self.seen();
        if let Seen::Good(chain) = std::mem::replace(&mut *seen, Seen::Nothing)
            && chain.first() == Some(certificate)
        {
            *seen = Seen::Proven(chain);
        }
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The clock of the house, as rustls asks for one.
struct HouseClock(Arc<dyn Clock>);

impl fmt::Debug for HouseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HouseClock")
    }
}

impl TimeProvider for HouseClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(self.0.now()))
    }
}
