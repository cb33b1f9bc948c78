//! Searches the log for a resident's tags, so that a line that was logged and is not shown comes to light.

use std::collections::{BTreeSet, HashMap, HashSet};

use usufruct_app::log::merkle::verify_inclusion;
use usufruct_app::log::tile::{FULL, Kind, parse_bundle};
use usufruct_app::log::{self, Hash, HashReader, Reader, Source, Tile, TileHashes, leaf_hash, node_hash, proof};
use usufruct_core::delay::Week;
use usufruct_core::event::{self, LEAF_LEN, LEAF_PREFIX, tag_prefix};
use usufruct_core::ports::random;

use super::Leaves;
use super::lines::{FootprintFile, LineResult};
use super::verdict::{self, Code, State, Verdict, say};
use super::weeks::Weeks;
use crate::chance::SystemRng;
use crate::monitor::tags::{self, PREFIX, Presence, SEGMENT, TagIndex};
use crate::progress;
use crate::public_log::PublicLog;

/// How the log is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By the tag index, and by bundles of which at least half are chosen at random.
    Prefix,
    /// By reading every entry.
    Whole,
}

/// What a search came to.
pub struct Search {
    pub searched: u64,
    /// Entries of the log that carry the resident's tags.
    pub yours: usize,
    pub verdicts: Vec<Verdict>,
}

/// What was found in the log.
#[derive(Default)]
pub struct FoundInLog {
    /// The hashes of the leaves at the places of the lines.
    pub leaves: Leaves,
    searched: u64,
    /// Places of the resident's tags: number and index.
    places: BTreeSet<(u64, u64)>,
    /// Leaves about which the tag index is wrong; one for each file of it, when all of it was compared.
    lies: BTreeSet<u64>,
}

/// The numbers of tags.
struct Tags {
    numbers: HashMap<[u8; 32], u64>,
}

/// Searches for the tags of all lines, of numbers that are missing among them, and of those beyond the last.
pub fn search(
    log: &PublicLog,
    reader: &Reader<'_, PublicLog>,
    footprint: &FootprintFile,
    weeks: &Weeks,
    lines: &[LineResult],
    how: How,
) -> Result<FoundInLog, Verdict> {
    let mut chains = chains(footprint, weeks);
    let mut index = None;
    loop {
        let tags = Tags::new(&chains);
        let places: BTreeSet<u64> = lines.iter().map(|line| line.index).collect();
        let found = match how {
            How::Whole => whole(log, reader, &tags, &places)?,
            How::Prefix => {
                if index.is_none() {
                    index = Some(read_index(log, reader.checkpoint().size())?);
                }
                by_prefix(log, reader, &tags, &places, index.as_deref().unwrap_or_default())?
            }
        };
        // Whoever hid so many lines may have hidden more.
        let mut has_grown = false;
        for chain in &mut chains {
            let its = found.places.iter().map(|(n, _)| *n).filter(|n| Week::of_number(*n) == chain.week);
            let wanted = last_of(its).saturating_sub(chain.first) + chain.ahead;
            has_grown |= wanted > chain.count;
            chain.count = chain.count.max(wanted);
        }
        if !has_grown {
            return Ok(found);
        }
    }
}

/// A chain of lines: the resident's own, or that of a week.
struct Chain<'a> {
    week: Option<Week>,
    key: &'a [u8; 32],
    first: u64,
    /// So many numbers are looked for, and so many beyond the last that is found.
    count: u64,
    ahead: u64,
}

fn chains<'a>(footprint: &'a FootprintFile, weeks: &'a Weeks) -> Vec<Chain<'a>> {
    let chain = |week: Option<Week>, key: &'a [u8; 32], ahead: u64| {
        let first = week.map_or(0, Week::first_number);
        let numbers: Vec<u64> = footprint.lines.iter().map(|line| line.n).filter(|n| Week::of_number(*n) == week).collect();
        let known = last_of(numbers.iter().copied()).saturating_sub(first);
        Chain { week, key, first, count: known.min(MOST_GAPS + 2 * numbers.len() as u64) + ahead, ahead }
    };
    let of_weeks = weeks.keys.iter().map(|(week, key)| chain(Some(*week), key, LOOK_AHEAD_IN_WEEK));
    std::iter::once(chain(None, &footprint.tag_key, LOOK_AHEAD)).chain(of_weeks).collect()
}

