//! Release a block: decide, log, then open. In that order, and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use usufruct_core::decide::{Clause, Decision, Outcome, Request, decide, decide_without_resident};
use usufruct_core::delay::Week;
use usufruct_core::event::{Batch, Event, Form, Kind};
use usufruct_core::grant::Grant;
use usufruct_core::hash::hmac_sha256;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::logged::Logged;
use usufruct_core::mandate::{Basis, Fetch, GateLevel, Mandate, TooLate};
use usufruct_core::matter::OpenedMatter;
use usufruct_core::means::SignIn;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::{Entry, Register};
use usufruct_core::source::SourceMark;
use usufruct_core::statement::public_key;
use usufruct_core::tally::Day;
use usufruct_core::{Digest, Time};
use usufruct_store::authorizations::{self, Authorization};
use usufruct_store::cases::{self, StoredCase};
use usufruct_store::db::{Connection, Tx};
use usufruct_store::grants::{self, Count, StoredGrant};
use usufruct_store::{blocks, keyrings, residents};
use usufruct_vault::hpke::PublicKey;
use usufruct_vault::{Error as VaultError, Keyring, Subject};
use zeroize::Zeroizing;

use crate::books::Counted;
use crate::brakes::Decider;
use crate::deposit::ReleasedDeposit;
use crate::ledger::{Head, Placed, place_counted};
use crate::receipt::Commit;
use crate::row_mark::{is_true_authorization, is_true_case};
use crate::wishes::WISH;
use crate::{App, Error, HeldToken, block_names};

/// How often a decision is made again when the register or the grant moved under it.
pub(crate) const ATTEMPTS: usize = 8;

/// What stands in the detail of a refusal that a case of hers led to.
const RESTS: &str = "case";

/// Where the seed behind a pseudonym stands: its index, and the generation.
pub(crate) type SeedPlace = ([u8; 32], u16);

/// What a service asks for about one resident.
#[derive(Clone, Debug)]
pub struct ReleaseRequest {
    pub service: ServiceId,
    pub mandate: MandateId,
    /// The resident's pseudonym at the service.
    pub subject: String,
    pub blocks: Vec<(BlockId, Form)>,
    pub reason: String,
    /// Commitment to the officer who asks.
    pub actor: Option<[u8; 32]>,
    /// The sign-in behind the token that she gave the service; `None` where it asks with its own.
    pub sign_in: Option<SignIn>,
    /// Whether the matter concerns somebody else, so that it is closed to the resident for a time.
    pub third_party: bool,
    /// How far back it asks, where it asks for what was before now.
    pub since: Option<Time>,
    /// Why this use is needed, in 1 to 400 characters, where the mandate rests on an exception that asks for it. She reads it.
    pub written_reason: Option<String>,
}

/// Longest reason in writing, in characters.
const LONGEST_REASON: usize = 400;

/// Data on loan, with the receipt that proves the log had it first.
pub struct Released {
    pub blocks: Vec<(BlockId, Form, Zeroizing<String>)>,
    /// What was deposited under the mandate, of the blocks that were asked for as values. Newest first.
    pub deposits: Vec<ReleasedDeposit>,
    /// When the data must be gone.
    pub until: Time,
    /// Leaf number of the use.
    pub index: u64,
    /// A signed note by the receipt key.
    pub receipt: String,
}

/// Which service asks for somebody, under which mandate, for what, and when.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub register: &'a Register,
    pub service: &'a ServiceId,
    /// The pseudonym sector of the service.
    pub sector: u64,
    pub mandate: &'a Entry<Mandate>,
    /// What is to be opened; nothing where no data leaves.
    pub blocks: &'a [(BlockId, Form)],
    pub now: Time,
}

/// By what something was decided that is in the log.
#[derive(Clone, Copy)]
pub(crate) struct Decided<'a> {
    /// The version of the register.
    pub version: u64,
    /// Whether something may have come between the write and what is done next.
    pub waited: bool,
    /// By what it was asked.
    pub token: Option<&'a HeldToken>,
}

