//! Nothing that two services are told about one resident can be joined. What they hear by signals is in `signals/delivery.rs`.

use serde_json::json;
use usufruct_core::time::SECOND;

use crate::common::{CARD, SERVICE, library_card, mandate};
use crate::ear::{Ear, WINDOW, joined, shared};
use crate::site::{OTHER, TestSite};

/// A city whose services also put data into the pass, and get there what the other has put in.
fn site() -> TestSite {
    let site = TestSite::new();
    let mut card = library_card();
    card["operations"] = json!(["disclose", "store", "deposit", "match"]);
    site.city.publish_mandate(CARD, card);
    site
}

/// Two services hear of one resident, and one of them of somebody else too.
#[tokio::test]
async fn two_services_have_nothing_in_common_about_one_resident() {
    let site = site();
    let (resident, cookie) = site.resident();
    site.city.clock.advance(1_234_567 * SECOND / 1_000);
    let (stranger, stranger_cookie) = site.resident();
    let mut ears = [Ear::of(SERVICE), Ear::of(OTHER), Ear::of(OTHER)];
    for (ear, cookie) in ears.iter_mut().zip([&cookie, &cookie, &stranger_cookie]) {
        site.city.clock.advance(1_357_913);
        ear.visit(&site, cookie).await;
    }
    let [first, second, of_stranger] = &mut ears;
    for (resident, ears) in [(resident, vec![first, second]), (stranger, vec![of_stranger])] {
        site.city.clock.advance(2_468_024);
        site.city.app.withdraw(resident, &mandate()).unwrap();
        for ear in ears {
            site.city.clock.advance(1_111_111);
            ear.told(&site).await;
            ear.asked(&site, if resident == stranger { &stranger_cookie } else { &cookie }, &[]).await.unwrap();
        }
    }
    let [first, second, of_stranger] = &ears;
    let joined = joined(first, second, of_stranger);
    assert!(joined.is_empty(), "both services were told {joined:#?}");
}

/// The measure of the test above finds a pseudonym where there is one.
#[tokio::test]
async fn one_service_knows_its_resident_again() {
    let site = site();
    let (_, cookie) = site.resident();
    let (_, stranger) = site.resident();
    let mut ears = [Ear::of(SERVICE), Ear::of(SERVICE), Ear::of(SERVICE)];
    for (ear, cookie) in ears.iter_mut().zip([&cookie, &cookie, &stranger]) {
        site.city.clock.advance(1_357_913);
        ear.visit(&site, cookie).await;
    }
    let [first, again, of_stranger] = &ears;
    let of_the_city = shared(first, of_stranger);
    let joined = shared(first, again).difference(&of_the_city).count();
    let subject = 22 - WINDOW + 1;
    assert!(joined >= subject, "only {joined} windows");
}
