//! What she authorized a service for is for that service alone, and ends when it gives it back, on both databases.

use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{CARD, City, LIBRARY, SERVICE, block, library_card, mandate, service, text};
use serde_json::json;
use usufruct_app::{
    AuthorizeRequest, BatchRequest, Bearing, ConversionBatch, DepositRequest, Error, Exchange, GrantManagement, OpenSession,
    Refresh, ReleaseRequest, Tokens,
};
use usufruct_core::decide::Clause;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_store::authorizations;

common::on_both!(
    a_consent_at_a_counter_revives_nothing_that_ended_meanwhile,
    a_service_that_gives_back_ends_its_own_and_nothing_else,
    a_use_that_the_law_asks_for_needs_no_authorization,
    only_the_service_that_she_authorized_gets_anything,
    what_ends_while_it_is_decided_is_refused,
    with_an_authorization_that_covers_another_mandate_it_gets_nothing,
);

/// A second service under the mandates of the library, with pseudonyms of its own.
const SECOND: &str = "svc_second";
/// A service in the pseudonym domain of the library.
const READING: &str = "svc_reading";
/// A mandate under which services may deposit and convert.
const SHORT: &str = "mdt_short";
const CALLBACK: &str = "http://localhost:8081/callback";

fn id(service: &str) -> ServiceId {
    service.parse().unwrap()
}

fn short() -> MandateId {
    SHORT.parse().unwrap()
}

fn found(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(SECOND, LIBRARY, "second");
    city.open_service(READING, LIBRARY, "library");
    let mut body = library_card();
    body["operations"] = json!(["disclose", "store", "deposit", "match"]);
    body["conversions"] = json!([
        {"from": SECOND, "to": SERVICE, "why": text("Readers enter without a ticket.")},
        {"from": SERVICE, "to": SECOND, "why": text("Readers enter without a ticket.")},
    ]);
    city.publish_mandate(SHORT, body);
    city
}

fn session(city: &City, resident: u64) -> OpenSession {
    city.app.session(&city.app.open_session(resident, "test").unwrap()).unwrap().unwrap()
}

/// She signs in to a service, which asks for this scope and gets its tokens.
fn tokens(city: &City, session: &OpenSession, service: &str, scope: &[&str]) -> Tokens {
    let request = AuthorizeRequest {
        service: id(service),
        redirect_uri: CALLBACK.to_owned(),
        scope: scope.iter().map(|word| (*word).to_owned()).collect(),
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Create,
        pushed: None,
        agreed: scope.iter().filter_map(|word| word.parse().ok()).collect(),
    };
    let code = city.app.authorize(session, &request).unwrap();
    let exchange = Exchange {
        service: id(service),
        code,
        redirect_uri: CALLBACK.to_owned(),
        verifier: None,
        jkt: Some("key".to_owned()),
        presented: Vec::new(),
    };
    city.app.exchange(&exchange).unwrap()
}

