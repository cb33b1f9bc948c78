//! Two servers over one PostgreSQL: the later one writes, and the earlier one ends by itself before it can show for long what no longer holds.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::common::store::Store;
use crate::common::{Folder, Server, ok};

const ORIGIN: &str = "pass.example.org/log";
/// Within which a cluster has to follow what one of its nodes took back.
const BITES: Duration = Duration::from_secs(5);

fn serve(dir: &str) -> (Server, String) {
    Server::start(&["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], dir)
}

#[test]
fn a_server_ends_when_another_one_takes_over() {
    Store::on_postgres("database", |store| {
        let folder = Folder::new("nodes");
        let (dir, copy) = (folder.at("pass"), folder.at("beside"));
        let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
        ok(&[&["init", "--data-dir", &dir, "--origin", ORIGIN], &operator[..], &store.arguments()].concat());
        let (mut first, _) = serve(&dir);
        // It states at its start which verifier it serves, and writes nothing after that: a copy from before would be older than the head.
        let size = || fs::read_to_string(folder.path().join("pass/log/checkpoint")).unwrap().lines().nth(1).map(str::to_owned);
        let is_whole = (0..1_200).any(|_| {
            sleep(Duration::from_millis(50));
            size().as_deref() == Some("2")
        });
        assert!(is_whole, "after a minute the log has {:?} leaves", size());
        assert!(Command::new("cp").args(["-a", &dir, &copy]).status().unwrap().success());
        fs::remove_file(folder.path().join("beside/console.json")).unwrap();
        let (mut second, _) = serve(&copy);
        assert!(first.gives_up_within(BITES), "the earlier one goes on");
        assert!(!second.gives_up_within(BITES), "the later one goes on");
        assert!(second.stop());
    });
}
