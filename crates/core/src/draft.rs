//! Reading what people wrote (TOML files, statement bodies) into types, collecting every problem instead of the first.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use crate::time::Length;
use crate::{Text, Time};

/// One thing that is missing or unlawful in a draft: which field, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Dotted path of the field, as `legal_basis.article` or `blocks[2].reason`.
    pub field: String,
    /// Stable code of the rule, as `missing` or `too-long`.
    pub rule: &'static str,
    /// Two sentences: what is wrong, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Longest value that reads itself from text, in bytes: ids, times, country codes, addresses.
const LONGEST_WORD: usize = 500;

/// A draft being read. Every accessor notes a [`Problem`] and goes on when something is wrong.
pub struct Draft<'a> {
    members: Option<&'a serde_json::Map<String, Value>>,
    path: String,
    seen: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Draft<'a> {
    /// Starts reading `value`, which must be an object.
    pub fn new(value: &'a Value) -> Self {
        let mut draft = Self { members: value.as_object(), path: String::new(), seen: BTreeSet::new(), problems: Vec::new() };
        if draft.members.is_none() {
            draft.note("", "not-an-object", "The draft is not a table of fields. Write one field per line.".into());
        }
        draft
    }

    /// All problems so far, and one for each field that nobody asked for.
    pub fn finish(mut self) -> Vec<Problem> {
        self.unknown();
        self.problems
    }

    /// Notes a problem with `field`.
    pub fn note(&mut self, field: &str, rule: &'static str, message: String) {
        let field = self.full(field);
        self.problems.push(Problem { field, rule, message });
    }

    /// The member `field` if it is there and not empty.
    pub fn optional(&mut self, field: &'static str) -> Option<&'a Value> {
        self.seen.insert(field);
        self.members?.get(field).filter(|value| !is_empty(value))
    }

    fn required(&mut self, field: &'static str, remedy: &str) -> Option<&'a Value> {
        let value = self.optional(field);
        if value.is_none() {
            self.note(field, "missing", format!("This field is missing. {remedy}"));
        }
        value
    }

    /// A required text of 1 to `max` characters.
    pub fn string(&mut self, field: &'static str, max: usize, remedy: &str) -> Option<String> {
        let value = self.required(field, remedy)?;
        self.check_string(field, value, max, remedy)
    }

    /// An optional text of at most `max` characters.
    pub fn optional_string(&mut self, field: &'static str, max: usize) -> Option<String> {
        let value = self.optional(field)?;
        self.check_string(field, value, max, "Write it as text or leave it out.")
    }

    fn check_string(&mut self, field: &str, value: &Value, max: usize, remedy: &str) -> Option<String> {
        match value.as_str() {
            Some(text) if text.chars().count() <= max => Some(text.trim().to_owned()),
            Some(_) => {
                self.note(field, "too-long", format!("This text has more than {max} characters. Shorten it."));
                None
            }
            None => {
                self.note(field, "not-text", format!("This field is not a text. {remedy}"));
                None
            }
        }
    }

    /// A required text in both languages, each of 1 to `max` characters.
    pub fn text(&mut self, field: &'static str, max: usize, remedy: &str) -> Option<Text> {
        let value = self.required(field, remedy)?;
        self.check_text(field, value, max)
    }

    /// An optional text in both languages.
    pub fn optional_text(&mut self, field: &'static str, max: usize) -> Option<Text> {
        let value = self.optional(field)?;
        self.check_text(field, value, max)
    }

    fn check_text(&mut self, field: &str, value: &Value, max: usize) -> Option<Text> {
        match Text::deserialize(value) {
            Ok(text) if text.en.trim().is_empty() || text.zh_hant.trim().is_empty() => {
                self.note(field, "one-language", "This text is empty in one language. Write it in `en` and in `zh-Hant`.".into());
                None
            }
            Ok(text) if text.en.chars().count() > max || text.zh_hant.chars().count() > max => {
                self.note(field, "too-long", format!("This text has more than {max} characters. Shorten it."));
                None
            }
            Ok(text) => Some(text),
            Err(_) => {
                self.note(
                    field,
                    "one-language",
                    "This text is not given in both languages. Write `{ en = \"…\", zh-Hant = \"…\" }`.".into(),
                );
                None
            }
        }
    }

    /// A required value that reads itself from text, such as an id or a time.
    pub fn parse<T: FromStr>(&mut self, field: &'static str, remedy: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let value = self.required(field, remedy)?;
        self.check_parse(field, value, remedy)
    }

    /// An optional value that reads itself from text.
    pub fn optional_parse<T: FromStr>(&mut self, field: &'static str, remedy: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let value = self.optional(field)?;
        self.check_parse(field, value, remedy)
    }

    fn check_parse<T: FromStr>(&mut self, field: &str, value: &Value, remedy: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        // An empty entry of a list, or one that no id, code or address needs, is refused here: some types read any text.
        let text = value.as_str().filter(|text| !text.trim().is_empty() && text.len() <= LONGEST_WORD);
        match text.map(str::parse) {
            Some(Ok(parsed)) => Some(parsed),
            _ => {
                self.note(field, "malformed", format!("This field cannot be read. {remedy}"));
                None
            }
        }
    }

    /// A required moment.
    pub fn time(&mut self, field: &'static str, remedy: &str) -> Option<Time> {
        self.parse(field, remedy)
    }

    /// A required ISO 8601 duration.
    pub fn duration(&mut self, field: &'static str, remedy: &str) -> Option<Length> {
        let text = self.string(field, 20, remedy)?;
        let length = Length::read(text.clone());
        if length.is_none() {
            self.note(field, "malformed", format!("`{text}` is not a length of time. {remedy}"));
        }
        length
    }

    /// An optional ISO 8601 duration.
    pub fn optional_duration(&mut self, field: &'static str) -> Option<Length> {
        self.optional(field)?;
        self.duration(field, "Write it as `P30D` or leave it out.")
    }

    /// A required whole number between `min` and `max`.
    pub fn integer(&mut self, field: &'static str, min: i64, max: i64, remedy: &str) -> Option<i64> {
        let value = self.required(field, remedy)?;
        match value.as_i64().filter(|n| (min..=max).contains(n)) {
            Some(number) => Some(number),
            None => {
                self.note(field, "out-of-range", format!("This is not a whole number from {min} to {max}. {remedy}"));
                None
            }
        }
    }

    /// A required `true` or `false`.
    pub fn flag(&mut self, field: &'static str, remedy: &str) -> Option<bool> {
        let value = self.required(field, remedy)?;
        if value.as_bool().is_none() {
            self.note(field, "not-a-flag", format!("This is neither `true` nor `false`. {remedy}"));
        }
        value.as_bool()
    }

    /// An optional `true` or `false`.
    pub fn optional_flag(&mut self, field: &'static str) -> Option<bool> {
        let value = self.optional(field)?;
        if value.as_bool().is_none() {
            self.note(field, "not-a-flag", "This is neither `true` nor `false`. Write one of them, or leave it out.".into());
        }
        value.as_bool()
    }

    /// A required word out of a closed list.
    pub fn word<T: Copy>(&mut self, field: &'static str, words: &[(&'static str, T)], remedy: &str) -> Option<T> {
        let value = self.required(field, remedy)?;
        self.check_word(field, value, words)
    }

    /// An optional word out of a closed list.
    pub fn optional_word<T: Copy>(&mut self, field: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.optional(field)?;
        self.check_word(field, value, words)
    }

    fn check_word<T: Copy>(&mut self, field: &str, value: &Value, words: &[(&'static str, T)]) -> Option<T> {
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.note(field, "unknown-word", format!("This word is not in the list. Choose one of: {}.", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A required list of words out of a closed list.
    pub fn words<T: Copy>(&mut self, field: &'static str, words: &[(&'static str, T)], remedy: &str) -> Vec<T> {
        let Some(items) = self.items(field, remedy) else { return Vec::new() };
        items.iter().enumerate().filter_map(|(i, item)| self.check_word(&format!("{field}[{i}]"), item, words)).collect()
    }

    /// A required list of texts that read themselves.
    pub fn parses<T: FromStr>(&mut self, field: &'static str, remedy: &str) -> Vec<T>
    where
        T::Err: fmt::Display,
    {
        let Some(items) = self.items(field, remedy) else { return Vec::new() };
        items.iter().enumerate().filter_map(|(i, item)| self.check_parse(&format!("{field}[{i}]"), item, remedy)).collect()
    }

    /// A required list of texts, each of 1 to `max` characters.
    pub fn strings(&mut self, field: &'static str, max: usize, remedy: &str) -> Vec<String> {
        let Some(items) = self.items(field, remedy) else { return Vec::new() };
        let mut texts = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let field = format!("{field}[{i}]");
            match self.check_string(&field, item, max, remedy) {
                Some(text) if text.is_empty() => self.note(&field, "missing", format!("This text is empty. {remedy}")),
                text => texts.extend(text),
            }
        }
        texts
    }

    /// The same, where an absent or empty list is fine.
    pub fn optional_strings(&mut self, field: &'static str, max: usize) -> Vec<String> {
        if self.optional(field).is_none() {
            return Vec::new();
        }
        self.strings(field, max, "Write it as a list of texts or leave it out.")
    }

    /// The same, where an absent or empty list is fine.
    pub fn optional_parses<T: FromStr>(&mut self, field: &'static str, remedy: &str) -> Vec<T>
    where
        T::Err: fmt::Display,
    {
        if self.optional(field).is_none() { Vec::new() } else { self.parses(field, remedy) }
    }

    /// A required object, read by `read`.
    pub fn object<T>(&mut self, field: &'static str, remedy: &str, read: impl FnOnce(&mut Draft<'_>) -> Option<T>) -> Option<T> {
        let value = self.required(field, remedy)?;
        self.nested(field.to_owned(), value, read)
    }

    /// An optional object, read by `read`.
    pub fn optional_object<T>(&mut self, field: &'static str, read: impl FnOnce(&mut Draft<'_>) -> Option<T>) -> Option<T> {
        let value = self.optional(field)?;
        self.nested(field.to_owned(), value, read)
    }

    /// A required list of at least one object, each read by `read`.
    pub fn objects<T>(&mut self, field: &'static str, remedy: &str, read: impl Fn(&mut Draft<'_>) -> Option<T>) -> Vec<T> {
        let Some(items) = self.items(field, remedy) else { return Vec::new() };
        items.iter().enumerate().filter_map(|(i, item)| self.nested(format!("{field}[{i}]"), item, &read)).collect()
    }

    /// The same, where an absent or empty list is fine.
    pub fn optional_objects<T>(&mut self, field: &'static str, read: impl Fn(&mut Draft<'_>) -> Option<T>) -> Vec<T> {
        if self.optional(field).is_none() { Vec::new() } else { self.objects(field, "Write it as a list or leave it out.", read) }
    }

    fn items(&mut self, field: &'static str, remedy: &str) -> Option<&'a Vec<Value>> {
        let value = self.required(field, remedy)?;
        match value.as_array() {
            Some(items) if items.len() <= 1_000 => Some(items),
            _ => {
                self.note(field, "not-a-list", format!("This is not a list of at most 1,000 entries. {remedy}"));
                None
            }
        }
    }

    fn nested<T>(&mut self, field: String, value: &Value, read: impl FnOnce(&mut Draft<'_>) -> Option<T>) -> Option<T> {
        let mut inner =
            Draft { members: value.as_object(), path: self.full(&field), seen: BTreeSet::new(), problems: Vec::new() };
        if inner.members.is_none() {
            self.note(&field, "not-an-object", "This is not a table of fields. Write one field per line.".into());
            return None;
        }
        let result = read(&mut inner);
        inner.unknown();
        self.problems.append(&mut inner.problems);
        result
    }

    fn unknown(&mut self) {
        let unknown: Vec<_> = self
            .members
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .filter(|key| !self.seen.contains(key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            let shown: String = key.chars().take(60).collect();
            self.note(&shown, "unknown-field", "No such field exists here. Correct its name or take it out.".into());
        }
    }

    fn full(&self, field: &str) -> String {
        match (self.path.is_empty(), field.is_empty()) {
            (true, _) => field.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{field}", self.path),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
