//! The part of OTLP that log lines need (opentelemetry-proto 1.x, `trace/v1`): spans with their ids and attributes, and what the system calls
//! itself, in JSON and in Protobuf.
//!
//! Fields that are not read are skipped, as the protocol asks. Field numbers are those of the published `.proto` files.

use std::fmt;

use prost::Message;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};

/// What a system sends.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Export {
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "hexadecimal")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "hexadecimal")]
    pub span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    #[serde(deserialize_with = "hexadecimal")]
    pub parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(fixed64, tag = "8")]
    #[serde(deserialize_with = "number")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue {
    #[prost(string, optional, tag = "1")]
    pub string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub bool_value: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    #[serde(deserialize_with = "signed")]
    pub int_value: Option<i64>,
    #[prost(message, optional, tag = "5")]
    pub array_value: Option<ArrayValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

/// What a system is told.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "as_text")]
    pub rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

impl Export {
    /// All spans, in order, each with what its system calls itself.
    pub fn spans(&self) -> impl Iterator<Item = (Option<&str>, &Span)> {
        self.resource_spans.iter().flat_map(|part| {
            let attributes = part.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            let name = value(attributes, "service.name").and_then(|name| name.string_value.as_deref());
            part.scope_spans.iter().flat_map(|scope| &scope.spans).map(move |span| (name, span))
        })
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()
}

impl Span {
    fn value(&self, key: &str) -> Option<&AnyValue> {
        value(&self.attributes, key)
    }

    /// A text among the attributes.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.string_value.as_deref().filter(|text| !text.is_empty())
    }

    /// A whole number among the attributes.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.value(key)?.int_value
    }

    /// Yes or no among the attributes; no where it is left out. A word is taken for it too, since not every library sends anything else.
    pub fn flag(&self, key: &str) -> Result<bool, ()> {
        let Some(value) = self.value(key) else { return Ok(false) };
        let word = value.string_value.as_deref().and_then(|word| word.parse().ok());
        value.bool_value.or(word).ok_or(())
    }

    /// The texts of a list among the attributes.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let values = self.value(key).and_then(|value| value.array_value.as_ref()).map(|list| list.values.as_slice());
        values.unwrap_or_default().iter().filter_map(|value| value.string_value.as_deref()).collect()
    }
}

/// Numbers of 64 bits are texts in the JSON of Protobuf, and numbers are taken too.
struct Number;

impl Visitor<'_> for Number {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or one in a text")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i128, E> {
        text.parse().map_err(|_| E::custom("no whole number"))
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    u64::try_from(deserializer.deserialize_any(Number)?).map_err(D::Error::custom)
}

fn signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::try_from(deserializer.deserialize_any(Number)?).map(Some).map_err(D::Error::custom)
}

/// Ids are hexadecimal in the JSON of OTLP, other than the mapping of Protobuf has it.
fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.is_ascii() || text.len() % 2 != 0 {
        return Err(D::Error::custom("no hexadecimal id"));
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom)).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn as_text<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
