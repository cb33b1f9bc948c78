//! The plan of the house, checked: which crate may know which, what may be linked in, and rules of style that no
//! compiler knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Who may depend on whom. Everything else is refused. `bench` measures and may know all but the binary.
const EDGES: &[(&str, &[&str])] = &[
    ("usufruct", &["usufruct-web", "usufruct-app", "usufruct-core", "usufruct-log", "usufruct-store", "usufruct-vault"]),
    ("usufruct-web", &["usufruct-app", "usufruct-core"]),
    ("usufruct-app", &["usufruct-core", "usufruct-log", "usufruct-store", "usufruct-vault"]),
    ("usufruct-store", &["usufruct-core"]),
    ("usufruct-vault", &["usufruct-core"]),
    ("usufruct-log", &["usufruct-core"]),
    ("usufruct-core", &[]),
    ("usufruct-bench", &["usufruct-web", "usufruct-app", "usufruct-core", "usufruct-log", "usufruct-store", "usufruct-vault"]),
];

/// The law and the log run without a runtime, a server, a database or a client.
const PURE: &[&str] = &["usufruct-core", "usufruct-log"];
const IMPURE: &[&str] = &["axum", "hyper", "reqwest", "rusqlite", "tokio", "tokio-postgres"];

/// A longer file wants to be two.
const MOST_LINES: usize = 800;

#[test]
fn crates_know_only_the_crates_below_them() {
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in members() {
        let name = text(package, "name");
        let Some(below) = allowed.get(name) else {
            wrong.push(format!("{name} has no place in the plan"));
            continue;
        };
        let known = list(package, "dependencies")
            .filter(|dependency| dependency["path"].is_string())
            .map(|dependency| text(dependency, "name"));
        wrong.extend(known.filter(|known| !below.contains(known)).map(|known| format!("{name} -> {known}")));
    }
    assert_none("an edge that the plan does not have", &wrong);
}

#[test]
fn law_and_log_stand_alone() {
    let nodes: BTreeMap<_, _> = list(&metadata()["resolve"], "nodes").map(|node| (text(node, "id"), node)).collect();
    let names: BTreeMap<_, _> =
        list(metadata(), "packages").map(|package| (text(package, "id"), text(package, "name"))).collect();
    let mut wrong = Vec::new();
    for root in members().filter(|package| PURE.contains(&text(package, "name"))) {
        let mut closure = BTreeSet::new();
        let mut todo = vec![text(root, "id")];
        while let Some(id) = todo.pop() {
            if closure.insert(id) {
                let needed = list(nodes[id], "deps").filter(|dep| list(dep, "dep_kinds").any(|kind| kind["kind"] != "dev"));
                todo.extend(needed.map(|dep| text(dep, "pkg")));
            }
        }
        let linked = closure.iter().map(|id| names[id]).filter(|name| IMPURE.contains(name));
        wrong.extend(linked.map(|name| format!("{} needs {name}", text(root, "name"))));
    }
    assert_none("a dependency that law and log must not have", &wrong);
}

#[test]
fn no_crate_may_use_unsafe_code() {
    let workspace = toml(&root().join("Cargo.toml"));
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let own = |package: &Value| toml(Path::new(text(package, "manifest_path")));
    let careless = members().filter(|package| {
        own(package).get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) != Some(true)
    });
    assert_none(
        "a member without `[lints] workspace = true`",
        &careless.map(|package| text(package, "name").to_owned()).collect::<Vec<_>>(),
    );
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = toml(&root().join("deny.toml"));
    let allow = deny["licenses"]["allow"].as_array().expect("deny.toml lists licences");
    let allow: BTreeSet<&str> = allow.iter().filter_map(toml::Value::as_str).collect();
    let refused = list(metadata(), "packages").filter(|package| {
        let licence = package["license"].as_str().unwrap_or_default();
        !Licence::of(licence).is_allowed(&allow)
    });
    let refused: Vec<_> = refused
        .map(|package| format!("{} {}: {}", text(package, "name"), text(package, "version"), package["license"]))
        .collect();
    assert_none("a licence that deny.toml does not allow", &refused);
}

