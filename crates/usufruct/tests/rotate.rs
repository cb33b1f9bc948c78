//! A root, the key of a resident and the key of a mandate are replaced by command, whether a server runs or not.

use std::net::TcpListener;

use crate::common::{Folder, Server, fails, ok};
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

#[test]
fn the_key_of_a_mandate_is_replaced_with_and_without_a_server_and_certified_for_everybody() {
    let folder = Folder::new("rotate-mandate");
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "5", "--data-dir", &dir, "--load-only"]);
    let rotate = || {
        let said = ok(&["rotate", "mandate", "mdt_library-card", "--data-dir", &dir]);
        assert!(said.contains("sealed again") && !said.contains("under no key"), "{said}");
        said.split("certificate ").nth(1).and_then(|rest| rest.trim().strip_suffix('.')).unwrap().to_owned()
    };
    let verified = |id: &str| {
        let said = ok(&["verify", "certificate", id, "--log", &dir]);
        assert!(said.contains("1 destroyed") && said.contains("goes on under another key"), "{said}");
        said.lines().find(|line| line.contains(" published ")).unwrap().to_owned()
    };
    let first = verified(&rotate());
    assert!(fails(&["rotate", "mandate", "mdt_itinerary-card", "--data-dir", &dir], 1).contains("no key"), "it is over");
    assert!(fails(&["rotate", "mandate", "mdt_nowhere", "--data-dir", &dir], 1).contains("mandate"));
    let listen = format!("127.0.0.1:{}", free_ports());
    let (server, _) = Server::start(&["demo", "--data-dir", &dir, "--listen", &listen], &dir);
    let second = rotate();
    assert!(server.stop());
    ok(&["doctor", "--data-dir", &dir]);
    assert_ne!(verified(&second), first, "each has a key of its own");
}

/// The first of four ports in a row that are free now.
fn free_ports() -> u16 {
    let is_free = |first: &u16| (*first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (24_000..60_000).step_by(17).map(|first| first + (std::process::id() % 4_000) as u16).find(is_free).unwrap()
}
