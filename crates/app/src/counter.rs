//! At the counter: a resident who has a pass in use gets a new way in only when two clerks agree.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::agency::SigningKey;
use usufruct_core::brake::Stratum;
use usufruct_core::hash::sha256;
use usufruct_core::id::AgencyId;
use usufruct_core::ports::random;
use usufruct_core::register::Register;
use usufruct_core::statement::Approval;
use usufruct_core::time::HOUR;
use usufruct_core::{Digest, Time};
use usufruct_store::counter_requests::{self, CounterRequest};
use usufruct_store::db::{Connection, Tx};
use usufruct_store::{cards, certificate_cards, passkeys, recovery_codes, residents};
use usufruct_vault::Vault;

use crate::app::AUTOMATION;
use crate::brakes::{Decider, masked};
use crate::ledger::Head;
use crate::release::day;
use crate::row_mark::{find_counter_request, of_counter_request};
use crate::{App, Error};

/// How long both clerks have.
pub(crate) const REQUEST_LIFE: i64 = HOUR;
/// Reason of the status line in a footprint.
pub(crate) const COUNTER_RECOVERY: &str = "counter-recovery";

/// What a resident gets at a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A code to make a passkey with.
    Passkey,
    /// A printed card.
    Card,
}

impl Way {
    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Card => "card",
        }
    }

    /// The way with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Passkey, Self::Card].into_iter().find(|way| way.code() == code)
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approved {
    /// Another clerk has to approve.
    Once,
    /// What was asked for can be handed out.
    Twice,
}

impl App {
    /// Begins a request of a resident. It does nothing until two clerks approve it. Answers its id.
    pub fn begin_counter_request(&self, resident: u64, way: Way) -> Result<String, Error> {
        self.begin_request(resident, way.code().to_owned())
    }

    /// Begins a request about somebody who has a pass; `way` says for what.
    pub(crate) fn begin_request(&self, resident: u64, way: String) -> Result<String, Error> {
        let id = URL_SAFE_NO_PAD.encode(random::<16>(self.rng()));
        let request = CounterRequest {
            id: id.clone(),
            resident,
            way,
            guardian: None,
            expires_at: self.now().plus(REQUEST_LIFE),
            clerks: Vec::new(),
            mark: None,
        };
        let request = self.marked(request)?;
        self.db.transaction("begin counter request", move |tx| {
            residents::state(tx, resident)?
                .filter(|state| *state != residents::ResidentState::Erased)
                .ok_or(Error::Unknown { what: "resident" })?;
            Ok::<_, Error>(counter_requests::insert(tx, &request)?)
        })?;
        Ok(id)
    }

    /// A request with the mark of the house.
    pub(crate) fn marked(&self, request: CounterRequest) -> Result<CounterRequest, Error> {
        let mark = Some(of_counter_request(&self.vault, &request)?);
        Ok(CounterRequest { mark, ..request })
    }

    /// A clerk approves a request by a key of the operator that stands in the register and is a person's. The same person
    /// counts once, whichever of her keys it is and whatever that is called.
    pub fn approve_counter_request(&self, id: &str, approval: &Approval) -> Result<Approved, Error> {
        let (now, id) = (self.now(), id.to_owned());
        let request = self.db.read(|conn| find_counter_request(conn, &self.vault, &id, now))?.ok_or_else(lapsed)?;
        let way = Way::from_code(&request.way).ok_or_else(lapsed)?;
        let message = counter_message(&self.config.origin, &id, request.resident, way);
        let clerk = self.clerk(&self.register(), approval, &message)?;
        let desk = self.desk();
        let approved = self.db.transaction("approve counter request", move |tx| note_clerk(tx, &desk, &id, &clerk, now))?;
        approved.map_or_else(|| Err(self.braked()?), Ok)
    }

    /// The clerk who approved: her public key, or the holder of all her keys.
    pub(crate) fn clerk(&self, register: &Register, approval: &Approval, message: &Digest) -> Result<String, Error> {
        let is_ours = approval.agency == self.config.operator;
        let key = persons(register, &self.config.operator).find(|key| is_ours && key.id == approval.key);
        let key = key.filter(|key| approval.verifies(message, key)).ok_or_else(|| {
            Error::refused(
                "The request is not signed by a clerk of the operator.",
                "Sign with the key of a person that stands in the operator's entry of the register.",
            )
        })?;
        if register.refuses_key(&self.config.operator, key, self.now()).is_some() {
            return Err(needs_passkey());
        }
        Ok(key.person().to_owned())
    }
}

/// A person's key file approves nothing for a body of which the city demands passkeys.
pub(crate) fn needs_passkey() -> Error {
    Error::refused("The city takes passkeys alone of people of this body.", "Approve with your passkey.")
}

/// For whom the clerks at a counter act, and how they are masked.
pub(crate) struct Desk {
    operator: AgencyId,
    pub(crate) vault: Arc<Vault>,
    register: Arc<Register>,
}

