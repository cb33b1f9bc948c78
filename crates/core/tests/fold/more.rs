//! The second half of the suite.

use super::*;

#[test]
fn one_key_cannot_speak_for_two_roles() {
    let city = founded();
    let mut body = agency_body("agc_museum", "agency");
    body["signing_keys"][1]["public"] = body["signing_keys"][0]["public"].clone();
    let statement = city.draft(StatementKind::Agency, "agc_museum", "agc_operator", body, &[("agc_operator", "head")]);
    let problems = refused(&city, statement);
    assert!(names(&problems, "signing_keys", "duplicate"), "{problems:?}");
}

#[test]
fn the_first_statement_is_the_operators_own() {
    let city = City { now: day(0), ..City::default() };
    let operator = agency_body("agc_operator", "operator");
    let own = [("agc_operator", "head")];
    let first = city.draft(StatementKind::Agency, "agc_operator", "agc_operator", operator.clone(), &own);
    assert!(city.clone().apply(first.clone()).is_ok());

    let library = agency_body("agc_library", "agency");
    let other = city.draft(StatementKind::Agency, "agc_library", "agc_library", library, &[("agc_library", "head")]);
    assert!(names(&refused(&city, other), "kind", "no-operator"));
    let unsigned = Statement { approvals: vec![], ..first.clone() };
    assert!(names(&refused(&city, unsigned), "approvals", "missing"));
    let mut forged = first.clone();
    forged.approvals[0].key = "privacy".into();
    assert!(names(&refused(&city, forged), "approvals", "missing"));
    let mut half = first;
    half.approve(&signer("agc_library", "head")).unwrap();
    assert!(names(&refused(&city, half), "approvals", "missing"), "one good signature does not excuse a bad one");
    let block = city.draft(StatementKind::DataBlock, "blk_name", "agc_operator", block_body("n", "ordinary", &["token"]), &own);
    assert!(names(&refused(&city, block), "by", "no-operator"));

    let city = founded();
    let second = city.draft(StatementKind::Agency, "agc_usurper", "agc_operator", agency_body("agc_usurper", "operator"), &own);
    assert!(names(&refused(&city, second), "kind", "second-operator"));
}

#[test]
fn only_the_operator_names_bodies_and_blocks() {
    let city = founded();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let body = city.draft(StatementKind::Agency, "agc_library", "agc_library", agency_body("agc_library", "agency"), &own);
    assert!(names(&refused(&city, body), "by", "not-the-owner"));
    let block = block_body("n", "ordinary", &["token"]);
    let block = city.draft(StatementKind::DataBlock, "blk_new", "agc_library", block, &own);
    assert!(names(&refused(&city, block), "by", "not-the-owner"));
    let mut body = block_body("n", "ordinary", &["token"]);
    body["source_agency"] = json!("agc_nowhere");
    let block = city.draft(StatementKind::DataBlock, "blk_new", "agc_operator", body, &[("agc_operator", "head")]);
    assert!(names(&refused(&city, block), "source_agency", "unknown"));
    // One person is not enough, and neither are two keys of one office, nor a machine beside a person; for a revision as for the first one.
    for id in ["blk_new", "blk_name"] {
        let body = || block_body("n", "ordinary", &["token", "value"]);
        for keys in [&["head"][..], &["head", "deputy"], &["head", "automation"], &["automation"]] {
            let keys: Vec<_> = keys.iter().map(|key| ("agc_operator", *key)).collect();
            let block = city.draft(StatementKind::DataBlock, id, "agc_operator", body(), &keys);
            assert!(names(&refused(&city, block), "approvals", "too-few"), "{id} by {keys:?}");
        }
        let two = [("agc_operator", "head"), ("agc_operator", "privacy")];
        let block = city.draft(StatementKind::DataBlock, id, "agc_operator", body(), &two);
        assert!(city.clone().apply(block).is_ok(), "{id}");
    }
}

