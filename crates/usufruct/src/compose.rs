//! Statements ready to be published: the next revision of an object, its steps, and the signatures under them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use usufruct_app::{App, Proposed, Publication};
use usufruct_core::agreement::Agreement;
use usufruct_core::breach::{Breach, BreachState};
use usufruct_core::id::{AgencyId, AgreementId, AssessmentId, BreachId, MandateId, NoticeId, StatusChangeId};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::status::{Grounds, StatusChange};
use usufruct_core::vault_terms::{KeeperTerms, VaultTerms};
use usufruct_core::{Digest, Text, Time};

use crate::failure::Failure;
use crate::keeper::roster::{Entry, Roster};

/// The people who approve, of one body. The first one's body speaks.
pub type Signers<'a> = [&'a Signer];

/// The name of a log and the keys that sign for it.
pub struct LogKeys {
    pub origin: String,
    pub vkeys: Vec<String>,
    pub receipt_vkey: String,
}

/// A step of an object through its states.
pub struct Step<'a> {
    pub object: &'a str,
    pub revision: Digest,
    pub from: State,
    pub to: State,
    pub reason: Text,
    pub grounds: Grounds,
}

/// When the steps of a mandate are taken.
#[derive(Clone, Copy)]
pub struct MandateDays {
    pub draft: Time,
    pub consulted: Time,
    pub approved: Time,
    pub published: Time,
    pub active: Time,
}

impl MandateDays {
    /// All at once.
    pub fn all(at: Time) -> Self {
        Self { draft: at, consulted: at, approved: at, published: at, active: at }
    }
}

/// The next revision of an object, approved.
pub fn object(
    register: &Register,
    kind: StatementKind,
    id: &str,
    body: Value,
    signers: &Signers<'_>,
    at: Time,
) -> Result<Statement, Failure> {
    let (rev, prev) = register.next_revision(kind, id);
    approved(Statement { kind, id: id.to_owned(), rev, prev, at, by: speaker(signers)?, body, approvals: Vec::new() }, signers)
}

/// The revision of an object after `last`, which is not in the register yet, approved.
pub fn revision(last: &Statement, body: Value, signers: &Signers<'_>, at: Time) -> Result<Statement, Failure> {
    let (rev, prev) = (last.rev + 1, Some(last.hash()?));
    let (kind, id) = (last.kind, last.id.clone());
    approved(Statement { kind, id, rev, prev, at, by: speaker(signers)?, body, approvals: Vec::new() }, signers)
}

/// One step, approved.
pub fn step(step: &Step<'_>, signers: &Signers<'_>, at: Time, rng: &dyn Rng) -> Result<Statement, Failure> {
    let id = StatusChangeId::fresh(at, rng).to_string();
    let change = StatusChange {
        object: step.object.to_owned(),
        revision: step.revision,
        from: step.from,
        to: step.to,
        reason: step.reason.clone(),
        grounds: step.grounds.clone(),
    };
    let statement = Statement {
        kind: StatementKind::StatusChange,
        id,
        rev: 1,
        prev: None,
        at,
        by: speaker(signers)?,
        body: json!(change),
        approvals: Vec::new(),
    };
    approved(statement, signers)
}

/// The tables of a mandate's file.
pub struct MandateParts<'a> {
    pub body: Value,
    pub notice: &'a Value,
    pub assessment: Option<&'a Value>,
}

