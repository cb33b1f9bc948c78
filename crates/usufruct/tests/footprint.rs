//! A saved footprint against a city that hides, doubles, changes or loses lines.

use std::fs;
use std::net::TcpListener;

use crate::common::{Folder, Server, err, ok, out, run};
use crate::insider::{Insider, noise, now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use usufruct_core::delay::{Week, seed_of, tag_key};
use usufruct_core::event::{self, Event, Kind};
use usufruct_core::time::DAY;

/// A city that has stopped, and the footprint one of its residents saved before.
struct Saved {
    folder: Folder,
    city: Insider,
    footprint: Value,
}

impl Saved {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let dir = folder.at("demo");
        ok(&["demo", "--residents", "0", "--data-dir", &dir, "--load-only"]);
        let listen = format!("127.0.0.1:{}", free_ports());
        let (server, url) = Server::start(&["demo", "--data-dir", &dir, "--listen", &listen], &dir);
        let footprint = download(&url);
        assert!(server.stop());
        assert!(footprint["lines"].as_array().unwrap().len() > 5);
        Self { city: Insider::of(&dir), folder, footprint }
    }

    fn lines(&self) -> &Vec<Value> {
        self.footprint["lines"].as_array().unwrap()
    }

    fn index(&self, line: usize) -> usize {
        self.lines()[line]["index"].as_u64().unwrap() as usize
    }

    fn tag_key(&self) -> [u8; 32] {
        STANDARD.decode(self.footprint["tagKey"].as_str().unwrap()).unwrap().try_into().unwrap()
    }

    /// Checks a footprint against a log of these leaves in both ways, and answers the exit code and what was printed.
    fn check(&self, footprint: &Value, leaves: &[Vec<u8>]) -> [(i32, String); 2] {
        self.city.publish(&self.folder.at("log"), leaves, now());
        self.check_published(footprint)
    }

    fn check_published(&self, footprint: &Value) -> [(i32, String); 2] {
        let mut footprint = footprint.clone();
        // The insider's log has no witnesses.
        footprint["policy"] = Value::Null;
        let file = self.folder.write("footprint.json", &footprint.to_string());
        ["--whole", "--prefix"].map(|how| {
            let output = run(&["footprint", "verify", &file, "--log", &self.folder.at("log"), how]);
            (output.status.code().unwrap(), out(&output) + &err(&output))
        })
    }

    /// Both ways must come to this exit code and name this code.
    fn finds(&self, what: &str, footprint: &Value, leaves: &[Vec<u8>], exit: i32, code: &str) {
        for (found, said) in self.check(footprint, leaves) {
            assert!(found == exit && said.contains(&format!("{code}: ")), "{what}: exit {found}\n{said}");
        }
    }
}

