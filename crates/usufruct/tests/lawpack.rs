//! A law is published by command, by two offices, and what it says binds from then on.

use crate::common::{Folder, fails, ok};

#[test]
fn two_offices_publish_a_law_and_mandates_are_held_to_it() {
    let folder = Folder::new("lawpack");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let publish = |name: &str, text: &str| {
        let file = folder.write(&format!("{name}.toml"), text);
        ok(&["publish", "lawpack", &file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir])
    };
    for name in ["generic", "tw", "tw-2026", "eu", "cn"] {
        let file = format!("{}/../core/lawpacks/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        assert!(publish(name, &std::fs::read_to_string(file).unwrap()).contains(&format!("law_{name} is in the register")));
    }
    let strict = "jurisdiction = \"TW\"\ntitle = { en = \"A strict law\", zh-Hant = \"嚴法\" }\nstatus = \"in_force\"\nvalid_from = \"2020-01-01\"\n\
                  [[deadlines]]\nduty = \"mandate_longest\"\nwithin = \"P1D\"\narticle = \"1\"\n\
                  [[sources]]\ntitle = \"A strict law\"\nurl = \"https://law.example\"\n";
    let file = folder.write("alone.toml", strict);
    let said = fails(&["publish", "lawpack", &file, "--key", &keys[0], "--data-dir", &dir], 1);
    assert!(said.contains("1 of 2 roles"), "{said}");

    let mandate = format!("{}/../../examples/taipei-like/mandates/library-card.toml", env!("CARGO_MANIFEST_DIR"));
    let check = || fails(&["mandate", "check", &mandate, "--data-dir", &dir], 1);
    // The library is not in this register, so the law of nobody, the generic one, holds for its mandate.
    assert!(!check().contains("runs longer"));
    publish("generic", &generic_of_one_day());
    let said = check();
    assert!(said.contains("runs longer than 1 days (house 4)"), "{said}");
}

/// The pack that ships, with another longest life of mandates.
fn generic_of_one_day() -> String {
    let file = format!("{}/../core/lawpacks/generic.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("within = \"P1830D\"\narticle = \"house 4\""));
    text.replace("within = \"P1830D\"\narticle = \"house 4\"", "within = \"P1D\"\narticle = \"house 4\"")
}
