//! The samples in docs/operations.md are what people copy, so each must be one that the program takes.

use serde_json::Value;
use usufruct_core::vault_terms::VaultTerms;

use crate::compose;
use crate::data_dir::Setup;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const ORIGIN: &str = "pass.example.org/log";

/// The samples in TOML, in their order.
fn samples() -> Vec<&'static str> {
    let blocks = OPERATIONS.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Whether a sample is a file with the terms of the vault; all others are parts of the set-up.
fn is_terms(sample: &str) -> bool {
    sample.lines().any(|line| line.starts_with("slot_class"))
}

#[test]
fn every_sample_of_the_set_up_is_one() {
    let set_ups: Vec<&str> = samples().into_iter().filter(|sample| !is_terms(sample)).collect();
    for table in ["[certificate_cards]", "[mail]", "[nightly]", "[vault.escrow]", "[log]", "[provider]"] {
        assert!(set_ups.iter().any(|sample| sample.contains(table)), "there is a sample of {table}");
    }
    for sample in set_ups {
        let text = format!("origin = \"{ORIGIN}\"\noperator = \"agc_information\"\n{sample}");
        toml::from_str::<Setup>(&text).unwrap_or_else(|error| panic!("{sample}\n{error}"));
    }
}

#[test]
fn the_sample_of_the_terms_of_the_vault_is_taken_and_names_the_escrow_of_the_set_up() {
    let terms: Vec<&str> = samples().into_iter().filter(|sample| is_terms(sample)).collect();
    let [sample] = terms[..] else { panic!("one sample of the terms of the vault, and there are {}", terms.len()) };
    let body: Value = toml::from_str(sample).unwrap();
    let terms = VaultTerms::read(&compose::vault_terms(body, ORIGIN, None)).unwrap();
    let escrow = samples().into_iter().find(|sample| sample.contains("[vault.escrow]")).unwrap();
    let set_up: toml::Table = escrow.parse().unwrap();
    let set_up = &set_up["vault"]["escrow"];
    let named = terms.escrow.expect("it names an escrow");
    assert_eq!(set_up["period_days"].as_integer(), Some(named.period_days));
    assert_eq!(set_up["threshold"].as_integer(), Some(named.threshold));
}