#[test]
fn nobody_takes_over_what_another_body_answers_for() {
    let city = lawful();
    let parks = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let mut mandate = library_card();
    mandate["controller"] = json!("agc_parks");
    let mandate = city.draft(StatementKind::Mandate, CARD, "agc_parks", mandate, &parks);
    assert!(names(&refused(&city, mandate), "controller", "moved"));
    let mut contract = contract_body();
    contract["controller"] = json!("agc_parks");
    let contract = city.draft(StatementKind::Contract, CONTRACT, "agc_parks", contract, &parks);
    assert!(names(&refused(&city, contract), "controller", "moved"));
    let service = service_body("agc_parks", "library", &[CARD]);
    let service = city.draft(StatementKind::Service, SERVICE, "agc_parks", service, &parks);
    assert!(names(&refused(&city, service), "agency", "moved"));
    let notice = notice_body(CARD, city.state(CARD).unwrap().0);
    let notice = city.draft(StatementKind::Notice, "ntc_other", "agc_parks", notice, &parks);
    assert!(names(&refused(&city, notice), "by", "not-the-owner"));
    let step = city.step_draft(CARD, State::Revoked, "agc_parks", &parks);
    assert!(names(&refused(&city, step), "by", "not-the-owner"));
}

#[test]
fn nobody_enters_the_pseudonym_domain_of_another_body() {
    let city = lawful();
    let parks = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let joined = city.draft(StatementKind::Service, "svc_parks", "agc_parks", service_body("agc_parks", "library", &[]), &parks);
    assert!(names(&refused(&city, joined), "sector", "taken"));
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let second =
        city.draft(StatementKind::Service, "svc_reading", "agc_library", service_body("agc_library", "library", &[]), &own);
    let mut city = city;
    city.apply(second).unwrap();
    let number = |id: &str| &city.register.services[&id.parse().unwrap()];
    assert_eq!(city.register.sector(number("svc_reading")), number(SERVICE).number);
}

#[test]
fn automation_may_withhold_power_and_never_give_it() {
    let mut city = lawful();
    let automation = [("agc_operator", "automation")];
    for object in [CARD, CONTRACT, SERVICE] {
        city.apply(city.step_draft(object, State::Suspended, "agc_operator", &automation)).unwrap();
        let both = [("agc_operator", "head"), ("agc_operator", "privacy")];
        for approvals in [&automation[..], &both] {
            let problems = refused(&city, city.step_draft(object, State::Active, "agc_operator", approvals));
            assert!(names(&problems, "by", "not-the-owner"), "{problems:?}");
        }
    }
    city.now = day(424);
    city.apply(city.step_draft(CARD, State::Sunset, "agc_operator", &automation)).unwrap();
}

// Order and revisions

#[test]
fn statements_do_not_go_back_in_time() {
    let city = lawful();
    let mut earlier = city.clone();
    earlier.now = city.register.last_at().plus(-1);
    let problems = refused(&city, earlier.step_draft(CARD, State::Suspended, "agc_library", &[("agc_library", "head")]));
    assert!(names(&problems, "at", "goes-back"), "{problems:?}");
}

#[test]
fn a_revision_names_the_one_before() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let next = city.draft(StatementKind::Mandate, CARD, "agc_library", library_card(), &[]);
    assert_eq!((next.rev, next.prev), (2, Some(city.state(CARD).unwrap().0)));
    for (rev, prev) in [(1, None), (2, None), (2, Some(sha256(b""))), (1, next.prev), (3, next.prev)] {
        let mut statement = Statement { rev, prev, ..next.clone() };
        for (agency, key) in own {
            statement.approve(&signer(agency, key)).unwrap();
        }
        assert!(names(&refused(&city, statement), "rev", "not-next"), "{rev} {prev:?}");
    }
}

