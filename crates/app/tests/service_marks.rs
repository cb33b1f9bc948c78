//! Whoever writes to the database lets no service know anybody, on both databases: authorizations, codes and tokens, planted or altered behind
//! the back of the house.

use std::path::Path;

use crate::common;
use crate::common::{CARD, City, LIBRARY, SERVICE, block, mandate, service};
use usufruct_app::store::db::{Connection, Error as DbError, Tx, Value};
use usufruct_app::{AuthorizeRequest, Bearing, Error, Exchange, GrantManagement, OpenSession, Refresh, Tokens};
use usufruct_core::decide::Clause;
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::time::{DAY, HOUR};

common::on_both!(
    a_grant_that_was_written_to_gives_no_empty_answer,
    a_written_authorization_opens_nothing,
    a_written_code_makes_no_token,
    a_written_refresh_token_makes_no_token,
    a_written_token_is_good_for_nothing,
    rows_from_before_the_marks_get_theirs_once,
);

/// A second service under the mandates of the library, with pseudonyms of its own.
const SECOND: &str = "svc_second";
const CALLBACK: &str = "http://localhost:8081/callback";

fn id(service: &str) -> ServiceId {
    service.parse().unwrap()
}

fn found(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(SECOND, LIBRARY, "second");
    city
}

/// A resident who agreed to the library card, and her session.
fn reader(city: &City) -> (u64, OpenSession) {
    let resident = city.enrol(1)[0];
    city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
    (resident, city.app.session(&city.app.open_session(resident, "test").unwrap()).unwrap().unwrap())
}

fn code(city: &City, session: &OpenSession, scope: &str) -> String {
    let request = AuthorizeRequest {
        service: service(),
        redirect_uri: CALLBACK.to_owned(),
        scope: scope.split(' ').map(str::to_owned).collect(),
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Create,
        pushed: None,
        agreed: scope.split(' ').filter_map(|word| word.parse().ok()).collect(),
    };
    city.app.authorize(session, &request).unwrap()
}

fn exchange(city: &City, service: &str, code: &str, jkt: Option<&str>) -> Result<Tokens, Error> {
    city.app.exchange(&Exchange {
        service: id(service),
        code: code.to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        verifier: None,
        jkt: jkt.map(str::to_owned),
        presented: Vec::new(),
    })
}

fn tokens(city: &City, session: &OpenSession) -> Tokens {
    exchange(city, SERVICE, &code(city, session, &format!("openid {CARD}")), Some("key")).unwrap()
}

/// Writes to one row of the database behind the back of the house.
fn write(city: &City, sql: &'static str, params: Vec<Value>) {
    assert_eq!(write_all(city, sql, params), 1, "{sql}");
}

fn write_all(city: &City, sql: &'static str, params: Vec<Value>) -> u64 {
    let write = move |tx: &mut Tx<'_>| tx.execute(sql, &params);
    let written: Result<u64, DbError> = city.app.db().transaction("write", write);
    written.unwrap()
}

fn number(resident: u64) -> Value {
    Value::from(i64::try_from(resident).unwrap())
}

fn hashed(secret: &str) -> Value {
    Value::from(sha256(secret.as_bytes()).0.to_vec())
}

fn late(city: &City) -> Value {
    Value::from(city.app.now().plus(1_000 * DAY).micros())
}

/// Whether the second service gets her name, and if not, by which clause.
fn asked(city: &City, service: &str, resident: u64) -> Vec<Clause> {
    let subject = city.app.subject(resident, &id(service)).unwrap();
    let mut request = city.request(&subject);
    request.service = id(service);
    match city.app.release(&request) {
        Ok(_) => Vec::new(),
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(error) => panic!("{error}"),
    }
}

fn is_denied(city: &City, service: &str, resident: u64) -> bool {
    asked(city, service, resident).iter().any(|clause| clause.code() == "authorization")
}

