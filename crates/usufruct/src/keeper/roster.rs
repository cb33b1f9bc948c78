//! The roster: who keeps the root of a key tree, and by which certificates they and the city know each other. One file for all.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use usufruct_app::KeeperSetup;
use usufruct_core::Text;
use usufruct_core::keeper::is_name;
use usufruct_core::statement::public_key;

use super::tls;
use crate::failure::Failure;

/// The keepers of a key tree and its city: the file `keepers.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Name of the key tree: the origin of the city's log.
    pub vault: String,
    /// So many keepers bring the root back.
    pub threshold: usize,
    pub city: CityEntry,
    /// In the order of their shares, which never changes. Who takes another's place takes its share.
    #[serde(rename = "keeper")]
    pub keepers: Vec<Entry>,
}

/// The city in a roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CityEntry {
    pub certificate: Certificate,
}

/// One keeper in a roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    /// Where it answers, as `https://keeper.example:8443`.
    pub url: String,
    /// The key by which it signs, raw Ed25519, base64url.
    pub public: String,
    pub certificate: Certificate,
    /// Who runs it.
    pub institution: Text,
}

/// A TLS certificate, written as DER in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(pub CertificateDer<'static>);

/// A file with one keeper, as `usufruct keeper init` prints it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryFile {
    /// The key tree whose root it is to keep.
    pub vault: String,
    pub keeper: Vec<Entry>,
}

/// A file with the city, as `usufruct keeper city` prints it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CityFile {
    /// Its key tree.
    pub vault: String,
    pub city: CityEntry,
}

impl Roster {
    /// Reads and checks the roster in a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        read::<Self>(path)?.checked().map_err(|what| malformed(path, &what))
    }

    /// The roster, if it can be one.
    pub fn checked(self) -> Result<Self, String> {
        let count = self.keepers.len();
        if !is_name(&self.vault) {
            return Err("`vault` is no name of a key tree".to_owned());
        }
        if count > 255 || self.threshold < 2 || self.threshold > count || 2 * self.threshold <= count {
            return Err("`threshold` must be 2 or more, and more than half of the keepers".to_owned());
        }
        for (number, entry) in self.keepers.iter().enumerate() {
            entry.check()?;
            let name = &entry.name;
            if entry.certificate == self.city.certificate {
                return Err(format!("{name} has the certificate of the city"));
            }
            let is_same =
                |other: &&Entry| other.name == *name || other.public == entry.public || other.certificate == entry.certificate;
            if self.keepers[..number].iter().any(|other| is_same(&other)) {
                return Err(format!("the name, key or certificate of {name} stands there twice"));
            }
        }
        Ok(self)
    }

    /// What the city publishes about its keepers.
    pub fn public_facts(&self) -> KeeperSetup {
        let keepers = self.keepers.iter().map(|entry| (entry.name.clone(), entry.public.clone())).collect();
        KeeperSetup { threshold: self.threshold, keepers }
    }

    /// The file.
    pub fn text(&self) -> Result<String, Failure> {
        Ok(format!("# Who keeps the root of this key tree. The same file for the city and for every keeper.\n{}", text(self)?))
    }
}

impl Entry {
    /// Says what is wrong with it, if something is.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if !is_name(name) {
            return Err("the name of a keeper is not 1 to 255 printable ASCII characters without a space".to_owned());
        }
        if public_key(&self.public).is_none() {
            return Err(format!("`public` of {name} is no Ed25519 key in base64url"));
        }
        let url = reqwest::Url::parse(&self.url).map_err(|_| format!("`url` of {name} is no address"))?;
        let is_plain = url.scheme() == "https" && url.path() == "/" && url.username().is_empty() && url.query().is_none();
        if !is_plain || url.password().is_some() || url.fragment().is_some() || self.url.ends_with('/') {
            return Err(format!("`url` of {name} is not https, a host and a port, without a slash at the end"));
        }
        Ok(())
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&tls::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        tls::decode(&text).map(Self).ok_or_else(|| D::Error::custom("a certificate is X.509 in DER, base64url without padding"))
    }
}

/// One part of a roster as TOML.
pub fn text(part: &impl Serialize) -> Result<String, Failure> {
    toml::to_string(part)
        .map_err(|error| Failure::impossible(format!("The roster cannot be written: {error}."), "Report this as a defect."))
}

