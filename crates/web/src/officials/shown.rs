//! A proposal as officials see it: in words, as what it changes, and as the very JSON that they approve.

use std::collections::BTreeMap;

use i18n_embed_fl::fl;
use serde_json::Value;
use usufruct_app::{Proposal, Proposed, Standing};
use usufruct_core::id::AgencyId;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::status::StatusChange;
use usufruct_core::{Text, Time};

use crate::page::Page;
use crate::register::Link;

/// A proposal as a whole.
pub(super) struct ShownProposal {
    pub id: String,
    pub title: String,
    pub speaker: String,
    pub due_at: Time,
    pub standing: &'static str,
    /// In the words of the register, which are English.
    pub reasons: Vec<String>,
}

/// One statement of it.
pub(super) struct ShownStatement {
    pub kind: String,
    pub title: String,
    pub rev: u64,
    pub speaker: String,
    pub step: Option<(String, String)>,
    pub changes: Vec<Change>,
    /// Whether there are more changes than are shown in the table.
    pub has_more: bool,
    /// Whether the body of who looks has to approve it.
    pub is_own: bool,
    /// Everything that is approved, for people to read and for the browser to hash.
    pub json: String,
    pub hash: String,
    /// Body and office of each approval so far, and whether it is by a passkey.
    pub approvals: Vec<(String, String, bool)>,
}

/// A field that is another one than in the revision before.
pub(super) struct Change {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Changes shown in a table at most; the JSON has all.
const MOST_CHANGES: usize = 200;

impl ShownProposal {
    pub fn of(register: &Register, page: &Page, proposal: &Proposal, standing: &Standing) -> Self {
        let (standing, problems) = match standing {
            Standing::Approved => ("approved", &[][..]),
            Standing::Unlawful(problems) => ("unlawful", &problems[..]),
            Standing::Waiting(problems) => ("waiting", &problems[..]),
        };
        let first = proposal.statements.first().map(|one| &one.statement);
        Self {
            id: proposal.id.clone(),
            title: first
                .map(|statement| format!("{}: {}", kind(page, statement.kind), title(page, statement)))
                .unwrap_or_default(),
            speaker: first.map(|statement| Link::agency(register, page, &statement.by).words).unwrap_or_default(),
            due_at: proposal.due_at,
            standing,
            reasons: problems.iter().map(|problem| problem.message.clone()).collect(),
        }
    }
}

impl ShownStatement {
    /// `None` for what has no canonical form, which no proposal holds.
    pub fn of(register: &Register, page: &Page, one: &Proposed, before: Option<&Value>, own: &AgencyId) -> Option<Self> {
        let statement = &one.statement;
        let mut whole = serde_json::to_value(statement).ok()?;
        whole.as_object_mut()?.remove("approvals");
        let step = StatusChange::read(&statement.body).ok().filter(|_| statement.kind == StatementKind::StatusChange);
        let mut changes = before.map(|before| changes(before, &statement.body)).unwrap_or_default();
        let has_more = changes.len() > MOST_CHANGES;
        changes.truncate(MOST_CHANGES);
        let approval = |approval: &usufruct_core::statement::Approval| {
            let key = register.agencies.get(&approval.agency).and_then(|entry| entry.body.key(&approval.key));
            let office = key.map_or_else(|| approval.key.clone(), |key| key.role.clone());
            (Link::agency(register, page, &approval.agency).words, office, approval.algorithm == "webauthn")
        };
        Some(Self {
            kind: kind(page, statement.kind),
            title: title(page, statement),
            rev: statement.rev,
            speaker: Link::agency(register, page, &statement.by).words,
            step: step.map(|step| (page.stage(&step.from), page.stage(&step.to))),
            changes,
            has_more,
            is_own: one.bodies.contains(own),
            json: serde_json::to_string_pretty(&whole).ok()?,
            hash: statement.hash().ok()?.to_string(),
            approvals: statement.approvals.iter().map(approval).collect(),
        })
    }
}

/// What a statement is about, in a word.
fn kind(page: &Page, kind: StatementKind) -> String {
    fl!(page.messages, "statement-kind", kind = format!("{kind:?}"))
}

/// What a statement calls the thing that it is about.
fn title(page: &Page, statement: &Statement) -> String {
    let named = ["title", "name", "legal_name"].iter().find_map(|field| {
        let text: Text = serde_json::from_value(statement.body.get(*field)?.clone()).ok()?;
        Some(page.text(&text).to_owned())
    });
    let object = ["object", "mandate"].iter().find_map(|field| statement.body[*field].as_str()).map(str::to_owned);
    named.or(object).unwrap_or_else(|| statement.id.clone())
}

/// Every field whose value is another one, by its path.
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(before, String::new(), &mut old);
    leaves(after, String::new(), &mut new);
    let fields: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = fields.into_iter().filter(|field| old.get(*field) != new.get(*field));
    changed
        .map(|field| Change { field: field.clone(), before: old.get(field).cloned(), after: new.get(field).cloned() })
        .collect()
}

/// The values of a document that hold no others, each with its path, as `recipients[0].why.en`.
fn leaves(value: &Value, path: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(member, path, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                leaves(item, format!("{path}[{i}]"), found);
            }
        }
        Value::String(text) => drop(found.insert(path, text.clone())),
        other => drop(found.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_told_field_by_field() {
        let before = json!({"a": {"b": "x", "c": 1}, "list": ["p", "q"], "same": true});
        let after = json!({"a": {"b": "y"}, "list": ["p", "q", {"d": "r"}], "same": true, "new": []});
        let told: Vec<_> =
            changes(&before, &after).into_iter().map(|change| (change.field, change.before, change.after)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("a.b".to_owned(), some("x"), some("y")),
                ("a.c".to_owned(), some("1"), None),
                ("list[2].d".to_owned(), None, some("r")),
                ("new".to_owned(), None, some("[]")),
            ]
        );
    }
}
