//! Time as the system stores it: microseconds since 1970, UTC.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, in microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in statements and answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A length of time, read once and kept as it was written: in statements it is an ISO 8601 duration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Length {
    micros: i64,
    text: String,
}

/// A calendar month in Taipei, counted from January 2020.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Month(pub u16);

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

impl Time {
    /// The moment `micros` microseconds after 1970. Values outside the years -9999 to 9999 are cut to that range.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond()))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// This moment plus `micros` microseconds (which may be negative).
    pub fn plus(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// The calendar day in Taipei, as `2026-11-20`.
    pub fn day(self) -> String {
        self.zoned().strftime("%Y-%m-%d").to_string()
    }

    /// Day and minute in Taipei, as `2026-11-20 14:05`.
    pub fn minute(self) -> String {
        self.zoned().strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The year in the calendar of the Republic of China (2026 is 115).
    pub fn minguo_year(self) -> i16 {
        self.zoned().year() - 1911
    }

    fn zoned(self) -> jiff::Zoned {
        // Taipei has kept UTC+8 without daylight saving since 1979, so no time zone database is needed.
        self.timestamp().to_zoned(TimeZone::fixed(jiff::tz::offset(8)))
    }

    fn timestamp(self) -> jiff::Timestamp {
        // INVARIANT: every constructor clamps or parses into jiff's range.
        jiff::Timestamp::from_microsecond(self.0).expect("time lies in the supported range")
    }
}

impl Month {
    /// The month of a moment. What lies before January 2020 counts to that one.
    pub fn of(time: Time) -> Self {
        let zoned = time.zoned();
        let months = (i32::from(zoned.year()) - FIRST_YEAR) * 12 + i32::from(zoned.month()) - 1;
        Self(months.max(0).unsigned_abs() as u16)
    }

    /// Its first moment.
    pub fn begins(self) -> Time {
        let (year, month) = self.year_and_month();
        let first = jiff::civil::Date::new(year, month, 1).and_then(|day| day.to_zoned(TimeZone::fixed(jiff::tz::offset(8))));
        // INVARIANT: 65,536 months after 2020 the calendar of jiff is not over.
        Time(first.expect("the month lies in the supported range").timestamp().as_microsecond())
    }

    /// The month after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    fn year_and_month(self) -> (i16, i8) {
        // INVARIANT: a month is below 65,536, so its year is below 7,482.
        ((FIRST_YEAR + i32::from(self.0) / 12) as i16, (self.0 % 12) as i8 + 1)
    }
}

/// The year whose January is month 0.
const FIRST_YEAR: i32 = 2020;

impl fmt::Display for Month {
    /// As `2026-11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.year_and_month();
        write!(f, "{year}-{month:02}")
    }
}

impl FromStr for Month {
    type Err = NotMonth;

    fn from_str(text: &str) -> Result<Self, NotMonth> {
        let read = || {
            let (year, month) = text.split_once('-')?;
            let (year, month): (u16, u16) = (year.parse().ok()?, month.parse().ok()?);
            let count = year.checked_sub(2020)?.checked_mul(12)?.checked_add(month.checked_sub(1)?)?;
            Some(Self(count)).filter(|read| read.to_string() == text)
        };
        read().ok_or(NotMonth)
    }
}

