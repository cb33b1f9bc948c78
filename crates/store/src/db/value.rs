//! The four kinds of value that both databases have, and rows of them.

use std::fmt;
use std::sync::Arc;

use super::Error;

/// A parameter or a column: null, `BIGINT`, `TEXT` or `BYTEA`.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Bytes(Vec<u8>),
    Integer(i64),
    Null,
    Text(String),
}

/// One row of an answer. Columns are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// A list of parameters: `params![id, at, body]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::db::Value::from($value)),*] };
}

impl Row {
    pub(super) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    pub fn integer(&self, column: usize) -> Result<i64, Error> {
        match self.value(column)? {
            Value::Integer(integer) => Ok(*integer),
            other => Err(self.inconsistent(column, "an integer", other)),
        }
    }

    pub fn text(&self, column: usize) -> Result<&str, Error> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            other => Err(self.inconsistent(column, "text", other)),
        }
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self.value(column)? {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(self.inconsistent(column, "bytes", other)),
        }
    }

    /// Exactly `N` bytes: hashes, keys, tags.
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], Error> {
        let bytes = self.bytes(column)?;
        bytes.try_into().map_err(|_| Error::Inconsistent {
            column: self.column(column),
            expected: "bytes of a fixed length",
            found: format!("{} bytes instead of {N}", bytes.len()),
        })
    }

    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        if self.is_null(column)? { Ok(None) } else { self.integer(column).map(Some) }
    }

    pub fn optional_text(&self, column: usize) -> Result<Option<&str>, Error> {
        if self.is_null(column)? { Ok(None) } else { self.text(column).map(Some) }
    }

    pub fn optional_bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        if self.is_null(column)? { Ok(None) } else { self.bytes(column).map(Some) }
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value in the column of this name.
    pub fn named(&self, column: &str) -> Result<Value, Error> {
        let place = self.columns.iter().position(|name| name == column).unwrap_or(self.columns.len());
        self.value(place).cloned()
    }

    /// The values, for a caller that takes them over without copying.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    fn value(&self, column: usize) -> Result<&Value, Error> {
        self.values.get(column).ok_or_else(|| Error::Inconsistent {
            column: format!("Column number {column}"),
            expected: "in the answer",
            found: "missing".to_owned(),
        })
    }

    fn is_null(&self, column: usize) -> Result<bool, Error> {
        Ok(matches!(self.value(column)?, Value::Null))
    }

    fn column(&self, column: usize) -> String {
        format!("Column {}", self.columns.get(column).map_or("?", String::as_str))
    }

    fn inconsistent(&self, column: usize, expected: &'static str, found: &Value) -> Error {
        Error::Inconsistent { column: self.column(column), expected, found: found.kind().to_owned() }
    }
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Integer(_) => "an integer",
            Self::Null => "null",
            Self::Text(_) => "text",
        }
    }
}

/// Says the kind and the length, never the content.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::Integer(_) | Self::Null => f.write_str(self.kind()),
        }
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<i32> for Value {
    fn from(integer: i32) -> Self {
        Self::Integer(integer.into())
    }
}

impl From<u32> for Value {
    fn from(integer: u32) -> Self {
        Self::Integer(integer.into())
    }
}

impl From<u16> for Value {
    fn from(integer: u16) -> Self {
        Self::Integer(integer.into())
    }
}

/// Flags are `BIGINT` 0 or 1.
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&Vec<u8>> for Value {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::Bytes(bytes.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}
