//! What a revision changes, whom the law asks again because of it, and what a notice says in its layers.

use crate::common;
use crate::common::{City, activate, contract_body, day, founded, lawful, library_card, names, text, well_said};
use serde_json::{Value, json};
use usufruct_core::amendment::{Change, changes};
use usufruct_core::decide::{Clause, Outcome, Request, decide};
use usufruct_core::event::Form;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::hash::sha256;
use usufruct_core::lawpack::{Lawpack, SHIPPED};
use usufruct_core::layers::{Icon, Layers};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};

const CARD: &str = "mdt_library-card";

/// The library card with something changed in it, and the changes that are seen.
fn seen(change: impl FnOnce(&mut Value)) -> Vec<Change> {
    let mut body = library_card();
    change(&mut body);
    changes(&Mandate::read(&library_card()).unwrap(), &Mandate::read(&body).unwrap())
}

#[test]
fn what_widens_a_mandate_is_seen_and_each_as_what_it_is() {
    assert_eq!(seen(|body| body["purpose"]["sentence"] = text("To sell books.")), [Change::Purpose]);
    assert_eq!(seen(|body| body["reasons"][0]["text"] = text("You asked for more.")), [Change::Purpose]);
    assert_eq!(seen(|body| body["legal_basis"]["article"] = json!("16(1)")), [Change::Basis]);
    assert_eq!(seen(|body| body["blocks"][1]["necessity"] = json!("required")), [Change::Block]);
    assert_eq!(seen(|body| body["blocks"][1]["form"] = json!("value")), [Change::Block]);
    let another = json!({"block": "blk_address", "necessity": "optional", "form": "token", "reason": text("Why.")});
    assert_eq!(seen(|body| body["blocks"].as_array_mut().unwrap().push(another)), [Change::Block]);
    let way = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Why.")}]);
    assert_eq!(seen(|body| body["conversions"] = way), [Change::Conversion]);
    assert_eq!(seen(|body| body["oversight_body"] = json!("agc_other")), [Change::Overseer]);
    assert_eq!(seen(|body| body["retention"]["duration"] = json!("P31D")), [Change::Period]);
    assert_eq!(seen(|body| body["sunset_at"] = json!("2027-03-02T00:00:00Z")), [Change::Period]);
    assert_eq!(seen(|body| body["locations"] = json!(["TW", "JP"])), [Change::Place]);
    assert_eq!(seen(|body| body["recipients"][1]["contract"] = json!("ctr_other")), [Change::Processor]);
    let more = json!({"agency": "agc_parks", "why": text("Why.")});
    assert_eq!(seen(|body| body["recipients"].as_array_mut().unwrap().push(more)), [Change::Recipient]);
    let waived = json!({"waived": {"by": "agc_oversight", "until": "2026-06-01T00:00:00Z", "reason": text("Later.")}});
    assert_eq!(seen(|body| body["eight_conditions"]["fairness"] = waived), [Change::Safeguard]);
    assert_eq!(seen(|body| body["subjects"] = text("Everybody.")), [Change::Subjects]);
    let more: [fn(&mut Value); 4] = [
        |body| body["concerns"]["persons"] = json!(9_001),
        |body| body["concerns"]["cameras"] = json!(true),
        |body| drop(body["concerns"].as_object_mut().unwrap().remove("persons")),
        |body| drop(body.as_object_mut().unwrap().remove("concerns")),
    ];
    more.into_iter().for_each(|change| assert_eq!(seen(change), [Change::Subjects]));
    // What a mandate does not speak of it does not say of itself.
    let mut silent = library_card();
    silent.as_object_mut().unwrap().remove("concerns");
    let after_silence = |concerns: Value| {
        let mut body = silent.clone();
        body["concerns"] = concerns;
        changes(&Mandate::read(&silent).unwrap(), &Mandate::read(&body).unwrap())
    };
    assert_eq!(after_silence(json!({"persons": 5, "children": true})), [Change::Subjects]);
    assert_eq!(after_silence(json!({"persons": 5, "cameras": true})), [Change::Subjects]);
    assert_eq!(after_silence(json!({"persons": 5})), []);
    assert_eq!(seen(|body| body["rate_cap"]["uses"] = json!(4)), [Change::Use]);
    assert_eq!(seen(|body| body["rate_cap"]["per"] = json!("P29D")), [Change::Use]);
    assert_eq!(seen(|body| body["bulk_limit"] = json!(2)), [Change::Use]);
    assert_eq!(seen(|body| body["fetch"] = json!({"when": "periodic"})), [Change::Use]);
    assert_eq!(seen(|body| body["operations"].as_array_mut().unwrap().push(json!("statistics"))), [Change::Use]);
    assert_eq!(seen(|body| body["automated_decision"] = json!("sole")), [Change::Use]);
    assert_eq!(seen(|body| body["third_party"] = json!({"max_days": 1})), [Change::Safeguard]);
    let closed = |before: i64, after: Option<i64>| {
        let body = |days: Option<i64>| {
            let mut body = library_card();
            if let Some(days) = days {
                body["third_party"] = json!({"max_days": days});
            }
            Mandate::read(&body).unwrap()
        };
        changes(&body(Some(before)), &body(after))
    };
    assert_eq!(closed(30, Some(31)), [Change::Safeguard], "for longer");
    assert_eq!([closed(30, Some(30)), closed(30, Some(29)), closed(30, None)].concat(), [], "not for longer");
    let two = seen(|body| {
        body["subjects"] = text("Everybody.");
        body["locations"] = json!(["TW", "JP"]);
    });
    assert_eq!(two, [Change::Place, Change::Subjects]);
}