impl Desk {
    /// Whether this is a person of the operator now.
    fn has(&self, clerk: &str) -> bool {
        persons(&self.register, &self.operator).any(|key| key.person() == clerk)
    }
}

/// The keys of a body that are a person's.
fn persons<'a>(register: &'a Register, body: &AgencyId) -> impl Iterator<Item = &'a SigningKey> {
    let keys = register.agencies.get(body).map(|entry| entry.body.signing_keys.as_slice()).unwrap_or_default();
    keys.iter().filter(|key| key.role != AUTOMATION && key.id != AUTOMATION)
}

impl App {
    pub(crate) fn desk(&self) -> Desk {
        Desk { operator: self.config.operator.clone(), vault: Arc::clone(&self.vault), register: self.register() }
    }

    /// What clerks are told whom the brake has stopped, which the register says by then.
    pub(crate) fn braked(&self) -> Result<Error, Error> {
        self.say_stoppages()?;
        Ok(Error::refused(
            "These two clerks approve far more often than ever before, so the brake has stopped them.",
            "Ask the oversight body to look at it; only an order of that body releases the brake.",
        ))
    }
}

/// Notes that a clerk approved a request. The same one counts once. `None` when the brake has stopped the two, which stays noted.
pub(crate) fn note_clerk(tx: &mut Tx<'_>, desk: &Desk, id: &str, clerk: &str, now: Time) -> Result<Option<Approved>, Error> {
    let mut request = find_counter_request(tx, &desk.vault, id, now)?.ok_or_else(lapsed)?;
    // Whoever has got another key since, or left, approves nothing by the one of before.
    request.clerks.retain(|known| desk.has(known));
    if request.clerks.iter().any(|known| known == clerk) || request.clerks.len() >= 2 {
        return Err(Error::refused(
            "This clerk has approved the request already.",
            "Let another clerk look at the person and approve with a key of their own.",
        ));
    }
    if let Some(first) = request.clerks.first() {
        // What one request is about would make each a kind of its own.
        let what = request.way.split(' ').next().unwrap_or_default();
        let pair = [masked(&desk.vault, first.as_bytes())?, masked(&desk.vault, clerk.as_bytes())?];
        let stratum = Stratum::new(desk.operator.clone(), &format!("counter {what}"), pair);
        let (head, connection) = tx.group_and_connection::<Head>()?;
        let decider = Decider::new(&desk.register, stratum, now);
        if head.books.brake(connection, &decider, day(now))?.is_err() {
            return Ok(None);
        }
    }
    request.clerks.push(clerk.to_owned());
    request.mark = Some(of_counter_request(&desk.vault, &request)?);
    counter_requests::set_clerks(tx, &request)?;
    Ok(Some(if request.clerks.len() == 2 { Approved::Twice } else { Approved::Once }))
}

/// What a clerk signs. It is made from what the clerk knows, so that nobody gets a signature for something else.
pub fn counter_message(origin: &str, id: &str, resident: u64, way: Way) -> Digest {
    sha256(format!("usufruct/counter/v1\n{origin}\n{id}\n{resident}\n{}\n", way.code()).as_bytes())
}

/// Whether a resident may be given a way in now: the first one by any clerk (false), a further one for an approved request, which
/// is used up (true). Nothing else.
pub(crate) fn permit(
    tx: &mut Tx<'_>,
    desk: &Desk,
    resident: u64,
    way: Way,
    request: Option<&str>,
    now: Time,
) -> Result<bool, Error> {
    let Some(id) = request else {
        return if has_way_in(tx, resident)? { Err(one_clerk()) } else { Ok(false) };
    };
    let request = find_counter_request(tx, &desk.vault, id, now)?.ok_or_else(lapsed)?;
    let stand = request.clerks.iter().filter(|clerk| desk.has(clerk)).count();
    let is_approved = stand == 2 && request.resident == resident && request.way == way.code();
    if is_approved && counter_requests::redeem(tx, id, now)? { Ok(true) } else { Err(one_clerk()) }
}

/// Whether the pass of a resident can be opened by anything that she holds.
pub(crate) fn has_way_in(conn: &mut dyn Connection, resident: u64) -> Result<bool, Error> {
    Ok(!passkeys::of_resident(conn, resident)?.is_empty()
        || !cards::of_resident(conn, resident)?.is_empty()
        || !certificate_cards::of_resident(conn, resident)?.is_empty()
        || recovery_codes::count(conn, resident)? > 0)
}

fn one_clerk() -> Error {
    Error::refused(
        "This resident has a pass in use, so one clerk alone cannot give another way in.",
        "Begin a request with `usufruct recover` and let two clerks approve it.",
    )
}

pub(crate) fn lapsed() -> Error {
    Error::refused("There is no such request at the counter, or its time is over.", "Begin a new one.")
}
