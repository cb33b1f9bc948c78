//! The content of a city: the folder `examples/taipei-like` inside the binary, or another one like it.

use std::fs;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::Value;
use usufruct_core::case::{CaseKind, Finding};
use usufruct_core::id::{AgencyId, AgreementId, BlockId, BodyAuditId, CameraId, CheckId, ContractId, MandateId, ServiceId};
use usufruct_core::id::{MeetingId, OrderId, RulingId};
use usufruct_core::{Text, Time};

use crate::failure::Failure;
use crate::written;

/// Everything that the demo publishes.
pub struct City {
    pub head: Head,
    pub agencies: Vec<(AgencyId, Body)>,
    pub blocks: Vec<(BlockId, Value)>,
    pub contracts: Vec<(ContractId, Value)>,
    pub checks: Vec<(CheckId, Value)>,
    pub agreements: Vec<(AgreementId, Value)>,
    pub audits: Vec<(BodyAuditId, Value)>,
    pub cameras: Vec<(CameraId, Value)>,
    pub orders: Vec<(OrderId, Value)>,
    pub meetings: Vec<(MeetingId, Value)>,
    pub rulings: Vec<(RulingId, Value)>,
    pub services: Vec<(ServiceId, Value)>,
    pub mandates: Vec<(MandateId, Draft)>,
    pub personas: Vec<Persona>,
    pub surnames: Vec<String>,
    pub given_names: Vec<String>,
    pub districts: Vec<String>,
    pub streets: Vec<String>,
}

/// `city.toml`.
#[derive(Deserialize)]
pub struct Head {
    pub name: Text,
    pub operator: AgencyId,
    pub begins: Time,
    pub log: Log,
}

#[derive(Deserialize)]
pub struct Log {
    pub origin: String,
}

/// An agency's statement without its keys, and the offices that sign for it.
pub struct Body {
    pub body: Value,
    pub roles: Vec<String>,
}

/// The tables of a mandate file.
pub struct Draft {
    pub mandate: Value,
    pub notice: Value,
    /// Nothing where the file has no impact assessment.
    pub assessment: Value,
}

/// One of the residents a visitor can sign in as.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    pub id: u32,
    pub name: Text,
    pub birth_year: i16,
    pub district: String,
    pub language: String,
    #[expect(dead_code, reason = "said for readers of the file; signing in to the demo needs neither card nor passkey")]
    pub holds: String,
    pub story: Text,
    #[serde(default)]
    pub consents: Vec<PastConsent>,
    #[serde(default)]
    pub history: Vec<PastUse>,
    #[serde(default)]
    pub cases: Vec<PastCase>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastConsent {
    pub mandate: MandateId,
    pub days_ago: i64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastUse {
    pub mandate: MandateId,
    pub service: ServiceId,
    pub reason: String,
    pub days_ago: i64,
    pub blocks: Vec<BlockId>,
    #[serde(default)]
    pub refused: bool,
}

/// What a resident asked or complained about: her latest line under a mandate.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastCase {
    pub mandate: MandateId,
    pub kind: CaseKind,
    pub words: String,
    pub days_ago: i64,
    pub answer: Option<PastAnswer>,
}

/// What the office said to it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastAnswer {
    pub days_ago: i64,
    pub finding: Finding,
    pub reasons: String,
}

#[derive(Deserialize)]
struct Personas {
    personas: Vec<Persona>,
}

#[derive(RustEmbed)]
#[folder = "../../examples/taipei-like"]
struct Embedded;

impl Persona {
    /// The word in the link, as `amara-delgado`.
    pub fn key(&self) -> String {
        let letters =
            self.name.en.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>();
        letters.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    }
}

