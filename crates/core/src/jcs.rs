//! Canonical JSON (RFC 8785, the JSON Canonicalization Scheme), without floating-point numbers.
//!
//! Statements hold texts, whole numbers, lists and objects only, so the number rules of RFC 8785 reduce to plain
//! decimals between -(2^53-1) and 2^53-1; anything else is refused.

mod reader;

use serde::Serialize;
use serde_json::Value;

pub(crate) use reader::Reader;

/// Why a value has no canonical form here, or why bytes are not in it.
#[derive(Debug, thiserror::Error)]
pub enum NotCanonical {
    #[error("The JSON could not be read: {0}. Send one complete JSON value in UTF-8.")]
    Malformed(#[from] serde_json::Error),
    #[error("A number is not a whole number below 2^53. Write amounts in whole units or as text.")]
    Number,
    #[error("The JSON is not in canonical form (RFC 8785). Sort the keys, drop spaces and write each value in its one form.")]
    Form,
}

/// The canonical bytes of any serialisable value.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    let value = serde_json::to_value(value)?;
    let mut out = Vec::with_capacity(512);
    write(&value, &mut out)?;
    Ok(out)
}

/// The canonical bytes of an object with these members, which must come in the order of their names.
pub(crate) fn encode_members(members: &[(&str, &Value)]) -> Result<Vec<u8>, NotCanonical> {
    let mut out = Vec::with_capacity(1_024);
    write_members(members.iter().copied(), &mut out)?;
    Ok(out)
}

/// Reads bytes that must already be in canonical form.
pub fn decode(bytes: &[u8]) -> Result<Value, NotCanonical> {
    if let Some(value) = reader::value(bytes) {
        return Ok(value);
    }
    decode_slowly(bytes)
}

/// Reads them, writes them again and compares, which also says what is wrong.
pub(crate) fn decode_slowly(bytes: &[u8]) -> Result<Value, NotCanonical> {
    let value: Value = serde_json::from_slice(bytes)?;
    let mut again = Vec::with_capacity(bytes.len());
    write(&value, &mut again)?;
    if again == bytes { Ok(value) } else { Err(NotCanonical::Form) }
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let number = number.as_i64().filter(|n| n.unsigned_abs() < 1 << 53).ok_or(NotCanonical::Number)?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, member)| (key.as_str(), member));
            // RFC 8785 3.2.3: keys are ordered by their UTF-16 code units. For ASCII that is the order of their bytes.
            if members.keys().all(|key| key.is_ascii()) && members.keys().is_sorted() {
                return write_members(pairs, out);
            }
            let mut pairs: Vec<_> = pairs.collect();
            pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            write_members(pairs.into_iter(), out)?;
        }
    }
    Ok(())
}

fn write_members<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    out.push(b'{');
    for (i, (key, member)) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        write(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Every byte that is escaped is ASCII, so text of any language is copied in long pieces.
    while let Some(at) = rest.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn follows_rfc_8785() {
        // The key order example of RFC 8785 3.2.3.
        let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"});
        let text = String::from_utf8(encode(&value).unwrap()).unwrap();
        let order: Vec<_> = ["\\r", "\"1\"", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]
            .iter()
            .map(|key| text.find(key).unwrap())
            .collect();
        assert!(order.is_sorted(), "{text}");
        assert_eq!(
            encode(&json!({"b": [1, true, null], "a": "\u{1f}\"\\"})).unwrap(),
            br#"{"a":"\u001f\"\\","b":[1,true,null]}"#
        );
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        assert!(encode(&json!(1.5)).is_err());
        assert!(encode(&json!(1u64 << 53)).is_err());
        assert!(decode(br#"{"b":1,"a":2}"#).is_err());
        assert!(decode(br#"{"a": 2}"#).is_err());
        assert!(decode(br#"{"a":2,"a":2}"#).is_err());
        assert!(decode(b"{").is_err());
        assert!(decode(br#"{"a":2}"#).is_ok());
    }

    #[test]
    fn one_pass_reads_what_the_long_way_reads_and_nothing_else() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        let texts = [
            r#""""#,
            r#""a\u0000b""#,
            r#""\u001f\"\\\b\t\n\f\r""#,
            r#""\u001F""#,
            r#""\u000a""#,
            r#""\u0008""#,
            r#""\u+01f""#,
            r#""\u00+1""#,
            r#""\/""#,
            r#""\u0020""#,
            r#""\u00e9""#,
            "\"\u{e9}\u{7f}\u{1f600}\"",
            r#""\ud83d\ude00""#,
            r#""open"#,
            "\"\n\"",
            "\"\\",
            "\"\\u00",
            "0",
            "-0",
            "00",
            "01",
            "-1",
            "1.0",
            "1e3",
            "9007199254740991",
            "9007199254740992",
            "-9007199254740991",
            "-9007199254740992",
            "99999999999999999",
            "-",
            "+1",
            "true",
            "false",
            "null",
            "nul",
            "truefalse",
            "[]",
            "[1]",
            "[1,]",
            "[,1]",
            "[1 ]",
            "[1,2",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":1,}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"b":[{}]}"#,
            r#"{"a" :1}"#,
            r#"{"a"}"#,
            r#"{a:1}"#,
            "{\"\u{1f600}\":1,\"\u{fb33}\":2}",
            "{\"\u{fb33}\":2,\"\u{1f600}\":1}",
            "{\"z\":1,\"\u{80}\":2}",
            "",
            " 1",
            "1 ",
            "1,2",
        ];
        let mut bytes: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        bytes.extend([deep(64), deep(65), deep(127), deep(129), b"\"\xff\"".to_vec()]);
        let (mut quick, mut refused) = (0, 0);
        for bytes in bytes {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            match (reader::value(&bytes), decode_slowly(&bytes)) {
                (Some(one), Ok(other)) => {
                    assert_eq!(one, other, "{shown}");
                    quick += 1;
                }
                (None, Ok(_)) => assert!(bytes.starts_with(b"[[[["), "{shown} is read the long way only"),
                (one, Err(error)) => {
                    assert_eq!(one, None, "{shown}: {error}");
                    refused += 1;
                }
            }
        }
        assert!(quick >= 19 && refused >= 40, "{quick} {refused}");
    }
}
