//! The registers of elsewhere that ship with the program, and what their entries lack. They do not change, so they are read once.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Serialize;
use usufruct_core::Time;
use usufruct_core::foreign::{self, ForeignEntry, Origin, Shortfall, Unreadable};

/// 8 August 2026, the day of the younger snapshot: the law of that day is asked.
const READ_AT_MICROS: i64 = 1_786_147_200_000_000;

const MEASURES: &str = include_str!("../data/covid-surveillance-measures-650.csv");
const CAMERAS: &str = include_str!("../data/trafford-cctv-cameras-163.csv");
const ALGORITHMS: &[u8] = include_bytes!("../data/nl-algorithm-register-2026-08-08.json.gz");

/// A register that ships with the program.
#[derive(Debug)]
pub struct Elsewhere {
    pub origin: Origin,
    pub entries: Vec<ForeignEntry>,
}

/// A register that ships with the program, counted.
#[derive(Debug, Serialize)]
pub struct ElsewhereCount {
    pub origin: Origin,
    #[serde(flatten)]
    pub shortfall: Shortfall,
}

/// All registers with all their entries, for those who look at one of them.
pub fn elsewhere() -> Result<Vec<Elsewhere>, Unreadable> {
    let mut algorithms = String::new();
    GzDecoder::new(ALGORITHMS).read_to_string(&mut algorithms).map_err(Unreadable::Packed)?;
    [MEASURES, &algorithms, CAMERAS]
        .into_iter()
        .map(|text| foreign::read(text).map(|(origin, entries)| Elsewhere { origin, entries }))
        .collect()
}

/// How the entries of each fare as mandates or as cameras, for the public register. The first call takes a moment.
pub fn elsewhere_counts() -> Result<&'static [ElsewhereCount], &'static Unreadable> {
    static COUNTS: LazyLock<Result<Vec<ElsewhereCount>, Unreadable>> = LazyLock::new(|| {
        let at = Time::from_micros(READ_AT_MICROS);
        let counted = |read: Elsewhere| ElsewhereCount { origin: read.origin, shortfall: Shortfall::of(&read.entries, at) };
        Ok(elsewhere()?.into_iter().map(counted).collect())
    });
    COUNTS.as_ref().map(Vec::as_slice)
}
