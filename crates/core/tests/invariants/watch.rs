//! What those say who watch others: answers to orders, objections to sub-processors, audits of bodies and rulings, lawful or not.

use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::{DAY, HOUR};

use crate::common::{City, body_audit_body, check_body, day, text};
use crate::history::{CARD, CONTRACT, LIBRARY, OVERSEER, PARKS, POLICE, Signers, signed};

/// How many ways there are to answer an order, and how many words about what was found.
pub const ANSWERS: usize = 7;
pub const FINDINGS: usize = 10;
const AUDIT: &str = "bau_library";

/// The newest body that was published under this id.
fn latest(city: &City, id: &str) -> Option<Value> {
    city.statements.iter().rfind(|statement| statement.id == id).map(|statement| statement.body.clone())
}

fn document(name: &str) -> Value {
    json!({"title": text("Report"), "sha256": sha256(name.as_bytes()).to_string()})
}

fn add(body: &mut Value, list: &str, document: Value) {
    match body[list].as_array_mut() {
        Some(known) => known.push(document),
        None => body[list] = json!([document]),
    }
}

/// Another word about an order that was given.
pub fn answer(city: &mut City, order: usize, how: usize, signers: Signers) -> Option<Statement> {
    // Only what is due on a day is done by compulsion: at once, or after the day.
    let is_compelled = matches!(how, 2 | 5);
    let fits = |body: &Value| !is_compelled || body["comply_by"].is_string();
    let orders = city.statements.iter().filter(|statement| statement.kind == StatementKind::Order);
    let given: Vec<_> = orders.filter(|statement| fits(&statement.body)).collect();
    let id = given.get(order % given.len().max(1))?.id.clone();
    let mut body = latest(city, &id)?;
    let new = document(&format!("document {}", city.statements.len()));
    match how {
        0 => body["appeal_ref"] = json!("Court 2026-4"),
        1 => add(&mut body, "evidence", new),
        2 | 5 => {
            add(&mut body, "compulsion", new);
            if how == 5 {
                city.now = city.now.max(body["comply_by"].as_str()?.parse().ok()?);
            }
        }
        3 => body["reasons"] = text("For another reason."),
        4 => drop(body.as_object_mut()?.remove("evidence")),
        _ => body["target"] = json!(CARD),
    }
    Some(signed(city, StatementKind::Order, &id, OVERSEER, body, signers))
}

/// The contract as it stands, with a sub-processor that comes after the notice which the law asks for.
pub fn announce(city: &City, sub: &str, signers: Signers) -> Statement {
    let mut body = latest(city, CONTRACT).unwrap();
    let from = city.now.plus(30 * DAY).to_string();
    add(&mut body, "subprocessors", json!({"agency": sub, "location": "TW", "approved_by": LIBRARY, "from": from}));
    signed(city, StatementKind::Contract, CONTRACT, LIBRARY, body, signers)
}

/// Somebody objects to a sub-processor: the overseer, the body that commissions, or the vendor, who cannot. It is one that the contract names,
/// where it names any.
pub fn object(city: &City, by: usize, sub: &str, signers: Signers) -> Statement {
    let mut body = check_body(city, CONTRACT, "objection", "failed");
    let named =
        latest(city, CONTRACT).and_then(|body| body["subprocessors"].as_array()?.last()?["agency"].as_str().map(str::to_owned));
    body["subprocessor"] = json!(named.unwrap_or_else(|| sub.to_owned()));
    let by = [OVERSEER, LIBRARY, "agc_cloud"][by];
    signed(city, StatementKind::Check, &format!("chk_{}", city.statements.len()), by, body, signers)
}

/// What an auditor found at the library: at first, once more, or in another audit.
pub fn body_audit(city: &City, how: usize, signers: Signers) -> Statement {
    let mut body = latest(city, AUDIT).unwrap_or_else(body_audit_body);
    if body["findings"].as_array().is_none_or(Vec::is_empty) {
        body["findings"] = body_audit_body()["findings"].clone();
    }
    let (mut id, mut by) = (AUDIT.to_owned(), OVERSEER);
    match how {
        0 => {}
        1 => (body["findings"][0]["status"], body["findings"][0]["answer"]) = (json!("mended"), text("It was mended.")),
        2 => body["findings"][0]["severity"] = json!("low"),
        3 => {
            body["findings"][0]["severity"] = json!("medium");
            body["findings"][0]["eased_because"] = text(&format!("Reason {}.", city.statements.len()));
        }
        4 => body["findings"] = json!([]),
        5 => body["findings"][0]["text"] = text("All is well."),
        6 => body["findings"][0]["due"] = json!(city.now.plus(90 * DAY).to_string()),
        7 => body["next_due"] = json!(day(400).to_string()),
        8 => {
            id = format!("bau_{}", city.statements.len());
            (body["done_at"], body["next_due"]) =
                (json!(city.now.plus(-HOUR).to_string()), json!(city.now.plus(300 * DAY).to_string()));
        }
        _ => (body["auditor"], by) = (json!(LIBRARY), LIBRARY),
    }
    signed(city, StatementKind::BodyAudit, &id, by, body, signers)
}

/// What came of a case: by the overseer of the library, or by bodies that oversee nothing.
pub fn ruling(city: &City, by: usize, office: usize, has_mandate: bool, signers: Signers) -> Statement {
    let (by, office) = ([OVERSEER, PARKS, LIBRARY][by], [LIBRARY, POLICE][office]);
    let mut body = json!({"body": by, "office": office, "kind": "stop", "finding": "upheld", "remedy": "stop",
        "text": text("It was stopped.")});
    if has_mandate {
        body["mandate"] = json!(CARD);
    }
    signed(city, StatementKind::Ruling, &format!("rul_{}", city.statements.len()), by, body, signers)
}