/// Everything from the draft of a mandate to its activation.
pub fn mandate(
    register: &Register,
    id: &MandateId,
    parts: MandateParts<'_>,
    signers: &Signers<'_>,
    days: MandateDays,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    // Who countersigns signs the activation alone; all else is the controller's to say.
    let by = speaker(signers)?;
    let own: Vec<&Signer> = signers.iter().copied().filter(|signer| *signer.agency() == by).collect();
    let MandateParts { body, notice, assessment: table } = parts;
    let draft = object(register, StatementKind::Mandate, id.as_str(), body, &own, days.draft)?;
    // What the law asks to be weighed is weighed before anybody approves.
    let assessment = table.map(|table| assessment(register, id, &draft, table, &own, days.approved)).transpose()?;
    let hash = draft.hash()?;
    let mut words: BTreeMap<String, Value> = serde_json::from_value(notice.clone()).map_err(|_| {
        Failure::refused("The [notice] table is missing or no table.", "Write the layers of the notice under [notice].")
    })?;
    words.insert("mandate".to_owned(), json!(id));
    words.insert("mandate_hash".to_owned(), json!(hash));
    let notice_id = NoticeId::fresh(days.published, rng);
    let notice = object(register, StatementKind::Notice, notice_id.as_str(), json!(words), &own, days.published)?;
    let by_all = |from, to, reason, at, signers: &Signers<'_>| {
        step(&Step { object: id.as_str(), revision: hash, from, to, reason, grounds: Grounds::default() }, signers, at, rng)
    };
    let take = |from, to, reason, at| by_all(from, to, reason, at, &own);
    let heard = take(State::Draft, State::Consulted, Text::new("The comment period is over.", "意見徵詢期滿。"), days.consulted)?;
    let rest = [
        take(State::Consulted, State::Approved, Text::new("Two offices approved it.", "經兩個單位核可。"), days.approved)?,
        notice,
        take(
            State::Approved,
            State::Published,
            Text::new("The mandate and its notice are public.", "授權令與告知書已公開。"),
            days.published,
        )?,
        by_all(
            State::Published,
            State::Active,
            Text::new("Two offices activated it.", "經兩個單位啟用。"),
            days.active,
            signers,
        )?,
    ];
    Ok([draft, heard].into_iter().chain(assessment).chain(rest).collect())
}

/// The impact assessment of a mandate whose draft is this statement. `table` is the table of its file.
fn assessment(
    register: &Register,
    id: &MandateId,
    draft: &Statement,
    table: &Value,
    signers: &Signers<'_>,
    at: Time,
) -> Result<Statement, Failure> {
    let own: Vec<&Signer> = signers.iter().copied().filter(|signer| *signer.agency() == draft.by).collect();
    let body = about(table, id.as_str(), &draft.hash()?).ok_or_else(|| {
        Failure::refused("[assessment] is no table.", "Write the impact assessment under [assessment], one field per line.")
    })?;
    let slug = id.as_str().strip_prefix(MandateId::PREFIX).unwrap_or_default();
    object(register, StatementKind::Assessment, &format!("{}{slug}", AssessmentId::PREFIX), body, &own, at)
}

/// A table with the mandate and the revision that it is about. `None` for what is no table.
pub fn about(table: &Value, mandate: &str, revision: &Digest) -> Option<Value> {
    let mut members = table.as_object()?.clone();
    members.insert("mandate".to_owned(), json!(mandate));
    members.insert("mandate_hash".to_owned(), json!(revision));
    Some(Value::Object(members))
}

/// An agreement and its publication; where only what a review found is new, its next revision alone.
pub fn agreement(
    register: &Register,
    id: &str,
    body: Value,
    signers: &Signers<'_>,
    at: Time,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    let old = id.parse().ok().and_then(|id: AgreementId| register.agreements.get(&id));
    let is_review = old.zip(Agreement::read(&body).ok()).is_some_and(|(old, new)| old.body.agrees_as(&new));
    let first = object(register, StatementKind::Agreement, id, body, signers, at)?;
    let steps = [
        (State::Draft, State::Consulted, Text::new("Those concerned were heard.", "已徵詢意見。")),
        (State::Consulted, State::Published, Text::new("Its parties made it public.", "當事機關公開。")),
    ];
    if is_review { Ok(vec![first]) } else { with_steps(first, &steps, signers, rng) }
}

/// A breach, with every clock that its laws and contracts demand. Where its file does not say how far it has come it was detected, and where it
/// does not say when the body learned of it, that was just now.
pub fn breach(register: &Register, id: &str, body: Value, signers: &Signers<'_>, at: Time) -> Result<Statement, Failure> {
    let body = breach_body(body, at);
    // What cannot be read is said by the register, line by line.
    let old = id.parse().ok().and_then(|id: BreachId| register.breaches.get(&id)).map(|entry| &entry.body);
    let body = Breach::read(&body).map_or(body, |breach| json!(register.with_clocks(breach, old, at)));
    object(register, StatementKind::Breach, id, body, signers, at)
}

