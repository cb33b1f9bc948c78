//! One complete lawful mandate, and everything that can be wrong with it.

use crate::common;
use crate::common::walk::{Place, places, spoil_everything, with, without};
use crate::common::{day, library_card, names, text, well_said};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use usufruct_core::block::DataBlock;
use usufruct_core::draft::Problem;
use usufruct_core::event::Form;
use usufruct_core::mandate::{Basis, Fetch, MOST_CLOSED_DAYS, Mandate, MandateKind};
use usufruct_core::means::Means;
use usufruct_core::register::Register;
use usufruct_core::time::DAY;
use usufruct_core::validate;

fn read(body: &Value) -> Result<(), Vec<Problem>> {
    Mandate::read(body).map(drop)
}

#[track_caller]
fn refused(body: &Value, field: &str, rule: &str) {
    let problems = Mandate::read(body).expect_err("the mandate must be refused");
    assert!(names(&problems, field, rule), "{problems:#?}");
    for problem in &problems {
        well_said(problem).unwrap();
    }
}

/// Refused by the law, of which the generic pack holds here.
#[track_caller]
fn unlawful(body: &Value, field: &str, rule: &str) {
    let problems = validate::mandate(&Register::default(), &Mandate::read(body).unwrap(), day(0));
    assert!(names(&problems, field, rule), "{problems:#?}");
    for problem in &problems {
        well_said(problem).unwrap();
    }
}

#[track_caller]
fn lawful(body: &Value) {
    let problems = validate::mandate(&Register::default(), &Mandate::read(body).unwrap(), day(0));
    let of_time = |problem: &&Problem| ["too-long", "too-short"].contains(&problem.rule);
    assert_eq!(problems.iter().find(of_time), None);
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut body = library_card();
    *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    body
}

/// The library card as an emergency mandate of 90 days.
fn emergency() -> Value {
    let mut body = library_card();
    body["kind"] = json!("emergency");
    body["emergency"] = common::emergency_body();
    body["sunset_at"] = json!(day(59 + 90).to_string());
    body
}

#[test]
fn the_complete_mandate_is_lawful_and_read_as_written() {
    let mandate = Mandate::read(&library_card()).unwrap();
    assert_eq!(mandate.kind, MandateKind::Ordinary);
    assert_eq!(mandate.title.zh_hant, "借書證");
    assert_eq!(mandate.legal_basis.code, Basis::Consent);
    assert_eq!(mandate.fetch, Fetch::OnceAfter { after: day(60) });
    assert_eq!((mandate.starts_at, mandate.sunset_at), (day(59), day(424)));
    assert_eq!(mandate.asked(&"blk_age".parse().unwrap()).map(|asked| asked.form), Some(Form::Predicate));
    assert_eq!(mandate.asked(&"blk_illness".parse().unwrap()), None);
    assert_eq!(mandate.reason("reminder").map(|text| text.en.as_str()), Some("A book is due."));
    assert_eq!(mandate.reason("Reminder"), None);
    assert_eq!(mandate.rate_period(), 30 * DAY);
    assert_eq!(mandate.recipients[1].contract.as_ref().map(|id| id.as_str()), Some("ctr_cloud"));
    assert_eq!(mandate.continues.as_deref(), Some("mdt_paper-card"));
}

#[test]
fn what_is_written_out_is_read_back_the_same() {
    for body in [library_card(), emergency(), common::school_meals()] {
        let mandate = Mandate::read(&body).unwrap();
        assert_eq!(Mandate::read(&serde_json::to_value(&mandate).unwrap()).unwrap(), mandate);
    }
}

#[test]
fn data_is_kept_until_retention_or_sunset_whichever_comes_first() {
    let mandate = Mandate::read(&library_card()).unwrap();
    assert_eq!(mandate.keep_until(day(100)), day(130));
    assert_eq!(mandate.keep_until(day(394)), day(424));
    assert_eq!(mandate.keep_until(day(420)), day(424));
}

#[test]
fn every_field_is_required_readable_and_bounded() {
    let body = library_card();
    assert!(places(&body).len() > 90, "{} places", places(&body).len());
    let optional = OPTIONAL.iter().copied().chain(["eight_conditions"]).collect::<Vec<_>>();
    // The contract of a recipient may be left out here: whether the recipient is a vendor, only the register knows.
    spoil_everything(&body, &optional, &read);
}

