//! Printed cards: signing in with a secret on paper and a PIN, for residents without a phone.

use std::sync::Arc;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use usufruct_core::event::Kind;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_core::time::{DAY, MINUTE};
use usufruct_core::{Digest, Time};
use usufruct_store::attempts::{self, Attempts};
use usufruct_store::cards::{self, Card};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::sessions;
use zeroize::Zeroizing;

use crate::counter::{self, COUNTER_RECOVERY, Way};
use crate::enrol::plain_code;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{find_card, of_card};
use crate::session::{close, end_opened};
use crate::{Actor, App, Credential, CredentialChange, Error, Initiator, OpenSession};

/// Groups of 20 random bits on a card.
const GROUPS: usize = 7;
/// Wrong PINs in a row before there is a pause; each further one doubles it.
const FREE: i64 = 5;
const FIRST_PAUSE: i64 = MINUTE;
const LONGEST_PAUSE: i64 = DAY;
/// Digits of a PIN.
const PIN_DIGITS: usize = 6;
/// Reasons of status lines in a footprint.
const CARD_ISSUED: &str = "card-issued";
const CARD_REVOKED: &str = "card-revoked";

/// What a resident types to sign in with her card.
pub struct CardAttempt {
    /// The code on the card, or the address that its QR code holds.
    pub code: String,
    pub pin: Zeroizing<String>,
    /// The mark that this browser got when the card was used in it before.
    pub device_mark: Option<String>,
}

/// A sign-in with a card that worked.
pub struct CardSignIn {
    /// Token of the session.
    pub token: String,
    /// What this browser keeps: with it, wrong guesses made elsewhere do not hold the resident up.
    pub device_mark: String,
}

