//! Mutual TLS among the city and its keepers. Both sides know the other's certificate byte for byte, so names, dates and
//! issuers in it say nothing; what counts is that the other has its key.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName as Issuer, Error, ServerConfig, SignatureScheme,
};
use usufruct_app::House;
use usufruct_core::ports::Rng;

use super::roster::Certificate;
use crate::failure::Failure;

/// The own certificate and its key. No `Debug`.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The identity in this house, made if it has none. `name` is for people who look into the certificate.
    pub fn make(house: &House, name: &str, rng: &dyn Rng) -> Result<Self, Failure> {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::impossible(format!("The certificate cannot be made: {error}."), "Report this as a defect.")
        };
        let seed = house.seed(SEED, rng)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|error| broken(&error))?;
        let document: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(|error| broken(&error))?;
        let key = PrivatePkcs8KeyDer::from(document.as_ref().to_vec());
        let pair = KeyPair::try_from(&key).map_err(|error| broken(&error))?;
        let mut distinguished_name = DistinguishedName::new();
        distinguished_name.push(DnType::CommonName, name);
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name;
        let made = params.self_signed(&pair).map_err(|error| broken(&error))?;
        // Others know it by its bytes, so it is kept and never made anew.
        let certificate = house.secret(CERTIFICATE, || made.der().to_vec())?;
        Ok(Self { certificate: CertificateDer::from(certificate.to_vec()), key: key.into() })
    }

    /// The identity in this house, which must be there.
    pub fn open(house: &House, name: &str, rng: &dyn Rng) -> Result<Self, Failure> {
        house.require_seeds(&[SEED])?;
        Self::make(house, name, rng)
    }

    /// The public half.
    pub fn certificate(&self) -> Certificate {
        Certificate(self.certificate.clone())
    }

    /// For calls to the one who has this certificate.
    pub fn client(&self, server: &Certificate) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(provider::default_provider());
        let known = Arc::new(Known::new([server.clone()], &provider));
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map(|builder| builder.dangerous().with_custom_certificate_verifier(known))
            .and_then(|builder| builder.with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key()))
            .map_err(refused)
    }

    /// For calls from those who have these certificates.
    pub fn server(&self, clients: impl IntoIterator<Item = Certificate>) -> Result<ServerConfig, Failure> {
        let provider = Arc::new(provider::default_provider());
        let known = Arc::new(Known::new(clients, &provider));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map(|builder| builder.with_client_cert_verifier(known))
            .and_then(|builder| builder.with_single_cert(vec![self.certificate.clone()], self.key.clone_key()))
            .map_err(refused)
    }
}

/// A certificate as text.
pub fn encode(certificate: &CertificateDer<'_>) -> String {
    URL_SAFE_NO_PAD.encode(certificate)
}

/// A certificate from text; `None` if it is none.
pub fn decode(text: &str) -> Option<CertificateDer<'static>> {
    let certificate = CertificateDer::from(URL_SAFE_NO_PAD.decode(text).ok()?);
    ParsedCertificate::try_from(&certificate).ok()?;
    Some(certificate)
}

/// Accepts these certificates and no others, and of each only whoever has its key.
#[derive(Debug)]
struct Known {
    certificates: Vec<Certificate>,
    algorithms: rustls::crypto::WebPkiSupportedAlgorithms,
}

impl Known {
    fn new(certificates: impl IntoIterator<Item = Certificate>, provider: &CryptoProvider) -> Self {
        Self { certificates: certificates.into_iter().collect(), algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match self.certificates.iter().any(|known| known.0 == *certificate) {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[Issuer] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn refused(error: Error) -> Failure {
    Failure::impossible(
        format!("The own certificate cannot be used: {error}."),
        "Put the folder `keys` back from a copy; a certificate made anew is one that nobody knows.",
    )
}

/// Names in the folder `keys`.
const SEED: &str = "keeper-tls";
const CERTIFICATE: &str = "keeper-tls.cert";
