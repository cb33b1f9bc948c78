//! On whose rights something is done, and who does it. Every use case that a delegate may have a part in takes an [`Actor`].

use std::sync::Arc;

use usufruct_core::delegation::Power;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::BlockId;
use usufruct_core::means::Means;
use usufruct_core::ports::Rng;
use usufruct_core::{Digest, Time};
use usufruct_store::db::{Connection, Tx};
use usufruct_store::delegations::Delegation;
use usufruct_store::keyrings;
use usufruct_store::residents::{self, ResidentState};
use usufruct_vault::{Keyring, Vault};

use crate::erase::plain_event;
use crate::ledger::{Placed, place};
use crate::row_mark::{find_delegation, find_session};
use crate::session::{STEP_UP, is_over};
use crate::{Error, OpenSession};

/// Reason of the line that a delegate gets for what she did.
pub(crate) const DID: &str = "did";

/// The resident on whose rights something is done, and the delegate if it is not herself.
#[derive(Clone, Debug)]
pub struct Actor {
    pub(crate) resident: u64,
    /// By what was signed in, where that is known.
    pub(crate) means: Option<Means>,
    delegate: Option<Arc<Deputy>>,
    /// The session in which she acts herself, where she does so in one.
    own: Option<Digest>,
    /// Whether she has to have proven herself lately in that session.
    is_proven: bool,
}

/// Who acts, and by what.
#[derive(Debug)]
struct Deputy {
    session: OpenSession,
    powers: Vec<Power>,
}

impl From<u64> for Actor {
    /// The resident herself.
    fn from(resident: u64) -> Self {
        Self { resident, means: None, delegate: None, own: None, is_proven: false }
    }
}

/// Both sides of a delegation that is in force, inside a transaction.
pub(crate) struct Both {
    pub delegation: Delegation,
    delegate: Keyring,
    /// What the person calls the delegate, and the delegate the person.
    delegate_called: String,
    person_called: String,
}

impl OpenSession {
    /// The resident on whose rights this session works.
    pub fn person(&self) -> u64 {
        self.acting.as_ref().map_or(self.resident, |acting| acting.person)
    }

    /// Who does what needs these powers: the resident herself, or a delegate who was given all of them. Whether that is still so is looked at
    /// again in the transaction of the act.
    pub fn actor(&self, powers: &[Power]) -> Result<Actor, Error> {
        match &self.acting {
            None => Ok(Actor {
                resident: self.resident,
                means: Some(self.means),
                delegate: None,
                own: Some(self.token_hash),
                is_proven: false,
            }),
            Some(acting) if acting.powers.have(powers) => Ok(Actor {
                resident: acting.person,
                means: Some(Means::Delegate),
                delegate: Some(Arc::new(Deputy { session: self.clone(), powers: powers.to_vec() })),
                own: None,
                is_proven: false,
            }),
            Some(_) => Err(Error::NotGiven),
        }
    }

    /// The resident of this session in what nobody else does for her.
    pub fn herself(&self) -> Result<Actor, Error> {
        self.require_own()?;
        self.actor(&[])
    }

    /// The resident of this session in steps that cannot be taken back: she has shown a passkey within five minutes. Whether the session is
    /// still open, and she has, is looked at again in the transaction of the step.
    pub fn proven(&self, now: Time) -> Result<Actor, Error> {
        if self.is_fresh(now) { Ok(Actor { is_proven: true, ..self.herself()? }) } else { Err(Error::NotFresh) }
    }

    /// The resident of this session in what outlasts it: she has signed in or shown a passkey within five minutes. It is looked at again as
    /// well.
    pub fn recent(&self, now: Time) -> Result<Actor, Error> {
        if self.is_recent(now) { Ok(Actor { is_proven: true, ..self.herself()? }) } else { Err(Error::NotFresh) }
    }
}

impl Actor {
    /// The delegation under which this is done, if it is done by a delegate.
    pub(crate) fn delegation(&self) -> Option<&str> {
        Some(self.delegate.as_ref()?.session.acting.as_ref()?.delegation.as_str())
    }