/// One resident of a request.
pub(crate) struct Found {
    resident: u64,
    keyring: Arc<Keyring>,
    /// As the service may rely on it.
    grant: Option<StoredGrant>,
    /// The authorization by which it may, with its mark; `None` under a mandate that needs none.
    authorization: Option<(String, Digest)>,
    /// Whether what is lent is what the grant says.
    fits: bool,
    /// Sealed copies on loan under the mandate, by block number. Nothing opens them before the use is logged.
    lent: Vec<(u64, Vec<u8>)>,
}

impl Found {
    pub(crate) fn resident(&self) -> u64 {
        self.resident
    }
}

/// One resident of a request, decided about.
pub(crate) struct Case {
    found: Found,
    /// The clauses that refuse; empty when the use is permitted.
    pub clauses: Vec<Clause>,
}

impl Case {
    /// A resident of a request that is refused as a whole, by these clauses.
    pub fn refused(found: Found, clauses: Vec<Clause>) -> Self {
        Self { found, clauses }
    }

    /// A resident decided about by her grant. Where all permits and her grant says something else than what she lent, somebody has changed it.
    pub fn new(found: Found, decide: impl FnOnce(Option<&Grant>) -> Decision) -> Result<Self, Error> {
        let decision = decide(found.grant.as_ref().map(|stored| &stored.grant));
        let clauses = if decision.outcome == Outcome::Refuse { decision.because } else { Vec::new() };
        if clauses.is_empty() && !found.fits {
            return Err(Error::Altered);
        }
        Ok(Self { found, clauses })
    }

    /// What of her own led to a refusal under this clause, for her line: a case that is open, or a standing wish.
    fn own_will(&self, clause: Clause) -> Option<&'static str> {
        let grant = &self.found.grant.as_ref()?.grant;
        match clause {
            Clause::Suspension if grant.rests => Some(RESTS),
            Clause::Grant if grant.declined => Some(WISH),
            _ => None,
        }
    }

    pub(crate) fn resident(&self) -> u64 {
        self.found.resident
    }

    pub fn keyring(&self) -> &Keyring {
        &self.found.keyring
    }
}

/// What the store holds about one resident under one mandate.
struct Stored {
    keyrings: Vec<(i64, Vec<u8>)>,
    grant: Option<StoredGrant>,
    /// Those that cover the mandate, true or not.
    authorizations: Vec<Authorization>,
    lent: Vec<(u64, Vec<u8>)>,
    /// Her cases about something under the mandate, true or not.
    cases: Vec<StoredCase>,
    /// Whether every block that is asked for, and that she has and agreed to, is lent.
    is_whole: bool,
}

impl Stored {
    fn read(conn: &mut dyn Connection, resident: u64, asking: &Asking<'_>) -> Result<Self, Error> {
        let mandate = asking.mandate;
        let grant = grants::find(conn, resident, mandate.number)?;
        let needs_authorization = mandate.body.legal_basis.code == Basis::Consent && grant.is_some();
        let authorizations = if needs_authorization { covering(conn, resident, asking)? } else { Vec::new() };
        let lent = blocks::lent(conn, resident, mandate.number)?;
        let is_whole = is_whole(conn, resident, asking, grant.as_ref(), &lent)?;
        let has_cases = grant.as_ref().is_some_and(|stored| stored.has_cases);
        let cases = if has_cases { cases::under_mandate(conn, resident, mandate.number)? } else { Vec::new() };
        Ok(Self { keyrings: keyrings::candidates(conn, resident)?, grant, authorizations, lent, cases, is_whole })
    }
}

/// The authorizations of the resident at the service that asks that cover the mandate and have not ended. Their marks are looked at when the
/// read is over, since the key of the marks may need a connection of its own.
fn covering(conn: &mut dyn Connection, resident: u64, asking: &Asking<'_>) -> Result<Vec<Authorization>, Error> {
    let mut found = authorizations::of_resident(conn, resident, Some(asking.service))?;
    found.retain(|found| found.ends_at > asking.now && found.scope.split(' ').any(|word| word == asking.mandate.id));
    Ok(found)
}