/// The body of a breach with what its file may leave out.
pub fn breach_body(mut body: Value, at: Time) -> Value {
    let is_missing = |body: &Value, field: &str| body.get(field).is_none_or(Value::is_null);
    if is_missing(&body, "state") {
        body["state"] = json!(BreachState::Detected);
    }
    if is_missing(&body, "first_signal_at") {
        body["first_signal_at"] = json!(at);
    }
    let is_unknown = ["suspected", "near_miss"].iter().any(|state| body["state"] == *state);
    let is_closed = body["state"] == "closed";
    if is_missing(&body, "aware_at") && !is_unknown && !is_closed {
        body["aware_at"] = json!(at);
    }
    body
}

/// A contract, and where no law asks that it is looked at first, its steps to activation.
pub fn contract(
    register: &Register,
    id: &str,
    body: Value,
    signers: &Signers<'_>,
    at: Time,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    let is_supervised = register.law(&speaker(signers)?, at).supervises();
    let first = object(register, StatementKind::Contract, id, body, signers, at)?;
    if is_supervised {
        return Ok(vec![first]);
    }
    let steps = contract_steps(id, first.hash()?, State::Draft, signers, at, rng)?;
    Ok([vec![first], steps].concat())
}

/// The steps of a contract from the state `from` to activation.
pub fn contract_steps(
    id: &str,
    revision: Digest,
    from: State,
    signers: &Signers<'_>,
    at: Time,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    let steps = [
        (State::Draft, State::CheckedAgency, Text::new("The agency checked it.", "機關審查完成。")),
        (State::CheckedAgency, State::CheckedCity, Text::new("The city checked it.", "市府審查完成。")),
        (State::CheckedCity, State::Signed, Text::new("Both sides signed.", "雙方簽署。")),
        (State::Signed, State::Active, Text::new("It is in force.", "契約生效。")),
    ];
    let begun = steps.iter().position(|(state, _, _)| *state == from).unwrap_or(steps.len());
    let taken = steps.into_iter().skip(begun);
    taken
        .map(|(from, to, reason)| {
            step(&Step { object: id, revision, from, to, reason, grounds: Grounds::default() }, signers, at, rng)
        })
        .collect()
}

/// The result of a check of the revision `revision`. Where its file says no day it was done just now.
pub fn check(
    register: &Register,
    id: &str,
    mut body: Value,
    revision: Digest,
    signers: &Signers<'_>,
    at: Time,
) -> Result<Statement, Failure> {
    body["revision"] = json!(revision);
    if body.get("done_at").is_none() {
        body["done_at"] = json!(at);
    }
    object(register, StatementKind::Check, id, body, signers, at)
}

/// A service and, when it is new, its activation.
pub fn service(
    register: &Register,
    id: &str,
    body: Value,
    signers: &Signers<'_>,
    at: Time,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    let first = object(register, StatementKind::Service, id, body, signers, at)?;
    let steps = [(State::Draft, State::Active, Text::new("Two offices opened it.", "經兩個單位啟用。"))];
    if first.rev == 1 { with_steps(first, &steps, signers, rng) } else { Ok(vec![first]) }
}

/// The terms of the log, with its own name and keys in the places that the file leaves open.
pub fn log_terms(mut body: Value, keys: &LogKeys) -> Value {
    for (field, own) in [("origin", json!(keys.origin)), ("vkeys", json!(keys.vkeys)), ("receipt_vkey", json!(keys.receipt_vkey))]
    {
        if body.get(field).is_none() {
            body[field] = own;
        }
    }
    body
}

/// The terms of the vault, with its name and its keepers in the places that the file leaves open.
pub fn vault_terms(mut body: Value, origin: &str, roster: Option<&Roster>) -> Value {
    let mut own = vec![("vault", json!(origin))];
    match roster {
        Some(roster) => {
            let keeper = |entry: &Entry| json!({"name": entry.name, "institution": entry.institution, "public": entry.public});
            let keepers: Vec<Value> = roster.keepers.iter().map(keeper).collect();
            own.extend([("slot_class", json!("E3")), ("threshold", json!(roster.threshold)), ("keepers", json!(keepers))]);
        }
        None => own.push(("threshold", json!(0))),
    }
    for (field, own) in own {
        if body.get(field).is_none() {
            body[field] = own;
        }
    }
    body
}

