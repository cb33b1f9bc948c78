//! Footprint: everything that happened to a resident's data, for her and nobody else.

use usufruct_core::event::Event;
use usufruct_log::TlogProof;
use usufruct_store::lines;
use usufruct_vault::Keyring;
use zeroize::Zeroizing;

use crate::actor::keyring_in;
use crate::officer::NamedOfficer;
use crate::{Actor, App, Error, OpenSession};

/// Most lines read at once.
const PAGE: usize = 5_000;

/// A resident's footprint, oldest line first.
pub struct Footprint {
    pub lines: Vec<FootprintLine>,
    /// The key by which her browser recomputes the marks of her events in the log.
    pub tag_key: Zeroizing<[u8; 32]>,
    /// How many leaves the public checkpoint covered before the lines were read: nothing below may be missing here.
    pub published_size: u64,
}

/// One line. `event` is `None` when the stored line no longer opens: somebody changed it.
pub struct FootprintLine {
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
        self.opened(resident, self.published_size(), &self.keyring(resident)?)
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
        self.opened(actor.resident, published_size, &keyring)
    }

    fn opened(&self, resident: u64, published_size: u64, keyring: &Keyring) -> Result<Footprint, Error> {
        let mut lines: Vec<FootprintLine> = self
            .stored_lines(resident)?
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
        Ok(Footprint { lines, tag_key: Zeroizing::new(*keyring.tag_key()), published_size })
    }

    /// All lines of a resident as they are stored, oldest first.
    pub(crate) fn stored_lines(&self, resident: u64) -> Result<Vec<lines::Line>, Error> {
        let mut stored = Vec::new();
        loop {
            let from = stored.last().map_or(0, |line: &lines::Line| line.n + 1);
            let page = self.db.read(|conn| lines::of_resident(conn, resident, from, PAGE))?;
            let is_last = page.len() < PAGE;
            stored.extend(page);
            if is_last {
                return Ok(stored);
            }
        }
    }

    /// The proof of line `n` with its opening, `T || r || event`, as `extra`; `None` until a public checkpoint covers it.
    pub fn footprint_proof(&self, resident: u64, n: u64) -> Result<Option<TlogProof>, Error> {
        let keyring = self.keyring(resident)?;
        let line = self.db.read(|conn| lines::of_resident(conn, resident, n, 1))?.into_iter().find(|line| line.n == n);
        let line = line.ok_or(Error::Unknown { what: "line" })?;
        let opening = keyring.open_line(n, &line.sealed)?;
        self.log_proof(line.index, Some([&keyring.tag(n)[..], &opening].concat()))
    }
}