#[test]
fn what_narrows_a_mandate_or_only_words_it_is_no_change() {
    let none: [fn(&mut Value); 13] = [
        |body| body["concerns"] = json!({"persons": 8_999}),
        |body| body["title"] = text("Card of the library"),
        |body| body["blocks"][0]["reason"] = text("Printed on it."),
        |body| body["blocks"] = json!([body["blocks"][0]]),
        |body| body["blocks"][0]["form"] = json!("token"),
        |body| body["recipients"] = json!([body["recipients"][0]]),
        |body| body["recipients"][0]["why"] = text("Keeps it."),
        |body| body["retention"]["duration"] = json!("P29D"),
        |body| body["sunset_at"] = json!("2027-02-01T00:00:00Z"),
        |body| body["rate_cap"] = json!({"uses": 2, "per": "P31D"}),
        |body| body["fetch"] = json!({"when": "once_after", "after": "2026-03-03T00:00:00Z"}),
        |body| body["automated_decision"] = json!("none"),
        |body| body["gate"] = json!("witnessed"),
    ];
    for (number, change) in none.into_iter().enumerate() {
        assert_eq!(seen(change), [], "change {number}");
    }
}

/// A law of Taiwan with this list of changes, or with the one that ships.
fn publish_law(city: &mut City, list: Option<&[&str]>) {
    let (_, pack) = SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap();
    let mut body: Value = toml::from_str(pack).unwrap();
    body.as_object_mut().unwrap().remove("processors");
    // tests/consultation.rs is about the time to comment.
    body["deadlines"].as_array_mut().unwrap().retain(|deadline| deadline["duty"] != "comment_public");
    if let Some(list) = list {
        body["asks_again"] = list.iter().map(|change| json!({"change": change, "article": "1"})).collect();
    }
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", body);
}

/// Publishes the next revision of the library card and brings it to `active`.
fn revise(city: &mut City, change: impl FnOnce(&mut Value)) {
    let mut body = serde_json::to_value(&city.register.mandates[&CARD.parse().unwrap()].body).unwrap();
    change(&mut body);
    city.now = city.now.max(day(26)).plus(2 * DAY);
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    activate(city, CARD);
}

fn present(city: &City) -> Digest {
    city.register.mandates[&CARD.parse().unwrap()].hash
}

/// The clauses that stand against a use by somebody who agreed to this revision at this moment.
fn broken(register: &Register, agreed: Digest, at: Time) -> Vec<Clause> {
    let request = Request {
        service: "svc_library".parse().unwrap(),
        mandate: CARD.parse().unwrap(),
        blocks: vec![("blk_name".parse().unwrap(), Form::Value)],
        reason: "reminder".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    };
    let grant = Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: agreed,
        given_at: at,
        valid_until: day(400),
        blocks: vec!["blk_name".parse().unwrap()],
        uses: 0,
        window_start: at,
        window_uses: 0,
        means: None,
        resident_active: true,
        authorized: true,
        rests: false,
        declined: false,
    };
    let decision = decide(register, &request, Some(&grant), day(70));
    if decision.outcome == Outcome::Permit { Vec::new() } else { decision.because }
}

