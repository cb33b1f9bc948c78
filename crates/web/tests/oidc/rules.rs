//! The page that says which test shows which rule names tests that there are.

use std::fs;
use std::path::Path;

#[test]
fn the_page_of_rules_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../../docs/provider.md")).unwrap();
    let modules = fs::read_to_string(root.join("../../docs/conformance.md")).unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let tests: Vec<(&str, &str)> =
        named.iter().filter_map(|word| word.split_once("::")).filter(|(file, _)| *file != "Answer" && *file != "file").collect();
    assert!(tests.len() > 40, "{}", tests.len());
    for (file, name) in tests {
        let path = if file.contains('/') { format!("tests/{file}.rs") } else { format!("tests/oidc/{file}.rs") };
        let source = fs::read_to_string(root.join(&path)).unwrap_or_else(|_| panic!("{path} is not there"));
        assert!(source.contains(&format!("fn {name}()")), "{path} has no test {name}");
    }
    for module in named.iter().filter(|word| {
        ["fapi2-", "oidcc-", "openid-ssf-"].iter().any(|prefix| word.len() > prefix.len() && word.starts_with(prefix))
    }) {
        assert!(modules.contains(&format!("`{module}` |")), "{module} is no row of conformance.md");
    }
}
