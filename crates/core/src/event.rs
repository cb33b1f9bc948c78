//! The sealed log leaf: what happened to one resident's data, as bytes that are noise to everybody else.
//!
//! An event is deterministic CBOR. The log holds only `0x01 0x02 || C || T` (design.md section 6): the commitment `C`
//! binds the event and hides it behind 32 random bytes, the tag `T` lets the resident find it by counting.

use crate::cbor::{Malformed, bytes32, map, read};
use crate::delay::FIRST_NUMBER;
use crate::hash::hmac_sha256;
use crate::id::{BlockId, ServiceId};
use crate::matter::{Closed, Matter, OpenedMatter};
use crate::operation::ForeignOperation;
use crate::source::{Source, SourceMark};
use crate::{Digest, Time};

/// Length of an event leaf in bytes.
pub const LEAF_LEN: usize = 66;

/// What an event leaf begins with.
pub const LEAF_PREFIX: [u8; 2] = [1, 2];

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A service gave back what the resident had authorized it for.
    AuthorizationGivenBack,
    /// She was told of a breach that concerns her data; the detail names it, and the blocks are hers.
    Breach,
    /// A service was told the pseudonym of another service for its own; the detail names that other service.
    Conversion,
    /// A case of the resident moved on, or one was filed that is no objection; the detail names it, the reason says how.
    Case,
    /// A block was corrected by the resident.
    Correction,
    /// The resident agreed, or was notified of a duty.
    Consent,
    /// Somebody may act for the resident, or she for somebody; or did so.
    Delegation,
    /// A service put something about the resident into the pass, where it stays for the time of the mandate.
    Deposit,
    /// The resident's keys were destroyed.
    Erasure,
    /// Something became of a grant other than its beginning and its end: it was paused, resumed or reaffirmed, or she was asked for one and did
    /// not give it. The reason says what.
    Grant,
    /// The resident objected to a line.
    Objection,
    /// A use was asked for and refused.
    Refusal,
    /// The resident signed in to a service.
    SignIn,
    /// The pass of the resident changed status (deactivated, reactivated).
    Status,
    /// Data was released.
    Use,
    /// The resident withdrew.
    Withdrawal,
}

/// How much of a block is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Only a pseudonymous token that stands for the value.
    Token,
    /// Only whether a statement about the value holds.
    Predicate,
    /// The value itself.
    Value,
}

/// One event about one resident. Field numbers in the CBOR map follow the order of the fields here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    /// Number of this event in the resident's own chain, from 0 without gaps. From [`FIRST_NUMBER`] on it is a place in the week on which a
    /// delayed event opens ([`crate::delay`]).
    pub n: u64,
    /// The commitment of the event before this one in its chain; `None` for the first.
    pub prev: Option<[u8; 32]>,
    pub at: Time,
    /// The seed of her delayed lines for the week of this event, which binds those of all weeks to come.
    pub anchor: Option<[u8; 32]>,
    /// Hash of the mandate revision the event rests on.
    pub mandate: Option<Digest>,
    pub service: Option<ServiceId>,
    pub blocks: Vec<(BlockId, Form)>,
    /// Code of the reason; the words come from the mandate. Empty while the matter is closed.
    pub reason: String,
    /// Commitment to the officer who acted, opened only by order.
    pub actor: Option<[u8; 32]>,
    /// Set when one decision touched several residents.
    pub batch: Option<Batch>,
    /// The clause that refused, for refusals.
    pub clause: Option<String>,
    /// A reference such as the id of a case, or of the service whose pseudonyms were asked for.
    pub detail: Option<String>,
    /// When the data must be given back or deleted, or when a delegation ends.
    pub until: Option<Time>,
    /// The other person of a delegation, as the resident calls her: who acted for the resident, or for whom she did. A word that the two chose,
    /// never a number.
    pub other: Option<String>,
    /// Where it comes from and its number there, of what is counted under a mandate.
    pub source: Option<SourceMark>,
    /// The matter, where it concerns somebody else: closed to the resident until its day.
    pub closed: Option<Closed>,
    /// What the system that reported it calls it, where it said so.
    pub foreign: Option<ForeignOperation>,
}

