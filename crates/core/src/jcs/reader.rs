//! One pass over bytes that should be canonical already: what is read is in its one form, and anything else is not read at all.
//!
//! Nothing here says what is wrong. Whoever gets no answer reads the bytes the long way, which explains it; so this may refuse more than
//! it must (deep nesting), and may never accept more.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

/// Nesting beyond this is left to the long way, whose own limit is higher.
const DEEPEST: usize = 64;

/// A place in canonical JSON.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The value that these bytes are the canonical form of, if they are that.
pub(super) fn value(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader::new(bytes)?;
    let value = reader.value()?;
    reader.is_over().then_some(value)
}

impl<'a> Reader<'a> {
    /// Begins before the first byte, where the bytes are UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { text: std::str::from_utf8(bytes).ok()?, at: 0 })
    }

    /// How many bytes were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_over(&self) -> bool {
        self.at == self.text.len()
    }

    /// Exactly these characters.
    pub(crate) fn literal(&mut self, expected: &str) -> Option<()> {
        self.is_next(expected).then_some(())
    }

    /// Whether these characters come next; if so they are read.
    pub(crate) fn is_next(&mut self, expected: &str) -> bool {
        let is_it = self.text.as_bytes()[self.at..].starts_with(expected.as_bytes());
        if is_it {
            self.at += expected.len();
        }
        is_it
    }

    pub(crate) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.literal("\"")?;
        let first = self.piece()?;
        if self.is_next("\"") {
            return Some(Cow::Borrowed(first));
        }
        let mut whole = first.to_owned();
        loop {
            whole.push(self.escaped()?);
            whole.push_str(self.piece()?);
            if self.is_next("\"") {
                return Some(Cow::Owned(whole));
            }
        }
    }

    /// A whole number below 2^53 in its one form.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let rest = &self.text.as_bytes()[self.at..];
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_plain = match (rest.get(sign), digits) {
            (Some(b'0'), 1) => sign == 0,
            (Some(b'1'..=b'9'), 1..=16) => true,
            _ => false,
        };
        if !is_plain {
            return None;
        }
        let number: i64 = self.text.get(self.at..self.at + sign + digits)?.parse().ok()?;
        self.at += sign + digits;
        (number.unsigned_abs() < 1 << 53).then_some(number)
    }

    /// Any value.
    pub(crate) fn value(&mut self) -> Option<Value> {
        self.value_within(DEEPEST)
    }

    fn value_within(&mut self, depth: usize) -> Option<Value> {
        match self.text.as_bytes().get(self.at)? {
            b'"' => Some(Value::String(self.string()?.into_owned())),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b't' => self.literal("true").map(|()| Value::Bool(true)),
            b'f' => self.literal("false").map(|()| Value::Bool(false)),
            b'n' => self.literal("null").map(|()| Value::Null),
            _ => self.integer().map(Value::from),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.literal("[")?;
        let mut items = Vec::new();
        if self.is_next("]") {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value_within(depth)?);
            if self.is_next("]") {
                return Some(Value::Array(items));
            }
            self.literal(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.literal("{")?;
        let mut members = Map::new();
        if self.is_next("}") {
            return Some(Value::Object(members));
        }
        let mut before: Option<Cow<'a, str>> = None;
        loop {
            let key = self.string()?;
            // The names ascend, so that none is there twice either.
            if before.is_some_and(|before| order(&before, &key) != Ordering::Less) {
                return None;
            }
            self.literal(":")?;
            let member = self.value_within(depth)?;
            members.insert(key.clone().into_owned(), member);
            before = Some(key);
            if self.is_next("}") {
                return Some(Value::Object(members));
            }
            self.literal(",")?;
        }
    }

    /// Characters that stand for themselves, up to one that does not.
    fn piece(&mut self) -> Option<&'a str> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))?;
        // Where a piece ends stands an ASCII character, so no character is cut.
        let piece = self.text.get(self.at..self.at + length)?;
        self.at += length;
        Some(piece)
    }

    /// One character that can only be written with a backslash, in the way that it has to be.
    fn escaped(&mut self) -> Option<char> {
        self.literal("\\")?;
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' => char::from(byte),
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'u' => self.control()?,
            _ => return None,
        })
    }

    /// The four digits of a control character that has no letter of its own.
    fn control(&mut self) -> Option<char> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let code = u8::from_str_radix(digits.strip_prefix("00")?, 16).ok()?;
        let has_letter = matches!(code, 0x08..=0x0a | 0x0c | 0x0d);
        let is_it = code < b' ' && !has_letter && !digits.bytes().any(|digit| digit.is_ascii_uppercase() || digit == b'+');
        self.at += 4;
        is_it.then_some(char::from(code))
    }
}

/// How RFC 8785 3.2.3 orders names: by their UTF-16 code units, which for ASCII is the order of their bytes.
fn order(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() { one.cmp(other) } else { one.encode_utf16().cmp(other.encode_utf16()) }
}