#[test]
fn lines_that_are_hidden_doubled_changed_or_lost_are_found() {
    let saved = Saved::new("footprint");
    let (footprint, leaves) = (&saved.footprint, &saved.city.leaves);
    let last = saved.lines().len() - 1;
    for (exit, said) in saved.check(footprint, leaves) {
        assert!(exit == 0 && said.contains(&format!("verified: {} verified, 0 pending", last + 1)), "{said}");
    }

    // The newest line is hidden from the page, and then also from the log.
    let mut without_last = footprint.clone();
    without_last["lines"].as_array_mut().unwrap().remove(last);
    saved.finds("the newest line is hidden", &without_last, leaves, 1, "hidden");
    let mut younger = without_last.clone();
    younger["size"] = json!(saved.index(last));
    saved.finds("it came after the page was made", &younger, leaves, 3, "newer");

    // A line from the middle.
    let mut without_middle = footprint.clone();
    without_middle["lines"].as_array_mut().unwrap().remove(3);
    saved.finds("a line is missing", &without_middle, leaves, 1, "gap");
    saved.finds("and is in the log", &without_middle, leaves, 1, "hidden");
    let mut lost = leaves.clone();
    lost[saved.index(3)] = noise(1);
    saved.finds("a line is shown and not logged", footprint, &lost, 1, "unlogged");
    saved.finds("a line is in neither", &without_middle, &lost, 1, "gap");
    saved.finds("a line is not logged any more", footprint, &leaves[..saved.index(last)], 1, "overdue");

    // The same tag twice.
    let doubled = [leaves.as_slice(), &[event::leaf(&[9; 32], &event::tag(&saved.tag_key(), 2)).to_vec()]].concat();
    saved.finds("a number is there twice", footprint, &doubled, 1, "duplicate");
    let mut twice = footprint.clone();
    let line = twice["lines"][2].clone();
    twice["lines"].as_array_mut().unwrap().push(line);
    saved.finds("a line is shown twice", &twice, leaves, 1, "duplicate");
    let beyond = [leaves.as_slice(), &[event::leaf(&[9; 32], &event::tag(&saved.tag_key(), last as u64 + 60)).to_vec()]].concat();
    let mut whole = footprint.clone();
    whole["size"] = json!(beyond.len());
    saved.finds("a line far beyond the last is hidden", &whole, &beyond, 1, "hidden");
    for (_, said) in saved.check_published(&whole) {
        assert!(
            said.contains(&format!("gap: Lines are missing before this one. (from {}, to {})", last + 1, last + 59)),
            "{said}"
        );
    }

    let further = event::leaf(&[9; 32], &event::tag(&saved.tag_key(), last as u64 + 120)).to_vec();
    let beyond = [beyond.as_slice(), &[further]].concat();
    for (_, said) in saved.check(&whole, &beyond) {
        assert!(said.contains(&format!("n {}, index {}", last + 120, beyond.len() - 1)), "{said}");
    }

    // Two of her lines change places in the log.
    let mut swapped = leaves.clone();
    swapped.swap(saved.index(3), saved.index(4));
    saved.finds("two lines change places", footprint, &swapped, 1, "unlogged");

    for (what, field, value, code) in [
        ("the page says another service", "/shown/service", json!("svc_festival"), "shown"),
        ("the line cannot be opened", "/event", Value::Null, "unopened"),
        ("the event is cut", "/event", json!("oA=="), "malformed"),
        ("another opening", "/r", json!(STANDARD.encode([1; 32])), "unlogged"),
        ("another place", "/index", json!(0), "unlogged"),
        ("another number", "/n", json!(90), "gap"),
    ] {
        let mut footprint = footprint.clone();
        *footprint["lines"][3].pointer_mut(field).unwrap() = value;
        saved.finds(what, &footprint, leaves, 1, code);
    }
    let mut renumbered = footprint.clone();
    (renumbered["lines"][3]["n"], renumbered["lines"][4]["n"]) = (json!(4), json!(3));
    saved.finds("two lines change their numbers", &renumbered, leaves, 1, "number");
    // A line that is well in the log and follows from nothing: the one before it was made anew.
    let mut forged = leaves.clone();
    let opening = [1; 32];
    let event = STANDARD.decode(saved.lines()[3]["event"].as_str().unwrap()).unwrap();
    forged[saved.index(3)] = event::leaf(&event::commitment(&opening, &event), &event::tag(&saved.tag_key(), 3)).to_vec();
    let mut rewritten = footprint.clone();
    rewritten["lines"][3]["r"] = json!(STANDARD.encode(opening));
    saved.finds("a line was made anew", &rewritten, &forged, 1, "chain");
}

