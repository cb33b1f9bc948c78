//! A town whose library has two vendors. Both work under the same mandates, each with a service in a sector of its own, and the pass speaks to them over
//! real connections.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usufruct_app::store::db::Connection;
use usufruct_app::{FOOTPRINT, SPREAD};
use usufruct_core::Time;
use usufruct_core::statement::StatementKind;
use usufruct_web::Outbound;

use crate::common::{CARD, City, LIBRARY, OPERATOR, library_card, text};
use crate::service::{Channel, Ear, Service};
use crate::site::{ISSUER, TestSite};
use crate::vendors::{bind, law};

/// Lets a service read the footprints of those who agree.
pub const READS: &str = "mdt_portal";
/// Ends while somebody looks, and asks for a sign-in of the last minutes.
pub const SUMMER: &str = "mdt_summer-reading";
const SUMMER_ENDS: &str = "2026-03-01T00:00:00Z";
/// Word waits this many times longer than it does, so that two times that are drawn anew are not the same second by accident.
const WIDER: i64 = 240;

/// A message that came to a service, and whose path says to which.
struct Got {
    path: String,
    headers: HeaderMap,
    body: String,
}

type Kept = Arc<Mutex<Vec<Got>>>;

pub struct Town {
    pub site: TestSite,
    /// One is pushed what happens, the other asks.
    pub services: [Service; 2],
    outbound: Outbound,
    kept: Kept,
}

impl Town {
    /// Founds the town in `dir`, on the database `url` or the embedded one.
    pub async fn open(dir: &Path, url: Option<&str>) -> Self {
        let (base, kept) = receiver().await;
        let services = [
            Service::new("agc_print", "ctr_print", "svc_cards", "printing", 8_081, &base),
            Service::new("agc_post", "ctr_post", "svc_parcels", "delivery", 8_082, &base),
        ];
        let mut city = City::found(dir, url);
        register(&mut city, &services);
        city.app.spread_word(SPREAD * WIDER);
        let site = TestSite::listening(city).await;
        Self { site, services, outbound: Outbound::new(ISSUER).unwrap(), kept }
    }

    /// A new resident with a name of her own.
    pub fn resident(&self, name: &str) -> u64 {
        let blocks = vec![(crate::common::block("name"), name.to_owned()), (crate::common::block("district"), "Harbour".into())];
        let enrolled = self.site.city.app.enrol(&[usufruct_app::NewResident { blocks }]).unwrap();
        enrolled[0].resident
    }

    /// Time passes, so that nothing happens at one service in the second in which something happens at another.
    pub fn wait(&self) {
        self.site.city.clock.advance(1_357_913);
    }

    /// Brings both everything that waits for them, each at its time: one is called, the other asks.
    pub async fn tell(&self, ears: &mut [Ear<'_>; 2]) {
        loop {
            while usufruct_web::deliver(&self.site.site, &self.outbound).await.unwrap() > 0 {}
            for got in std::mem::take(&mut *self.kept.lock().unwrap()) {
                let ear = ears.iter_mut().find(|ear| got.path.contains(ear.service.sector)).unwrap();
                let channel = if got.path.ends_with("/logout") { Channel::LogoutToken } else { Channel::Push };
                ear.hear(channel, &got.headers, &got.body);
            }
            ears[1].polls(self).await;
            let now = self.site.city.app.now();
            let Some(next) = self.next_word() else { break };
            self.site.city.clock.advance(next.micros() - now.micros() + 1);
        }
    }

    /// When the next message that is not ready will be.
    fn next_word(&self) -> Option<Time> {
        let now = self.site.city.app.now();
        let sql = "-- next_word\nSELECT MIN(ready_at) FROM outbox WHERE ready_at > $1";
        let app = &self.site.city.app;
        let row = app.db().read(|conn: &mut dyn Connection| conn.query_one(sql, &[now.micros().into()])).unwrap();
        row.and_then(|row| row.optional_integer(0).unwrap()).map(Time::from_micros)
    }
}

/// The law, the mandates, the vendors and their services.
fn register(city: &mut City, services: &[Service; 2]) {
    city.publish(StatementKind::Lawpack, "law_vendors", OPERATOR, law());
    let footprint = json!({
        "name": text("Footprint"), "category": "pd:Name", "sensitivity": "sensitive", "source_agency": OPERATOR,
        "attributes": [text("Lines")], "forms_allowed": ["value"], "correctable": false,
    });
    city.publish(StatementKind::DataBlock, FOOTPRINT, OPERATOR, footprint);
    let mandates = [(CARD, card()), (READS, reads()), (SUMMER, summer())];
    for (id, body) in &mandates {
        city.publish_mandate(id, body.clone());
    }
    for service in services {
        city.staff(service.agency);
        bind(city, service.agency, service.contract, &[CARD, READS, SUMMER], &["blk_name", FOOTPRINT]);
    }
    let vendors =
        services.iter().map(|service| json!({"agency": service.agency, "contract": service.contract, "why": text("It helps.")}));
    let recipients: Vec<Value> = vendors.chain([json!({"agency": LIBRARY, "why": text("It lends the books.")})]).collect();
    for (id, mut body) in mandates {
        body["recipients"] = json!(recipients);
        city.publish_mandate(id, body);
    }
    for service in services {
        city.open_service_with(service.id, service.agency, service.sector, |body| service.register(body, &[CARD, READS, SUMMER]));
    }
}

fn card() -> Value {
    let mut body = library_card();
    body["operations"] = json!(["disclose", "store", "deposit", "match"]);
    body
}

fn reads() -> Value {
    let mut body = library_card();
    body["blocks"] = json!([{"block": FOOTPRINT, "necessity": "required", "form": "value", "reason": text("To show it.")}]);
    body
}

fn summer() -> Value {
    let mut body = library_card();
    body["sunset_at"] = json!(SUMMER_ENDS);
    body["sign_in_within"] = json!("PT5M");
    body
}

/// A place where both services are told, each at a path that begins with its sector.
async fn receiver() -> (String, Kept) {
    let kept = Kept::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let router = Router::new().fallback(receive).with_state(Arc::clone(&kept));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, kept)
}

async fn receive(State(kept): State<Kept>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let is_signal = uri.path().ends_with("/signals");
    let body = String::from_utf8(body.to_vec()).unwrap();
    kept.lock().unwrap().push(Got { path: uri.path().to_owned(), headers, body });
    if is_signal { StatusCode::ACCEPTED } else { StatusCode::OK }
}
