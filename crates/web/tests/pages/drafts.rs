//! The counts of the registers of elsewhere: every number, in the JSON and on the page.

use super::*;

/// What every entry of the first two lacks, since neither register asks for it.
const NOBODY_SAYS: [&str; 18] = [
    "automated_decision",
    "blocks",
    "bulk_limit",
    "consultation",
    "fetch",
    "gate",
    "locations",
    "mode",
    "operations",
    "oversight_body",
    "purpose.commercial",
    "purpose.dpv",
    "purpose.local_code",
    "rate_cap",
    "reasons",
    "recipients",
    "retention",
    "sunset_at",
];

/// What a register lacks beside that, as empty and filled cells of its own columns have it.
const MEASURES: [(&str, &str, u64); 11] = [
    ("controller", "malformed", 471),
    ("controller", "missing", 179),
    ("eight_conditions", "missing", 650),
    ("emergency", "missing", 650),
    ("impact_assessment", "missing", 650),
    ("legal_basis", "missing", 650),
    ("purpose.sentence", "missing", 5),
    ("purpose.sentence", "one-language", 645),
    ("starts_at", "missing", 353),
    ("subjects", "one-language", 650),
    ("title", "one-language", 650),
];
const ALGORITHMS: [(&str, &str, u64); 11] = [
    ("controller", "malformed", 1_530),
    ("legal_basis", "missing", 362),
    ("legal_basis.article", "missing", 1_168),
    ("legal_basis.code", "missing", 1_168),
    ("legal_basis.instrument", "one-language", 1_168),
    ("legal_basis.url", "missing", 1_168),
    ("purpose.sentence", "missing", 8),
    ("purpose.sentence", "one-language", 1_522),
    ("starts_at", "missing", 1_530),
    ("subjects", "missing", 1_530),
    ("title", "one-language", 1_530),
];

/// What all cameras of Trafford lack, and one whose longitude has sixteen decimals.
const CAMERAS: [(&str, &str, u64); 15] = [
    ("applicant", "missing", 163),
    ("audio", "missing", 163),
    ("authority", "missing", 163),
    ("direction", "missing", 163),
    ("face_recognition", "missing", 163),
    ("field", "missing", 163),
    ("installer", "missing", 163),
    ("joined_with_personal_data", "missing", 163),
    ("location.longitude", "malformed", 1),
    ("location.place", "one-language", 163),
    ("location.precision_m", "missing", 163),
    ("purpose_code", "missing", 163),
    ("px_per_m", "missing", 163),
    ("recording", "missing", 163),
    ("view_request_url", "missing", 163),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_count_of_all_registers() {
    let pages = Pages::new();
    let found: Value = serde_json::from_str(&pages.get("/register/drafts.json", "en").await.text).unwrap();
    let registers = [
        ("pandemic_measures", 650, &MEASURES[..], &NOBODY_SAYS[..]),
        ("dutch_algorithms", 1_530, &ALGORITHMS[..], &NOBODY_SAYS),
        ("trafford_cameras", 163, &CAMERAS[..], &[]),
    ];
    assert_eq!(found.as_array().unwrap().len(), registers.len());
    for (register, (origin, entries, own, nobody_says)) in found.as_array().unwrap().iter().zip(registers) {
        assert_eq!(register["origin"], origin);
        assert_eq!((register["entries"].as_u64(), register["complete"].as_u64()), (Some(entries), Some(0)));
        let everywhere = nobody_says.iter().map(|field| (*field, "missing", entries));
        let expected: BTreeSet<_> = everywhere.chain(own.iter().copied()).collect();
        let lacks = register["lacks"].as_array().unwrap();
        let lacks: BTreeSet<_> = lacks
            .iter()
            .map(|lack| (lack["field"].as_str().unwrap(), lack["rule"].as_str().unwrap(), lack["entries"].as_u64().unwrap()))
            .collect();
        assert_eq!(lacks, expected, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_them_in_both_languages() {
    let pages = Pages::new();
    for (lang, missing) in [("en", "is not said"), ("zh-Hant", "未載明")] {
        let html = pages.get("/register/drafts", lang).await.text;
        assert_eq!(faults(&html, lang), Vec::<String>::new());
        for (id, basis) in [("measures", 650), ("dutch", 362)] {
            let section = between(&html, &format!("id=\"{id}\""), "</section>");
            let row = between(section, "<code>legal_basis</code>", "</tr>");
            assert!(row.contains(&format!(">{basis}</td>")) && row.contains(&format!(">{missing}</td>")), "{lang} {id}: {row}");
        }
        // Every field and every rule has words.
        let words: Vec<_> = html.split("\">").filter(|cell| cell.contains("</code></td>")).collect();
        assert_eq!(words.len(), NOBODY_SAYS.len() * 2 + MEASURES.len() + ALGORITHMS.len() + CAMERAS.len());
        for cell in words {
            let (said, code) = cell.split_once(" <code>").unwrap();
            assert_ne!(said, code.split('<').next().unwrap(), "{lang}");
        }
        assert!(!html.contains(">one-language</td>") && !html.contains(">malformed</td>"));
    }
}
