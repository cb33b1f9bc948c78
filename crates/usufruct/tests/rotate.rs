//! A root and the key of a resident are replaced by command, whether a server runs or not.

mod common;

use common::{Folder, Server, fails, ok};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::keyrings;

#[test]
fn a_root_and_a_key_are_replaced_with_and_without_a_server() {
    let folder = Folder::new("rotate");
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "3", "--data-dir", &dir, "--load-only"]);
    let store = || Db::open(&format!("sqlite:{}", folder.at("demo/usufruct.db")), &Options::default()).unwrap();
    let resident: u64 = {
        let sql = "-- resident_any\nSELECT resident FROM residents WHERE state = 'active' ORDER BY resident LIMIT 1";
        store().read(|conn| conn.query(sql, &[])).unwrap()[0].integer(0).unwrap().cast_unsigned()
    };
    let keyring = || store().read(|conn| keyrings::candidates(conn, resident)).unwrap();
    let number = resident.to_string();
    let rotate = || {
        assert!(ok(&["rotate", "root", "--data-dir", &dir]).contains("new root"));
        let before = keyring();
        assert!(ok(&["rotate", "resident", &number, "--data-dir", &dir]).contains("new key"));
        let after = keyring();
        assert!(before.len() == 1 && after.len() == 1 && before != after, "her keyring is sealed anew");
        ok(&["doctor", "--data-dir", &dir]);
    };
    rotate();
    assert!(fails(&["rotate", "resident", "4503599627370495", "--data-dir", &dir], 1).contains("resident"));
    let (server, _) =
        Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &dir);
    rotate();
    assert!(server.stop());
}
