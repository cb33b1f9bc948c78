//! Statements that wait for officials with passkeys, on both databases; and how these sign in.

use std::path::Path;

use crate::common;
use crate::common::{City, LIBRARY, OPERATOR, library_card, text};
use crate::passkey::SoftPasskey;
use serde_json::{Value, json};
use usufruct_app::store::proposals;
use usufruct_app::{Approved, Error, Proposed, Publication, Standing, Way, counter_message, sign_in_challenge};
use usufruct_core::Digest;
use usufruct_core::id::AgencyId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{HOUR, MINUTE};
use usufruct_core::webauthn::Assertion;

common::on_both!(
    a_clerk_with_two_keys_counts_once,
    a_proposal_that_something_overtook_is_not_published,
    an_official_signs_in_with_the_passkey_of_the_register,
    two_offices_approve_and_it_is_published_at_its_date,
    what_this_house_would_not_publish_is_no_proposal,
    what_was_approved_is_what_is_published,
);

/// The library's officials: two passkeys of the head, one of somebody of data protection.
struct Officials {
    phone: SoftPasskey,
    token: SoftPasskey,
    officer: SoftPasskey,
}

fn library() -> AgencyId {
    LIBRARY.parse().unwrap()
}

/// Publishes the next revision of the library's entry.
fn enter(city: &City, body: Value) {
    let mut statement = city.app.statement(StatementKind::Agency, LIBRARY, &OPERATOR.parse().unwrap(), body, city.app.now());
    for signer in city.signer(OPERATOR).into_iter().chain(city.signer(LIBRARY)) {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
}

fn body(city: &City) -> Value {
    json!(city.app.register().agencies[&library()].body)
}

fn with_passkeys(city: &City) -> Officials {
    let officials = Officials { phone: SoftPasskey::new(), token: SoftPasskey::new(), officer: SoftPasskey::new() };
    let (head, protection) = (city.signer(LIBRARY)[0].key().to_owned(), city.signer(LIBRARY)[1].key().to_owned());
    let mut body = body(city);
    let mut own = [officials.phone.entry("phone", &head), officials.token.entry("token", &head)];
    for entry in &mut own {
        entry["holder"] = json!("somebody");
    }
    let keys = body["signing_keys"].as_array_mut().unwrap();
    keys.extend(own);
    keys.push(officials.officer.entry("officer", &protection));
    enter(city, body);
    officials
}

/// Proposes a mandate with all its steps, ten minutes ahead. Answers its id and the hashes that are to be approved.
fn propose(city: &City, mandate: &str) -> (String, Vec<Digest>) {
    let at = city.app.now().plus(10 * MINUTE);
    let notice = json!({"line": text("Lends books."), "short": text("Lends books."), "manner": text("On a screen."),
        "rights": text("All five."), "effect_of_refusal": text("Show a paper card.")});
    let signers = city.signer(LIBRARY);
    let said = city.app.mandate_publication(&mandate.parse().unwrap(), library_card(), &notice, &signers, at).unwrap();
    let bare = said.statements.into_iter().map(|mut statement| {
        statement.approvals.clear();
        Proposed { statement, bodies: vec![library()] }
    });
    let bare: Vec<Proposed> = bare.collect();
    let hashes = bare.iter().map(|one| one.statement.hash().unwrap()).collect();
    (city.app.propose(bare).unwrap(), hashes)
}

fn approve(city: &City, id: &str, key: &str, passkey: &SoftPasskey, hashes: &[Digest]) -> Result<bool, Error> {
    city.app.approve_proposal(id, &library(), key, vec![passkey.approve(LIBRARY, key, hashes)])
}

fn standing(city: &City, id: &str) -> Standing {
    city.app.standing(&city.app.proposal(id).unwrap().unwrap())
}

fn is_active(city: &City, mandate: &str) -> bool {
    city.app.register().mandates.get(&mandate.parse().unwrap()).is_some_and(|entry| entry.state == State::Active)
}

fn is_refused<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Refused { .. } | Error::Unknown { .. }))
}