#[test]
fn what_may_be_published_lacks_nothing() {
    let publishable = |package: &Value| package["publish"].is_null();
    let names: BTreeSet<&str> = members().filter(|package| publishable(package)).map(|package| text(package, "name")).collect();
    assert_eq!(names, BTreeSet::from(["usufruct-core", "usufruct-log", "usufruct-vault"]));
    let mut wrong = Vec::new();
    for package in members().filter(|package| publishable(package)) {
        let name = text(package, "name");
        for field in ["description", "license"] {
            if package[field].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{name} has no {field}"));
            }
        }
        let own = list(package, "dependencies").filter(|dependency| !dependency["path"].is_null());
        for dependency in own {
            let needed = text(dependency, "name");
            if !names.contains(needed) || text(dependency, "req") == "*" {
                wrong.push(format!("{name} needs {needed}, which is not published or named without a version"));
            }
        }
    }
    assert_none("a crate that cannot be published", &wrong);
    assert!(root().join("crates/vault/README.md").exists());
}

#[test]
fn dependencies_come_from_the_registry_only() {
    let foreign = list(metadata(), "packages").filter(|package| {
        let source = package["source"].as_str();
        source.is_some_and(|source| !source.starts_with("registry+")) || source.is_none() && !is_member(package)
    });
    assert_none("a dependency from git or a folder", &foreign.map(|package| text(package, "id").to_owned()).collect::<Vec<_>>());
}

#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    for folder in ["bench", "crates", "e2e", "fuzz", "script", "verifier"] {
        walk(&root().join(folder), &mut files);
    }
    let source = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        ["css", "html", "js", "rs", "sh", "sql"].contains(&extension.as_str())
    };
    let long = files.iter().filter(|path| source(path)).filter_map(|path| {
        let lines = read(path).lines().count();
        (lines > MOST_LINES).then(|| format!("{} has {lines} lines", short(path)))
    });
    assert_none("a source file of more than 800 lines", &long.collect::<Vec<_>>());
}

#[test]
fn every_column_is_explained() {
    let mut wrong = Vec::new();
    for path in files_in("crates/store/migrations", "sql") {
        let sql = read(&path);
        let mut inside = false;
        let mut before = "";
        for (at, line) in sql.lines().enumerate() {
            let line = line.trim();
            let bad = |what: &str| format!("{}:{}: {what}: {line}", short(&path), at + 1);
            let explained = before.starts_with("--");
            if line.starts_with("CREATE TABLE") {
                inside = true;
                if !explained {
                    wrong.push(bad("a table without a comment"));
                }
            } else if inside && line.starts_with(')') {
                inside = false;
            } else {
                let is_column = inside && !line.is_empty() && !line.starts_with("--") && !is_constraint(line);
                let is_added = line.starts_with("ALTER TABLE") && line.contains("ADD COLUMN");
                if (is_column || is_added) && !explained {
                    wrong.push(bad("a column without a comment"));
                }
            }
            before = line;
        }
    }
    assert_none("something unexplained in a migration", &wrong);
}

