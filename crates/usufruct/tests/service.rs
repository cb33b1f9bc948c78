//! Services are listed and closed by command: the last one of a domain takes the key of its pseudonyms with it.

use crate::common::{Folder, Server, fails, ok, run};

#[test]
fn the_last_service_of_a_domain_ends_its_pseudonyms() {
    let folder = Folder::new("service");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    for name in ["garden", "greenhouse"] {
        let text = format!(
            "agency = \"agc_information\"\nname = {{ en = \"{name}\", zh-Hant = \"花園\" }}\nsector = \"garden\"\nprofile = \"oidc\"\n\
             redirect_uris = [\"https://garden.example/back\"]\nchannels = [\"web\"]\n\
             alternatives = [{{ en = \"Come by.\", zh-Hant = \"親自前往。\" }}]\nhelp = {{ en = \"Flowers.\", zh-Hant = \"花。\" }}\n"
        );
        let file = folder.write(&format!("{name}.toml"), &text);
        ok(&["publish", "service", &file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    }
    let list = ok(&["service", "list", "--data-dir", &dir]);
    assert!(list.lines().count() == 2 && list.matches(" active ").count() == 2, "{list}");
    let reasons = ["--reason-en", "It has its own list.", "--reason-zh", "自有名冊。"];
    let close = |id: &str, key: &str| {
        let arguments = ["service", "close", id, "--key", key, "--data-dir", &dir];
        [&arguments[..], &reasons[..]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    fn words(arguments: &[String]) -> Vec<&str> {
        arguments.iter().map(String::as_str).collect()
    }

    // A stranger's key closes nothing, nor does anybody a service that is not there.
    let stranger = folder.at("stranger.json");
    ok(&["key", "new", "--agency", "agc_library", "--key", "head", "--out", &stranger]);
    fails(&words(&close("svc_garden", &stranger)), 1);
    assert!(fails(&words(&close("svc_nobody", &keys[0])), 1).contains("There is no service"));
    assert!(ok(&["service", "list", "--data-dir", &dir]).matches(" active ").count() == 2);

    let said = ok(&words(&close("svc_garden", &keys[0])));
    assert!(said.contains("live on with 1 other services"), "{said}");
    assert!(fails(&words(&close("svc_garden", &keys[0])), 1).contains("closed already"));

    // The other one is closed through the server.
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, url) = Server::start(&serve, &dir);
    let said = ok(&words(&close("svc_greenhouse", &keys[0])));
    let certificate = said.split("certificate is ").nth(1).unwrap_or_else(|| panic!("{said}")).trim().trim_end_matches('.');
    // It is public after the next beat of the log.
    let verify = ["verify", "certificate", certificate, "--log", &url];
    for _ in 0..600 {
        if run(&verify).status.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(ok(&verify).contains("verified"));
    let list = ok(&["service", "list", "--register", &url]);
    assert!(list.matches(" closed ").count() == 2 && list.matches(certificate).count() == 2, "{list}");
    assert!(server.stop());
    ok(&["doctor", "--data-dir", &dir]);
}