fn two_offices_approve_and_it_is_published_at_its_date(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let officials = with_passkeys(&city);
    let (id, hashes) = propose(&city, "mdt_other");
    assert!(matches!(standing(&city, &id), Standing::Waiting(_)));
    assert!(!approve(&city, &id, "phone", &officials.phone, &hashes).unwrap());
    assert!(is_refused(approve(&city, &id, "phone", &officials.phone, &hashes)), "twice");
    assert!(is_refused(approve(&city, &id, "token", &officials.token, &hashes)), "the same person by another key");
    city.clock.advance(11 * MINUTE);
    city.app.tick().unwrap();
    assert!(!is_active(&city, "mdt_other"), "one official alone");

    let (id, hashes) = propose(&city, "mdt_third");
    assert!(!approve(&city, &id, "phone", &officials.phone, &hashes).unwrap());
    assert!(!approve(&city, &id, "officer", &officials.officer, &hashes).unwrap(), "its date has not come");
    assert_eq!(standing(&city, &id), Standing::Approved);
    city.app.tick().unwrap();
    assert!(!is_active(&city, "mdt_third"));
    city.clock.advance(10 * MINUTE);
    city.app.tick().unwrap();
    assert!(is_active(&city, "mdt_third"));
    assert_eq!(city.app.proposal(&id).unwrap(), None);

    // Past its date, with nothing published since, the last approval publishes; and a key file stands beside a passkey.
    let (id, hashes) = propose(&city, "mdt_fourth");
    approve(&city, &id, "phone", &officials.phone, &hashes).unwrap();
    city.clock.advance(11 * MINUTE);
    let file = city.signer(LIBRARY)[1];
    let approvals = hashes.iter().map(|hash| file.approve(hash)).collect();
    assert!(city.app.approve_proposal(&id, &library(), file.key(), approvals).unwrap());
    assert!(is_active(&city, "mdt_fourth"));

    let (id, hashes) = propose(&city, "mdt_fifth");
    assert!(is_refused(city.app.withdraw_proposal(&id, &OPERATOR.parse().unwrap())), "it does not concern this body");
    city.app.withdraw_proposal(&id, &library()).unwrap();
    assert!(is_refused(approve(&city, &id, "phone", &officials.phone, &hashes)), "taken back");
}

fn what_was_approved_is_what_is_published(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let officials = with_passkeys(&city);
    let (first, hashes) = propose(&city, "mdt_other");
    let (second, _) = propose(&city, "mdt_third");
    assert!(is_refused(approve(&city, &second, "phone", &officials.phone, &hashes)), "replayed on another proposal");
    assert!(is_refused(approve(&city, &first, "phone", &officials.phone, &hashes[1..])), "a part of it");
    assert!(is_refused(approve(&city, &first, "phone", &officials.token, &hashes)), "by another passkey");
    assert!(is_refused(approve(&city, &first, "nobody", &officials.phone, &hashes)), "under a name that the register lacks");
    let challenge = sign_in_challenge(city.app.rng());
    let sign_in = |passkey: &SoftPasskey| {
        let mut approval = passkey.approve(LIBRARY, "phone", &hashes);
        let [data, client, signature] = passkey.answer(&challenge).map(|bytes| {
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
        });
        (approval.authenticator_data, approval.client_data, approval.signature) = (Some(data), Some(client), signature);
        approval
    };
    let said = vec![sign_in(&officials.phone)];
    assert!(is_refused(city.app.approve_proposal(&first, &library(), "phone", said)), "the answer of a sign-in");

    // Somebody with the database changes it after it was shown; and after it was approved.
    let change = |wanted: &str| {
        let wanted = wanted.to_owned();
        let write = move |tx: &mut usufruct_app::store::db::Tx<'_>| {
            let content = proposals::find(tx, &wanted)?.unwrap().content.replace("To lend books.", "To sell books.");
            proposals::set_content(tx, &wanted, &content)
        };
        city.app.db().transaction("change proposal", write).unwrap();
    };
    change(&first);
    assert!(is_refused(approve(&city, &first, "phone", &officials.phone, &hashes)), "changed between shown and signed");
    let (third, hashes) = propose(&city, "mdt_fourth");
    approve(&city, &third, "phone", &officials.phone, &hashes).unwrap();
    approve(&city, &third, "officer", &officials.officer, &hashes).unwrap();
    change(&third);
    assert!(matches!(standing(&city, &third), Standing::Unlawful(_)));
    city.clock.advance(10 * MINUTE);
    city.app.tick().unwrap();
    assert!(!is_active(&city, "mdt_fourth"), "changed after it was approved");
}

