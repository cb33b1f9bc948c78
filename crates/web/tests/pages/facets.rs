//! Questions to the whole register: who may see what, what ends soon, what was refused, what each law sets.

use usufruct_core::Time;
use usufruct_core::statement::StatementKind;

use super::*;
use crate::common::{LIBRARY, VENDOR, text};
use crate::vendors::{CONTRACT, step, supervise};

async fn json(pages: &Pages, path: &str) -> Value {
    let answer = pages.get(path, "en").await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// Who may see the block now, and as what.
async fn seen_by(pages: &Pages, block: &str) -> BTreeSet<(String, String, bool)> {
    let found = json(pages, &format!("/register/blocks/{block}.json")).await;
    let now = found["seen_by"].as_array().unwrap().iter().filter(|sight| sight["now"] == true);
    let word = |sight: &Value, field: &str| sight[field].as_str().unwrap().to_owned();
    now.map(|sight| (word(sight, "agency"), word(sight, "part"), sight["without_value"] == true)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_says_which_bodies_may_see_it() {
    let pages = Pages::new();
    let library = (LIBRARY.to_owned(), "recipient".to_owned(), false);
    assert_eq!(seen_by(&pages, "blk_name").await, BTreeSet::from([library.clone()]));
    supervise(&pages.city);
    let vendor = (VENDOR.to_owned(), "processor".to_owned(), true);
    assert_eq!(
        seen_by(&pages, "blk_name").await,
        BTreeSet::from([library.clone(), vendor]),
        "its contract keeps the value from it"
    );
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/register/blocks/blk_name", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        let now = between(&page, "id=\"now\"", "</section>");
        assert!(
            now.contains(&format!("/register/agencies#{VENDOR}\"")) && now.contains(&format!("/register/mandates/{CARD}\"")),
            "{now}"
        );
        assert!(between(&page, "id=\"later\"", "</section>").contains("/register/mandates/mdt_coming\""));
        let list = pages.get("/register/blocks", lang).await.text;
        assert_eq!(faults(&list, lang), Vec::<String>::new());
        assert!(list.contains("href=\"/register/blocks/blk_name\""));
    }
    // The same as a table.
    let page = pages.get("/register/blocks/blk_name", "en").await.text;
    assert!(page.contains("href=\"/register/blocks/blk_name.csv\"") && page.contains("Consists of"), "{page}");
    let text = pages.get("/register/blocks/blk_name.csv", "en").await.text;
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let columns = table.headers().unwrap().clone();
    let cell = |line: &csv::StringRecord, name: &str| line[columns.iter().position(|column| column == name).unwrap()].to_owned();
    let lines: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let now = lines.iter().filter(|line| cell(line, "now") == "true");
    let seeing = now.map(|line| (cell(line, "agency"), cell(line, "part"), cell(line, "without_value") == "true"));
    assert_eq!(seeing.collect::<BTreeSet<_>>(), seen_by(&pages, "blk_name").await);
    assert!(lines.iter().any(|line| cell(line, "mandate") == "mdt_coming" && cell(line, "now") == "false"), "{text}");
    step(&pages.city, CONTRACT, State::Suspended, &pages.city.signer(LIBRARY)).unwrap();
    assert_eq!(seen_by(&pages, "blk_name").await, BTreeSet::from([library]), "without its contract a vendor sees nothing");
    assert_eq!(pages.get("/register/blocks/blk_nothing", "en").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_a_page_with_all_that_it_does() {
    let pages = Pages::new();
    supervise(&pages.city);
    for lang in ["en", "zh-Hant"] {
        for (id, part, object) in [
            (LIBRARY, "answers", format!("/register/mandates/{CARD}")),
            (LIBRARY, "commissions", format!("/register/contracts/{CONTRACT}")),
            (VENDOR, "receives", format!("/register/mandates/{CARD}")),
            (VENDOR, "works", format!("/register/contracts/{CONTRACT}")),
            ("agc_oversight", "watches", format!("/register/mandates/{CARD}")),
        ] {
            let page = pages.get(&format!("/register/agencies/{id}"), lang).await.text;
            assert_eq!(faults(&page, lang), Vec::<String>::new(), "{id}");
            assert!(
                between(&page, &format!("id=\"{part}\""), "</section>").contains(&format!("href=\"{object}\"")),
                "{id} {part}"
            );
        }
    }
    let oversight = pages.get("/register/agencies/agc_oversight", "en").await.text;
    assert!(!oversight.contains("id=\"works\"") && !oversight.contains("id=\"answers\""), "what there is none of is left out");
    assert_eq!(pages.get("/register/agencies/agc_nobody", "en").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_says_what_ends_in_it() {
    let pages = Pages::new();
    supervise(&pages.city);
    let ends = json(&pages, "/register/ending.json").await;
    assert_eq!(ends["quarter"], "2026-Q1");
    let found: Vec<_> =
        ends["ends"].as_array().unwrap().iter().map(|end| (end["what"].as_str().unwrap(), end["id"].as_str().unwrap())).collect();
    assert_eq!(found, [("end", "mdt_short")]);
    let next: Vec<Value> = json(&pages, "/register/ending.json?quarter=2026-Q2").await["ends"].as_array().unwrap().clone();
    assert_eq!(next.len(), 1, "the vendor is looked at again: {next:?}");
    assert_eq!((&next[0]["what"], &next[0]["id"]), (&json!("check"), &json!(CONTRACT)));
    let far = pages.get("/register/ending.csv?quarter=2027-Q4", "en").await.text;
    assert!(far.contains(&format!(",end,{CARD},{LIBRARY},")), "{far}");
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/register/ending?quarter=2026-Q1", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        assert!(
            page.contains("/register/mandates/mdt_short\"")
                && page.contains("?quarter=2026-Q2\"")
                && page.contains("?quarter=2025-Q4\"")
        );
    }
    for strange in ["2026-Q5", "soon", "2019-Q1"] {
        assert_eq!(
            pages.get(&format!("/register/ending?quarter={strange}"), "en").await.status,
            StatusCode::NOT_FOUND,
            "{strange}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_summed_out_of_the_tallies() {
    let mut pages = Pages::new();
    pages.city.clock.advance(2 * DAY);
    pages.city.app.run_tallies().unwrap();
    pages.cookie = format!("usufruct={}", pages.city.app.open_session(pages.resident, "test").unwrap());
    let lines = json(&pages, "/register/refusals.json").await;
    let line = lines.as_array().unwrap().iter().find(|line| line["mandate"] == CARD).unwrap().clone();
    assert_eq!(
        (&line["clause"], &line["at_least"], &line["at_most"], &line["days"]),
        (&json!("blocks-chosen"), &json!(1), &json!(9), &json!(1))
    );
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/register/refusals", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        assert!(page.contains("<code>blocks-chosen</code>") && page.contains("1–9"), "{page}");
    }
    let table = pages.get("/register/refusals.csv", "en").await.text;
    assert!(table.contains(&format!("{CARD},blocks-chosen,1,9,1,")), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_law_says_what_it_sets_and_whether_it_counts() {
    let pages = Pages::new();
    supervise(&pages.city);
    for (id, text) in usufruct_core::lawpack::SHIPPED {
        let body: Value = toml::from_str(text).unwrap();
        pages.city.publish(StatementKind::Lawpack, id, crate::common::OPERATOR, body);
    }
    let register = pages.city.app.register();
    for lang in ["en", "zh-Hant"] {
        let list = pages.get("/register/laws", lang).await.text;
        assert_eq!(faults(&list, lang), Vec::<String>::new());
        for (id, entry) in &register.lawpacks {
            assert!(list.contains(&format!("href=\"/register/laws/{id}\"")), "{id}");
            let page = pages.get(&format!("/register/laws/{id}"), lang).await.text;
            assert_eq!(faults(&page, lang), Vec::<String>::new(), "{id}");
            for deadline in &entry.body.deadlines {
                let is_bare = page.contains(&format!(">{}</td>", deadline.duty.code()));
                assert!(!is_bare, "{id} {lang}: no words for {}", deadline.duty.code());
                assert!(page.contains(&deadline.article.replace('&', "&#38;")), "{id}: {}", deadline.article);
            }
            for source in &entry.body.sources {
                assert!(page.contains(&source.url.replace('&', "&#38;")), "{id}: {}", source.url);
            }
        }
    }
    let standing = |page: &str| between(page, "<p class=\"tags\">", "</strong>").rsplit('>').next().unwrap().to_owned();
    let mut standings = Vec::new();
    for id in ["law_vendors", "law_tw-2026", "law_generic-2026-12"] {
        standings.push(standing(&pages.get(&format!("/register/laws/{id}"), "en").await.text));
    }
    assert_eq!(standings, ["Counts today", "Draft, not applied", "Coming"]);
    assert_eq!(pages.get("/register/laws/law_none", "en").await.status, StatusCode::NOT_FOUND);
}

/// An impact assessment of the present revision of a mandate, which is looked at again on that day.
pub(super) fn assessment(pages: &Pages, mandate: &str, due: Time) -> Value {
    let hash = pages.city.app.register().mandates[&mandate.parse().unwrap()].hash;
    let level = json!({"likelihood": 1, "severity": 1});
    let risk = |kind: &str| json!({"kind": kind, "what": text("It could."), "before": level, "after": level});
    let kinds = ["chilling", "discrimination", "error", "exclusion", "function_creep"];
    json!({"mandate": mandate, "mandate_hash": hash, "summary": text("Little can happen."), "description": text("A name."),
        "necessity": text("A card needs a name."), "alternatives": [{"what": text("No name"), "rejected_because": text("Cards get lost.")}],
        "people": text("Readers."), "risks": kinds.map(risk),
        "measures": [{"what": text("Look twice."), "owner": "library", "due": "2026-03-01"}],
        "residents": text("Nobody minded."), "advice": text("Go on."), "residual": text("Little."), "decision": "continue",
        "review_due": due.to_string(), "review_trigger": text("A new card.")})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_says_when_it_is_looked_at_again() {
    let pages = Pages::new();
    let body = assessment(&pages, CARD, pages.city.app.now().plus(20 * DAY));
    pages.city.publish(StatementKind::Assessment, "dpi_card", LIBRARY, body);
    let list = pages.get("/register/assessments", "en").await.text;
    let card = between(&list, "id=\"dpi_card\"", "</li>");
    assert!(card.contains("Little can happen.") && !card.contains("tag-overdue"), "{card}");
    pages.city.clock.advance(21 * DAY);
    for lang in ["en", "zh-Hant"] {
        let list = pages.get(&format!("/register/assessments?lang={lang}"), lang).await.text;
        assert_eq!(faults(&list, lang), Vec::<String>::new());
        assert!(between(&list, "id=\"dpi_card\"", "</li>").contains("tag-overdue"), "overdue is marked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_has_linked_data_that_names_its_revisions() {
    let pages = Pages::new();
    supervise(&pages.city);
    let register = pages.city.app.register();
    for (list, kind) in [
        ("agencies", StatementKind::Agency),
        ("blocks", StatementKind::DataBlock),
        ("contracts", StatementKind::Contract),
        ("laws", StatementKind::Lawpack),
        ("services", StatementKind::Service),
        ("certificates", StatementKind::Certificate),
    ] {
        let document = json(&pages, &format!("/register/{list}.jsonld")).await;
        let nodes = document["@graph"].as_array().unwrap();
        for outline in register.outlines(kind) {
            let identifier = format!("sha256:{}", outline.hash);
            let node =
                nodes.iter().find(|node| node["dct:identifier"] == *identifier).unwrap_or_else(|| panic!("{}", outline.id));
            assert!(!node["@type"].as_array().unwrap().is_empty());
            let source = node["dct:source"]["@id"].as_str().unwrap().strip_prefix("http://localhost:8080").unwrap();
            let statement = json(&pages, source).await;
            assert_eq!((statement["id"].as_str(), statement["rev"].as_u64()), (Some(outline.id), Some(outline.rev)));
        }
    }
}
