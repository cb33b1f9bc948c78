//! Consent, and its sibling notification: a resident's data is lent under a mandate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::id::{BlockId, GrantId, MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate, Necessity};
use usufruct_core::ports::Rng;
use usufruct_core::register::{Entry, Register};
use usufruct_core::{Time, decide::Clause};
use usufruct_store::db::Tx;
use usufruct_store::grants::{self, StoredGrant};
use usufruct_store::{blocks, keyrings};
use usufruct_vault::Vault;

use crate::actor::place_by;
use crate::authorize::{CounterAuthorization, lending};
use crate::case::rest_no_more;
use crate::ledger::Placed;
use crate::release::first_number;
use crate::{Actor, App, Error, block_names};

/// What came of an agreement.
#[derive(Clone, Debug)]
pub struct ConsentOutcome {
    pub grant: GrantId,
    /// Leaf number.
    pub index: u64,
    /// A signed note by the receipt key.
    pub receipt: String,
}

impl App {
    /// The resident, or a delegate for her, agrees to a mandate, with the optional blocks she chose. Required blocks come with it.
    pub fn consent(
        &self,
        actor: impl Into<Actor>,
        service: &ServiceId,
        mandate: &MandateId,
        optional: &[BlockId],
    ) -> Result<ConsentOutcome, Error> {
        let actor = actor.into();
        self.while_stale(|| self.agree(actor.clone(), service, mandate, optional, None))
    }

    /// As [`App::consent`], at a counter of the service, where she does not sign in: the service is authorized in the same transaction, for as
    /// long as the mandate lasts. A sign-in of hers there makes it wider. What she has paused nobody resumes at a counter.
    pub fn consent_at_counter(
        &self,
        resident: u64,
        service: &ServiceId,
        mandate: &MandateId,
        optional: &[BlockId],
    ) -> Result<ConsentOutcome, Error> {
        self.while_stale(|| {
            let authorization = self.counter_authorization(resident, service, mandate)?;
            self.agree(resident.into(), service, mandate, optional, Some(authorization))
        })
    }

    fn agree(
        &self,
        actor: Actor,
        service: &ServiceId,
        mandate: &MandateId,
        optional: &[BlockId],
        authorization: Option<CounterAuthorization>,
    ) -> Result<ConsentOutcome, Error> {
        let register = self.register();
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        if entry.body.legal_basis.code != Basis::Consent {
            return Err(Error::refused(
                "This mandate does not rest on consent.",
                "Nothing needs to be agreed to; the use is notified.",
            ));
        }
        let chosen: Vec<&BlockId> = entry
            .body
            .blocks
            .iter()
            .filter(|asked| asked.necessity == Necessity::Required || optional.contains(&asked.block))
            .map(|asked| &asked.block)
            .collect();
        if let Some(stranger) = optional.iter().find(|block| entry.body.asked(block).is_none()) {
            return Err(Error::refused(&format!("`{stranger}` is not in the mandate."), "Choose among the blocks on the page."));
        }
        self.check_wishes(actor.resident, service, mandate, optional)?;
        self.lend(actor, Some(service), mandate, &chosen, authorization, self.now())
    }

    /// Notifies the resident of a use that rests on law and not on her consent; her data is lent under the mandate.
    pub fn notify(&self, resident: u64, mandate: &MandateId) -> Result<ConsentOutcome, Error> {
        self.while_stale(|| self.notify_at(resident, mandate, self.now()))
    }

    /// The same at the moment of the use that is decided: it does not come before what it rests on. Once.
    pub(crate) fn notify_at(&self, resident: u64, mandate: &MandateId, now: Time) -> Result<ConsentOutcome, Error> {
        let register = self.register();
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        if entry.body.legal_basis.code == Basis::Consent {
            return Err(Error::Unpermitted(vec![Clause::Grant]));
        }
        let all: Vec<&BlockId> = entry.body.blocks.iter().map(|asked| &asked.block).collect();
        self.lend(resident.into(), None, mandate, &all, None, now)
    }

    fn lend(
        &self,
        actor: Actor,
        service: Option<&ServiceId>,
        mandate: &MandateId,
        chosen: &[&BlockId],
        authorization: Option<CounterAuthorization>,
        now: Time,
    ) -> Result<ConsentOutcome, Error> {
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let (version, register) = self.versioned_register();
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let kind = match service {
            Some(_) => GrantKind::Consent,
            // Who ordered it is in the mandate: it could not have begun without, and stays what it was if the law changes.
            None if entry.body.legal_basis.order.is_some() => GrantKind::Ordered,
            None => GrantKind::Notified,
        };
        if !entry.is_in_force(now) {
            return Err(Error::Unpermitted(vec![if now >= entry.body.sunset_at { Clause::Sunset } else { Clause::Mandate }]));
        }
        if register.is_suspended_by_order(mandate.as_str(), now) || register.awaits_deletion(mandate.as_str(), now) {
            return Err(Error::Unpermitted(vec![Clause::Order]));
        }
        if register.notice(entry).is_none_or(|notice| notice.since > now) {
            return Err(Error::Unpermitted(vec![Clause::Notice]));
        }
        let id = GrantId::fresh(now, self.rng());
        let mut grant = stored(&id, resident, entry, chosen, kind, now);
        grant.grant.means = actor.means;
        let mut event = event(service, entry, chosen, kind, now);
        event.n = first_number(entry, now)?;
        let current = Arc::clone(&self.register_version);
        let (mandate, number) = (mandate.clone(), entry.number);
        let loan = Loan { version, current, resident, actor, mandate, number, grant, authorization, event };
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        let shared = Arc::clone(&register);
        let placed = self.db.transaction("lend blocks", move |tx| loan.run(tx, &vault, &shared, rng.as_ref()))?;
        let (logged, commit) = placed.logged(&self.recorder);
        Ok(ConsentOutcome { grant: id, index: logged.index(), receipt: self.receipt(&commit, logged.index(), now)? })
    }
}

