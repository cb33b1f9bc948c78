//! WebAuthn: what a person's passkey said, judged from bytes that stand in the log (Web Authentication Level 3, section 7.2).
//!
//! Nothing is asked of a server, so anybody can judge an approval again years later. The signature counter is not looked at: passkeys that
//! are kept on several devices have none, and a copy of an approval is of no use, since it holds for one statement and each is in the log once.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::draft::Draft;
use crate::hash::sha256;
use crate::jwk::Algorithm;

/// What an agency's statement says of a passkey beside its public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passkey {
    /// `ES256` or `EdDSA`.
    pub algorithm: Algorithm,
    /// Id of the credential, base64url without padding: a browser asks the device for exactly this one.
    pub credential: String,
    /// The host for which the device made it, as `pass.example.org`.
    pub rp_id: String,
    /// The pages on which it may be used, as `https://pass.example.org`.
    pub origins: Vec<String>,
}

/// What a device and its browser answer when a passkey is used.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// `authenticatorData`: 37 bytes.
    pub authenticator_data: &'a [u8],
    /// `clientDataJSON`, as the browser wrote it.
    pub client_data: &'a [u8],
    /// ES256: in DER, as devices make it; EdDSA: 64 bytes.
    pub signature: &'a [u8],
}

/// Why an approval or an assertion does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A key of one kind and an approval of another.
    Algorithm,
    /// It answers another question: another statement, or something that is no approval at all.
    Challenge,
    /// What the browser wrote is not one flat object of texts and flags, or is too long.
    ClientData,
    /// It was made inside a page of another site.
    CrossOrigin,
    /// Nobody touched the device, nobody proved to be its owner, or there is data in it that was not asked for.
    Flags,
    /// The data of the device has another length than 37 bytes.
    Length,
    /// It was made on a page that the key does not name.
    Origin,
    /// It was made for another host.
    RpId,
    /// The signature is not by this key.
    Signature,
    /// The browser was not asked to use a passkey but to make one, or for a payment.
    Type,
}

/// A value in client data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member<'a> {
    Flag(bool),
    Text(&'a str),
}

/// `authenticatorData` without extensions and without a new key (6.1): hash of the host, flags, counter.
const DATA_BYTES: usize = 37;
/// Longest client data, in bytes. Browsers write about 200.
const LONGEST_CLIENT_DATA: usize = 1_024;
/// Longest id of a credential, in bytes (4, Credential ID).
const LONGEST_CREDENTIAL: usize = 1_023;
/// Characters of base64url for so many bytes.
const LONGEST_CREDENTIAL_TEXT: usize = LONGEST_CREDENTIAL.div_ceil(3) * 4;
/// Pages on which one passkey may be used.
const MOST_ORIGINS: usize = 4;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ELIGIBLE_FOR_BACKUP: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const NEW_KEY: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