#[test]
fn every_statement_of_sql_has_a_name() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in files_in("crates/store/src", "rs") {
        let source = read(&path);
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (line, literal) in string_literals(code) {
            let after_name =
                literal.split_once('\n').filter(|(first, _)| first.starts_with("--")).map_or(literal.as_str(), |(_, rest)| rest);
            if !is_statement(after_name) {
                continue;
            }
            count += 1;
            let name = literal.lines().next().and_then(|first| first.strip_prefix("-- ")).unwrap_or_default();
            let good = name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if !good {
                wrong.push(format!("{}:{line}: {}", short(&path), literal.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(count > 20, "only {count} statements found: the scanner is broken");
    assert_none("SQL that does not begin with `-- noun_verb`", &wrong);
}

#[test]
fn no_type_holds_a_resident_and_her_pseudonym() {
    let mut wrong = Vec::new();
    let (mut residents, mut pseudonyms) = (0, 0);
    for (path, source) in product_sources() {
        for (name, fields) in types_of(&source) {
            let of_resident = fields.iter().any(|(field, kind)| is_of_resident(field, kind));
            let of_pseudonym = fields.iter().any(|(field, kind)| is_of_pseudonym(field, kind));
            residents += usize::from(of_resident);
            pseudonyms += usize::from(of_pseudonym);
            if of_resident && of_pseudonym {
                wrong.push(format!("{}: {name}", short(&path)));
            }
        }
    }
    assert!(residents > 10 && pseudonyms > 5, "{residents} and {pseudonyms} types found: the scanner is broken");
    assert_none("a type with a resident, seed or keyring beside a pseudonym", &wrong);
}

#[test]
fn nothing_is_logged_of_residents_and_pseudonyms() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, source) in product_sources() {
        for call in calls_of(&source, &["trace!(", "debug!(", "info!(", "warn!(", "error!(", "println!(", "print!("]) {
            count += 1;
            let mut words = call.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| ["keyring", "pseudonym", "resident", "seed", "subject", "subjects"].contains(&word)) {
                wrong.push(format!("{}: {}", short(&path), call.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(count > 20, "only {count} calls found: the scanner is broken");
    assert_none("something of a resident in the program's log", &wrong);
}

#[test]
fn types_and_calls_are_read_as_they_are_meant() {
    let source = "/// A struct { resident: u64 }.\npub struct Row<'a> {\n    /// subject: text.\n    pub resident: u64,\n    pub to: Option<&'a Subject>,\n}\n\
        enum Act { Erase { resident: u64 }, Tell { subject: String } }\nstruct Unit;\nstruct Pair(Seed, Subject);";
    let types = types_of(source);
    let names: Vec<&str> = types.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Row", "Act", "Pair"]);
    for (name, fields) in &types {
        assert!(fields.iter().any(|(field, kind)| is_of_resident(field, kind)), "{name}");
        assert!(fields.iter().any(|(field, kind)| is_of_pseudonym(field, kind)), "{name}");
    }
    assert!(
        types_of("struct Row { residents_enrolled: u64, to: SubjectLine }").iter().all(|(_, fields)| {
            fields.iter().all(|(field, kind)| !is_of_resident(field, kind) && !is_of_pseudonym(field, kind))
        })
    );
    assert_eq!(calls_of("info!(a, \"x\", f(b)); warn!(\n c\n)", &["info!(", "warn!("]), ["a, \"x\", f(b)", "\n c\n"]);
}

#[test]
fn both_languages_say_the_same_things() {
    let folder = |language: &str| root().join("crates/web/locales").join(language);
    let catalogues = |language: &str| -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
        let mut paths = Vec::new();
        walk(&folder(language), &mut paths);
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "ftl"));
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        paths.iter().map(|path| (name(path), messages(&read(path)))).collect()
    };
    let (english, chinese) = (catalogues("en"), catalogues("zh-Hant"));
    assert!(!english.is_empty(), "no catalogue was found");
    let mut wrong = Vec::new();
    let empty = BTreeMap::new();
    for file in english.keys().chain(chinese.keys()).collect::<BTreeSet<_>>() {
        let (en, zh) = (english.get(file).unwrap_or(&empty), chinese.get(file).unwrap_or(&empty));
        for key in en.keys().chain(zh.keys()).collect::<BTreeSet<_>>() {
            match (en.get(key), zh.get(key)) {
                (Some(_), None) => wrong.push(format!("{file}: {key} is missing in zh-Hant")),
                (None, Some(_)) => wrong.push(format!("{file}: {key} is missing in en")),
                (one, other) if one != other => wrong.push(format!("{file}: {key} has other variables in zh-Hant")),
                _ => {}
            }
        }
    }
    assert_none("a message that the other language does not have", &wrong);
}

/// The test files in `folder`, and those in the folders of it that have a `main.rs`, that no program of tests has: neither one of `programs` nor
/// declared in the `main.rs` beside it. Other folders hold what tests share.
fn forgotten(folder: &Path, programs: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.retain(|path| {
        let root = path.with_file_name("main.rs");
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let is_test = is_source && (path.parent() == Some(folder) || root.is_file());
        let named = format!("mod {};", path.file_stem().unwrap_or_default().to_string_lossy());
        let is_declared = root.is_file() && read(&root).lines().any(|line| line == named);
        is_test && !programs.contains(path) && !is_declared
    });
    files
}

/// Cargo looks for no tests in a package with `autotests = false`, and none looks for modules that nobody declares: such a file is never compiled.
#[test]
fn no_test_file_is_forgotten() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for package in members() {
        let folder = Path::new(text(package, "manifest_path")).with_file_name("tests");
        let is_test = |target: &&Value| list(target, "kind").any(|kind| kind == "test");
        let programs: BTreeSet<PathBuf> =
            list(package, "targets").filter(is_test).map(|target| PathBuf::from(text(target, "src_path"))).collect();
        count += programs.len();
        if folder.is_dir() {
            wrong.extend(forgotten(&folder, &programs).iter().map(|path| short(path)));
        }
    }
    assert!(count > 10, "only {count} programs of tests found: the scanner is broken");
    assert_none("a test file that is in no program of tests", &wrong);
}

#[test]
fn forgotten_test_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    };
    let main = write("main.rs", "mod common;\nmod one;\n// mod three;\n");
    write("one.rs", "");
    write("common/mod.rs", "mod helper;\n");
    write("common/helper.rs", "");
    let own = write("own/main.rs", "mod four;\n");
    write("own/four.rs", "");
    let mut lost = vec![write("three.rs", ""), write("own/five.rs", ""), write("unnamed/main.rs", "")];
    lost.sort();
    assert_eq!(forgotten(folder.path(), &[main, own].into()), lost);
}

