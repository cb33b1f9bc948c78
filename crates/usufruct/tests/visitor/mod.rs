//! Somebody at the door of a keeper: with a certificate that is known or not, and questions of every kind.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned, SupportedProtocolVersion};
use serde_json::{Value, json};
use usufruct_app::vault::hpke::PublicKey;
use usufruct_app::vault::keeper::{Bound, Facts, Share};
use usufruct_core::hash::hex;
use usufruct_core::ports::Rng;

/// Somebody who connects to a keeper, and believes every server.
pub struct Visitor {
    /// Certificate and key that are shown, whether they belong together or not.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
    pub version: &'static SupportedProtocolVersion,
}

impl Visitor {
    /// With the certificate and key of this directory.
    pub fn of(dir: &str) -> Self {
        let seed = fs::read(format!("{dir}/keys/keeper-tls.seed")).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let certificate = fs::read(format!("{dir}/keys/keeper-tls.cert")).unwrap();
        Self { own: Some((certificate, key.as_ref().to_vec())), version: &rustls::version::TLS13 }
    }

    pub fn connect(&self, port: u16) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible));
        let config = match self.own.clone() {
            Some((certificate, key)) => builder.with_client_cert_resolver(Arc::new(Shown::new(certificate, key))),
            None => builder.with_no_client_auth(),
        };
        let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        stream.flush().ok()?;
        Some(stream)
    }

    /// Status and body; `None` if there was no answer.
    pub fn post(&self, port: u16, path: &str, body: &[u8]) -> Option<(u16, Value)> {
        self.post_slowly(port, path, &[body], Duration::ZERO)
    }

    /// A share that is sealed to a key which the keeper gives for it, brought with `change` to the body.
    pub fn prepare(&self, port: u16, share: &Share, facts: &Facts<'_>, change: &dyn Fn(&mut Value)) -> Option<(u16, Value)> {
        let (_, given) = self.post(port, "/key", b"{}")?;
        let key = URL_SAFE_NO_PAD.decode(given["key"].as_str()?).unwrap();
        let to = PublicKey::new(key.try_into().unwrap()).unwrap();
        let sealed = URL_SAFE_NO_PAD.encode(Bound::ToKeeper.seal(&to, facts, share, &Chance));
        let check = hex(&facts.check.0);
        let mut body = json!({
            "vault": facts.vault, "epoch": facts.epoch.0, "x": facts.x, "key": given["key"], "sealed": sealed, "check": check
        });
        change(&mut body);
        self.post(port, "/prepare", body.to_string().as_bytes())
    }

    /// The same with a body that comes in pieces, with a pause after each.
    pub fn post_slowly(&self, port: u16, path: &str, pieces: &[&[u8]], pause: Duration) -> Option<(u16, Value)> {
        let mut stream = self.connect(port)?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        // A body that is far too large is not read to its end.
        let mut write = |bytes: &[u8]| stream.write_all(bytes).and_then(|()| stream.flush()).is_ok();
        let mut is_open = write(head.as_bytes());
        for piece in pieces {
            is_open = is_open && write(piece);
            thread::sleep(pause);
        }
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let status = said.split(' ').nth(1)?.parse().unwrap();
        let body = said.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    }
}

/// Keys of the one who seals. Nobody attacks them here.
struct Chance;

impl Rng for Chance {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

/// Shows a certificate, whether the key belongs to it or not.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl Shown {
    fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        let key = provider::sign::any_supported_type(&PrivatePkcs8KeyDer::from(key).into()).unwrap();
        Self(Arc::new(CertifiedKey::new(vec![CertificateDer::from(certificate)], key)))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
