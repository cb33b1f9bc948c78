//! Footprint: everything that happened to a resident's data, for her and nobody else.

use usufruct_core::Time;
use usufruct_core::delay::Week;
use usufruct_core::event::Event;
use usufruct_core::matter::OpenedMatter;
use usufruct_log::TlogProof;
use usufruct_store::lines;
use usufruct_vault::Keyring;
use zeroize::Zeroizing;

use crate::actor::keyring_in;
use crate::officer::NamedOfficer;
use crate::{Actor, App, Error, OpenSession};

/// Most lines read at once.
const PAGE: usize = 5_000;

/// A resident's footprint, oldest line first: those of her own chain, and delayed ones whose day has come.
pub struct Footprint {
    pub lines: Vec<FootprintLine>,
    /// The key by which her browser recomputes the marks of her events in the log.
    pub tag_key: Zeroizing<[u8; 32]>,
    /// The seed of the week that runs, by which it recomputes those of the lines that have opened, and their keys.
    pub delay: OpenedWeeks,
    /// How many leaves the public checkpoint covered before the lines were read: nothing below may be missing here.
    pub published_size: u64,
}

/// What opens the delayed lines of all weeks that have begun, and of no other.
#[derive(Clone)]
pub struct OpenedWeeks {
    /// The last of them.
    pub week: Week,
    /// `None` after the last week there is.
    pub seed: Option<Zeroizing<[u8; 32]>>,
}

/// One line. `event` is `None` when the stored line no longer opens: somebody changed it.
pub struct FootprintLine {
    /// In her own chain, or in that of a week.
    pub n: u64,
    /// Leaf number.
    pub index: u64,
    pub event: Option<Event>,
    /// What is known of the matter, where it concerns somebody else. Once it is open its reason stands in the event too.
    pub matter: Option<LineMatter>,
    /// The deterministic CBOR of the event, as stored.
    pub encoded: Vec<u8>,
    pub opening: [u8; 32],
    /// Whom an order of the oversight body has named.
    pub officer: Option<NamedOfficer>,
}

/// What the resident may know of the matter of a line that concerns somebody else.
#[derive(Clone, PartialEq, Eq)]
pub enum LineMatter {
    /// It is shown from then on, and she is handed nothing of it before.
    Closed { shown_from: Time },
    /// It should be shown and cannot: what is stored is not what the event binds.
    Lost,
    /// Its day has come.
    Shown(OpenedMatter),
}

impl App {
    /// Reads and opens a resident's lines, as they may be shown to her now: a matter that concerns somebody else opens by the clock alone.
    pub fn footprint(&self, resident: u64) -> Result<Footprint, Error> {
        self.footprint_with(resident, self.published_size(), &self.keyring(resident)?)
    }

    /// A resident's lines and the key to search the log for more, for the page on which her browser does so: within five minutes of the
    /// sign-in, by whatever means, since some have nothing but a card.
    pub fn footprint_to_check(&self, session: &OpenSession) -> Result<Footprint, Error> {
        self.footprint_of(&session.recent(self.now())?)
    }

    /// The same as a file, for a resident who has shown a passkey within five minutes.
    pub fn exported_footprint(&self, session: &OpenSession) -> Result<Footprint, Error> {
        self.footprint_of(&session.proven(self.now())?)
    }

    fn footprint_of(&self, actor: &Actor) -> Result<Footprint, Error> {
        let (now, published_size) = (self.now(), self.published_size());
        let keyring = self.db.read(|conn| {
            actor.permit(conn, &self.vault, now)?;
            keyring_in(conn, &self.vault, actor.resident)
        })?;
        self.footprint_with(actor.resident, published_size, &keyring)
    }

    fn footprint_with(&self, resident: u64, published_size: u64, keyring: &Keyring) -> Result<Footprint, Error> {
        let now = self.now();
        let stored = self.stored_lines(resident, now)?;
        let mut lines: Vec<FootprintLine> = stored.iter().map(|line| opened(keyring, line, now)).collect();
        self.name_officers(&mut lines)?;
        let delay = opened_weeks(keyring, now);
        Ok(Footprint { lines, tag_key: Zeroizing::new(*keyring.tag_key()), delay, published_size })
    }