/// One decision over several residents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub id: [u8; 16],
    /// How many residents the decision touched.
    pub size: u64,
}

impl Event {
    /// The deterministic CBOR of the event.
    pub fn encode(&self) -> Vec<u8> {
        let optional = [
            self.mandate.is_some(),
            self.service.is_some(),
            self.actor.is_some(),
            self.batch.is_some(),
            self.clause.is_some(),
            self.detail.is_some(),
            self.until.is_some(),
            self.other.is_some(),
            self.source.is_some(),
            self.closed.is_some(),
            self.anchor.is_some(),
            self.foreign.is_some(),
        ];
        let mut cbor = map(8 + optional.iter().filter(|set| **set).count() as u64);
        // Writing to a Vec cannot fail, so the results carry nothing.
        (|| {
            cbor.u8(0)?.u8(1)?;
            cbor.u8(1)?.str(self.kind.code())?;
            cbor.u8(2)?.u64(self.n)?;
            cbor.u8(3)?.bytes(self.prev.as_ref().map_or(&[], |prev| &prev[..]))?;
            cbor.u8(4)?.u64(self.at.micros().max(0).unsigned_abs())?;
            if let Some(mandate) = &self.mandate {
                cbor.u8(5)?.bytes(&mandate.0)?;
            }
            if let Some(service) = &self.service {
                cbor.u8(6)?.str(service.as_str())?;
            }
            cbor.u8(7)?.array(self.blocks.len() as u64)?;
            for (block, form) in &self.blocks {
                cbor.array(2)?.str(block.as_str())?.str(form.code())?;
            }
            cbor.u8(8)?.str(&self.reason)?;
            if let Some(actor) = &self.actor {
                cbor.u8(9)?.bytes(actor)?;
            }
            cbor.u8(10)?.str(if self.n < FIRST_NUMBER { "immediate" } else { "delayed" })?;
            if let Some(batch) = &self.batch {
                cbor.u8(11)?.array(2)?.bytes(&batch.id)?.u64(batch.size)?;
            }
            if let Some(clause) = &self.clause {
                cbor.u8(12)?.str(clause)?;
            }
            if let Some(detail) = &self.detail {
                cbor.u8(13)?.str(detail)?;
            }
            if let Some(until) = &self.until {
                cbor.u8(14)?.u64(until.micros().max(0).unsigned_abs())?;
            }
            if let Some(other) = &self.other {
                cbor.u8(15)?.str(other)?;
            }
            if let Some(SourceMark { source, number, happened_at }) = &self.source {
                cbor.u8(16)?.array(2 + u64::from(happened_at.is_some()))?.str(source.as_str())?.u64(*number)?;
                if let Some(at) = happened_at {
                    cbor.u64(at.micros().max(0).unsigned_abs())?;
                }
            }
            if let Some(Closed { commitment, shown_from }) = &self.closed {
                cbor.u8(17)?.array(2)?.bytes(commitment)?.u64(shown_from.micros().max(0).unsigned_abs())?;
            }
            if let Some(anchor) = &self.anchor {
                cbor.u8(18)?.bytes(anchor)?;
            }
            if let Some(ForeignOperation { trace_id, operation_id, parent_operation_id, entity }) = &self.foreign {
                let parent = parent_operation_id.as_ref().map_or(&[][..], |parent| &parent[..]);
                cbor.u8(19)?.array(4)?.bytes(trace_id)?.bytes(operation_id)?.bytes(parent)?.str(entity)?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })()
        .ok();
        cbor.into_writer()
    }

    /// The same event without what it is about, which `opening` hides until `shown_from`, and what opens it. Who asked, under which mandate,
    /// for what and when stays, and so does what of the resident's own led to a refusal.
    pub fn close(mut self, shown_from: Time, opening: [u8; 32]) -> (Self, OpenedMatter) {
        // A detail that names a service is the one whose pseudonyms were asked for.
        let detail = self.detail.take_if(|detail| detail.parse::<ServiceId>().is_ok());
        let opened = OpenedMatter { opening, matter: Matter { reason: std::mem::take(&mut self.reason), detail } };
        self.closed = Some(Closed { commitment: opened.commitment(), shown_from });
        (self, opened)
    }

    /// The same event with what it is about. `None` where `opened` is about another one.
    pub fn with_matter(&self, opened: &OpenedMatter) -> Option<Self> {
        let closed = self.closed.filter(|closed| opened.opens(closed))?;
        let Matter { reason, detail } = opened.matter.clone();
        Some(Self { reason, detail: detail.or_else(|| self.detail.clone()), closed: Some(closed), ..self.clone() })
    }

    /// Reads an event; anything but its one deterministic form is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let event = Self::decode_loose(bytes)?;
        if event.encode() == bytes { Ok(event) } else { Err(Malformed { what: "it is not in its one shortest form" }) }
    }

