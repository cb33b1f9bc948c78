//! The life of a notice, the hash over its text, and how easily it reads: all of it follows from the log.

use crate::common;
use crate::common::{City, activate, announce, day, founded, library_card, notice_body, text};
use serde_json::{Value, json};
use usufruct_core::id::MandateId;
use usufruct_core::layers::Layers;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::notice::Notice;
use usufruct_core::notice_life::{NoticeLife, NoticeState};
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Day;
use usufruct_core::time::DAY;
use usufruct_core::wording::Wording;
use usufruct_core::{hash, jcs};

const CARD: &str = "mdt_library-card";

fn id() -> MandateId {
    CARD.parse().unwrap()
}

fn lives(city: &City) -> Vec<NoticeLife> {
    city.register.notices_of(&id())
}

/// Counts the days until now that are over and not counted yet, each with these uses.
fn count(city: &mut City, uses: &str) {
    let mut next = city.register.last_tally(&id()).map(Day::next).unwrap_or_else(|| {
        let mandate = &city.register.mandates[&id()];
        Day::of(mandate.history.iter().find(|step| step.to == State::Active).unwrap().at).unwrap()
    });
    while next.next().begins() <= city.now {
        let residents = if uses == "0" { "0" } else { "1-9" };
        let body = json!({"mandate": CARD, "day": next.to_string(), "uses": uses, "delayed": "0", "irregular": "0", "batches": "0",
            "residents": residents});
        let tally =
            city.draft(StatementKind::Tally, &format!("tly_{next}"), "agc_operator", body, &[("agc_operator", "automation")]);
        city.apply(tally).unwrap();
        next = next.next();
    }
}

#[test]
fn a_notice_is_a_draft_until_its_mandate_is_published_and_replaced_when_the_next_one_is() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    assert_eq!(lives(&city), []);
    let hash = city.register.mandates[&id()].hash;
    city.now = day(24);
    city.steps(CARD, &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_first", "agc_library", notice_body(CARD, hash));
    let [draft] = &lives(&city)[..] else { panic!() };
    assert_eq!((draft.state, draft.since, draft.published_at, draft.revision), (NoticeState::Draft, day(24), None, 1));
    city.now = day(25);
    city.step(CARD, State::Published);
    let [published] = &lives(&city)[..] else { panic!() };
    assert_eq!((published.state, published.since, published.mandate_hash), (NoticeState::Published, day(25), hash));
    city.step(CARD, State::Active);
    city.say_key(CARD, common::commitment_of(CARD));

    // A revision is a draft: the notice before it stands until the new one is published with it.
    let mut revised = library_card();
    revised["retention"]["duration"] = json!("P20D");
    city.now = day(40);
    city.say(StatementKind::Mandate, CARD, "agc_library", revised.clone());
    assert_eq!(lives(&city)[0].state, NoticeState::Published);
    announce(&mut city, CARD);
    let [first, second] = &lives(&city)[..] else { panic!() };
    assert_eq!((first.state, first.superseded_by, first.published_at), (NoticeState::Superseded, Some(2), Some(day(25))));
    assert_eq!((first.since, second.since, second.state), (day(40), day(40), NoticeState::Published));
    assert_eq!(second.mandate_hash, city.register.mandates[&id()].hash);

    // A third revision that is given up before it is public replaces nothing, and a fourth that is published replaces both.
    city.step(CARD, State::Active);
    revised["retention"]["duration"] = json!("P10D");
    city.now = day(50);
    city.say(StatementKind::Mandate, CARD, "agc_library", revised.clone());
    let hash = city.register.mandates[&id()].hash;
    city.say(StatementKind::Notice, "ntc_third", "agc_library", notice_body(CARD, hash));
    assert_eq!(lives(&city).iter().map(|life| life.state).collect::<Vec<_>>()[1..], [NoticeState::Published, NoticeState::Draft]);
    revised["retention"]["duration"] = json!("P5D");
    city.say(StatementKind::Mandate, CARD, "agc_library", revised);
    activate(&mut city, CARD);
    let states: Vec<_> = lives(&city).iter().map(|life| (life.revision, life.state, life.superseded_by)).collect();
    let replaced = NoticeState::Superseded;
    let expected = [(1, replaced, Some(2)), (2, replaced, Some(4)), (3, replaced, Some(4)), (4, NoticeState::Published, None)];
    assert_eq!(states, expected);

    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(again.notices_of(&id()), lives(&city));
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json(), "nothing of it is kept in the register");
}