#[test]
fn a_consent_holds_over_a_revision_that_the_law_lets_pass() {
    let mut city = lawful();
    publish_law(&mut city, None);
    let (first, agreed_at) = (present(&city), day(26));
    assert_eq!(broken(&city.register, first, agreed_at), []);
    revise(&mut city, |body| body["title"] = text("Card of the library"));
    let second = present(&city);
    assert_ne!(first, second);
    assert_eq!(broken(&city.register, first, agreed_at), []);
    // A vendor more is told, by the law of Taiwan, and asks nobody again.
    city.say(StatementKind::Agency, "agc_post", "agc_operator", common::agency_body("agc_post", "vendor"));
    revise(&mut city, |body| {
        let vendor = json!({"agency": "agc_post", "contract": "ctr_post", "why": text("Sends letters.")});
        body["recipients"].as_array_mut().unwrap().push(vendor);
    });
    assert_eq!(broken(&city.register, first, agreed_at), []);
    let amendment = &city.register.amendments[&CARD.parse().unwrap()];
    assert_eq!((&*amendment.changes, amendment.asks_again, amendment.holds_since), (&[Change::Processor][..], false, 1));
    // What it is for asks everybody again, and so does everything after it of those who agreed before.
    revise(&mut city, |body| body["purpose"]["sentence"] = text("To count readers."));
    let fourth = present(&city);
    assert_eq!(broken(&city.register, second, agreed_at), [Clause::Grant, Clause::Notice]);
    assert_eq!(broken(&city.register, fourth, city.now), []);
    revise(&mut city, |body| body["title"] = text("Card"));
    assert_eq!(broken(&city.register, second, agreed_at), [Clause::Grant, Clause::Notice]);
    assert_eq!(broken(&city.register, fourth, city.now.plus(-1)), []);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_law_may_ask_again_for_a_processor() {
    let mut city = lawful();
    let always = ["basis", "block", "conversion", "period", "purpose", "recipient"];
    publish_law(&mut city, Some(&[&always[..], &["processor"]].concat()));
    let first = present(&city);
    revise(&mut city, |body| body["recipients"] = json!([body["recipients"][0]]));
    assert_eq!(broken(&city.register, first, day(26)), []);
    revise(&mut city, |body| {
        let vendor = json!({"agency": "agc_cloud", "contract": "ctr_cloud", "why": text("Sends letters.")});
        body["recipients"].as_array_mut().unwrap().push(vendor);
    });
    assert_eq!(broken(&city.register, first, day(26)), [Clause::Grant, Clause::Notice]);
}

#[test]
fn where_no_pack_says_it_every_revision_asks_again() {
    let mut city = lawful();
    let first = present(&city);
    revise(&mut city, |body| body["title"] = text("Card of the library"));
    assert_eq!(broken(&city.register, first, day(26)), [Clause::Grant, Clause::Notice]);
    assert_eq!(broken(&city.register, sha256(b"no revision"), day(26)), [Clause::Grant, Clause::Notice]);
}

#[test]
fn a_consent_to_one_mandate_is_none_to_another() {
    let city = lawful();
    let meals = city.register.mandates[&"mdt_school-meals".parse().unwrap()].hash;
    assert!(!city.register.still_holds(&meals, &city.register.mandates[&CARD.parse().unwrap()]));
}

#[test]
fn a_pack_cannot_leave_out_that_another_purpose_asks_again() {
    let mut body: Value = toml::from_str(SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap().1).unwrap();
    body["asks_again"] = json!([{"change": "processor", "article": "1"}]);
    let problems = Lawpack::read(&body).unwrap_err();
    assert_eq!(problems.len(), Change::ALWAYS.len(), "{problems:#?}");
    assert!(names(&problems, "asks_again", "missing"));
    problems.iter().for_each(|problem| well_said(problem).unwrap());
}

#[test]
fn a_notice_names_everybody_who_works_on_the_data() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    let mut contract = contract_body();
    city.say(StatementKind::Agency, "agc_post", "agc_operator", common::agency_body("agc_post", "vendor"));
    contract["subprocessors"] = json!([{"agency": "agc_post", "location": "JP", "approved_by": "agc_library"}]);
    city.say(StatementKind::Contract, "ctr_cloud", "agc_library", contract);
    let id = CARD.parse().unwrap();
    assert_eq!(Layers::of(&city.register, &id, city.now), None, "a notice that nobody published");
    city.steps("ctr_cloud", &[State::CheckedAgency, State::CheckedCity, State::Signed, State::Active]);
    activate(&mut city, CARD);
    let layers = Layers::of(&city.register, &id, city.now).unwrap();
    assert_eq!(layers.mandate_hash, present(&city));
    assert_eq!(layers.notice_hash, city.register.notices[&layers.mandate_hash].hash);
    assert_eq!(layers.icons, [Icon::Value, Icon::Machine, Icon::Vendor, Icon::Abroad]);
    assert_eq!(
        (layers.line.en.as_str(), layers.short.en.as_str()),
        ("For your library card", "We print a card. We call books back.")
    );
    let full = &layers.full;
    assert_eq!(full.controller.agency.as_str(), "agc_library");
    assert_eq!(full.overseer.agency.as_str(), "agc_oversight");
    assert_eq!(full.recipients.iter().map(|one| one.party.agency.as_str()).collect::<Vec<_>>(), ["agc_library"]);
    let [vendor] = &full.processors[..] else { panic!("{:#?}", full.processors) };
    assert_eq!(
        (vendor.party.agency.as_str(), &*vendor.places, vendor.delete_within_days),
        ("agc_cloud", &["TW".to_owned()][..], Some(30))
    );
    let [behind] = &vendor.behind[..] else { panic!("{:#?}", vendor.behind) };
    assert_eq!((behind.party.agency.as_str(), behind.place.as_str()), ("agc_post", "JP"));
    assert_eq!(full.retention.duration, "P30D");
    assert_eq!(full.categories.iter().map(|one| one.block.as_str()).collect::<Vec<_>>(), ["blk_name", "blk_age"]);
    assert_eq!(full.categories[0].source.as_ref().unwrap().agency.as_str(), "agc_library");
    assert!(!layers.law.is_empty() && layers.law.iter().all(|item| item.is_answered), "{:#?}", layers.law);
    let said = serde_json::to_value(&layers).unwrap();
    assert_eq!(said["icons"], json!(["value", "machine", "vendor", "abroad"]));
    assert_eq!(said["full"]["processors"][0]["behind"][0]["party"]["name"], text("agc_post"));
    assert_eq!(said["law"][0]["code"], "controller");
}