/// Compares what is in the log with the lines, which have been placed.
pub fn judge(footprint: &FootprintFile, lines: &[LineResult], found: FoundInLog) -> Search {
    let proven: BTreeSet<(u64, u64)> =
        lines.iter().filter(|line| line.state() == State::Verified).map(|line| (line.n, line.index)).collect();
    let strays: Vec<(u64, u64)> = found.places.iter().copied().filter(|place| !proven.contains(place)).collect();
    let mut verdicts = Vec::new();
    for (position, (n, index)) in strays.iter().enumerate() {
        let other =
            proven.iter().find(|(proven, _)| proven == n).or_else(|| strays[..position].iter().find(|(stray, _)| stray == n));
        let verdict = match other {
            Some((_, other)) => say(Code::Duplicate).with("n", n).with("index", index).with("other", other),
            None => {
                let is_older = footprint.size.is_none_or(|size| *index < size) || lines.iter().any(|line| line.n == *n);
                say(if is_older { Code::Hidden } else { Code::Newer }).with("n", n).with("index", index)
            }
        };
        verdicts.push(verdict);
    }
    for week in strays.iter().map(|(n, _)| Week::of_number(*n)).collect::<BTreeSet<_>>() {
        let is_its = |n: &u64| Week::of_number(*n) == week;
        let mut next = last_of(lines.iter().map(|line| line.n).filter(is_its)).max(week.map_or(0, Week::first_number));
        for n in strays.iter().map(|(n, _)| *n).filter(|n| is_its(n) && *n >= next).collect::<BTreeSet<_>>() {
            if n > next {
                verdicts.push(say(Code::Gap).with("from", next).with("to", n - 1));
            }
            next = n + 1;
        }
    }
    if let Some(first) = found.lies.first() {
        verdicts.push(say(Code::Index).with("index", first).with("leaves", found.lies.len()));
    }
    let numbers: BTreeSet<u64> = found.places.iter().map(|(n, _)| *n).collect();
    Search { searched: found.searched, yours: numbers.len(), verdicts }
}

/// Reads every entry, and compares the tag index with them where there is one.
fn whole(log: &PublicLog, reader: &Reader<'_, PublicLog>, tags: &Tags, places: &BTreeSet<u64>) -> Result<FoundInLog, Verdict> {
    let size = reader.checkpoint().size();
    let mut found = FoundInLog { searched: size, ..FoundInLog::default() };
    let mut index = TagIndex::default();
    let bar = progress::bar(size, "entries");
    let read = reader.entries(0, |at, leaf| {
        bar.inc(1);
        index.take(leaf);
        found.take(at, leaf, tags, places);
        Ok(())
    });
    bar.finish_and_clear();
    read.map_err(|error| verdict::of(&error))?;
    if index.compare(log).map_err(|error| verdict::of(&error))? == Presence::Served {
        found.lies.extend(index.findings().filter_map(|finding| finding.leaf));
    }
    Ok(found)
}