/// What came of everything that a service can ask for about her, by the first clause that refused it.
fn asked(city: &City, service: &str, mandate: &MandateId, subject: &str) -> [Result<(), String>; 4] {
    let first = |error: Error| match error {
        Error::Unpermitted(clauses) => clauses.iter().map(|clause| clause.code()).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let blocks = vec![(block("name"), Form::Value)];
    let release = ReleaseRequest { service: id(service), mandate: mandate.clone(), ..city.request(subject) };
    let batch = BatchRequest {
        service: id(service),
        mandate: mandate.clone(),
        subjects: vec![subject.to_owned()],
        blocks,
        reason: "lending".into(),
        actor: None,
        third_party: false,
    };
    let deposit = DepositRequest {
        service: id(service),
        mandate: mandate.clone(),
        subject: subject.to_owned(),
        block: block("name"),
        value: "A visit".into(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    let to = if service == SERVICE { SECOND } else { SERVICE };
    let conversion = ConversionBatch {
        service: id(service),
        to: id(to),
        mandate: mandate.clone(),
        subjects: vec![subject.to_owned()],
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    [
        city.app.release(&release).map(drop).map_err(first),
        city.app.release_batch(&batch).unwrap().lines.remove(0).outcome.map(drop).map_err(first),
        city.app.deposit(&deposit).map(drop).map_err(first),
        city.app.convert(&conversion).unwrap().lines.remove(0).outcome.map(drop).map_err(first),
    ]
}

fn denied() -> [Result<(), String>; 4] {
    std::array::from_fn(|_| Err("authorization".to_owned()))
}

fn events(city: &City, resident: u64) -> Vec<Event> {
    city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap()).collect()
}

fn only_the_service_that_she_authorized_gets_anything(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = city.enrol(1)[0];
    let session = session(&city, resident);
    city.app.consent(resident, &service(), &short(), &[]).unwrap();
    tokens(&city, &session, SERVICE, &["openid", SHORT]);
    let here = city.app.subject(resident, &service()).unwrap();
    assert_eq!(asked(&city, SERVICE, &short(), &here), [const { Ok(()) }; 4]);

    // The second service never met her, then signs her in and nothing else.
    let there = city.app.subject(resident, &id(SECOND)).unwrap();
    assert_eq!(asked(&city, SECOND, &short(), &there), denied());
    tokens(&city, &session, SECOND, &["openid"]);
    assert_eq!(asked(&city, SECOND, &short(), &there), denied());
    let refused: Vec<_> = events(&city, resident).into_iter().filter(|event| event.kind == Kind::Refusal).collect();
    assert_eq!(refused.len(), 8);
    for event in refused {
        assert_eq!((event.service, event.clause.as_deref()), (Some(id(SECOND)), Some("authorization")));
    }
    // Nor does a service of the same domain, which knows her by the same pseudonym.
    let release = ReleaseRequest { service: id(READING), mandate: short(), ..city.request(&here) };
    assert!(matches!(city.app.release(&release), Err(Error::Unpermitted(clauses)) if clauses[0].code() == "authorization"));

    // What she agreed to stands. She lets the service in, and from then on it gets what the mandate lets it have.
    tokens(&city, &session, SECOND, &["openid", SHORT]);
    assert_eq!(asked(&city, SECOND, &short(), &there), [const { Ok(()) }; 4]);
}

fn with_an_authorization_that_covers_another_mandate_it_gets_nothing(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = city.enrol(1)[0];
    let session = session(&city, resident);
    for mandate in [short(), mandate()] {
        city.app.consent(resident, &service(), &mandate, &[]).unwrap();
    }
    let card = tokens(&city, &session, SERVICE, &["openid", CARD]);
    let here = city.app.subject(resident, &service()).unwrap();
    assert!(city.app.release(&city.request(&here)).is_ok());
    assert_eq!(asked(&city, SERVICE, &short(), &here), denied());
    // Two authorizations at one service: each is good for its own mandate, and ends by itself.
    let second = tokens(&city, &session, SERVICE, &["openid", SHORT]);
    assert_eq!(asked(&city, SERVICE, &short(), &here), [const { Ok(()) }; 4]);
    assert!(city.app.give_back(&service(), &card.grant_id.unwrap()).unwrap());
    assert_eq!(asked(&city, SERVICE, &short(), &here), [const { Ok(()) }; 4]);
    assert!(
        matches!(city.app.release(&city.request(&here)), Err(Error::Unpermitted(clauses)) if clauses[0].code() == "authorization")
    );
    assert!(city.app.give_back(&service(), &second.grant_id.unwrap()).unwrap());
    assert_eq!(asked(&city, SERVICE, &short(), &here), denied());
}

fn a_service_that_gives_back_ends_its_own_and_nothing_else(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = city.enrol(1)[0];
    let session = session(&city, resident);
    city.app.consent(resident, &service(), &short(), &[]).unwrap();
    let own = tokens(&city, &session, SERVICE, &["openid", SHORT]);
    let beside = tokens(&city, &session, READING, &["openid", SHORT]);
    let apart = tokens(&city, &session, SECOND, &["openid", SHORT]);
    let certificates = city.app.register().certificates.len();
    let given = own.grant_id.clone().unwrap();

    assert!(!city.app.give_back(&id(SECOND), &given).unwrap(), "it is another's");
    assert!(city.app.give_back(&service(), &given).unwrap());
    assert!(!city.app.give_back(&service(), &given).unwrap(), "it is gone");
    assert_eq!(asked(&city, SERVICE, &short(), &own.subject), denied());
    let refresh = |service: &str, tokens: &Tokens| {
        let refresh_token = tokens.refresh_token.clone().unwrap();
        let jkt = Some("key".to_owned());
        city.app.refresh(&Refresh { service: id(service), refresh_token, scope: None, jkt, presented: Vec::new() })
    };
    assert!(city.app.introspect(&own.access_token, Vec::new()).unwrap().is_none());
    assert!(refresh(SERVICE, &own).is_err());

    // The others go on, under the pseudonyms by which they know her.
    for (service, tokens) in [(READING, &beside), (SECOND, &apart)] {
        assert_eq!(
            city.app.introspect(&tokens.access_token, Vec::new()).unwrap().unwrap().subject.as_ref(),
            Some(&tokens.subject)
        );
        assert_eq!(refresh(service, tokens).unwrap().subject, tokens.subject);
        let bearing = Bearing { access_token: tokens.access_token.clone(), possession: None };
        assert!(city.app.bearer(&bearing).unwrap().is_none(), "it is bound");
    }
    assert_eq!(asked(&city, SECOND, &short(), &apart.subject), [const { Ok(()) }; 4]);
    assert_eq!(city.app.subject(resident, &service()).unwrap(), own.subject);
    assert_eq!(city.app.grants(resident).unwrap()[0].grant.state, GrantState::Given);
    assert_eq!(city.app.register().certificates.len(), certificates, "nothing was destroyed");

    // Her footprint says what happened, and not that she withdrew.
    let events = events(&city, resident);
    assert!(events.iter().all(|event| event.kind != Kind::Withdrawal));
    let back: Vec<_> = events.iter().filter(|event| event.kind.code() == "authorization-given-back").collect();
    let hash = city.app.register().mandates[&short()].hash;
    assert_eq!(back.len(), 1);
    assert_eq!((back[0].service.as_ref(), back[0].mandate), (Some(&service()), Some(hash)));

    // She may come again and let it in again; what she agreed to stands.
    let again = tokens(&city, &session, SERVICE, &["openid", SHORT]);
    assert!(again.subject == own.subject && again.grant_id != own.grant_id);
    assert_eq!(asked(&city, SERVICE, &short(), &again.subject), [const { Ok(()) }; 4]);
}

fn a_use_that_the_law_asks_for_needs_no_authorization(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut body = library_card();
    body["legal_basis"]["code"] = json!("public_task");
    city.publish_mandate(SHORT, body);
    let resident = city.enrol(1)[0];
    let subject = city.app.subject(resident, &service()).unwrap();
    let request = ReleaseRequest { mandate: short(), ..city.request(&subject) };
    assert!(city.app.release(&request).is_ok());
}

fn what_ends_while_it_is_decided_is_refused(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = city.enrol(1)[0];
    let session = session(&city, resident);
    city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
    let mut given = tokens(&city, &session, SERVICE, &["openid", CARD]).grant_id.unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    // Under this load, whichever way the two fall, it is given back before the use or after it in the log, never across.
    for _ in 0..20 {
        let (app, request, id) = (&city.app, city.request(&subject), given.clone());
        let outcome = std::thread::scope(|scope| {
            let released = scope.spawn(|| app.release(&request));
            assert!(app.give_back(&service(), &id).unwrap());
            released.join().unwrap()
        });
        let events = events(&city, resident);
        let back = events.iter().rposition(|event| event.kind.code() == "authorization-given-back").unwrap();
        let used = events.iter().rposition(|event| matches!(event.kind, Kind::Use | Kind::Refusal)).unwrap();
        match outcome {
            Ok(_) => assert!(events[used].kind == Kind::Use && used < back),
            Err(Error::Unpermitted(clauses)) => {
                assert_eq!((events[used].kind, clauses[0].code()), (Kind::Refusal, "authorization"));
                assert!(back < used);
            }
            Err(error) => panic!("{error}"),
        }
        given = tokens(&city, &session, SERVICE, &["openid", CARD]).grant_id.unwrap();
    }
    assert!(Clause::ALL.iter().any(|clause| clause.code() == "authorization"));
}

fn a_consent_at_a_counter_revives_nothing_that_ended_meanwhile(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let resident = city.enrol(1)[0];
    let session = session(&city, resident);
    let known = || city.app.db().read(|conn| authorizations::of_resident(conn, resident, Some(&service()))).unwrap();
    for withdraws in [false, true] {
        city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
        let given = tokens(&city, &session, SERVICE, &["openid", CARD]).grant_id.unwrap();
        let (app, id) = (Arc::clone(&city.app), given.clone());
        // After what she had authorized was looked at, and before it is made wider.
        city.clock.after(1, move || match withdraws {
            true => drop(app.withdraw(resident, &mandate()).unwrap()),
            false => assert!(app.give_back(&service(), &id).unwrap()),
        });
        city.app.consent_at_counter(resident, &service(), &short(), &[]).unwrap();
        let [only] = &known()[..] else { panic!("one authorization, for what was agreed to at the counter") };
        assert_ne!(only.id, given, "the service knows no pseudonym of hers by it");
        assert_eq!(only.scope, format!("openid {SHORT}"));
        assert!(city.app.give_back(&service(), &only.id).unwrap());
    }
}
