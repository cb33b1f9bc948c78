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
        named.iter().filter_map(|word| word.split_once("::")).filter(|(file, _)| !file.ends_with("file")).collect();
    assert!(tests.len() > 80, "{}", tests.len());
    for (file, name) in tests {
        let path = match file.strip_prefix("app/") {
            Some(file) => format!("../app/tests/{file}.rs"),
            None if file.contains('/') => format!("tests/{file}.rs"),
            None => format!("tests/oidc/{file}.rs"),
        };
        let source = fs::read_to_string(root.join(&path)).unwrap_or_else(|_| panic!("{path} is not there"));
        assert!(source.contains(&format!("fn {name}(")), "{path} has no test {name}");
    }
    let is_module = |word: &str| {
        ["fapi2-", "oidcc-", "openid-ssf-"].iter().any(|prefix| word.len() > prefix.len() && word.starts_with(prefix))
    };
    for module in named.iter().filter(|word| is_module(word)) {
        assert!(modules.contains(&format!("`{module}` |")), "{module} is no row of conformance.md");
    }
    let table = page.split("## Software off the shelf").next().unwrap();
    let rules: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule |")).collect();
    assert!(rules.len() > 70, "{}", rules.len());
    for rule in rules {
        let shown_by = rule.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut names = shown_by.split('`').skip(1).step_by(2);
        assert!(names.any(|name| name.contains("::") || is_module(name)), "{rule}");
    }
}

#[test]
fn the_software_off_the_shelf_is_run_by_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/provider.md")).unwrap();
    let table = page.split("## Software off the shelf").nth(1).unwrap();
    let clients = fs::read_to_string(root.join("e2e/clients/clients.test.js")).unwrap();
    let mut titles = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for file in shown_by.split('`').skip(1).step_by(2) {
            assert!(root.join(file).exists(), "{file}");
        }
        if let Some(title) = shown_by.split('"').nth(1) {
            assert!(clients.contains(&format!("test(\"{title}\"")), "{title}");
            titles += 1;
        }
    }
    assert!(titles >= 5, "{titles}");
}