    fn decode_loose(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut d = minicbor::Decoder::new(bytes);
        let entries = read(d.map(), "it is no map")?.ok_or(Malformed { what: "the map has no length" })?;
        let mut event = Self {
            kind: Kind::Use,
            n: 0,
            prev: None,
            at: Time::default(),
            anchor: None,
            mandate: None,
            service: None,
            blocks: Vec::new(),
            reason: String::new(),
            actor: None,
            batch: None,
            clause: None,
            detail: None,
            until: None,
            other: None,
            source: None,
            closed: None,
            foreign: None,
        };
        for _ in 0..entries {
            match read(d.u8(), "a key is no small number")? {
                0 => {
                    if read(d.u8(), "version")? != 1 {
                        return Err(Malformed { what: "its version is not 1" });
                    }
                }
                1 => event.kind = Kind::from_code(read(d.str(), "kind")?).ok_or(Malformed { what: "its kind is unknown" })?,
                2 => event.n = read(d.u64(), "n")?,
                3 => {
                    let prev = read(d.bytes(), "prev")?;
                    event.prev = match prev.len() {
                        0 => None,
                        _ => Some(prev.try_into().map_err(|_| Malformed { what: "prev" })?),
                    };
                }
                4 => event.at = time(read(d.u64(), "at")?)?,
                5 => event.mandate = Some(Digest(bytes32(&mut d, "mandate")?)),
                6 => event.service = Some(id(read(d.str(), "service")?, "service")?),
                7 => {
                    let len = read(d.array(), "blocks")?.ok_or(Malformed { what: "blocks" })?;
                    for _ in 0..len {
                        if read(d.array(), "block")? != Some(2) {
                            return Err(Malformed { what: "block" });
                        }
                        let block = id(read(d.str(), "block")?, "block")?;
                        let form = Form::from_code(read(d.str(), "form")?).ok_or(Malformed { what: "form" })?;
                        event.blocks.push((block, form));
                    }
                }
                8 => event.reason = read(d.str(), "reason")?.to_owned(),
                9 => event.actor = Some(bytes32(&mut d, "actor")?),
                10 => {
                    // Which of the two it has to be follows from the number.
                    if !["immediate", "delayed"].contains(&read(d.str(), "disclosure")?) {
                        return Err(Malformed { what: "its disclosure class is unknown" });
                    }
                }
                11 => {
                    if read(d.array(), "batch")? != Some(2) {
                        return Err(Malformed { what: "batch" });
                    }
                    let id = read(d.bytes(), "batch")?.try_into().map_err(|_| Malformed { what: "batch" })?;
                    event.batch = Some(Batch { id, size: read(d.u64(), "batch")? });
                }
                12 => event.clause = Some(read(d.str(), "clause")?.to_owned()),
                13 => event.detail = Some(read(d.str(), "detail")?.to_owned()),
                14 => event.until = Some(time(read(d.u64(), "until")?)?),
                15 => event.other = Some(read(d.str(), "other")?.to_owned()),
                16 => {
                    let parts = read(d.array(), "source")?;
                    let source: Source = read(d.str(), "source")?.parse().map_err(|_| Malformed { what: "source" })?;
                    let number = read(d.u64(), "source")?;
                    let happened_at = match parts {
                        Some(2) => None,
                        Some(3) => Some(time(read(d.u64(), "source")?)?),
                        _ => return Err(Malformed { what: "source" }),
                    };
                    event.source = Some(SourceMark { source, number, happened_at });
                }
                17 => {
                    if read(d.array(), "closed matter")? != Some(2) {
                        return Err(Malformed { what: "closed matter" });
                    }
                    let commitment = bytes32(&mut d, "closed matter")?;
                    event.closed = Some(Closed { commitment, shown_from: time(read(d.u64(), "closed matter")?)? });
                }
                18 => event.anchor = Some(bytes32(&mut d, "anchor")?),
                19 => event.foreign = Some(ForeignOperation::decode(&mut d)?),
                _ => return Err(Malformed { what: "a key is unknown" }),
            }
        }
        if event.closed.is_some() && !event.reason.is_empty() {
            return Err(Malformed { what: "it tells its reason, and says that the matter is closed" });
        }
        Ok(event)
    }
}

