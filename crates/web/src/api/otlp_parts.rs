//! How many parts a request of OTLP has, counted over its bytes before anything is built of them: two bytes can stand for a span of more than a
//! hundred, so a few kilobytes that are packed well would be hundreds of megabytes.

use prost::encoding::{WireType, decode_key, decode_varint};

/// Most lines in one request.
pub(super) const MOST_LINES: usize = 5_000;
/// Most messages in one request: resources, scopes, lines, attributes and values. An attribute is two, and fifty to a line are enough.
const MOST_PARTS: usize = 250_000;
/// How deep messages may stand in one another, as the decoder has it.
const DEEPEST: usize = 100;

/// Why a request is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Malformed,
    TooManyLines,
    TooManyParts,
}

/// What has been counted. Counting ends at the first part too many.
#[derive(Default)]
struct Counted {
    lines: usize,
    parts: usize,
}

impl Counted {
    fn add(&mut self, is_line: bool) -> Result<(), Unread> {
        self.parts += 1;
        self.lines += usize::from(is_line);
        if self.lines > MOST_LINES {
            return Err(Unread::TooManyLines);
        }
        if self.parts > MOST_PARTS { Err(Unread::TooManyParts) } else { Ok(()) }
    }
}

/// The messages of which `otlp.rs` reads more than their bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    AnyValue,
    ArrayValue,
    Export,
    KeyValue,
    Resource,
    ResourceSpans,
    ScopeSpans,
    Span,
}

impl Part {
    /// What stands in this field of it, if it is a message that is read.
    fn within(self, field: u32) -> Option<Self> {
        match (self, field) {
            (Self::Export, 1) => Some(Self::ResourceSpans),
            (Self::ResourceSpans, 1) => Some(Self::Resource),
            (Self::ResourceSpans, 2) => Some(Self::ScopeSpans),
            (Self::ScopeSpans, 2) => Some(Self::Span),
            (Self::Resource, 1) | (Self::Span, 9) => Some(Self::KeyValue),
            (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Some(Self::AnyValue),
            (Self::AnyValue, 5) => Some(Self::ArrayValue),
            _ => None,
        }
    }
}

/// Refuses a message in Protobuf with more parts than are read.
pub(super) fn count_binary(body: &[u8]) -> Result<(), Unread> {
    count_fields(body, Part::Export, &mut Counted::default(), 0)
}

fn count_fields(mut body: &[u8], part: Part, counted: &mut Counted, depth: usize) -> Result<(), Unread> {
    if depth > DEEPEST {
        return Err(Unread::Malformed);
    }
    while !body.is_empty() {
        let (field, wire) = decode_key(&mut body).map_err(|_| Unread::Malformed)?;
        let length = match wire {
            WireType::Varint => {
                decode_varint(&mut body).map_err(|_| Unread::Malformed)?;
                continue;
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => decode_varint(&mut body).map_err(|_| Unread::Malformed)?,
            // OTLP has none.
            WireType::StartGroup | WireType::EndGroup => return Err(Unread::Malformed),
        };
        let length = usize::try_from(length).map_err(|_| Unread::Malformed)?;
        let (content, rest) = body.split_at_checked(length).ok_or(Unread::Malformed)?;
        if let Some(inner) = part.within(field).filter(|_| wire == WireType::LengthDelimited) {
            counted.add(inner == Part::Span)?;
            count_fields(content, inner, counted, depth + 1)?;
        }
        body = rest;
    }
    Ok(())
}

/// Refuses a message in JSON with more objects and lists than are read. How many of them are lines shows when they are read.
pub(super) fn count_json(body: &[u8]) -> Result<(), Unread> {
    let mut counted = Counted::default();
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => counted.add(false)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut number: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while number > 0x7f {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
        out
    }

    fn field(number: usize, content: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
    }

    fn spans(content: &[u8]) -> Vec<u8> {
        field(1, &field(2, content))
    }

    #[test]
    fn empty_spans_are_counted_up_to_the_limit() {
        assert_eq!(count_binary(&spans(&[0x12_u8, 0].repeat(MOST_LINES))), Ok(()));
        assert_eq!(count_binary(&spans(&[0x12_u8, 0].repeat(MOST_LINES + 1))), Err(Unread::TooManyLines));
        // What follows is not looked at any more, so a bomb costs no more than the limit.
        let begun = [[0x12_u8, 0].repeat(MOST_LINES + 1), vec![0xff; 20]].concat();
        assert_eq!(count_binary(&spans(&begun)), Err(Unread::TooManyLines));
    }

    #[test]
    fn whatever_is_built_of_two_bytes_is_counted() {
        let many = |key: u8| [key, 0].repeat(MOST_PARTS + 1);
        let value = |content: &[u8]| spans(&field(2, &field(9, &field(2, content))));
        for (what, body) in [
            ("resource spans", many(0x0a)),
            ("scope spans", field(1, &many(0x12))),
            ("attributes of a resource", field(1, &field(1, &many(0x0a)))),
            ("attributes of a span", spans(&field(2, &many(9 << 3 | 2)))),
            ("values of a list", value(&field(5, &many(0x0a)))),
            ("a value said again and again", spans(&field(2, &field(9, &many(0x12))))),
        ] {
            assert_eq!(count_binary(&body), Err(Unread::TooManyParts), "{what}");
        }
        // What is not read makes nothing, however often it comes.
        assert_eq!(count_binary(&spans(&field(2, &many(0x5a)))), Ok(()));
    }

    #[test]
    fn what_is_no_message_is_not_counted_to_its_end() {
        for broken in [&[0x0a, 0xff, 0xff][..], &[0x0b], &[0x0a, 5, 0], &[0x09, 1, 2]] {
            assert_eq!(count_binary(broken), Err(Unread::Malformed), "{broken:?}");
        }
        let deep = (0..DEEPEST).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
        assert_eq!(count_binary(&spans(&field(2, &field(9, &field(2, &deep))))), Err(Unread::Malformed));
    }

    #[test]
    fn objects_and_lists_are_counted_and_texts_are_not() {
        let many = |one: &str| format!("[{}]", vec![one; MOST_PARTS].join(","));
        assert_eq!(count_json(many("{\"\":0}").as_bytes()), Err(Unread::TooManyParts));
        assert_eq!(count_json(many("[]").as_bytes()), Err(Unread::TooManyParts));
        assert_eq!(count_json(many("\"{[\\\"{\"").as_bytes()), Ok(()));
        assert_eq!(count_json(many("0").as_bytes()), Ok(()));
    }
}