/// Whether every block that is asked for and that the grant names is lent, or is one that she does not have. The row of a grant has no mark:
/// what was written into it shows by this, for she lends nothing with it.
fn is_whole(
    conn: &mut dyn Connection,
    resident: u64,
    asking: &Asking<'_>,
    grant: Option<&StoredGrant>,
    lent: &[(u64, Vec<u8>)],
) -> Result<bool, Error> {
    let Some(stored) = grant else { return Ok(true) };
    let mut missing = Vec::new();
    for (block, _) in asking.blocks.iter().filter(|(block, _)| stored.grant.blocks.contains(block)) {
        let Ok(number) = block_names::number(asking.register, block) else { continue };
        if lent.iter().all(|(known, _)| *known != number) {
            missing.push(number);
        }
    }
    if missing.is_empty() {
        return Ok(true);
    }
    Ok(blocks::own(conn, resident)?.iter().all(|(number, _)| !missing.contains(number)))
}

impl App {
    /// Releases blocks of one resident, or refuses with the clauses. Refusals about a known resident are logged too.
    ///
    /// One snapshot of four reads, one group-committed write (a grant update, a leaf and a line), one receipt signature. Under a mandate that
    /// rests on consent one read more, of the service's authorization, and one HMAC; the write looks at it again with the grant. Where she has cases under
    /// it, one read more, and one HMAC for each. Under a mandate
    /// that lets services deposit, one read more.
    pub fn release(&self, request: &ReleaseRequest) -> Result<Released, Error> {
        self.release_held(request, None)
    }

    /// As [`App::release`], by a token: one read more, inside the write.
    pub fn release_by(&self, request: &ReleaseRequest, token: &HeldToken) -> Result<Released, Error> {
        self.release_held(request, Some(token))
    }

    pub(crate) fn release_held(&self, request: &ReleaseRequest, token: Option<&HeldToken>) -> Result<Released, Error> {
        self.while_stale(|| self.try_release(request, token))
    }

