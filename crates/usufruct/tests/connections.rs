//! A program that is held up by connections: more of them than files that it may have at first, and heads that never end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::noise::Noise;
use crate::common::{Folder, ok, program};

const PATIENCE: Duration = Duration::from_secs(20);

/// A witness that may have 64 files open until it asks for more.
struct Witness(Child, String);

impl Witness {
    fn start(folder: &Folder) -> Self {
        let log = Noise::new();
        let (dir, logs) = (folder.at("witness"), folder.write("logs.policy", &format!("log {}\n", log.key)));
        ok(&["witness", "init", "--data-dir", &dir, "--name", "witness.example"]);
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -Sn 64; exec \"$@\"", "sh"])
            .arg(program().get_program())
            .args(["witness", "serve", "--data-dir", &dir, "--logs", &logs, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split(" on ").nth(1).and_then(|rest| rest.split(". ").next()).unwrap().to_owned();
        Self(child, address)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.1.parse().unwrap(), PATIENCE).expect("it takes a connection");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn silence_and_heads_without_an_end_keep_nobody_out() {
    let folder = Folder::new("connections");
    let witness = Witness::start(&folder);
    let silent: Vec<TcpStream> = (0..200).map(|_| witness.connect()).collect();
    let mut asks = witness.connect();
    asks.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    asks.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let (start, mut slow) = (Instant::now(), witness.connect());
    slow.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    while start.elapsed() < Duration::from_secs(30) && slow.write_all(b"x").is_ok() {
        thread::sleep(Duration::from_millis(200));
    }
    let seconds = start.elapsed().as_secs();
    assert!((9..20).contains(&seconds), "it was cut off after {seconds} seconds");
    for mut stream in silent {
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "and those who said nothing are gone");
    }
}
