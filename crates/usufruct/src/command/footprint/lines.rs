//! The lines of a saved footprint: what each says of itself, whether it is in the log, and whether they make one chain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use usufruct_app::log::{Hash, leaf_hash};
use usufruct_core::Time;
use usufruct_core::delay::Week;
use usufruct_core::event::{self, Event};
use usufruct_core::matter::OpenedMatter;
use usufruct_core::time::MINUTE;

use super::Leaves;
use super::verdict::{Code, State, Verdict, say};
use super::weeks::{Delay, Weeks};

/// A footprint as it is saved from the page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FootprintFile {
    pub origin: String,
    pub vkey: String,
    /// Whose cosignatures the log should have (tlog-policy).
    #[serde(default)]
    pub policy: Option<String>,
    /// Entries of the log that were public before the lines were read; all of them, if it is not said.
    #[serde(default)]
    pub size: Option<u64>,
    /// 32 bytes in base64.
    #[serde(with = "bytes32")]
    pub tag_key: [u8; 32],
    /// What opens her delayed lines.
    #[serde(default)]
    pub delay: Option<Delay>,
    pub lines: Vec<Line>,
}

/// One line as it was handed out.
#[derive(Debug, Deserialize)]
pub struct Line {
    pub n: u64,
    pub index: u64,
    /// The event in base64; `None` when the line can no longer be opened.
    pub event: Option<String>,
    pub r: Option<String>,
    /// What opens the matter in base64, where it concerns somebody else and its day has come.
    #[serde(default)]
    pub matter: Option<String>,
    #[serde(default)]
    pub shown: Option<Shown>,
}

/// What the page said about it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Shown {
    kind: String,
    #[serde(default)]
    mandate: Option<String>,
    #[serde(default)]
    service: Option<String>,
    at: String,
    blocks: Vec<String>,
}

/// A line that was checked.
pub struct LineResult {
    pub n: u64,
    pub index: u64,
    /// What is wrong with it.
    pub verdict: Option<Verdict>,
    pub event: Option<Event>,
    /// Whether something came with it that should open its matter.
    is_open: bool,
    commitment: Option<[u8; 32]>,
    /// The hash of the leaf that the line makes.
    pub leaf: Option<Hash>,
}

impl LineResult {
    pub fn state(&self) -> State {
        self.verdict.as_ref().map_or(State::Verified, Verdict::state)
    }

    fn blame(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
    }
}

/// Opens every line, before the log is asked.
pub fn open(footprint: &FootprintFile, weeks: &Weeks) -> Vec<LineResult> {
    let key = |line: &Line| match Week::of_number(line.n) {
        Some(week) => weeks.keys.get(&week),
        None => Some(&footprint.tag_key),
    };
    footprint.lines.iter().map(|line| open_one(line, key(line))).collect()
}

/// `tag_key` is that of the chain of the line, if it is known.
fn open_one(line: &Line, tag_key: Option<&[u8; 32]>) -> LineResult {
    let mut result =
        LineResult { n: line.n, index: line.index, verdict: None, event: None, is_open: false, commitment: None, leaf: None };
    let (Some(event), Some(opening)) = (&line.event, &line.r) else {
        result.blame(say(Code::Unopened));
        return result;
    };
    let (Ok(encoded), Some(opening)) = (STANDARD.decode(event), opening_of(opening)) else {
        result.blame(say(Code::Malformed));
        return result;
    };
    let Ok(mut event) = Event::decode(&encoded) else {
        result.blame(say(Code::Malformed));
        return result;
    };
    let Some(tag_key) = tag_key else {
        result.blame(say(Code::Anchor));
        return result;
    };
    let commitment = event::commitment(&opening, &encoded);
    result.leaf = Some(leaf_hash(&event::leaf(&commitment, &event::tag(tag_key, line.n))));
    result.commitment = Some(commitment);
    if event.n != line.n {
        result.blame(say(Code::Number));
    } else if line.shown.as_ref().is_some_and(|said| *said != shown(&event)) {
        result.blame(say(Code::Shown));
    }
    if let Some(matter) = &line.matter {
        let opened = STANDARD.decode(matter).ok().and_then(|bytes| OpenedMatter::decode(&bytes).ok());
        match opened.and_then(|opened| event.with_matter(&opened)) {
            Some(whole) => event = whole,
            None => result.blame(say(Code::Matter)),
        }
        result.is_open = true;
    }
    result.event = Some(event);
    result
}

