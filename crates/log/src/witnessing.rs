//! Asking witnesses for cosignatures: the log's side of tlog-witness under a tlog-policy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::checkpoint;
use crate::cosignature::CosignatureVerifier;
use crate::error::{Error, Part, Result};
use crate::hash::sha256;
use crate::head::SignedHead;
use crate::key::VerifierKey;
use crate::note::{Note, NoteSignature, Verifier};
use crate::policy::Policy;
use crate::proof;
use crate::reader::{Source, TileHashes};
use crate::text;
use crate::transport::{Response, Transport};
use crate::witness::AddCheckpoint;

/// The witnesses of one log, and what is known of each.
pub struct Witnessing<T> {
    origin: String,
    log_keys: Vec<VerifierKey>,
    policy: Policy,
    transport: T,
    witnesses: Mutex<BTreeMap<String, Known>>,
}

/// What is known of the witness at one address.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The size it cosigned last.
    size: u64,
    /// How often in a row it failed to answer.
    failures: u32,
    /// It is not asked before this time unless the quorum needs it, in seconds since 1970 UTC.
    rests_until: u64,
}

/// What the witnesses answered.
#[derive(Debug)]
pub struct Witnessed {
    /// The checkpoint with the cosignatures it has gained.
    pub note: Note,
    /// Whether they are enough for the policy.
    pub is_met: bool,
    /// Which addresses gave none, and why.
    pub late: Vec<(String, Error)>,
}

