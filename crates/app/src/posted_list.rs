//! Posted lists: a resident who cannot or does not want to look gets the list of her lines by post, once or every month. She orders it herself,
//! or two clerks do for her; a print house that alone can open it prints it, and the office that keeps her address posts it by her file number.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::statement::Approval;
use usufruct_core::time::Month;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::posted_lists::{self, PostedList};
use usufruct_store::{counter_requests, residents};
use usufruct_vault::hpke::{self, PrivateKey, PublicKey};
use usufruct_vault::{Error as VaultError, Vault};
use zeroize::Zeroizing;

use crate::actor::keyring_in;
use crate::counter::{lapsed, note_clerk};
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{find_counter_request, of_posted_list};
use crate::{Actor, App, Approved, Error};

/// How often a resident wants her list by post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    Monthly,
    Never,
    Once,
}

/// An order of a resident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostOrder {
    pub posting: Posting,
    /// Language of the list: `en` or `zh-Hant`.
    pub language: String,
    pub due_at: Time,
}

/// A list that has to be printed, for whom by file number and in which language.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DueList {
    pub resident: u64,
    pub language: String,
    pub due_at: Time,
}

/// Word of these requests among those at a counter.
const WAY: &str = "list";
/// Reasons of the status lines in a footprint.
const ORDERED: &str = "list-ordered";
const ENDED: &str = "list-ended";
const POSTED: &str = "list-posted";
const COUNTER: &str = "counter-list";
/// What a list is sealed for.
const INFO: &[u8] = b"usufruct/posted-list/v1";
/// Orders listed at a time.
const PART: usize = 100;
/// Languages of lists.
const LANGUAGES: [&str; 2] = ["en", "zh-Hant"];

impl Posting {
    /// Each with its word.
    pub const WORDS: [(&'static str, Self); 3] = [("monthly", Self::Monthly), ("never", Self::Never), ("once", Self::Once)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("", |(word, _)| word)
    }

    /// The one with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == code).map(|(_, known)| *known)
    }
}

impl App {
    /// What a resident has ordered; `None` where she gets no list by post.
    pub fn post_order(&self, resident: u64) -> Result<Option<PostOrder>, Error> {
        let Some(stored) = self.db.read(|conn| posted_lists::find(conn, resident))? else { return Ok(None) };
        require_true(&self.vault, &stored)?;
        let posting = Posting::from_code(&stored.every).ok_or_else(|| Error::Corrupt { what: "an order of a list".into() })?;
        Ok(Some(PostOrder { posting, language: stored.language, due_at: stored.due_at }))
    }

    /// The resident orders her list by post, or no more of them.
    pub fn order_list(&self, actor: impl Into<Actor>, posting: Posting, language: &str) -> Result<(), Error> {
        self.order(actor.into(), posting, language, None)
    }

    /// Begins a request to order a list for a resident who is at the counter. It does nothing until two clerks approve it. Answers its id.
    pub fn begin_counter_list(&self, resident: u64, posting: Posting, language: &str) -> Result<String, Error> {
        require_language(language)?;
        self.begin_request(resident, way(posting, language))
    }

    /// A clerk approves exactly this order; with the second one it stands.
    pub fn approve_counter_list(
        &self,
        id: &str,
        posting: Posting,
        language: &str,
        approval: &Approval,
    ) -> Result<Approved, Error> {
        let (now, id) = (self.now(), id.to_owned());
        let request = self.db.read(|conn| find_counter_request(conn, &self.vault, &id, now))?.ok_or_else(lapsed)?;
        if request.way != way(posting, language) {
            return Err(lapsed());
        }
        let message = counter_list_message(&self.config.origin, &id, request.resident, posting, language);
        let clerk = self.clerk(&self.register(), approval, &message)?;
        let (desk, noted) = (self.desk(), id.clone());
        let approved = self.db.transaction("approve counter list", move |tx| note_clerk(tx, &desk, &noted, &clerk, now))?;
        let approved = approved.map_or_else(|| Err(self.braked()?), Ok)?;
        if approved == Approved::Twice {
            self.order(request.resident.into(), posting, language, Some(id))?;
        }
        Ok(approved)
    }

    fn order(&self, actor: Actor, posting: Posting, language: &str, approved: Option<String>) -> Result<(), Error> {
        require_language(language)?;
        let (now, resident) = (self.now(), actor.resident);
        let keyring = Arc::new(self.keyring(resident)?);
        let order = self.marked_list(resident, posting, language, now)?;
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        self.db.transaction("order list", move |tx| {
            actor.permit(tx, &vault, now)?;
            if let Some(id) = &approved {
                if !counter_requests::redeem(tx, id, now)? {
                    return Err(lapsed());
                }
                place(tx, &keyring, plain_event(Kind::Status, COUNTER, None, now), rng.as_ref())?;
            }
            let reason = if posting == Posting::Never { ENDED } else { ORDERED };
            if posting == Posting::Never {
                if !posted_lists::end(tx, resident)? {
                    return Ok(());
                }
            } else {
                posted_lists::put(tx, &order)?;
            }
            place(tx, &keyring, plain_event(Kind::Status, reason, None, now), rng.as_ref()).map(drop)
        })
    }

