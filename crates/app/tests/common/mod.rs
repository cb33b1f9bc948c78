//! A small lawful city for tests and measurements: one library, one vendor, residents, a clock that is set by hand.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use usufruct_app::log::{Objects, Transport};
use usufruct_app::store::db::{Connection, Db, Options};
use usufruct_app::vault::second_hand::SecondHand;
use usufruct_app::{App, Config, Error, House, LifecycleStep, NewResident, Open, Publication, ReleaseRequest, VaultSetup};
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::id::{AgencyId, BlockId, MandateId, ServiceId};
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::service::Profile;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::status::{Grounds, ReasonCode};
use usufruct_core::{Text, Time};

pub const OPERATOR: &str = "agc_information";
pub const LIBRARY: &str = "agc_library";
/// A body that exists once [`City::publish_agency`] made it.
pub const VENDOR: &str = "agc_vendor";
pub const CARD: &str = "mdt_library-card";
pub const SERVICE: &str = "svc_library";
/// Mandates that the services of these tests work under as soon as they exist.
const AWAITED: [&str; 1] = ["mdt_short"];
/// An oversight body with keys of its own.
pub const WATCH: &str = "agc_watch";

/// A clock that stands still until it is set.
pub struct SetClock(AtomicI64, Mutex<Option<(usize, Step)>>);

/// Something that happens while something else is under way.
type Step = Box<dyn FnOnce() + Send>;

