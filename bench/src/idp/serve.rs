//! The server that is measured: a small city with the bench's client, and a few residents who are signed in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;
use usufruct_core::ports::Clock;
use usufruct_core::statement::StatementKind;
use usufruct_web::{Limits, Settings, Site};

use crate::CONNECTIONS;
use crate::city::{City, LIBRARY, SERVICE};
use crate::client::{REDIRECT, jwk};

/// Serves until it is killed.
pub fn run(dir: &Path, port: u16) {
    #[expect(clippy::disallowed_methods, reason = "the key of a measurement")]
    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).expect("the key");
    std::fs::write(dir.join("client.p8"), pkcs8.as_ref()).expect("the key in its file");
    let city = City::found(&dir.join("city"), None);
    follow(&city);
    let mut key = jwk(&pair);
    key["kid"] = "client".into();
    let text = |en: &str| json!({ "en": en, "zh-Hant": en });
    let body = json!({
        "agency": LIBRARY, "name": text("Library"), "sector": "library", "redirect_uris": [REDIRECT], "channels": ["web", "counter"],
        "alternatives": [text("Ask at the counter.")], "mandates": ["mdt_library-card"], "help": text("Lends books."), "jwks": [key],
    });
    city.publish(StatementKind::Service, SERVICE, LIBRARY, body);
    let sessions =
        city.enrol(CONNECTIONS).into_iter().map(|resident| city.app.open_session(resident, "bench").expect("a session"));
    let cookies: Vec<String> = sessions.map(|session| format!("usufruct={session}")).collect();
    let settings = Settings { issuer: format!("http://localhost:{port}"), allows_oidc: false, demo: None };
    let site = Site::new(Arc::clone(&city.app), settings).expect("a site").with_limits(&Limits::wide());
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
        std::fs::write(dir.join("ready.new"), json!({ "cookies": cookies }).to_string()).expect("the file");
        std::fs::rename(dir.join("ready.new"), dir.join("ready.json")).expect("the file");
        let router = usufruct_web::router(Arc::new(site)).into_make_service_with_connect_info::<std::net::SocketAddr>();
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// Lets the city's clock, which is set by hand, go with the real one.
fn follow(city: &City) {
    let clock = Arc::clone(&city.clock);
    let set = move || clock.advance(unix_micros() - clock.now().micros());
    set();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            set();
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "the server that is measured lives now")]
fn unix_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
