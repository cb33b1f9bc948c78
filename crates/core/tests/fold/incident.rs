//! Incidents: opened and closed by the machine, one at a time for a source under a mandate, and unchangeable.

use super::*;

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn body(city: &City, source: &str) -> Value {
    json!({"source": source, "mandate": CARD, "fault": "missing", "since": city.now.to_string(), "missing": "1-9"})
}

fn draft(city: &City, id: &str, body: Value) -> Statement {
    city.draft(StatementKind::Incident, id, "agc_operator", body, &MACHINE)
}

#[test]
fn an_incident_is_opened_and_closed_once() {
    let mut city = lawful();
    let opened = body(&city, "pass");
    for (field, value) in [("source", "agc_library"), ("fault", "bad-luck"), ("missing", "3"), ("since", "yesterday")] {
        let mut body = opened.clone();
        body[field] = json!(value);
        let found = refused(&city, draft(&city, "inc_1", body));
        assert!(found.iter().any(|problem| problem.field == field), "{field}: {found:?}");
    }
    let library = [("agc_library", "head"), ("agc_library", "privacy")];
    let foreign = city.draft(StatementKind::Incident, "inc_1", "agc_library", opened.clone(), &library);
    assert!(names(&refused(&city, foreign), "by", "not-the-owner"));
    assert!(names(&refused(&city, draft(&city, "ord_1", opened.clone())), "id", "malformed"));
    assert!(names(&refused(&city, draft(&city, "inc_1", body(&city, "svc_nowhere"))), "source", "unknown"));
    let mut nowhere = opened.clone();
    nowhere["mandate"] = json!("mdt_nothing");
    assert!(names(&refused(&city, draft(&city, "inc_1", nowhere)), "mandate", "unknown"));
    let mut later = opened.clone();
    later["since"] = json!(city.now.plus(1_000_000).to_string());
    assert!(names(&refused(&city, draft(&city, "inc_1", later)), "since", "future"));
    let mut over = opened.clone();
    over["ended_at"] = json!(city.now.to_string());
    assert!(names(&refused(&city, draft(&city, "inc_1", over.clone())), "ended_at", "not-open"));

    let first = draft(&city, "inc_1", opened.clone());
    city.apply(first).unwrap();
    let card = CARD.parse().unwrap();
    assert_eq!(city.register.open_incident(&usufruct_core::source::Source::Pass, &card).unwrap().id, "inc_1");
    assert!(names(&refused(&city, draft(&city, "inc_2", opened.clone())), "source", "open"));
    assert!(names(&refused(&city, draft(&city, "inc_1", opened.clone())), "rev", "final"), "a revision says that it is over");
    let mut other = over.clone();
    other["missing"] = json!("12");
    assert!(names(&refused(&city, draft(&city, "inc_1", other)), "rev", "final"));
    let mut early = over.clone();
    early["ended_at"] = json!("2020-01-01T00:00:00Z");
    assert!(names(&refused(&city, draft(&city, "inc_1", early)), "ended_at", "before-start"));
    let closing = draft(&city, "inc_1", over.clone());
    city.apply(closing).unwrap();
    assert!(city.register.open_incident(&usufruct_core::source::Source::Pass, &card).is_none());
    assert!(names(&refused(&city, draft(&city, "inc_1", over)), "rev", "final"));
    let second = draft(&city, "inc_2", opened);
    city.apply(second).unwrap();
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