    /// Decides again where something moved under the decision.
    pub(crate) fn while_stale<T>(&self, attempt: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            match attempt() {
                Err(Error::Stale) => self.wait_for_register(),
                outcome => return outcome,
            }
        }
        Err(Error::Stale)
    }

    fn try_release(&self, request: &ReleaseRequest, token: Option<&HeldToken>) -> Result<Released, Error> {
        let (version, register) = self.versioned_register();
        let now = self.now();
        let asked = asked(request, 1);
        if request.written_reason.as_deref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err(Error::refused("The reason in writing has more than 400 characters.", "Shorten it."));
        }
        let (mandate, sector) = find(&register, &asked)?;
        let asking = Asking { register: &register, service: &request.service, sector, mandate, blocks: &asked.blocks, now };
        let found = self.resolve(&asking, &request.subject)?;
        let case = self.case(&asking, &asked, found)?;
        let mut event = event(&asked, mandate, &case, request.actor, None, now);
        if event.kind == Kind::Use && register.asks_written_reason(mandate, now) {
            event.detail = request.written_reason.as_deref().map(|reason| reason.trim().to_owned());
        }
        let decider = self.decider(&register, &request.service, &request.mandate, &request.reason, request.actor.as_ref())?;
        let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
        let place_case = place_case.closed_to_her(asked.third_party.then_some(mandate)).braked(decider.clone()).held(token);
        let placed = self.db.transaction("record use", move |tx| place_case.run(tx))?;
        let (logged, commit) = placed.logged(&self.recorder);
        if let Some(clauses) = self.refused(&case, &logged, decider.as_ref())? {
            return Err(Error::Unpermitted(clauses));
        }
        let (gate, resident) = (mandate.body.gate, case.resident());
        let released = self
            .wait_for_gate(gate, logged.index())
            .and_then(|()| {
                // Without a gate nothing stands between the write of a use and its opening.
                let decided = Decided { version, waited: gate != GateLevel::Durable, token };
                self.still_permitted_use(&asking, decided, &asked, case, &logged)
            })
            .and_then(|case| self.open_blocks(&register, mandate, &case, (&logged, &commit), &asked, &request.subject, now));
        released.map_err(|error| self.failed(resident, &logged, error))
    }

    /// The resident behind a pseudonym and what the store holds about her under a mandate, as one state of the database.
    /// Foreign bytes, old generations and erased residents are all the same to the caller.
    pub(crate) fn resolve(&self, asking: &Asking<'_>, subject: &str) -> Result<Found, Error> {
        let unknown = || Error::Unknown { what: "subject at this service" };
        let subject: Subject = subject.parse().map_err(|_| unknown())?;
        let (seed_index, generation) = self.vault.resolve(asking.sector, &subject).map_err(|error| match error {
            // The sector has ended, and with it everything its pseudonyms led to.
            VaultError::NoKey { noun: "sector" } => unknown(),
            other => other.into(),
        })?;
        self.find_resident(asking, &seed_index, generation)
    }

    /// What pseudonyms of a sector lead to, in order, in one question to a second keeper. `None` for what is no pseudonym, and for all of a
    /// sector that has ended.
    pub(crate) fn seeds_behind(&self, sector: u64, subjects: &[String]) -> Result<Vec<Option<SeedPlace>>, Error> {
        let parsed: Vec<Option<Subject>> = subjects.iter().map(|subject| subject.parse().ok()).collect();
        let readable: Vec<Subject> = parsed.iter().flatten().copied().collect();
        let mut found = match self.vault.resolve_many(sector, &readable) {
            Err(VaultError::NoKey { noun: "sector" }) => return Ok(vec![None; subjects.len()]),
            found => found?.into_iter(),
        };
        Ok(parsed.into_iter().map(|subject| subject.and_then(|_| found.next())).collect())
    }

    /// The resident behind the index of a seed, if the generation of her pseudonym is the present one.
    pub(crate) fn find_resident(&self, asking: &Asking<'_>, seed_index: &[u8; 32], generation: u16) -> Result<Found, Error> {
        self.check_rotating(asking.sector)?;
        let unknown = || Error::Unknown { what: "subject at this service" };
        let look = || {
            let stored = self.db.snapshot(|conn| match residents::by_seed(conn, seed_index)? {
                Some(resident) => Ok::<_, Error>(Some((resident, Stored::read(conn, resident, asking)?))),
                None => Ok(None),
            })?;
            let (resident, stored) = stored.ok_or_else(unknown)?;
            self.found(resident, stored, asking).map_err(|error| match error {
                Error::Vault(VaultError::NoKey { noun: "resident" }) => unknown(),
                other => other,
            })
        };
        let found = match look() {
            // Her key was replaced after the snapshot. A new one has the keyring that goes with the new key.
            Err(Error::Vault(VaultError::Unreadable)) => look(),
            outcome => outcome,
        }?;
        if found.keyring.generation(asking.sector) == generation { Ok(found) } else { Err(unknown()) }
    }

    fn found(&self, resident: u64, mut stored: Stored, asking: &Asking<'_>) -> Result<Found, Error> {
        let mut authorization = None;
        for found in stored.authorizations {
            if is_true_authorization(&self.vault, &found)? {
                authorization = found.mark.map(|mark| (found.id, mark));
                break;
            }
        }
        let keyring = Arc::new(self.open_keyring(resident, &stored.keyrings)?);
        let mut rests = false;
        for case in &stored.cases {
            rests |= case.case.suspends;
            if !is_true_case(&self.vault, case)? {
                return Err(Error::Altered);
            }
        }
        if let Some(stored) = &mut stored.grant {
            stored.grant.authorized = authorization.is_some();
            stored.grant.rests = rests;
            if let Some(wished) = stored.wishes.as_ref().filter(|_| asking.mandate.body.legal_basis.code == Basis::Consent) {
                let wished = self.open_wishes(&keyring, wished)?;
                stored.grant.declined = wished.decline(asking.register, asking.service, Some(asking.mandate));
            }
        }
        // Who lends has a key for it; a grant that was revived by a write has none.
        let fits = stored.is_whole && (stored.grant.is_none() || keyring.lends(asking.mandate.number));
        Ok(Found { resident, keyring, grant: stored.grant, authorization, fits, lent: stored.lent })
    }

    /// Decides about one resident. Under a mandate that needs no consent a missing grant is made first, so that the resident
    /// is notified and the caps count.
    pub(crate) fn case(&self, asking: &Asking<'_>, request: &Request, found: Found) -> Result<Case, Error> {
        let (register, now) = (asking.register, asking.now);
        let found = self.noticed(asking, &request.mandate, found, || decide_without_resident(register, request, now).outcome)?;
        Case::new(found, |grant| decide(register, request, grant, now))
    }

    /// The resident with the grant that the law gives for her, where none is needed from herself and all else permits.
    pub(crate) fn noticed(
        &self,
        asking: &Asking<'_>,
        id: &MandateId,
        found: Found,
        otherwise: impl FnOnce() -> Outcome,
    ) -> Result<Found, Error> {
        let mandate = asking.mandate;
        let needs_notice = mandate.body.legal_basis.code != Basis::Consent
            && found.grant.as_ref().is_none_or(|stored| stored.grant.mandate_hash != mandate.hash && !stored.grant.rests)
            && otherwise() == Outcome::Permit;
        if !needs_notice {
            return Ok(found);
        }
        self.notify_at(found.resident, id, asking.now)?;
        let resident = found.resident;
        self.found(resident, self.db.snapshot(|conn| Stored::read(conn, resident, asking))?, asking)
    }

    /// Why a logged request is refused, by the decision or by the brake inside its transaction. What the brake has stopped just now is said
    /// in the register before anybody is answered.
    pub(crate) fn refused(&self, case: &Case, logged: &Logged, decider: Option<&Decider>) -> Result<Option<Vec<Clause>>, Error> {
        if !case.clauses.is_empty() {
            return Ok(Some(case.clauses.clone()));
        }
        if logged.event().kind != Kind::Refusal {
            return Ok(None);
        }
        if let Some(decider) = decider {
            self.say_stoppage_of(decider)?;
        }
        Ok(Some(vec![Clause::Brake]))
    }

    pub(crate) fn wait_for_register(&self) {
        drop(self.publishing());
    }

    /// The resident of a logged use as she stands now, or why nothing is opened for it any more ([`App::still_permitted`]).
    pub(crate) fn still_permitted_use(
        &self,
        asking: &Asking<'_>,
        decided: Decided<'_>,
        asked: &Request,
        case: Case,
        logged: &Logged,
    ) -> Result<Case, Error> {
        let still =
            self.still_permitted(asking, decided, case, logged, |register, grant, now| decide(register, asked, grant, now));
        still.map_err(|error| match error {
            Error::Vault(error) => unopened(error, logged.index()),
            other => other,
        })
    }

    /// Decides again about what is in the log, by the register, the grant, the authorization, the pass, the cases and the token as they are now:
    /// any of them may have changed while it waited for its checkpoint, or for the rest of a long list. One snapshot, as for the first decision,
    /// and none where it has not waited and the register is the same: the write looked at all of it, so what comes after it comes after the
    /// use, and of that the vault sees what destroys or withholds a key. Answers the resident as she stands now.
    pub(crate) fn still_permitted(
        &self,
        asking: &Asking<'_>,
        decided: Decided<'_>,
        case: Case,
        logged: &Logged,
        decide: impl Fn(&Register, Option<&Grant>, Time) -> Decision,
    ) -> Result<Case, Error> {
        let (current, register) = self.versioned_register();
        if !decided.waited && current == decided.version {
            return Ok(case);
        }
        let asking = Asking { register: &register, now: self.now(), ..*asking };
        let (resident, before) = (case.resident(), case.found);
        let read = |conn: &mut dyn Connection| {
            decided.token.map_or(Ok(()), |token| token.permit(conn, asking.now))?;
            Stored::read(conn, resident, &asking)
        };
        let look = || self.found(resident, self.db.snapshot(read)?, &asking);
        let mut found = match look() {
            // Her key was replaced after the snapshot.
            Err(Error::Vault(VaultError::Unreadable)) => look(),
            // The use is in the log, so something was done by the token.
            Err(Error::Unborne) => return Err(Error::Unopened { index: logged.index() }),
            outcome => outcome,
        }?;
        let is_same_name = found.keyring.generation(asking.sector) == before.keyring.generation(asking.sector);
        let is_same_grant = found.grant.as_ref().map(|stored| &stored.id) == before.grant.as_ref().map(|stored| &stored.id);
        // This use is counted in it already.
        if let (Some(now), Some(before)) = (&mut found.grant, &before.grant) {
            let (uses, window_start, window_uses) = (before.grant.uses, before.grant.window_start, before.grant.window_uses);
            now.grant = Grant { uses, window_start, window_uses, ..now.grant.clone() };
        }
        let decision = decide(&register, found.grant.as_ref().map(|stored| &stored.grant), asking.now);
        // How lately she signed in, and how far back is asked, counts from when it was asked.
        let is_refused = decision.outcome == Outcome::Refuse
            && decision.because.iter().any(|clause| !matches!(clause, Clause::DataRange | Clause::SignIn));
        if is_refused || !is_same_name || !is_same_grant {
            return Err(Error::Unopened { index: logged.index() });
        }
        if !found.fits {
            return Err(Error::Altered);
        }
        Ok(Case { found, clauses: Vec::new() })
    }

    #[expect(clippy::too_many_arguments, reason = "everything the decision rested on, once")]
    pub(crate) fn open_blocks(
        &self,
        register: &Register,
        mandate: &Entry<Mandate>,
        case: &Case,
        (logged, commit): (&Logged, &Commit),
        request: &Request,
        subject: &str,
        now: Time,
    ) -> Result<Released, Error> {
        let Found { resident, keyring, lent, .. } = &case.found;
        let ended = |error| unopened(error, logged.index());
        let mut opened = Vec::with_capacity(request.blocks.len());
        for (block, form) in &request.blocks {
            let number = block_names::number(register, block)?;
            // A block holds what is true now; where only deposits are in reach, it gives nothing of its own.
            let mut lent = lent.iter().filter(|_| mandate.body.reaches(now, now));
            let value = match (form, lent.find(|(known, _)| *known == number)) {
                (Form::Token, _) => Zeroizing::new(token(&mandate.hash, block, subject)),
                (Form::Predicate, None) => Zeroizing::new(predicate("").to_owned()),
                (Form::Value, None) => Zeroizing::new(String::new()),
                (Form::Predicate | Form::Value, Some((_, sealed))) => {
                    let open =
                        |sealed: &[u8]| self.vault.open(logged, keyring, *resident, mandate.number, mandate.hash, block, sealed);
                    let opened = match open(sealed) {
                        // It may have been sealed again, for another key of the mandate, after it was read.
                        Err(VaultError::Unreadable) => {
                            let rows = self.db.read(|conn| blocks::lent(conn, *resident, mandate.number))?;
                            let now = rows.iter().find(|(known, _)| *known == number);
                            now.map_or(Err(VaultError::Unreadable), |(_, sealed)| open(sealed))
                        }
                        opened => opened,
                    };
                    let bytes = opened.map_err(ended)?;
                    let value = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
                    if *form == Form::Predicate { Zeroizing::new(predicate(&value).to_owned()) } else { value }
                }
            };
            opened.push((block.clone(), *form, value));
        }
        Ok(Released {
            blocks: opened,
            deposits: self.open_deposits(register, mandate, keyring, logged, request, now)?,
            until: mandate.body.keep_until(now),
            index: logged.index(),
            receipt: self.receipt(commit, logged.index(), now)?,
        })
    }

    pub(crate) fn wait_for_gate(&self, gate: GateLevel, index: u64) -> Result<(), Error> {
        match gate {
            GateLevel::Durable => Ok(()),
            GateLevel::Published => self.publish_log_beyond(index, false),
            GateLevel::Witnessed => self.publish_log_beyond(index, true),
        }
    }
}