impl Passkey {
    /// Reads what a statement says of a passkey whose public key is `public`.
    pub(crate) fn read(draft: &mut Draft<'_>, public: Option<&str>) -> Option<Self> {
        let algorithms = [("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)];
        let algorithm = draft.word("algorithm", &algorithms, "Give ES256 or EdDSA.");
        let credential = draft.string("credential", LONGEST_CREDENTIAL_TEXT, "Give the id of the credential in base64url.");
        let rp_id = draft.string("rp_id", 253, "Give the host for which the passkey was made, as `pass.example.org`.");
        let origins = draft.strings("origins", 300, "Give the pages on which it may be used, as `https://pass.example.org`.");
        if credential.as_deref().is_some_and(|id| decoded(id).is_none_or(|id| id.is_empty() || id.len() > LONGEST_CREDENTIAL)) {
            let message = "This is no id of a credential. Give its 1 to 1,023 bytes in base64url without padding.";
            draft.note("credential", "malformed", message.into());
            return None;
        }
        let rp_id = rp_id?;
        if !is_host(&rp_id) {
            draft.note("rp_id", "malformed", "This is no name of a host. Give it as `pass.example.org`.".into());
            return None;
        }
        if origins.len() > MOST_ORIGINS || origins.iter().any(|origin| !is_origin(origin, &rp_id)) {
            let message =
                "A page is not of that host, not https, or there are more than four. Give them as `https://pass.example.org`.";
            draft.note("origins", "malformed", message.into());
            return None;
        }
        let passkey = Self { algorithm: algorithm?, credential: credential?, rp_id, origins };
        if public.and_then(|public| passkey.public_key(public)).is_none() {
            let message = "This is no public key of that algorithm. Give the 65 bytes of a point of P-256, or the 32 of Ed25519, in base64url.";
            draft.note("algorithm", "other-key", message.into());
            return None;
        }
        Some(passkey)
    }

    /// The public key, if it is one of this passkey's algorithm: an uncompressed point of P-256, or 32 bytes of Ed25519.
    pub fn public_key(&self, public: &str) -> Option<Vec<u8>> {
        let bytes = decoded(public)?;
        let is_one = match self.algorithm {
            Algorithm::EdDsa => bytes.len() == 32,
            Algorithm::Es256 => {
                bytes.len() == 65 && bytes[0] == 4 && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &*bytes).is_ok()
            }
            Algorithm::Ps256 | Algorithm::Rs256 => false,
        };
        is_one.then_some(bytes)
    }

    /// Whether the passkey with this public key answered `challenge` on a page where it may be used, touched by an owner whom the device
    /// knows.
    pub fn verify(&self, public: &str, challenge: &[u8], assertion: Assertion<'_>) -> Result<(), Flaw> {
        let Assertion { authenticator_data, client_data, signature } = assertion;
        let members = client_data_members(client_data).ok_or(Flaw::ClientData)?;
        if members.get("type") != Some(&Member::Text("webauthn.get")) {
            return Err(Flaw::Type);
        }
        let Some(Member::Text(answered)) = members.get("challenge") else { return Err(Flaw::Challenge) };
        if decoded(answered).as_deref() != Some(challenge) {
            return Err(Flaw::Challenge);
        }
        let Some(Member::Text(origin)) = members.get("origin") else { return Err(Flaw::Origin) };
        if !self.origins.iter().any(|allowed| allowed == origin) {
            return Err(Flaw::Origin);
        }
        // Absent in what older browsers write, and then it was not inside another page.
        let is_inside = !matches!(members.get("crossOrigin"), None | Some(Member::Flag(false)));
        if is_inside || members.contains_key("topOrigin") {
            return Err(Flaw::CrossOrigin);
        }
        let data: &[u8; DATA_BYTES] = authenticator_data.try_into().map_err(|_| Flaw::Length)?;
        if data[..32] != sha256(self.rp_id.as_bytes()).0 {
            return Err(Flaw::RpId);
        }
        let flags = data[32];
        let is_touched = flags & (PRESENT | VERIFIED) == PRESENT | VERIFIED;
        let is_plain = flags & (NEW_KEY | EXTENSIONS) == 0 && flags & (ELIGIBLE_FOR_BACKUP | BACKED_UP) != BACKED_UP;
        if !is_touched || !is_plain {
            return Err(Flaw::Flags);
        }
        let key = self.public_key(public).ok_or(Flaw::Algorithm)?;
        let signed = [authenticator_data, &sha256(client_data).0].concat();
        let outcome = match self.algorithm {
            Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, key).verify(&signed, signature),
            _ => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, signature),
        };
        outcome.map_err(|_| Flaw::Signature)
    }
}

impl Flaw {
    /// The word for it in the golden files.
    pub fn code(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Challenge => "challenge",
            Self::ClientData => "client-data",
            Self::CrossOrigin => "cross-origin",
            Self::Flags => "flags",
            Self::Length => "length",
            Self::Origin => "origin",
            Self::RpId => "rp-id",
            Self::Signature => "signature",
            Self::Type => "type",
        }
    }
}