#[test]
fn a_second_revision_has_another_hash_and_begins_as_a_draft() {
    let mut city = lawful();
    let (first, state) = city.state(CARD).unwrap();
    assert_eq!(state, State::Active);
    assert!(city.register.mandates[&CARD.parse().unwrap()].is_in_force(day(100)));
    let mut body = library_card();
    body["retention"]["duration"] = json!("P60D");
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    let (second, state) = city.state(CARD).unwrap();
    assert_ne!(first, second);
    assert_eq!(state, State::Draft);
    let entry = &city.register.mandates[&CARD.parse().unwrap()];
    assert!(!entry.is_in_force(day(100)));
    assert!(city.register.notice(entry).is_none(), "the old notice does not explain the new revision");
    city.steps(CARD, &[State::Consulted, State::Approved]);
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = refused(&city, city.step_draft(CARD, State::Published, "agc_library", &own));
    assert!(names(&problems, "to", "no-notice"), "{problems:?}");
    let old = city.draft(StatementKind::Notice, "ntc_old", "agc_library", notice_body(CARD, first), &own);
    assert!(names(&refused(&city, old), "mandate_hash", "other-revision"));
}

#[test]
fn a_revision_that_changes_nothing_still_has_another_hash() {
    let mut city = lawful();
    let (first, _) = city.state(CARD).unwrap();
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    assert_ne!(city.state(CARD).unwrap().0, first);
}

#[test]
fn a_step_names_the_present_state_and_revision() {
    let city = lawful();
    for (field, value) in
        [("from", json!("suspended")), ("revision", json!(sha256(b"").to_string())), ("object", json!("mdt_nowhere"))]
    {
        let mut step = city.step_draft(CARD, State::Revoked, "agc_library", &[]);
        step.body[field] = value;
        step.approve(&signer("agc_library", "head")).unwrap();
        assert!(refused(&city, step).iter().any(|problem| problem.field == field), "{field}");
    }
}

#[test]
fn a_revision_has_one_notice() {
    let city = lawful();
    let own = [("agc_library", "head")];
    let body = notice_body(CARD, city.state(CARD).unwrap().0);
    let second = city.draft(StatementKind::Notice, "ntc_second", "agc_library", body, &own);
    assert!(names(&refused(&city, second), "mandate_hash", "second-notice"));
}

#[test]
fn ids_fit_the_type_of_the_statement() {
    let city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    for id in ["svc_card", "mdt_", "mdt_Card", "", "mdt_card card"] {
        let statement = city.draft(StatementKind::Mandate, id, "agc_library", library_card(), &own);
        assert!(names(&refused(&city, statement), "id", "malformed"), "{id}");
    }
}

#[test]
fn a_service_keeps_its_domain_and_its_state() {
    let mut city = lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let moved = city.draft(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "elsewhere", &[]), &own);
    assert!(names(&refused(&city, moved), "sector", "moved"));
    let alone =
        city.draft(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[]), &own[..1]);
    assert!(names(&refused(&city, alone), "approvals", "too-few"));
    city.say(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[CARD]));
    assert_eq!(city.state(SERVICE).unwrap().1, State::Active);
    let bare = city.draft(StatementKind::Service, SERVICE, "agc_library", service_body("agc_library", "library", &[]), &own);
    assert!(names(&refused(&city, bare), "mandates", "missing"));
}

