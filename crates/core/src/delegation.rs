//! Delegation: one resident acts on the rights of another, within what was given, until a day that was said before.

use std::collections::BTreeSet;
use std::fmt;

/// Why one resident may act for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The resident named her.
    Helper,
    /// Two clerks set her up, by law or by a court's decision.
    Guardian,
}

/// What may be given. Everything else stays with the resident: devices, recovery codes, further delegation, deletion, export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// See the footprint.
    Footprint,
    /// See consents, agree and withdraw.
    Consents,
    /// See cases; with the footprint also object to a line.
    Cases,
    /// Sign in at services.
    SignIn,
}

/// What was given, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Powers(BTreeSet<Power>);

impl Role {
    /// The word for it in the store and in events.
    pub fn code(self) -> &'static str {
        match self {
            Self::Helper => "helper",
            Self::Guardian => "guardian",
        }
    }

    /// The role with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Helper, Self::Guardian].into_iter().find(|role| role.code() == code)
    }
}

impl Power {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Footprint, Self::Consents, Self::Cases, Self::SignIn];

    /// The word for it in the store, in events and in forms.
    pub fn code(self) -> &'static str {
        match self {
            Self::Footprint => "footprint",
            Self::Consents => "consents",
            Self::Cases => "cases",
            Self::SignIn => "sign-in",
        }
    }

    /// The power with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|power| power.code() == code)
    }
}

impl Powers {
    /// Everything that may be given.
    pub fn all() -> Self {
        Self(Power::ALL.into())
    }

    /// Reads words separated by spaces; `None` when one of them is unknown.
    pub fn from_codes(codes: &str) -> Option<Self> {
        codes.split_ascii_whitespace().map(Power::from_code).collect::<Option<_>>().map(Self)
    }

    /// Whether each of `wanted` was given.
    pub fn have(&self, wanted: &[Power]) -> bool {
        wanted.iter().all(|power| self.0.contains(power))
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each power, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Power> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Power> for Powers {
    fn from_iter<I: IntoIterator<Item = Power>>(powers: I) -> Self {
        Self(powers.into_iter().collect())
    }
}

impl fmt::Display for Powers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<&str> = self.iter().map(Power::code).collect();
        f.write_str(&codes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_read_as_they_are_written_and_nothing_else_is() {
        for codes in ["", "footprint", "footprint consents cases sign-in"] {
            assert_eq!(Powers::from_codes(codes).unwrap().to_string(), codes);
        }
        assert_eq!(Powers::from_codes("sign-in footprint sign-in").unwrap().to_string(), "footprint sign-in");
        for unknown in ["devices", "footprint,consents", "Footprint", "all"] {
            assert_eq!(Powers::from_codes(unknown), None, "{unknown}");
        }
        assert!(Powers::all().have(&Power::ALL) && !Powers::default().have(&[Power::Cases]));
    }
}
