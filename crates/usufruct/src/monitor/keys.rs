//! The keys a log is believed under: those given, or remembered, or on the first visit the log's own.

use usufruct_app::log::{Checkpoint, Note, Policy, Source, Verifier, VerifierKey, checkpoint};

use super::state::Remembered;
use crate::failure::Failure;
use crate::public_log::PublicLog;

/// The keys, and the name of the log.
#[derive(Clone)]
pub struct Keys {
    pub origin: String,
    pub keys: Vec<VerifierKey>,
    pub from: From,
}

/// Why they are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    FirstUse,
    Given,
    Policy,
    Remembered,
}

impl Keys {
    /// The keys that were given, by themselves or as the lines `log` of a policy; otherwise those of the last run; otherwise
    /// the one that the log names.
    pub fn choose(
        log: &PublicLog,
        given: &[VerifierKey],
        policy: Option<&Policy>,
        remembered: &Remembered,
    ) -> Result<Self, Failure> {
        if !given.is_empty() {
            return Self::of(given.to_vec(), From::Given);
        }
        let listed: Vec<VerifierKey> =
            policy.map_or_else(Vec::new, |policy| policy.logs().iter().map(|log| log.key.clone()).collect());
        if !listed.is_empty() {
            // Nothing is believed yet: the name only says which of the listed keys are meant.
            let origin = log.fetch(checkpoint::PATH)?.and_then(|bytes| {
                let text = Note::parse(&bytes).ok()?.text().to_owned();
                Some(text.parse::<Checkpoint>().ok()?.origin().to_owned())
            });
            let own = listed.into_iter().filter(|key| Some(key.name()) == origin.as_deref()).collect::<Vec<_>>();
            if own.is_empty() {
                let origin = origin.unwrap_or_default();
                return Err(Failure::impossible(
                    format!("The policy lists no key of the log {origin:?}."),
                    "Add a line `log <vkey>`, or give the key with --vkey.",
                ));
            }
            return Self::of(own, From::Policy);
        }
        if !remembered.vkeys.is_empty() {
            let keys = remembered.vkeys.iter().map(|key| key.parse()).collect::<Result<_, _>>();
            return Self::of(
                keys.map_err(|error: usufruct_app::log::Error| Failure::of(error).into_impossible())?,
                From::Remembered,
            );
        }
        let own = log.own_key()?.ok_or_else(|| {
            Failure::impossible("No key is given and the log names none.", "Ask its operator and give it with --vkey.")
        })?;
        Self::of(vec![own], From::FirstUse)
    }

    /// Opens a checkpoint under these keys.
    pub fn open(&self, note: &[u8]) -> usufruct_app::log::Result<(Checkpoint, Note)> {
        let verifiers = self.keys.iter().map(VerifierKey::any_verifier).collect::<usufruct_app::log::Result<Vec<_>>>()?;
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        checkpoint::open(note, &self.origin, &verifiers)
    }

    /// The keys as text.
    pub fn lines(&self) -> Vec<String> {
        self.keys.iter().map(ToString::to_string).collect()
    }

    fn of(keys: Vec<VerifierKey>, from: From) -> Result<Self, Failure> {
        let names_differ = || Failure::impossible("The keys are not all of one log.", "Give keys that carry one name.");
        let origin = keys.first().map(|key| key.name().to_owned()).ok_or_else(names_differ)?;
        if keys.iter().any(|key| key.name() != origin) {
            return Err(names_differ());
        }
        for key in &keys {
            key.any_verifier().map_err(|error| Failure::of(error).into_impossible())?;
        }
        Ok(Self { origin, keys, from })
    }
}

/// Reads a key from the command line.
pub fn parse(text: &str) -> Result<VerifierKey, String> {
    text.trim().parse::<VerifierKey>().map_err(|error| error.to_string())
}