/// `C`: binds `event` and hides it behind the 32 fresh random bytes `opening`.
pub fn commitment(opening: &[u8; 32], event: &[u8]) -> [u8; 32] {
    let len = u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes();
    hmac_sha256(opening, &[b"usufruct/event/v1", &len, event])
}

/// `T`: the mark by which the resident, who knows `tag_key`, finds her event number `n`.
pub fn tag(tag_key: &[u8; 32], n: u64) -> [u8; 32] {
    hmac_sha256(tag_key, &[b"usufruct/tag/v1", &n.to_be_bytes()])
}

/// The 66 bytes of an event leaf.
pub fn leaf(commitment: &[u8; 32], tag: &[u8; 32]) -> [u8; LEAF_LEN] {
    let mut leaf = [0; LEAF_LEN];
    leaf[..2].copy_from_slice(&LEAF_PREFIX);
    leaf[2..34].copy_from_slice(commitment);
    leaf[34..].copy_from_slice(tag);
    leaf
}

/// What the tag index says of a leaf: the first four bytes of the tag of an event, zeros for any other leaf.
pub fn tag_prefix(leaf: &[u8]) -> [u8; 4] {
    match leaf {
        [1, 2, rest @ ..] if leaf.len() == LEAF_LEN => [rest[32], rest[33], rest[34], rest[35]],
        _ => [0; 4],
    }
}

/// A leaf that looks like an event and is none: 64 random bytes take the places of commitment and tag.
pub fn filler_leaf(random: &[u8; 64]) -> [u8; LEAF_LEN] {
    let mut leaf = [0; LEAF_LEN];
    leaf[..2].copy_from_slice(&LEAF_PREFIX);
    leaf[2..].copy_from_slice(random);
    leaf
}

impl Kind {
    const ALL: [(Self, &'static str); 16] = [
        (Self::AuthorizationGivenBack, "authorization-given-back"),
        (Self::Breach, "breach-notified"),
        (Self::Case, "case"),
        (Self::Consent, "consent"),
        (Self::Conversion, "conversion"),
        (Self::Correction, "correction"),
        (Self::Delegation, "delegation"),
        (Self::Deposit, "deposit"),
        (Self::Erasure, "erasure"),
        (Self::Grant, "grant"),
        (Self::Objection, "objection"),
        (Self::Refusal, "refusal"),
        (Self::SignIn, "sign-in"),
        (Self::Status, "status"),
        (Self::Use, "use"),
        (Self::Withdrawal, "withdrawal"),
    ];

    /// The word for this kind in events and pages.
    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, code)| code)
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }
}

impl Form {
    /// The word for this form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Predicate => "predicate",
            Self::Value => "value",
        }
    }

    /// The form for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Token, Self::Predicate, Self::Value].into_iter().find(|form| form.code() == code)
    }
}

fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Malformed> {
    text.parse().map_err(|_| Malformed { what })
}

