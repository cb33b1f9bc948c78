//! Deposit: a service puts something about a resident into the pass, under a mandate that says so. It is sealed for the month, she sees
//! it, and it is gone when the mandate has kept it for its time.

use std::collections::BTreeMap;

use usufruct_core::Time;
use usufruct_core::decide::{Clause, Request, decide_deposit, decide_deposit_without_resident};
use usufruct_core::event::{Form, Kind};
use usufruct_core::id::{AgencyId, BlockId, MandateId, ServiceId};
use usufruct_core::logged::Logged;
use usufruct_core::mandate::Mandate;
use usufruct_core::means::SignIn;
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::Month;
use usufruct_store::deposits::{self, Deposit};
use usufruct_vault::{Error as VaultError, Keyring};
use zeroize::Zeroizing;

use crate::correct::checked;
use crate::release::{ATTEMPTS, Asking, Case, PlaceCase, event, find, unopened};
use crate::{App, Error, HeldToken, block_names};

/// What a service puts into the pass about one resident.
#[derive(Clone)]
pub struct DepositRequest {
    pub service: ServiceId,
    pub mandate: MandateId,
    /// The resident's pseudonym at the service.
    pub subject: String,
    pub block: BlockId,
    /// 1 to 200 characters on one line.
    pub value: String,
    pub reason: String,
    /// Commitment to the officer who acts.
    pub actor: Option<[u8; 32]>,
    /// The sign-in behind the token that she gave the service; `None` where it asks with its own.
    pub sign_in: Option<SignIn>,
    /// Whether the matter concerns somebody else, so that it is closed to the resident for a time.
    pub third_party: bool,
}

/// The receipt for something that was deposited.
#[derive(Clone, Debug)]
pub struct DepositReceipt {
    /// When it will be gone from the pass.
    pub until: Time,
    /// Leaf number of the event.
    pub index: u64,
    /// A signed note by the receipt key.
    pub receipt: String,
}

/// Something that was deposited, as the resident sees it.
#[derive(Clone)]
pub struct OwnDeposit {
    pub mandate: MandateId,
    pub block: BlockId,
    pub value: String,
    pub at: Time,
    pub until: Time,
}

/// A deposit that is released with a block, for a use that is in the log.
pub struct ReleasedDeposit {
    pub block: BlockId,
    pub value: Zeroizing<String>,
    /// When it was deposited.
    pub at: Time,
    /// When it must be gone.
    pub until: Time,
}

impl App {
    /// Takes something about one resident, or refuses with the clauses. Refusals about a known resident are logged too.
    pub fn deposit(&self, request: &DepositRequest) -> Result<DepositReceipt, Error> {
        self.deposit_held(request, None)
    }

    /// As [`App::deposit`], by a token, which is looked at again inside the write.
    pub fn deposit_by(&self, request: &DepositRequest, token: &HeldToken) -> Result<DepositReceipt, Error> {
        self.deposit_held(request, Some(token))
    }

    fn deposit_held(&self, request: &DepositRequest, token: Option<&HeldToken>) -> Result<DepositReceipt, Error> {
        let value = checked(&request.value)?;
        for _ in 0..ATTEMPTS {
            match self.try_deposit(request, value, token) {
                Err(Error::Stale) => self.wait_for_register(),
                outcome => return outcome,
            }
        }
        Err(Error::Stale)
    }

    fn try_deposit(&self, request: &DepositRequest, value: &str, token: Option<&HeldToken>) -> Result<DepositReceipt, Error> {
        let (version, register) = self.versioned_register();
        let now = self.now();
        let asked = Request {
            service: request.service.clone(),
            mandate: request.mandate.clone(),
            blocks: vec![(request.block.clone(), Form::Value)],
            reason: request.reason.clone(),
            subjects: 1,
            sign_in: request.sign_in,
            third_party: request.third_party,
            since: None,
            written_reason: false,
        };
        let (mandate, sector) = find(&register, &asked)?;
        let asking = Asking { register: &register, service: &request.service, sector, mandate, blocks: &[], now };
        let found = self.resolve(&asking, &request.subject)?;
        let otherwise = || decide_deposit_without_resident(&register, &asked, now).outcome;
        let found = self.noticed(&asking, &asked.mandate, found, otherwise)?;
        let case = Case::new(found, |grant| decide_deposit(&register, &asked, grant, now))?;
        let mut event = event(&asked, mandate, &case, request.actor, None, now);
        let mut row = None;
        if case.clauses.is_empty() {
            event.kind = Kind::Deposit;
            let month = Month::of(now);
            self.make_month_key(version, &register, mandate.number, month)?;
            let depositor = depositor(&register, &request.service, mandate)?;
            let sealed = self.vault.seal_deposit(
                case.keyring(),
                mandate.number,
                month.0,
                &request.block,
                depositor,
                value.as_bytes(),
                self.rng(),
            );
            row = Some(Deposit {
                resident: case.keyring().resident(),
                index: 0,
                mandate: mandate.number,
                month,
                block: block_names::number(&register, &request.block)?,
                depositor: Some(depositor.clone()),
                at: now,
                until: mandate.body.keep_until(now),
                sealed: sealed.map_err(moved)?,
            });
        }
        let (service, reason, actor) = (&request.service, &request.reason, request.actor.as_ref());
        // What is written with a token that she gave is written in her presence.
        let decider = match request.sign_in {
            Some(_) => self.decider(&register, service, &request.mandate, reason, actor)?,
            None => self.writer(&register, service, &request.mandate, reason, actor)?,
        };
        let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
        let place_case = place_case.closed_to_her(asked.third_party.then_some(mandate)).braked(decider.clone()).held(token);
        let placed = self.db.transaction("deposit", move |tx| {
            let placed = place_case.run(tx)?;
            if let Some(row) = row.as_ref().filter(|_| placed.is_permitted()) {
                deposits::insert(tx, &Deposit { index: placed.index(), ..row.clone() })?;
            }
            Ok::<_, Error>(placed)
        })?;
        let (logged, commit) = placed.logged(&self.recorder);
        if let Some(clauses) = self.refused(&case, &logged, decider.as_ref())? {
            return Err(Error::Unpermitted(clauses));
        }
        let receipt = self.receipt(&commit, logged.index(), now)?;
        Ok(DepositReceipt { until: mandate.body.keep_until(now), index: logged.index(), receipt })
    }

