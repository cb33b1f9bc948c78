//! Footprint: everything that happened to a resident's data, for her and nobody else.

use usufruct_core::Time;
use usufruct_core::delay::Week;
use usufruct_core::event::Event;
use usufruct_log::TlogProof;
use usufruct_store::lines;
use usufruct_vault::Keyring;
use zeroize::Zeroizing;

use crate::officer::NamedOfficer;
use crate::{App, Error};

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
    /// The deterministic CBOR of the event, as stored.
    pub encoded: Vec<u8>,
    pub opening: [u8; 32],
    /// Whom an order of the oversight body has named.
    pub officer: Option<NamedOfficer>,
}

impl App {
    /// Reads and opens a resident's lines.
    pub fn footprint(&self, resident: u64) -> Result<Footprint, Error> {
        let published_size = self.published_size();
        let (keyring, now) = (self.keyring(resident)?, self.now());
        let mut lines: Vec<FootprintLine> = self
            .stored_lines(resident, now)?
            .into_iter()
            .map(|line| {
                let (n, index) = (line.n, line.index);
                let damaged = || FootprintLine { n, index, event: None, encoded: Vec::new(), opening: [0; 32], officer: None };
                let Ok(body) = keyring.open_line(line.n, &line.sealed) else { return damaged() };
                let Some((opening, encoded)) = body.split_first_chunk::<32>() else { return damaged() };
                let event = Event::decode(encoded).ok();
                FootprintLine { n, index, event, encoded: encoded.to_vec(), opening: *opening, officer: None }
            })
            .collect();
        self.name_officers(&mut lines)?;
        let delay = opened_weeks(&keyring, now);
        Ok(Footprint { lines, tag_key: Zeroizing::new(*keyring.tag_key()), delay, published_size })
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

/// The first number of a line that its resident does not see at `now`.
pub(crate) fn hidden_from(now: Time) -> u64 {
    Week::of(now).next().first_number()
}

pub(crate) fn opened_weeks(keyring: &Keyring, now: Time) -> OpenedWeeks {
    let week = Week::of(now);
    OpenedWeeks { week, seed: keyring.delay_seed(week) }
}