/// The members of client data: one flat object of flags and of plain texts without escapes, no name twice. Browsers write nothing else
/// (5.8.1.1), and everybody who reads this much reads the same.
pub fn client_data_members(bytes: &[u8]) -> Option<BTreeMap<&str, Member<'_>>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST_CLIENT_DATA)?;
    let mut rest = text.strip_prefix('{')?;
    let mut members = BTreeMap::new();
    loop {
        let (name, after) = quoted(rest)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let after = after.strip_prefix(':')?;
        let (value, after) = match (after.strip_prefix("true"), after.strip_prefix("false")) {
            (Some(after), _) => (Member::Flag(true), after),
            (_, Some(after)) => (Member::Flag(false), after),
            _ => quoted(after).map(|(text, after)| (Member::Text(text), after))?,
        };
        if members.insert(name, value).is_some() {
            return None;
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (after == "}").then_some(members),
        }
    }
}

/// A plain text in quotes, and what comes after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (inner, after) = text.strip_prefix('"')?.split_once('"')?;
    inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\').then_some((inner, after))
}

/// Strict: each value has one spelling.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        is_plain && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    name.split('.').all(is_label)
}

/// Whether this is the origin of a page, as browsers write it, whose scripts may use passkeys of this host.
fn is_origin(origin: &str, rp_id: &str) -> bool {
    let is_here = rp_id == "localhost" || rp_id.ends_with(".localhost");
    let plain = origin.strip_prefix("http://").filter(|_| is_here).map(|rest| (rest, "80"));
    let Some((rest, usual)) = origin.strip_prefix("https://").map(|rest| (rest, "443")).or(plain) else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == port) && port != usual;
    let is_within = host == rp_id || host.strip_suffix(rp_id).is_some_and(|front| front.ends_with('.'));
    is_host(host) && is_within && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_data_is_flat_plain_and_names_nothing_twice() {
        let chrome = br#"{"type":"webauthn.get","challenge":"AA","origin":"https://a.example","crossOrigin":false,"other_keys_can_be_added_here":"do not compare clientDataJSON against a template. See https://goo.gl/yabPex"}"#;
        let members = client_data_members(chrome).unwrap();
        assert_eq!((members["type"], members["crossOrigin"]), (Member::Text("webauthn.get"), Member::Flag(false)));
        for bad in [
            "",
            "{}",
            "{",
            r#"{"a":"b""#,
            r#"{"a":"b"} "#,
            r#" {"a":"b"}"#,
            r#"{"a": "b"}"#,
            r#"{"a":"b",}"#,
            r#"{"a":"b","a":"b"}"#,
            r#"{"a":"b","a":true}"#,
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":["b"]}"#,
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":truefalse}"#,
            r#"{"a":"\u0062"}"#,
            r#"{"\u0061":"b"}"#,
            r#"{"":"b"}"#,
            r#"{"a":"é"}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{\"a\":\"b\"}",
        ] {
            assert!(client_data_members(bad.as_bytes()).is_none(), "{bad}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST_CLIENT_DATA - 8));
        assert!(long.len() == LONGEST_CLIENT_DATA && client_data_members(long.as_bytes()).is_some());
        assert!(client_data_members(long.replace("{\"a\"", "{\"aa\"").as_bytes()).is_none());
    }

    #[test]
    fn a_page_is_of_the_host_of_the_passkey() {
        for (origin, host) in [
            ("https://pass.example.org", "pass.example.org"),
            ("https://pass.example.org", "example.org"),
            ("https://pass.example.org:8443", "pass.example.org"),
            ("http://localhost:8080", "localhost"),
            ("http://pass.localhost", "pass.localhost"),
        ] {
            assert!(is_origin(origin, host), "{origin}");
        }
        for (origin, host) in [
            ("http://pass.example.org", "pass.example.org"),
            ("https://pass.example.org/", "pass.example.org"),
            ("https://pass.example.org:443", "pass.example.org"),
            ("https://pass.example.org:08443", "pass.example.org"),
            ("https://pass.example.org:0", "pass.example.org"),
            ("https://pass.example.org:", "pass.example.org"),
            ("https://me@pass.example.org", "pass.example.org"),
            ("https://evilexample.org", "example.org"),
            ("https://.example.org", "example.org"),
            ("https://example.org", "pass.example.org"),
            ("https://Pass.example.org", "Pass.example.org"),
            ("pass.example.org", "pass.example.org"),
            ("http://localhost.example.org", "localhost.example.org"),
            ("", ""),
        ] {
            assert!(!is_origin(origin, host), "{origin}");
        }
    }
}
