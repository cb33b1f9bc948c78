//! The weeks on which lines of a footprint opened that had been delayed, and the keys by which those are found.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use usufruct_core::Time;
use usufruct_core::delay::{LAST, Week, seed_before, tag_key};
use usufruct_core::event::Event;

use super::lines::FootprintFile;
use super::verdict::{Code, Verdict, say};

/// What opens delayed lines up to a week, as it is saved from the page.
#[derive(Debug, Deserialize)]
pub struct Delay {
    week: u32,
    /// 32 bytes in base64; none after the last week.
    seed: Option<String>,
}

/// The tag keys of all weeks in which a delayed line may have opened.
#[derive(Default)]
pub struct Weeks {
    pub keys: BTreeMap<Week, [u8; 32]>,
    /// What is wrong with them.
    pub verdict: Option<Verdict>,
}

impl Weeks {
    /// Opens the weeks from the first that a line names, once the seed is known to be the one that was given at the beginning. `now` is when they
    /// are looked at.
    pub fn open(footprint: &FootprintFile, now: Time) -> Self {
        let events = footprint.lines.iter().filter_map(|line| {
            let event = STANDARD.decode(line.event.as_ref()?).ok()?;
            Event::decode(&event).ok()
        });
        let own = events.filter(|event| Week::of_number(event.n).is_none());
        let anchors: Vec<(Week, [u8; 32])> = own.filter_map(|event| Some((Week::of(event.at), event.anchor?))).collect();
        let shown = footprint.lines.iter().filter_map(|line| Week::of_number(line.n));
        let Some(first) = anchors.iter().map(|(week, _)| *week).chain(shown).min() else { return Self::default() };
        let seed = footprint.delay.as_ref().and_then(|delay| {
            let seed: [u8; 32] = STANDARD.decode(delay.seed.as_ref()?).ok()?.try_into().ok()?;
            (delay.week <= LAST.0).then_some((Week(delay.week), seed))
        });
        let Some((last, mut seed)) = seed else { return Self::broken() };
        let mut seeds = BTreeMap::new();
        for week in (first.0..=last.0).rev() {
            seeds.insert(Week(week), seed);
            seed = seed_before(&seed);
        }
        if anchors.iter().any(|(week, anchor)| seeds.get(week) != Some(anchor)) {
            return Self::broken();
        }
        let keys = seeds.iter().map(|(week, seed)| (*week, tag_key(seed))).collect();
        Self { keys, verdict: (last < Week::of(now).min(LAST)).then(|| say(Code::Weeks).with("since", last.next().begins())) }
    }

    fn broken() -> Self {
        Self { keys: BTreeMap::new(), verdict: Some(say(Code::Anchor)) }
    }
}
