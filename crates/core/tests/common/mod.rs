//! A small lawful city for the tests: bodies with keys, blocks, mandates, a contract and services, all of it brought into
//! the register by signed statements with fixed seeds and fixed times.
#![allow(dead_code, reason = "every test file compiles this module and uses a part of it")]

pub mod passkey;
pub mod walk;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::test_runner::Config as ProptestConfig;
use serde_json::{Value, json};
use usufruct_core::agency::SigningKey;
use usufruct_core::assessment::{asked_of, holding};
use usufruct_core::decide::Request;
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::id::KeyId;
use usufruct_core::lawpack::Duty;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::MandateKind;
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time, handles};

/// 2026-01-01T00:00:00Z.
const FIRST_DAY_MICROS: i64 = 1_767_225_600_000_000;

/// Midnight of day `day` of the tests; day 0 is 1 January 2026.
pub fn day(day: i64) -> Time {
    Time::from_micros(FIRST_DAY_MICROS + day * DAY)
}

/// The roles that the key names of the tests speak for. `deputy` shares the role of `head`.
pub const KEYS: [(&str, &str); 4] =
    [("head", "head"), ("privacy", "data-protection"), ("deputy", "head"), ("automation", "automation")];

/// The signer for one key of an agency.
pub fn signer(agency: &str, key: &str) -> Signer {
    let seed = sha256(format!("seed of {agency}/{key}").as_bytes());
    Signer::new(agency.parse().unwrap(), key, &seed.0).unwrap()
}

/// The entry of a key file.
pub fn file_key(public: &str) -> SigningKey {
    SigningKey { id: "head".into(), role: "head".into(), public: public.into(), holder: None, webauthn: None }
}

