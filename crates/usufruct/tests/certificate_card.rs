//! Certificate cards at the program as it is run: a real TLS client, real files, and who is turned away at the door.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::authority::{Authority, Held, LATE, Trust, pem};
use crate::common::{Folder, Server, fails, ok, out, run};
use crate::house::{SeededRng, SetClock, vault_setup};
use crate::insider::now;
use rustls::{ClientConnection, StreamOwned};
use usufruct_app::{App, Config, House, Open};
use usufruct_core::Time;

const ISSUER: &str = "http://localhost:8080";

/// A pass that takes certificate cards, and the cookies of two residents who have just used a passkey.
struct Town {
    folder: Folder,
    trust: Trust,
    cookies: [String; 2],
    /// Port of the listener for cards.
    port: u16,
    url: String,
    server: Option<Server>,
}

/// What was answered: status, headers in lower case, body.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Some(Self { status, headers: headers.collect(), body: body.to_owned() })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A cookie that it sets, as a browser sends it.
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers.iter().filter(|(known, _)| known == "set-cookie").filter_map(|(_, value)| value.split(';').next());
        set.filter(|pair| pair.starts_with(&format!("{name}="))).map(str::to_owned).next()
    }

    /// The path that it leads to at `origin`.
    fn path(&self, origin: &str) -> String {
        let location = self.header("location");
        location.strip_prefix(origin).unwrap_or_else(|| panic!("{} leads to {location:?}: {}", self.status, self.body)).to_owned()
    }
}

impl Town {
    fn new(name: &str) -> Self {
        let (folder, trust) = (Folder::new(name), Trust::default());
        let dir = folder.at("pass");
        let names = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
        ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], names.as_slice()].concat());
        folder.write("server.pem", &pem("CERTIFICATE", &trust.server.certificate));
        folder.write("server.key", &trust.server.key_pem());
        folder.write("issuers.pem", &pem("CERTIFICATE", &trust.state.certificate));
        fs::write(folder.at("state.crl"), trust.state.list(&[])).unwrap();
        fs::set_permissions(folder.at("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let port = free_port();
        let setup = folder.at("pass/usufruct.toml");
        let table = format!(
            "\n[certificate_cards]\nlisten = \"127.0.0.1:{port}\"\norigin = \"https://localhost:{port}\"\ncertificate = \"../server.pem\"\n\
             key = \"../server.key\"\nissuers = \"../issuers.pem\"\nrevoked = [\"../state.crl\"]\nname = {{ en = \"State card\", zh-Hant = \"憑證卡\" }}\n"
        );
        fs::write(&setup, fs::read_to_string(&setup).unwrap() + &table).unwrap();
        let cookies = residents(&dir);
        let mut town = Self { folder, trust, cookies, port, url: String::new(), server: None };
        town.start();
        town
    }

    fn start(&mut self) {
        let dir = self.folder.at("pass");
        let (server, url) = Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", ISSUER], &dir);
        (self.server, self.url) = (Some(server), url);
    }

    fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"))
    }

    fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::read(&text).unwrap_or_else(|| panic!("{text:?}"))
    }

    /// A request over TLS to the listener for cards. `Err` when the house ends the handshake.
    fn show(&self, card: Option<&Held>, path: &str, headers: &str) -> io::Result<Answer> {
        let config = Arc::new(self.trust.servers.client(card));
        let client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", self.port))?;
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut stream = StreamOwned::new(client, tcp);
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Err(error) if bytes.is_empty() => return Err(error),
            _ => {}
        }
        Answer::read(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("no answer"))
    }

    fn cards(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The way to the card, with the cookie of the browser that goes.
    fn leave(&self) -> (String, String) {
        let answer = self.get("/sign-in/certificate/start?next=/me", "");
        (answer.cookie("usufruct-errand").unwrap(), answer.path(&self.cards()))
    }

    /// The whole way; `None` where it ends on the page that says why.
    fn sign_in(&self, card: &Held) -> io::Result<Option<String>> {
        let (errand, path) = self.leave();
        let back = self.show(Some(card), &path, "")?;
        let done = self.get(&back.path(ISSUER), &errand);
        assert_eq!(done.status, 303, "{}", done.body);
        Ok(done.cookie("usufruct"))
    }

    fn register(&self, cookie: &str, card: &Held) {
        let page = self.get("/me/account/devices", cookie).body;
        let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let left = self.post("/me/account/devices/certificate", cookie, &format!("form_token={token}&label=my+card"));
        let back = self.show(Some(card), &left.path(&self.cards()), "").unwrap();
        let done = self.get(&back.path(ISSUER), cookie);
        assert_eq!((done.status, done.header("location")), (303, "/me/account/devices"), "{}", done.body);
    }

    fn is_open(&self, cookie: &str) -> bool {
        self.get("/me", cookie).status == 200
    }

    /// Writes a new list of revoked cards as a job that fetches it would.
    fn revoke(&self, list: &[u8]) {
        fs::write(self.folder.at("state.crl.new"), list).unwrap();
        fs::rename(self.folder.at("state.crl.new"), self.folder.at("state.crl")).unwrap();
    }

    fn doctor(&self) -> String {
        let said = out(&run(&["doctor", "--data-dir", &self.folder.at("pass")]));
        said.lines().find(|line| line.starts_with("cards ")).unwrap_or_default().to_owned()
    }
}

