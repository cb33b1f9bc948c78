//! A city whose root is with three keepers, each a program of its own.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use usufruct_core::statement::{Statement, StatementKind};

use crate::common::store::Store;
use crate::common::{self, Folder, Server, fails, ok};
use crate::insider::{Insider, OPERATOR};

pub const ORIGIN: &str = "pass.example.org/log";
pub const NAMES: [&str; 3] = ["office", "court", "archive"];

/// A city with three keepers on this machine.
pub struct Town<'a> {
    pub folder: Folder,
    pub store: &'a Store,
    /// Running keepers by name.
    pub keepers: Vec<(String, Server)>,
}

impl<'a> Town<'a> {
    /// The ceremony, up to the keepers that serve.
    pub fn new(name: &str, store: &'a Store) -> Self {
        let town = Self { folder: Folder::new(name), store, keepers: Vec::new() };
        let city = ok(&["keeper", "city", "--data-dir", &town.at("pass"), "--origin", ORIGIN]);
        town.folder.write("city.toml", &city);
        NAMES.iter().for_each(|name| town.enter(name));
        let entries = NAMES.map(|name| town.at(&format!("{name}.toml")));
        let [office, court, archive] = &entries;
        let mut roster = vec!["keeper", "roster", "--vault", ORIGIN, "--threshold", "2"];
        let city = town.at("city.toml");
        roster.extend(["--city", &city, "--entry", office, "--entry", court, "--entry", archive]);
        town.folder.write("keepers.toml", &ok(&roster));
        let mut town = town;
        NAMES.iter().for_each(|name| town.start(name));
        town
    }

    pub fn founded(name: &str, store: &'a Store) -> Self {
        let town = Self::new(name, store);
        let said = town.init(&["--keepers", &town.at("keepers.toml")]);
        assert!(said.contains("is ready"), "{said}");
        town
    }

    pub fn init(&self, more: &[&str]) -> String {
        let dir = self.at("pass");
        let operator = ["--operator", OPERATOR, "--operator-name", "City", "--operator-name-zh", "市"];
        ok(&[&["init", "--data-dir", &dir, "--origin", ORIGIN], &operator[..], &self.store.arguments(), more].concat())
    }

    pub fn at(&self, name: &str) -> String {
        self.folder.at(name)
    }

    /// A new keeper's keys, and its entry with a port that is free.
    pub fn enter(&self, name: &str) {
        let port = free_port();
        let (dir, url) = (self.at(name), format!("https://127.0.0.1:{port}"));
        let entry = ok(&["keeper", "init", "--data-dir", &dir, "--name", name, "--vault", ORIGIN, "--url", &url]);
        self.folder.write(&format!("{name}.toml"), &entry);
    }

    pub fn port(&self, name: &str) -> u16 {
        let entry: toml::Table = fs::read_to_string(self.at(&format!("{name}.toml"))).unwrap().parse().unwrap();
        entry["keeper"][0]["url"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn start(&mut self, name: &str) {
        self.start_with(name, "keepers.toml");
    }

    pub fn start_with(&mut self, name: &str, roster: &str) {
        let (dir, roster, listen) = (self.at(name), self.at(roster), format!("127.0.0.1:{}", self.port(name)));
        let serve = ["keeper", "serve", "--data-dir", &dir, "--roster", &roster, "--listen", &listen];
        let (server, _) = Server::start_printing(&serve);
        self.keepers.push((name.to_owned(), server));
    }

    pub fn take(&mut self, name: &str) -> Server {
        let place = self.keepers.iter().position(|(running, _)| running == name).unwrap();
        self.keepers.remove(place).1
    }

    pub fn stop(&mut self, name: &str) {
        assert!(self.take(name).stop(), "an orderly end");
    }

    /// Serves the pass.
    pub fn serve(&self) -> (Server, String) {
        let dir = self.at("pass");
        Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &dir)
    }

    pub fn enrol(&self) {
        let person = self.folder.write("person.toml", "[blocks]\n");
        assert!(ok(&["enrol", &person, "--data-dir", &self.at("pass")]).contains("file number"));
    }

    /// Enrols a synthetic resident and erases her, which publishes a certificate.
    pub fn scan(&self) -> [String; 6] {
        ["audit", "canary-scan", "--data-dir", &self.at("pass"), "--residents", "1"].map(str::to_owned)
    }

    pub fn erase(&self) {
        let scan = self.scan();
        let said = ok(&scan.each_ref().map(String::as_str));
        assert!(said.contains("0 wrong"), "{said}");
    }

    pub fn cannot_erase(&self) -> String {
        let scan = self.scan();
        fails(&scan.each_ref().map(String::as_str), 1)
    }

    pub fn status(&self) -> String {
        ok(&["keeper", "status", "--data-dir", &self.at("pass")])
    }

    /// The line of the status about one keeper.
    pub fn row(&self, name: &str) -> Vec<String> {
        let output = common::run(&["keeper", "status", "--data-dir", &self.at("pass")]);
        let said = common::out(&output);
        let line = said.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{said}")).to_owned();
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Waits until the line about a keeper is as it should be.
    pub fn wait(&self, name: &str, is_so: impl Fn(&[String]) -> bool) {
        for _ in 0..120 {
            if is_so(&self.row(name)) {
                return;
            }
            thread::sleep(Duration::from_millis(250));
        }
        panic!("{:?} {}", self.row(name), self.status());
    }

    /// Waits until so many certificates stand in the log that is published.
    pub fn certified(&self, count: usize) {
        for _ in 0..120 {
            if self.certificates().len() == count {
                return;
            }
            thread::sleep(Duration::from_millis(250));
        }
        panic!("{:#?} instead of {count} certificates", self.certificates());
    }

    /// The certificates as they stand now, in the order in which they came.
    pub fn certificates(&self) -> Vec<Statement> {
        let city = Insider::of(&self.at("pass"));
        let statements = city.leaves.iter().filter_map(|leaf| Statement::from_leaf(leaf).ok());
        let mut newest: Vec<Statement> = Vec::new();
        for statement in statements.filter(|statement| statement.kind == StatementKind::Certificate) {
            match newest.iter_mut().find(|known| known.id == statement.id) {
                Some(known) => *known = statement,
                None => newest.push(statement),
            }
        }
        newest
    }

    /// Who has signed the newest certificate, and what the command says about it.
    pub fn newest_certificate(&self) -> (Vec<String>, String) {
        let newest = self.certificates().pop().unwrap();
        let signed = newest.body["keepers"].as_array().unwrap().iter();
        let names = signed.map(|one| one["keeper"].as_str().unwrap().to_owned()).collect();
        (names, ok(&["verify", "certificate", &newest.id, "--log", &self.at("pass")]))
    }

    pub fn officials(&self) -> [String; 4] {
        let key = |office: &str| self.at(&format!("pass/officials/{OPERATOR}.{office}.json"));
        ["--key".to_owned(), key("head"), "--key".to_owned(), key("data-protection")]
    }
}

/// A port that stays free until it is used: the system gives those from 32,768 on to whoever asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        10_000 + (number % 20_000) as u16
    });
    ports.find(is_free).unwrap()
}
