//! What people write: TOML files as the values that core reads.

use std::fs;
use std::path::Path;

use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::time::DAY;

use crate::failure::Failure;

/// Reads a TOML file; `today` stands for relative days.
pub fn file(path: &Path, today: Time) -> Result<Value, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    self::text(&text, &path.display().to_string(), today)
}

/// Reads TOML text that came from `name`.
pub fn text(text: &str, name: &str, today: Time) -> Result<Value, Failure> {
    let table: toml::Value = toml::from_str(text).map_err(|error| {
        Failure::refused(format!("{name} is not TOML: {}.", error.to_string().trim_end()), "Correct the line it names.")
    })?;
    Ok(json(table, today))
}

/// The id of the object in a file: the prefix and the name of the file, as `mdt_library-card` for `library-card.toml`.
pub fn id<T: std::str::FromStr>(prefix: &str, path: &Path) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    format!("{prefix}_{stem}").parse().map_err(Failure::of)
}

fn json(value: toml::Value, today: Time) -> Value {
    match value {
        toml::Value::Array(items) => items.into_iter().map(|item| json(item, today)).collect(),
        toml::Value::Boolean(flag) => flag.into(),
        // A day without quotation marks means the same as one with them.
        toml::Value::Datetime(datetime) => datetime.to_string().into(),
        toml::Value::Float(float) => float.into(),
        toml::Value::Integer(integer) => integer.into(),
        toml::Value::String(text) => relative(&text, today).unwrap_or(text).into(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, json(value, today))).collect()),
    }
}

/// The day that `today`, `today-200d` or `today+165d` stands for.
fn relative(text: &str, today: Time) -> Option<String> {
    let rest = text.strip_prefix("today")?;
    if rest.is_empty() {
        return Some(today.day());
    }
    let digits = rest.strip_prefix(['+', '-'])?.strip_suffix('d')?;
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let days: i64 = digits.parse().ok()?;
    let days = if rest.starts_with('-') { -days } else { days };
    Some(today.plus(days * DAY).day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_days() {
        let today: Time = "2026-11-20".parse().unwrap();
        let at = |text| relative(text, today);
        assert_eq!(at("today").as_deref(), Some("2026-11-20"));
        assert_eq!(at("today-20d").as_deref(), Some("2026-10-31"));
        assert_eq!(at("today+1d").as_deref(), Some("2026-11-21"));
        for other in ["todays", "today+d", "today+1", "today 1d", "today+-1d", "today+1234567d", "2026-11-20"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn days_may_stand_without_quotation_marks() {
        let value = text("a = 2026-11-20\nb = [\"today\"]", "x", "2026-11-20".parse().unwrap()).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "2026-11-20", "b": ["2026-11-20"] }));
    }
}
