//! Contract clause: one line that a contract with a vendor has to fill, out of the clause library that a law brings along.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::lawpack::{Duty, Law};
use crate::{Text, Time};

/// What a law asks of contracts with vendors. Where no pack says anything of it, only the fields of the contract itself are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Processors {
    /// Countries where vendors may keep data; where none is named, those of the mandates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_locations: Vec<String>,
    pub clauses: Vec<ContractClause>,
}

/// A clause of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractClause {
    /// By which a contract names it, as `rights-help`.
    pub code: String,
    pub article: String,
    /// What it says. `{name}` stands for a parameter of the clause or a field of the contract.
    pub text: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
}

/// What a contract has to say in a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    pub name: String,
    pub kind: ParameterKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The duty whose length in days it must not fall below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Duty>,
}

/// Of which kind a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    Day,
    Number,
    Text,
}

/// A clause as a contract names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedClause {
    pub clause: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Filled>,
}

/// What a contract put in the place of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Filled {
    Number(i64),
    Text(Text),
    Word(String),
}

impl Processors {
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let data_locations = draft.optional_parses("data_locations", "List countries, as `TW`, or leave it out.");
        let clauses = draft.optional_objects("clauses", ContractClause::read);
        let mut codes: Vec<_> = clauses.iter().map(|clause| &clause.code).collect();
        codes.sort_unstable();
        if codes.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("clauses", "duplicate", "Two clauses have one code. Give each its own.".into());
        }
        Some(Self { data_locations, clauses })
    }
}

impl ContractClause {
    fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let code = draft.string("code", 40, "Give it a short code.");
        let article = draft.string("article", 80, "Name the article, or the rule of the house.");
        let text = draft.text("text", 600, "Write the clause in both languages.");
        let parameters = draft.optional_objects("parameters", |parameter| {
            let name = parameter.string("name", 40, "Name the parameter.");
            let kinds = [("day", ParameterKind::Day), ("number", ParameterKind::Number), ("text", ParameterKind::Text)];
            let kind = parameter.word("kind", &kinds, "Say whether it is a day, a number or a text.");
            let mut bound = |field| parameter.optional(field).map(|_| parameter.integer(field, 0, 1_000_000, "Give a number."));
            let (min, max) = (bound("min").flatten(), bound("max").flatten());
            let at_least = parameter.optional_word("at_least", Duty::WORDS);
            if at_least.is_some_and(|duty| Duty::OPTIONAL.contains(&duty)) {
                let message = "Not every law sets a time for this. Name another duty, or give the least number in `min`.";
                parameter.note("at_least", "not-everywhere", message.into());
            }
            Some(Parameter { name: name?, kind: kind?, min, max, at_least })
        });
        Some(Self { code: code?, article: article?, text: text?, parameters })
    }

    /// What is missing or out of range where a contract names this clause; everything, where it does not.
    fn problems(&self, named: Option<&NamedClause>, law: &Law<'_>) -> Vec<Problem> {
        let field = format!("clauses.{}", self.code);
        let problem = |field: String, rule, message| Problem { field, rule, message };
        let Some(named) = named else {
            let message = format!("The contract lacks this clause ({}). Name it and fill its parameters.", self.article);
            return vec![problem(field, "missing", message)];
        };
        let mut problems = Vec::new();
        for parameter in &self.parameters {
            let field = format!("{field}.{}", parameter.name);
            match named.parameters.get(&parameter.name) {
                None => {
                    let message = format!("This line of the clause is empty ({}). Fill it.", self.article);
                    problems.push(problem(field, "missing", message));
                }
                Some(filled) => {
                    problems.extend(parameter.refuses(filled, law).map(|(rule, message)| problem(field, rule, message)))
                }
            }
        }
        for name in named.parameters.keys().filter(|name| self.parameters.iter().all(|parameter| parameter.name != **name)) {
            let message = "The clause has no such parameter. Correct its name or take it out.";
            problems.push(problem(format!("{field}.{name}"), "unknown-field", message.into()));
        }
        problems
    }
}