#[test]
fn a_notice_says_what_is_joined_and_on_which_exception_it_rests() {
    let mut city = founded();
    city.now = day(1);
    for (id, agency, sector) in [("svc_library", "agc_library", "library"), ("svc_parks", "agc_parks", "parks")] {
        city.say(StatementKind::Service, id, agency, common::service_body(agency, sector, &[]));
    }
    let mut body = library_card();
    body["operations"] = json!(["collect", "store", "match", "decide"]);
    body["recipients"] = json!([
        {"agency": "agc_library", "why": text("Prints the card.")}, {"agency": "agc_parks", "why": text("Lets readers in.")},
    ]);
    body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter.")}]);
    body["exception"] = json!({"code": "TW16.6", "written_reason": text("Readers asked for it.")});
    body["data_range"] = json!({"back": "P30D"});
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    activate(&mut city, CARD);
    let layers = Layers::of(&city.register, &CARD.parse().unwrap(), city.now).unwrap();
    assert!(layers.icons.contains(&Icon::Joined), "{:?}", layers.icons);
    let [join] = &layers.full.joins[..] else { panic!("{:?}", layers.full.joins) };
    assert_eq!((join.from.as_str(), join.to.as_str(), join.why.en.as_str()), ("svc_library", "svc_parks", "Readers enter."));
    assert_eq!(join.to_name, city.register.services[&join.to].body.name);
    let exception = layers.full.exception.as_ref().unwrap();
    assert_eq!(exception.written_reason.en, "Readers asked for it.");
    assert_eq!(layers.full.data_range.as_ref().unwrap().back.as_deref(), Some("P30D"));
    // What is not there is not spoken of.
    let said = serde_json::to_value(Layers::of(&lawful().register, &CARD.parse().unwrap(), day(40)).unwrap()).unwrap();
    assert!(said["full"].get("joins").is_none());
}
