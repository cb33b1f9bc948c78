//! Drills as an operator has them done: they hurt nothing, and what one found stays in sight.

mod common;

use common::{Folder, Server, fails, ok};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::erasures::{self, Erasure};
use usufruct_core::Time;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];

#[test]
fn the_key_of_a_mandate_that_waits_for_its_destruction_is_seen() {
    let folder = Folder::new("drill-waits");
    let dir = folder.at("pass");
    ok(&["init", "--data-dir", &dir, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let (server, _) = Server::start(&[&SERVE[..], &["--data-dir", &dir]].concat(), &dir);
    assert!(server.stop());
    ok(&["doctor", "--data-dir", &dir]);
    let db = Db::open(&format!("sqlite:{dir}/usufruct.db"), &Options { readers: 1, queue: 1 }).unwrap();
    let long_ago: Time = "2026-06-01T00:00:00Z".parse().unwrap();
    let erasure = Erasure {
        certificate: "crt_00000000-0000-7000-8000-000000000000".parse().unwrap(),
        cause: "sunset".to_owned(),
        resident: None,
        mandate: Some(7),
        sector: None,
        months: Vec::new(),
        commitments: Vec::new(),
        evidence: String::new(),
        requested_at: long_ago,
        live_at: None,
        root_at: None,
    };
    db.transaction("ask", move |tx| erasures::insert(tx, &erasure)).unwrap();
    let said = fails(&["doctor", "--data-dir", &dir], 1);
    assert!(said.contains("1 keys wait for their destruction"), "{said}");
}
