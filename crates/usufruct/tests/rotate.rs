//! A root and the key of a resident are replaced by command, whether a server runs or not.

mod common;

use common::{Folder, Server, fails, ok};
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::keyrings;

#[test]
fn a_root_and_a_key_are_replaced_with_and_without_a_server() {
    let folder = Folder::new("rotate");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], operator.as_slice()].concat());
    let slip = ok(&["enrol", &folder.write("person.toml", "[blocks]\n"), "--data-dir", &dir]);
    let number = slip.split("file number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().to_owned();
    let resident: u64 = number.parse().unwrap();
    let store = || Db::open(&format!("sqlite:{}", folder.at("pass/usufruct.db")), &Options::default()).unwrap();
    let keyring = || store().read(|conn| keyrings::candidates(conn, resident)).unwrap();
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
