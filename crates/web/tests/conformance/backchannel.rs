//! Services are told that she signed out.

use std::collections::BTreeSet;

use serde_json::json;

use crate::Case;
use crate::case;
use crate::common::SERVICE;
use crate::receiver::Street;
use crate::site::ISSUER;

/// The modules of the list.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    vec![
        case!("oidcc-backchannel-logout-discovery-endpoint-verification", "The metadata says that services are told, and of which session.", discovery),
        case!("oidcc-backchannel-rp-initiated-logout", "A logout token of the right form comes once, names the session of the ID token, and goes to the services she signed in to alone.", told),
    ]
}

async fn discovery() {
    let metadata = Street::open("/good").await.site.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["end_session_endpoint"], format!("{ISSUER}/oidc/end-session"));
    for member in ["backchannel_logout_supported", "backchannel_logout_session_supported"] {
        assert_eq!(metadata[member], json!(true), "{member}");
    }
}

async fn told() {
    let street = Street::open("/good").await;
    let (_, cookie) = street.site.resident();
    let id_token = street.sign_in(&cookie, SERVICE).await;
    street.sign_out(&cookie).await;
    assert_eq!(street.deliver().await, 1);
    let got = street.got();
    assert_eq!(got.len(), 1, "a service she did not sign in to hears nothing");
    assert_eq!(
        (got[0].path.as_str(), &got[0].headers["content-type"]),
        ("/good/logout", &"application/x-www-form-urlencoded".parse().unwrap())
    );
    let form: Vec<_> = url::form_urlencoded::parse(got[0].body.as_bytes()).into_owned().collect();
    assert!(matches!(form.as_slice(), [(name, _)] if name == "logout_token"), "{form:?}");
    assert_eq!(street.verified(&form[0].1).await.typ.as_deref(), Some("logout+jwt"));
    let claims = got[0].claims();
    let members: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"]), "no nonce");
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
    assert_eq!((&claims["sub"], &claims["sid"]), (&id_token["sub"], &id_token["sid"]));
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=120).contains(&life), "{life}");
    assert_eq!(street.deliver().await, 0, "once is enough");
}