#[test]
fn a_public_body_serves_nobody_under_a_mandate_that_is_not_there_or_not_its_own() {
    let officials = [("agc_library", "head"), ("agc_library", "privacy")];
    let mut city = lawful();
    let body = |mandates: &[&str]| service_body("agc_library", "archive", mandates);
    let activation = |city: &City| city.step_draft("svc_archive", State::Active, "agc_library", &officials);
    // The conversions of a mandate name services, so a draft may name what is yet to be written.
    city.say(StatementKind::Service, "svc_archive", "agc_library", body(&[CARD, "mdt_nowhere"]));
    assert!(names(&refused(&city, activation(&city)), "mandates[1]", "unknown"));
    city.say(StatementKind::Service, "svc_archive", "agc_library", body(&[CARD]));
    city.step("svc_archive", State::Active);
    let early = city.draft(StatementKind::Service, "svc_archive", "agc_library", body(&[CARD, "mdt_nowhere"]), &officials);
    assert!(names(&refused(&city, early), "mandates[1]", "unknown"), "nor is one added to a service that works");
    let officials = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let foreign =
        city.draft(StatementKind::Service, "svc_parks", "agc_parks", service_body("agc_parks", "parks", &[CARD]), &officials);
    assert!(names(&refused(&city, foreign), "mandates[0]", "not-a-recipient"));
}

#[test]
fn a_vendor_serves_nobody_without_a_mandate_that_names_it_and_a_contract() {
    let officials = [("agc_cloud", "head"), ("agc_cloud", "privacy")];
    let mut city = lawful();
    let body = |mandates: &[&str]| service_body("agc_cloud", "cloud", mandates);
    let foreign = city.draft(StatementKind::Service, "svc_cloud", "agc_cloud", body(&["mdt_school-meals"]), &officials);
    assert!(names(&refused(&city, foreign), "mandates[0]", "not-a-recipient"));
    let activation = |city: &City| city.step_draft("svc_cloud", State::Active, "agc_cloud", &officials);
    city.say(StatementKind::Service, "svc_cloud", "agc_cloud", body(&[]));
    assert!(names(&refused(&city, activation(&city)), "mandates", "missing"));
    city.say(StatementKind::Service, "svc_cloud", "agc_cloud", body(&["mdt_nowhere"]));
    assert!(names(&refused(&city, activation(&city)), "mandates[0]", "unknown"));
    city.say(StatementKind::Service, "svc_cloud", "agc_cloud", body(&[CARD]));
    city.register.check(&activation(&city)).unwrap();
    let mut login = body(&[]);
    login["profile"] = json!("oidc");
    let mut suspended = city.clone();
    suspended.step(CONTRACT, State::Suspended);
    assert!(names(&refused(&suspended, activation(&suspended)), "mandates[0]", "no-contract"));
    suspended.say(StatementKind::Service, "svc_cloud", "agc_cloud", login.clone());
    assert!(names(&refused(&suspended, activation(&suspended)), "agency", "no-contract"));
    suspended.step(CONTRACT, State::Active);
    suspended.step("svc_cloud", State::Active);
    // What was lawful when it began is looked at again when it changes.
    city.step("svc_cloud", State::Active);
    city.step(CONTRACT, State::Suspended);
    let revision = city.draft(StatementKind::Service, "svc_cloud", "agc_cloud", body(&[CARD]), &officials);
    assert!(names(&refused(&city, revision), "mandates[0]", "no-contract"));
    let revision = city.draft(StatementKind::Service, "svc_cloud", "agc_cloud", login, &officials);
    assert!(names(&refused(&city, revision), "agency", "no-contract"));
}

// Ends

#[test]
fn what_has_ended_never_comes_back() {
    let over: [(&str, i64, &[State]); 6] = [
        (CARD, 30, &[State::Revoked]),
        (CARD, 424, &[State::Sunset]),
        (CARD, 30, &[State::Revoked, State::Erasing]),
        (CONTRACT, 30, &[State::Ending]),
        (CONTRACT, 30, &[State::Ending, State::Closed]),
        (SERVICE, 30, &[State::Closed]),
    ];
    for (object, when, path) in over {
        let mut city = lawful();
        city.now = day(when);
        city.steps(object, path);
        let own = [("agc_library", "head"), ("agc_library", "privacy")];
        let (kind, mut body) = match &object[..3] {
            "mdt" => (StatementKind::Mandate, library_card()),
            "ctr" => (StatementKind::Contract, contract_body()),
            _ => (StatementKind::Service, service_body("agc_library", "library", &[CARD])),
        };
        if kind == StatementKind::Mandate {
            body["sunset_at"] = json!(day(800).to_string());
        }
        let revision = city.draft(kind, object, "agc_library", body, &own);
        let problems = refused(&city, revision);
        assert!(names(&problems, "id", "over"), "{object} {path:?}: {problems:?}");
        for (_, to) in State::WORDS {
            let by = city.step_draft(object, to, "agc_library", &own);
            if city.register.check(&by).is_ok() {
                assert!(to.is_over(), "{object} goes from {path:?} to {to:?}");
            }
        }
    }
}