impl City {
    /// Reads the city in `folder`, or the one inside the binary; `today` is the day on which the demo starts.
    pub fn read(folder: Option<&Path>, today: Time) -> Result<Self, Failure> {
        let files = Files { folder: folder.map(Path::to_owned) };
        let toml = |path: &str| written::text(&files.text(path)?, path, today);
        let head: Head = typed("city.toml", toml("city.toml")?)?;
        let mut agencies = Vec::new();
        for path in files.list("agencies")? {
            let mut body = toml(&path)?;
            let roles = body.as_object_mut().and_then(|members| members.remove("roles")).unwrap_or_default();
            agencies.push((written::id("agc", Path::new(&path))?, Body { body, roles: typed(&path, roles)? }));
        }
        let mut mandates = Vec::new();
        for path in files.list("mandates")? {
            let mut table = toml(&path)?;
            let mut part = |name: &str| table.get_mut(name).map(Value::take).unwrap_or_default();
            let draft = Draft { mandate: part("mandate"), notice: part("notice"), assessment: part("assessment") };
            mandates.push((written::id("mdt", Path::new(&path))?, draft));
        }
        let personas: Personas = typed("people/personas.toml", toml("people/personas.toml")?)?;
        Ok(Self {
            head,
            agencies,
            blocks: files.objects("blocks", "blk", today)?,
            contracts: files.objects("contracts", "ctr", today)?,
            checks: files.objects("checks", "chk", today)?,
            agreements: files.objects("agreements", "agr", today)?,
            audits: files.objects("audits", "bau", today)?,
            cameras: files.objects("cameras", "cam", today)?,
            orders: files.objects("orders", "ord", today)?,
            meetings: files.objects("meetings", "mtg", today)?,
            rulings: files.objects("rulings", "rul", today)?,
            services: files.objects("services", "svc", today)?,
            mandates,
            personas: personas.personas,
            surnames: files.words("people/surnames.txt")?,
            given_names: files.words("people/given-names.txt")?,
            districts: files.words("people/districts.txt")?,
            streets: files.words("people/streets.txt")?,
        })
    }
}

/// Folders that a city may leave out.
const OPTIONAL: [&str; 7] = ["agreements", "audits", "cameras", "checks", "meetings", "orders", "rulings"];

/// Where the files are.
struct Files {
    folder: Option<PathBuf>,
}

impl Files {
    /// Paths of the TOML files in a folder, sorted.
    fn list(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let mut paths: Vec<String> = match &self.folder {
            None => {
                Embedded::iter().map(|path| path.into_owned()).filter(|path| path.starts_with(&format!("{folder}/"))).collect()
            }
            // A city may have none of these.
            Some(root) if !root.join(folder).exists() && OPTIONAL.contains(&folder) => Vec::new(),
            Some(root) => {
                let path = root.join(folder);
                let entries = fs::read_dir(&path).map_err(|error| Failure::file(&path, &error))?;
                entries.filter_map(|entry| Some(format!("{folder}/{}", entry.ok()?.file_name().to_str()?))).collect()
            }
        };
        paths.retain(|path| path.ends_with(".toml"));
        paths.sort_unstable();
        Ok(paths)
    }

    fn text(&self, path: &str) -> Result<String, Failure> {
        match &self.folder {
            Some(root) => fs::read_to_string(root.join(path)).map_err(|error| Failure::file(&root.join(path), &error)),
            None => {
                let file = Embedded::get(path)
                    .ok_or_else(|| Failure::impossible(format!("The city has no {path}."), "Give a whole city with --city."))?;
                Ok(String::from_utf8_lossy(&file.data).into_owned())
            }
        }
    }

    fn objects<T: std::str::FromStr>(&self, folder: &str, prefix: &str, today: Time) -> Result<Vec<(T, Value)>, Failure>
    where
        T::Err: std::fmt::Display,
    {
        let read = |path: &String| Ok((written::id(prefix, Path::new(path))?, written::text(&self.text(path)?, path, today)?));
        self.list(folder)?.iter().map(read).collect()
    }

    /// The first column of a list: the Chinese words.
    fn words(&self, path: &str) -> Result<Vec<String>, Failure> {
        let text = self.text(path)?;
        let words: Vec<String> =
            text.lines().filter_map(|line| line.split('\t').next()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if words.is_empty() { Err(Failure::refused(format!("{path} is empty."), "Write one word per line.")) } else { Ok(words) }
    }
}

fn typed<T: serde::de::DeserializeOwned>(path: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::refused(format!("{path} cannot be understood: {error}."), "Compare it with examples/taipei-like.")
    })
}
