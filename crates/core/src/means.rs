//! Means: how a resident proved who she is.

use serde::Serialize;

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