/// The one keeper in a file that it printed for this key tree.
pub fn read_entry(path: &Path, vault: &str) -> Result<Entry, Failure> {
    let file = read::<EntryFile>(path)?;
    is_about(path, &file.vault, vault)?;
    match <[Entry; 1]>::try_from(file.keeper) {
        Ok([entry]) => Ok(entry),
        Err(_) => Err(malformed(path, "it must have one [[keeper]]")),
    }
}

/// The city in a file that it printed for this key tree.
pub fn read_city(path: &Path, vault: &str) -> Result<CityEntry, Failure> {
    let file = read::<CityFile>(path)?;
    is_about(path, &file.vault, vault)?;
    Ok(file.city)
}

/// Refuses what was printed for another pass. Its keepers would wait for a city that never calls.
fn is_about(path: &Path, printed: &str, vault: &str) -> Result<(), Failure> {
    match printed == vault {
        true => Ok(()),
        false => Err(Failure::refused(
            format!("{} is about {printed}, and the roster about {vault}.", path.display()),
            "Give what was printed for this pass, or correct --vault.",
        )),
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    toml::from_str(&text).map_err(|error| malformed(path, error.message()))
}

fn malformed(path: &Path, what: &str) -> Failure {
    Failure::refused(
        format!("{} cannot be used: {what}.", path.display()),
        "Put it together again with `usufruct keeper roster` from what the city and its keepers printed.",
    )
}

/// Name of the roster in a data directory.
pub const FILE: &str = "keepers.toml";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SystemRng;
    use usufruct_app::House;

    fn roster(folder: &Path) -> Roster {
        let certificate = |name: &str| {
            let house = House::open(&folder.join(name)).unwrap();
            tls::Identity::make(&house, name, &SystemRng).unwrap().certificate()
        };
        let entry = |name: &str, public: &str| Entry {
            name: name.to_owned(),
            url: format!("https://{name}.example:8443"),
            public: format!("{}{public}A", "A".repeat(41)),
            certificate: certificate(name),
            institution: Text::new(name, name),
        };
        Roster {
            vault: "city.test/log".to_owned(),
            threshold: 2,
            city: CityEntry { certificate: certificate("city") },
            keepers: vec![entry("office", "B"), entry("court", "C"), entry("archive", "D")],
        }
    }

    #[test]
    fn a_roster_says_what_is_wrong_with_it() {
        let folder = std::env::temp_dir().join(format!("usufruct-roster-{}", std::process::id()));
        let good = roster(&folder);
        let path = folder.join(FILE);
        std::fs::write(&path, good.text().unwrap()).unwrap();
        assert_eq!(Roster::read(&path).unwrap(), good, "what is written is read");

        type Change = fn(&mut Roster);
        let cases: [(Change, &str); 11] = [
            (|roster| roster.vault = "two words".to_owned(), "vault"),
            (|roster| roster.threshold = 1, "threshold"),
            (|roster| roster.threshold = 4, "threshold"),
            (|roster| roster.keepers.push(roster.keepers[0].clone()), "threshold"),
            (|roster| roster.keepers[0].name = String::new(), "name"),
            (|roster| roster.keepers[0].public = "AAAA".to_owned(), "public"),
            (|roster| roster.keepers[1].name = "office".to_owned(), "twice"),
            (|roster| roster.keepers[1].public = roster.keepers[0].public.clone(), "twice"),
            (|roster| roster.keepers[1].certificate = roster.keepers[0].certificate.clone(), "twice"),
            (|roster| roster.keepers[2].certificate = roster.city.certificate.clone(), "certificate of the city"),
            (|roster| roster.keepers.truncate(1), "threshold"),
        ];
        for (change, what) in cases {
            let mut wrong = good.clone();
            change(&mut wrong);
            let said = wrong.checked().unwrap_err();
            assert!(said.contains(what), "{what}: {said}");
        }
        for url in
            ["http://a.example", "https://a.example/", "https://a.example/x", "https://u:p@a.example", "https://a.example?x", "a"]
        {
            let mut wrong = good.clone();
            wrong.keepers[0].url = url.to_owned();
            assert!(wrong.checked().unwrap_err().contains("url"), "{url}");
        }
        let text = good.text().unwrap().replace("certificate = \"", "certificate = \"AAAA");
        std::fs::write(&path, text).unwrap();
        assert!(Roster::read(&path).unwrap_err().to_string().contains("X.509"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
