//! Pages that are reckoned out of statements: they say from which ones, every row leads to its leaves and their proofs, and other machines get
//! the same rows.

use usufruct_app::{Error, Publication};
use usufruct_core::time::Month;

use super::*;
use crate::common::{LIBRARY, text};
use crate::vendors::supervise;

const RECKONED: [&str; 7] = ["algorithms", "delayed", "drafts", "ending", "late", "refusals", "statistics"];

async fn json(pages: &Pages, path: &str) -> Value {
    let answer = pages.get(path, "en").await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// A city two months later, with cases, tallies, a machine that helps to decide and a vendor that nobody looked at.
fn grown() -> Pages {
    let mut pages = Pages::new();
    supervise(&pages.city);
    let mut body = library_card();
    body["title"] = text("Which books come next");
    body["automated_decision"] = json!("support");
    body["algorithm_url"] = json!("https://library.example/algorithm?of=books&v=1");
    body["operations"] = json!(["decide", "disclose", "match", "statistics", "store"]);
    let id = "mdt_next-books".parse().unwrap();
    let publication =
        pages.city.app.mandate_publication(&id, body, &common::notice(), &pages.city.signer(LIBRARY), pages.city.app.now());
    pages.city.app.publish(&publication.unwrap()).unwrap();
    pages.city.clock.advance(Month::of(pages.city.app.now()).next().next().begins().micros() - pages.city.app.now().micros());
    pages.city.app.run_cases().unwrap();
    pages.city.clock.advance(200 * DAY);
    pages.city.app.run_tallies().unwrap();
    pages.city.app.run_case_tallies().unwrap();
    pages.city.app.publish_log().unwrap();
    pages.cookie = format!("usufruct={}", pages.city.app.open_session(pages.resident, "test").unwrap());
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_such_page_says_what_it_was_reckoned_from() {
    let pages = grown();
    let public = pages.city.app.public_checkpoint().unwrap().unwrap();
    for name in RECKONED.into_iter().chain(["cases"]).filter(|name| *name != "drafts") {
        for lang in ["en", "zh-Hant"] {
            let page = pages.get(&format!("/register/{name}"), lang).await;
            assert_eq!(faults(&page.text, lang), Vec::<String>::new(), "{name}");
            let basis = between(&page.text, "class=\"basis\"", "</section>");
            assert!(basis.contains(&format!(">{}<", public.root())), "{name}: {basis}");
            assert!(basis.contains(&format!(">{}<", public.size())) && basis.contains("/log/checkpoint"), "{name}: {basis}");
            let [covered, behind] =
                if lang == "en" { ["covers them all", "does not cover"] } else { ["已涵蓋", "尚未涵蓋"] };
            assert!(basis.contains(covered) && !basis.contains(behind), "{name}: {basis}");
        }
    }
    // One statement more, which no checkpoint covers yet.
    let mut body = library_card();
    body["title"] = text("Later");
    pages.city.publish_mandate("mdt_coming", body);
    let page = pages.get("/register/late", "en").await.text;
    assert!(between(&page, "class=\"basis\"", "</section>").contains("does not cover the last of them yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_leads_to_its_leaves_and_their_proofs() {
    let pages = grown();
    let public = pages.city.app.public_checkpoint().unwrap().unwrap();
    for name in RECKONED {
        let document = json(&pages, &format!("/register/{name}.jsonld")).await;
        let from = &document["prov:wasDerivedFrom"];
        assert_eq!(
            (from["schema:size"].as_u64(), from["dct:identifier"].as_str()),
            (Some(public.size()), Some(&*public.root().to_string()))
        );
        let rows = document["schema:dataFeedElement"].as_array().unwrap();
        let is_empty = matches!(name, "delayed" | "ending");
        assert!(is_empty || !rows.is_empty(), "{name}: there is nothing to show");
        let ids: BTreeSet<&str> = rows.iter().map(|row| row["@id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), rows.len(), "{name}: each row has a name of its own");
        for row in rows {
            let [sources, proofs] = ["dct:source", "dct:provenance"].map(|part| row[part].as_array().unwrap());
            assert_eq!(sources.len(), proofs.len());
            assert!(name == "drafts" || !sources.is_empty(), "{name}: {row}");
            for (source, proof) in sources.iter().zip(proofs).take(2) {
                let [source, proof] =
                    [source, proof].map(|link| link["@id"].as_str().unwrap().strip_prefix("http://localhost:8080").unwrap());
                assert_eq!(pages.get(source, "en").await.status, StatusCode::OK, "{source}");
                let proof = pages.get(proof, "en").await.text;
                assert!(proof.contains(&public.root().to_string()), "{proof}");
            }
        }
        for lang in ["en", "zh-Hant"] {
            let feed = pages.get(&format!("/register/{name}.atom"), lang).await;
            assert_eq!(feed.status, StatusCode::OK, "{name}");
            assert!(feed.text.contains(&format!("xml:lang=\"{lang}\"")) && feed.text.ends_with("</feed>\n"), "{}", feed.text);
            assert_eq!(feed.text.matches("<entry>").count(), rows.len().min(100), "{name}");
            let told: BTreeSet<&str> =
                feed.text.split("<entry><id>").skip(1).map(|rest| rest.split("</id>").next().unwrap()).collect();
            assert!(told.is_subset(&ids), "{name}: {told:?}");
        }
        let page = pages.get(&format!("/register/{name}"), "en").await.text;
        for form in ["json", "csv", "jsonld", "atom"] {
            assert!(page.contains(&format!("href=\"/register/{name}.{form}")), "{name} has no {form}");
        }
    }
    let quarter = json(&pages, "/register/ending.jsonld?quarter=2027-Q4").await;
    let rows = quarter["schema:dataFeedElement"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["@id"].as_str().unwrap().contains(CARD)), "{quarter}");
    assert_eq!(pages.get("/register/ending.atom?quarter=soon", "en").await.status, StatusCode::NOT_FOUND);
    for list in ["keys", "log", "notices"] {
        let table = pages.get(&format!("/register/{list}.csv"), "en").await.text;
        let mut table = csv::Reader::from_reader(table.as_bytes());
        assert_eq!(table.headers().unwrap().iter().next_back(), Some("leaf"), "{list}");
        let page = pages.get(&format!("/register/{list}"), "en").await.text;
        assert!(
            page.contains(&format!("/register/{list}.csv\"")) && page.contains(&format!("/register/{list}.atom\"")),
            "{list}"
        );
    }
    let notices = pages.get("/register/notices.csv", "en").await.text;
    assert_eq!(notices.lines().count() - 1, pages.city.app.register().notices.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_decides_stands_with_who_answers_and_who_oversees() {
    let pages = grown();
    for (lang, words, unsaid) in [("en", "It helps a person decide", "<dd>Not said</dd>"), ("zh-Hant", "參考", "<dd>未說明</dd>")]
    {
        let page = pages.get("/register/algorithms", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        assert_eq!(page.matches("data-testid=\"algorithm\"").count(), 1, "mandates without a machine are left out");
        let card = between(&page, "id=\"mdt_next-books\"", "</li>");
        assert_eq!(card.matches(unsaid).count(), 2, "neither its proportion nor its risks: {card}");
        for part in [
            words,
            "href=\"https://library.example/algorithm?of=books&#38;v=1\"",
            "href=\"/register/agencies#agc_library\"",
            "href=\"/register/agencies#agc_oversight\"",
            "href=\"/register/mandates/mdt_next-books\"",
            ".tlog-proof\"",
        ] {
            assert!(card.contains(part), "{lang} {part}: {card}");
        }
    }
    let listed = json(&pages, "/register/algorithms.json").await;
    assert_eq!((&listed[0]["mandate"], &listed[0]["automated_decision"]), (&json!("mdt_next-books"), &json!("support")));
    let table = pages.get("/register/algorithms.csv", "en").await.text;
    assert!(
        table.contains("mdt_next-books,active,support,https://library.example/algorithm?of=books&v=1,agc_library,agc_oversight,"),
        "{table}"
    );
    let weighed = |text: &str| {
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let columns = table.headers().unwrap().clone();
        assert_eq!((&columns[columns.len() - 2], &columns[columns.len() - 1]), ("hash", "leaf"));
        let line = table.records().next().unwrap().unwrap();
        let cell = |name: &str| line[columns.iter().position(|column| column == name).unwrap()].to_owned();
        ["title_en", "purpose_en", "official_decides", "assessment", "proportionality_en", "risks_en"].map(cell)
    };
    assert_eq!(weighed(&table), ["Which books come next", "To lend books.", "true", "", "", ""], "nothing was weighed");
    let body = super::facets::assessment(&pages, "mdt_next-books", pages.city.app.now().plus(20 * DAY));
    pages.city.publish(StatementKind::Assessment, "dpi_books", LIBRARY, body);
    let [_, _, _, id, proportion, risks] = weighed(&pages.get("/register/algorithms.csv", "en").await.text);
    assert_eq!((id.as_str(), proportion.as_str()), ("dpi_books", "A card needs a name."));
    assert_eq!(risks.split("; ").collect::<Vec<_>>()[..2], ["chilling: It could.", "discrimination: It could."]);
    let statistics = pages.get("/register/statistics", "en").await.text;
    assert!(between(&statistics, "id=\"may\"", "</section>").contains("/register/mandates/mdt_next-books\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_told_by_the_month_each_with_its_leaf() {
    let pages = grown();
    let register = pages.city.app.register();
    let months = register.case_tallies.values().filter(|entry| entry.body.agency.as_str() == LIBRARY).count();
    assert!(months >= 8, "every month since the first case: {months}");
    for lang in ["en", "zh-Hant"] {
        let page = pages.get("/register/cases", lang).await.text;
        assert_eq!(faults(&page, lang), Vec::<String>::new());
        assert_eq!(page.matches("data-testid=\"case-month\"").count(), register.case_tallies.len());
        for entry in register.case_tallies.values() {
            let row = between(&page, &format!("id=\"{}\"", entry.id), "</tr>");
            assert!(row.contains(&format!(">{}<", entry.body.month)), "{row}");
            assert!(
                row.contains(&format!("href=\"/register/statements/{}\"", entry.index)) && row.contains(".tlog-proof"),
                "{row}"
            );
        }
    }
    let sums = json(&pages, "/register/cases.json").await;
    let challenge =
        sums.as_array().unwrap().iter().find(|line| line["agency"] == LIBRARY && line["kind"] == "challenge").unwrap();
    assert_eq!(
        (&challenge["filed"], &challenge["escalated"], &challenge["in_time"]),
        (&json!("1-9"), &json!("1-9"), &json!("0"))
    );
    let table = pages.get("/register/cases.csv", "en").await.text;
    assert!(table.contains(&format!("{LIBRARY},2026-01,challenge,1-9,0,")), "{table}");
    let graph = json(&pages, "/register/cases.jsonld").await;
    assert_eq!(graph["@graph"].as_array().unwrap().len(), register.case_tallies.len());
    let releases = json(&pages, "/register/statistics.json").await;
    let library = releases["cases"].as_array().unwrap().iter().find(|series| series["about"] == LIBRARY).unwrap();
    assert_eq!((library["releases"].as_u64(), &library["first"]), (Some(months as u64), &json!("2026-01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_page_of_the_web_is_published_as_a_link() {
    let pages = Pages::new();
    let hash = pages.city.app.register().mandates[&CARD.parse().unwrap()].hash;
    let refused = |kind, id: &str, body: Value, field: &str| {
        let mut statement = pages.city.app.statement(kind, id, &LIBRARY.parse().unwrap(), body, pages.city.app.now());
        pages.city.signer(LIBRARY).into_iter().for_each(|signer| statement.approve(signer).unwrap());
        match pages.city.app.publish(&Publication { statements: vec![statement] }) {
            Err(Error::Unlawful(problems)) => {
                let problem = problems.iter().find(|problem| problem.rule == "not-https").unwrap();
                assert_eq!(problem.field, field);
                assert_eq!(problem.message.matches(". ").count(), 1, "what happened, and what to do: {}", problem.message);
            }
            other => panic!("{field}: {other:?}"),
        }
    };
    let mut mandate = library_card();
    mandate["automated_decision"] = json!("support");
    mandate["algorithm_url"] = json!("javascript:alert(1)");
    refused(StatementKind::Mandate, CARD, mandate, "algorithm_url");
    let mut law = library_card();
    law["legal_basis"]["url"] = json!("http://law.example");
    refused(StatementKind::Mandate, CARD, law, "legal_basis.url");
    let document = json!({"title": text("Paper"), "sha256": hash, "url": "data:text/html,x"});
    let change = json!({"object": CARD, "revision": hash, "from": "active", "to": "suspended", "reason": text("So."), "evidence": [document]});
    refused(StatementKind::StatusChange, "sta_1", change, "evidence[0].url");
    for kind in
        [StatementKind::Camera, StatementKind::BodyAudit, StatementKind::Agreement, StatementKind::Breach, StatementKind::Ruling]
    {
        refused(kind, "x", json!({"documents": [{"url": "//evil.example"}]}), "documents[0].url");
    }
}
