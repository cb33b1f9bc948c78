//! What differs between two JSON values, field by field.

use std::collections::BTreeMap;

use serde_json::Value;

/// One field that is there only before, only after, or otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Where it stands, as `blocks[blk_name].form`.
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Change {
    /// The language of the field, where its name says it.
    pub fn lang(&self) -> Option<&str> {
        let last = self.path.rsplit('.').next()?;
        ["en", "zh-Hant"].contains(&last).then_some(last)
    }
}

/// By which member the entries of a list are told apart, so that one put in between does not change all that follow.
const NAMES: [&str; 9] = ["id", "block", "agency", "service", "code", "clause", "duty", "change", "key"];

/// The fields that differ, by their places. Without anything before, all fields there are.
pub(super) fn changes(before: Option<&Value>, after: &Value) -> Vec<Change> {
    let mut fields: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    if let Some(before) = before {
        flatten(before, String::new(), &mut |path, text| fields.entry(path).or_default().0 = Some(text));
    }
    flatten(after, String::new(), &mut |path, text| fields.entry(path).or_default().1 = Some(text));
    let differing = fields.into_iter().filter(|(_, (before, after))| before != after);
    differing.map(|(path, (before, after))| Change { path, before, after }).collect()
}

fn flatten(value: &Value, path: String, each: &mut impl FnMut(String, String)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(member, path, each);
            }
        }
        Value::Array(items) => {
            let name = NAMES.into_iter().find(|name| tells_apart(items, name));
            for (i, item) in items.iter().enumerate() {
                let which = name.and_then(|name| item.get(name)?.as_str());
                flatten(item, which.map_or_else(|| format!("{path}[{i}]"), |which| format!("{path}[{which}]")), each);
            }
        }
        Value::String(text) => each(path, text.clone()),
        other => each(path, other.to_string()),
    }
}

/// Whether every entry has this member, and each another one.
fn tells_apart(items: &[Value], name: &str) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    items.iter().all(|item| item.get(name).and_then(Value::as_str).is_some_and(|text| seen.insert(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_in_between_changes_nothing_else() {
        let before =
            json!({"blocks": [{"block": "blk_a", "form": "token"}, {"block": "blk_c", "form": "value"}], "n": 3, "old": true});
        let after = json!({"blocks": [{"block": "blk_a", "form": "token"}, {"block": "blk_b", "form": "token"},
            {"block": "blk_c", "form": "predicate"}], "n": 3});
        let said: Vec<_> =
            changes(Some(&before), &after).into_iter().map(|change| (change.path, change.before, change.after)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            said,
            [
                ("blocks[blk_b].block".into(), None, text("blk_b")),
                ("blocks[blk_b].form".into(), None, text("token")),
                ("blocks[blk_c].form".into(), text("value"), text("predicate")),
                ("old".into(), text("true"), None),
            ]
        );
    }

    #[test]
    fn what_has_no_name_is_numbered_and_the_first_revision_is_all_new() {
        let value =
            json!({"places": ["TW", "JP"], "double": [{"id": "a"}, {"id": "a"}], "title": {"en": "Card", "zh-Hant": "卡"}});
        let all = changes(None, &value);
        let paths: Vec<_> = all.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, ["double[0].id", "double[1].id", "places[0]", "places[1]", "title.en", "title.zh-Hant"]);
        assert_eq!(all.iter().filter_map(Change::lang).collect::<Vec<_>>(), ["en", "zh-Hant"]);
        assert_eq!(changes(Some(&value), &value), []);
    }
}