#[test]
fn a_mandate_past_its_last_day_cannot_be_prolonged() {
    let mut city = lawful();
    city.now = day(424);
    let mut body = library_card();
    body["sunset_at"] = json!(day(800).to_string());
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let prolonged = city.draft(StatementKind::Mandate, CARD, "agc_library", body, &own);
    assert!(names(&refused(&city, prolonged), "id", "over"));
    // Nor before it: a renewal is a new mandate that people are asked about.
    city.now = day(424).plus(-1);
    let mut later = library_card();
    later["sunset_at"] = json!(day(425).to_string());
    let renewed = city.draft(StatementKind::Mandate, CARD, "agc_library", later, &own);
    assert!(names(&refused(&city, renewed), "sunset_at", "prolonged"));
    let typo = city.draft(StatementKind::Mandate, CARD, "agc_library", library_card(), &own);
    assert!(city.clone().apply(typo).is_ok());
}

#[test]
fn the_sunset_comes_on_its_day_and_not_before() {
    let mut city = lawful();
    let automation = [("agc_operator", "automation")];
    city.now = day(424).plus(-1);
    let problems = refused(&city, city.step_draft(CARD, State::Sunset, "agc_operator", &automation));
    assert!(names(&problems, "to", "before-sunset"), "{problems:?}");
    city.now = day(424);
    assert!(city.clone().apply(city.step_draft(CARD, State::Sunset, "agc_operator", &automation)).is_ok());
    city.now = day(423);
    city.step(CARD, State::Suspended);
    city.now = day(424);
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = refused(&city, city.step_draft(CARD, State::Active, "agc_library", &own));
    assert!(names(&problems, "to", "past-sunset"), "{problems:?}");
}

#[test]
fn a_certificate_of_months_is_lawful_while_the_mandate_goes_on_and_does_not_end_it() {
    let mut city = lawful();
    let month = |number: usize| commitment_of(&format!("month {number}"));
    let of_months = |city: &City, mandate: &str, number: usize| {
        let id = format!("crt_{}", city.statements.len());
        let mut body = certificate_body(&format!("month {number}"), city.now);
        (body["cause"], body["mandate"]) = ("retention".into(), mandate.into());
        city.draft(StatementKind::Certificate, &id, "agc_operator", body, &[("agc_operator", "head")])
    };
    assert!(names(&refused(&city, of_months(&city, "mdt_nowhere", 0)), "mandate", "never-active"));
    for number in 0..2 {
        let mut body = key_body(CARD, month(number));
        body["month"] = json!("2026-01");
        city.say(StatementKind::Key, &key_id(month(number)), "agc_operator", body);
    }
    city.apply(of_months(&city, CARD, 0)).unwrap();
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_none());
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    city.apply(of_months(&city, CARD, 1)).unwrap();
    let problems = refused(&city, city.step_draft(CARD, State::Erased, "agc_operator", &[("agc_operator", "automation")]));
    assert!(names(&problems, "to", "no-certificate"), "{problems:?}");
}