    /// Opens the deposits that go with a logged use: those under its mandate about its resident, of the blocks it names as values,
    /// that were in the pass before it and are within their time, and that its own body put in, or one with which an agreement lets it share
    /// them. Newest first.
    pub(crate) fn open_deposits(
        &self,
        register: &Register,
        mandate: &Entry<Mandate>,
        keyring: &Keyring,
        logged: &Logged,
        request: &Request,
        now: Time,
    ) -> Result<Vec<ReleasedDeposit>, Error> {
        if !mandate.body.lets_deposit() {
            return Ok(Vec::new());
        }
        let values = request.blocks.iter().filter(|(_, form)| *form == Form::Value);
        let named: BTreeMap<u64, &BlockId> =
            values.map(|(block, _)| Ok((block_names::number(register, block)?, block))).collect::<Result<_, Error>>()?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let (resident, number, index) = (keyring.resident(), mandate.number, logged.index());
        let rows = self.db.read(|conn| deposits::under_mandate(conn, resident, number, index, now))?;
        let receiver = depositor(register, &request.service, mandate)?;
        let mut released = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(block) = named.get(&row.block).filter(|_| mandate.body.reaches(row.at, now)) else { continue };
            let by = row.depositor.as_ref();
            // Of what was put in before it was kept who did, the body that answers for it is the only safe reading.
            if !register.hands_over(by.unwrap_or(&mandate.body.controller), receiver, mandate, block, now) {
                continue;
            }
            let opened = self.vault.open_deposit(logged, keyring, number, row.month.0, mandate.hash, block, by, &row.sealed);
            let Some(bytes) = unless_ended(opened).map_err(|error| unopened(error, index))? else { continue };
            let value = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            released.push(ReleasedDeposit { block: (*block).clone(), value, at: row.at, until: row.until });
        }
        Ok(released)
    }

    /// Makes and publishes the key of a month where the clock has not done so yet, after which it has to be decided again. Nothing else is
    /// published meanwhile, so that no key comes into being after the mandate has ended, when nobody would destroy it.
    fn make_month_key(&self, version: u64, register: &Register, mandate: u64, month: Month) -> Result<(), Error> {
        if self.vault.month_commitment(mandate, month.0)?.is_some_and(|commitment| register.key(&commitment).is_some()) {
            return Ok(());
        }
        let _guard = self.publishing();
        if self.versioned_register().0 != version {
            return Err(Error::Stale);
        }
        self.make_key_of_month(mandate, month)?;
        self.publish_new_keys()?;
        Err(Error::Stale)
    }

    /// What was deposited about the resident and has not been kept for its time yet, newest first.
    pub fn own_deposits(&self, resident: u64) -> Result<Vec<OwnDeposit>, Error> {
        let (register, now) = (self.register(), self.now());
        let keyring = self.keyring(resident)?;
        let rows = self.db.read(|conn| deposits::of_resident(conn, resident, now))?;
        let mut blocks = Vec::with_capacity(rows.len());
        for row in rows {
            let mandate = register.mandates.iter().find(|(_, entry)| entry.number == row.mandate);
            let Some(((mandate, _), block)) = mandate.zip(block_names::id(&register, row.block)) else { continue };
            let value =
                match self.vault.open_own_deposit(&keyring, row.mandate, row.month.0, block, row.depositor.as_ref(), &row.sealed)
                {
                    // She does not lend under the mandate any more.
                    Err(VaultError::NoLoan) => continue,
                    opened => unless_ended(opened)?,
                };
            let Some(value) = value.map(|value| String::from_utf8_lossy(&value).into_owned()) else { continue };
            blocks.push(OwnDeposit { mandate: mandate.clone(), block: block.clone(), value, at: row.at, until: row.until });
        }
        Ok(blocks)
    }
}

/// The body on whose behalf a service puts in what it deposits, and gets what it asks for.
fn depositor<'a>(register: &'a Register, service: &ServiceId, mandate: &'a Entry<Mandate>) -> Result<&'a AgencyId, Error> {
    let service = register.services.get(service).ok_or_else(|| Error::Unpermitted(vec![Clause::Service]))?;
    Ok(register.principal(service, mandate))
}

/// What a deposit held, or `None` when its key is gone: the row of a month that has ended, which goes next, or of an earlier loan,
/// which only an old copy of the store can have brought back.
fn unless_ended<T>(opened: Result<T, VaultError>) -> Result<Option<T>, VaultError> {
    match opened {
        Ok(value) => Ok(Some(value)),
        Err(VaultError::NoKey { noun: "month" } | VaultError::Unreadable) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was there when it was decided is gone: it has to be decided again.
fn moved(error: VaultError) -> Error {
    match error {
        VaultError::NoKey { .. } | VaultError::NoLoan | VaultError::Stale => Error::Stale,
        other => other.into(),
    }
}