/// Two residents whose sessions were opened by a passkey a moment ago.
fn residents(dir: &str) -> [String; 2] {
    let at = Time::from_micros(i64::try_from(now()).unwrap() * usufruct_core::time::SECOND).to_string();
    let config = Config {
        origin: "pass.example.org/log".into(),
        database: None,
        operator: "agc_information".parse().unwrap(),
        vault: vault_setup(None),
    };
    let open = Open {
        config,
        house: House::open(dir.as_ref()).unwrap(),
        clock: SetClock::new(&at),
        rng: SeededRng::new(417),
        root: None,
        objects: None,
        second_hand: None,
        transport: None,
    };
    let app = App::open(open).unwrap();
    let nobody = || usufruct_app::NewResident { blocks: Vec::new() };
    let enrolled = app.enrol(&[nobody(), nobody()]).unwrap();
    let cookies = enrolled.iter().map(|one| format!("usufruct={}", app.open_session(one.resident, "test").unwrap()));
    cookies.collect::<Vec<_>>().try_into().unwrap()
}

/// A port that stays free until it is used: the system gives those from 32,768 on to whoever asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(41).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        10_000 + (number % 20_000) as u16
    });
    ports.find(is_free).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not happen in a minute");
}

#[test]
fn the_right_card_opens_the_right_pass_until_it_is_revoked() {
    let mut town = Town::new("card");
    assert!(town.doctor().contains(" ok "), "{}", town.doctor());
    let (card, other) = (town.trust.state.card("holder", 7), town.trust.state.card("neighbour", 8));
    assert_eq!(town.sign_in(&card).unwrap(), None, "nobody has registered it");
    let [hers, neighbours] = town.cookies.clone();
    town.register(&hers, &card);
    town.register(&neighbours, &other);
    let (opened, beside) = (town.sign_in(&card).unwrap().unwrap(), town.sign_in(&other).unwrap().unwrap());
    assert!(town.is_open(&opened) && town.is_open(&beside));

    // Her card is lost: the issuer says so, and the next list ends what it opened while the server runs.
    town.revoke(&town.trust.state.list(&[7]));
    until("the end of the session", || !town.is_open(&opened));
    assert!(town.is_open(&beside) && town.is_open(&hers), "all other sessions go on");
    assert!(town.sign_in(&card).is_err(), "the handshake is refused");
    assert!(!town.get("/me/account/devices", &hers).body.contains("my card"));

    // A list that was cut off in the middle changes nothing, and one of a stranger neither.
    let whole = town.trust.state.list(&[7, 8]);
    town.revoke(&whole[..whole.len() / 2]);
    thread::sleep(Duration::from_millis(2_500));
    assert!(town.is_open(&beside));
    assert!(town.doctor().contains("FAIL"), "{}", town.doctor());
    town.revoke(&Authority::new("State cards").list(&[8]));
    thread::sleep(Duration::from_millis(2_500));
    assert!(town.is_open(&beside));
    town.revoke(&whole);
    until("the end of the other session", || !town.is_open(&beside));

    // What stands in the list at a start counts too.
    let third = town.trust.state.card("holder", 9);
    town.register(&hers, &third);
    let opened = town.sign_in(&third).unwrap().unwrap();
    assert!(town.server.take().unwrap().stop());
    town.revoke(&town.trust.state.list(&[7, 8, 9]));
    town.start();
    until("the end of the third session", || !town.is_open(&opened));
}

