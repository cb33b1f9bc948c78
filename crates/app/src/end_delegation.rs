//! End a delegation: what it opened is closed in the same transaction, sessions and tokens included, and both see why.

use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::delegation::Role;
use usufruct_core::event::Kind;
use usufruct_core::ports::Rng;
use usufruct_store::db::Tx;
use usufruct_store::delegations::{self, Delegation};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::sessions;
use usufruct_vault::Vault;

use crate::actor::{keyring_in, open_word};
use crate::erase::plain_event;
use crate::ledger::place;
use crate::outbox::Outbox;
use crate::row_mark::is_ours;
use crate::session::{close, end_code};
use crate::{App, Error, Initiator, OpenSession};

/// Delegations ended in one run.
const PART: usize = 200;

/// Why a delegation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Two clerks.
    Counter,
    /// The clock.
    Date,
    /// The delegate.
    Delegate,
    /// One of the two deleted her pass.
    Erasure,
    /// One of the two froze her pass.
    Freeze,
    /// One of the two removed a passkey.
    Passkey,
    /// The person.
    Person,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Date => "date",
            Self::Delegate => "delegate",
            Self::Erasure => "erasure",
            Self::Freeze => "freeze",
            Self::Passkey => "passkey",
            Self::Person => "person",
        }
    }
}

/// Ends delegations inside transactions.
pub(crate) struct Ending {
    outbox: Outbox,
    vault: Arc<Vault>,
    rng: Arc<dyn Rng>,
    now: Time,
}

impl App {
    pub(crate) fn ending(&self) -> Ending {
        Ending { outbox: self.outbox(), vault: Arc::clone(&self.vault), rng: Arc::clone(&self.rng), now: self.now() }
    }

    /// Ends a delegation at once. Either side ends help. A guardianship is ended by the person alone, when she has just shown a passkey of hers;
    /// for a guardian two clerks do it.
    pub fn end_delegation(&self, session: &OpenSession, id: &str) -> Result<(), Error> {
        let now = self.now();
        let (actor, proven, vault) = (session.herself()?, session.proven(now), Arc::clone(&self.vault));
        let (resident, id, ending) = (session.resident, id.to_owned(), self.ending());
        self.db.transaction("end delegation", move |tx| {
            actor.permit(tx, &vault, now)?;
            let found = delegations::find(tx, &id)?;
            let found = found.filter(|found| found.person == resident || found.delegate == Some(resident));
            let found = found.ok_or(Error::Unknown { what: "delegation of yours" })?;
            let is_person = found.person == resident;
            match found.role {
                Role::Guardian if !is_person => {
                    return Err(Error::refused(
                        "A guardianship is not ended by the guardian alone.",
                        "Go to a counter, where two clerks end it.",
                    ));
                }
                Role::Guardian => {
                    proven.as_ref().map_err(|_| Error::NotFresh)?.permit(tx, &vault, now)?;
                }
                Role::Helper => {}
            }
            ending.end(tx, &found, if is_person { End::Person } else { End::Delegate })
        })
    }

    /// Ends delegations whose time is over, a part of them at a time. Answers how many.
    pub(crate) fn end_lapsed_delegations(&self) -> Result<u64, Error> {
        let (now, ending) = (self.now(), self.ending());
        self.db.transaction("end lapsed delegations", move |tx| {
            let lapsed = delegations::ended(tx, now, PART)?;
            lapsed.iter().try_for_each(|delegation| ending.end(tx, delegation, End::Date))?;
            Ok(lapsed.len() as u64)
        })
    }
}

impl Ending {
    /// The same, and services hear of it in the moment in which it happens.
    pub fn at_once(self) -> Self {
        Self { outbox: self.outbox.at_once(), ..self }
    }

    /// Ends one delegation. One that the house did not write goes without a word: what stands in it is not to be believed, nor could it be opened.
    pub fn end(&self, tx: &mut Tx<'_>, delegation: &Delegation, why: End) -> Result<(), Error> {
        self.suspend(tx, delegation)?;
        delegations::delete(tx, &delegation.id)?;
        if !is_ours(&self.vault, delegation)? {
            tracing::error!("a delegation was written by somebody else and is dropped");
            return Ok(());
        }
        self.tell(tx, delegation, "ended", Some(why.code()), None)
    }

    /// One of two residents lost control of her pass, or gave it up: help that she gives or gets ends. A guardianship is not hers to end that way:
    /// what it opened is closed, and it rests for as long as a pass of the two is not active.
    pub fn end_of(&self, tx: &mut Tx<'_>, resident: u64, why: End) -> Result<(), Error> {
        for delegation in delegations::of_resident(tx, resident)? {
            match delegation.role {
                Role::Guardian if why != End::Erasure => self.suspend(tx, &delegation)?,
                Role::Guardian | Role::Helper => self.end(tx, &delegation, why)?,
            }
        }
        Ok(())
    }

    /// Closes the sessions that act under a delegation, and kills what services hold by them.
    fn suspend(&self, tx: &mut Tx<'_>, delegation: &Delegation) -> Result<(), Error> {
        for session in sessions::of_delegation(tx, &delegation.id)? {
            close(tx, &self.outbox, &session, Initiator::User)?;
        }
        for code in delegations::codes(tx, &delegation.id)? {
            end_code(tx, &code)?;
        }
        Ok(delegations::forget_codes(tx, &delegation.id)?)
    }

    /// A line in the footprints of both: `helper-…` or `guardian-…` for the person, `helping-…` or `guarding-…` for the delegate.
    pub fn tell(
        &self,
        tx: &mut Tx<'_>,
        delegation: &Delegation,
        what: &str,
        detail: Option<&str>,
        until: Option<Time>,
    ) -> Result<(), Error> {
        let (of_person, of_delegate) = match delegation.role {
            Role::Helper => ("helper", "helping"),
            Role::Guardian => ("guardian", "guarding"),
        };
        let sides = [
            (Some(delegation.person), of_person, delegation.delegate_called.as_deref()),
            // Until somebody has taken it up, what the delegate calls the person is the person's secret.
            (delegation.delegate, of_delegate, delegation.person_called.as_deref().filter(|_| delegation.taken_at.is_some())),
        ];
        for (resident, prefix, called) in sides {
            let Some(resident) = resident else { continue };
            if matches!(residents::state(tx, resident)?, None | Some(ResidentState::Erased)) {
                continue;
            }
            let keyring = keyring_in(tx, &self.vault, resident)?;
            let called = open_word(&self.vault, &keyring, called)?;
            let mut event = plain_event(Kind::Delegation, &format!("{prefix}-{what}"), detail.map(str::to_owned), self.now);
            event.other = Some(called).filter(|called| !called.is_empty());
            event.until = until;
            place(tx, &keyring, event, self.rng.as_ref())?;
        }
        Ok(())
    }
}
