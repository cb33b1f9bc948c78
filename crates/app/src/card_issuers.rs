//! Issuers of certificate cards: which certificates are theirs, and which of those are revoked.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use usufruct_core::Time;
use usufruct_core::time::SECOND;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use crate::Error;

/// The issuers that are trusted to put their cards into the right hands, and their lists of revoked certificates (RFC 5280 5).
/// Each issues cards itself: a certificate that another stands between is refused, because nobody says whether it is revoked.
pub struct CardIssuers {
    verifier: Arc<dyn ClientCertVerifier>,
    issuers: Vec<Issuer>,
    lists: Vec<List>,
}

struct Issuer {
    certificate: CertificateDer<'static>,
    /// Name, as DER.
    name: Vec<u8>,
    /// Name, as people read it.
    called: String,
    ends_at: Time,
}

struct List {
    /// Name of the issuer, as DER.
    issuer: Vec<u8>,
    /// Serial numbers, big-endian.
    serials: Vec<Vec<u8>>,
    next_update: Time,
}

impl CardIssuers {
    /// Reads the certificates of issuers (PEM, or one as DER) and the lists of revoked certificates (PEM or DER). Every issuer must
    /// have a list, and every list must be signed by one of them.
    pub fn read(issuers: &[u8], lists: &[Vec<u8>]) -> Result<Self, Error> {
        let issuers: Vec<Issuer> = certificates(issuers)?.into_iter().map(Issuer::read).collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        for file in lists {
            all.extend(revocation_lists(file)?);
        }
        let algorithms = provider::default_provider().signature_verification_algorithms;
        let lists: Vec<List> = all.iter().map(|list| List::read(list, &issuers, &algorithms)).collect::<Result<_, _>>()?;
        if let Some(issuer) = issuers.iter().find(|issuer| !lists.iter().any(|list| list.issuer == issuer.name)) {
            return Err(Error::refused(
                &format!("There is no list of revoked certificates by the issuer {}.", issuer.called),
                "Name its list under `revoked`.",
            ));
        }
        let mut roots = RootCertStore::empty();
        for issuer in &issuers {
            roots.add(issuer.certificate.clone()).map_err(|error| unreadable("The certificate of an issuer", &error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(provider::default_provider()))
            .with_crls(all)
            .enforce_revocation_expiration()
            .allow_unauthenticated()
            .build()
            .map_err(|error| unreadable("What is said about issuers of cards", &error))?;
        Ok(Self { verifier, issuers, lists })
    }

    /// The names of the issuers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| issuer.called.as_str())
    }

    /// When the first of the lists is over: from then on the cards of its issuer are refused until there is a new one.
    pub fn lists_end_at(&self) -> Option<Time> {
        self.lists.iter().map(|list| list.next_update).min()
    }

    /// When the certificate of the first issuer ends.
    pub fn issuers_end_at(&self) -> Option<Time> {
        self.issuers.iter().map(|issuer| issuer.ends_at).min()
    }

    /// Whether a certificate, with those that were sent beside it, is good at this time.
    pub(crate) fn accepts(&self, chain: &[CertificateDer<'_>], now: Time) -> bool {
        chain.split_first().is_some_and(|(card, others)| self.verifier.verify_client_cert(card, others, unix(now)).is_ok())
    }

    pub(crate) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// Names of the issuers, as DER.
    pub(crate) fn issuer_names(&self) -> impl Iterator<Item = &[u8]> {
        self.issuers.iter().map(|issuer| issuer.name.as_slice())
    }

    /// Every revoked certificate: name of the issuer as DER, and serial number.
    pub(crate) fn revoked(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lists.iter().flat_map(|list| list.serials.iter().map(|serial| (list.issuer.as_slice(), serial.as_slice())))
    }
}

impl Issuer {
    fn read(certificate: CertificateDer<'static>) -> Result<Self, Error> {
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|error| unreadable("The certificate of an issuer", &error))?;
        let called = parsed.subject().to_string();
        if !parsed.is_ca() {
            return Err(Error::refused(
                &format!("{called} is no issuer: its certificate may not sign others."),
                "Name the certificates of those who issue cards, and no card.",
            ));
        }
        let (name, ends_at) = (parsed.subject().as_raw().to_vec(), time(parsed.validity().not_after));
        Ok(Self { certificate, name, called, ends_at })
    }

    fn has_signed(&self, list: &CertificateRevocationList<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let (message, signature) = (list.tbs_cert_list.as_ref(), list.signature_value.data.as_ref());
        let Ok(issuer) = EndEntityCert::try_from(&self.certificate) else { return false };
        algorithms.all.iter().any(|algorithm| issuer.verify_signature(*algorithm, message, signature).is_ok())
    }
}

impl List {
    fn read(
        list: &CertificateRevocationListDer<'_>,
        issuers: &[Issuer],
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<Self, Error> {
        let what = "A list of revoked certificates";
        let (_, parsed) = CertificateRevocationList::from_der(list).map_err(|error| unreadable(what, &error))?;
        let name = parsed.issuer().as_raw();
        if !issuers.iter().any(|issuer| issuer.name == name && issuer.has_signed(&parsed, algorithms)) {
            return Err(Error::refused(
                &format!("The list of revoked certificates of {} is not signed by one of the issuers.", parsed.issuer()),
                "Fetch the list again, or name the certificate of its issuer under `issuers`.",
            ));
        }
        let Some(next_update) = parsed.next_update().map(time) else {
            return Err(unreadable(what, &"it does not say when the next one comes"));
        };
        let serials = parsed.iter_revoked_certificates().map(|revoked| revoked.serial().to_bytes_be()).collect();
        Ok(Self { issuer: name.to_vec(), serials, next_update })
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    if !is_pem(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    found.map_err(|error| unreadable("The file of issuers", &error))
}

fn revocation_lists(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    if !is_pem(bytes) {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let found = CertificateRevocationListDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    found.map_err(|error| unreadable("A list of revoked certificates", &error))
}

fn is_pem(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"-----BEGIN ").is_some()
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::refused(&format!("{what} cannot be read: {error}."), "Put a whole one in its place, as PEM or DER.")
}

/// A time as rustls takes it.
pub(crate) fn unix(time: Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_micros(time.micros().max(0).unsigned_abs()))
}

pub(crate) fn time(time: ASN1Time) -> Time {
    Time::from_micros(time.timestamp().saturating_mul(SECOND))
}