impl<T: Transport> Witnessing<T> {
    /// The witnesses of this policy that have an address, for the log of this origin and these keys. A witness that is
    /// listed with several keys is asked once.
    pub fn new(origin: &str, log_keys: Vec<VerifierKey>, policy: Policy, transport: T) -> Self {
        let urls = policy.witnesses().iter().filter_map(|witness| witness.url.clone());
        let witnesses = Mutex::new(urls.map(|url| (url, Known::default())).collect());
        Self { origin: origin.to_owned(), log_keys, policy, transport, witnesses }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Asks the witnesses to cosign the head, all at once. `tiles` must hold the tree of the head; `now` is in seconds
    /// since 1970 UTC. A witness that failed lately is asked only when the others are not enough.
    ///
    /// A witness that does not answer, or answers what nobody can use, is late. So is one that says it has seen a larger
    /// tree ([`Error::Ahead`]), unless it shows that tree signed by this log, or has another tree of the same size: these
    /// are an [`Error::Contradiction`], for this log was rolled back, or somebody else signs with its key.
    pub fn ask<S: Source + Sync + ?Sized>(&self, tiles: &S, head: &SignedHead, now: u64) -> Result<Witnessed> {
        let mut witnessed = Witnessed { note: Note::parse(&head.note)?, is_met: false, late: Vec::new() };
        witnessed.is_met = self.is_met(&witnessed.note)?;
        let (ready, resting): (Vec<_>, Vec<_>) = self.known().into_iter().partition(|(_, known)| known.rests_until <= now);
        self.round(ready, tiles, head, now, &mut witnessed)?;
        if !witnessed.is_met {
            self.round(resting, tiles, head, now, &mut witnessed)?;
        }
        Ok(witnessed)
    }

    fn round<S: Source + Sync + ?Sized>(
        &self,
        asked: Vec<(String, Known)>,
        tiles: &S,
        head: &SignedHead,
        now: u64,
        witnessed: &mut Witnessed,
    ) -> Result<()> {
        let note = witnessed.note.clone();
        let answers = thread::scope(|scope| {
            let ask = |(url, known): (String, Known)| {
                let note = &note;
                scope.spawn(move || {
                    let outcome = self.ask_one(&url, known, tiles, head, note);
                    (url, known, outcome)
                })
            };
            let threads: Vec<_> = asked.into_iter().map(ask).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        for (url, mut known, outcome) in answers {
            match outcome {
                Ok(signatures) => {
                    known = Known { size: head.size, ..Known::default() };
                    signatures.into_iter().try_for_each(|signature| witnessed.note.add(signature))?;
                }
                Err(error @ Error::Contradiction { .. }) => return Err(error),
                Err(error) => {
                    known.failures += 1;
                    known.rests_until = now + 2u64.saturating_pow(known.failures).min(LONGEST_REST_SECONDS);
                    witnessed.late.push((url.clone(), error));
                }
            }
            self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).insert(url, known);
        }
        witnessed.is_met = self.is_met(&witnessed.note)?;
        Ok(())
    }

    /// Asks one witness, and a second time when it names the size it stands at.
    fn ask_one<S: Source + Sync + ?Sized>(
        &self,
        url: &str,
        known: Known,
        tiles: &S,
        head: &SignedHead,
        note: &Note,
    ) -> Result<Vec<NoteSignature>> {
        let mut old = known.size.min(head.size);
        for _ in 0..2 {
            let response = self.submit(url, old, tiles, head, note)?;
            match response.status {
                200 => return self.cosignatures(url, &response, note),
                // Witnesses of the tagged specification answer 409 to another tree of the same size, newer ones 422.
                409 => {
                    let size = latest_size(&response)?;
                    if size > head.size {
                        return Err(self.ahead(url, size, head));
                    }
                    if size == old {
                        return Err(other_tree(url, size));
                    }
                    old = size;
                }
                422 if old == head.size => return Err(other_tree(url, old)),
                status => return Err(Error::outside("the witness", format!("{url} answered {status}"))),
            }
        }
        Err(Error::outside("the witness", format!("{url} changed its size between two requests")))
    }

    /// What it means that a witness says it has seen more than the head has.
    fn ahead(&self, url: &str, size: u64, head: &SignedHead) -> Error {
        let path = format!("{}/{}/checkpoint", url.trim_end_matches('/'), origin_hash(&self.origin));
        let shown = self.transport.get(&path).ok().filter(|response| response.status == 200);
        let signed = shown.and_then(|response| {
            let verifiers: Vec<_> = self.log_keys.iter().map(VerifierKey::any_verifier).collect::<Result<_>>().ok()?;
            let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
            checkpoint::open(&response.body, &self.origin, &verifiers).ok()
        });
        match signed {
            Some((larger, _)) if larger.size() > head.size => {
                let detail =
                    format!("{url} holds a checkpoint of this log with {} leaves, the head has {}", larger.size(), head.size);
                Error::contradiction(Part::Head, Part::Witness, detail)
            }
            _ => Error::Ahead { witness: url.to_owned(), size, head: head.size },
        }
    }

    fn submit<S: Source + Sync + ?Sized>(
        &self,
        url: &str,
        old: u64,
        tiles: &S,
        head: &SignedHead,
        note: &Note,
    ) -> Result<Response> {
        let proof = if old == 0 { Vec::new() } else { proof::consistency(&TileHashes::new(tiles, head.size), old, head.size)? };
        let request = AddCheckpoint { old, proof, checkpoint: note.clone() };
        let address = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        self.transport.post(&address, "text/plain; charset=utf-8", request.to_string().as_bytes())
    }

    /// The signature lines of an answer that are by the witness's own keys, and right.
    fn cosignatures(&self, url: &str, response: &Response, note: &Note) -> Result<Vec<NoteSignature>> {
        let malformed = |why| Error::malformed("answer of the witness", why);
        let body = std::str::from_utf8(&response.body).map_err(|_| malformed("it is not UTF-8"))?;
        let lines: Vec<NoteSignature> =
            text::lines("answer of the witness", body)?.take(MOST_LINES).map(NoteSignature::parse).collect::<Result<_>>()?;
        let mut found = Vec::new();
        for witness in self.policy.witnesses().iter().filter(|witness| witness.url.as_deref() == Some(url)) {
            let verifier = CosignatureVerifier::new(witness.key.clone())?;
            let own = |line: &&NoteSignature| (line.name(), line.id()) == (verifier.name(), verifier.id());
            let Some(line) = lines.iter().find(own) else { continue };
            if !verifier.verify(note.text(), line.bytes()) {
                return Err(Error::WrongSignature { name: witness.key.name().to_owned() });
            }
            found.push(line.clone());
        }
        if found.is_empty() { Err(malformed("none of its lines is by a key that the policy lists")) } else { Ok(found) }
    }

    /// Whether the cosignatures on the note, each verified, are enough.
    fn is_met(&self, note: &Note) -> Result<bool> {
        let mut signed = Vec::new();
        for witness in self.policy.witnesses() {
            let verifier = CosignatureVerifier::new(witness.key.clone())?;
            if !note.verified_by(&[&verifier])?.is_empty() {
                signed.push(witness.name.clone());
            }
        }
        Ok(self.policy.is_met(&|witness| signed.contains(&witness.name)))
    }

    fn known(&self) -> BTreeMap<String, Known> {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The size in the body of a 409 answer. The media type is not asked for: deployed witnesses differ in it.
fn latest_size(response: &Response) -> Result<u64> {
    let body = std::str::from_utf8(&response.body).ok().and_then(|body| body.strip_suffix('\n').or(Some(body)));
    text::decimal("answer of the witness", body.unwrap_or_default())
}

/// The name under which witnesses and mirrors keep a log: SHA-256 of its origin in hex.
pub fn origin_hash(origin: &str) -> String {
    sha256(&[origin.as_bytes()]).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn other_tree(url: &str, size: u64) -> Error {
    Error::contradiction(Part::Head, Part::Witness, format!("{url} has cosigned another tree of {size} leaves"))
}

const LONGEST_REST_SECONDS: u64 = 60;
const MOST_LINES: usize = 64;
