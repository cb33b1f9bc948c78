//! The small pieces that all line formats share.

use crate::error::{Error, Result};

/// Reads a decimal number without sign and leading zeros.
pub(crate) fn decimal(what: &'static str, text: &str) -> Result<u64> {
    let canonical = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(Error::malformed(what, "a number is not a plain decimal"));
    }
    text.parse().map_err(|_| Error::malformed(what, "a number is too large"))
}

/// Splits a text whose every line ends in a newline into its lines.
pub(crate) fn lines<'a>(what: &'static str, text: &'a str) -> Result<std::str::Split<'a, char>> {
    let body = text.strip_suffix('\n').ok_or_else(|| Error::malformed(what, "the last line has no newline"))?;
    Ok(body.split('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_one_spelling() {
        assert_eq!(decimal("number", "0").unwrap(), 0);
        assert_eq!(decimal("number", "18446744073709551615").unwrap(), u64::MAX);
        for bad in ["", "00", "01", "+1", "-1", "1 ", "18446744073709551616", "٣"] {
            assert!(decimal("number", bad).is_err(), "{bad}");
        }
    }
}
