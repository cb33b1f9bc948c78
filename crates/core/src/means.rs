//! Means: how a resident proved who she is.

use serde::Serialize;

use crate::Time;

/// By what a session was opened, the strongest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Not at all: somebody else acted for the resident. Services are not told who, nor why.
    Delegate,
    /// A printed card and its PIN: for residents without a phone.
    Card,
    /// A certificate card of the state, over TLS.
    Certificate,
    /// A passkey with user verification.
    #[default]
    Passkey,
}

/// A time at which a resident proved who she is, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub means: Means,
    pub at: Time,
}

/// What is asked of a sign-in (RFC 9470).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedSignIn {
    /// The weakest means that will do.
    pub means: Means,
    /// How long ago it may be, in microseconds; `None` for however long.
    pub within: Option<i64>,
}

impl AskedSignIn {
    /// Asks nothing: even somebody who acts for the resident will do.
    pub const NOTHING: Self = Self { means: Means::Delegate, within: None };

    /// What meets both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let within = match (self.within, other.within) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        Self { means: self.means.max(other.means), within }
    }

    /// Whether a sign-in is enough at `now`.
    pub fn is_met_by(self, sign_in: SignIn, now: Time) -> bool {
        let age = now.micros().saturating_sub(sign_in.at.micros());
        sign_in.means >= self.means && self.within.is_none_or(|longest| age <= longest)
    }
}

impl Means {
    /// All there are, the strongest last.
    pub const ALL: [Self; 4] = [Self::Delegate, Self::Card, Self::Certificate, Self::Passkey];
    /// What a mandate or a service can ask for.
    pub const PROOFS: [Self; 3] = [Self::Card, Self::Certificate, Self::Passkey];

    /// The word for it, in the store and in statements.
    pub fn code(self) -> &'static str {
        match self {
            Self::Delegate => "delegate",
            Self::Card => "card",
            Self::Certificate => "certificate",
            Self::Passkey => "passkey",
        }
    }

    /// The means with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|means| means.code() == code)
    }

    /// Its authentication context class (OpenID Connect Core 2).
    pub fn acr(self) -> &'static str {
        match self {
            Self::Delegate => "urn:usufruct:acr:none",
            Self::Card => "urn:usufruct:acr:card",
            Self::Certificate => "urn:usufruct:acr:certificate",
            Self::Passkey => "urn:usufruct:acr:passkey",
        }
    }

    /// Its authentication methods (RFC 8176). That a PIN opened a certificate card is its issuer's promise; a handshake does not
    /// show it, so nothing is said about it.
    pub fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Delegate => &[],
            Self::Card => &["pin"],
            Self::Certificate => &["hwk", "sc"],
            Self::Passkey => &["hwk", "user"],
        }
    }

    /// The means of an authentication context class that a service can ask for.
    pub fn from_acr(acr: &str) -> Option<Self> {
        Self::PROOFS.into_iter().find(|means| means.acr() == acr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE;

    #[test]
    fn the_stronger_and_the_newer_of_two_is_asked() {
        let strong = AskedSignIn { means: Means::Passkey, within: None };
        let new = AskedSignIn { means: Means::Card, within: Some(5 * MINUTE) };
        let newer = AskedSignIn { within: Some(MINUTE), ..AskedSignIn::NOTHING };
        assert_eq!(strong.and(new), AskedSignIn { means: Means::Passkey, within: Some(5 * MINUTE) });
        assert_eq!(new.and(strong), strong.and(new));
        assert_eq!(new.and(newer), AskedSignIn { means: Means::Card, within: Some(MINUTE) });
        assert_eq!(new.and(AskedSignIn::NOTHING), new);
    }

    #[test]
    fn a_sign_in_is_strong_enough_and_new_enough_or_it_is_not() {
        let at = Time::from_micros(1_000 * MINUTE);
        let sign_in = SignIn { means: Means::Certificate, at };
        let met = |means, within, now| AskedSignIn { means, within }.is_met_by(sign_in, now);
        assert!(met(Means::Delegate, None, at) && met(Means::Certificate, None, at.plus(900 * MINUTE)));
        assert!(!met(Means::Passkey, None, at));
        assert!(met(Means::Card, Some(MINUTE), at.plus(MINUTE)));
        assert!(!met(Means::Card, Some(MINUTE), at.plus(MINUTE + 1)));
        assert!(!met(Means::Passkey, Some(MINUTE), at));
    }
}
