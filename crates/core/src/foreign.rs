//! Registers of elsewhere, read as drafts of mandates and of cameras: what each entry says is carried over, nothing is invented, and the
//! reader of mandates or of cameras says what is missing. For comparison only; a draft never joins the register.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Time;
use crate::camera::Camera;
use crate::draft::Problem;
use crate::mandate::Mandate;
use crate::register::Register;
use crate::validate;

/// Which register an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The national algorithm register of the Netherlands, as JSON.
    DutchAlgorithms,
    /// The surveillance measures of the pandemic that De Correspondent gathered, as CSV.
    PandemicMeasures,
    /// The cameras of the council of Trafford, as CSV.
    TraffordCameras,
}

/// What an entry would be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftOf {
    Camera,
    Mandate,
}

/// One entry of a foreign register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEntry {
    /// Its id there.
    pub id: String,
    /// Its title there, in the language of that register.
    pub title: String,
    pub of: DraftOf,
    /// What it says, in the fields of a mandate or of a camera.
    pub draft: Value,
}

/// How the entries of one register fare as mandates, or as cameras.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    pub entries: usize,
    /// How many could stand here as they are.
    pub complete: usize,
    /// What keeps the others from being one, the commonest first.
    pub lacks: Vec<Lack>,
}

/// One field, one rule, and how many entries it refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Dotted path of the field in a mandate or a camera.
    pub field: String,
    /// Code of the rule, as [`Problem`] has it.
    pub rule: &'static str,
    pub entries: usize,
}

/// Why a file is no register that can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("This is not the JSON of the Dutch algorithm register: {0}. Fetch `data/algoritmes.json` anew.")]
    Json(#[source] serde_json::Error),
    #[error("This is not the CSV of the pandemic measures: {0}. Fetch `public_data/tt_measures .csv` anew.")]
    Csv(#[source] csv::Error),
    #[error("This is not the CSV of the cameras of Trafford: {0}. Fetch `assets/cctv/trafford_cctv_cameras.csv` anew.")]
    Cameras(#[source] csv::Error),
    #[error("The register that ships with the program cannot be unpacked: {0}. Install the program anew.")]
    Packed(#[source] std::io::Error),
    #[error("This file has no entries. Give a file with at least one.")]
    Empty,
}

/// What is used of the snapshot of the Dutch register. `status` and `impactassessment` (yes, no, unknown) have no field in a mandate,
/// which asks where the assessment is published; the day of registration is not the day on which anything begins.
#[derive(Deserialize)]
struct Algorithms {
    algoritmes: Vec<Algorithm>,
}

#[derive(Deserialize)]
struct Algorithm {
    id: String,
    title: String,
    organisatie: String,
    doel: String,
    juridische_basis: String,
}

/// What is used of the table of measures. Its country is where a measure holds, not where data is used.
#[derive(Deserialize)]
struct Measure {
    id: String,
    title: String,
    date: String,
    purpose: String,
    organizations: String,
    target: String,
}

/// What is used of the table of cameras. The code of an area has no field here.
#[derive(Deserialize)]
struct TraffordCamera {
    camera_id: String,
    location: String,
    area_name: String,
    lon: String,
    lat: String,
}

/// Reads a file of one of the registers: JSON is the Dutch one, a table that begins with cameras that of Trafford, and anything else has to
/// be the table of measures.
pub fn read(text: &str) -> Result<(Origin, Vec<ForeignEntry>), Unreadable> {
    let text = text.trim_start_matches('\u{feff}');
    let (origin, entries): (_, Vec<ForeignEntry>) = if text.trim_start().starts_with(['{', '[']) {
        let found: Algorithms = serde_json::from_str(text).map_err(Unreadable::Json)?;
        (Origin::DutchAlgorithms, found.algoritmes.into_iter().map(algorithm).collect())
    } else if text.starts_with("camera_id,") {
        let found: Result<Vec<TraffordCamera>, _> = csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
        (Origin::TraffordCameras, found.map_err(Unreadable::Cameras)?.into_iter().map(camera).collect())
    } else {
        let found: Result<Vec<Measure>, _> = csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
        (Origin::PandemicMeasures, found.map_err(Unreadable::Csv)?.into_iter().map(measure).collect())
    };
    if entries.is_empty() { Err(Unreadable::Empty) } else { Ok((origin, entries)) }
}

fn algorithm(entry: Algorithm) -> ForeignEntry {
    let draft = json!({
        "kind": "ordinary",
        "title": within("nl", &entry.title),
        "controller": entry.organisatie,
        "purpose": {"sentence": within("nl", &entry.doel)},
        "legal_basis": basis(&entry.juridische_basis),
    });
    ForeignEntry { id: entry.id, title: entry.title, of: DraftOf::Mandate, draft }
}

fn measure(entry: Measure) -> ForeignEntry {
    let draft = json!({
        "kind": "emergency",
        "title": within("en", &entry.title),
        "controller": entry.organizations,
        "purpose": {"sentence": within("en", &entry.purpose)},
        "subjects": within("en", &entry.target),
        "starts_at": entry.date,
    });
    ForeignEntry { id: entry.id, title: entry.title, of: DraftOf::Mandate, draft }
}

fn camera(entry: TraffordCamera) -> ForeignEntry {
    let place = format!("{}, {}", entry.location.trim(), entry.area_name.trim());
    let draft = json!({
        "location": {"place": within("en", &place), "latitude": entry.lat, "longitude": entry.lon},
    });
    ForeignEntry { id: entry.camera_id, title: place, of: DraftOf::Camera, draft }
}

/// A text in the one language it has, or nothing.
fn within(language: &str, text: &str) -> Value {
    if text.trim().is_empty() { Value::Null } else { json!({ language: text.trim() }) }
}

fn basis(text: &str) -> Value {
    if text.trim().is_empty() { Value::Null } else { json!({"instrument": within("nl", text)}) }
}

impl ForeignEntry {
    /// Everything that keeps it from being a mandate under the generic law at `at`, or from being proposed as a camera.
    pub fn problems(&self, at: Time) -> Vec<Problem> {
        if self.of == DraftOf::Camera {
            return Camera::read(&self.draft).err().unwrap_or_default();
        }
        match Mandate::read(&self.draft) {
            Ok(mandate) => validate::mandate_lengths(&Register::default(), &mandate, at),
            Err(problems) => problems,
        }
    }
}

impl Shortfall {
    /// Counts what the entries lack. A field that breaks a rule twice in one entry counts once.
    pub fn of(entries: &[ForeignEntry], at: Time) -> Self {
        let mut complete = 0;
        let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for entry in entries {
            let problems = entry.problems(at);
            complete += usize::from(problems.is_empty());
            let lacking: BTreeSet<_> = problems.into_iter().map(|problem| (problem.field, problem.rule)).collect();
            for lack in lacking {
                *counts.entry(lack).or_default() += 1;
            }
        }
        let mut lacks: Vec<Lack> = counts.into_iter().map(|((field, rule), entries)| Lack { field, rule, entries }).collect();
        lacks.sort_by_key(|lack| std::cmp::Reverse(lack.entries));
        Self { entries: entries.len(), complete, lacks }
    }
}