#[test]
fn every_test_that_the_documents_cite_is_there() {
    let mut files = Vec::new();
    ["crates", "docs", "e2e/tests", "verifier"].iter().for_each(|folder| walk(&root().join(folder), &mut files));
    let with = |extension: &'static str| files.iter().filter(move |path| path.extension().is_some_and(|own| own == extension));
    let sources: Vec<(String, String)> = ["rs", "js"].into_iter().flat_map(with).map(|path| (short(path), read(path))).collect();
    let words =
        |source: &str| source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>();
    let known: BTreeSet<String> = sources.iter().flat_map(|(_, source)| words(source)).collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in with("md") {
        for cited in citations(&read(path)) {
            count += 1;
            let is_there = match cited.split_once(": ") {
                Some((file, name)) => {
                    sources.iter().any(|(path, source)| path.ends_with(file) && words(source).iter().any(|word| word == name))
                }
                None => known.contains(&cited),
            };
            if !is_there {
                wrong.push(format!("{}: {cited}", short(path)));
            }
        }
    }
    assert!(count > 30, "only {count} citations found: the scanner is broken");
    assert_none("a test that a document cites and nobody wrote", &wrong);
}

/// What a document has in code marks that can only be the name of a test, or of a word that is in the source as well: four words or more
/// joined by underscores. A file before it, as in `token.rs: a_name`, is kept.
fn citations(document: &str) -> Vec<String> {
    let prose = document.split("```").step_by(2);
    let marked = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_name = |name: &str| {
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        name.split('_').count() >= 4 && name.split('_').all(is_word)
    };
    let is_file = |file: &str| file.ends_with(".rs") && !file.contains(' ');
    marked
        .filter(|text| text.split_once(": ").map_or(is_name(text), |(file, name)| is_file(file) && is_name(name)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn citations_are_read_as_they_are_meant() {
    let document = "It ends (`a_b_c_d`, `x.rs: e_f_g_h`).\n```\nserve `not_in_a_block`\n```\nSee `three_words_only` and `Some_Thing_Else_Here`, `a_b_c_d = 1`.";
    assert_eq!(citations(document), ["a_b_c_d", "x.rs: e_f_g_h"]);
}

/// An SPDX expression.
enum Licence {
    Name(String),
    All(Vec<Licence>),
    Any(Vec<Licence>),
}

impl Licence {
    fn of(expression: &str) -> Self {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        Self::any(&mut words.as_slice())
    }

    fn any(words: &mut &[&str]) -> Self {
        let mut parts = vec![Self::all(words)];
        while words.first() == Some(&"OR") {
            *words = &words[1..];
            parts.push(Self::all(words));
        }
        Self::Any(parts)
    }

    fn all(words: &mut &[&str]) -> Self {
        let mut parts = vec![Self::one(words)];
        while words.first() == Some(&"AND") {
            *words = &words[1..];
            parts.push(Self::one(words));
        }
        Self::All(parts)
    }

    fn one(words: &mut &[&str]) -> Self {
        let Some((first, rest)) = words.split_first() else { return Self::Name(String::new()) };
        *words = rest;
        if *first == "(" {
            let inner = Self::any(words);
            *words = words.split_first().map_or(&[], |(_, rest)| rest);
            return inner;
        }
        match **words {
            ["WITH", exception, ..] => {
                *words = &words[2..];
                Self::Name(format!("{first} WITH {exception}"))
            }
            _ => Self::Name((*first).to_owned()),
        }
    }

    fn is_allowed(&self, allow: &BTreeSet<&str>) -> bool {
        match self {
            Self::Name(name) => allow.contains(name.as_str()),
            Self::All(parts) => parts.iter().all(|part| part.is_allowed(allow)),
            Self::Any(parts) => parts.iter().any(|part| part.is_allowed(allow)),
        }
    }
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    let allow = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    let allowed = |expression| Licence::of(expression).is_allowed(&allow);
    assert!(allowed("MIT"));
    assert!(allowed("GPL-3.0 OR MIT"));
    assert!(allowed("GPL-3.0/MIT"));
    assert!(allowed("ISC AND (MIT OR OpenSSL)"));
    assert!(allowed("Apache-2.0 WITH LLVM-exception"));
    assert!(!allowed("Apache-2.0"));
    assert!(!allowed("MIT AND GPL-3.0"));
    assert!(!allowed("(MIT OR ISC) AND GPL-3.0"));
    assert!(!allowed(""));
}

/// The messages of a Fluent catalogue, terms and attributes among them, each with its variables.
fn messages(catalogue: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut message = String::new();
    let mut key = String::new();
    for line in catalogue.lines() {
        let indented = line.starts_with(' ');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if !indented && let Some((name, _)) = line.split_once('=') {
            name.trim().clone_into(&mut message);
            key.clone_from(&message);
        } else if let Some((attribute, _)) = line.trim().split_once('=').filter(|(name, _)| name.starts_with('.')) {
            key = format!("{message}{}", attribute.trim());
        }
        let variables = line
            .split('$')
            .skip(1)
            .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect());
        found.entry(key.clone()).or_default().extend(variables);
    }
    found
}

/// Rust files of the product with their text before their tests, comments taken out.
fn product_sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    walk(&root().join("crates"), &mut files);
    let is_product = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.ends_with(".rs") && path.contains("/src/") && !path.contains("/tests") && !path.contains("/demo")
    };
    let text = |path: &PathBuf| {
        let text = read(path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        product.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    files.into_iter().filter(is_product).map(|path| (path.clone(), text(&path))).collect()
}

/// The structs and enums of Rust source, each with its fields by name (a place has none) and type.
fn types_of(source: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let plain = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    for keyword in ["struct ", "enum "] {
        for (at, _) in plain.match_indices(keyword) {
            let is_word = plain[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
            let rest = &plain[at + keyword.len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(begin) = rest.find(['{', '(', ';']).filter(|_| is_word && !name.is_empty()) else { continue };
            if rest[begin..].starts_with(';') {
                continue;
            }
            let body = enclosed(&rest[begin..]);
            let field = |part: &str| match part.rsplit_once(": ") {
                Some((name, kind)) => {
                    (name.rsplit([' ', '{', '(']).next().unwrap_or_default().trim().to_owned(), kind.trim().to_owned())
                }
                None => (String::new(), part.trim().to_owned()),
            };
            found.push((at, name, body.split(',').map(field).collect()));
        }
    }
    found.sort_by_key(|(at, ..)| *at);
    found.into_iter().map(|(_, name, fields)| (name, fields)).collect()
}

fn is_of_resident(field: &str, kind: &str) -> bool {
    ["keyring", "resident", "seed", "seed_index"].contains(&field) || has_word(kind, &["Keyring", "Seed"])
}

fn is_of_pseudonym(field: &str, kind: &str) -> bool {
    ["pseudonym", "subject", "subjects"].contains(&field) || has_word(kind, &["Subject"])
}

fn has_word(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| words.contains(&word))
}

/// What stands in the brackets of these macro calls.
fn calls_of(source: &str, openings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for opening in openings {
        for (at, _) in source.match_indices(opening) {
            let before = source[..at].chars().next_back();
            if before.is_none_or(|before| !before.is_alphanumeric() && before != '_') {
                found.push((at, enclosed(&source[at + opening.len() - 1..]).to_owned()));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, call)| call).collect()
}

/// What stands between a bracket at the beginning and its counterpart.
fn enclosed(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, sign) in text.char_indices() {
        match sign {
            '{' | '(' => depth += 1,
            '}' | ')' => {
                depth -= 1;
                if depth == 0 {
                    return &text[1..at];
                }
            }
            _ => {}
        }
    }
    ""
}

/// The string literals of Rust source as their values, each with the line it begins on. Comments and characters are skipped.
fn string_literals(source: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let line_of = |at: usize| chars[..at].iter().filter(|c| **c == '\n').count() + 1;
    while at < chars.len() {
        match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                at += chars[at..].iter().position(|c| *c == '\n').unwrap_or(chars.len() - at)
            }
            '\'' => {
                at += if chars.get(at + 1) == Some(&'\\') {
                    4
                } else if chars.get(at + 2) == Some(&'\'') {
                    3
                } else {
                    1
                }
            }
            '"' => {
                let begin = at;
                let mut value = String::new();
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    if chars[at] == '\\' {
                        at += 1;
                        match chars[at] {
                            'n' => value.push('\n'),
                            '\n' => {
                                while chars.get(at + 1).is_some_and(|c| c.is_whitespace()) {
                                    at += 1;
                                }
                            }
                            other => value.push(other),
                        }
                    } else {
                        value.push(chars[at]);
                    }
                    at += 1;
                }
                at += 1;
                found.push((line_of(begin), value));
            }
            _ => at += 1,
        }
    }
    found
}