/// Whether these terms name the keepers of the roster.
pub fn states(terms: &VaultTerms, origin: &str, roster: &Roster) -> bool {
    let same = |(stated, entry): (&KeeperTerms, &Entry)| stated.name == entry.name && stated.public == entry.public;
    terms.vault == origin
        && terms.slot_class == "E3"
        && usize::try_from(terms.threshold) == Ok(roster.threshold)
        && terms.keepers.len() == roster.keepers.len()
        && terms.keepers.iter().zip(&roster.keepers).all(same)
}

/// Terms of the vault that say that the root was lost before this epoch. What else is in them stays as it is.
pub fn lost_root(register: &Register, origin: &str, first: i64, signers: &Signers<'_>, at: Time) -> Result<Statement, Failure> {
    let present = register.vault.as_ref();
    let days = present.map_or(BACKUP_DAYS, |entry| entry.body.backup_days);
    let body = json!({ "slot_class": "E0", "backup_days": days, "lost_before": first });
    let id = present.map_or("vlt_terms", |entry| entry.id.as_str());
    object(register, StatementKind::Vault, id, vault_terms(body, origin, None), signers, at)
}

/// Publishes who keeps the root, unless the register says so already. What else is in the terms stays as it is.
pub fn publish_vault_terms(app: &App, roster: &Roster, signers: &Signers<'_>) -> Result<(), Failure> {
    let register = app.register();
    let present = register.vault.as_ref();
    let kept = present.map_or_else(
        || json!({ "backup_days": BACKUP_DAYS }),
        |entry| {
            let terms = &entry.body;
            json!({ "backup_days": terms.backup_days, "escrow": terms.escrow, "lost_before": terms.lost_before })
        },
    );
    if present.is_some_and(|entry| states(&entry.body, &app.config().origin, roster)) {
        return Ok(());
    }
    let body = vault_terms(kept, &app.config().origin, Some(roster));
    let id = present.map_or("vlt_terms", |entry| entry.id.as_str());
    let statement = object(&register, StatementKind::Vault, id, body, signers, app.now())?;
    Ok(app.publish(&Publication { statements: vec![statement] }).map(drop)?)
}

/// A signer for a body whose people approve later. Its signatures are thrown away by [`proposed`]: what it signed is what the body has to
/// approve.
pub fn stand_in(body: &AgencyId, rng: &dyn Rng) -> Result<Signer, Failure> {
    let signer = Signer::new(body.clone(), STAND_IN, &random::<32>(rng));
    signer.ok_or_else(|| Failure::refused("The seed of a stand-in was refused.", "Try again."))
}

/// A statement without the signatures of stand-ins, and the bodies that signed it.
pub fn proposed(mut statement: Statement) -> Proposed {
    let bodies: BTreeSet<AgencyId> = statement.approvals.iter().map(|approval| approval.agency.clone()).collect();
    statement.approvals.retain(|approval| approval.key != STAND_IN);
    Proposed { statement, bodies: bodies.into_iter().collect() }
}

fn with_steps(
    first: Statement,
    steps: &[(State, State, Text)],
    signers: &Signers<'_>,
    rng: &dyn Rng,
) -> Result<Vec<Statement>, Failure> {
    let (object, at, revision) = (first.id.clone(), first.at, first.hash()?);
    let mut statements = vec![first];
    for (from, to, reason) in steps {
        let taken = Step { object: &object, revision, from: *from, to: *to, reason: reason.clone(), grounds: Grounds::default() };
        statements.push(step(&taken, signers, at, rng)?);
    }
    Ok(statements)
}

fn speaker(signers: &Signers<'_>) -> Result<AgencyId, Failure> {
    let first = signers.first().ok_or_else(|| {
        Failure::refused("Nobody signs this.", "Name a key file with --key, twice for what two people must sign.")
    })?;
    Ok(first.agency().clone())
}

fn approved(mut statement: Statement, signers: &Signers<'_>) -> Result<Statement, Failure> {
    for signer in signers {
        statement.approve(signer)?;
    }
    Ok(statement)
}

/// The key of nobody. An official whose key is called so approves after the proposal is made.
const STAND_IN: &str = "proposed";
/// For how many days copies are kept where no terms say so.
const BACKUP_DAYS: i64 = 35;
