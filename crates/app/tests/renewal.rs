//! The next pseudonym of a resident cannot be joined with the one she left, on both databases.

use std::path::Path;

use crate::common::{CARD, City, LIBRARY, SERVICE, library_card, mandate, on_postgres};
use usufruct_app::{AuthorizeRequest, Bearing, Error, Exchange, GrantManagement, OpenSession, Refresh, Tokens};
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, ServiceId};

const SHORT: &str = "mdt_short";
/// A service in the library's pseudonym domain that does not work under the card's mandate.
const READING: &str = "svc_reading";
/// A service with pseudonyms of its own.
const ARCHIVE: &str = "svc_archive";

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn id(service: &str) -> ServiceId {
    service.parse().unwrap()
}

fn short() -> MandateId {
    SHORT.parse().unwrap()
}

fn request(service: &str, mandate: &str) -> AuthorizeRequest {
    AuthorizeRequest {
        service: id(service),
        redirect_uri: "http://localhost:8081/callback".to_owned(),
        scope: vec!["openid".to_owned(), mandate.to_owned()],
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Create,
        pushed: None,
        agreed: vec![mandate.parse().unwrap()],
    }
}

fn exchange(city: &City, service: &str, code: String) -> Result<Tokens, Error> {
    city.app.exchange(&Exchange {
        service: id(service),
        code,
        redirect_uri: "http://localhost:8081/callback".to_owned(),
        verifier: None,
        jkt: Some("key".to_owned()),
        presented: Vec::new(),
    })
}

fn tokens(city: &City, session: &OpenSession, service: &str, mandate: &str) -> Tokens {
    let code = city.app.authorize(session, &request(service, mandate)).unwrap();
    exchange(city, service, code).unwrap()
}

fn refresh(city: &City, service: &str, tokens: &Tokens) -> Result<Tokens, Error> {
    let refresh_token = tokens.refresh_token.clone().unwrap();
    city.app.refresh(&Refresh {
        service: id(service),
        refresh_token,
        scope: None,
        jkt: Some("key".into()),
        presented: Vec::new(),
    })
}

#[test]
fn nothing_that_a_domain_held_before_a_withdrawal_works_after_it() {
    on_both("renewal", |dir, url| {
        let city = City::found(dir, url);
        city.publish_mandate(SHORT, library_card());
        city.open_service_with(READING, LIBRARY, "library", |body| body["mandates"] = serde_json::json!([SHORT]));
        city.open_service_with(ARCHIVE, LIBRARY, "archive", |body| body["mandates"] = serde_json::json!([SHORT]));
        let (reader, old) = city.cardholder();
        city.app.consent(reader, &id(READING), &short(), &[]).unwrap();
        let session = city.app.session(&city.app.open_session(reader, "test").unwrap()).unwrap().unwrap();
        let card = tokens(&city, &session, SERVICE, CARD);
        let second = tokens(&city, &session, SERVICE, SHORT);
        assert_ne!(card.grant_id, second.grant_id);
        assert!(card.subject == old && second.subject == old && card.sid == second.sid);
        let beside = tokens(&city, &session, READING, SHORT);
        assert_eq!(beside.subject, old);
        let apart = tokens(&city, &session, ARCHIVE, SHORT);
        let waiting = city.app.authorize(&session, &request(READING, SHORT)).unwrap();

        city.app.withdraw(reader, &mandate()).unwrap();
        for (service, held) in [(SERVICE, &card), (SERVICE, &second), (READING, &beside)] {
            assert!(refresh(&city, service, held).is_err(), "{service} learns both of her pseudonyms");
            let found = city.app.introspect(&held.access_token, Vec::new()).unwrap();
            assert!(found.is_none(), "{service}: {found:?}");
            let grant = city.app.query_authorization(&id(service), held.grant_id.as_ref().unwrap()).unwrap();
            assert!(grant.is_none(), "{service}: {grant:?}");
        }
        assert!(exchange(&city, READING, waiting).is_err());
        let bearing = Bearing { access_token: second.access_token.clone(), possession: None };
        assert!(city.app.bearer(&bearing).unwrap().is_none());
        // Another domain knows her as before.
        assert_eq!(refresh(&city, ARCHIVE, &apart).unwrap().subject, apart.subject);

        // Her other consent stands: she signs in and is asked nothing.
        let grants = city.app.grants(reader).unwrap();
        assert!(grants.iter().any(|stored| stored.grant.state == GrantState::Given));
        let next = tokens(&city, &session, SERVICE, SHORT);
        assert!(next.subject != old && next.sid != second.sid && next.grant_id != second.grant_id);
    });
}