/// What a mandate of any kind may leave out.
const OPTIONAL: [&str; 22] = [
    "concerns",
    "concerns.cameras",
    "concerns.children",
    "concerns.persons",
    "consultation.summary",
    "continues",
    "data_range",
    "data_range.back",
    "eight_conditions.fairness.met.evidence[0].url",
    "eight_conditions.necessity.met.evidence[0].url",
    "eight_conditions.participation.met.evidence[0].url",
    "eight_conditions.remedy.met.evidence[0].url",
    "eight_conditions.scope_lock.met.evidence[0].url",
    "eight_conditions.security.met.evidence[0].url",
    "eight_conditions.sharing.met.evidence[0].url",
    "eight_conditions.time_bound.met.evidence[0].url",
    "exception",
    "legal_basis.provision",
    "legal_basis.quote",
    "purpose.incompatible_with",
    "recipients[1].contract",
    "transfers",
];

#[test]
fn every_field_of_an_emergency_mandate_too() {
    let optional = OPTIONAL.iter().copied().chain(["emergency.finding.url"]).collect::<Vec<_>>();
    spoil_everything(&emergency(), &optional, &read);
}

#[test]
fn what_is_no_object_is_refused() {
    for body in [json!(null), json!([]), json!("text"), json!(1), json!(true)] {
        refused(&body, "", "not-an-object");
    }
}

#[test]
fn an_empty_mandate_lists_everything_at_once() {
    let problems = Mandate::read(&json!({})).unwrap_err();
    let required = [
        "title",
        "controller",
        "kind",
        "purpose",
        "legal_basis",
        "subjects",
        "blocks",
        "operations",
        "mode",
        "fetch",
        "rate_cap",
        "bulk_limit",
        "recipients",
        "locations",
        "retention",
        "starts_at",
        "sunset_at",
        "automated_decision",
        "gate",
        "reasons",
        "consultation",
        "oversight_body",
    ];
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, required);
    assert!(problems.iter().all(|problem| problem.rule == "missing"));
}

#[test]
fn texts_have_their_length_in_both_languages() {
    let lengths = [
        ("/title", "title", 60),
        ("/purpose/sentence", "purpose.sentence", 140),
        ("/legal_basis/instrument", "legal_basis.instrument", 160),
        ("/subjects", "subjects", 200),
        ("/blocks/0/reason", "blocks[0].reason", 140),
        ("/recipients/0/why", "recipients[0].why", 140),
        ("/retention/from_event", "retention.from_event", 120),
        ("/reasons/1/text", "reasons[1].text", 140),
        ("/consultation/summary", "consultation.summary", 600),
        ("/eight_conditions/remedy/met/text", "eight_conditions.remedy.met.text", 600),
    ];
    for (pointer, field, max) in lengths {
        assert!(read(&changed(pointer, json!({"en": "x".repeat(max), "zh-Hant": "字".repeat(max)}))).is_ok(), "{field}");
        refused(&changed(pointer, json!({"en": "x".repeat(max + 1), "zh-Hant": "字"})), field, "too-long");
        refused(&changed(pointer, json!({"en": "x", "zh-Hant": "字".repeat(max + 1)})), field, "too-long");
        refused(&changed(pointer, json!({"en": "x"})), field, "one-language");
        refused(&changed(pointer, json!({"zh-Hant": "字"})), field, "one-language");
        refused(&changed(pointer, json!({"en": "x", "zh-Hant": " "})), field, "one-language");
        refused(&changed(pointer, json!({"en": "x", "zh-Hant": "字", "fr": "x"})), field, "one-language");
        refused(&changed(pointer, json!("x")), field, "one-language");
    }
}

#[test]
fn words_in_one_language_have_their_length_too() {
    let lengths = [
        ("/purpose/dpv", "purpose.dpv", 80),
        ("/purpose/local_code", "purpose.local_code", 40),
        ("/legal_basis/article", "legal_basis.article", 40),
        ("/legal_basis/url", "legal_basis.url", 300),
        ("/reasons/0/code", "reasons[0].code", 40),
        ("/impact_assessment", "impact_assessment", 300),
        ("/continues", "continues", 80),
    ];
    for (pointer, field, max) in lengths {
        assert!(read(&changed(pointer, json!("字".repeat(max)))).is_ok(), "{field}");
        refused(&changed(pointer, json!("字".repeat(max + 1))), field, "too-long");
    }
}

#[test]
fn numbers_have_their_range() {
    for (pointer, field, max) in [("/bulk_limit", "bulk_limit", 10_000), ("/rate_cap/uses", "rate_cap.uses", 1_000_000)] {
        assert!(read(&changed(pointer, json!(1))).is_ok() && read(&changed(pointer, json!(max))).is_ok());
        for bad in [json!(0), json!(-1), json!(max + 1), json!(1.5), json!("1"), json!(u64::MAX), json!(i64::MIN)] {
            refused(&changed(pointer, bad), field, "out-of-range");
        }
    }
}