    /// All that happened to a resident's data, with every matter open. For what the house owes her and does not show: to nobody else.
    pub(crate) fn whole_events(&self, resident: u64) -> Result<Vec<Option<Event>>, Error> {
        let keyring = self.keyring(resident)?;
        let whole = |line: &lines::Line| {
            let event = opened(&keyring, line, Time::default()).event?;
            let matter = line.matter.as_deref().and_then(|sealed| open_matter(&keyring, line.n, sealed));
            Some(matter.and_then(|matter| event.with_matter(&matter)).unwrap_or(event))
        };
        Ok(self.stored_lines(resident, self.now())?.iter().map(whole).collect())
    }

    /// All lines of a resident as they are stored, each with its matter only where that may be shown to her now.
    pub(crate) fn lines_for_her(&self, resident: u64) -> Result<Vec<lines::Line>, Error> {
        let now = self.now();
        let mut stored = self.stored_lines(resident, now)?;
        if stored.iter().all(|line| line.matter.is_none()) {
            return Ok(stored);
        }
        let keyring = self.keyring(resident)?;
        for line in stored.iter_mut().filter(|line| line.matter.is_some()) {
            if !matches!(opened(&keyring, line, now).matter, Some(LineMatter::Shown(_))) {
                line.matter = None;
            }
        }
        Ok(stored)
    }

    /// The lines of a resident that she may see at `now`, as they are stored, in the order of the log. A delayed line is among them from its day
    /// on by nothing but the clock.
    pub(crate) fn stored_lines(&self, resident: u64, now: Time) -> Result<Vec<lines::Line>, Error> {
        let mut stored = Vec::new();
        loop {
            let from = stored.last().map_or(0, |line: &lines::Line| line.n + 1);
            let page = self.db.read(|conn| lines::of_resident(conn, resident, from..hidden_from(now), PAGE))?;
            let is_last = page.len() < PAGE;
            stored.extend(page);
            if is_last {
                stored.sort_by_key(|line| line.index);
                return Ok(stored);
            }
        }
    }

    /// The proof of line `n` with its opening, `T || r || event`, as `extra`; `None` until a public checkpoint covers it.
    pub fn footprint_proof(&self, resident: u64, n: u64) -> Result<Option<TlogProof>, Error> {
        let (keyring, hidden) = (self.keyring(resident)?, hidden_from(self.now()));
        let line = self.db.read(|conn| lines::of_resident(conn, resident, n..hidden.min(n.saturating_add(1)), 1))?.pop();
        let line = line.ok_or(Error::Unknown { what: "line" })?;
        let opening = keyring.open_line(n, &line.sealed)?;
        self.log_proof(line.index, Some([&keyring.tag(n)[..], &opening].concat()))
    }
}

/// A stored line as it may be shown to the resident at `now`.
fn opened(keyring: &Keyring, line: &lines::Line, now: Time) -> FootprintLine {
    let mut shown = FootprintLine {
        n: line.n,
        index: line.index,
        event: None,
        matter: None,
        encoded: Vec::new(),
        opening: [0; 32],
        officer: None,
    };
    let Ok(body) = keyring.open_line(line.n, &line.sealed) else { return shown };
    let Some((opening, encoded)) = body.split_first_chunk::<32>() else { return shown };
    (shown.opening, shown.encoded) = (*opening, encoded.to_vec());
    shown.event = Event::decode(encoded).ok();
    if let Some((event, closed)) = shown.event.as_ref().and_then(|event| Some((event, event.closed?))) {
        let sealed = line.matter.as_deref().filter(|_| closed.shown_from <= now);
        let matter = sealed.and_then(|sealed| open_matter(keyring, line.n, sealed));
        let whole = matter.as_ref().and_then(|matter| event.with_matter(matter));
        shown.matter = Some(match matter.filter(|_| whole.is_some()) {
            Some(matter) => LineMatter::Shown(matter),
            None if now < closed.shown_from => LineMatter::Closed { shown_from: closed.shown_from },
            None => LineMatter::Lost,
        });
        shown.event = whole.or(shown.event);
    }
    shown
}

fn open_matter(keyring: &Keyring, n: u64, sealed: &[u8]) -> Option<OpenedMatter> {
    OpenedMatter::decode(&keyring.open_matter(n, sealed).ok()?).ok()
}

/// The first number of a line that its resident does not see at `now`.
pub(crate) fn hidden_from(now: Time) -> u64 {
    Week::of(now).next().first_number()
}

pub(crate) fn opened_weeks(keyring: &Keyring, now: Time) -> OpenedWeeks {
    let week = Week::of(now);
    OpenedWeeks { week, seed: keyring.delay_seed(week) }
}
