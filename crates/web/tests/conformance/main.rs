//! One test for each module of the public conformance lists, written from what the modules are described to check. Together they
//! make `docs/conformance.md`.

mod backchannel;
mod basic;
#[path = "../signals/calls.rs"]
mod calls;
mod checks;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod fapi2;
mod logout;
#[path = "../signals/receiver.rs"]
mod receiver;
mod signals;
#[path = "../oidc/site.rs"]
mod site;

use std::fmt::Write;
use std::path::Path;
use std::pin::Pin;

/// A module of a list.
pub struct Case {
    module: &'static str,
    /// What is checked here, or why the module cannot apply.
    what: &'static str,
    check: Check,
}

/// How a module is answered.
pub enum Check {
    Run(fn() -> Pin<Box<dyn Future<Output = ()> + Send>>),
    NotApplicable,
}

/// A list of the suite.
struct Plan {
    title: &'static str,
    cases: Vec<Case>,
}

/// A module with the test that answers it.
#[macro_export]
macro_rules! case {
    ($module:literal, $what:literal, $check:path) => {
        $crate::Case { module: $module, what: $what, check: $crate::Check::Run(|| Box::pin($check())) }
    };
}

/// A module that cannot apply, and why.
pub fn not_applicable(module: &'static str, what: &'static str) -> Case {
    Case { module, what, check: Check::NotApplicable }
}

/// The document is compared with what the tests show. To write it anew, set `USUFRUCT_WRITE_CONFORMANCE`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_document_says_what_the_tests_show() {
    let mut document = HEAD.to_owned();
    let mut failed = Vec::new();
    for plan in plans() {
        let (mut rows, mut passed) = (String::new(), 0);
        let running: Vec<_> = plan.cases.iter().map(|case| start(&case.check)).collect();
        for (case, running) in plan.cases.iter().zip(running) {
            let result = match (&case.check, running) {
                (Check::Run(_), Some(running)) => match running.await {
                    Ok(()) => {
                        passed += 1;
                        "passed"
                    }
                    Err(_) => {
                        failed.push(case.module);
                        "failed"
                    }
                },
                _ => "not applicable",
            };
            writeln!(rows, "| `{}` | {} | {result} |", case.module, case.what).unwrap();
        }
        let all = plan.cases.len();
        write!(document, "\n## {}\n\n{passed} of {all} passed", plan.title).unwrap();
        let apart = plan.cases.iter().filter(|case| matches!(case.check, Check::NotApplicable)).count();
        if apart > 0 {
            write!(document, ", {apart} of {all} not applicable").unwrap();
        }
        write!(document, ".\n\n| module | what is checked | result |\n|---|---|---|\n{rows}").unwrap();
    }
    assert!(failed.is_empty(), "these modules failed: {failed:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    if std::env::var_os("USUFRUCT_WRITE_CONFORMANCE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document,
        "docs/conformance.md is stale. Run this test with USUFRUCT_WRITE_CONFORMANCE=1 and commit what it writes."
    );
}

#[test]
fn every_module_stands_once_in_its_list() {
    for plan in plans() {
        let mut modules: Vec<_> = plan.cases.iter().map(|case| case.module).collect();
        modules.sort_unstable();
        modules.dedup();
        assert_eq!(modules.len(), plan.cases.len(), "{}", plan.title);
        assert!(plan.cases.iter().all(|case| !case.what.contains('|') && case.what.ends_with('.')), "{}", plan.title);
    }
}

fn plans() -> Vec<Plan> {
    vec![
        Plan { title: "FAPI 2.0 Security Profile, final", cases: fapi2::cases() },
        Plan { title: "OpenID Connect, basic profile", cases: basic::cases() },
        Plan { title: "RP-Initiated Logout", cases: logout::cases() },
        Plan { title: "Back-Channel Logout", cases: backchannel::cases() },
        Plan { title: "Shared Signals, transmitter", cases: signals::cases() },
    ]
}

fn start(check: &Check) -> Option<tokio::task::JoinHandle<()>> {
    match check {
        Check::Run(run) => Some(tokio::spawn(run())),
        Check::NotApplicable => None,
    }
}

const HEAD: &str = "# Conformance

One row for each module of the lists of the OpenID conformance suite. The suite itself was not run: each row is a test of ours, written from
what the module is described to check (`crates/web/tests/conformance`). The test run makes this file and fails when it is stale.

The variant: `private_key_jwt`, DPoP, plain requests and answers, OpenID Connect, grant management; clients are registered by statements.
The basic list runs with a service of the profile `oidc`, which proves itself with its key where the list has a client secret.
The list of Shared Signals is that of both plans for transmitters, with DPoP where the suite shows bearer tokens.
";
