//! Life of a notice: draft, published, superseded; unused or used. All of it follows from statements of the log.

use serde::Serialize;

use crate::id::MandateId;
use crate::lifecycle::State;
use crate::mandate::Mandate;
use crate::notice::Notice;
use crate::register::{Entry, Register};
use crate::tally::Day;
use crate::{Digest, Time};

/// One of the notices of a mandate and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoticeLife {
    /// The hash of the mandate revision that it explains.
    pub mandate_hash: Digest,
    /// The number of that revision.
    pub revision: u64,
    /// The hash of the notice and its leaf number.
    pub notice_hash: Digest,
    pub notice_leaf: u64,
    pub state: NoticeState,
    /// Since when it is in this state.
    pub since: Time,
    /// When the revision that it explains was published with it.
    pub published_at: Option<Time>,
    /// The revision whose notice stands in its place.
    pub superseded_by: Option<u64>,
    pub used: NoticeUse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// It can be read in the log, and nothing may rest on it yet.
    Draft,
    Published,
    /// A later notice of the mandate is published.
    Superseded,
}

/// How often data was used on the strength of a notice. How many people agreed on it or were told by it, nobody publishes; the tallies count uses,
/// and there is none without a grant that was given on a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NoticeUse {
    /// The first day on which data was used on no other notice than this one.
    pub since: Option<Day>,
    /// On how many days.
    pub days: u64,
    /// Uses at least and at most: the tallies say of a few only that they are few, and of a day with two notices not which of them it was.
    pub least: u64,
    pub most: u64,
}

impl NoticeUse {
    /// Whether anything was used on it for certain.
    pub fn is_used(&self) -> bool {
        self.since.is_some()
    }
}

impl NoticeLife {
    /// Whether it was in force at any moment between the two.
    fn held(&self, begins: Time, ends: Time) -> bool {
        let until = self.superseded_by.map(|_| self.since);
        self.published_at.is_some_and(|from| from < ends) && until.is_none_or(|until| begins < until)
    }
}

impl Register {
    /// Every notice of a mandate in the order of the revisions that they explain.
    pub fn notices_of(&self, id: &MandateId) -> Vec<NoticeLife> {
        let Some(mandate) = self.mandates.get(id) else { return Vec::new() };
        let explained = self.notices.values().filter(|notice| notice.body.mandate == *id);
        let mut notices: Vec<(u64, u64, &Entry<Notice>)> = explained
            .filter_map(|notice| {
                let (_, revision) = self.revision(&notice.body.mandate_hash)?;
                Some((self.revision_leaf(&notice.body.mandate_hash)?, revision, notice))
            })
            .collect();
        notices.sort_unstable_by_key(|(leaf, ..)| *leaf);
        let published: Vec<Option<Time>> = notices.iter().map(|(leaf, ..)| published_at(mandate, *leaf)).collect();
        let lives = notices.iter().enumerate().map(|(i, (_, revision, notice))| {
            let later = notices.iter().zip(&published).skip(i + 1);
            let after = later.filter_map(|((_, revision, _), at)| Some((*revision, (*at)?))).next();
            let (state, since) = match (published[i], after) {
                (_, Some((_, at))) => (NoticeState::Superseded, at),
                (Some(at), None) => (NoticeState::Published, at),
                (None, None) => (NoticeState::Draft, notice.since),
            };
            NoticeLife {
                mandate_hash: notice.body.mandate_hash,
                revision: *revision,
                notice_hash: notice.hash,
                notice_leaf: notice.index,
                state,
                since,
                published_at: published[i],
                superseded_by: after.map(|(revision, _)| revision),
                used: NoticeUse::default(),
            }
        });
        let mut lives: Vec<NoticeLife> = lives.collect();
        self.count_uses(id, &mut lives);
        lives
    }

    fn count_uses(&self, id: &MandateId, lives: &mut [NoticeLife]) {
        let mut tallies: Vec<_> = self.tallies.values().map(|entry| &entry.body).filter(|tally| tally.mandate == *id).collect();
        tallies.sort_unstable_by_key(|tally| tally.day);
        for tally in tallies.into_iter().filter(|tally| tally.uses.most() > 0) {
            let (begins, ends) = (tally.day.begins(), tally.day.next().begins());
            let is_sole = lives.iter().filter(|life| life.held(begins, ends)).count() == 1;
            for life in lives.iter_mut().filter(|life| life.held(begins, ends)) {
                life.used.most += tally.uses.most();
                if is_sole {
                    life.used.since = life.used.since.or(Some(tally.day));
                    life.used.days += 1;
                    life.used.least += tally.uses.least();
                }
            }
        }
    }
}

/// When the revision in this leaf was taken to `published`; a later revision begins again as a draft.
fn published_at(mandate: &Entry<Mandate>, leaf: u64) -> Option<Time> {
    let since = mandate.history.iter().skip_while(|step| step.index <= leaf);
    let mut own = since.take_while(|step| step.to != State::Draft);
    own.find(|step| step.to == State::Published).map(|step| step.at)
}