struct Loan {
    /// The register by which it was found lawful, and the one that there is.
    version: u64,
    current: Arc<AtomicU64>,
    resident: u64,
    actor: Actor,
    mandate: MandateId,
    number: u64,
    grant: StoredGrant,
    authorization: Option<CounterAuthorization>,
    event: Event,
}

impl Loan {
    /// Adds the grant key to the keyring, seals the lent copies under it, and stores grant and event.
    fn run(&self, tx: &mut Tx<'_>, vault: &Vault, register: &Register, rng: &dyn Rng) -> Result<Placed, Error> {
        if self.current.load(Ordering::SeqCst) != self.version {
            return Err(Error::Stale);
        }
        let both = self.actor.permit(tx, vault, self.event.at)?;
        if self.is_paused(tx, register)? {
            return Err(Error::refused(
                "What was lent under this mandate is paused.",
                "Whoever paused it resumes it on the page of consents.",
            ));
        }
        let candidates = keyrings::candidates(tx, self.resident)?;
        let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
        let mut keyring = vault.keyring(self.resident, &sealed)?;
        keyring.lend(self.number, rng)?;
        let version = candidates.first().map_or(1, |(version, _)| *version);
        keyrings::put(tx, self.resident, version, &vault.seal_keyring(&keyring, rng)?)?;
        let own = blocks::own(tx, self.resident)?;
        let mut lent = Vec::new();
        for block in &self.grant.grant.blocks {
            let number = block_names::number(register, block)?;
            let Some((_, sealed)) = own.iter().find(|(known, _)| *known == number) else { continue };
            let value = vault.open_own(&keyring, block, sealed)?;
            lent.push((
                self.resident,
                self.number,
                number,
                vault.lend_block(&keyring, self.resident, self.number, block, &value, rng)?,
            ));
        }
        blocks::delete_lent(tx, self.resident, self.number)?;
        blocks::put_lent(tx, &lent)?;
        grants::put(tx, &self.grant)?;
        if self.grant.grant.kind == GrantKind::Consent {
            rest_no_more(tx, vault, self.resident, self.number)?;
        }
        if let Some(authorization) = &self.authorization {
            authorization.put(tx)?;
        }
        place_by(tx, &keyring, self.event.clone(), both.as_ref(), rng)
    }

    /// Whether this would lend what she holds back. A revision that asks for more than she agreed to is agreed to anew, and nothing of that is paused.
    fn is_paused(&self, tx: &mut Tx<'_>, register: &Register) -> Result<bool, Error> {
        let entry = register.mandates.get(&self.mandate).filter(|_| self.grant.grant.kind == GrantKind::Consent);
        let Some(entry) = entry else { return Ok(false) };
        let found = grants::find(tx, self.resident, self.number)?;
        let lending = found.and_then(|found| lending(register, entry, found.grant, self.event.at));
        Ok(lending.is_some_and(|lending| lending.is_paused))
    }
}

pub(crate) fn stored(
    id: &GrantId,
    resident: u64,
    entry: &Entry<Mandate>,
    chosen: &[&BlockId],
    kind: GrantKind,
    now: Time,
) -> StoredGrant {
    StoredGrant {
        id: id.clone(),
        resident,
        mandate: entry.number,
        revision: 1,
        last_use_at: None,
        reaffirmed_at: None,
        refused: None,
        grant: Grant {
            kind,
            state: GrantState::Given,
            mandate_hash: entry.hash,
            given_at: now,
            valid_until: entry.body.sunset_at,
            blocks: chosen.iter().map(|block| (*block).clone()).collect(),
            uses: 0,
            window_start: now,
            window_uses: 0,
            means: None,
            resident_active: true,
            authorized: false,
            rests: false,
            declined: false,
        },
        has_cases: false,
        wishes: None,
    }
}

fn event(service: Option<&ServiceId>, entry: &Entry<Mandate>, chosen: &[&BlockId], kind: GrantKind, now: Time) -> Event {
    let form = |block: &BlockId| entry.body.asked(block).map_or(Form::Value, |asked| asked.form);
    Event {
        kind: Kind::Consent,
        n: 0,
        prev: None,
        at: now,
        anchor: None,
        mandate: Some(entry.hash),
        service: service.cloned(),
        blocks: chosen.iter().map(|block| ((*block).clone(), form(block))).collect(),
        reason: kind.code().to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail: None,
        until: Some(entry.body.sunset_at),
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}