impl App {
    /// Makes a card with the PIN that the resident chose at the counter, and answers the code to print. Earlier cards end. For a
    /// resident who has a way in already, two clerks must have approved a request.
    pub fn issue_card(&self, resident: u64, pin: &str, request: Option<&str>) -> Result<String, Error> {
        check_pin(pin)?;
        let (now, code) = (self.now(), self.fresh_code(GROUPS));
        let secret_hash = card_hash(&code);
        let pin = self.pin_hash(&secret_hash, pin)?;
        let mut card = Card { secret_hash, resident, pin, issued_at: now, used_at: None, mark: None };
        card.mark = Some(of_card(&self.vault, &card)?);
        let (keyring, rng, request) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), request.map(str::to_owned));
        let (outbox, desk) = (self.outbox(), self.desk());
        self.db.transaction("issue card", move |tx| {
            residents::state(tx, resident)?.ok_or(Error::Unknown { what: "resident" })?;
            if counter::permit(tx, &desk, resident, Way::Card, request.as_deref(), now)? {
                place(tx, &keyring, plain_event(Kind::Status, COUNTER_RECOVERY, None, now), rng.as_ref())?;
            }
            if cards::purge_resident(tx, resident)? > 0 {
                end_opened(tx, &outbox, resident, Means::Card, None, Initiator::Policy)?;
            }
            cards::insert(tx, &card)?;
            outbox.credential_changed(tx, resident, Credential::Card, CredentialChange::Create)?;
            place(tx, &keyring, plain_event(Kind::Status, CARD_ISSUED, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(code)
    }

    /// Opens a session with a card and its PIN. A session that the browser had before ends. Whatever is wrong, the answer is the same. A look at
    /// a PIN costs one Argon2id, 19 MiB and some tens of milliseconds, so the caller bounds how many are asked at once; an unknown card costs
    /// the same, and one that is paused nothing, which tells no more than that the card is known to whoever has its 140 bits. The count of wrong
    /// PINs is stored before a PIN is looked at, so neither a restart nor many requests at once win a guess.
    pub fn sign_in_with_card(
        &self,
        attempt: &CardAttempt,
        before: Option<&OpenSession>,
        device: &str,
    ) -> Result<CardSignIn, Error> {
        let secret_hash = card_hash(&attempt.code);
        let Some(card) = self.db.read(|conn| find_card(conn, &self.vault, &secret_hash))? else {
            // As much work as a card that is known.
            self.pin_hash(&secret_hash, &attempt.pin)?;
            return Err(wrong_card());
        };
        let mark = self.card_mark(&secret_hash)?;
        let is_known = attempt.device_mark.as_ref().is_some_and(|given| equal(given.as_bytes(), mark.as_bytes()));
        let key = attempt_key(&secret_hash, is_known.then_some(mark.as_str()));
        let now = self.now();
        // While nothing is looked at, nothing is written either.
        if self.db.read(|conn| attempts::find(conn, &key))?.is_some_and(|before| before.retry_at > now) {
            return Err(wrong_card());
        }
        let may_look = self.db.transaction("count PIN", move |tx| {
            let before = attempts::find(tx, &key)?.unwrap_or(Attempts { failures: 0, retry_at: Time::default() });
            if before.retry_at > now {
                return Ok(false);
            }
            let failures = before.failures.saturating_add(1);
            attempts::put(tx, &key, Attempts { failures, retry_at: now.plus(pause(failures)) })?;
            Ok::<_, Error>(true)
        })?;
        if !may_look || !self.is_pin(&secret_hash, &attempt.pin, &card.pin) {
            return Err(wrong_card());
        }
        let (token, session) = self.fresh_session(card.resident, device, Means::Card, None)?;
        let (before, outbox, vault) = (before.map(|session| session.token_hash), self.outbox(), Arc::clone(&self.vault));
        let is_open = self.db.transaction("use card", move |tx| {
            // It may have been revoked while the PIN was looked at.
            if find_card(tx, &vault, &secret_hash)?.is_none_or(|card| card.resident != session.resident) {
                return Ok(false);
            }
            attempts::delete(tx, &key)?;
            cards::touch(tx, &secret_hash, now)?;
            // A frozen pass opens to nothing but a passkey.
            if !matches!(residents::state(tx, session.resident)?, Some(ResidentState::Active | ResidentState::Deactivated)) {
                return Ok(false);
            }
            if let Some(before) = before {
                close(tx, &outbox, &before, Initiator::User)?;
            }
            sessions::insert(tx, &session)?;
            Ok::<_, Error>(true)
        })?;
        if !is_open {
            return Err(wrong_card());
        }
        Ok(CardSignIn { token, device_mark: mark })
    }

    /// A name for the card of an attempt in a browser where it was used before, and for no other attempt: by it, such browsers are told from
    /// strangers before anything costly is done. It says nothing about the PIN.
    pub fn known_card(&self, attempt: &CardAttempt) -> Result<Option<Digest>, Error> {
        let Some(given) = &attempt.device_mark else { return Ok(None) };
        let secret_hash = card_hash(&attempt.code);
        let mark = self.card_mark(&secret_hash)?;
        if !equal(given.as_bytes(), mark.as_bytes()) {
            return Ok(None);
        }
        // One that was revoked is a stranger's again.
        let card = self.db.read(|conn| find_card(conn, &self.vault, &secret_hash))?;
        Ok(card.map(|_| attempt_key(&secret_hash, Some(&mark))))
    }

    /// Ends the cards of a resident, who lost one, with what they opened: sessions, and what services hold by them. Answers how many there were.
    pub fn revoke_cards(&self, actor: impl Into<Actor>) -> Result<u64, Error> {
        let (actor, now) = (actor.into(), self.now());
        let resident = actor.resident;
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        let (outbox, vault) = (self.outbox(), Arc::clone(&self.vault));
        self.db.transaction("revoke cards", move |tx| {
            actor.permit(tx, &vault, now)?;
            let count = cards::purge_resident(tx, resident)?;
            if count > 0 {
                end_opened(tx, &outbox, resident, Means::Card, None, Initiator::User)?;
                outbox.credential_changed(tx, resident, Credential::Card, CredentialChange::Revoke)?;
                place(tx, &keyring, plain_event(Kind::Status, CARD_REVOKED, None, now), rng.as_ref())?;
            }
            Ok::<_, Error>(count)
        })
    }

    /// The cards of a resident: when each was issued and last used.
    pub fn cards(&self, resident: u64) -> Result<Vec<(Time, Option<Time>)>, Error> {
        let cards = self.db.read(|conn| cards::of_resident(conn, resident))?;
        Ok(cards.into_iter().map(|card| (card.issued_at, card.used_at)).collect())
    }

    /// Argon2id over the PIN under a key of the house: who steals the store alone cannot try PINs on it.
    fn pin_hash(&self, secret_hash: &Digest, pin: &str) -> Result<String, Error> {
        let broken = |_: argon2::password_hash::Error| Error::House { what: "a PIN could not be hashed".to_owned() };
        let (hasher, salt) = (hasher()?, random::<16>(self.rng()));
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        self.pin_memory
            .digest(&hasher, &self.peppered(secret_hash, pin)?, &salt, &mut out, self.now())
            .map_err(|error| broken(error.into()))?;
        let salt = SaltString::encode_b64(&salt).map_err(broken)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(hasher.params()).map_err(broken)?,
            salt: Some(salt.as_salt()),
            hash: Some(Output::new(&out).map_err(broken)?),
        };
        Ok(hash.to_string())
    }

    fn is_pin(&self, secret_hash: &Digest, pin: &str, stored: &str) -> bool {
        let (Ok(stored), Ok(peppered)) = (PasswordHash::new(stored), self.peppered(secret_hash, pin)) else { return false };
        let (Ok(params), Some(salt), Some(expected)) = (Params::try_from(&stored), stored.salt, stored.hash) else {
            return false;
        };
        let (mut bytes, mut out) = ([0; Salt::MAX_LENGTH], vec![0; expected.len()]);
        let Ok(salt) = salt.decode_b64(&mut bytes) else { return false };
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        self.pin_memory.digest(&hasher, &peppered, salt, &mut out, self.now()).is_ok() && equal(&out, expected.as_bytes())
    }

    fn peppered(&self, secret_hash: &Digest, pin: &str) -> Result<[u8; 32], Error> {
        Ok(self.vault.session_mark(&[b"usufruct/pin/v1", &secret_hash.0, pin.as_bytes()])?)
    }

    fn card_mark(&self, secret_hash: &Digest) -> Result<String, Error> {
        self.mark("card-device", None, &[&secret_hash.to_string()])
    }
}

/// 19 MiB and two passes, as OWASP's password storage cheat sheet asks of Argon2id.
fn hasher() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19 * 1_024, 2, 1, None).map_err(|_| Error::House { what: "the cost of PINs".to_owned() })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn check_pin(pin: &str) -> Result<(), Error> {
    let digits: Vec<i16> = pin.bytes().filter(u8::is_ascii_digit).map(i16::from).collect();
    let is_run = |step: i16| digits.windows(2).all(|pair| pair[1] - pair[0] == step);
    if pin.len() != PIN_DIGITS || digits.len() != PIN_DIGITS || [-1, 0, 1].into_iter().any(is_run) {
        return Err(Error::refused("The PIN is no six digits, or is a row as 123456 or 111111.", "Choose another one."));
    }
    Ok(())
}

