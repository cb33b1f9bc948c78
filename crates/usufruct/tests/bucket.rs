//! A city whose log lies in a bucket, run as people run it, against a server of the S3 protocol (moto). How the bucket
//! itself behaves is tested beside `src/bucket.rs`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{Folder, city, err, out, program};

/// A process that is ended with the value.
struct Running(Child);

impl Running {
    /// Serves a pass, and answers its address.
    fn serve(dir: &str) -> (Self, String) {
        let arguments = ["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
        let mut server = Self(keyed(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..600 {
            if let Ok(text) = fs::read_to_string(Path::new(dir).join("console.json")) {
                let console: serde_json::Value = serde_json::from_str(&text).unwrap();
                return (server, console["url"].as_str().unwrap().to_owned());
            }
            assert!(server.0.try_wait().unwrap().is_none(), "the server ended at once");
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not serve");
    }

    /// Ends it as an operator would.
    fn stop(mut self) {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(self.0.wait().unwrap().success(), "an orderly end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with the bucket `city`, and its address; `None` when none is installed.
fn moto() -> Option<(Running, u16)> {
    let named = std::env::var_os("USUFRUCT_MOTO").map(PathBuf::from);
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.local/moto/bin/moto_server"));
    if named.is_none() && !own.exists() {
        eprintln!("skipped: {} is not there. `script/test rust` installs it.", own.display());
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(named.unwrap_or(own));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Running(command.spawn().unwrap());
    for _ in 0..300 {
        if ask(port, "PUT", "/city").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Some((server, port));
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the server did not come up on port {port}");
}

fn ask(port: u16, method: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let credential = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {credential}\r\nContent-Length: 0\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// The program with keys of its own, so that none of the machine's are used.
fn keyed(arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(arguments).env_remove("AWS_SESSION_TOKEN").env_remove("AWS_ENDPOINT_URL").env_remove("AWS_REGION");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

/// Runs the program, which must end with `code`, and answers what it printed on both streams.
fn ends(arguments: &[&str], code: i32) -> String {
    let output = keyed(arguments).output().unwrap();
    let text = out(&output) + &err(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(!text.contains(SECRET), "{arguments:?} prints a key");
    text
}

fn init(dir: &str, port: u16, code: i32) -> String {
    let endpoint = format!("http://127.0.0.1:{port}");
    let bucket = ["--bucket", "s3://city/pass", "--bucket-endpoint", &endpoint, "--bucket-region", "us-east-1"];
    let names = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ends(&[&["init", "--data-dir", dir, "--origin", "pass.example.org/log"], &names[..], &bucket].concat(), code)
}

/// Publishes a body of the example city with a key made for it.
fn publish(folder: &Folder, dir: &str, name: &str, code: i32) -> String {
    let text = fs::read_to_string(city(&format!("agencies/{name}.toml"))).unwrap();
    let text: String = text.lines().filter(|line| !line.starts_with("roles")).map(|line| format!("{line}\n")).collect();
    let key = folder.at(&format!("{name}-{}.json", Path::new(dir).file_name().unwrap().display()));
    if !Path::new(&key).exists() {
        ends(&["key", "new", "--agency", &format!("agc_{name}"), "--key", "head", "--out", &key], 0);
    }
    let file = folder.write(&format!("{name}.toml"), &(text + &ends(&["key", "public", &key], 0)));
    let official = |role: &str| format!("{dir}/officials/agc_information.{role}.json");
    let (head, protection) = (official("head"), official("data-protection"));
    ends(&["publish", "agency", &file, "--key", &head, "--key", &protection, "--data-dir", dir], code)
}

/// How many leaves `verify` finds.
fn leaves(url: &str, seen: &str) -> u64 {
    let text = ends(&["verify", url, "--state", seen], 0);
    let line = text.lines().find(|line| line.starts_with("checkpoint")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_city_lives_in_a_bucket() {
    let Some((moto, port)) = moto() else { return };
    let folder = Folder::new("bucket");
    let (dir, seen) = (folder.at("pass"), folder.at("seen.json"));
    init(&dir, port, 0);
    let setup = fs::read_to_string(folder.at("pass/usufruct.toml")).unwrap();
    assert!(setup.contains("bucket = \"s3://city/pass\"") && !setup.contains(SECRET), "{setup}");

    let (server, url) = Running::serve(&dir);
    let before = leaves(&url, &seen);
    publish(&folder, &dir, "oversight", 0);
    publish(&folder, &dir, "library", 0);
    assert!(leaves(&url, &seen) >= before + 2);
    server.stop();

    // After a restart the checkpoint is written over the one that lies in the bucket.
    let (server, url) = Running::serve(&dir);
    let before = leaves(&url, &seen);
    publish(&folder, &dir, "civil-affairs", 0);
    assert!(leaves(&url, &seen) > before);
    server.stop();
    ends(&["doctor", "--data-dir", &dir], 0);

    let local = Path::new(&dir).join("log");
    assert!(fs::read_dir(local).is_ok_and(|mut files| files.next().is_none()), "files of the log lie in the data directory");
    assert!(text_of(port, "checkpoint").starts_with("pass.example.org/log\n"));
    assert!(leaves(&dir, &seen) > before, "the data directory leads to the bucket");

    // While the bucket cannot be reached, whoever asks for the log is told to come again.
    let (_server, url) = Running::serve(&dir);
    let own: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    assert!(ask(own, "GET", "/log/checkpoint").unwrap().starts_with("HTTP/1.1 200"));
    drop(moto);
    let answer = ask(own, "GET", "/log/checkpoint").unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Try again"), "{answer}");
}

/// Leaves that came after the backup lie in the bucket, and come back from there.
#[test]
fn a_database_and_the_files_of_the_log_come_back() {
    let Some((moto, port)) = moto() else { return };
    let folder = Folder::new("bucket-restore");
    let (dir, backups, seen) = (folder.at("pass"), folder.at("backups"), folder.at("seen.json"));
    init(&dir, port, 0);
    let (server, _) = Running::serve(&dir);
    publish(&folder, &dir, "oversight", 0);
    ends(&["backup", "--data-dir", &dir, "--to", &backups], 0);
    let set = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path().display().to_string();
    publish(&folder, &dir, "library", 0);
    server.stop();
    let size = leaves(&dir, &seen);

    let said = ends(&["restore", "--data-dir", &dir, "--from", &set], 0);
    assert!(said.contains("is whole again"), "{said}");
    assert!(leaves(&dir, &seen) >= size, "the log is as long as it was");
    ends(&["doctor", "--data-dir", &dir], 0);
    let local = Path::new(&dir).join("log");
    assert!(fs::read_dir(local).is_ok_and(|mut files| files.next().is_none()), "files of the log lie in the data directory");

    // Files are lost in the bucket; the leaves are in the database.
    let now = leaves(&dir, &seen);
    for file in [format!("tile/0/000.p/{now}"), format!("tile/entries/000.p/{now}")] {
        assert!(!text_of(port, &file).contains("NoSuchKey"), "{file}");
        ask(port, "DELETE", &format!("/city/pass/{file}")).unwrap();
    }
    assert!(ends(&["restore-log", "--data-dir", &dir], 0).contains("2 files were missing"));
    assert!(leaves(&dir, &seen) >= now);
    ends(&["doctor", "--data-dir", &dir], 0);
    // While the bucket cannot be reached nothing is touched, for what is here may be shorter than what is public.
    drop(moto);
    let database = fs::read(Path::new(&dir).join("usufruct.db")).unwrap();
    ends(&["restore", "--data-dir", &dir, "--from", &set], 2);
    assert!(fs::read(Path::new(&dir).join("usufruct.db")).unwrap() == database);
}

#[test]
fn what_belongs_to_another_pass_is_not_written_over() {
    let Some((_moto, port)) = moto() else { return };
    let folder = Folder::new("bucket-twice");
    let (dir, copy, seen) = (folder.at("pass"), folder.at("copy"), folder.at("seen.json"));
    init(&dir, port, 0);
    let refused = init(&folder.at("other"), port, 1);
    assert!(refused.contains("where no other log is"), "{refused}");
    assert!(!Path::new(&folder.at("other/usufruct.toml")).exists(), "a refused pass is no pass");

    // The first start states the verifier; after it, a start changes nothing.
    Running::serve(&dir).0.stop();
    // The data directory is copied to a second machine. Both are open before either publishes, so only the bucket can
    // tell them apart.
    assert!(Command::new("cp").args(["-r", &dir, &copy]).status().unwrap().success());
    let (first, url) = Running::serve(&dir);
    let (second, _) = Running::serve(&copy);
    publish(&folder, &dir, "oversight", 0);
    let size = leaves(&url, &seen);
    let public = text_of(port, "checkpoint");
    publish(&folder, &copy, "library", 1);
    assert_eq!(public, text_of(port, "checkpoint"), "the copy moved the checkpoint");
    publish(&folder, &dir, "library", 0);
    assert!(leaves(&url, &seen) > size, "the pass that was there first goes on");
    drop(second);
    first.stop();
    // Now the copy is behind, and does not even open.
    let refused = ends(&["serve", "--data-dir", &copy, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], 1);
    assert!(refused.contains("older than the log") || refused.contains("contradict"), "{refused}");
}

/// A file of the log as the bucket has it.
fn text_of(port: u16, path: &str) -> String {
    let answer = ask(port, "GET", &format!("/city/pass/{path}")).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

const SECRET: &str = "a-word-that-nobody-prints";
