//! Walks over every place of a JSON value, however deep, and says what a reader must answer when that place is spoiled.

use serde_json::{Value, json};
use usufruct_core::draft::Problem;

use super::well_said;

type Read<'a> = &'a dyn Fn(&Value) -> Result<(), Vec<Problem>>;

/// A place in a body: JSON pointer, and the dotted path under which problems name it.
#[derive(Clone, Debug)]
pub struct Place {
    pub pointer: String,
    pub path: String,
    pub is_member: bool,
}

/// Every member and every list entry of `value`.
pub fn places(value: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    visit(value, "", "", &mut found);
    found
}

fn visit(value: &Value, pointer: &str, path: &str, found: &mut Vec<Place>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let place = Place { pointer: format!("{pointer}/{key}"), path: inner, is_member: true };
                visit(member, &place.pointer.clone(), &place.path.clone(), found_with(found, place));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let place = Place { pointer: format!("{pointer}/{i}"), path: format!("{path}[{i}]"), is_member: false };
                visit(item, &place.pointer.clone(), &place.path.clone(), found_with(found, place));
            }
        }
        _ => {}
    }
}

fn found_with(found: &mut Vec<Place>, place: Place) -> &mut Vec<Place> {
    found.push(place);
    found
}

/// `value` without the place.
pub fn without(value: &Value, place: &Place) -> Value {
    let mut value = value.clone();
    let (parent, last) = place.pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(last).unwrap()),
        Value::Array(items) => drop(items.remove(last.parse().unwrap())),
        _ => unreachable!("a place lies in a list or an object"),
    }
    value
}

/// `value` with something else at the place.
pub fn with(value: &Value, place: &Place, other: Value) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(&place.pointer).unwrap() = other;
    value
}

/// Whether a problem speaks of the place: of the field itself, or, for one language of a text, of the text.
pub fn names_place(problems: &[Problem], place: &Place) -> bool {
    let language = [".en", ".zh-Hant"].iter().find_map(|language| place.path.strip_suffix(language));
    problems.iter().any(|problem| problem.field == place.path || Some(problem.field.as_str()) == language)
}

fn refused(read: Read<'_>, value: &Value, place: &Place, why: &str) -> Vec<Problem> {
    let problems = read(value).err().unwrap_or_else(|| panic!("{}: {why} is accepted", place.path));
    // A table that is left empty is missing as a whole.
    let (parent, path) = (place.pointer.rsplit_once('/').unwrap().0, place.path.rsplit_once('.').map_or("", |(path, _)| path));
    let is_emptied = value.pointer(parent).is_some_and(|parent| parent.as_object().is_some_and(serde_json::Map::is_empty));
    let names_parent = is_emptied && problems.iter().any(|problem| problem.field == path);
    assert!(names_parent || names_place(&problems, place), "{}: {why} is refused without naming it: {problems:?}", place.path);
    for problem in &problems {
        well_said(problem).unwrap();
    }
    problems
}

/// Spoils every place of the lawful `body` in every way. `optional` lists the dotted paths that may be left out.
pub fn spoil_everything(body: &Value, optional: &[&str], read: Read<'_>) {
    spoil_everything_but(body, &[], optional, read);
}

/// The same, but for what is below these fields.
pub fn spoil_everything_but(body: &Value, opaque: &[&str], optional: &[&str], read: Read<'_>) {
    read(body).unwrap_or_else(|problems| panic!("the lawful body is refused: {problems:#?}"));
    let mut left_out = Vec::new();
    for place in places(body) {
        if opaque.iter().any(|field| place.path.strip_prefix(field).is_some_and(|below| below.starts_with('['))) {
            continue;
        }
        let is_optional = optional.contains(&place.path.as_str());
        if place.is_member {
            for (why, value) in [
                ("nothing", without(body, &place)),
                ("null", with(body, &place, json!(null))),
                ("an empty text", with(body, &place, json!(""))),
                ("an empty list", with(body, &place, json!([]))),
                ("an empty object", with(body, &place, json!({}))),
            ] {
                if is_optional {
                    read(&value)
                        .unwrap_or_else(|problems| panic!("{} is optional, but {why} is refused: {problems:?}", place.path));
                    left_out.push(place.path.clone());
                } else {
                    refused(read, &value, &place, why);
                }
            }
        }
        let here = body.pointer(&place.pointer).unwrap();
        for other in [json!(true), json!(-1), json!(1.5), json!("\u{7f}?"), json!([true]), json!([["x"]]), json!({"surprise": 1})]
        {
            let same_kind = matches!(
                (here, &other),
                (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) | (Value::Array(_), Value::Array(_))
            );
            let value = with(body, &place, other.clone());
            if same_kind {
                // Lawful or not, it must not panic, and a refusal must be well said.
                for problem in read(&value).err().into_iter().flatten() {
                    well_said(&problem).unwrap();
                }
            } else {
                let problems = read(&value).err().unwrap_or_else(|| panic!("{}: {other} is accepted", place.path));
                let inside = |problem: &Problem| problem.field.starts_with(&place.path);
                assert!(names_place(&problems, &place) || problems.iter().any(inside), "{}: {other}: {problems:?}", place.path);
                problems.iter().for_each(|problem| well_said(problem).unwrap());
            }
        }
        match here {
            Value::String(_) => {
                for long in ["x".repeat(60_000), "字".repeat(60_000)] {
                    refused(read, &with(body, &place, json!(long)), &place, "a text of 60,000 characters");
                }
                if !place.is_member {
                    refused(read, &with(body, &place, json!(" ")), &place, "an empty entry");
                }
            }
            Value::Object(members) => {
                let mut more = members.clone();
                more.insert("surprise".into(), json!("x"));
                let problems = read(&with(body, &place, more.into())).expect_err("an unknown field is accepted");
                let inner = format!("{}.surprise", place.path);
                assert!(problems.iter().any(|problem| problem.field == inner || problem.field == place.path), "{problems:?}");
            }
            Value::Array(items) => {
                let many = vec![items[0].clone(); 1_001];
                refused(read, &with(body, &place, many.into()), &place, "a list of 1,001 entries");
            }
            _ => {}
        }
    }
    let mut more = body.clone();
    more["surprise"] = json!("x");
    let problems = read(&more).unwrap_err();
    assert_eq!((problems.len(), problems[0].field.as_str(), problems[0].rule), (1, "surprise", "unknown-field"));
    left_out.dedup();
    left_out.sort_unstable();
    let mut expected = optional.to_vec();
    expected.sort_unstable();
    assert_eq!(left_out, expected, "an optional field is not in the body");
}