/// Why a logged use opened nothing: the resident withdrew, or the mandate ended or was suspended between the two.
pub(crate) fn unopened(error: VaultError, index: u64) -> Error {
    match error {
        VaultError::NoKey { .. } | VaultError::NoLoan | VaultError::Stale | VaultError::Withheld => Error::Unopened { index },
        other => other.into(),
    }
}

/// What one resident's part of a request writes, in a form that can run again.
pub(crate) struct PlaceCase {
    version: u64,
    current: Arc<AtomicU64>,
    count: Option<Count>,
    keyring: Arc<Keyring>,
    event: Event,
    /// What the event is about, where it closes that.
    matter: Option<OpenedMatter>,
    counted: Counted,
    /// Who decides for which reason, where an official does.
    decider: Option<Decider>,
    /// By what it is asked.
    token: Option<HeldToken>,
    rng: Arc<dyn Rng>,
}

impl PlaceCase {
    /// `event` gets its place in the resident's own chain, or in that of the week on which the mandate lets her see it.
    pub fn new(
        app: &App,
        version: u64,
        case: &Case,
        mandate: &Entry<Mandate>,
        mut event: Event,
        now: Time,
    ) -> Result<Self, Error> {
        event.n = first_number(mandate, now)?;
        let count = case.found.grant.as_ref().filter(|_| case.clauses.is_empty()).map(|stored| Count {
            resident: case.found.resident,
            mandate: mandate.number,
            revision: stored.revision,
            cap: mandate.body.rate_cap.uses,
            period: mandate.body.rate_period(),
            once: !matches!(mandate.body.fetch, Fetch::Periodic),
            now,
            day: day(now),
            authorization: case.found.authorization.clone(),
        });
        let audit_key = mandate.body.audit_key.as_deref().and_then(public_key).and_then(PublicKey::new);
        Ok(Self {
            version,
            current: Arc::clone(&app.register_version),
            count,
            keyring: Arc::clone(&case.found.keyring),
            event,
            matter: None,
            counted: Counted { mandate: mandate.number, reported: None, is_first: false, audit_key },
            decider: None,
            token: None,
            rng: Arc::clone(&app.rng),
        })
    }