#[test]
fn who_is_not_the_holder_of_a_good_card_is_turned_away() {
    let town = Town::new("card");
    town.revoke(&town.trust.state.list(&[66]));
    let card = town.trust.state.card("holder", 7);
    town.register(&town.cookies[0].clone(), &card);
    until("the new list", || town.sign_in(&town.trust.state.card("revoked", 66)).is_err());
    let turned_away = [
        ("of another issuer", town.trust.other.card("holder", 7)),
        ("of an issuer that took the name", Authority::new("State cards").card("holder", 7)),
        ("that is expired", town.trust.state.card_until("holder", 7, (2025, 12, 31))),
        ("that its holder signed", Held::self_signed("holder")),
        ("that is a server's", town.trust.state.server()),
        ("without its key", card.with_key_of(&town.trust.state.card("thief", 8))),
    ];
    for (what, shown) in &turned_away {
        assert!(town.sign_in(shown).is_err(), "a card {what} was let through");
    }
    let same_name = town.trust.state.card("holder", 7);
    assert_eq!(town.sign_in(&same_name).unwrap(), None, "the same name and number on another key");

    // No card, whatever a header says.
    let (_, path) = town.leave();
    let forged = format!(
        "X-SSL-Client-Cert: {}\r\nX-SSL-Client-Verify: SUCCESS\r\n",
        pem("CERTIFICATE", &card.certificate).replace('\n', " ")
    );
    for headers in ["", &forged] {
        let answer = town.show(None, &path, headers).unwrap();
        assert_eq!(answer.path(ISSUER), "/sign-in/certificate?failure=no-card");
    }
    let plain = town.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{forged}Connection: close\r\n\r\n"));
    assert_eq!(plain.status, 404, "the plain listener has no such page");
    for path in ["/", "/me", "/sign-in/certificate", "/console/tick"] {
        assert_eq!(town.show(Some(&card), path, "Connection: close\r\n").unwrap().status, 404, "{path}");
    }

    // Garbage, half a handshake and plain HTTP hold nobody up.
    let mut idle = Vec::new();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3], &[0; 600], b""] {
        let mut stream = TcpStream::connect(("127.0.0.1", town.port)).unwrap();
        let _ = stream.write_all(garbage);
        idle.push(stream);
    }
    assert!(town.sign_in(&card).unwrap().is_some(), "the right card still opens");
    drop(idle);
}

#[test]
fn a_section_that_does_not_fit_is_named_before_anybody_is_served() {
    let mut town = Town::new("card");
    assert!(town.server.take().unwrap().stop());
    let dir = town.folder.at("pass");
    let refuses = || fails(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", ISSUER], 1);
    town.folder.write("issuers.pem", &pem("CERTIFICATE", &town.trust.other.certificate));
    let said = refuses();
    assert!(said.contains("not signed by one of the issuers"), "{said}");
    assert!(town.doctor().contains("not signed by one of the issuers"), "{}", town.doctor());
    let both = pem("CERTIFICATE", &town.trust.other.certificate) + &pem("CERTIFICATE", &town.trust.state.certificate);
    town.folder.write("issuers.pem", &both);
    let said = refuses();
    assert!(said.contains("no list of revoked certificates") && said.contains("Other cards"), "{said}");
    town.folder.write("issuers.pem", &pem("CERTIFICATE", &town.trust.state.certificate));
    town.folder.write("server.key", &town.trust.state.card("another", 5).key_pem());
    let said = refuses();
    assert!(said.contains("own certificate for cards cannot be used"), "{said}");
    town.folder.write("server.key", &town.trust.server.key_pem());

    // A list that is over is the doctor's to say; the server runs, and takes no card.
    town.revoke(&town.trust.state.list_until(&[], (2026, 1, 1)));
    assert!(town.doctor().contains("FAIL") && town.doctor().contains("2026-01-01"), "{}", town.doctor());
    town.start();
    assert!(town.sign_in(&town.trust.state.card("holder", 7)).is_err());
    town.revoke(&town.trust.state.list_until(&[], (LATE, 1, 1)));
    until("the new list", || town.sign_in(&town.trust.state.card("holder", 7)).is_ok());
}

#[test]
fn whoever_shakes_hands_and_says_nothing_is_let_go() {
    let town = Town::new("card-silence");
    let card = town.trust.state.card("holder", 7);
    let config = Arc::new(town.trust.servers.client(Some(&card)));
    let mut client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", town.port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while client.is_handshaking() || client.wants_write() {
        client.complete_io(&mut tcp).unwrap();
    }
    let ended = StreamOwned::new(client, tcp).read(&mut [0]);
    let waits = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    assert!(!ended.as_ref().is_err_and(waits), "the place is held still: {ended:?}");
    assert!(town.sign_in(&card).unwrap().is_none(), "whoever comes next is heard");
}