#[test]
fn a_matter_may_be_closed_for_a_year_at_most_and_not_where_there_is_one_reason() {
    let closing = |days: Value| {
        let mut body = library_card();
        body["third_party"] = json!({ "max_days": days });
        body
    };
    for days in [1, 30, MOST_CLOSED_DAYS] {
        assert_eq!(Mandate::read(&closing(json!(days))).unwrap().third_party.unwrap().max_days, days);
    }
    for bad in [json!(0), json!(-1), json!(MOST_CLOSED_DAYS + 1), json!(1.5), json!("1")] {
        refused(&closing(bad), "third_party.max_days", "out-of-range");
    }
    let mut body = closing(json!(30));
    body["third_party"] = json!({});
    assert_eq!(Mandate::read(&body).unwrap().third_party, None, "an empty table says nothing");
    let mut body = closing(json!(30));
    body["reasons"].as_array_mut().unwrap().truncate(1);
    refused(&body, "third_party", "one-reason");
}

#[test]
fn durations_have_a_length() {
    for (pointer, field) in [("/rate_cap/per", "rate_cap.per"), ("/retention/duration", "retention.duration")] {
        for good in ["P1D", "PT1H", "P1Y", "P2W", "P1M", "PT90M"] {
            assert!(read(&changed(pointer, json!(good))).is_ok(), "{good}");
        }
        for bad in ["P0D", "PT0S", "-P1D", "30 days", "1 month", "P", "P1", "PT0.1S", "P99999999Y"] {
            refused(&changed(pointer, json!(bad)), field, "malformed");
        }
    }
}

#[test]
fn words_come_from_closed_lists() {
    let words = [
        ("/kind", "kind"),
        ("/legal_basis/code", "legal_basis.code"),
        ("/blocks/0/necessity", "blocks[0].necessity"),
        ("/blocks/0/form", "blocks[0].form"),
        ("/operations/1", "operations[1]"),
        ("/mode", "mode"),
        ("/fetch/when", "fetch.when"),
        ("/automated_decision", "automated_decision"),
        ("/gate", "gate"),
    ];
    for (pointer, field) in words {
        for bad in ["secret", "Ordinary", "consent ", "values", "everything"] {
            refused(&changed(pointer, json!(bad)), field, "unknown-word");
        }
    }
}

// Time

#[test]
fn a_mandate_may_ask_for_more_than_a_card() {
    let read = |body: &Value| Mandate::read(body).unwrap();
    let mut body = library_card();
    assert_eq!(read(&body).means, Means::Delegate, "unless it says so, somebody may act for her");
    assert!(serde_json::to_value(read(&body)).unwrap().get("means").is_none(), "and then it is written as before");
    for means in Means::PROOFS {
        body["means"] = json!(means.code());
        assert_eq!(read(&body).means, means);
    }
    for unknown in ["password", "delegate"] {
        body["means"] = json!(unknown);
        refused(&body, "means", "unknown-word");
    }
}

#[test]
fn a_mandate_ends_after_it_begins() {
    for sunset in [day(59), day(59).plus(-1), day(58), day(-10_000)] {
        refused(&changed("/sunset_at", json!(sunset.to_string())), "sunset_at", "before-start");
    }
    for sunset in [day(59).plus(1), day(59).plus(DAY / 2), day(60)] {
        assert!(read(&changed("/sunset_at", json!(sunset.to_string()))).is_ok(), "{sunset}");
    }
}

#[test]
fn no_mandate_runs_for_ever() {
    let longest = 5 * 366;
    lawful(&changed("/sunset_at", json!(day(59 + longest).to_string())));
    for sunset in [day(59 + longest).plus(1), day(59 + longest + 1), "9999-01-01T00:00:00Z".parse().unwrap()] {
        unlawful(&changed("/sunset_at", json!(sunset.to_string())), "sunset_at", "too-long");
    }
    for bad in ["never", "9999", "2026-13-01", "2026-02-30", "99999-01-01T00:00:00Z", "2026-03-01T00:00:00"] {
        refused(&changed("/sunset_at", json!(bad)), "sunset_at", "malformed");
    }
}

#[test]
fn people_have_two_weeks_to_comment() {
    lawful(&changed("/consultation/to", json!(day(4 + 14).to_string())));
    for to in [day(4 + 14).plus(-1), day(4 + 13), day(4)] {
        unlawful(&changed("/consultation/to", json!(to.to_string())), "consultation.to", "too-short");
    }
    for to in [day(4).plus(-1), day(3)] {
        refused(&changed("/consultation/to", json!(to.to_string())), "consultation.to", "before-start");
    }
    assert!(read(&changed("/consultation/to", json!(day(59).to_string()))).is_ok());
    refused(&changed("/consultation/to", json!(day(59).plus(1).to_string())), "starts_at", "before-consultation");
}