/// How long to wait after so many wrong PINs in a row.
fn pause(failures: i64) -> i64 {
    match failures - FREE {
        over if over <= 0 => 0,
        over => FIRST_PAUSE.saturating_mul(1 << (over - 1).min(20)).min(LONGEST_PAUSE),
    }
}

fn card_hash(code: &str) -> Digest {
    // A scanner at a kiosk types the whole address.
    let code = code.rsplit('#').next().unwrap_or_default();
    sha256(format!("usufruct/card/v1\n{}", plain_code(code)).as_bytes())
}

fn attempt_key(secret_hash: &Digest, device_mark: Option<&str>) -> Digest {
    sha256(format!("usufruct/attempt/v1\n{secret_hash}\n{}", device_mark.unwrap_or_default()).as_bytes())
}

/// The same words whatever is wrong.
fn wrong_card() -> Error {
    Error::refused(
        "Card and PIN did not open a pass.",
        "Check both and try again; after several wrong PINs wait some minutes, or go to a counter.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_day_and_no_further() {
        assert_eq!((1..=8).map(pause).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 2, 4].map(|minutes| minutes * MINUTE));
        assert_eq!(pause(i64::MAX), DAY);
    }

    #[test]
    fn a_pin_is_six_digits_and_no_row() {
        assert!(check_pin("204817").is_ok());
        for bad in ["", "12345", "1234567", "123456", "654321", "777777", "20481a", "２０４８１７"] {
            assert!(check_pin(bad).is_err(), "{bad}");
        }
    }
}
