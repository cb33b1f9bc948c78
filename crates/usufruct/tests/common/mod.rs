//! What the tests of the program share: it is run as people run it.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod backups;
pub mod noise;
pub mod store;

use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// A folder that is gone when the test is over.
pub struct Folder(PathBuf);

/// A server that is stopped when the test is over.
pub struct Server(Child);

impl Folder {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("usufruct-{name}-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of `name` in it, as an argument.
    pub fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.at(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Starts `usufruct` with these arguments and waits until it serves on the data directory.
    pub fn start(arguments: &[&str], data_dir: &str) -> (Self, String) {
        Self::start_as(program().args(arguments), data_dir)
    }

    /// As [`Server::start`], by a command that becomes `usufruct`.
    pub fn start_as(command: &mut Command, data_dir: &str) -> (Self, String) {
        let mut said = tempfile::tempfile().unwrap();
        let child = command.stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
        let mut server = Self(child);
        let console = Path::new(data_dir).join("console.json");
        for _ in 0..600 {
            if let Ok(text) = std::fs::read_to_string(&console) {
                let console: serde_json::Value = serde_json::from_str(&text).unwrap();
                return (server, console["url"].as_str().unwrap().to_owned());
            }
            if server.0.try_wait().unwrap().is_some() {
                let mut why = String::new();
                said.rewind().and_then(|()| said.read_to_string(&mut why)).unwrap();
                panic!("the server ended at once: {why}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not serve");
    }

    /// Starts a witness or a mirror, and answers the address it prints.
    pub fn start_printing(arguments: &[&str]) -> (Self, String) {
        let mut child = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split(" on ").nth(1).and_then(|rest| rest.split(". ").next());
        let address = address.unwrap_or_else(|| panic!("it printed {line:?}")).to_owned();
        (Self(child), format!("http://{address}"))
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// How it ended, once it does.
    pub fn ended(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// Whether it ended by itself within so much time, and not as one that was asked to.
    pub fn gives_up_within(&mut self, limit: Duration) -> bool {
        let step = Duration::from_millis(50);
        for _ in 0..limit.as_millis() / step.as_millis() {
            if let Some(status) = self.0.try_wait().unwrap() {
                return !status.success();
            }
            thread::sleep(step);
        }
        false
    }

    /// Stops it as an operator would, and says whether it ended well.
    pub fn stop(mut self) -> bool {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        self.0.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usufruct"));
    // Where the tests put their folders is not where a city would.
    command.env("RUST_LOG", "warn").env("USUFRUCT_ANY_DISK", "1").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Runs the program, which must end well, and answers what it printed.
pub fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
    out(&output)
}

/// Runs the program, which must end with `code`, and answers what it printed on both streams.
pub fn fails(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let text = out(&output) + &err(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The folder of the demo city.
pub fn city(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/taipei-like").join(path).display().to_string()
}