/// Reads the bundles in which the index has a tag that is looked for, or a line is said to be, among as many others.
fn by_prefix(
    log: &PublicLog,
    reader: &Reader<'_, PublicLog>,
    tags: &Tags,
    places: &BTreeSet<u64>,
    index: &[u8],
) -> Result<FoundInLog, Verdict> {
    let size = reader.checkpoint().size();
    let wanted: HashSet<[u8; 4]> = tags.numbers.keys().map(|tag| [tag[0], tag[1], tag[2], tag[3]]).collect();
    let bundle_of = |at: u64| at / u64::from(FULL);
    let mut bundles: BTreeSet<u64> = places.iter().filter(|at| **at < size).map(|at| bundle_of(*at)).collect();
    let prefixes = index.chunks_exact(PREFIX as usize).zip(0..);
    bundles.extend(prefixes.filter(|(prefix, _)| wanted.contains(*prefix)).map(|(_, at)| bundle_of(at)));
    hide(&mut bundles, size.div_ceil(u64::from(FULL)));

    let mut found = FoundInLog { searched: size, ..FoundInLog::default() };
    let bar = progress::bar(bundles.len() as u64, "bundles");
    let tiles = reader.hashes();
    for bundle in bundles {
        bar.inc(1);
        let start = bundle * u64::from(FULL);
        for (leaf, at) in read_bundle(log, reader, &tiles, bundle).map_err(|error| verdict::of(&error))?.iter().zip(start..) {
            let place = (at * PREFIX) as usize;
            if index.get(place..place + PREFIX as usize) != Some(&tag_prefix(leaf)) {
                found.lies.insert(at);
            }
            found.take(at, leaf, tags, places);
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Adds random bundles: as many as there are, and so that their number says little.
fn hide(bundles: &mut BTreeSet<u64>, all: u64) {
    let crowd = (2 * bundles.len() as u64).max(1).next_multiple_of(CROWD).min(all);
    while (bundles.len() as u64) < crowd {
        // A remainder by less than 2^40 is as good as even.
        bundles.insert(u64::from_be_bytes(random(&SystemRng)) % all);
    }
}

/// The tag index up to `size` leaves: whole files, as everybody fetches them.
fn read_index(log: &PublicLog, size: u64) -> Result<Vec<u8>, Verdict> {
    let mut index = Vec::new();
    for number in 0..size.div_ceil(SEGMENT) {
        let leaves = (size - number * SEGMENT).min(SEGMENT);
        let served = log.fetch(&tags::path(number)).map_err(|error| verdict::of(&error))?;
        let mut served = served.filter(|served| served.len() as u64 >= leaves * PREFIX).ok_or_else(|| say(Code::Unsearched))?;
        served.truncate((leaves * PREFIX) as usize);
        index.append(&mut served);
    }
    Ok(index)
}

/// The entries of a bundle, all proven under the checkpoint of `reader` by one path.
fn read_bundle(
    log: &PublicLog,
    reader: &Reader<'_, PublicLog>,
    tiles: &TileHashes<'_, PublicLog>,
    bundle: u64,
) -> log::Result<Vec<Vec<u8>>> {
    let size = reader.checkpoint().size();
    let beyond = log::Error::Proof { why: "the index lies beyond the tree" };
    let tile = Tile::at(Kind::Entries, bundle, size).ok_or(beyond)?;
    let (found, bytes) = match log.fetch(&tile.to_string())? {
        Some(bytes) => (tile, bytes),
        // Once a bundle is full its parts may go.
        None => (tile.full(), log.fetch(&tile.full().to_string())?.ok_or(log::Error::Missing { path: tile.to_string() })?),
    };
    let entries = parse_bundle(&bytes, found.width())?;
    let entries: Vec<Vec<u8>> = entries.into_iter().take(usize::from(tile.width())).map(<[u8]>::to_vec).collect();
    let start = bundle * u64::from(FULL);
    let own = BundleHashes { start, leaves: entries.iter().map(|entry| leaf_hash(entry)).collect(), tiles };
    // The path of the first entry holds every other entry of the bundle on its right side.
    let proof = proof::inclusion(&own, start, size)?;
    let first = own.leaves.first().copied().ok_or(log::Error::Missing { path: tile.to_string() })?;
    verify_inclusion(start, size, &first, &proof, reader.checkpoint().root())?;
    Ok(entries)
}

/// The hashes of a bundle as its entries make them, and those around it as the tiles state them.
struct BundleHashes<'a> {
    start: u64,
    leaves: Vec<Hash>,
    tiles: &'a TileHashes<'a, PublicLog>,
}

impl HashReader for BundleHashes<'_> {
    fn read(&self, level: u32, index: u64) -> log::Result<Hash> {
        let span = 1u64.checked_shl(level).unwrap_or(u64::MAX);
        let inside = index.checked_mul(span).and_then(|first| first.checked_sub(self.start));
        let own = inside.and_then(|from| self.leaves.get(usize::try_from(from).ok()?..usize::try_from(from + span).ok()?));
        match own {
            Some(leaves) => Ok(complete_root(leaves)),
            None => self.tiles.read(level, index),
        }
    }
}

/// The root over leaves whose number is a power of two.
fn complete_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

impl Tags {
    fn new(chains: &[Chain<'_>]) -> Self {
        let numbers =
            chains.iter().flat_map(|chain| (chain.first..chain.first + chain.count).map(|n| (event::tag(chain.key, n), n)));
        Self { numbers: numbers.collect() }
    }
}

impl FoundInLog {
    fn take(&mut self, at: u64, leaf: &[u8], tags: &Tags, places: &BTreeSet<u64>) {
        if places.contains(&at) {
            self.leaves.insert(at, leaf_hash(leaf));
        }
        if leaf.len() != LEAF_LEN || !leaf.starts_with(&LEAF_PREFIX) {
            return;
        }
        if let Some(n) = leaf.last_chunk::<32>().and_then(|tag| tags.numbers.get(tag)) {
            self.places.insert((*n, at));
        }
    }
}

/// One beyond the last number; 0 where there is none.
fn last_of(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

/// Bundles come in groups of so many.
const CROWD: u64 = 8;
/// How many numbers beyond the last line are looked for.
const LOOK_AHEAD: u64 = 64;
/// As many beyond the last line of each week: most weeks have none at all.
const LOOK_AHEAD_IN_WEEK: u64 = 8;
/// So many numbers may be missing between lines, beside as many as there are lines, and are still looked for.
const MOST_GAPS: u64 = 1_000;
