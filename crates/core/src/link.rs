//! Link: the addresses that statements give to people. A page shows them as links, so nothing but a page of the web may stand there.
//!
//! Asked of what is published, and not of what is replayed: logs have statements from before the rule, and a page shows the address of such
//! a one as plain words.

use serde_json::Value;

use crate::draft::Problem;
use crate::statement::{Statement, StatementKind};

/// Where an address on this machine begins, which needs no https.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whether an address may be shown as a link: `https` with a host, or `http` on this machine (localhost).
pub fn is_lawful(url: &str) -> bool {
    let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '\\' | '"' | '<' | '>');
    let authority = |rest: &'_ str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    // `https://bank.example@elsewhere.example` leads elsewhere.
    let names_host = |authority: &str| !authority.is_empty() && !authority.contains('@') && !authority.starts_with(':');
    let is_local = |authority: &str| {
        LOCAL.iter().any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')))
    };
    let found = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => names_host(&authority(rest)),
        (None, Some(rest)) => is_local(&authority(rest)),
        (None, None) => false,
    };
    found && !url.contains(is_odd)
}

/// What is wrong with the addresses that a statement gives: every field `url`, every one whose name ends in `_url`, and the address of an
/// `impact_assessment`, however deep. Laws are left out, since the packs that ship name their sources as they were found.
pub fn problems(statement: &Statement) -> Vec<Problem> {
    let mut problems = Vec::new();
    if statement.kind != StatementKind::Lawpack {
        look(&statement.body, "", &mut problems);
    }
    problems
}

fn look(value: &Value, field: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| look(item, &format!("{field}[{i}]"), problems));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                match value.as_str().filter(|_| is_address(name)) {
                    Some(url) if !is_lawful(url) => {
                        let message = "This address is neither https nor on this machine (http://localhost). \
                                       Give the https address of a page, as https://city.example/report.";
                        problems.push(Problem { field, rule: "not-https", message: message.to_owned() });
                    }
                    _ => look(value, &field, problems),
                }
            }
        }
        _ => {}
    }
}

fn is_address(field: &str) -> bool {
    field == "url" || field == "impact_assessment" || field.ends_with("_url")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_pages_of_the_web_are_links() {
        for good in [
            "https://a",
            "https://a.example/x?y#z",
            "https://a.example/公告",
            "http://localhost",
            "http://localhost:81/x",
            "http://127.0.0.1/",
            "http://[::1]:8/",
        ] {
            assert!(is_lawful(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "/x",
            "//a.example",
            "http://a.example",
            "http://localhost.a.example",
            "http://localhost@a.example",
            "https://",
            "https:///x",
            "https://:81/",
            "https://u@a.example",
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "ftp://a.example",
            "https://a.example/x y",
            "https://a.example\\b",
            " https://a.example",
            "https://a.example/\"x",
            "HTTPS://a.example",
        ] {
            assert!(!is_lawful(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_are_found_however_deep() {
        let body = json!({"url": "https://a.example", "report": {"url": "javascript:alert(1)"}, "list": [{"algorithm_url": "http://a.example"}],
            "impact_assessment": "javascript:alert(2)", "curl": "ftp://a", "words": "http://a.example"});
        let statement = |kind| Statement {
            kind,
            id: "x".into(),
            rev: 1,
            prev: None,
            at: crate::Time::from_micros(0),
            by: "agc_a".parse().unwrap(),
            body: body.clone(),
            approvals: vec![],
        };
        let fields: Vec<String> =
            problems(&statement(StatementKind::BodyAudit)).into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["impact_assessment", "list[0].algorithm_url", "report.url"]);
        assert!(problems(&statement(StatementKind::Lawpack)).is_empty());
    }
}