#[test]
fn an_index_that_lies_about_a_large_log_is_found() {
    let saved = Saved::new("large");
    let mut without_last = saved.footprint.clone();
    let hidden = without_last["lines"].as_array_mut().unwrap().pop().unwrap();
    let n = hidden["n"].as_u64().unwrap();
    // The hidden line lies far from everything else, in the second segment.
    let mut leaves = saved.city.leaves.clone();
    let place = saved.index(n as usize);
    let line = std::mem::replace(&mut leaves[place], noise(0));
    leaves.extend((1..69_000).map(noise));
    leaves.push(line);
    leaves.extend((69_000..70_000).map(noise));
    without_last["size"] = json!(leaves.len());
    for (exit, said) in saved.check(&without_last, &leaves) {
        assert!(exit == 1 && said.contains("hidden: "), "{said}");
    }
    // An index that is wrong about one entry escapes a single reader at times, but nobody who reads everything.
    let [first, second] = ["log/tags/000", "log/tags/001"].map(|name| saved.folder.at(name));
    let mut segment = fs::read(&second).unwrap();
    segment[4_000] ^= 1;
    fs::write(&second, segment).unwrap();
    let [(exit, said), _] = saved.check_published(&without_last);
    assert!(exit == 1 && said.contains("index: "), "{said}");
    // One that is wrong about most of them escapes nobody.
    fs::write(&first, vec![0; 4 * 65_536]).unwrap();
    for (exit, said) in saved.check_published(&without_last) {
        assert!(exit == 1 && said.contains("index: "), "{said}");
    }
    // Without an index only reading everything helps.
    fs::remove_dir_all(saved.folder.at("log/tags")).unwrap();
    let [(whole, said), (prefix, unsearched)] = saved.check_published(&without_last);
    assert!(whole == 1 && said.contains("hidden: "), "{said}");
    assert!(prefix == 3 && unsearched.contains("unsearched: "), "{unsearched}");
}

#[test]
fn the_log_itself_must_be_the_one_that_was_seen() {
    let saved = Saved::new("seen");
    let (log, leaves) = (saved.folder.at("log"), &saved.city.leaves);
    saved.city.publish(&log, leaves, now());
    let mut footprint = saved.footprint.clone();
    footprint["policy"] = Value::Null;
    let file = saved.folder.write("footprint.json", &footprint.to_string());
    let remember = saved.folder.at("seen.txt");
    let check = |more: &[&str]| {
        let output = run(&[&["footprint", "verify", &file, "--log", &log, "--remember", &remember][..], more].concat());
        (output.status.code().unwrap(), out(&output) + &err(&output))
    };
    assert_eq!(check(&[]).0, 0);
    let stops = |code: &str, exit: i32| {
        let (found, said) = check(&[]);
        assert!(found == exit && said.contains(&format!("{code}: ")), "{code}: {found} {said}");
    };
    saved.city.publish(&log, &leaves[..leaves.len() - 1], now());
    stops("rewound", 1);
    saved.city.publish(&log, &[&leaves[..leaves.len() - 1], &[noise(1), noise(2)]].concat(), now());
    stops("forked", 1);
    saved.city.publish(&log, leaves, now());
    assert_eq!(check(&[]).0, 0);
    let entries = match leaves.len() % 256 {
        0 => format!("log/tile/entries/{:03}", leaves.len() / 256 - 1),
        rest => format!("log/tile/entries/{:03}.p/{rest}", leaves.len() / 256),
    };
    let bundle = fs::read(saved.folder.at(&entries)).unwrap();
    fs::write(saved.folder.at(&entries), &bundle[..bundle.len() - 1]).unwrap();
    stops("tile", 1);
    fs::write(saved.folder.at(&entries), bundle).unwrap();
    // The quorum of its own policy is not there; the keys of a stranger sign nothing here.
    assert_eq!(
        run(&["footprint", "verify", &saved.folder.write("own.json", &saved.footprint.to_string()), "--log", &log]).status.code(),
        Some(3)
    );
    assert_eq!(check(&["--vkey", &saved.city.vkeys()[1]]).0, 0);
    fs::remove_file(saved.folder.at("log/checkpoint")).unwrap();
    stops("unreachable", 3);
    let nothing = saved.folder.write("nothing.json", "{}");
    assert_eq!(run(&["footprint", "verify", &nothing, "--log", &log]).status.code(), Some(2));
    assert_eq!(run(&["footprint", "verify", &file]).status.code(), Some(2));
}

#[test]
fn a_site_is_read_over_the_web_with_its_own_witnesses() {
    let folder = Folder::new("web-footprint");
    let dir = folder.at("demo");
    let listen = format!("127.0.0.1:{}", free_ports());
    let (_server, url) = Server::start(&["demo", "--residents", "0", "--data-dir", &dir, "--listen", &listen], &dir);
    let file = folder.write("footprint.json", &download(&url).to_string());
    for how in ["--whole", "--prefix"] {
        ok(&["footprint", "verify", &file, "--log", &url, how]);
    }
}