impl SetClock {
    pub fn new(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(text.parse::<Time>().unwrap().micros()), Mutex::default()))
    }

    /// Has `step` happen once the clock has been read so many times more, before the next reading is answered.
    pub fn after(&self, readings: usize, step: impl FnOnce() + Send + 'static) {
        *self.1.lock().unwrap() = Some((readings, Box::new(step)));
    }

    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Time {
        let mut waiting = self.1.lock().unwrap();
        let due = match waiting.take() {
            Some((0, step)) => Some(step),
            Some((readings, step)) => {
                *waiting = Some((readings - 1, step));
                None
            }
            None => None,
        };
        drop(waiting);
        due.into_iter().for_each(|step| step());
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Repeatable random bytes: SHA-256 over a seed and a counter.
pub struct SeededRng(u64, AtomicU64, Mutex<Option<Step>>);

impl SeededRng {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(seed, AtomicU64::new(0), Mutex::default()))
    }

    /// Has `step` happen when bytes are drawn next, before they are.
    pub fn before_next(&self, step: impl FnOnce() + Send + 'static) {
        *self.2.lock().unwrap() = Some(Box::new(step));
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        let waiting = self.2.lock().unwrap().take();
        waiting.into_iter().for_each(|step| step());
        for chunk in bytes.chunks_mut(32) {
            let n = self.1.fetch_add(1, Ordering::SeqCst);
            let block = sha256(&[self.0.to_be_bytes(), n.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

/// On PostgreSQL the pages of the key tree are in the database, on SQLite they are in a file: so both are tested.
pub fn vault_setup(url: Option<&str>) -> VaultSetup {
    VaultSetup { pages_in_database: url.is_some_and(|url| url.starts_with("postgres")), any_disk: true, ..VaultSetup::default() }
}

/// What a city has to do with outside itself.
#[derive(Default)]
struct Outside {
    transport: Option<Arc<dyn Transport>>,
    second_hand: Option<Arc<dyn SecondHand>>,
    /// The files of the log, where another node holds them.
    objects: Option<Arc<dyn Objects>>,
}

pub struct City {
    pub app: Arc<App>,
    pub clock: Arc<SetClock>,
    pub rng: Arc<SeededRng>,
    signers: Vec<Signer>,
}

impl City {
    /// Founds a city in `dir`, on the database `url` or the embedded one.
    pub fn found(dir: &Path, url: Option<&str>) -> Self {
        Self::found_with(dir, url, None)
    }

    /// As [`City::found`], with a way to its witnesses.
    pub fn found_with(dir: &Path, url: Option<&str>, transport: Option<Arc<dyn Transport>>) -> Self {
        Self::found_in(Self::try_open(dir, url, "2026-01-01T00:00:00Z", 1, transport).unwrap())
    }

    /// Says everything that founds a city, in one that is open and empty.
    pub fn found_in(city: Self) -> Self {
        city.publish_agencies();
        city.publish_blocks();
        city.publish_mandate(CARD, library_card());
        city.publish_service();
        city
    }

    /// Opens the city in `dir` again at another time, as after a restart.
    pub fn open(dir: &Path, url: Option<&str>, at: &str, seed: u64) -> Self {
        Self::try_open(dir, url, at, seed, None).unwrap()
    }

    /// As [`City::open`], with a way to its witnesses.
    pub fn try_open(
        dir: &Path,
        url: Option<&str>,
        at: &str,
        seed: u64,
        transport: Option<Arc<dyn Transport>>,
    ) -> Result<Self, Error> {
        Self::try_open_with(dir, url, at, seed, transport, None)
    }

    /// As [`City::try_open`], with a second keeper of sector keys.
    pub fn try_open_with(
        dir: &Path,
        url: Option<&str>,
        at: &str,
        seed: u64,
        transport: Option<Arc<dyn Transport>>,
        second_hand: Option<Arc<dyn SecondHand>>,
    ) -> Result<Self, Error> {
        Self::over(dir, url, SetClock::new(at), seed, Outside { transport, second_hand, objects: None })
    }

    /// Another node of the pass in `dir`, while this one runs on: over the same database and the same files of the log, by the same clock, with a
    /// copy of this one's data directory `own`.
    pub fn beside(&self, own: &Path, dir: &Path, url: &str, seed: u64) -> Self {
        let copied = std::process::Command::new("cp").arg("-a").arg(own.join(".")).arg(dir).status();
        assert!(copied.unwrap().success());
        let objects = Some(Arc::clone(self.app.log_objects()));
        Self::over(dir, Some(url), Arc::clone(&self.clock), seed, Outside { objects, ..Outside::default() }).unwrap()
    }

    fn over(dir: &Path, url: Option<&str>, clock: Arc<SetClock>, seed: u64, outside: Outside) -> Result<Self, Error> {
        let Outside { transport, second_hand, objects } = outside;
        let rng = SeededRng::new(seed);
        let house = House::open(dir).unwrap();
        let people = [OPERATOR, LIBRARY, VENDOR].map(|agency| [(agency, "head"), (agency, "data-protection")]);
        let sign = |(agency, key): &(&str, &str)| house.signer(&agency.parse().unwrap(), key, rng.as_ref()).unwrap();
        let signers: Vec<Signer> = people.as_flattened().iter().map(sign).collect();
        let config = Config {
            origin: "city.test/log".into(),
            database: url.map(str::to_owned),
            operator: OPERATOR.parse().unwrap(),
            vault: vault_setup(url),
        };
        let (clock_port, root) = (Arc::clone(&clock) as Arc<dyn Clock>, None);
        let rng_port = Arc::clone(&rng) as Arc<dyn Rng>;
        let app = App::open(Open { config, house, clock: clock_port, rng: rng_port, root, objects, second_hand, transport })?;
        // What services are told is looked at where it happens; the test about time sets it back.
        app.spread_word(0);
        Ok(Self { app: Arc::new(app), clock, rng, signers })
    }

    /// Residents with a name and a district.
    pub fn enrol(&self, count: usize) -> Vec<u64> {
        let residents: Vec<_> = (0..count)
            .map(|i| NewResident {
                blocks: vec![(block("name"), format!("Resident {i}")), (block("district"), "Harbour".into())],
            })
            .collect();
        residents.chunks(5_000).flat_map(|chunk| self.app.enrol(chunk).unwrap()).map(|enrolled| enrolled.resident).collect()
    }

    /// A resident who agreed to the library card, and her pseudonym there.
    pub fn cardholder(&self) -> (u64, String) {
        let resident = self.enrol(1)[0];
        self.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
        (resident, self.app.subject(resident, &service()).unwrap())
    }

    pub fn request(&self, subject: &str) -> ReleaseRequest {
        ReleaseRequest {
            service: service(),
            mandate: mandate(),
            subject: subject.to_owned(),
            blocks: vec![(block("name"), Form::Value)],
            reason: "lending".into(),
            actor: None,
            sign_in: None,
            third_party: false,
            since: None,
            written_reason: None,
        }
    }

    /// Gives a body that has nobody yet its two people, so that it can be published and speak.
    pub fn staff(&mut self, agency: &str) {
        let id: AgencyId = agency.parse().unwrap();
        let people = ["head", "data-protection"].map(|key| self.app.house().signer(&id, key, self.app.rng()).unwrap());
        self.signers.extend(people);
    }

    pub fn signer(&self, agency: &str) -> Vec<&Signer> {
        self.signers.iter().filter(|signer| signer.agency().as_str() == agency).collect()
    }

    pub fn publish(&self, kind: StatementKind, id: &str, by: &str, body: Value) -> Statement {
        let by: AgencyId = by.parse().unwrap();
        let mut statement = self.app.statement(kind, id, &by, body, self.app.now());
        for signer in self.signer(by.as_str()) {
            statement.approve(signer).unwrap();
        }
        self.app.publish(&Publication { statements: vec![statement.clone()] }).unwrap();
        statement
    }

    pub fn publish_mandate(&self, id: &str, body: Value) {
        let publication =
            self.app.mandate_publication(&id.parse().unwrap(), body, &notice(), &self.signer(LIBRARY), self.app.now()).unwrap();
        let id: MandateId = id.parse().unwrap();
        let is_new = !self.app.register().mandates.contains_key(&id);
        self.app.publish(&publication).unwrap();
        if is_new {
            self.take_up(&id);
        }
    }

    /// Registers the services of these tests under a mandate that is new, where it gives their body a part.
    fn take_up(&self, mandate: &MandateId) {
        let register = self.app.register();
        let body = &register.mandates[mandate].body;
        for (id, entry) in &register.services {
            let agency = &entry.body.agency;
            let has_part = body.controller == *agency || body.recipients.iter().any(|recipient| recipient.agency == *agency);
            let gets_data = entry.state == State::Active && entry.body.profile == Profile::Fapi2;
            if gets_data && has_part && AWAITED.contains(&mandate.as_str()) {
                let mut changed = serde_json::to_value(&entry.body).unwrap();
                changed["mandates"].as_array_mut().unwrap().push(json!(mandate));
                self.publish(StatementKind::Service, id.as_str(), agency.as_str(), changed);
            }
        }
    }

    fn publish_agencies(&self) {
        for (id, kind) in [(OPERATOR, "operator"), ("agc_oversight", "oversight"), (LIBRARY, "agency")] {
            self.publish_agency(id, kind);
        }
    }

    pub fn publish_agency(&self, id: &str, kind: &str) {
        let signers = if id == "agc_oversight" { self.signer(OPERATOR) } else { self.signer(id) };
        let mut keys: Vec<_> =
            signers.iter().map(|signer| json!({"id": signer.key(), "role": signer.key(), "public": signer.public()})).collect();
        if id == OPERATOR {
            let automation = self.app.house().signer(&OPERATOR.parse().unwrap(), "automation", self.app.rng()).unwrap();
            keys.push(json!({"id": "automation", "role": "automation", "public": automation.public()}));
        }
        let body = json!({
            "legal_name": text("Body"), "kind": kind, "contact": "1999", "protection_officer": "Office", "security_officer": "Office",
            "jurisdiction": "TW", "signing_keys": keys,
        });
        self.publish(StatementKind::Agency, id, OPERATOR, body);
    }

    /// Two people of the overseer [`WATCH`], in two roles.
    pub fn watchers(&self) -> Vec<Signer> {
        let rng = SeededRng::new(77);
        let sign = |key| self.app.house().signer(&WATCH.parse().unwrap(), key, rng.as_ref()).unwrap();
        ["chair", "member"].map(sign).into()
    }

    /// Registers the overseer [`WATCH`].
    pub fn publish_watch(&self) {
        self.publish_watched_over(WATCH, "oversight");
    }

    /// Registers a body whose people sign with the keys of the overseer.
    pub fn publish_watched_over(&self, id: &str, kind: &str) {
        let key = |signer: &Signer| json!({"id": signer.key(), "role": signer.key(), "public": signer.public()});
        let keys: Vec<_> = self.watchers().iter().map(key).collect();
        let body = json!({
            "legal_name": text("Commission"), "kind": kind, "contact": "1999", "protection_officer": "Office",
            "security_officer": "Office", "jurisdiction": "TW", "signing_keys": keys,
        });
        self.publish(StatementKind::Agency, id, OPERATOR, body);
    }

    /// What the overseer says now, approved by these people; or why not.
    pub fn watch(&self, kind: StatementKind, id: &str, body: Value, signers: &[Signer]) -> Result<Vec<u64>, Error> {
        self.app.publish(&self.publication_of_watch(kind, id, body, signers))
    }

    /// What all people of the overseer have signed now and nobody has published yet.
    pub fn said_by_watch(&self, kind: StatementKind, id: &str, body: Value) -> Publication {
        self.publication_of_watch(kind, id, body, &self.watchers())
    }

    fn publication_of_watch(&self, kind: StatementKind, id: &str, body: Value, signers: &[Signer]) -> Publication {
        let mut statement = self.app.statement(kind, id, &WATCH.parse().unwrap(), body, self.app.now());
        for signer in signers {
            statement.approve(signer).unwrap();
        }
        Publication { statements: vec![statement] }
    }

    fn publish_blocks(&self) {
        for (id, correctable) in [("name", false), ("district", true)] {
            let body = json!({
                "name": text(id), "category": "pd:Name", "sensitivity": "ordinary", "source_agency": LIBRARY,
                "attributes": [text(id)], "forms_allowed": ["token", "predicate", "value"], "correctable": correctable,
            });
            self.publish(StatementKind::DataBlock, &format!("blk_{id}"), OPERATOR, body);
        }
    }

    fn publish_service(&self) {
        self.open_service(SERVICE, LIBRARY, "library");
    }

    /// A service that works under the mandates of these tests.
    pub fn open_service(&self, id: &str, agency: &str, sector: &str) {
        self.open_service_with(id, agency, sector, |_| {});
    }

    /// As [`City::open_service`], with something else in its statement.
    pub fn open_service_with(&self, id: &str, agency: &str, sector: &str, change: impl FnOnce(&mut Value)) {
        let mut body = json!({
            "agency": agency, "name": text("Library"), "sector": sector, "redirect_uris": ["http://localhost:8081/callback"],
            "channels": ["web", "counter"], "alternatives": [text("Ask at the counter.")], "mandates": [CARD], "help": text("Lends books."),
        });
        let exists = |id: &&&str| self.app.register().mandates.contains_key(&id.parse().unwrap());
        body["mandates"].as_array_mut().unwrap().extend(AWAITED.iter().filter(exists).map(|id| json!(id)));
        change(&mut body);
        self.publish(StatementKind::Service, id, agency, body);
        self.step_service(id, agency, State::Active);
    }

    /// Who is late, but for the months of cases that nobody counts in these tests.
    pub fn owed(&self) -> Vec<Late> {
        let mut late = self.app.late().unwrap();
        late.retain(|late| late.duty != LateDuty::CaseTally);
        late
    }

    /// The next step of a service.
    pub fn step_service(&self, id: &str, agency: &str, to: State) {
        let entry = self.app.register().services[&id.parse().unwrap()].clone();
        let reason = Text::new("The next step.", "下一步。");
        let step = LifecycleStep { object: id, revision: entry.hash, from: entry.state, to, reason, grounds: looked_into() };
        let statement = self.app.step(&step, &agency.parse().unwrap(), &self.signer(agency), self.app.now()).unwrap();
        self.app.publish(&Publication { statements: vec![statement] }).unwrap();
    }
}

pub fn block(name: &str) -> BlockId {
    format!("blk_{name}").parse().unwrap()
}

pub fn service() -> ServiceId {
    SERVICE.parse().unwrap()
}

pub fn mandate() -> MandateId {
    CARD.parse().unwrap()
}

pub fn text(en: &str) -> Value {
    json!({"en": en, "zh-Hant": format!("{en}（中文）")})
}

/// What a step of the tests rests on.
pub fn looked_into() -> Grounds {
    Grounds { law: Some("Act 1".to_owned()), ..Grounds::of(ReasonCode::CheckFailed) }
}

pub fn notice() -> Value {
    json!({"line": text("Lends books."), "short": text("Lends books."), "manner": text("On a screen."), "rights": text("All five."),
        "effect_of_refusal": text("Show a paper card.")})
}

/// A consent mandate with generous caps, active through 2027.
pub fn library_card() -> Value {
    json!({
        "title": text("Library card"), "controller": LIBRARY, "kind": "ordinary",
        "purpose": {"sentence": text("To lend books."), "dpv": "dpv:ServiceProvision", "local_code": "TW-095", "commercial": false},
        "legal_basis": {"code": "consent", "instrument": text("Act"), "article": "15", "quote": text("With consent."),
            "url": "https://law.example.org"},
        "subjects": text("Readers"),
        "blocks": [
            {"block": "blk_name", "necessity": "required", "form": "value", "reason": text("To print it on the card.")},
            {"block": "blk_district", "necessity": "optional", "form": "value", "reason": text("To suggest a branch.")},
        ],
        "operations": ["disclose", "match", "store"], "mode": "store", "fetch": {"when": "periodic"},
        "rate_cap": {"uses": 1_000_000, "per": "P1D"}, "bulk_limit": 10_000,
        "recipients": [{"agency": LIBRARY, "why": text("It lends the books.")}], "locations": ["TW"],
        "retention": {"from_event": text("the loan"), "duration": "P30D"},
        "starts_at": "2025-12-01T00:00:00Z", "sunset_at": "2027-12-01T00:00:00Z", "automated_decision": "none", "gate": "durable",
        "reasons": [{"code": "lending", "text": text("You borrowed a book.")}], "impact_assessment": "https://example.org/dpia",
        "consultation": {"from": "2025-11-01T00:00:00Z", "to": "2025-11-20T00:00:00Z", "summary": text("People agreed.")},
        "oversight_body": "agc_oversight",
    })
}

/// Makes of each function a test on SQLite and one on PostgreSQL.
#[allow(unused_macros, reason = "every test file compiles this module and uses a part of it")]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(dir.path(), None);
            })*
        }
        mod postgres {
            $(#[test]
            fn $name() {
                $crate::common::on_postgres(stringify!($name), super::$name);
            })*
        }
    };
}
#[allow(unused_imports, reason = "every test file compiles this module and uses a part of it")]
pub(crate) use on_both;

/// Runs the test on a schema of its own in PostgreSQL, if there is one.
pub fn on_postgres(name: &str, test: impl Fn(&Path, Option<&str>)) {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: {name} on PostgreSQL, because USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("app_{}_{name}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make schema", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    let dir = tempfile::tempdir().unwrap();
    test(dir.path(), Some(&format!("{base}{separator}options=-csearch_path%3D{schema}")));
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    admin.transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
}