    /// Closes what it is about to the resident, for as long as this mandate says: the matter concerns somebody else.
    pub fn closed_to_her(mut self, mandate: Option<&Entry<Mandate>>) -> Self {
        if let Some(mandate) = mandate {
            let shown_from = mandate.body.matter_shown_from(self.event.at);
            let (event, matter) = self.event.close(shown_from, random(self.rng.as_ref()));
            (self.event, self.matter) = (event, Some(matter));
        }
        self
    }

    /// Counts it as a decision of an official, whom the brake may stop.
    pub fn braked(mut self, decider: Option<Decider>) -> Self {
        self.decider = decider;
        self
    }

    /// Looks at the token again, by which it is asked.
    pub(crate) fn held(mut self, token: Option<&HeldToken>) -> Self {
        self.token = token.cloned();
        self
    }

    /// Checks that the decision still holds, counts the use and gives the event its place.
    pub fn run(&self, tx: &mut Tx<'_>) -> Result<Placed, Error> {
        self.place(tx, self.counted.clone())
    }

    /// The same, for what another source reports under a number of its own.
    pub fn run_reported(&self, tx: &mut Tx<'_>, mark: SourceMark) -> Result<Placed, Error> {
        self.place(tx, Counted { reported: Some(mark), ..self.counted.clone() })
    }