/// The golden files under `vectors/<folder>`, by name.
pub fn vectors(folder: &str) -> Vec<(String, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(folder);
    let mut found: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

pub fn text(en: &str) -> Value {
    json!({"en": en, "zh-Hant": format!("{en}（中文）")})
}

pub fn agency_body(id: &str, kind: &str) -> Value {
    let keys: Vec<_> =
        KEYS.iter().map(|(key, role)| json!({"id": key, "role": role, "public": signer(id, key).public()})).collect();
    json!({"legal_name": text(id), "kind": kind, "contact": "1999", "protection_officer": "privacy office",
        "security_officer": "security office", "jurisdiction": "TW", "signing_keys": keys})
}

pub fn block_body(name: &str, sensitivity: &str, forms: &[&str]) -> Value {
    json!({"name": text(name), "category": "pd:Identifying", "sensitivity": sensitivity, "source_agency": "agc_library",
        "forms_allowed": forms, "correctable": true})
}

/// The complete lawful mandate of `tests/data/library-card.toml`.
pub fn library_card() -> Value {
    static BODY: LazyLock<Value> = LazyLock::new(|| {
        let table: toml::Value = toml::from_str(include_str!("../data/library-card.toml")).unwrap();
        serde_json::to_value(table).unwrap()
    });
    BODY.clone()
}

/// A lawful mandate on a basis that is not consent.
pub fn school_meals() -> Value {
    let mut body = library_card();
    body["title"] = text("School meals");
    body["legal_basis"]["code"] = json!("public_task");
    body["legal_basis"]["provision"] = json!("TW15.1");
    body["fetch"] = json!({"when": "periodic"});
    body["recipients"] = json!([{"agency": "agc_library", "why": text("It pays the meals.")}]);
    body.as_object_mut().unwrap().remove("eight_conditions");
    body
}

/// What an emergency mandate of the tests rests on.
pub fn emergency_body() -> Value {
    let reviewer = |name: &str, speaks_for: &str| json!({"name": text(name), "speaks_for": speaks_for});
    json!({"id": "CDC-2026-1", "declared_at": "2026-01-02T00:00:00Z", "url": "https://health.example/declared", "renewal_limit": 2,
        "finding": {"by": "agc_health", "at": "2026-01-01T00:00:00Z", "title": text("Finding"), "sha256": sha256(b"finding").to_string(),
            "url": "https://health.example/finding"},
        "reviewers": [reviewer("Doctor Lin", "public_health"), reviewer("Association of migrants", "marginalised")],
        "disparity_audit_due": "2026-04-01T00:00:00Z"})
}

/// Nothing but the defaults of a request: no token, no way back, no written reason. For what a test does not speak of.
pub fn nothing_asked() -> Request {
    Request {
        service: "svc_nowhere".parse().unwrap(),
        mandate: "mdt_nowhere".parse().unwrap(),
        blocks: Vec::new(),
        reason: String::new(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    }
}

/// A lawful emergency mandate of the health authority.
pub fn outbreak() -> Value {
    let mut body = library_card();
    body["title"] = text("Outbreak");
    body["kind"] = json!("emergency");
    body["emergency"] = emergency_body();
    body.as_object_mut().unwrap().remove("continues");
    body["controller"] = json!("agc_health");
    body["recipients"] = json!([{"agency": "agc_health", "why": text("It warns people.")}]);
    body["sunset_at"] = json!(day(59 + 60).to_string());
    body
}

pub fn contract_body() -> Value {
    json!({"controller": "agc_library", "vendor": "agc_cloud", "mandates": ["mdt_library-card"],
        "scope": text("Sends reminders."), "from": day(0).to_string(), "until": day(400).to_string(),
        "capability_evidence": [{"kind": "ISO 27001", "issuer": "An auditor", "expires": day(400).to_string()}],
        "measures": [text("Encryption at rest.")], "data_locations": ["TW"], "breach_first_ping_hours": 1,
        "breach_report_hours": 72, "check_every": "P90D", "next_check_due": day(90).to_string(),
        "penalty": text("One million."), "no_own_purpose": true, "delete_within_days": 30,
        "value_blocks": [{"block": "blk_name", "why": text("Letters need a name.")}]})
}

pub fn service_body(agency: &str, sector: &str, mandates: &[&str]) -> Value {
    json!({"agency": agency, "name": text("Loans"), "sector": sector, "redirect_uris": ["https://library.example/back"],
        "channels": ["web", "counter"], "alternatives": [text("Come to the counter.")], "mandates": mandates,
        "help": text("Borrow books.")})
}

pub fn notice_body(mandate: &str, hash: Digest) -> Value {
    json!({"mandate": mandate, "mandate_hash": hash.to_string(), "line": text("For your library card"),
        "short": text("We print a card. We call books back."), "manner": text("By computer."),
        "rights": text("You may see, correct and withdraw."), "effect_of_refusal": text("Ask at the counter instead.")})
}

/// The commitment of the one key that a mandate of the tests has, or a pseudonym domain.
pub fn commitment_of(owner: &str) -> Digest {
    sha256(format!("key of {owner}").as_bytes())
}

/// A key of `mandate`, as it is published when it is made.
pub fn key_body(mandate: &str, commitment: Digest) -> Value {
    json!({"mandate": mandate, "commitment": commitment, "epoch": 2})
}

/// The id under which a key with this commitment is published.
pub fn key_id(commitment: Digest) -> String {
    KeyId::of(&commitment).to_string()
}

pub fn certificate_body(mandate: &str, at: Time) -> Value {
    let key = commitment_of(mandate);
    let root = |bucket: &[Digest]| handles::set_root(0, bucket.len() as u64, &handles::leaf(bucket));
    let proof = |bucket: &[Digest]| json!({"count": bucket.len(), "bucket": bucket, "path": []});
    json!({"cause": "sunset", "mandate": mandate, "ground": text("It is over."), "key_commitments": [key], "epoch_before": 1, "epoch_after": 2,
        "tree_root_before": root(&[key]), "tree_root_after": root(&[]), "inclusion": [proof(&[key])], "absence": [proof(&[])],
        "slot_class": "E0", "erased_live_at": at.to_string(), "erased_root_at": at.to_string(),
        "ciphertext_remains_until": at.plus(30 * usufruct_core::time::DAY).to_string(), "recipients_told": 0,
        "method": "overwritten in place", "limits": text("Copies on paper remain.")})
}

/// A city that is being written, statement by statement.
#[derive(Clone, Default)]
pub struct City {
    pub register: Register,
    pub statements: Vec<Statement>,
    pub now: Time,
}

impl City {
    /// The next statement about `id` with these approvals (agency, key); not yet applied.
    pub fn draft(&self, kind: StatementKind, id: &str, by: &str, body: Value, approvals: &[(&str, &str)]) -> Statement {
        let (rev, prev) = self.register.next_revision(kind, id);
        let mut statement =
            Statement { kind, id: id.to_owned(), rev, prev, at: self.now, by: by.parse().unwrap(), body, approvals: Vec::new() };
        for (agency, key) in approvals {
            statement.approve(&signer(agency, key)).unwrap();
        }
        statement
    }

    /// Applies `statement` as the next leaf.
    pub fn apply(&mut self, statement: Statement) -> Result<(), Vec<Problem>> {
        self.register.apply(&statement, self.statements.len() as u64)?;
        self.statements.push(statement);
        Ok(())
    }

    /// Publishes a statement of `by`, approved by two of its people; panics with the problems when it is refused.
    pub fn say(&mut self, kind: StatementKind, id: &str, by: &str, body: Value) {
        let statement = self.draft(kind, id, by, body, &[(by, "head"), (by, "privacy")]);
        if let Err(problems) = self.apply(statement) {
            panic!("{id} is refused: {problems:#?}");
        }
    }

    /// Publishes the key of a mandate, as the operator's machine does.
    pub fn say_key(&mut self, mandate: &str, commitment: Digest) {
        let body = key_body(mandate, commitment);
        let keys = [("agc_operator", "automation")];
        let statement = self.draft(StatementKind::Key, &key_id(commitment), "agc_operator", body, &keys);
        if let Err(problems) = self.apply(statement) {
            panic!("the key of {mandate} is refused: {problems:#?}");
        }
    }

    /// A status change of `object` to `to`, from its present state and revision; not yet applied.
    pub fn step_draft(&self, object: &str, to: State, by: &str, approvals: &[(&str, &str)]) -> Statement {
        let (revision, from) = self.state(object).unwrap_or((sha256(b""), State::Draft));
        let body = json!({"object": object, "revision": revision.to_string(), "from": from.code(), "to": to.code(),
            "reason": text("The next step.")});
        let id = format!("sta_{}", self.statements.len());
        self.draft(StatementKind::StatusChange, &id, by, body, approvals)
    }

    /// Takes the step with two approvals of the owner, and of the overseer where an emergency begins; panics with the problems when it is
    /// refused.
    pub fn step(&mut self, object: &str, to: State) {
        let owner = self.owner(object).unwrap();
        let overseer = self.begins_emergency(object, to);
        let bodies = std::iter::once(&owner).chain(&overseer);
        let approvals: Vec<_> = bodies.flat_map(|body| [(body.as_str(), "head"), (body.as_str(), "privacy")]).collect();
        let statement = self.step_draft(object, to, &owner, &approvals);
        if let Err(problems) = self.apply(statement) {
            panic!("the step of {object} to {to:?} is refused: {problems:#?}");
        }
    }

    /// The overseer whose two people approve a step as well, where an emergency begins with it.
    pub fn begins_emergency(&self, object: &str, to: State) -> Option<String> {
        let entry = self.register.mandates.get(&object.parse().ok()?)?;
        let begins = to == State::Active && entry.body.kind == MandateKind::Emergency;
        begins.then(|| entry.body.oversight_body.to_string())
    }

    pub fn steps(&mut self, object: &str, path: &[State]) {
        for to in path {
            self.step(object, *to);
        }
    }

    /// Hash of the present revision and state of a mandate, contract or service.
    pub fn state(&self, object: &str) -> Option<(Digest, State)> {
        let register = &self.register;
        let mandate = || register.mandates.get(&object.parse().ok()?).map(|entry| (entry.hash, entry.state));
        let contract = || register.contracts.get(&object.parse().ok()?).map(|entry| (entry.hash, entry.state));
        let service = || register.services.get(&object.parse().ok()?).map(|entry| (entry.hash, entry.state));
        let agreement = || register.agreements.get(&object.parse().ok()?).map(|entry| (entry.hash, entry.state));
        let camera = || register.cameras.get(&object.parse().ok()?).map(|entry| (entry.hash, entry.state));
        mandate().or_else(contract).or_else(service).or_else(agreement).or_else(camera)
    }

    /// The body that speaks for a mandate, contract or service.
    pub fn owner(&self, object: &str) -> Option<String> {
        let register = &self.register;
        let mandate = || register.mandates.get(&object.parse().ok()?).map(|entry| entry.body.controller.to_string());
        let contract = || register.contracts.get(&object.parse().ok()?).map(|entry| entry.body.controller.to_string());
        let service = || register.services.get(&object.parse().ok()?).map(|entry| entry.body.agency.to_string());
        let camera = || register.cameras.get(&object.parse().ok()?).map(|entry| entry.body.authority.to_string());
        let agreement =
            || register.agreements.get(&object.parse().ok()?).and_then(|entry| Some(entry.body.parties.first()?.to_string()));
        mandate().or_else(contract).or_else(service).or_else(camera).or_else(agreement)
    }

    /// The register as JSON text.
    pub fn json(&self) -> String {
        serde_json::to_string(&self.register).unwrap()
    }
}

/// The number of a parameter in the clauses of [`whole_contract`] that the law bounds.
pub const NOTICE_DAYS: i64 = 20;

/// A contract that fills every clause that the house and the law of Taiwan ask for.
pub fn whole_contract() -> Value {
    let clause = |code: &str, parameters: Value| json!({"clause": code, "parameters": parameters});
    let mut body = contract_body();
    body["clauses"] = json!([
        clause("subject-matter", json!({"categories": text("Names and card numbers")})),
        clause("instructions", json!({"office": text("The office of readers")})),
        clause("unlawful-instruction", json!({"within_hours": 24})),
        clause("confidentiality", json!({"training_months": 12})),
        clause("security-measures", json!({})),
        clause("location", json!({"sites": text("Two rooms in the city")})),
        clause("sub-processors", json!({"max_depth": 1, "notice_days": NOTICE_DAYS})),
        clause("rights-help", json!({"within_days": 5})),
        clause("breach-notice", json!({})),
        clause("audit-right", json!({})),
        clause("penalty", json!({})),
        clause("no-own-purpose", json!({})),
        clause("return-and-delete", json!({"media": text("disks")})),
        clause("liability", json!({"cover": text("Ten million")})),
        clause("change-notice", json!({"notice_days": 14})),
        clause("insolvency", json!({"plan": text("The library takes the servers over")})),
        clause("tw-remedy", json!({"measures": text("Access is cut")})),
        clause("tw-reserved-instructions", json!({"reserved": text("Any new use")})),
    ]);
    body
}

/// A camera that the police permit until day 300, the parks asked for and the vendor put up. Somebody looked at it on day 0.
pub fn camera_body() -> Value {
    json!({"authority": "agc_police", "installer": "agc_cloud", "applicant": "agc_parks", "permit_no": "2026-17",
        "permit_until": day(300).to_string(),
        "location": {"place": text("North gate"), "latitude": "25.033964", "longitude": "121.564468", "precision_m": 5},
        "direction": "south_west", "field": text("The gate and ten metres of the path."), "purpose_code": "public-safety",
        "px_per_m": 60, "recording": {"kept": true, "days": 30}, "audio": false, "face_recognition": false,
        "joined_with_personal_data": false, "live_view": {"roles": ["duty officer"], "plate_hash": sha256(b"plate").to_string()},
        "view_request_url": "https://police.example/view", "last_check": day(0).to_string()})
}

/// An audit of the library by the overseer on day 0, with one open finding.
pub fn body_audit_body() -> Value {
    json!({"auditor": "agc_oversight", "audited": "agc_library", "scope": text("Who may see loans."), "standard": "ISO/IEC 27001:2022",
        "done_at": day(0).to_string(), "next_due": day(365).to_string(),
        "findings": [{"id": "access-rights", "severity": "high", "text": text("Former staff can sign in."),
            "due": day(60).to_string(), "status": "open"}],
        "report": {"title": text("Report"), "sha256": sha256(b"report").to_string(), "url": "https://oversight.example/report"}})
}

/// An assessment of a mandate that answers every question and lets it begin.
pub fn assessment_body(mandate: &str, hash: Digest, review_due: Time) -> Value {
    let level = |likelihood: i64, severity: i64| json!({"likelihood": likelihood, "severity": severity});
    let risk = |kind: &str| json!({"kind": kind, "what": text("It could."), "before": level(3, 4), "after": level(1, 4)});
    let kinds = ["chilling", "discrimination", "error", "exclusion", "function_creep"];
    json!({"mandate": mandate, "mandate_hash": hash, "summary": text("Cards for readers."), "description": text("A name is printed."),
        "necessity": text("Books come back."),
        "alternatives": [{"what": text("A deposit."), "rejected_because": text("The poor could not borrow.")}],
        "people": text("Readers, many of them children."), "risks": kinds.map(risk),
        "measures": [{"what": text("Names go after a month."), "owner": "The office of readers", "due": day(90).to_string()}],
        "anonymity": [{"what": text("Counts of loans."), "evidence": [{"title": text("Report"), "sha256": sha256(b"report")}]}],
        "residents": text("Forty wrote."), "advice": text("Keep it short."), "residual": text("A leak of names."),
        "decision": "continue", "review_due": review_due.to_string(), "review_trigger": text("A breach, or another block.")})
}

/// The result of a check of `contract` as it stands.
pub fn check_body(city: &City, contract: &str, kind: &str, outcome: &str) -> Value {
    let (revision, _) = city.state(contract).unwrap();
    json!({"contract": contract, "revision": revision.to_string(), "kind": kind, "done_at": city.now.to_string(), "outcome": outcome,
        "evidence": [{"title": text("Report"), "sha256": sha256(kind.as_bytes()).to_string()}]})
}

/// Bodies and blocks, and the law that supervises vendors, in force from the first day.
pub fn supervised() -> City {
    let mut city = founded();
    for id in ["law_generic-2026-12", "law_tw"] {
        let (_, pack) = usufruct_core::lawpack::SHIPPED.iter().find(|(known, _)| *known == id).unwrap();
        let mut body: Value = toml::from_str(pack).unwrap();
        body["valid_from"] = json!(day(0).to_string());
        city.say(StatementKind::Lawpack, id, "agc_operator", body);
    }
    city
}

impl City {
    /// Publishes a check of `contract` by whoever has to make it.
    pub fn check(&mut self, contract: &str, kind: &str, outcome: &str) -> Result<(), Vec<Problem>> {
        let entry = &self.register.contracts[&contract.parse().unwrap()].body;
        let by = match kind {
            "city" => "agc_operator".to_owned(),
            "deletion" => entry.vendor.to_string(),
            _ => entry.controller.to_string(),
        };
        let (body, id) = (check_body(self, contract, kind, outcome), format!("chk_{}", self.statements.len()));
        self.apply(self.draft(StatementKind::Check, &id, &by, body, &[(&by, "head"), (&by, "privacy")]))
    }

    /// Takes a contract that is in the register through both checks to `active`.
    pub fn sign(&mut self, contract: &str) {
        for (kind, to) in [("agency", State::CheckedAgency), ("city", State::CheckedCity)] {
            self.check(contract, kind, "passed").unwrap();
            self.step(contract, to);
        }
        self.steps(contract, &[State::Signed, State::Active]);
    }
}

/// An agreement between the library and the parks about the joined mandate of the tests.
pub fn agreement_body(from: Time, until: Time) -> Value {
    json!({"title": text("Readers in the garden"), "parties": ["agc_library", "agc_parks"], "purpose": text("Readers enter free."),
        "legal_gateway": {"instrument": text("Culture ordinance"), "article": "9", "url": "https://law.example/9"},
        "mandates": ["mdt_joined"], "blocks": ["blk_name"],
        "transfers": [{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter the garden.")}],
        "frequency": text("Once a day"), "estimated_persons": 1000, "safeguards": [text("Both log each transfer.")],
        "due_diligence": [{"title": text("Report"), "sha256": sha256(b"report").to_string()}],
        "commercial_firewall": text("No company sees it."), "impact_assessment": "https://library.example/assessment",
        "summary": text("The garden learns who is a reader."), "oversight_body": "agc_oversight",
        "in_force_from": from.to_string(), "sunset_at": until.to_string(), "review_due": until.plus(-DAY).to_string()})
}

/// The keys of both parties.
pub const BOTH: [(&str, &str); 4] =
    [("agc_library", "head"), ("agc_library", "privacy"), ("agc_parks", "head"), ("agc_parks", "privacy")];

/// Bodies and blocks only.
pub fn founded() -> City {
    static CITY: LazyLock<City> = LazyLock::new(|| {
        let mut city = City { now: day(0), ..City::default() };
        let agencies = [
            ("agc_operator", "operator"),
            ("agc_oversight", "oversight"),
            ("agc_library", "agency"),
            ("agc_parks", "agency"),
            ("agc_health", "health_authority"),
            ("agc_police", "security_or_intelligence"),
            ("agc_cloud", "vendor"),
        ];
        for (id, kind) in agencies {
            city.say(StatementKind::Agency, id, "agc_operator", agency_body(id, kind));
        }
        let blocks = [
            ("blk_name", "ordinary", &["token", "predicate", "value"][..]),
            ("blk_age", "ordinary", &["token", "predicate"]),
            ("blk_address", "sensitive", &["token", "value"]),
            ("blk_illness", "special", &["token"]),
        ];
        for (id, sensitivity, forms) in blocks {
            city.say(StatementKind::DataBlock, id, "agc_operator", block_body(id, sensitivity, forms));
        }
        city
    });
    CITY.clone()
}

/// Publishes the assessment that the law asks of a mandate, unless one holds for it.
pub fn assess(city: &mut City, mandate: &str) {
    let entry = &city.register.mandates[&mandate.parse().unwrap()];
    if asked_of(&city.register, &entry.body, city.now).is_empty() || holding(&city.register, entry).is_some() {
        return;
    }
    let (hash, owner) = (entry.hash, entry.body.controller.to_string());
    let body = assessment_body(mandate, hash, city.now.plus(300 * DAY));
    city.say(StatementKind::Assessment, &format!("dpi_{}", &mandate[4..]), &owner, body);
}

/// Takes a draft to its publication, with its assessment where the law asks for one, and its notice.
pub fn announce(city: &mut City, mandate: &str) {
    let entry = &city.register.mandates[&mandate.parse().unwrap()];
    city.now = city.now.max(entry.body.consultation.to).max(open_long_enough(city, mandate));
    let (hash, rev, owner) = (entry.hash, entry.rev, entry.body.controller.to_string());
    assess(city, mandate);
    city.steps(mandate, &[State::Consulted, State::Approved]);
    let notice = format!("ntc_{}-{rev}", &mandate[4..]);
    city.say(StatementKind::Notice, &notice, &owner, notice_body(mandate, hash));
    city.step(mandate, State::Published);
}

/// Brings a mandate draft that is in the register to `active`: comment period over, notice out.
pub fn activate(city: &mut City, mandate: &str) {
    announce(city, mandate);
    city.step(mandate, State::Active);
    if city.register.key(&commitment_of(mandate)).is_none() {
        city.say_key(mandate, commitment_of(mandate));
    }
}

/// When a draft that is in the register has stood there for as long as the law asks.
pub fn open_long_enough(city: &City, mandate: &str) -> Time {
    let entry = &city.register.mandates[&mandate.parse().unwrap()];
    let asked = city.register.law(&entry.body.controller, city.now).deadline_if_any(Duty::CommentPublic);
    let is_heard = entry.body.kind == MandateKind::Emergency;
    asked.filter(|_| !is_heard).map_or(city.now, |asked| city.register.open_since(entry).plus(asked.within()))
}

/// A lawful city: two mandates, a contract and a service, all active on 25 January 2026.
pub fn lawful() -> City {
    static CITY: LazyLock<City> = LazyLock::new(|| {
        let mut city = founded();
        city.now = day(1);
        city.say(StatementKind::Mandate, "mdt_library-card", "agc_library", library_card());
        city.say(StatementKind::Mandate, "mdt_school-meals", "agc_library", school_meals());
        city.say(StatementKind::Contract, "ctr_cloud", "agc_library", contract_body());
        let mandates = ["mdt_library-card", "mdt_school-meals"];
        city.say(StatementKind::Service, "svc_library", "agc_library", service_body("agc_library", "library", &mandates));
        city.steps("ctr_cloud", &[State::CheckedAgency, State::CheckedCity, State::Signed, State::Active]);
        city.step("svc_library", State::Active);
        activate(&mut city, "mdt_library-card");
        activate(&mut city, "mdt_school-meals");
        city
    });
    CITY.clone()
}

/// Settings for property tests: so many cases, and no file of past failures (what fails becomes a test of its own).
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Whether `problems` has one for `field` under `rule`.
pub fn names(problems: &[Problem], field: &str, rule: &str) -> bool {
    problems.iter().any(|problem| problem.field == field && problem.rule == rule)
}

/// What a problem must always be: a code, and a message of at least two sentences.
pub fn well_said(problem: &Problem) -> Result<(), String> {
    let message = problem.message.trim();
    let sentences = message.split(". ").filter(|sentence| !sentence.trim().is_empty()).count();
    if problem.rule.is_empty() {
        return Err(format!("no rule code: {problem:?}"));
    }
    if message != problem.message || !message.ends_with('.') || sentences < 2 {
        return Err(format!("not two sentences: {problem:?}"));
    }
    Ok(())
}
