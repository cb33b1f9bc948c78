//! Two registers of elsewhere, read as drafts of mandates: entries without a basis, whole mandates, files that are none.

use crate::common::{day, library_card, names, well_said};
use serde_json::json;
use usufruct_core::foreign::{self, DraftOf, ForeignEntry, Lack, Origin, Shortfall};

fn register(basis: &str) -> String {
    json!({"algoritmes": [{"id": "1", "title": "Meldingen", "organisatie": "Gemeente Delft", "doel": "Meldingen verdelen.",
        "juridische_basis": basis, "status": "in_gebruik", "impactassessment": "Ja"}]})
    .to_string()
}

#[test]
fn an_entry_without_a_basis_is_told_so_and_one_with_it_what_the_basis_lacks() {
    let (origin, entries) = foreign::read(&register(" ")).unwrap();
    assert_eq!(origin, Origin::DutchAlgorithms);
    let problems = entries[0].problems(day(0));
    assert!(names(&problems, "legal_basis", "missing"), "{problems:#?}");
    assert!(names(&problems, "purpose.sentence", "one-language"), "{problems:#?}");
    assert!(!names(&problems, "impact_assessment", "missing"), "an ordinary mandate may do without: {problems:#?}");

    let (_, entries) = foreign::read(&register("Gemeentewet artikel 160")).unwrap();
    let problems = entries[0].problems(day(0));
    assert!(!names(&problems, "legal_basis", "missing"), "{problems:#?}");
    assert!(names(&problems, "legal_basis.instrument", "one-language"), "{problems:#?}");
    for field in ["legal_basis.code", "legal_basis.article", "legal_basis.url"] {
        assert!(names(&problems, field, "missing"), "{field}: {problems:#?}");
    }
    for problem in &problems {
        well_said(problem).unwrap();
    }
}

#[test]
fn a_measure_keeps_its_day_and_has_to_say_where_its_assessment_is() {
    let table = "id,title,date,purpose,organizations,target\na,Scanners,2020-04-01,Lockdown,Police,general_public\nb,Apps,,,,\n";
    let (origin, entries) = foreign::read(table).unwrap();
    assert_eq!((origin, entries.len()), (Origin::PandemicMeasures, 2));
    let (dated, bare) = (entries[0].problems(day(0)), entries[1].problems(day(0)));
    assert!(!dated.iter().any(|problem| problem.field == "starts_at"), "{dated:#?}");
    for field in ["starts_at", "purpose.sentence", "controller", "subjects", "impact_assessment", "sunset_at"] {
        assert!(names(&bare, field, "missing"), "{field}: {bare:#?}");
    }
}

#[test]
fn a_camera_keeps_its_place_and_lacks_who_permits_it_and_what_it_does_not_do() {
    let table =
        "camera_id,location,area_name,area_code,lon,lat\n1001,Trafford Wharf Road,Gorse Hill,E05015247,-2.284777,53.464515\n";
    let (origin, entries) = foreign::read(table).unwrap();
    assert_eq!((origin, entries[0].of, entries[0].id.as_str()), (Origin::TraffordCameras, DraftOf::Camera, "1001"));
    let problems = entries[0].problems(day(0));
    let said: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).filter(|field| field.contains("tude")).collect();
    assert_eq!(said, [""; 0], "where it stands is said: {problems:#?}");
    assert!(names(&problems, "location.place", "one-language"), "{problems:#?}");
    for field in ["authority", "direction", "purpose_code", "recording", "audio", "face_recognition", "joined_with_personal_data"]
    {
        assert!(names(&problems, field, "missing"), "{field}: {problems:#?}");
    }
}

#[test]
fn a_whole_mandate_counts_as_complete_and_one_too_long_does_not() {
    let entry = |draft| ForeignEntry { id: "x".into(), title: "Library card".into(), of: DraftOf::Mandate, draft };
    let mut long = library_card();
    long["sunset_at"] = json!("2090-01-01T00:00:00Z");
    let found = Shortfall::of(&[entry(library_card()), entry(long)], day(0));
    let lack = Lack { field: "sunset_at".into(), rule: "too-long", entries: 1 };
    assert_eq!(found, Shortfall { entries: 2, complete: 1, lacks: vec![lack] });
}

#[test]
fn a_file_of_another_kind_is_refused_in_two_sentences() {
    for (text, begins) in [
        ("{\"algoritmes\": 3}", "This is not the JSON of the Dutch algorithm register: "),
        ("{", "This is not the JSON of the Dutch algorithm register: "),
        ("name,age\nA,3\n", "This is not the CSV of the pandemic measures: "),
        ("camera_id,location\n1,here\n", "This is not the CSV of the cameras of Trafford: "),
        ("{\"algoritmes\": []}", "This file has no entries. "),
        ("", "This file has no entries. "),
    ] {
        let error = foreign::read(text).expect_err(text).to_string();
        assert!(error.starts_with(begins) && error.ends_with('.'), "{text}: {error}");
        assert!(error.split(". ").count() == 2 && !error.contains(".."), "{text}: {error}");
    }
}
