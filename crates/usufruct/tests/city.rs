//! A real city from nothing: keys, bodies, blocks, a mandate and its end, all through a running server.

use std::fs;

use crate::common::{Folder, Server, city, fails, ok};

#[test]
fn a_city_begins_lends_and_ends() {
    let folder = Folder::new("city");
    let dir = folder.at("pass");
    let setup = [
        "--origin",
        "pass.example.org/log",
        "--operator",
        "agc_information",
        "--operator-name",
        "City",
        "--operator-name-zh",
        "市",
    ];
    ok(&[&["init", "--data-dir", &dir], setup.as_slice()].concat());
    let (head, protection) =
        (folder.at("pass/officials/agc_information.head.json"), folder.at("pass/officials/agc_information.data-protection.json"));

    // The first body is published while nothing runs.
    for office in ["head", "data-protection"] {
        ok(&["key", "new", "--agency", "agc_library", "--key", office, "--out", &folder.at(&format!("{office}.json"))]);
    }
    publish_agency(&folder, &dir, "oversight", &[&head, &protection], &[]);

    let (server, url) =
        Server::start(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &dir);
    let refused = fails(&["serve", "--data-dir", &dir, "--issuer", "http://localhost:8080"], 1);
    assert!(refused.contains("Another process is using"), "{refused}");
    let keys = [folder.at("head.json"), folder.at("data-protection.json")];
    publish_agency(&folder, &dir, "library", &[&head, &protection], &keys);
    publish_agency(&folder, &dir, "civil-affairs", &[&head, &protection], &[]);
    for block in ["name", "over-18", "email", "preferred-language"] {
        let file = city(&format!("blocks/{block}.toml"));
        let one_key = fails(&["publish", "block", &file, "--key", &head, "--data-dir", &dir], 1);
        assert!(one_key.contains("1 of 2 roles"), "{one_key}");
        ok(&["publish", "block", &file, "--key", &head, "--key", &protection, "--data-dir", &dir]);
    }
    let library = city("mandates/library-card.toml");
    let one_key = fails(&["mandate", "publish", &library, "--key", &keys[0], "--data-dir", &dir], 1);
    assert!(one_key.contains("roles"), "one official alone gives power: {one_key}");
    ok(&["mandate", "publish", &library, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    ok(&["publish", "service", &city("services/library.toml"), "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    let list = ok(&["mandate", "list", "--register", &url]);
    assert!(list.contains("mdt_library-card") && list.contains(" active "), "{list}");

    let person = folder.write("person.toml", "[blocks]\nblk_name = \"王小明\"\n");
    let slip = ok(&["enrol", &person, "--data-dir", &dir]);
    let number = slip.split("file number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().to_owned();
    assert!(!slip.contains("王小明"), "the slip names nobody");
    let again = ok(&["invite", &number, "--data-dir", &dir]);
    assert_ne!(slip, again);

    let reasons =
        ["--reason-en", "It has its own cards again.", "--reason-zh", "恢復自行核發。", "--reason-code", "purpose_gone"];
    let stranger =
        fails(&[&["mandate", "end", "mdt_library-card", "--key", &head, "--data-dir", &dir], reasons.as_slice()].concat(), 1);
    assert!(stranger.contains("cannot speak for"), "{stranger}");
    let ended =
        ok(&[&["mandate", "end", "mdt_library-card", "--key", &keys[0], "--data-dir", &dir], reasons.as_slice()].concat());
    assert!(ended.contains("certificate is crt_"), "{ended}");
    fails(&[&["mandate", "end", "mdt_library-card", "--key", &keys[0], "--data-dir", &dir], reasons.as_slice()].concat(), 1);
    ok(&["verify", &url, "--state", &folder.at("seen.json")]);

    console_is_closed_to_strangers(&url);
    the_log_states_the_verifier_that_is_served(&url);
    assert!(server.stop(), "an orderly end");
    assert!(!folder.path().join("pass/console.json").exists());
    ok(&["doctor", "--data-dir", &dir]);
    ok(&["migrate", "--data-dir", &dir]);
    ok(&["verify", &dir, "--state", &folder.at("seen.json")]);
}

/// Publishes an agency of the demo city with the public halves of `own` keys, or of one made for the purpose.
fn publish_agency(folder: &Folder, dir: &str, name: &str, operator: &[&str; 2], own: &[String]) {
    let mut text = fs::read_to_string(city(&format!("agencies/{name}.toml"))).unwrap();
    text = text.lines().filter(|line| !line.starts_with("roles")).map(|line| format!("{line}\n")).collect();
    let made = folder.at(&format!("{name}-head.json"));
    let own = if own.is_empty() {
        ok(&["key", "new", "--agency", &format!("agc_{name}"), "--key", "head", "--out", &made]);
        vec![made]
    } else {
        own.to_vec()
    };
    for key in &own {
        text += &ok(&["key", "public", key]);
    }
    let file = folder.write(&format!("{name}.toml"), &text);
    ok(&["publish", "agency", &file, "--key", operator[0], "--key", operator[1], "--data-dir", dir]);
}

/// Every file of the verifier has the hash that stands in the log, and a restart does not state it again.
fn the_log_states_the_verifier_that_is_served(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let get = |path: &str| runtime.block_on(async { reqwest::get(format!("{url}{path}")).await.unwrap().bytes().await.unwrap() });
    let log: serde_json::Value = serde_json::from_slice(&get("/register/log.json")).unwrap();
    let stated = &log["verifier"];
    let files = stated["body"]["files"].as_array().unwrap();
    assert!(files.len() > 5, "{log}");
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(usufruct_core::hash::sha256(&get(path)).to_string(), file["sha256"].as_str().unwrap(), "{path}");
    }
    assert_eq!(stated["rev"], 1);
}

/// No token, a wrong one, or a way through a proxy: nobody gets in. And the demo's door is not there at all.
fn console_is_closed_to_strangers(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::new();
    let post = |token: Option<&str>, proxied: bool| {
        let mut request = client.post(format!("{url}/console/api/publications")).json(&serde_json::json!([]));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if proxied {
            request = request.header("x-forwarded-for", "203.0.113.7");
        }
        runtime.block_on(request.send()).unwrap()
    };
    assert_eq!(post(None, false).status(), 401);
    let refused = post(Some("wrong"), false);
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(post(None, true).status(), 404);
    let demo = runtime.block_on(client.get(format!("{url}/demo/sign-in/chou-yi-ching")).send()).unwrap();
    assert_eq!(demo.status(), 404);
}