fn time(micros: u64) -> Result<Time, Malformed> {
    let micros = i64::try_from(micros).map_err(|_| Malformed { what: "time" })?;
    let time = Time::from_micros(micros);
    if time.micros() == micros { Ok(time) } else { Err(Malformed { what: "time" }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn events()(n in any::<u64>(), prev in any::<Option<[u8; 32]>>(), at in 0i64..4_000_000_000_000_000,
            mandate in any::<Option<[u8; 32]>>(), blocks in prop::collection::vec(0usize..3, 0..5), reason in ".{0,40}",
            actor in any::<Option<[u8; 32]>>(), batch in any::<Option<([u8; 16], u64)>>(), clause in any::<Option<String>>(),
            kind in 0..Kind::ALL.len(), anchor in any::<Option<[u8; 32]>>(), other in any::<Option<String>>(), closed in any::<Option<([u8; 32], u32)>>(), source in any::<Option<(bool, u64, Option<u32>)>>(),
            foreign in any::<Option<([u8; 16], [u8; 8], Option<[u8; 8]>)>>()) -> Event {
            Event {
                kind: Kind::ALL[kind].0, n, prev, at: Time::from_micros(at), anchor, mandate: mandate.map(Digest),
                service: Some("svc_library".parse().unwrap()),
                blocks: blocks.into_iter().map(|form| ("blk_name".parse().unwrap(), [Form::Token, Form::Predicate, Form::Value][form])).collect(),
                reason: if closed.is_some() { String::new() } else { reason }, actor, batch: batch.map(|(id, size)| Batch { id, size }), clause, detail: None, until: Some(Time::from_micros(at)), other,
                source: source.map(|(is_pass, number, at)| SourceMark {
                    source: if is_pass { Source::Pass } else { Source::Service("svc_library".parse().unwrap()) },
                    number,
                    happened_at: at.map(|at| Time::from_micros(at.into())),
                }),
                closed: closed.map(|(commitment, from)| Closed { commitment, shown_from: Time::from_micros(from.into()) }),
                foreign: foreign.and_then(|(trace, operation, parent)| ForeignOperation::new(&trace, &operation, parent.as_ref().map_or(&[], |id| id), "loans")),
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(event in events()) {
            prop_assert_eq!(Event::decode(&event.encode()).unwrap(), event);
        }

        #[test]
        fn no_other_bytes_decode_to_the_same_event(event in events(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = event.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Event::decode(&bytes) {
                prop_assert_ne!(other, event);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Event::decode(&bytes);
        }
    }

    proptest! {
        /// Invariant 13: of what it is about nothing is left in an event that closes it, and what opens it gives all of it back.
        #[test]
        fn invariant_13_a_closed_event_says_nothing_of_its_matter(event in events(), opening in any::<[u8; 32]>(), service in any::<bool>(), other in ".{1,9}") {
            let detail = if service { Some("svc_wills".to_owned()) } else { event.detail.clone() };
            let told = Event { reason: "in-the-matter-of-a-will".into(), detail, closed: None, ..event };
            let (closed, opened) = told.clone().close(Time::from_micros(1), opening);
            let as_if = Event { reason: other, ..told.clone() };
            let bytes = closed.encode();
            for word in ["will", "svc_wills"] {
                prop_assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{} is in it", word);
            }
            prop_assert_eq!(Event { closed: None, ..closed.clone() }, Event { closed: None, ..as_if.close(Time::from_micros(1), opening).0 });
            prop_assert_eq!(Event::decode(&bytes).unwrap(), closed.clone());
            prop_assert_eq!(Event { closed: None, ..closed.with_matter(&opened).unwrap() }, told);
            let mut foreign = opened;
            foreign.opening[0] ^= 1;
            prop_assert!(closed.with_matter(&foreign).is_none());
        }
    }

    #[test]
    fn leaf_has_66_bytes() {
        let leaf = leaf(&commitment(&[1; 32], b"event"), &tag(&[2; 32], 0));
        assert_eq!((leaf.len(), leaf[0], leaf[1]), (66, 1, 2));
    }
}