/// Why a text is not a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This is not a month from 2020 on. Write it as `2026-11`.")]
pub struct NotMonth;

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    /// Reads RFC 3339 (`2026-11-20T00:00:00Z`). A bare day (`2026-11-20`) is its first moment in Taipei.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        if text.len() == 10 {
            let day: jiff::civil::Date = text.parse()?;
            let zoned = day.to_zoned(TimeZone::fixed(jiff::tz::offset(8)))?;
            return Ok(Self(zoned.timestamp().as_microsecond()));
        }
        Ok(Self(text.parse::<jiff::Timestamp>()?.as_microsecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Length {
    /// Reads what [`parse_duration`] reads.
    pub fn read(text: String) -> Option<Self> {
        Some(Self { micros: parse_duration(&text)?, text })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long it is, in microseconds.
    pub const fn micros(&self) -> i64 {
        self.micros
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// How long it is from one moment to a later one, in whole seconds, as an ISO 8601 duration of days, hours, minutes and seconds. Nothing is `PT0S`.
pub fn duration_between(from: Time, to: Time) -> String {
    use std::fmt::Write;
    let seconds = to.micros().saturating_sub(from.micros()).max(0) / SECOND;
    let (days, clock) = (seconds / (DAY / SECOND), seconds % (DAY / SECOND));
    let parts = [(clock / 3600, 'H'), (clock / 60 % 60, 'M'), (clock % 60, 'S')];
    let mut text = "P".to_owned();
    // Writing to a String cannot fail.
    if days > 0 {
        let _ = write!(text, "{days}D");
    }
    if clock > 0 || days == 0 {
        text.push('T');
        for (number, unit) in parts.iter().filter(|(number, unit)| *number > 0 || (*unit == 'S' && clock == 0)) {
            let _ = write!(text, "{number}{unit}");
        }
    }
    text
}

/// Reads an ISO 8601 duration of days, hours, minutes and seconds (`P30D`, `PT4H`) or of years and months, which count
/// as 365 and 30 days. The answer is in microseconds. Negative and empty durations are refused.
pub fn parse_duration(text: &str) -> Option<i64> {
    // jiff also reads `30 days`; in the register every duration has its ISO form.
    let span: jiff::Span = text.starts_with('P').then(|| text.parse().ok())??;
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let micros = days
        .checked_mul(DAY)?
        .checked_add(i64::from(span.get_hours()).checked_mul(HOUR)?)?
        .checked_add(span.get_minutes().checked_mul(MINUTE)?)?
        .checked_add(span.get_seconds().checked_mul(SECOND)?)?;
    (micros > 0).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_between_moments_reads_back() {
        let at = |micros| Time::from_micros(micros);
        let cases = [
            (0, "PT0S"),
            (999_999, "PT0S"),
            (SECOND, "PT1S"),
            (90 * SECOND, "PT1M30S"),
            (DAY, "P1D"),
            (DAY + HOUR, "P1DT1H"),
            (400 * DAY + SECOND, "P400DT1S"),
        ];
        for (micros, told) in cases {
            assert_eq!(duration_between(at(5), at(5 + micros)), told);
            if micros >= SECOND {
                assert_eq!(parse_duration(told), Some(micros));
            }
        }
        assert_eq!(duration_between(at(DAY), at(0)), "PT0S");
    }

    #[test]
    fn reads_and_writes_rfc3339_and_bare_days() {
        let time: Time = "2026-11-20T00:00:00Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-20T00:00:00Z");
        assert_eq!(time.day(), "2026-11-20");
        assert_eq!("2026-11-20".parse::<Time>().unwrap().to_string(), "2026-11-19T16:00:00Z");
        assert_eq!(time.minguo_year(), 115);
        assert!("tomorrow".parse::<Time>().is_err());
    }

    #[test]
    fn months_are_those_of_taipei() {
        let month = |text: &str| Month::of(text.parse().unwrap());
        assert_eq!((month("2020-01-01"), month("1999-12-31")), (Month(0), Month(0)));
        assert_eq!(
            (month("2026-11-30T15:59:59.999999Z").to_string(), month("2026-11-30T16:00:00Z").to_string()),
            ("2026-11".into(), "2026-12".into())
        );
        assert_eq!(Month(83).next().begins().to_string(), "2026-12-31T16:00:00Z");
        for number in [0, 11, 12, 83, 1_000, u16::MAX] {
            assert_eq!(Month::of(Month(number).begins()), Month(number));
            assert_eq!(Month::of(Month(number).begins().plus(-1)), Month(number.saturating_sub(1)));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("P30D"), Some(30 * DAY));
        assert_eq!(parse_duration("P1Y"), Some(365 * DAY));
        assert_eq!(parse_duration("PT4H"), Some(4 * HOUR));
        assert_eq!(parse_duration("P0D"), None);
        assert_eq!(parse_duration("-P1D"), None);
        assert_eq!(parse_duration("a month"), None);
        assert_eq!(parse_duration("30 days"), None);
        let length = Length::read("P1M".to_owned()).unwrap();
        assert_eq!((length.micros(), length.to_string()), (30 * DAY, "P1M".to_owned()));
        assert_eq!(serde_json::to_string(&length).unwrap(), "\"P1M\"", "as it was written");
    }
}