/// Signs in to a demo as its first persona and saves her footprint.
fn download(url: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let signed_in = client.get(format!("{url}/demo/sign-in/chou-yi-ching")).send().await.unwrap();
        let cookies = signed_in.headers().get_all("set-cookie").iter();
        let cookies: Vec<&str> = cookies.filter_map(|cookie| cookie.to_str().unwrap().split(';').next()).collect();
        let request = client.get(format!("{url}/me/footprint.json")).header("cookie", cookies.join("; "));
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    })
}

/// The first of four ports in a row that are free now.
fn free_ports() -> u16 {
    (22_000u16..60_000)
        .step_by(11)
        .map(|first| first + (std::process::id() % 5_000) as u16)
        .find(|first| (*first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .unwrap()
}

#[test]
fn a_delayed_line_is_proven_once_it_has_opened_and_missed_where_it_is_kept_back() {
    let saved = Saved::new("delayed");
    let seed: [u8; 32] = STANDARD.decode(saved.footprint["delay"]["seed"].as_str().unwrap()).unwrap().try_into().unwrap();
    let this = Week(u32::try_from(saved.footprint["delay"]["week"].as_u64().unwrap()).unwrap());
    let (mut leaves, mut lines) = (saved.city.leaves.clone(), Vec::new());
    // Two lines that opened three weeks ago, by the seed of that week.
    let week = Week(this.0 - 3);
    let key = tag_key(&seed_of(week, this, &seed).unwrap());
    let mut prev = None;
    for n in week.first_number()..week.first_number() + 2 {
        let at = week.begins().plus(-20 * DAY);
        let event = Event {
            kind: Kind::Use,
            n,
            prev,
            at,
            anchor: None,
            mandate: None,
            service: None,
            blocks: Vec::new(),
            reason: "order".into(),
            actor: None,
            batch: None,
            clause: None,
            detail: None,
            until: None,
            other: None,
            source: None,
            closed: None,
            foreign: None,
        };
        let committed = event::commitment(&[7; 32], &event.encode());
        prev = Some(committed);
        lines.push(
            json!({"n": n, "index": leaves.len(), "event": STANDARD.encode(event.encode()), "r": STANDARD.encode([7; 32])}),
        );
        leaves.push(event::leaf(&committed, &event::tag(&key, n)).to_vec());
    }
    let with = |shown: &[Value]| {
        let mut footprint = saved.footprint.clone();
        footprint["size"] = json!(leaves.len());
        footprint["lines"].as_array_mut().unwrap().extend_from_slice(shown);
        footprint
    };
    for (exit, said) in saved.check(&with(&lines), &leaves) {
        assert!(exit == 0 && said.contains("0 broken"), "{said}");
    }
    saved.finds("both are kept back", &with(&[]), &leaves, 1, "hidden");
    saved.finds("the second is kept back", &with(&lines[..1]), &leaves, 1, "hidden");
    saved.finds("the first is kept back", &with(&lines[1..]), &leaves, 1, "gap");
    saved.finds("one is shown and not logged", &with(&lines), &leaves[..leaves.len() - 1], 1, "overdue");
    let mut other = with(&lines);
    other["delay"]["seed"] = json!(STANDARD.encode([8; 32]));
    saved.finds("another seed than at the beginning", &other, &leaves, 1, "anchor");
    let mut none = with(&lines);
    none["delay"] = Value::Null;
    saved.finds("no seed at all", &none, &leaves, 1, "anchor");
    // A page that stands still in an older week.
    let mut older = with(&[]);
    let before = Week(this.0 - 4);
    older["delay"] = json!({"week": before.0, "seed": STANDARD.encode(seed_of(before, this, &seed).unwrap())});
    older["lines"].as_array_mut().unwrap().retain(|line| {
        let event = Event::decode(&STANDARD.decode(line["event"].as_str().unwrap()).unwrap()).unwrap();
        event.anchor.is_none_or(|_| Week::of(event.at) <= before)
    });
    saved.finds("weeks have begun since", &older, &leaves, 3, "weeks");
}
