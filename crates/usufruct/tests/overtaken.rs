//! A command whose statement was overtaken makes and signs it again, and only then.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::common::{Folder, Server, err, ok, program};

const BLOCK: &str = "name = { en = \"Shoe size\", zh-Hant = \"鞋碼\" }
category = \"pd:Preference\"
sensitivity = \"ordinary\"
source_agency = \"agc_information\"
attributes = [{ en = \"Shoe size\", zh-Hant = \"鞋碼\" }]
forms_allowed = [\"token\"]
correctable = true
";

/// Stands between a command and the console. What it is sent to publish waits until it may go on.
fn hold_back(upstream: String) -> (String, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, arrivals) = channel();
    let (go_on, goings) = channel::<()>();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            let _ = arrived.send(());
            if goings.recv().is_err() {
                return;
            }
            let mut behind = TcpStream::connect(&upstream).unwrap();
            behind.write_all(&request).unwrap();
            let mut answer = Vec::new();
            behind.read_to_end(&mut answer).unwrap();
            stream.write_all(&answer).unwrap();
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    (format!("http://{address}"), arrivals, go_on)
}

/// A whole request, told to end with its answer.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "the command went away");
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        if bytes.len() == end + 4 + length.unwrap_or(0) {
            return [head.as_bytes(), b"\r\nConnection: close", &bytes[end..]].concat();
        }
    }
}

#[test]
fn a_statement_that_was_overtaken_is_made_again() {
    let folder = Folder::new("overtaken");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let (server, url) =
        Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &dir);
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let publish = |name: &str| {
        let file = folder.write(&format!("{name}.toml"), BLOCK);
        let [head, protection] = keys.clone();
        let said =
            ["publish", "block"].map(str::to_owned).into_iter().chain([file, "--key".into(), head, "--key".into(), protection]);
        said.chain(["--data-dir".to_owned(), dir.clone()]).collect::<Vec<_>>()
    };
    let overtaker = publish("overtaker");

    let console = folder.at("pass/console.json");
    let direct = fs::read_to_string(&console).unwrap();
    let (held, arrivals, go_on) = hold_back(url.trim_start_matches("http://").to_owned());
    fs::write(&console, direct.replace(&url, &held)).unwrap();
    let slow = thread::spawn({
        let arguments = publish("overtaken");
        move || program().args(arguments).output().unwrap()
    });
    arrivals.recv().unwrap();
    fs::write(&console, direct).unwrap();
    ok(&overtaker.iter().map(String::as_str).collect::<Vec<_>>());
    go_on.send(()).unwrap();
    // The first try came too late; the second one is another request.
    arrivals.recv_timeout(Duration::from_secs(60)).expect("the command sends its statement again");
    go_on.send(()).unwrap();
    let done = slow.join().unwrap();
    assert!(done.status.success(), "{}", err(&done));

    assert!(server.stop());
}