    fn place(&self, tx: &mut Tx<'_>, mut counted: Counted) -> Result<Placed, Error> {
        if self.current.load(Ordering::SeqCst) != self.version {
            return Err(Error::Stale);
        }
        if let Some(token) = &self.token {
            token.permit(tx, self.event.at)?;
        }
        let mut event = self.event.clone();
        let is_reported = counted.reported.is_some();
        if let Some(decider) = self.decider.as_ref().filter(|_| event.kind != Kind::Refusal) {
            let (head, connection) = tx.group_and_connection::<Head>()?;
            if head.books.brake(connection, decider, day(event.at))?.is_err() {
                event.clause.get_or_insert_with(|| Clause::Brake.code().to_owned());
                if !is_reported {
                    (event.kind, event.until) = (Kind::Refusal, None);
                }
            }
        }
        if let Some(count) = self.count.as_ref().filter(|_| event.kind != Kind::Refusal) {
            let times = grants::count(tx, count)?.ok_or(Error::Stale)?;
            counted.is_first = times == 1;
        }
        place_counted(tx, &self.keyring, event, Some(&counted), self.matter.as_ref(), self.rng.as_ref())
    }
}

/// A number of the chain in which a line under a mandate stands: her own, or that of a week.
pub(crate) fn first_number(mandate: &Entry<Mandate>, at: Time) -> Result<u64, Error> {
    let week = mandate
        .body
        .opens(at)
        .map_err(|TooLate| Error::refused("Lines cannot be delayed any more.", "Use a mandate whose lines are shown at once."))?;
    Ok(week.map_or(0, Week::first_number))
}

