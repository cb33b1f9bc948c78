//! The proof, inside one process, that an event is in the log. The vault opens nothing without one.
//!
//! A [`Recorder`] and a [`Gate`] are made together and share a random secret. The recorder goes to the one place that
//! commits events; the gate goes to the vault. Nobody else can make a [`Logged`] that the gate admits.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::event::{Event, commitment, leaf};
use crate::hash::{equal, hmac_sha256};
use crate::matter::OpenedMatter;
use crate::ports::{Rng, random};

/// The side that commits events to the log.
pub struct Recorder(Arc<Zeroizing<[u8; 32]>>);

/// The side that opens data.
pub struct Gate(Arc<Zeroizing<[u8; 32]>>);

/// An event that is durably in the log, with everything needed to recompute its leaf.
pub struct Logged {
    event: Event,
    encoded: Vec<u8>,
    opening: [u8; 32],
    tag: [u8; 32],
    index: u64,
    mac: [u8; 32],
    /// What it is about, where the event binds that and does not say it.
    matter: Option<OpenedMatter>,
}

/// Why the gate stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The use is not in the log. Record it first; nothing is released before that.")]
pub struct NotLogged;

/// A recorder and the one gate that believes it.
pub fn pair(rng: &dyn Rng) -> (Recorder, Gate) {
    let secret = Arc::new(Zeroizing::new(random(rng)));
    (Recorder(Arc::clone(&secret)), Gate(secret))
}

impl Recorder {
    /// States that `event` was durably committed as leaf number `index`. Call it after the commit, never before.
    pub fn record(&self, event: Event, opening: [u8; 32], tag: [u8; 32], index: u64) -> Logged {
        let encoded = event.encode();
        let mac = mac(&self.0, &encoded, &opening, &tag, index);
        Logged { event, encoded, opening, tag, index, mac, matter: None }
    }
}

impl Gate {
    /// Admits a logged event after recomputing its leaf. The answer is the event, which says what may be opened.
    pub fn admit<'a>(&self, logged: &'a Logged) -> Result<&'a Event, NotLogged> {
        let expected = mac(&self.0, &logged.encoded, &logged.opening, &logged.tag, logged.index);
        if equal(&expected, &logged.mac) { Ok(&logged.event) } else { Err(NotLogged) }
    }
}

impl Logged {
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Adds what the event is about, if it is what the event binds.
    pub fn with_matter(mut self, matter: Option<OpenedMatter>) -> Self {
        self.matter = matter.filter(|matter| self.event.closed.is_some_and(|closed| matter.opens(&closed)));
        self
    }

    /// The service whose pseudonyms were asked for, or whatever else the event refers to, also where it is closed to the resident.
    pub fn detail(&self) -> Option<&str> {
        self.matter.as_ref().and_then(|opened| opened.matter.detail.as_deref()).or(self.event.detail.as_deref())
    }

    /// The deterministic CBOR of the event.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The 32 random bytes that open the commitment.
    pub fn opening(&self) -> &[u8; 32] {
        &self.opening
    }

    pub fn tag(&self) -> &[u8; 32] {
        &self.tag
    }

    /// The leaf number in the log.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The 66 bytes of the leaf.
    pub fn leaf(&self) -> [u8; 66] {
        leaf(&commitment(&self.opening, &self.encoded), &self.tag)
    }
}

fn mac(secret: &[u8; 32], encoded: &[u8], opening: &[u8; 32], tag: &[u8; 32], index: u64) -> [u8; 32] {
    let leaf = leaf(&commitment(opening, encoded), tag);
    hmac_sha256(secret, &[b"usufruct/logged/v1", &leaf, &index.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use crate::event::Kind;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Rng for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn event() -> Event {
        Event {
            kind: Kind::Use,
            n: 0,
            prev: None,
            at: Time::default(),
            anchor: None,
            mandate: None,
            service: None,
            blocks: vec![],
            reason: "r".into(),
            actor: None,
            batch: None,
            clause: None,
            detail: None,
            until: None,
            other: None,
            source: None,
            closed: None,
            foreign: None,
        }
    }

    #[test]
    fn only_the_own_recorder_is_believed() {
        let rng = Counting(0.into());
        let (recorder, gate) = pair(&rng);
        let (stranger, _) = pair(&rng);
        assert!(gate.admit(&recorder.record(event(), [3; 32], [4; 32], 7)).is_ok());
        assert_eq!(gate.admit(&stranger.record(event(), [3; 32], [4; 32], 7)), Err(NotLogged));
    }

    #[test]
    fn a_changed_event_is_not_admitted() {
        let (recorder, gate) = pair(&Counting(0.into()));
        let mut logged = recorder.record(event(), [3; 32], [4; 32], 7);
        logged.index = 8;
        assert_eq!(gate.admit(&logged), Err(NotLogged));
        let mut logged = recorder.record(event(), [3; 32], [4; 32], 7);
        logged.encoded[5] ^= 1;
        assert_eq!(gate.admit(&logged), Err(NotLogged));
    }
}
