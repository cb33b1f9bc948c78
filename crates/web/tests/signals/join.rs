//! Every byte that two services are ever sent about one resident, over all ways there are, has nothing in common by which they could join what
//! they know: answers, redirects, pushed and polled events, logout tokens, streams, and the list of what they have to delete.

use serde_json::{Value, json};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{OpenSession, SPREAD};
use usufruct_core::time::SECOND;

use crate::calls::POLL;
use crate::common::{CARD, SERVICE, library_card, mandate};
use crate::ear::{Ear, joined};
use crate::receiver::Street;
use crate::site::OTHER;

fn session(street: &Street, cookie: &str) -> OpenSession {
    street.site.city.app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap()
}

/// Asks the transmitter and takes in its answer.
async fn ask(street: &Street, ear: &mut Ear, (method, path): (&str, &str), body: Option<Value>) -> Value {
    let token = ear.own_token(&street.site, "ssf.manage ssf.read").await;
    let answer = street.call(method, path, &token, body.map(|body| body.to_string()).as_deref()).await;
    assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
    ear.hear(&answer)
}

/// Brings what has been told by now to those whom it concerns.
async fn bring(street: &Street, ears: &mut [&mut Ear]) {
    street.site.city.clock.advance(SPREAD);
    while street.deliver().await > 0 {}
    for got in street.got() {
        let id = if got.path.starts_with("/second") { OTHER } else { SERVICE };
        let ear = ears.iter_mut().find(|ear| ear.id == id).unwrap_or_else(|| panic!("{} concerns nobody here", got.path));
        ear.hear_of(&got.headers, &got.body);
    }
}

/// All that happens to a resident, as the services hear of it that know her.
async fn live(street: &Street, resident: u64, ears: &mut [&mut Ear]) {
    let (site, app) = (&street.site, &street.site.city.app);
    let enter = async |ears: &mut [&mut Ear]| {
        let cookie = site.sign_in(resident);
        for ear in ears {
            site.city.clock.advance(1_357_913);
            ear.enter(site, &cookie).await;
        }
        cookie
    };
    let cookie = site.sign_in(resident);
    for ear in ears.iter_mut() {
        site.city.clock.advance(1_357_913);
        ear.visit(site, &cookie).await;
    }
    let passkey = Passkey {
        credential: resident.to_be_bytes().to_vec(),
        resident,
        passkey: "{}".to_owned(),
        label: "phone".to_owned(),
        added_at: app.now(),
        used_at: None,
    };
    app.add_passkey(&session(street, &cookie), &passkey).unwrap();
    street.sign_out(&cookie).await;
    bring(street, ears).await;

    enter(ears).await;
    app.sign_out_everywhere(resident).unwrap();
    bring(street, ears).await;

    enter(ears).await;
    app.freeze(resident).unwrap();
    for ear in ears.iter_mut() {
        ear.moments.insert(app.now().seconds().to_string());
    }
    bring(street, ears).await;
    app.lift_freeze(&session(street, &site.sign_in(resident))).unwrap();
    bring(street, ears).await;

    enter(ears).await;
    app.withdraw(resident, &mandate()).unwrap();
    bring(street, ears).await;
    for ear in ears.iter_mut() {
        site.city.clock.advance(1_111_111);
        ear.told(site).await;
    }

    // From here on they fetch.
    let mut streams = Vec::new();
    for ear in ears.iter_mut() {
        site.city.clock.advance(11 * SECOND + 123_457);
        let id = ask(street, ear, ("GET", "/ssf/streams"), None).await[0]["stream_id"].clone();
        ask(street, ear, ("GET", &format!("/ssf/status?stream_id={}", id.as_str().unwrap())), None).await;
        ask(street, ear, ("POST", "/ssf/status"), Some(json!({ "stream_id": id, "status": "enabled" }))).await;
        ask(street, ear, ("POST", "/ssf/verify"), Some(json!({ "stream_id": id }))).await;
        ask(street, ear, ("PATCH", "/ssf/streams"), Some(json!({ "stream_id": id, "delivery": { "method": POLL } }))).await;
        streams.push(id);
    }
    let cookie = enter(ears).await;
    street.sign_out(&cookie).await;
    bring(street, ears).await;
    for (ear, id) in ears.iter_mut().zip(&streams) {
        site.city.clock.advance(1_234_567);
        let path = format!("/ssf/poll/{}", id.as_str().unwrap());
        let first = ask(street, ear, ("POST", &path), Some(json!({ "returnImmediately": true }))).await;
        let names: Vec<&String> = first["sets"].as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 2, "a sign of life and the end of a session");
        ask(street, ear, ("POST", &path), Some(json!({ "ack": names, "maxEvents": 0 }))).await;
        let way = if ear.id == OTHER { "/second" } else { "/good" };
        let push = json!({ "method": "urn:ietf:rfc:8935", "endpoint_url": format!("{}{way}/signals", street.base) });
        ask(street, ear, ("PATCH", "/ssf/streams"), Some(json!({ "stream_id": id, "delivery": push }))).await;
    }
}

#[tokio::test]
async fn all_that_two_services_are_told_has_nothing_in_common_about_one_resident() {
    let street = Street::open("/good").await;
    street.site.city.app.spread_word(SPREAD);
    let mut card = library_card();
    card["operations"] = json!(["disclose", "store", "deposit"]);
    street.site.city.publish_mandate(CARD, card);
    let mut ears = [Ear::of(SERVICE), Ear::of(OTHER), Ear::of(OTHER)];
    for (ear, way) in ears.iter_mut().zip(["/good", "/second"]) {
        let delivery = json!({
            "method": "urn:ietf:rfc:8935", "endpoint_url": format!("{}{way}/signals", street.base), "authorization_header": format!("Bearer of{way}")
        });
        ask(&street, ear, ("POST", "/ssf/streams"), Some(json!({ "delivery": delivery }))).await;
    }
    let (resident, stranger) = (street.site.city.enrol(1)[0], street.site.city.enrol(1)[0]);
    let [first, second, of_stranger] = &mut ears;
    live(&street, resident, &mut [first, second]).await;
    street.site.city.clock.advance(2_468_024);
    live(&street, stranger, &mut [of_stranger]).await;
    let joined = joined(first, second, of_stranger);
    assert!(joined.is_empty(), "both services were told {joined:#?}");
    // The measure finds what there is: of one service's own messages about her every one has her pseudonym.
    assert!(crate::ear::shared(second, of_stranger).len() > crate::ear::shared(first, of_stranger).len());
}
