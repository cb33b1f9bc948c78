//! 650 real surveillance measures of the pandemic, read as drafts of mandates. None says enough to be one.

use std::collections::{BTreeMap, BTreeSet};

use crate::common;
use crate::common::{names, well_said};
use serde_json::json;
use usufruct_core::foreign::{self, ForeignEntry};
use usufruct_core::mandate::Mandate;

const MEASURES: &str = include_str!("../../app/data/covid-surveillance-measures-650.csv");

/// What no measure states, so that every one of them must lack it.
const NEVER_STATED: [&str; 14] = [
    "blocks",
    "consultation",
    "eight_conditions",
    "emergency",
    "fetch",
    "impact_assessment",
    "legal_basis",
    "locations",
    "oversight_body",
    "rate_cap",
    "reasons",
    "recipients",
    "retention",
    "sunset_at",
];

fn entries() -> Vec<ForeignEntry> {
    foreign::read(MEASURES).unwrap().1
}

#[test]
fn no_measure_is_a_mandate_and_each_is_told_what_it_lacks() {
    let entries = entries();
    let mut lacking: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused = 0;
    for entry in &entries {
        let problems = Mandate::read(&entry.draft).expect_err(&entry.title);
        refused += 1;
        for field in NEVER_STATED {
            assert!(names(&problems, field, "missing"), "{}: {field} is not named in {problems:#?}", entry.title);
        }
        // One language only, and a name where the register wants a body that is in it.
        assert!(problems.iter().any(|problem| problem.field == "title"), "{}", entry.title);
        assert!(
            problems.iter().any(|problem| problem.field == "purpose.sentence" || problem.field == "purpose"),
            "{}",
            entry.title
        );
        assert!(problems.iter().any(|problem| problem.field == "controller"), "{}", entry.title);
        for problem in &problems {
            well_said(problem).unwrap();
        }
        let fields: BTreeSet<_> = problems.into_iter().map(|problem| problem.field).collect();
        for field in fields {
            *lacking.entry(field).or_default() += 1;
        }
    }
    println!("{:<28} measures that lack it or say it unreadably, of {}", "field", entries.len());
    for (field, count) in &lacking {
        println!("{field:<28} {count:>4}");
    }
    assert_eq!((entries.len(), refused), (650, 650));
    for field in NEVER_STATED {
        assert_eq!(lacking[field], 650, "{field}");
    }
    let dated = entries.iter().filter(|entry| entry.draft["starts_at"] != "").count();
    assert!((1..650).contains(&dated), "{dated} rows have a date");
    assert_eq!(lacking["starts_at"], 650 - dated, "a day that a measure names is read");
}

#[test]
fn a_measure_that_says_everything_else_still_needs_an_end() {
    let entry = &entries()[0];
    let mut draft = common::library_card();
    draft["title"] = json!({"en": entry.title.chars().take(60).collect::<String>(), "zh-Hant": "杜拜車牌辨識"});
    assert!(Mandate::read(&draft).is_ok());
    draft.as_object_mut().unwrap().remove("sunset_at");
    let problems = Mandate::read(&draft).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "This field is missing. Give the last day; a mandate without an end cannot exist.");
}
