//! What a running server does for the keys in its memory.

mod common;

use std::fs;

use common::{Folder, Server, ok};

#[test]
fn a_server_leaves_no_core_and_says_what_else_could_leak() {
    let folder = Folder::new("memory");
    let dir = folder.at("pass");
    ok(&["init", "--data-dir", &dir, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, _) = Server::start(&serve, &dir);
    let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", server.id())).unwrap();
    let limits = of("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let locked = of("status").lines().find_map(|line| line.strip_prefix("VmLck:").map(str::to_owned)).unwrap();
    let locked: u64 = locked.split_whitespace().next().unwrap().parse().unwrap();
    let said = ok(&["doctor", "--data-dir", &dir]);
    let line = said.lines().find(|line| line.starts_with("memory")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(line.contains("is locked"), locked > 0, "{line}; {locked} kB locked");
    assert!(said.lines().any(|line| line.starts_with("swap")), "{said}");
}