    /// Looks at the session and at the delegation as they are now, inside the transaction of what is done: either may have ended since the
    /// request came. `None` where the resident acts herself.
    pub(crate) fn permit(&self, tx: &mut dyn Connection, vault: &Vault, now: Time) -> Result<Option<Both>, Error> {
        if let Some(own) = &self.own {
            let open = find_session(tx, vault, own)?.filter(|open| open.resident == self.resident && !is_over(open, now));
            let open = open.filter(|open| self.means.is_none_or(|means| open.means == means));
            let open = open.ok_or_else(|| Error::refused("This session has ended.", "Sign in again."))?;
            if self.is_proven && now.plus(-STEP_UP) > open.proved_at {
                return Err(Error::NotFresh);
            }
        }
        let Some(deputy) = &self.delegate else { return Ok(None) };
        let (Some(id), Some(delegate)) = (self.delegation(), deputy.session.acting.as_ref().map(|_| deputy.session.resident))
        else {
            return Err(Error::NotGiven);
        };
        let delegation = find_delegation(tx, vault, id)?.filter(|found| {
            found.is_in_force(now)
                && found.person == self.resident
                && found.delegate == Some(delegate)
                && found.powers.have(&deputy.powers)
        });
        let delegation = delegation.ok_or(Error::NotGiven)?;
        let child = find_session(tx, vault, deputy.session.bound_to())?;
        let is_open =
            child.is_some_and(|child| !is_over(&child, now)) && find_session(tx, vault, &deputy.session.token_hash)?.is_some();
        if !is_open || !is_active(tx, self.resident)? || !is_active(tx, delegate)? {
            return Err(Error::NotGiven);
        }
        let person = keyring_in(tx, vault, self.resident)?;
        let delegate = keyring_in(tx, vault, delegate)?;
        Ok(Some(Both {
            delegate_called: open_word(vault, &person, delegation.delegate_called.as_deref())?,
            person_called: open_word(vault, &delegate, delegation.person_called.as_deref())?,
            delegation,
            delegate,
        }))
    }

    /// The hash of the token of the session in which a delegate does this.
    pub(crate) fn token_hash(&self) -> Option<Digest> {
        self.delegate.as_ref().map(|deputy| *deputy.session.bound_to())
    }
}

/// Places an event of the resident, and when a delegate caused it, a line about it in the footprint of that one too.
pub(crate) fn place_by(
    tx: &mut Tx<'_>,
    keyring: &Keyring,
    mut event: Event,
    both: Option<&Both>,
    rng: &dyn Rng,
) -> Result<Placed, Error> {
    let Some(both) = both else { return place(tx, keyring, event, rng) };
    let what = if event.kind == Kind::Delegation { event.detail.clone() } else { Some(event.kind.code().to_owned()) };
    let mut mirrored = plain_event(Kind::Delegation, DID, what, event.at);
    (mirrored.mandate, mirrored.service) = (event.mandate, event.service.clone());
    mirrored.other = Some(both.person_called.clone());
    event.other = Some(both.delegate_called.clone());
    let placed = place(tx, keyring, event, rng)?;
    place(tx, &both.delegate, mirrored, rng)?;
    Ok(placed)
}

pub(crate) fn is_active(conn: &mut dyn Connection, resident: u64) -> Result<bool, Error> {
    Ok(residents::state(conn, resident)? == Some(ResidentState::Active))
}

/// The keyring of a resident as it is in this transaction.
pub(crate) fn keyring_in(conn: &mut dyn Connection, vault: &Vault, resident: u64) -> Result<Keyring, Error> {
    let candidates = keyrings::candidates(conn, resident)?;
    let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
    Ok(vault.keyring(resident, &sealed)?)
}

pub(crate) fn seal_word(vault: &Vault, keyring: &Keyring, word: &str, rng: &dyn Rng) -> Result<Vec<u8>, Error> {
    Ok(vault.seal_own(keyring, &word_block()?, word.as_bytes(), rng)?)
}

/// A word as its owner reads it; empty where none was said.
pub(crate) fn open_word(vault: &Vault, keyring: &Keyring, sealed: Option<&[u8]>) -> Result<String, Error> {
    let Some(sealed) = sealed else { return Ok(String::new()) };
    Ok(String::from_utf8_lossy(&vault.open_own(keyring, &word_block()?, sealed)?).into_owned())
}

/// Name under which these words are sealed. No data block of the register has it: it lies in a reserved form.
fn word_block() -> Result<BlockId, Error> {
    "blk_delegation-word".parse().map_err(|_| Error::Unknown { what: "block" })
}