/// The day of the calendar, counted from 1970.
pub(crate) fn day(at: Time) -> i64 {
    Day::of(at).map(Day::number).unwrap_or_default()
}

/// The mandate of a request and the pseudonym sector of its service.
pub(crate) fn find<'a>(register: &'a Register, request: &Request) -> Result<(&'a Entry<Mandate>, u64), Error> {
    let mandate = register.mandates.get(&request.mandate).ok_or_else(|| Error::Unpermitted(vec![Clause::Mandate]))?;
    let service = register.services.get(&request.service).ok_or_else(|| Error::Unpermitted(vec![Clause::Service]))?;
    Ok((mandate, register.sector(service)))
}

fn asked(request: &ReleaseRequest, subjects: i64) -> Request {
    Request {
        service: request.service.clone(),
        mandate: request.mandate.clone(),
        blocks: request.blocks.clone(),
        reason: request.reason.clone(),
        subjects,
        sign_in: request.sign_in,
        third_party: request.third_party,
        since: request.since,
        written_reason: request.written_reason.as_deref().is_some_and(|reason| !reason.trim().is_empty()),
    }
}

/// The event of one resident's part of a request.
pub(crate) fn event(
    request: &Request,
    mandate: &Entry<Mandate>,
    case: &Case,
    actor: Option<[u8; 32]>,
    batch: Option<Batch>,
    now: Time,
) -> Event {
    let refused = case.clauses.first();
    Event {
        kind: if refused.is_some() { Kind::Refusal } else { Kind::Use },
        n: 0,
        prev: None,
        at: now,
        anchor: None,
        mandate: Some(mandate.hash),
        service: Some(request.service.clone()),
        // A refusal names no blocks that are not in the mandate: probing must not write arbitrary names into a footprint.
        blocks: request.blocks.iter().filter(|(block, _)| mandate.body.asked(block).is_some()).cloned().collect(),
        reason: mandate.body.reason(&request.reason).map(|_| request.reason.clone()).unwrap_or_default(),
        actor,
        batch,
        clause: refused.map(|clause| clause.code().to_owned()),
        detail: refused.and_then(|clause| case.own_will(*clause)).map(str::to_owned),
        until: refused.is_none().then(|| mandate.body.keep_until(now)),
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}

/// What a predicate says of a block: `true` when she has it and it is not itself a no. The value stays inside.
pub(crate) fn predicate(value: &str) -> &'static str {
    if matches!(value.trim(), "" | "false" | "no") { "false" } else { "true" }
}

/// A token that stands for a block of a resident at one service under one mandate. It carries nothing of the value.
fn token(mandate: &Digest, block: &BlockId, subject: &str) -> String {
    use base64::Engine;
    let mac = hmac_sha256(&mandate.0, &[b"usufruct/token/v1", block.as_str().as_bytes(), &[0], subject.as_bytes()]);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&mac[..16])
}