impl Parameter {
    fn refuses(&self, filled: &Filled, law: &Law<'_>) -> Option<(&'static str, String)> {
        match (self.kind, filled) {
            (ParameterKind::Number, Filled::Number(number)) => {
                let floor = self.at_least.map(|duty| law.days(duty));
                let (min, max) = (self.min.or(floor).unwrap_or(0).max(floor.unwrap_or(0)), self.max.unwrap_or(i64::MAX));
                let range = if max == i64::MAX { format!("{min} or more") } else { format!("from {min} to {max}") };
                let message = format!("{number} is out of range. Give a whole number, {range}.");
                (!(min..=max).contains(number)).then_some(("out-of-range", message))
            }
            (ParameterKind::Day, Filled::Word(day)) if day.parse::<Time>().is_ok() => None,
            (ParameterKind::Text, Filled::Text(_)) => None,
            (kind, _) => {
                let what = match kind {
                    ParameterKind::Day => "a day, as `2027-01-31`",
                    ParameterKind::Number => "a whole number",
                    ParameterKind::Text => "a text in both languages",
                };
                Some(("malformed", format!("This cannot be read. Give {what}.")))
            }
        }
    }
}

impl NamedClause {
    /// Reads a clause of a contract. Lines that are empty count as not there.
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let clause = draft.string("clause", 40, "Name the clause of the library, as `rights-help`.");
        let mut parameters = BTreeMap::new();
        let given = draft.optional("parameters");
        if given.is_some_and(|given| !given.is_object()) {
            draft.note("parameters", "not-an-object", "This is not a table of fields. Write `{ name = value }`.".into());
        }
        for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
            match Filled::read(value) {
                Ok(Some(filled)) if name.len() <= 40 => drop(parameters.insert(name.clone(), filled)),
                Ok(None) => {}
                _ => {
                    let shown: String = name.chars().take(60).collect();
                    let message =
                        "This cannot be read. Give a whole number, a day, or a text in both languages of at most 600 characters.";
                    draft.note(&format!("parameters.{shown}"), "malformed", message.into());
                }
            }
        }
        Some(Self { clause: clause?, parameters })
    }
}

impl Filled {
    /// Nothing, where the value is empty.
    fn read(value: &Value) -> Result<Option<Self>, ()> {
        match value {
            Value::Null => Ok(None),
            Value::Number(number) => {
                number.as_i64().filter(|number| number.abs() <= LARGEST).map(|number| Some(Self::Number(number))).ok_or(())
            }
            Value::String(word) if word.trim().is_empty() => Ok(None),
            Value::String(word) if word.len() <= 60 => Ok(Some(Self::Word(word.trim().to_owned()))),
            Value::Object(members) if members.is_empty() => Ok(None),
            Value::Object(_) => {
                let text: Text = serde_json::from_value(value.clone()).map_err(drop)?;
                let is_long = |words: &str| words.chars().count() > 600;
                match (text.en.trim().is_empty(), text.zh_hant.trim().is_empty()) {
                    _ if is_long(&text.en) || is_long(&text.zh_hant) => Err(()),
                    (false, false) => Ok(Some(Self::Text(text))),
                    // Half a text is an empty line for half of the readers.
                    _ => Ok(None),
                }
            }
            _ => Err(()),
        }
    }

    /// It in words.
    pub fn words(&self) -> Text {
        match self {
            Self::Number(number) => Text::new(&number.to_string(), &number.to_string()),
            Self::Text(text) => text.clone(),
            Self::Word(word) => Text::new(word, word),
        }
    }
}

/// Every line that the clauses of `law` ask for and `named` does not fill, and every clause that the library does not have.
pub fn missing(named: &[NamedClause], law: &Law<'_>) -> Vec<Problem> {
    let find = |code: &str| named.iter().find(|named| named.clause == code);
    let mut problems: Vec<Problem> = law.clauses().flat_map(|clause| clause.problems(find(&clause.code), law)).collect();
    for (i, clause) in named.iter().enumerate() {
        if law.clauses().all(|known| known.code != clause.clause) {
            let message = format!("The clause library has no `{}`. Name a clause of the law that holds.", clause.clause);
            problems.push(Problem { field: format!("clauses[{i}].clause"), rule: "unknown", message });
        }
    }
    problems
}

/// The largest number that every reader of JSON holds exactly.
const LARGEST: i64 = 1 << 53;