// Emergency

#[test]
fn an_emergency_lasts_ninety_days() {
    lawful(&emergency());
    for sunset in [day(59 + 90).plus(1), day(59 + 90).plus(DAY - 1), day(59 + 91)] {
        let mut body = emergency();
        body["sunset_at"] = json!(sunset.to_string());
        unlawful(&body, "sunset_at", "too-long");
    }
}

#[test]
fn an_emergency_answers_eight_conditions() {
    let conditions = ["necessity", "time_bound", "scope_lock", "security", "fairness", "sharing", "remedy", "participation"];
    let members = emergency()["eight_conditions"].as_object().unwrap().clone();
    assert_eq!(members.len(), 8);
    for condition in conditions {
        let mut body = emergency();
        body["eight_conditions"].as_object_mut().unwrap().remove(condition);
        refused(&body, &format!("eight_conditions.{condition}"), "missing");
    }
    let mut body = emergency();
    body.as_object_mut().unwrap().remove("eight_conditions");
    refused(&body, "eight_conditions", "missing");
}

#[test]
fn an_emergency_serves_no_business_and_is_assessed() {
    let mut body = emergency();
    body["purpose"]["commercial"] = json!(true);
    refused(&body, "purpose.commercial", "commercial-emergency");
    assert!(read(&changed("/purpose/commercial", json!(true))).is_ok());
    let mut body = emergency();
    body["automated_decision"] = json!("none");
    body.as_object_mut().unwrap().remove("impact_assessment");
    refused(&body, "impact_assessment", "missing");
}

#[test]
fn an_emergency_may_comment_afterwards_but_not_backwards() {
    let mut body = emergency();
    body["consultation"] = json!({"from": day(60).to_string(), "to": day(61).to_string(), "summary": text("Later.")});
    assert!(read(&body).is_ok());
    body["consultation"]["to"] = json!(day(60).plus(-1).to_string());
    refused(&body, "consultation.to", "before-start");
}

// Lists

#[test]
fn nothing_stands_twice() {
    let block = library_card()["blocks"][0].clone();
    let mut body = library_card();
    body["blocks"].as_array_mut().unwrap().push(block);
    refused(&body, "blocks", "duplicate");
    let mut body = library_card();
    body["reasons"][1]["code"] = json!("new-card");
    refused(&body, "reasons", "duplicate");
}

#[test]
fn machines_and_crowds_need_an_impact_assessment() {
    let place = Place { pointer: "/impact_assessment".into(), path: "impact_assessment".into(), is_member: true };
    let mut body = without(&library_card(), &place);
    for automated in ["support", "sole"] {
        body["automated_decision"] = json!(automated);
        refused(&body, "impact_assessment", "missing");
    }
    body["automated_decision"] = json!("none");
    assert!(read(&body).is_ok());
    body["bulk_limit"] = json!(2);
    refused(&body, "impact_assessment", "missing");
}

#[test]
fn a_date_belongs_to_once_after_only() {
    refused(&changed("/fetch", json!({"when": "once_after"})), "fetch.after", "missing");
    for when in ["once", "periodic"] {
        refused(&changed("/fetch/when", json!(when)), "fetch.after", "unknown-field");
        assert!(read(&changed("/fetch", json!({"when": when}))).is_ok());
    }
}

// Anything at all

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "(mdt|agc|blk|ctr)_[a-z]{0,5}".prop_map(Value::from),
        "P[0-9]{1,19}[YMWD]".prop_map(Value::from),
        "PT[0-9]{1,19}[HMS]".prop_map(Value::from),
        "-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:00:00Z)?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("en|zh-Hant|when|after|[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(common::cases(2_000))]

    #[test]
    fn no_value_at_any_place_makes_the_reader_panic(changes in prop::collection::vec((any::<Index>(), values()), 1..4)) {
        let mut body = library_card();
        for (index, value) in changes {
            let places = places(&body);
            body = with(&body, &places[index.index(places.len())], value);
            if places.len() < 2 {
                break;
            }
        }
        match Mandate::read(&body) {
            Ok(mandate) => {
                prop_assert!(mandate.starts_at < mandate.sunset_at);
                prop_assert!(mandate.sunset_at <= mandate.starts_at.plus(5 * 366 * DAY));
                prop_assert!(mandate.rate_period() > 0 && mandate.rate_period() < i64::MAX);
                prop_assert!(mandate.keep_until(day(60)) <= mandate.sunset_at);
                prop_assert!(!mandate.blocks.is_empty() && !mandate.recipients.is_empty() && !mandate.reasons.is_empty());
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in &problems {
                    well_said(problem).map_err(TestCaseError::fail)?;
                }
            }
        }
        let _ = DataBlock::read(&body);
    }
}
