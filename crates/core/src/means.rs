//! Means: how a resident proved who she is.

/// By what a session was opened, the strongest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// A printed card and its PIN: for residents without a phone.
    Card,
    /// A certificate card of the state, over TLS.
    Certificate,
    /// A passkey with user verification.
    #[default]
    Passkey,
}

impl Means {
    /// The word for it in the store.
    pub fn code(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Certificate => "certificate",
            Self::Passkey => "passkey",
        }
    }

    /// The means with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Card, Self::Certificate, Self::Passkey].into_iter().find(|means| means.code() == code)
    }

    /// Its authentication context class (OpenID Connect Core 2).
    pub fn acr(self) -> &'static str {
        match self {
            Self::Card => "urn:usufruct:acr:card",
            Self::Certificate => "urn:usufruct:acr:certificate",
            Self::Passkey => "urn:usufruct:acr:passkey",
        }
    }

    /// Its authentication methods (RFC 8176). That a PIN opened a certificate card is its issuer's promise; a handshake does not
    /// show it, so nothing is said about it.
    pub fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Card => &["pin"],
            Self::Certificate => &["hwk", "sc"],
            Self::Passkey => &["hwk", "user"],
        }
    }

    /// The means of an authentication context class.
    pub fn from_acr(acr: &str) -> Option<Self> {
        [Self::Card, Self::Certificate, Self::Passkey].into_iter().find(|means| means.acr() == acr)
    }
}
