//! Ceremonies: what a browser begins here and ends here within five minutes, with a device or a card in between.
//!
//! Nothing is kept of one that has begun, so however many are begun, none pushes out another. What the house has to know of it at the end
//! goes along with the browser, sealed for what it is and for this browser. Only what succeeded is noted, until it is over, so that it counts
//! once. Every node of a pass ends what another began.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use usufruct_core::hash::sha256;
use usufruct_core::ports::random;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::{assertions, shown_cards};
use zeroize::Zeroizing;

use crate::{App, Error, ProvenCertificate};

/// How long a ceremony may take.
const LIFE: i64 = 5 * MINUTE;
/// The same in seconds, for whoever has to end one in time.
pub const CEREMONY_SECONDS: i64 = LIFE / SECOND;

/// What a ceremony is for. One of a kind is none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CeremonyKind {
    /// Showing a certificate card.
    Card,
    /// Freezing a pass with a passkey.
    Freeze,
    /// Signing in as an official.
    Official,
    /// Making a passkey.
    Register,
    /// Signing in with a passkey.
    SignIn,
}

/// A ceremony that has come back in time, in the browser that began it.
pub struct OpenCeremony {
    /// What was given along when it began.
    pub state: Zeroizing<Vec<u8>>,
    ends_at: Time,
    name: Digest,
}

impl CeremonyKind {
    fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Freeze => "freeze",
            Self::Official => "official",
            Self::Register => "register",
            Self::SignIn => "sign-in",
        }
    }

    fn bound(self, browser: &str) -> Vec<u8> {
        format!("ceremony\n{}\n{browser}", self.name()).into_bytes()
    }
}

impl OpenCeremony {
    /// What a card is sealed for that was shown for it.
    fn bound_card(&self, ticket: &str) -> Vec<u8> {
        [&b"shown-card\n"[..], &self.name.0, ticket.as_bytes()].concat()
    }
}

impl App {
    /// Begins a ceremony for whoever can show `browser` at its end, and answers what the browser keeps of it. `state` is whatever has to be
    /// known then.
    pub fn begin_ceremony(&self, kind: CeremonyKind, browser: &str, state: &[u8]) -> Result<String, Error> {
        let ends_at = self.now().plus(LIFE).micros().to_be_bytes();
        let plain = Zeroizing::new([&ends_at[..], state].concat());
        Ok(URL_SAFE_NO_PAD.encode(self.vault.seal_carried(&kind.bound(browser), &plain, self.rng())?))
    }

    /// The ceremony that a browser brings back; `None` when this house began none like it for this browser, or its time is over. Whether it
    /// was used before is asked when it succeeds.
    pub fn open_ceremony(&self, kind: CeremonyKind, browser: &str, ceremony: &str) -> Result<Option<OpenCeremony>, Error> {
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(ceremony) else { return Ok(None) };
        let Some(plain) = self.open_carried(&kind.bound(browser), &sealed)? else { return Ok(None) };
        let Some((ends_at, state)) = plain.split_first_chunk::<8>() else { return Ok(None) };
        let ends_at = Time::from_micros(i64::from_be_bytes(*ends_at));
        let name = sha256(&[&b"usufruct/ceremony/v1\n"[..], &sealed].concat());
        Ok((self.now() < ends_at).then(|| OpenCeremony { state: Zeroizing::new(state.to_vec()), ends_at, name }))
    }

    /// Uses up a ceremony that has succeeded. False when it was used before.
    pub fn spend_ceremony(&self, ceremony: &OpenCeremony) -> Result<bool, Error> {
        let (name, ends_at) = (ceremony.name, ceremony.ends_at);
        self.db.transaction("spend ceremony", move |tx| Ok(assertions::claim(tx, &name, ends_at)?))
    }

    /// Notes the certificate card that was shown for a ceremony, and answers the ticket by which the browser gets at it. `None` when the
    /// ceremony is over or used, or a card was shown for it before.
    pub fn note_shown_card(&self, ceremony: &OpenCeremony, proven: &ProvenCertificate) -> Result<Option<String>, Error> {
        // Issuers sign cards themselves, so what was sent beside the card says nothing.
        let Some(card) = proven.chain.first() else { return Ok(None) };
        let ticket = URL_SAFE_NO_PAD.encode(random::<24>(self.rng()));
        let sealed = self.vault.seal_carried(&ceremony.bound_card(&ticket), card, self.rng())?;
        let (name, ends_at) = (ceremony.name, ceremony.ends_at);
        let is_first = self.db.transaction("note shown card", move |tx| {
            Ok::<_, Error>(!assertions::is_claimed(tx, &name)? && shown_cards::insert(tx, &name, &sealed, ends_at)?)
        })?;
        Ok(is_first.then_some(ticket))
    }

    /// Uses up a ceremony for which a card was shown, and answers the card. `None` with another ticket, and when it was used before.
    pub fn take_shown_card(&self, ceremony: &OpenCeremony, ticket: &str) -> Result<Option<ProvenCertificate>, Error> {
        let (name, ends_at) = (ceremony.name, ceremony.ends_at);
        let Some(sealed) = self.db.read(|conn| shown_cards::find(conn, &name))? else { return Ok(None) };
        let Some(card) = self.open_carried(&ceremony.bound_card(ticket), &sealed)? else { return Ok(None) };
        let is_first = self.db.transaction("take shown card", move |tx| {
            Ok::<_, Error>(shown_cards::delete(tx, &name)? && assertions::claim(tx, &name, ends_at)?)
        })?;
        Ok(is_first.then(|| ProvenCertificate { chain: vec![CertificateDer::from(card.to_vec())] }))
    }

    fn open_carried(&self, bound: &[u8], sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self.vault.open_carried(bound, sealed) {
            Ok(plain) => Ok(Some(plain)),
            Err(usufruct_vault::Error::Unreadable) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