fn a_proposal_that_something_overtook_is_not_published(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let officials = with_passkeys(&city);
    let (id, hashes) = propose(&city, "mdt_other");
    approve(&city, &id, "phone", &officials.phone, &hashes).unwrap();
    city.clock.advance(11 * MINUTE);
    enter(&city, body(&city));
    assert!(!approve(&city, &id, "officer", &officials.officer, &hashes).unwrap());
    let Standing::Unlawful(problems) = standing(&city, &id) else { panic!("it is dated before the last statement") };
    assert!(problems.iter().any(|problem| problem.rule == "goes-back"), "{problems:?}");
    city.app.tick().unwrap();
    assert!(!is_active(&city, "mdt_other"));
    city.clock.advance(15 * 24 * HOUR);
    city.app.sweep().unwrap();
    assert_eq!(city.app.proposal(&id).unwrap(), None, "it is shown for two weeks");
}

/// Nobody is asked to approve terms that are not what the server does.
fn what_this_house_would_not_publish_is_no_proposal(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let proposed = |kind, id: &str, by: &str, body: Value| {
        let by: AgencyId = by.parse().unwrap();
        Proposed { statement: city.app.statement(kind, id, &by, body, city.app.now()), bodies: vec![by] }
    };
    let log = json!({"origin": "city.test/log", "vkeys": city.app.log_vkeys(), "receipt_vkey": city.app.receipt_vkey(), "policy": "quorum none",
        "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": {"events": 0, "seconds": 2}, "fail_open": false});
    let vault = json!({"vault": "city.test/log", "slot_class": "E0", "threshold": 0, "backup_days": 30});
    let service = json!({"agency": LIBRARY, "name": text("Garden"), "sector": "garden", "redirect_uris": ["http://localhost:8081/callback"],
        "channels": ["web"], "alternatives": [text("Ask.")], "mandates": [common::CARD], "help": text("Flowers.")});
    let kinds = [
        (StatementKind::Log, "log_city", OPERATOR, log),
        (StatementKind::Vault, "vlt_city", OPERATOR, vault),
        (StatementKind::Service, "svc_garden", LIBRARY, service),
    ];
    let first = || proposed(StatementKind::Mandate, "mdt_other", LIBRARY, library_card());
    for (kind, id, by, body) in &kinds {
        let right = city.app.propose(vec![first(), proposed(*kind, id, by, body.clone())]).unwrap();
        assert!(matches!(standing(&city, &right), Standing::Waiting(_)), "{id}");
    }
    for (kind, field, other) in [
        (StatementKind::Log, "origin", json!("other.test/log")),
        (StatementKind::Log, "vkeys", json!([city.app.receipt_vkey()])),
        (StatementKind::Log, "policy", json!("quorum nobody")),
        (StatementKind::Vault, "vault", json!("other.test/log")),
        (StatementKind::Service, "pseudonym_mode", json!("two_keeper")),
    ] {
        let (_, id, by, body) = kinds.iter().find(|(known, ..)| *known == kind).unwrap();
        let mut body = body.clone();
        body[field] = other;
        let wrong = || proposed(kind, id, by, body.clone());
        // Also behind a statement that waits for its approvals.
        for statements in [vec![wrong()], vec![first(), wrong()]] {
            let outcome = city.app.propose(statements);
            let Err(Error::Unlawful(problems)) = outcome else { panic!("{id} with another {field} is proposed: {outcome:?}") };
            assert_eq!(problems.len(), 1, "{problems:?}");
        }
    }
    assert_eq!(city.app.proposals(None).unwrap().len(), kinds.len());
}