fn a_written_authorization_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    for (sql, value) in [
        ("UPDATE authorizations SET service = $2 WHERE authorization_id = $1", Value::from(SECOND)),
        ("UPDATE authorizations SET ends_at = $2 WHERE authorization_id = $1", late(&city)),
        ("UPDATE authorizations SET updated_at = $2 WHERE authorization_id = $1", late(&city)),
    ] {
        let (resident, session) = reader(&city);
        let grant = tokens(&city, &session).grant_id.unwrap();
        assert!(asked(&city, SERVICE, resident).is_empty());
        write(&city, sql, vec![grant.as_str().into(), value]);
        assert!(is_denied(&city, SERVICE, resident), "{sql}");
        assert!(is_denied(&city, SECOND, resident), "{sql}");
        assert!(city.app.query_authorization(&id(SECOND), &grant).unwrap().is_none(), "{sql}");
        assert!(city.app.query_authorization(&service(), &grant).unwrap().is_none(), "{sql}");
        assert!(!city.app.give_back(&service(), &grant).unwrap(), "{sql}");
    }
    // Widened by a mandate, or made another's.
    let ((resident, session), (victim, hers)) = (reader(&city), reader(&city));
    let narrow = exchange(&city, SERVICE, &code(&city, &session, "openid"), Some("key")).unwrap().grant_id.unwrap();
    let scope = Value::from(format!("openid {CARD}"));
    write(&city, "UPDATE authorizations SET scope = $2 WHERE authorization_id = $1", vec![narrow.as_str().into(), scope]);
    assert!(is_denied(&city, SERVICE, resident));
    let own = tokens(&city, &session).grant_id.unwrap();
    let moved = "UPDATE authorizations SET resident = $2 WHERE authorization_id = $1";
    write(&city, moved, vec![own.as_str().into(), number(victim)]);
    assert!(is_denied(&city, SERVICE, victim));
    // One that nobody gave, copied from one that she did.
    let given = tokens(&city, &hers).grant_id.unwrap();
    let plant = "INSERT INTO authorizations (authorization_id, service, resident, scope, created_at, updated_at, ends_at, mark) \
                 SELECT 'planted', $2, resident, scope, created_at, updated_at, ends_at, mark FROM authorizations WHERE authorization_id = $1";
    write(&city, plant, vec![given.as_str().into(), SECOND.into()]);
    assert!(is_denied(&city, SECOND, victim));
    assert!(asked(&city, SERVICE, victim).is_empty(), "what nobody touched goes on");
}

fn a_written_token_is_good_for_nothing(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let ((_, session), (victim, _)) = (reader(&city), reader(&city));
    let lives = |token: &str| city.app.introspect(token, Vec::new()).unwrap().is_some();
    for (sql, value) in [
        ("UPDATE tokens SET resident = $2 WHERE token_hash = $1", number(victim)),
        ("UPDATE tokens SET service = $2 WHERE token_hash = $1", Value::from(SECOND)),
        ("UPDATE tokens SET scope = $2 WHERE token_hash = $1", Value::from("openid")),
        ("UPDATE tokens SET jkt = $2 WHERE token_hash = $1", Value::from("stolen")),
        ("UPDATE tokens SET means = $2 WHERE token_hash = $1", Value::from("card")),
        ("UPDATE tokens SET expires_at = $2 WHERE token_hash = $1", late(&city)),
    ] {
        let token = tokens(&city, &session).access_token;
        assert!(lives(&token));
        write(&city, sql, vec![hashed(&token), value]);
        assert!(!lives(&token), "{sql}");
    }
    // A token by which a service itself would call, and one for a resident, that nobody made.
    let plant =
        "INSERT INTO tokens (token_hash, service, resident, scope, issued_at, expires_at) VALUES ($1, $2, $3, 'release', $4, $5)";
    let now = || Value::from(city.app.now().micros());
    let soon = || Value::from(city.app.now().plus(HOUR).micros());
    write(&city, plant, vec![hashed("own"), SERVICE.into(), Value::Null, now(), soon()]);
    write(&city, plant, vec![hashed("hers"), SERVICE.into(), number(victim), now(), soon()]);
    let bearing = |token: &str| Bearing { access_token: token.to_owned(), possession: None };
    assert!(city.app.release_caller(&bearing("own")).unwrap().is_none());
    assert!(city.app.bearer(&bearing("hers")).unwrap().is_none() && !lives("hers"));
    assert!(lives(&tokens(&city, &session).access_token), "what nobody touched goes on");
}

fn a_written_code_makes_no_token(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let ((_, session), (victim, _)) = (reader(&city), reader(&city));
    let scope = format!("openid {CARD}");
    for (sql, value) in [
        ("UPDATE codes SET resident = $2 WHERE code_hash = $1", number(victim)),
        ("UPDATE codes SET service = $2 WHERE code_hash = $1", Value::from(SECOND)),
        ("UPDATE codes SET means = $2 WHERE code_hash = $1", Value::from("card")),
        ("UPDATE codes SET nonce = $2 WHERE code_hash = $1", Value::from("another")),
        ("UPDATE codes SET expires_at = $2 WHERE code_hash = $1", late(&city)),
    ] {
        let code = code(&city, &session, &scope);
        write(&city, sql, vec![hashed(&code), value]);
        assert!(
            exchange(&city, SERVICE, &code, Some("key")).is_err() && exchange(&city, SECOND, &code, Some("key")).is_err(),
            "{sql}"
        );
    }
    let plant = "INSERT INTO codes (code_hash, service, resident, redirect_uri, challenge, scope, auth_time, expires_at, sid) \
                 VALUES ($1, $2, $3, $4, '', $5, $6, $7, 'x')";
    let (now, soon) = (Value::from(city.app.now().micros()), Value::from(city.app.now().plus(HOUR).micros()));
    write(&city, plant, vec![hashed("planted"), SECOND.into(), number(victim), CALLBACK.into(), scope.clone().into(), now, soon]);
    assert!(exchange(&city, SECOND, "planted", Some("key")).is_err());
    exchange(&city, SERVICE, &code(&city, &session, &scope), Some("key")).unwrap();
}