/// Lines whose day has come by `now`, and that do not say what they are about.
pub fn overdue_matters(lines: &mut [LineResult], now: Time) {
    for line in lines.iter_mut().filter(|line| !line.is_open) {
        let closed = line.event.as_ref().and_then(|event| event.closed);
        if closed.is_some_and(|closed| closed.shown_from.plus(MINUTE) < now) {
            line.blame(say(Code::Withheld));
        }
    }
}

/// Compares the lines with the leaves that are in the log. `leaves` holds those at the places of all lines below `size`.
pub fn place(lines: &mut [LineResult], leaves: &Leaves, size: u64, now: Time) {
    for line in lines.iter_mut().filter(|line| line.verdict.is_none()) {
        if line.index >= size {
            let at = line.event.as_ref().map_or(now, |event| event.at);
            let is_fresh = (now.micros() - at.micros()).abs() < MINUTE;
            line.verdict = Some(say(if is_fresh { Code::Unpublished } else { Code::Overdue }));
        } else if leaves.get(&line.index) != line.leaf.as_ref() {
            line.verdict = Some(say(Code::Unlogged).with("index", line.index));
        }
    }
}

/// No line could be looked for in the log, for this reason.
pub fn unplaced(lines: &mut [LineResult], why: &Verdict) {
    lines.iter_mut().for_each(|line| line.blame(why.clone()));
}

/// Numbers run from the first of each chain without gap or duplicate, and each line names the commitment of the one before. A line that is broken
/// already is not blamed on the line after it.
pub fn follow_chain(lines: &mut [LineResult]) {
    lines.sort_by_key(|line| (line.n, line.index));
    let is_broken = |line: &LineResult| line.state() == State::Broken;
    for at in 0..lines.len() {
        let (before, rest) = lines.split_at_mut(at);
        let (before, Some(line)) = (before.last_mut(), rest.first_mut()) else { continue };
        let week = Week::of_number(line.n);
        let before = before.filter(|before| Week::of_number(before.n) == week);
        let expected = before.as_ref().map_or(week.map_or(0, Week::first_number), |before| before.n.saturating_add(1));
        if line.n < expected {
            line.verdict = Some(say(Code::Duplicate));
            if let Some(before) = before {
                before.verdict = Some(say(Code::Duplicate));
            }
        } else if line.n > expected {
            line.verdict = Some(say(Code::Gap).with("from", expected).with("to", line.n - 1));
        } else if !is_broken(line) && !before.as_deref().is_some_and(is_broken) {
            let named = line.event.as_ref().and_then(|event| event.prev);
            if named != before.and_then(|before| before.commitment) {
                line.verdict = Some(say(Code::Chain));
            }
        }
    }
}

/// What a page has to say about an event.
fn shown(event: &Event) -> Shown {
    Shown {
        kind: event.kind.code().to_owned(),
        mandate: event.mandate.as_ref().map(ToString::to_string),
        service: event.service.as_ref().map(ToString::to_string),
        at: event.at.micros().to_string(),
        blocks: event.blocks.iter().map(|(block, form)| format!("{block}:{}", form.code())).collect(),
    }
}

fn opening_of(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

mod bytes32 {
    use serde::{Deserialize, Deserializer, de};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::opening_of(&text).ok_or_else(|| de::Error::custom("the tag key is not 32 bytes in base64"))
    }
}