fn an_official_signs_in_with_the_passkey_of_the_register(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let officials = with_passkeys(&city);
    let challenge = sign_in_challenge(city.app.rng());
    let sign_in = |credential: &str, [data, client, signature]: [Vec<u8>; 3]| {
        let answer = Assertion { authenticator_data: &data, client_data: &client, signature: &signature };
        city.app.official_sign_in(&challenge, credential, answer)
    };
    let (phone, credential) = (&officials.phone, officials.phone.credential());
    let session = sign_in(&credential, phone.answer(&challenge)).unwrap();
    let open = city.app.official_session(&session).unwrap().unwrap();
    assert_eq!((open.agency, open.key.id.as_str()), (library(), "phone"));
    assert_ne!(sign_in(&credential, phone.answer(&challenge)).unwrap(), session);
    let (id, hashes) = propose(&city, "mdt_other");
    for (credential, answer) in [
        (credential.as_str(), officials.token.answer(&challenge)),
        ("AAAA", phone.answer(&challenge)),
        (credential.as_str(), phone.answer(&sign_in_challenge(city.app.rng()))),
        (credential.as_str(), phone.answer(&[7; 32])),
        (credential.as_str(), phone.answer(&usufruct_core::statement::approval_challenge(&hashes).unwrap())),
        (credential.as_str(), SoftPasskey::new().answer(&challenge)),
    ] {
        assert!(is_refused(sign_in(credential, answer)), "{id}");
    }
    for forged in ["", ".", &session[1..], &session[..session.len() - 1], &session.replace('.', "")] {
        assert_eq!(city.app.official_session(forged).unwrap(), None);
    }
    city.clock.advance(8 * HOUR - MINUTE);
    assert!(city.app.official_session(&session).unwrap().is_some());
    city.clock.advance(MINUTE);
    assert_eq!(city.app.official_session(&session).unwrap(), None, "over");

    let session = sign_in(&credential, phone.answer(&challenge)).unwrap();
    let mut body = body(&city);
    body["signing_keys"].as_array_mut().unwrap().retain(|key| key["id"] != "phone");
    enter(&city, body);
    assert_eq!(city.app.official_session(&session).unwrap(), None, "her body dropped the key");
    assert!(is_refused(sign_in(&credential, phone.answer(&challenge))));
}

fn a_clerk_with_two_keys_counts_once(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let resident = city.enrol(1)[0];
    let operator = city.signer(OPERATOR);
    let (phone, token) = (SoftPasskey::new(), SoftPasskey::new());
    let mut body = json!(city.app.register().agencies[&OPERATOR.parse().unwrap()].body);
    let keys = body["signing_keys"].as_array_mut().unwrap();
    for mut entry in [phone.entry("phone", "counter"), token.entry("token", "counter")] {
        entry["holder"] = json!("a clerk");
        keys.push(entry);
    }
    city.publish(StatementKind::Agency, OPERATOR, OPERATOR, body);
    let id = city.app.begin_counter_request(resident, Way::Passkey).unwrap();
    let message = counter_message("city.test/log", &id, resident, Way::Passkey);
    let by = |passkey: &SoftPasskey, key| city.app.approve_counter_request(&id, &passkey.approve(OPERATOR, key, &[message]));
    assert_eq!(by(&phone, "phone").unwrap(), Approved::Once);
    assert!(is_refused(by(&token, "token")), "the same person");
    assert_eq!(city.app.approve_counter_request(&id, &operator[0].approve(&message)).unwrap(), Approved::Twice);
}