#[test]
fn nothing_is_erased_without_a_certificate_of_its_own() {
    let mut city = lawful();
    let certificate = |city: &City, mandate: &str| {
        let id = format!("crt_{}", city.statements.len());
        city.draft(
            StatementKind::Certificate,
            &id,
            "agc_operator",
            certificate_body(mandate, city.now),
            &[("agc_operator", "head")],
        )
    };
    assert!(names(&refused(&city, certificate(&city, CARD)), "mandate", "not-erasing"));
    assert!(names(&refused(&city, certificate(&city, "mdt_nowhere")), "mandate", "not-erasing"));
    city.steps(CARD, &[State::Revoked, State::Erasing]);
    city.steps(MEALS, &[State::Revoked, State::Erasing]);
    city.apply(certificate(&city, MEALS)).unwrap();
    let automation = [("agc_operator", "automation")];
    let problems = refused(&city, city.step_draft(CARD, State::Erased, "agc_operator", &automation));
    assert!(names(&problems, "to", "no-certificate"), "{problems:?}");
    city.apply(certificate(&city, CARD)).unwrap();
    let id = &city.statements.last().unwrap().id;
    let again = |field: &str, value: serde_json::Value| {
        let mut body = certificate_body(CARD, city.now);
        body[field] = value;
        city.draft(StatementKind::Certificate, id, "agc_operator", body, &[("agc_operator", "head")])
    };
    for (field, value) in [("method", "another".into()), ("epoch_after", 3.into()), ("cause", "revocation".into())] {
        assert!(names(&refused(&city, again(field, value)), "rev", "final"));
    }
    let purged = again("ciphertext_purged_at", city.now.to_string().into());
    city.apply(purged).unwrap();
    let undone = city.draft(
        StatementKind::Certificate,
        &city.statements.last().unwrap().id,
        "agc_operator",
        certificate_body(CARD, city.now),
        &[("agc_operator", "head")],
    );
    assert!(names(&refused(&city, undone), "rev", "final"), "a purge is not taken back");
    city.apply(city.step_draft(CARD, State::Erased, "agc_operator", &automation)).unwrap();
    assert!(city.register.certificate(&CARD.parse().unwrap()).is_some());
}

#[test]
fn people_can_comment_until_the_last_day() {
    let mut city = drafts();
    let own = [("agc_library", "head")];
    city.now = day(24).plus(-1);
    let problems = refused(&city, city.step_draft(CARD, State::Consulted, "agc_library", &own));
    assert!(names(&problems, "to", "consultation-open"), "{problems:?}");
    city.now = day(24);
    assert!(city.apply(city.step_draft(CARD, State::Consulted, "agc_library", &own)).is_ok());
}

// Who may hold and receive

fn mandate_refused(city: &City, body: Value, field: &str, rule: &str) {
    let controller = body["controller"].as_str().unwrap().to_owned();
    let approvals = [(controller.as_str(), "head"), (controller.as_str(), "privacy")];
    let problems = refused(city, city.draft(StatementKind::Mandate, "mdt_new", &controller, body, &approvals));
    assert!(names(&problems, field, rule), "{problems:?}");
}

#[test]
fn security_bodies_neither_hold_nor_receive_in_an_emergency() {
    let mut city = founded();
    let mut held = outbreak();
    held["controller"] = json!("agc_police");
    mandate_refused(&city, held.clone(), "controller", "security-body");
    let mut received = outbreak();
    received["recipients"].as_array_mut().unwrap().push(json!({"agency": "agc_police", "why": text("To enforce.")}));
    mandate_refused(&city, received, "recipients[1].agency", "security-body");

    city.now = day(1);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", outbreak());
    activate(&mut city, "mdt_outbreak");
    held["kind"] = json!("ordinary");
    held.as_object_mut().unwrap().remove("emergency");
    city.say(StatementKind::Mandate, "mdt_ordinary", "agc_police", held);
}

