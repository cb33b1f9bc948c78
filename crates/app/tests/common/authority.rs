//! Issuers of certificate cards, their cards and their lists of revoked ones, made for tests.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use usufruct_app::{App, CardDoor, CardIssuers, ProvenCertificate};

/// The year in which what is made here ends, unless a test says otherwise.
pub const LATE: i32 = 2090;

/// Who issues cards, or certificates of servers.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
}

/// A certificate and its key.
pub struct Held {
    pub certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// Two issuers of cards and one of servers. What is opened here trusts the first.
pub struct Trust {
    pub state: Authority,
    pub other: Authority,
    pub servers: Authority,
    pub server: Held,
}

impl Default for Trust {
    fn default() -> Self {
        let servers = Authority::new("Servers");
        let server = servers.server();
        Self { state: Authority::new("State cards"), other: Authority::new("Other cards"), servers, server }
    }
}

impl Trust {
    /// A door for the cards of an issuer with this list.
    pub fn door_for(&self, issuer: &Authority, list: Vec<u8>) -> CardDoor {
        let issuers = CardIssuers::read(pem("CERTIFICATE", &issuer.certificate).as_bytes(), &[list]).unwrap();
        let chain = pem("CERTIFICATE", &self.server.certificate);
        CardDoor::new(issuers, chain.as_bytes(), self.server.key_pem().as_bytes()).unwrap()
    }

    /// Opens the door for cards of the state but these, and answers how many cards ended by it.
    pub fn open(&self, app: &App, revoked: &[u64]) -> usize {
        app.open_card_door(self.door_for(&self.state, self.state.list(revoked)));
        app.end_revoked_cards().unwrap()
    }

    /// A whole handshake in memory. `Err` when the house refuses it.
    pub fn shake(&self, app: &App, shown: Option<&Held>) -> Result<Option<ProvenCertificate>, rustls::Error> {
        let (config, handshake) = app.card_handshake().unwrap();
        let mut server = ServerConnection::new(config).unwrap();
        let client = self.servers.client(shown);
        let mut client = ClientConnection::new(client.into(), "localhost".try_into().unwrap()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                server.read_tls(&mut unread).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                client.read_tls(&mut unread).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(handshake.finish(&server))
    }

    /// What a handshake with this card proves.
    pub fn proven(&self, app: &App, card: &Held) -> ProvenCertificate {
        self.shake(app, Some(card)).unwrap().expect("a card was shown")
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A card that is good until a day.
    pub fn card_until(&self, holder: &str, serial: u64, (year, month, day): (i32, u8, u8)) -> Held {
        self.card_with(holder, serial, (year, month, day), KeyPair::generate().unwrap())
    }

    pub fn card(&self, holder: &str, serial: u64) -> Held {
        self.card_until(holder, serial, (LATE, 1, 1))
    }

    /// Another certificate on the key of a card.
    pub fn renewed(&self, card: &Held, holder: &str, serial: u64) -> Held {
        self.card_with(holder, serial, (LATE, 1, 1), card.pair())
    }

    fn card_with(&self, holder: &str, serial: u64, (year, month, day): (i32, u8, u8), key: KeyPair) -> Held {
        let mut params = named(holder);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(year, month, day);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Held { certificate, key: key.serialize_der() }
    }

    /// A server called `localhost`.
    pub fn server(&self) -> Held {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Held { certificate, key: key.serialize_der() }
    }

    /// The list of revoked cards, good until a day.
    pub fn list_until(&self, revoked: &[u64], (year, month, day): (i32, u8, u8)) -> Vec<u8> {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 12, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 12, 1),
            next_update: date_time_ymd(year, month, day),
            crl_number: SerialNumber::from(revoked.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    pub fn list(&self, revoked: &[u64]) -> Vec<u8> {
        self.list_until(revoked, (LATE, 1, 1))
    }

    /// What a client needs who trusts servers of this authority, and shows these certificates.
    pub fn client(&self, shown: Option<&Held>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots);
        match shown {
            // A thief has no key that belongs to the certificate, and shows it all the same.
            Some(held) => {
                let key = provider::default_provider().key_provider.load_private_key(held.private()).unwrap();
                let shown = CertifiedKey::new(vec![held.certificate.clone()], key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
            None => builder.with_no_client_auth(),
        }
    }
}

impl Held {
    /// A certificate that nobody but its holder has signed.
    pub fn self_signed(holder: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named(holder);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self { certificate: params.self_signed(&key).unwrap().der().clone(), key: key.serialize_der() }
    }

    /// The certificate of one with the key of another.
    pub fn with_key_of(&self, other: &Self) -> Self {
        Self { certificate: self.certificate.clone(), key: other.key.clone() }
    }

    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// The bytes of the public key alone.
    pub fn public_key(&self) -> Vec<u8> {
        self.pair().public_key_raw().to_vec()
    }

    fn pair(&self) -> KeyPair {
        KeyPair::try_from(self.key.as_slice()).unwrap()
    }
}

pub fn pem(what: &str, der: &[u8]) -> String {
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
}

fn named(name: &str) -> CertificateParams {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name;
    params
}
