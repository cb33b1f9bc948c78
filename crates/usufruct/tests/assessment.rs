//! Where the law asks for an impact assessment, a mandate is published with it or not at all.

use std::fs;

use crate::common::{Folder, city, fails, ok};

const LAW: &str = "jurisdiction = \"TW\"\ntitle = { en = \"A careful law\", zh-Hant = \"審慎法\" }\nstatus = \"in_force\"\nvalid_from = \"2020-01-01\"\n\
                   [[assessed_when]]\ntrigger = \"bulk\"\narticle = \"Rule 7\"\n\
                   [[deadlines]]\nduty = \"access\"\nwithin = \"P15D\"\narticle = \"1\"\n\
                   [[sources]]\ntitle = \"A careful law\"\nurl = \"https://law.example\"\n";

/// An impact assessment as it stands in a mandate file, without the risk that is left out.
fn assessment(left_out: &str) -> String {
    let words = |en: &str| format!("{{ en = \"{en}\", zh-Hant = \"{en}（中文）\" }}");
    let kinds = ["chilling", "discrimination", "error", "exclusion", "function_creep"];
    let risk = |kind: &&str| {
        format!(
            "[[assessment.risks]]\nkind = \"{kind}\"\nwhat = {}\nbefore = {{ likelihood = 3, severity = 4 }}\nafter = {{ likelihood = 1, severity = 4 }}\n",
            words("It could.")
        )
    };
    let risks: String = kinds.iter().filter(|kind| **kind != left_out).map(risk).collect();
    let texts = ["summary", "description", "necessity", "people", "residents", "advice", "residual", "review_trigger"];
    let texts: String = texts.map(|field| format!("{field} = {}\n", words("Said."))).concat();
    format!(
        "\n[assessment]\n{texts}decision = \"continue\"\nreview_due = \"today+300d\"\nalternatives = [{{ what = {}, rejected_because = {} }}]\n\
         measures = [{{ what = {}, owner = \"The office of readers\", due = \"today+90d\" }}]\n{risks}",
        words("Nothing."),
        words("Books would not come back."),
        words("Names go after a month.")
    )
}

#[test]
fn a_mandate_is_published_with_the_assessment_that_the_law_asks_for() {
    let folder = Folder::new("assessment");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let operators = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let publish = |kind: &str, file: &str| {
        ok(&["publish", kind, file, "--key", &operators[0], "--key", &operators[1], "--data-dir", &dir]);
    };
    let mut keys = Vec::new();
    for body in ["oversight", "civil-affairs", "library"] {
        let mut text: String = fs::read_to_string(city(&format!("agencies/{body}.toml"))).unwrap();
        text = text.lines().filter(|line| !line.starts_with("roles")).map(|line| format!("{line}\n")).collect();
        keys = ["head", "data-protection"].map(|office| folder.at(&format!("{body}-{office}.json"))).into();
        for (office, key) in ["head", "data-protection"].iter().zip(&keys) {
            ok(&["key", "new", "--agency", &format!("agc_{body}"), "--key", office, "--out", key]);
            text += &ok(&["key", "public", key]);
        }
        publish("agency", &folder.write(&format!("{body}.toml"), &text));
    }
    for block in ["name", "over-18", "email", "preferred-language"] {
        publish("block", &city(&format!("blocks/{block}.toml")));
    }
    publish("lawpack", &folder.write("tw.toml", LAW));

    let card = fs::read_to_string(city("mandates/library-card.toml")).unwrap();
    let card = card.replace("bulk_limit = 1\n", "bulk_limit = 50\nimpact_assessment = \"https://library.example/assessment\"\n");
    let write = |assessment: &str| folder.write("library-card.toml", &format!("{card}{assessment}"));
    let signed =
        |file: &str| ["mandate", "publish", file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir].map(str::to_owned);
    let fail = |file: &str| fails(&signed(file).each_ref().map(String::as_str), 1);
    let without = fail(&write(""));
    assert!(without.contains("impact assessment because of `bulk` (Rule 7)"), "{without}");
    let partly = fail(&write(&assessment("exclusion")));
    assert!(partly.contains("assessment.risks: Nothing is said of the risk `exclusion`."), "{partly}");
    let whole = write(&assessment(""));
    assert!(ok(&["mandate", "check", &whole, "--data-dir", &dir]).contains("lawful"));
    ok(&signed(&whole).each_ref().map(String::as_str));
    let list = ok(&["mandate", "list", "--data-dir", &dir]);
    assert!(list.contains("mdt_library-card") && list.contains(" active "), "{list}");
}