fn is_statement(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["ALTER", "CREATE", "DELETE", "DROP", "INSERT", "REPLACE", "SELECT", "UPDATE", "WITH"].contains(&first)
        && text.split_whitespace().count() > 2
}

fn is_constraint(line: &str) -> bool {
    ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK", "CONSTRAINT"].iter().any(|word| line.starts_with(word))
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// What cargo knows about this workspace and everything it is built from.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let ask = |extra: &[&str]| {
            let mut command = Command::new(&cargo);
            command.current_dir(root()).args(["metadata", "--format-version", "1", "--all-features"]).args(extra);
            command.output().expect("cargo runs")
        };
        // Crates for other systems may never have been fetched here.
        let mut answer = ask(&["--offline"]);
        if !answer.status.success() {
            answer = ask(&[]);
        }
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        serde_json::from_slice(&answer.stdout).expect("cargo writes JSON")
    })
}

fn members() -> impl Iterator<Item = &'static Value> {
    list(metadata(), "packages").filter(|package| is_member(package))
}

fn is_member(package: &Value) -> bool {
    list(metadata(), "workspace_members").any(|id| id == &package["id"])
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list")).iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text"))
}

fn toml(path: &Path) -> toml::Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_in(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.retain(|path| path.is_file() && path.extension().is_some_and(|known| known == extension));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no .{extension} file");
    files
}

/// All files below a folder, but for what is fetched, built or made up by a fuzzer.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() {
            files.push(path);
        } else if path.is_dir() && !["artifacts", "corpus", "node_modules", "out", "target"].contains(&name.as_str()) {
            walk(&path, files);
        }
    }
    files.sort();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders deep").to_owned()
    })
}