    /// Lists that are due, in the order of the file numbers, after that of `after`. Orders that were changed behind the back of the house are none.
    pub fn due_lists(&self, after: Option<u64>) -> Result<Vec<DueList>, Error> {
        let (now, mut after) = (self.now(), after);
        loop {
            let part = self.db.read(|conn| posted_lists::due(conn, now, after, PART))?;
            let Some(last) = part.last() else { return Ok(Vec::new()) };
            after = Some(last.resident);
            let is_true = |order: &PostedList| require_true(&self.vault, order).is_ok();
            let due = part.into_iter().filter(is_true);
            let due: Vec<DueList> =
                due.map(|PostedList { resident, language, due_at, .. }| DueList { resident, language, due_at }).collect();
            if !due.is_empty() {
                return Ok(due);
            }
        }
    }

    /// Seals a printed list so that only the print house opens it.
    pub fn seal_list(&self, due: &DueList, to: &PublicKey, printed: &[u8]) -> Vec<u8> {
        hpke::seal(to, INFO, &bound(due.resident, due.due_at), printed, self.rng())
    }

    /// Notes that a list is with the print house: she sees so, and the next one is due with the month after, if she wants more. A list that was
    /// noted before is noted no second time.
    pub fn list_posted(&self, due: &DueList) -> Result<(), Error> {
        let (now, due) = (self.now(), due.clone());
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        let next = self.marked_list(due.resident, Posting::Monthly, &due.language, Month::of(now).next().begins())?;
        self.db.transaction("note posted list", move |tx| {
            let stored = posted_lists::find(tx, due.resident)?.filter(|stored| stored.due_at == due.due_at);
            let Some(stored) = stored else { return Ok(()) };
            require_true(&vault, &stored)?;
            if stored.every == Posting::Monthly.code() {
                posted_lists::put(tx, &next)?;
            } else {
                posted_lists::end(tx, due.resident)?;
            }
            note(tx, &vault, due.resident, now, rng.as_ref())
        })
    }

    fn marked_list(&self, resident: u64, posting: Posting, language: &str, due_at: Time) -> Result<PostedList, Error> {
        let (every, language) = (posting.code().to_owned(), language.to_owned());
        let mut order = PostedList { resident, every, language, due_at, mark: Digest([0; 32]) };
        order.mark = of_posted_list(&self.vault, &order)?;
        Ok(order)
    }
}

/// Opens a list, as the print house does.
pub fn open_list(key: &PrivateKey, resident: u64, due_at: Time, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    Ok(hpke::open(key, INFO, &bound(resident, due_at), sealed)?)
}

/// What a clerk signs. It is made from what the clerk knows, so that nobody gets a signature for something else.
pub fn counter_list_message(origin: &str, id: &str, resident: u64, posting: Posting, language: &str) -> Digest {
    sha256(format!("usufruct/counter-list/v1\n{origin}\n{id}\n{resident}\n{}\n", way(posting, language)).as_bytes())
}

/// What lies beside the seal, so that a letter for the one is none for the other.
fn bound(resident: u64, due_at: Time) -> Vec<u8> {
    [resident.to_be_bytes(), due_at.micros().to_be_bytes()].concat()
}

fn way(posting: Posting, language: &str) -> String {
    format!("{WAY} {} {language}", posting.code())
}

fn require_language(language: &str) -> Result<(), Error> {
    if LANGUAGES.contains(&language) { Ok(()) } else { Err(Error::Unknown { what: "language of lists" }) }
}

fn require_true(vault: &Vault, stored: &PostedList) -> Result<(), Error> {
    if equal(&stored.mark.0, &of_posted_list(vault, stored)?.0) { Ok(()) } else { Err(Error::Altered) }
}

/// The line that says that a list is on its way, unless she is gone.
fn note(tx: &mut Tx<'_>, vault: &Vault, resident: u64, now: Time, rng: &dyn usufruct_core::ports::Rng) -> Result<(), Error> {
    if residents::state(tx, resident)?.is_none() {
        return Ok(());
    }
    match keyring_in(tx, vault, resident) {
        Ok(keyring) => place(tx, &keyring, plain_event(Kind::Status, POSTED, None, now), rng).map(drop),
        Err(Error::Vault(VaultError::NoKey { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}