#[test]
fn a_body_keeps_its_kind() {
    // Otherwise a body named in an emergency mandate becomes a security body afterwards, or a vendor sheds its contract.
    let city = lawful();
    for (id, kind) in [("agc_library", "security_or_intelligence"), ("agc_cloud", "agency"), ("agc_operator", "vendor")] {
        let statement = city.draft(StatementKind::Agency, id, "agc_operator", agency_body(id, kind), &[("agc_operator", "head")]);
        let problems = refused(&city, statement);
        assert!(names(&problems, "kind", "changed"), "{problems:?}");
    }
}

#[test]
fn nobody_replaces_the_keys_of_a_body_without_it() {
    // Otherwise the operator could name keys of its own for an agency and then speak as two of its people.
    let mut city = lawful();
    let body = agency_body("agc_library", "agency");
    let by = [("agc_operator", "head"), ("agc_operator", "privacy")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body.clone(), &by);
    assert!(names(&refused(&city, statement), "approvals", "too-few"));
    let alone = [("agc_operator", "head"), ("agc_library", "head"), ("agc_library", "privacy")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body.clone(), &alone);
    assert!(names(&refused(&city, statement), "approvals", "too-few"));
    let together = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    let statement = city.draft(StatementKind::Agency, "agc_library", "agc_operator", body, &together);
    city.apply(statement).unwrap();
}

#[test]
fn what_a_mandate_refers_to_must_exist_and_fit() {
    let city = founded();
    let with = |pointer: &str, value: &str| {
        let mut body = library_card();
        *body.pointer_mut(pointer).unwrap() = json!(value);
        body
    };
    mandate_refused(&city, with("/controller", "agc_cloud"), "controller", "vendor-controller");
    mandate_refused(&city, with("/controller", "agc_nowhere"), "controller", "unknown");
    mandate_refused(&city, with("/oversight_body", "agc_parks"), "oversight_body", "not-oversight");
    mandate_refused(&city, with("/oversight_body", "agc_nowhere"), "oversight_body", "unknown");
    mandate_refused(&city, with("/controller", "agc_oversight"), "oversight_body", "own-overseer");
    mandate_refused(&city, with("/blocks/1/block", "blk_nowhere"), "blocks[1].block", "unknown");
    mandate_refused(&city, with("/blocks/1/form", "value"), "blocks[1].form", "form-too-rich");
    mandate_refused(&city, with("/recipients/1/agency", "agc_nowhere"), "recipients[1].agency", "unknown");
    let mut bare = library_card();
    bare["recipients"][1].as_object_mut().unwrap().remove("contract");
    mandate_refused(&city, bare, "recipients[1].contract", "missing");
}

#[test]
fn a_service_has_a_way_in_without_the_pass() {
    let city = founded();
    for alternatives in [json!([]), json!(null), json!([""]), json!([{"en": "", "zh-Hant": ""}])] {
        let mut body = service_body("agc_library", "library", &[]);
        body["alternatives"] = alternatives;
        let own = [("agc_library", "head"), ("agc_library", "privacy")];
        let problems = refused(&city, city.draft(StatementKind::Service, SERVICE, "agc_library", body, &own));
        assert!(problems.iter().any(|problem| problem.field.starts_with("alternatives")), "{problems:?}");
    }
}

#[test]
fn a_contract_is_with_a_vendor_whose_evidence_is_valid() {
    let city = founded();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let check = |pointer: &str, value: Value, field: &str, rule: &str| {
        let mut body = contract_body();
        body["subprocessors"] = json!([{"agency": "agc_cloud", "location": "TW", "approved_by": "agc_library"}]);
        let fine = city.draft(StatementKind::Contract, CONTRACT, "agc_library", body.clone(), &own);
        assert!(city.register.check(&fine).is_ok());
        *body.pointer_mut(pointer).unwrap() = value;
        let problems = refused(&city, city.draft(StatementKind::Contract, CONTRACT, "agc_library", body, &own));
        assert!(names(&problems, field, rule), "{problems:?}");
    };
    check("/vendor", json!("agc_parks"), "vendor", "not-a-vendor");
    check("/vendor", json!("agc_nowhere"), "vendor", "unknown");
    check("/capability_evidence/0/expires", json!(day(0).to_string()), "capability_evidence", "expired");
    check("/subprocessors/0/agency", json!("agc_nowhere"), "subprocessors[0].agency", "unknown");
    check("/no_own_purpose", json!(false), "no_own_purpose", "own-purpose");
    check("/until", json!(day(0).to_string()), "until", "before-start");
}