fn a_written_refresh_token_makes_no_token(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let ((_, session), (victim, _)) = (reader(&city), reader(&city));
    let refresh = |service: &str, token: &str, jkt: &str| {
        let (refresh_token, jkt) = (token.to_owned(), Some(jkt.to_owned()));
        city.app.refresh(&Refresh { service: id(service), refresh_token, scope: None, jkt, presented: Vec::new() })
    };
    for (sql, value) in [
        ("UPDATE refresh_tokens SET resident = $2 WHERE token_hash = $1", number(victim)),
        ("UPDATE refresh_tokens SET service = $2 WHERE token_hash = $1", Value::from(SECOND)),
        ("UPDATE refresh_tokens SET jkt = $2 WHERE token_hash = $1", Value::from("stolen")),
        ("UPDATE refresh_tokens SET scope = $2 WHERE token_hash = $1", Value::from("openid")),
        ("UPDATE refresh_tokens SET auth_time = $2 WHERE token_hash = $1", late(&city)),
        ("UPDATE refresh_tokens SET expires_at = $2 WHERE token_hash = $1", late(&city)),
    ] {
        let token = tokens(&city, &session).refresh_token.unwrap();
        assert!(refresh(SERVICE, &token, "key").is_ok());
        write(&city, sql, vec![hashed(&token), value]);
        for (service, jkt) in [(SERVICE, "key"), (SERVICE, "stolen"), (SECOND, "key")] {
            assert!(refresh(service, &token, jkt).is_err(), "{sql}");
        }
    }
    assert!(refresh(SERVICE, &tokens(&city, &session).refresh_token.unwrap(), "key").is_ok());
}

fn a_grant_that_was_written_to_gives_no_empty_answer(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let altered = |subject: &str, name: &str, form: Form| {
        let mut request = city.request(subject);
        request.blocks = vec![(block(name), form)];
        match city.app.release(&request) {
            Err(error) => error.to_string().contains("does not fit what she lent"),
            Ok(released) => panic!("{:?}", released.blocks[0].2.as_str()),
        }
    };
    // A block that she did not choose.
    let (resident, session) = reader(&city);
    let subject = tokens(&city, &session).subject;
    let lines = city.app.footprint(resident).unwrap().lines.len();
    write(&city, "UPDATE grants SET blocks = 'blk_name blk_district' WHERE resident = $1", vec![number(resident)]);
    for form in [Form::Value, Form::Predicate, Form::Token] {
        assert!(altered(&subject, "district", form), "{form:?}");
    }
    assert_eq!(city.app.footprint(resident).unwrap().lines.len(), lines, "it is no use of hers");
    assert!(asked(&city, SERVICE, resident).is_empty(), "what she lent is as before");
    // One that she withdrew.
    city.app.withdraw(resident, &mandate()).unwrap();
    write(&city, "UPDATE grants SET state = 'given', blocks = 'blk_name' WHERE resident = $1", vec![number(resident)]);
    let subject = tokens(&city, &session).subject;
    for form in [Form::Value, Form::Predicate, Form::Token] {
        assert!(altered(&subject, "name", form), "{form:?}");
    }
}

fn rows_from_before_the_marks_get_theirs_once(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, session) = reader(&city);
    let held = tokens(&city, &session);
    let scope = format!("openid {CARD}");
    let waiting = [code(&city, &session, &scope), code(&city, &session, &scope)];
    let forget = |city: &City| {
        for sql in [
            "UPDATE authorizations SET mark = NULL",
            "UPDATE codes SET mark = NULL",
            "UPDATE tokens SET mark = NULL",
            "UPDATE refresh_tokens SET mark = NULL",
        ] {
            assert!(write_all(city, sql, Vec::new()) >= 1, "{sql}");
        }
    };
    let refreshed = |city: &City| {
        let refresh_token = held.refresh_token.clone().unwrap();
        let jkt = Some("key".to_owned());
        city.app.refresh(&Refresh { service: service(), refresh_token, scope: None, jkt, presented: Vec::new() }).is_ok()
    };
    let is_known = |city: &City, code: &str| {
        [
            city.app.introspect(&held.access_token, Vec::new()).unwrap().is_some(),
            exchange(city, SERVICE, code, Some("key")).is_ok(),
            refreshed(city),
            asked(city, SERVICE, resident).is_empty(),
        ]
    };
    forget(&city);
    assert_eq!(is_known(&city, &waiting[0]), [false; 4]);
    forget(&city);
    drop(city);
    // As the house was before the upgrade.
    std::fs::remove_file(dir.join("keys/services.marked")).unwrap();
    let city = City::open(dir, url, "2026-01-01T00:00:10Z", 2);
    assert_eq!(is_known(&city, &waiting[1]), [true; 4]);
    forget(&city);
    drop(city);
    let city = City::open(dir, url, "2026-01-01T00:00:20Z", 3);
    assert_eq!(is_known(&city, &waiting[1]), [false; 4], "a row that lost its mark later was written by somebody else");
}
