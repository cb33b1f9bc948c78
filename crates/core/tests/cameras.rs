//! Cameras: permitted by somebody else than who asks, blind to faces and voices, and dark once nobody looks after them.

use crate::common;
use crate::common::{City, camera_body, day, founded, names, text, well_said};
use serde_json::{Value, json};
use usufruct_core::camera::Camera;
use usufruct_core::draft::Problem;
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::{Lawpack, SHIPPED};
use usufruct_core::lifecycle::State;
use usufruct_core::register::Entry;
use usufruct_core::statement::{Statement, StatementKind};

const ID: &str = "cam_north-gate";
const POLICE: &str = "agc_police";
const PARKS: &str = "agc_parks";
const CLOCK: [(&str, &str); 1] = [("agc_operator", "automation")];

fn changed(change: impl Fn(&mut Value)) -> Value {
    let mut body = camera_body();
    change(&mut body);
    body
}

fn proposal(city: &City, body: Value) -> Statement {
    city.draft(StatementKind::Camera, ID, PARKS, body, &[(PARKS, "head")])
}

fn problems(city: &City, statement: &Statement) -> Vec<Problem> {
    let problems = city.register.check(statement).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn proposed() -> City {
    let mut city = founded();
    city.now = day(1);
    city.apply(proposal(&city, camera_body())).unwrap();
    city
}

fn active() -> City {
    let mut city = proposed();
    city.steps(ID, &[State::Permitted, State::Active]);
    city
}

fn camera(city: &City) -> &Entry<Camera> {
    &city.register.cameras[&ID.parse().unwrap()]
}

fn may_see(city: &City, at: i64) -> bool {
    city.register.camera_may_see(camera(city), day(at))
}

#[test]
fn every_field_of_a_camera_is_needed() {
    let optional = ["last_check", "live_view", "permit_no", "permit_until"];
    common::walk::spoil_everything(&camera_body(), &optional, &|body| Camera::read(body).map(drop));
    for field in ["audio", "face_recognition", "joined_with_personal_data"] {
        let problems = Camera::read(&changed(|body| body[field] = json!(true))).unwrap_err();
        assert!(names(&problems, field, "forbidden"), "{field}: {problems:?}");
    }
    for field in ["installer", "applicant"] {
        let problems = Camera::read(&changed(|body| body[field] = json!(POLICE))).unwrap_err();
        assert!(names(&problems, field, "itself"), "{field}: {problems:?}");
    }
    let far = changed(|body| body["location"]["latitude"] = json!("90.000001"));
    assert!(names(&Camera::read(&far).unwrap_err(), "location.latitude", "out-of-range"));
    let torn = changed(|body| body["recording"]["kept"] = json!(false));
    assert!(names(&Camera::read(&torn).unwrap_err(), "recording.days", "contradiction"));
    assert!(Camera::read(&changed(|body| body["recording"] = json!({"kept": false}))).is_ok());
}

#[test]
fn who_asks_proposes_and_who_permits_is_another() {
    let city = founded();
    assert!(problems(&city, &proposal(&city, camera_body())).is_empty());
    let by = |by: &str, keys: &[(&str, &str)]| problems(&city, &city.draft(StatementKind::Camera, ID, by, camera_body(), keys));
    assert!(by(POLICE, &[(POLICE, "head"), (POLICE, "privacy")]).is_empty(), "the authority can write it down as well");
    assert!(names(&by(POLICE, &[(POLICE, "head")]), "approvals", "too-few"));
    assert!(names(&by("agc_cloud", &[("agc_cloud", "head"), ("agc_cloud", "privacy")]), "by", "not-the-owner"));
    let with = |change: &dyn Fn(&mut Value)| problems(&city, &proposal(&city, changed(change)));
    let vendor = |body: &mut Value| (body["authority"], body["installer"]) = (json!("agc_cloud"), json!("agc_health"));
    assert!(names(&with(&vendor), "authority", "vendor"));
    assert!(names(&with(&|body| body["installer"] = json!("agc_nowhere")), "installer", "unknown"));
    assert!(names(&with(&|body| body["purpose_code"] = json!("curiosity")), "purpose_code", "unknown-purpose"));
    assert!(names(&with(&|body| body["last_check"] = json!(day(2).to_string())), "last_check", "future"));
    let mut city = proposed();
    let permit = |keys: &[(&str, &str)]| problems(&city, &city.step_draft(ID, State::Permitted, keys[0].0, keys));
    assert!(names(&permit(&[(PARKS, "head"), (PARKS, "privacy")]), "by", "not-the-owner"), "the applicant permits nothing");
    assert!(names(&permit(&[("agc_cloud", "head"), ("agc_cloud", "privacy")]), "by", "not-the-owner"));
    assert!(names(&permit(&[(POLICE, "head"), (POLICE, "deputy")]), "approvals", "too-few"));
    city.step(ID, State::Permitted);
    let begin = city.step_draft(ID, State::Active, POLICE, &[(POLICE, "head"), (POLICE, "automation")]);
    assert!(names(&problems(&city, &begin), "approvals", "too-few"));
    city.step(ID, State::Active);
    assert!(may_see(&city, 1));
}

#[test]
fn nothing_is_permitted_without_a_permit_or_begins_unchecked() {
    let step = |body: Value, to: State| {
        let mut city = founded();
        city.now = day(1);
        city.apply(proposal(&city, body)).unwrap();
        if to == State::Active {
            city.step(ID, State::Permitted);
        }
        problems(&city, &city.step_draft(ID, to, POLICE, &[(POLICE, "head"), (POLICE, "privacy")]))
    };
    let without = |field: &str| changed(|body| drop(body.as_object_mut().unwrap().remove(field)));
    assert!(names(&step(without("permit_no"), State::Permitted), "permit_no", "missing"));
    assert!(names(&step(without("permit_until"), State::Permitted), "permit_until", "missing"));
    let past = changed(|body| body["permit_until"] = json!(day(1).to_string()));
    assert!(names(&step(past, State::Permitted), "permit_until", "past"));
    assert!(step(without("last_check"), State::Permitted).is_empty());
    assert!(names(&step(without("last_check"), State::Active), "last_check", "overdue"));
    let old = changed(|body| body["last_check"] = json!(day(-179).to_string()));
    assert!(names(&step(old, State::Active), "last_check", "overdue"), "nobody looked for 180 days");
    assert!(step(changed(|body| body["last_check"] = json!(day(-178).to_string())), State::Active).is_empty());
}

#[test]
fn a_check_keeps_it_going_and_anything_else_is_permitted_anew() {
    let mut city = active();
    city.now = day(100);
    let checked = changed(|body| body["last_check"] = json!(day(99).to_string()));
    let alone = city.draft(StatementKind::Camera, ID, PARKS, checked.clone(), &[(PARKS, "head")]);
    assert!(!problems(&city, &alone).is_empty(), "who asked for it does not say that all is well");
    city.say(StatementKind::Camera, ID, POLICE, checked);
    assert_eq!((camera(&city).state, may_see(&city, 278), may_see(&city, 279)), (State::Active, true, false));
    let older = city.draft(StatementKind::Camera, ID, POLICE, camera_body(), &[(POLICE, "head"), (POLICE, "privacy")]);
    assert!(names(&problems(&city, &older), "last_check", "goes-back"));
    let turned = changed(|body| {
        body["direction"] = json!("north");
        body["last_check"] = json!(day(99).to_string());
    });
    city.apply(proposal(&city, turned)).unwrap();
    assert_eq!((camera(&city).state, may_see(&city, 100)), (State::Proposed, false));
    let moved = changed(|body| body["authority"] = json!("agc_health"));
    assert!(names(&problems(&city, &proposal(&city, moved)), "authority", "moved"));
}

#[test]
fn one_person_or_the_clock_withholds_it_and_two_people_bring_it_back() {
    for (by, keys) in [(POLICE, &[(POLICE, "head")][..]), ("agc_operator", &CLOCK)] {
        let mut city = active();
        city.now = day(180);
        assert!(!may_see(&city, 180), "it sees nothing before anybody says so");
        assert_eq!(city.register.late(day(180)).first().map(|late| late.duty), Some(LateDuty::CameraCheck));
        city.apply(city.step_draft(ID, State::Withheld, by, keys)).unwrap();
        let back = |city: &City, keys: &[(&str, &str)]| problems(city, &city.step_draft(ID, State::Active, POLICE, keys));
        let two = [(POLICE, "head"), (POLICE, "privacy")];
        assert!(names(&back(&city, &two), "last_check", "overdue"));
        city.say(StatementKind::Camera, ID, POLICE, changed(|body| body["last_check"] = json!(day(180).to_string())));
        assert_eq!(camera(&city).state, State::Withheld);
        assert!(names(&back(&city, &two[..1]), "approvals", "too-few"));
        city.step(ID, State::Active);
        assert!(may_see(&city, 180) && city.register.late(day(180)).is_empty());
    }
}

#[test]
fn a_permit_ends_by_the_clock_and_never_before_its_day() {
    let mut city = active();
    city.now = day(150);
    city.say(StatementKind::Camera, ID, POLICE, changed(|body| body["last_check"] = json!(day(150).to_string())));
    let ends =
        |city: &City, by: &str, keys: &[(&str, &str)]| problems(city, &city.step_draft(ID, State::PermitExpired, by, keys));
    city.now = day(300).plus(-1);
    assert!(names(&ends(&city, "agc_operator", &CLOCK), "to", "before-end"));
    assert!(may_see(&city, 299));
    city.now = day(300);
    assert!(!may_see(&city, 300));
    assert!(names(&ends(&city, POLICE, &[(POLICE, "head")]), "by", "clock-only"));
    let longer = changed(|body| body["permit_until"] = json!(day(600).to_string()));
    assert!(names(&problems(&city, &proposal(&city, longer.clone())), "id", "over"), "no permit is prolonged after its end");
    city.apply(city.step_draft(ID, State::PermitExpired, "agc_operator", &CLOCK)).unwrap();
    assert!(names(&problems(&city, &proposal(&city, longer)), "id", "over"));
    city.apply(city.step_draft(ID, State::Removed, POLICE, &[(POLICE, "head")])).unwrap();
    assert!(camera(&city).state.is_over());
}

#[test]
fn the_law_lists_the_purposes_and_says_how_often_somebody_looks() {
    let mut city = founded();
    city.now = day(1);
    let law = |city: &City| {
        let law = city.register.law(&POLICE.parse().unwrap(), day(1));
        let codes: Vec<_> = law.camera_purposes().iter().map(|purpose| purpose.code.clone()).collect();
        (codes.join(" "), law.camera_check().within() / usufruct_core::time::DAY)
    };
    assert_eq!(law(&city), ("public-safety traffic disaster premises".to_owned(), 180), "what ships with the program");
    let pack = SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap().1;
    let mut body: Value = toml::from_str(pack).unwrap();
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", body.clone());
    assert_eq!(law(&city), ("public-safety social-order crime-prevention crime-investigation".to_owned(), 180));
    assert!(names(
        &problems(&city, &proposal(&city, changed(|body| body["purpose_code"] = json!("traffic")))),
        "purpose_code",
        "unknown-purpose"
    ));
    body["camera_purposes"] = json!([{"code": "traffic", "article": "9", "text": text("To see jams.")}]);
    let mut deadlines = body["deadlines"].as_array().unwrap().clone();
    deadlines.push(json!({"duty": "camera_check", "within": "P10D", "article": "9"}));
    body["deadlines"] = deadlines.into();
    assert!(Lawpack::read(&body).is_ok());
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", body);
    assert_eq!(law(&city), ("traffic".to_owned(), 10));
}
