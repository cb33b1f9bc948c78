//! What a running server does for the keys in its memory.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::common::{Folder, Server, fails, ok};

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
    // It is about the server and not about the process that looks: what that could do for itself does not matter.
    let note = format!("{dir}/memory.json");
    let noted = fs::read_to_string(&note).unwrap();
    let line = |said: String| said.lines().find(|line| line.starts_with("memory")).unwrap().to_owned();
    for (is_locked, words) in [(true, "is locked there"), (false, "may not lock")] {
        let other = noted.replace("\"is_locked\": true", &format!("\"is_locked\": {is_locked}"));
        let other = other.replace("\"is_locked\": false", &format!("\"is_locked\": {is_locked}"));
        fs::write(&note, other).unwrap();
        let said = line(ok(&["doctor", "--data-dir", &dir]));
        assert!(said.contains(words), "{said}");
    }
    fs::write(&note, noted.replace("\"is_undumpable\": true", "\"is_undumpable\": false")).unwrap();
    assert!(line(fails(&["doctor", "--data-dir", &dir], 1)).contains("core dumps"));
    assert!(server.stop());
    let said = line(ok(&["doctor", "--data-dir", &dir]));
    assert!(said.contains("No server runs here"), "{said}");
}

/// The shell allows cores of any size; the server takes that back for itself.
#[test]
fn a_server_that_is_aborted_leaves_no_core_file() {
    let folder = Folder::new("abort");
    let (dir, cores) = (folder.at("pass"), folder.at("cores"));
    fs::create_dir(&cores).unwrap();
    let unlimited = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c unlimited; cd \"$0\" && exec \"$@\"", &cores, program]).args(arguments);
        command.env("RUST_LOG", "warn").env("USUFRUCT_ANY_DISK", "1").stdin(Stdio::null());
        command
    };
    ok(&["init", "--data-dir", &dir, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, _) = Server::start_as(&mut unlimited(env!("CARGO_BIN_EXE_usufruct"), &serve), &dir);
    server.signal("ABRT");
    let status = server.ended();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
    assert_eq!(fs::read_dir(&cores).unwrap().count(), 0, "no core where it stood");

    // Another program that is aborted in the same way does leave one, where the system writes any.
    let other = unlimited("sh", &["-c", "kill -ABRT $$"]).status().unwrap();
    assert!(other.signal().is_some());
    if !other.core_dumped() {
        eprintln!("this system writes no core files at all, so there was nothing to prevent");
    }
}
