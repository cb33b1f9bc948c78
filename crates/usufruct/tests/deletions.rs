//! Answers that did not come in time are listed, whether a server runs or not, and noted by the server's clock.

use std::time::Duration;

use crate::common::{Folder, Server, fails, ok};
use serde_json::json;
use usufruct_app::store::db::{Db, Options};
use usufruct_app::store::deletions::{self, Counts, Deletion};
use usufruct_core::Time;
use usufruct_core::time::DAY;

fn notice(id: &str, due_at: Time) -> Deletion {
    Deletion {
        id: id.parse().unwrap(),
        certificate: "crt_0123456789abcdefghij".parse().unwrap(),
        service: "svc_library".parse().unwrap(),
        mandate: None,
        sealed: None,
        noted_at: due_at.plus(-30 * DAY),
        ready_at: None,
        due_at,
        told_at: None,
        answer: None,
        ground: None,
        missed_at: None,
        altered_at: None,
        mark: None,
    }
}

#[test]
fn what_is_late_is_listed_and_noted() {
    let folder = Folder::new("deletions");
    let dir = folder.at("pass");
    let operator = [
        "--origin",
        "pass.example.org/log",
        "--operator",
        "agc_information",
        "--operator-name",
        "City",
        "--operator-name-zh",
        "市",
    ];
    ok(&[&["init", "--data-dir", &dir], operator.as_slice()].concat());
    assert!(ok(&["deletions", "--data-dir", &dir]).contains("Every answer that is due has come."));
    let store = Db::open(&format!("sqlite:{}", folder.at("pass/usufruct.db")), &Options::default()).unwrap();
    let (past, future): (Time, Time) = ("2026-01-31T00:00:00Z".parse().unwrap(), "2100-01-31T00:00:00Z".parse().unwrap());
    let notices = vec![notice("del_0123456789abcdefghij", past), notice("del_1123456789abcdefghij", future)];
    store.transaction("tell", move |tx| deletions::insert(tx, &notices)).unwrap();
    drop(store);
    // As if they were from before rows had marks.
    std::fs::remove_file(folder.at("pass/keys/deletions.marked")).unwrap();
    let listed = fails(&["deletions", "--data-dir", &dir], 1);
    let is_listed = |text: &str| text.contains("del_0123456789abcdefghij") && !text.contains("del_1123456789abcdefghij");
    assert!(is_listed(&listed) && listed.contains("due 2026-01-31") && listed.contains("never read"), "{listed}");

    let (server, url) =
        Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &dir);
    let listed = fails(&["deletions", "--data-dir", &dir, "--json"], 1);
    assert!(is_listed(&listed), "{listed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counts = || -> serde_json::Value {
        let text = runtime.block_on(async { reqwest::get(format!("{url}/register/vault.json")).await.unwrap().text().await });
        serde_json::from_str::<serde_json::Value>(&text.unwrap()).unwrap()["deletions"].clone()
    };
    assert_eq!((&counts()["overdue"], &counts()["missed"]), (&json!(1), &json!(1)));
    // By the server's clock, without anybody asking.
    let is_noted = || fails(&["deletions", "--data-dir", &dir, "--json"], 1).contains("\"missed_at\": \"2");
    assert!((0..100).any(|_| is_noted() || pause()), "the clock does not come by");
    assert!(server.stop());
    let store = Db::open(&format!("sqlite:{}", folder.at("pass/usufruct.db")), &Options::default()).unwrap();
    let Counts { noted, missed, .. } = store.read(|conn| deletions::counts(conn, past)).unwrap();
    assert_eq!((noted, missed), (2, 1), "what was noted stays, whatever the clock says later");
    drop(store);
    assert!(ok(&["doctor", "--data-dir", &dir]).contains("1 answers of services are late."));
}

fn pause() -> bool {
    std::thread::sleep(Duration::from_millis(100));
    false
}

/// A server that answers can also be reached by commands.
#[test]
fn the_console_is_there_before_anything_answers() {
    let folder = Folder::new("console");
    let dir = folder.at("pass");
    let operator = [
        "--origin",
        "pass.example.org/log",
        "--operator",
        "agc_information",
        "--operator-name",
        "City",
        "--operator-name-zh",
        "市",
    ];
    ok(&[&["init", "--data-dir", &dir], operator.as_slice()].concat());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..3 {
        let listen = format!("127.0.0.1:{port}");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_usufruct"))
            .args(["serve", "--data-dir", &dir, "--listen", &listen, "--issuer", "http://localhost:8080"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .env("USUFRUCT_ANY_DISK", "1")
            .spawn()
            .unwrap();
        let url = format!("http://{listen}/log/vkey");
        let is_up = || runtime.block_on(async { reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200) });
        assert!((0..3_000).any(|_| is_up() || short()), "the server does not serve");
        let is_there = folder.path().join("pass/console.json").exists();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_there, "a command that comes now would not find the server");
    }
}

fn short() -> bool {
    std::thread::sleep(Duration::from_millis(5));
    false
}
