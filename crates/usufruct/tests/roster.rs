//! The roster of a pass is put together from what was printed for that pass, and from nothing else.

use crate::common::{Folder, fails, ok};

const ORIGIN: &str = "pass.example.org/log";

#[test]
fn a_roster_is_put_together_for_one_pass_alone() {
    let folder = Folder::new("keepers-other-pass");
    let at = |name: &str| folder.at(name);
    let other = "other.example.org/log";
    for (name, vault) in [("office", ORIGIN), ("court", ORIGIN), ("archive", ORIGIN), ("stranger", other)] {
        let entry =
            ok(&["keeper", "init", "--data-dir", &at(name), "--name", name, "--vault", vault, "--url", "https://a.example"]);
        folder.write(&format!("{name}.toml"), &entry);
    }
    for (name, origin) in [("city", ORIGIN), ("town", other)] {
        folder.write(&format!("{name}.toml"), &ok(&["keeper", "city", "--data-dir", &at(name), "--origin", origin]));
    }
    let roster = |vault: &str, city: &str, third: &str| {
        let files = [city, "office", "court", third].map(|name| at(&format!("{name}.toml")));
        let entries = files[1..].iter().flat_map(|file| ["--entry".to_owned(), file.clone()]);
        let words = ["keeper", "roster", "--vault", vault, "--threshold", "2", "--city", &files[0]].map(str::to_owned);
        words.into_iter().chain(entries).collect::<Vec<_>>()
    };
    let run = |vault: &str, city: &str, third: &str| {
        fails(&roster(vault, city, third).iter().map(String::as_str).collect::<Vec<_>>(), 1)
    };
    let said = run(other, "city", "archive");
    assert!(said.contains(&format!("is about {ORIGIN}, and the roster about {other}")), "{said}");
    assert!(run(ORIGIN, "town", "archive").contains(&format!("is about {other}")));
    assert!(run(ORIGIN, "city", "stranger").contains(&format!("stranger.toml is about {other}")));
    let good = roster(ORIGIN, "city", "archive");
    let good = folder.write("keepers.toml", &ok(&good.iter().map(String::as_str).collect::<Vec<_>>()));
    let replace = ["keeper", "roster", "--from", &good, "--replace", "court", "--entry", &at("stranger.toml")];
    assert!(fails(&replace, 1).contains(&format!("is about {other}")));
}