#[test]
fn a_notice_is_used_as_far_as_the_tallies_say() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    activate(&mut city, CARD);
    assert!(!lives(&city)[0].used.is_used() && lives(&city)[0].used.most == 0);
    city.now = city.now.plus(2 * DAY);
    count(&mut city, "0");
    assert!(!lives(&city)[0].used.is_used(), "days without a use");
    let (from, days) = (city.register.last_tally(&id()).unwrap().next(), 3);
    city.now = city.now.plus(days * DAY);
    count(&mut city, "12");
    let used = lives(&city)[0].used;
    assert_eq!((used.since, used.days, used.least, used.most), (Some(from), 3, 36, 36));
    city.now = city.now.plus(DAY);
    count(&mut city, "1-9");
    let used = lives(&city)[0].used;
    assert_eq!((used.days, used.least, used.most), (4, 37, 45), "a few are at least one and at most nine");

    // On the day of the change it is not said which of the two it was.
    let mut revised = library_card();
    revised["retention"]["duration"] = json!("P20D");
    city.say(StatementKind::Mandate, CARD, "agc_library", revised);
    activate(&mut city, CARD);
    city.now = city.now.plus(DAY);
    count(&mut city, "100");
    let [first, second] = &lives(&city)[..] else { panic!() };
    assert_eq!((first.used.days, first.used.least, first.used.most), (4, 37, 145));
    assert_eq!((second.used.is_used(), second.used.least, second.used.most), (false, 0, 100));
    city.now = city.now.plus(DAY);
    count(&mut city, "10");
    let [first, second] = &lives(&city)[..] else { panic!() };
    assert_eq!((first.used.most, second.used.is_used(), second.used.least, second.used.most), (145, true, 10, 110));
}

fn wording(mandate: &Value, notice: &Value) -> Wording {
    Wording::of(&Mandate::read(mandate).unwrap(), &Notice::read(notice).unwrap())
}

#[test]
fn the_hash_is_over_every_word_in_every_language_and_anybody_can_make_it() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    activate(&mut city, CARD);
    let layers = Layers::of(&city.register, &id(), city.now).unwrap();
    let said = serde_json::to_value(&layers).unwrap();
    assert_eq!(said["text_hash"], json!(hash::sha256(&jcs::encode(&said["text"]).unwrap())), "it is made of what is published");
    let (mandate, notice) = (library_card(), notice_body(CARD, layers.mandate_hash));
    let whole = wording(&mandate, &notice);
    assert_eq!(whole.hash(), layers.text_hash);
    // Each text, in each language.
    let mut changed = 0;
    for field in ["line", "short", "manner", "rights", "effect_of_refusal"] {
        for language in ["en", "zh-Hant"] {
            let mut other = notice.clone();
            other[field][language] = json!("Otherwise.");
            assert_ne!(wording(&mandate, &other).hash(), whole.hash(), "{field} {language}");
            changed += 1;
        }
    }
    for place in [
        "/title",
        "/purpose/sentence",
        "/legal_basis/instrument",
        "/legal_basis/quote",
        "/subjects",
        "/blocks/0/reason",
        "/recipients/0/why",
        "/retention/from_event",
        "/exception/written_reason",
        "/transfers/0/safeguard",
    ] {
        let mut other = mandate.clone();
        *other.pointer_mut(place).unwrap() = text("Otherwise.");
        let differences = wording(&other, &notice).differences(&whole);
        assert_eq!(differences.len(), 1, "{place}: {differences:?}");
        assert_eq!(differences[0].after.as_ref().unwrap().en, "Otherwise.");
        assert_ne!(wording(&other, &notice).hash(), whole.hash(), "{place}");
        changed += 1;
    }
    assert_eq!(changed, 20);
    // What no reader is told changes nothing.
    let mut other = mandate.clone();
    other["gate"] = json!("witnessed");
    assert_eq!(wording(&other, &notice).hash(), whole.hash());
}

#[test]
fn two_notices_are_told_apart_place_by_place() {
    let mandate = library_card();
    let notice = notice_body(CARD, hash::sha256(b""));
    let before = wording(&mandate, &notice);
    assert_eq!(before.differences(&before), []);
    let mut later = mandate.clone();
    later["sunset_at"] = json!("2027-01-01T00:00:00Z");
    later["blocks"].as_array_mut().unwrap().remove(1);
    let mut words = notice.clone();
    words["short"] = text("We print a card.");
    let told = wording(&later, &words).differences(&before);
    let places: Vec<&str> = told.iter().map(|change| change.place.as_str()).collect();
    assert_eq!(places, ["short", "sunset_at", "blocks[blk_age].reason", "blocks[blk_age]"]);
    assert!(told[2].after.is_none() && told[2].before.is_some());
}