#[test]
fn unreadable_bodies_are_refused_with_words_and_change_nothing() {
    let city = lawful();
    let kinds = [
        (StatementKind::Agency, "agc_new", "agc_operator"),
        (StatementKind::Agreement, "agr_new", "agc_library"),
        (StatementKind::BodyAudit, "bau_new", "agc_oversight"),
        (StatementKind::Camera, "cam_new", "agc_police"),
        (StatementKind::Certificate, "crt_new", "agc_operator"),
        (StatementKind::Check, "chk_new", "agc_library"),
        (StatementKind::Contract, "ctr_new", "agc_library"),
        (StatementKind::DataBlock, "blk_new", "agc_operator"),
        (StatementKind::Key, "key_new", "agc_operator"),
        (StatementKind::Mandate, "mdt_new", "agc_library"),
        (StatementKind::Meeting, "mtg_new", "agc_oversight"),
        (StatementKind::Notice, "ntc_new", "agc_library"),
        (StatementKind::Order, "ord_new", "agc_oversight"),
        (StatementKind::Ruling, "rul_new", "agc_oversight"),
        (StatementKind::Service, "svc_new", "agc_library"),
        (StatementKind::StatusChange, "sta_new", "agc_library"),
    ];
    for (kind, id, by) in kinds {
        for body in [json!(null), json!([]), json!({}), json!("text"), json!({"surprise": 1})] {
            refused(&city, city.draft(kind, id, by, body, &[(by, "head"), (by, "privacy")]));
        }
    }
    let body = json!({"amount": 1.5});
    let mut statement = city.draft(StatementKind::Mandate, "mdt_new", "agc_library", json!({}), &[]);
    statement.body = body;
    assert!(names(&refused(&city, statement), "", "malformed"));
}

#[test]
fn a_body_is_a_part_of_another_and_never_of_itself() {
    let mut city = founded();
    let keys = [("agc_operator", "head"), ("agc_operator", "privacy"), ("agc_library", "head")];
    let part = |city: &City, id: &str, parent: &str, systems: Value| {
        let mut body = agency_body(id, "agency");
        (body["parent"], body["source_systems"]) = (json!(parent), systems);
        let own = [keys[0], keys[1], (id, "head")];
        city.draft(StatementKind::Agency, id, "agc_operator", body, &own)
    };
    let problems = city.register.check(&part(&city, "agc_library", "agc_nowhere", json!([]))).unwrap_err();
    assert!(names(&problems, "parent", "unknown"));
    let statement = part(&city, "agc_library", "agc_parks", json!([]));
    city.apply(statement).unwrap();
    for parent in ["agc_library", "agc_parks"] {
        let problems = city.register.check(&part(&city, "agc_parks", parent, json!([]))).unwrap_err();
        assert!(names(&problems, "parent", "itself"), "{parent}: {problems:?}");
    }
    let future = json!([{"name": text("Loans"), "log_complete_since": day(1).to_string()}]);
    let problems = city.register.check(&part(&city, "agc_library", "agc_parks", future)).unwrap_err();
    assert!(names(&problems, "source_systems[0].log_complete_since", "future"));
    let since = json!([{"name": text("Loans"), "log_complete_since": day(0).to_string()}]);
    city.apply(part(&city, "agc_library", "agc_parks", since)).unwrap();
    assert_eq!(city.register.log_complete_since(), Some(day(0)));
}
