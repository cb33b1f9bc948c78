//! Every revision under an address that stays, its history, and feeds.

use usufruct_core::hash::sha256;
use usufruct_core::statement::{LEAF_PREFIX, Statement, StatementKind};

use super::*;
use crate::common::text;

/// A city in which the card was revised: one block less, another title.
fn revised() -> (Pages, u64, u64) {
    let pages = Pages::new();
    let id = CARD.parse().unwrap();
    let before = pages.city.app.register().mandates[&id].index;
    let mut body = library_card();
    body["title"] = text("Card of <all> & one");
    body["blocks"].as_array_mut().unwrap().remove(1);
    pages.city.publish_mandate(CARD, body);
    let after = pages.city.app.register().mandates[&id].index;
    (pages, before, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_keeps_its_address_and_says_what_it_changes() {
    let (pages, before, after) = revised();
    for lang in ["en", "zh-Hant"] {
        let new = pages.get(&format!("/register/statements/{after}"), lang).await.text;
        assert_eq!(faults(&new, lang), Vec::<String>::new());
        let changes = between(&new, "id=\"changes\"", "</section>");
        assert!(changes.contains("<code>title.en</code>") && changes.contains("Card of &#60;all&#62; &#38; one"), "{changes}");
        assert!(changes.contains("<code>blocks[blk_district].form</code>") && changes.contains("<del>value</del>"), "{changes}");
        assert!(!changes.contains("<code>controller</code>"), "what stays is no change");
        assert!(new.contains(&format!("href=\"/register/statements/{before}\"")), "the one before is a step away");
        assert!(new.contains(&format!("href=\"/log/proof/{after}.tlog-proof\"")));
        let old = pages.get(&format!("/register/statements/{before}"), lang).await.text;
        assert_eq!(faults(&old, lang), Vec::<String>::new());
        assert!(old.contains(&format!("href=\"/register/statements/{after}\"")), "it says that it was replaced");
        assert!(old.contains("<code>controller</code>"), "a first revision is shown whole");
    }
    let page = pages.get(&format!("/register/mandates/{CARD}"), "en").await.text;
    assert!(page.contains(&format!("href=\"/register/statements/{after}\"")));
    assert!(page.contains(&format!("href=\"/register/history/{CARD}\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_a_statement_is_what_stands_in_the_log() {
    let (pages, before, after) = revised();
    let register = pages.city.app.register();
    for (leaf, hash) in [(after, Some(register.mandates[&CARD.parse().unwrap()].hash)), (before, None)] {
        let json = pages.get(&format!("/register/statements/{leaf}.json"), "en").await.text;
        let statement = Statement::from_leaf(&[&LEAF_PREFIX[..], json.as_bytes()].concat()).unwrap();
        assert_eq!((statement.kind, &*statement.id), (StatementKind::Mandate, CARD));
        let without = format!("{{{}", json.split_once("],\"at\":").map(|(_, rest)| format!("\"at\":{rest}")).unwrap());
        assert_eq!(sha256(without.as_bytes()), statement.hash().unwrap(), "the page says how the hash is made");
        assert!(hash.is_none_or(|hash| hash == statement.hash().unwrap()));
        let page = pages.get(&format!("/register/statements/{leaf}"), "en").await.text;
        assert!(page.contains(&statement.hash().unwrap().to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_residents_are_no_statements() {
    let (pages, ..) = revised();
    let size = pages.city.app.committed_size().unwrap();
    let leaves = pages.city.app.db().read(|conn| usufruct_app::store::leaves::range(conn, 0, size as usize)).unwrap();
    let mut counts = (0, 0);
    for (index, leaf) in &leaves {
        let status = pages.get(&format!("/register/statements/{index}"), "en").await.status;
        if leaf.starts_with(&LEAF_PREFIX) {
            assert_eq!(status, StatusCode::OK, "{index}");
            counts.0 += 1;
        } else {
            assert_eq!(status, StatusCode::NOT_FOUND, "{index}");
            counts.1 += 1;
        }
    }
    assert!(leaves.len() as u64 == size && counts.0 > 20 && counts.1 > 3, "{counts:?} of {size}");
    for strange in [&*size.to_string(), "18446744073709551615", "-1", "x", "1.5"] {
        assert_eq!(pages.get(&format!("/register/statements/{strange}"), "en").await.status, StatusCode::NOT_FOUND, "{strange}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_names_every_step_of_any_object() {
    let (pages, _, after) = revised();
    let register = pages.city.app.register();
    for kind in StatementKind::OBJECTS {
        for outline in register.outlines(kind) {
            let page = pages.get(&format!("/register/history/{}", outline.id), "en").await;
            assert_eq!(page.status, StatusCode::OK, "{}", outline.id);
            assert_eq!(faults(&page.text, "en"), Vec::<String>::new(), "{}", outline.id);
            for step in outline.history {
                assert!(page.text.contains(&format!("/register/statements/{}\"", step.index)), "{} {}", outline.id, step.index);
            }
        }
    }
    let json: Value = serde_json::from_str(&pages.get(&format!("/register/history/{CARD}.json"), "en").await.text).unwrap();
    assert_eq!((json["type"].as_str(), json["index"].as_u64()), (Some("Mandate"), Some(after)));
    for strange in ["mdt_nowhere", "nothing", "sta_1", "mdt_nowhere.json", "mdt_nowhere.atom"] {
        assert_eq!(pages.get(&format!("/register/history/{strange}"), "en").await.status, StatusCode::NOT_FOUND, "{strange}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_tell_what_changed_last() {
    let (pages, _, after) = revised();
    let register = pages.city.app.register();
    let entries = |feed: &str| -> Vec<u64> {
        let ids = feed.split("<entry><id>").skip(1).map(|rest| rest.split("</id>").next().unwrap());
        ids.map(|id| id.rsplit('/').next().unwrap().parse().unwrap()).collect()
    };
    for lang in ["en", "zh-Hant"] {
        let feed = pages.get(&format!("/register/history/{CARD}.atom"), lang).await.text;
        assert!(
            feed.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\""),
            "{feed}"
        );
        assert!(feed.contains(&format!("xml:lang=\"{lang}\"")) && feed.contains("Card of &lt;all&gt; &amp; one"), "{feed}");
        let own = &register.mandates[&CARD.parse().unwrap()].history;
        assert_eq!(entries(&feed), own.iter().rev().map(|step| step.index).collect::<Vec<_>>());
    }
    for list in [
        "agencies",
        "agreements",
        "assessments",
        "audits",
        "blocks",
        "breaches",
        "cameras",
        "cases",
        "certificates",
        "contracts",
        "counts",
        "keys",
        "laws",
        "log",
        "mandates",
        "meetings",
        "notices",
        "orders",
        "rulings",
        "services",
    ] {
        let feed = pages.get(&format!("/register/{list}.atom"), "en").await;
        assert_eq!(feed.status, StatusCode::OK, "{list}");
        let found = entries(&feed.text);
        assert!(found.is_sorted_by(|one, other| one > other), "{list}: the newest first, each once");
        assert!(feed.text.contains("<updated>"), "{list}");
        assert_eq!(found.contains(&after), list == "mandates", "{list}");
        for index in found.into_iter().take(3) {
            assert_eq!(pages.get(&format!("/register/statements/{index}"), "en").await.status, StatusCode::OK, "{list} {index}");
        }
    }
    let whole = entries(&pages.get("/register.atom", "en").await.text);
    let last = StatementKind::OBJECTS.into_iter().flat_map(|kind| register.outlines(kind)).flat_map(|outline| outline.history);
    assert_eq!(whole.first().copied(), last.map(|step| step.index).max());
}
