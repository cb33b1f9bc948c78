//! Entry: one object of the register, made and revised by statements and moved by status changes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::lifecycle::State;
use crate::mandate::Mandate;
use crate::statement::Statement;
use crate::status::Grounds;
use crate::{Digest, Text, Time};

/// One object with its present revision, its state and how it got there.
#[derive(Clone, Debug, Serialize)]
pub struct Entry<T> {
    pub id: String,
    pub rev: u64,
    /// Hash of the present revision.
    pub hash: Digest,
    /// Leaf number of the object's first revision: its short number for ever, used as a key in the store.
    pub number: u64,
    /// Leaf number of the present revision.
    pub index: u64,
    pub state: State,
    pub since: Time,
    pub body: T,
    pub history: Vec<Step>,
}

/// One change of state.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub to: State,
    pub at: Time,
    /// Leaf number of the statement.
    pub index: u64,
    pub reason: Text,
    #[serde(flatten)]
    pub grounds: Grounds,
}

impl<T> Entry<T> {
    pub(super) fn take(&mut self, step: Step) {
        self.state = step.to;
        self.since = step.at;
        self.history.push(step);
    }
}

impl Entry<Mandate> {
    /// Whether there is a key of it: from its first publication on, until it is over. A revision of it is a draft again, and the key stays.
    pub fn has_key(&self) -> bool {
        !self.state.is_over() && self.history.iter().any(|step| matches!(step.to, State::Published | State::Active))
    }

    /// Whether uses are possible at `now` as far as the mandate itself goes.
    pub fn is_in_force(&self, now: Time) -> bool {
        self.state == State::Active && self.body.starts_at <= now && now < self.body.sunset_at
    }
}

/// What becomes an entry: a statement, its hash and its leaf.
pub(super) struct Make<'a> {
    pub statement: &'a Statement,
    pub hash: Digest,
    pub index: u64,
}

pub(super) fn put<K: Ord, T>(map: &mut BTreeMap<K, Entry<T>>, id: K, body: T, make: &Make<'_>, state: State) {
    let entry = next(map.remove(&id), body, make, state);
    map.insert(id, entry);
}

pub(super) fn put_sole<T>(place: &mut Option<Entry<T>>, body: T, make: &Make<'_>) {
    *place = Some(next(place.take(), body, make, State::Active));
}

fn next<T>(old: Option<Entry<T>>, body: T, make: &Make<'_>, state: State) -> Entry<T> {
    let (number, mut history) = match old {
        Some(old) => (old.number, old.history),
        None => (make.index, Vec::new()),
    };
    let reason = Text::new("A revision was published.", "發布新版本。");
    history.push(Step { to: state, at: make.statement.at, index: make.index, reason, grounds: Grounds::default() });
    Entry {
        id: make.statement.id.clone(),
        rev: make.statement.rev,
        hash: make.hash,
        number,
        index: make.index,
        state,
        since: make.statement.at,
        body,
        history,
    }
}
