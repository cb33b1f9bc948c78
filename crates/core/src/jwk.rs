//! Jwk: a public key of a service (RFC 7517), and the algorithms it or the pass signs by.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::draft::Draft;

/// A public key of a service: P-256 for ES256, Ed25519 for EdDSA, RSA of 2,048 bits or more for PS256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    pub kid: String,
    pub kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// What it is for; signatures unless it says so.
    #[serde(rename = "use", skip_serializing_if = "KeyUse::is_signature")]
    pub key_use: KeyUse,
}

/// What a key is for (RFC 7517 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum KeyUse {
    /// The service signs with it.
    #[default]
    #[serde(rename = "sig")]
    Signature,
    /// What is meant for the service alone is encrypted to it: P-256 for ECDH-ES.
    #[serde(rename = "enc")]
    Encryption,
}

/// How a token is signed (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "PS256")]
    Ps256,
    /// For software off the shelf alone: the FAPI 2.0 security profile (5.4.1) forbids it.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Ps256, Self::Rs256];

    /// Its name in headers and statements.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }
}

impl KeyUse {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_signature(&self) -> bool {
        *self == Self::Signature
    }
}

impl Jwk {
    /// Reads a public key. Private parts and symmetric keys have no field here, so they are refused.
    pub(crate) fn read(key: &mut Draft<'_>) -> Option<Self> {
        let kid = key.string("kid", 80, "Name the key.");
        let uses = [("sig", KeyUse::Signature), ("enc", KeyUse::Encryption)];
        let key_use = key.optional_word("use", &uses).unwrap_or_default();
        let kinds = [("EC", "EC"), ("OKP", "OKP"), ("RSA", "RSA")];
        let kty = key.word("kty", &kinds, "Give an elliptic-curve key (EC or OKP) or an RSA key.")?;
        let (mut crv, mut x, mut y, mut n, mut e) = (None, None, None, None, None);
        match kty {
            "RSA" => {
                n = Some(number("n", "Give the modulus in base64url.", key)?);
                e = Some(number("e", "Give the exponent in base64url.", key)?);
                if n.as_deref().and_then(bits).is_some_and(|bits| bits < SHORTEST_MODULUS_BITS) {
                    key.note("n", "too-short", "The RSA key has fewer than 2,048 bits. Make a longer one.".into());
                }
            }
            _ => {
                x = Some(coordinate("x", "Give the x coordinate in base64url.", key)?);
                if kty == "EC" {
                    y = Some(coordinate("y", "Give the y coordinate in base64url.", key)?);
                }
                let curves = if kty == "EC" { [("P-256", "P-256")] } else { [("Ed25519", "Ed25519")] };
                crv = Some(key.word("crv", &curves, "Give P-256 for EC, Ed25519 for OKP.")?.to_owned());
                if let (Some(x), Some(y)) = (&x, &y)
                    && !is_on_curve(x, y)
                {
                    key.note("y", "off-curve", "The coordinates are no point of P-256. Export the public key again.".into());
                }
            }
        }
        if key_use == KeyUse::Encryption && kty != "EC" {
            key.note("kty", "no-agreement", "Only a P-256 key can be encrypted to. Give one, or leave `use` out.".into());
        }
        Some(Self { kid: kid?, kty: kty.to_owned(), crv, x, y, n, e, key_use })
    }

    /// The keys of a set that can be used, as a service publishes one (RFC 7517 5). Kinds that are unknown here are left out, and so are
    /// keys that show a private part and keys that share a name.
    pub fn read_set(set: &Value) -> Vec<Self> {
        let listed = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        let keys: Vec<Self> = listed.iter().filter_map(Self::of_set).collect();
        let is_single = |key: &&Self| keys.iter().filter(|other| other.kid == key.kid).count() == 1;
        keys.iter().filter(is_single).cloned().collect()
    }

    fn of_set(key: &Value) -> Option<Self> {
        let members = key.as_object()?;
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return None;
        }
        let known: Map<String, Value> = members
            .iter()
            .filter(|(name, _)| KNOWN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let known = Value::Object(known);
        let mut draft = Draft::new(&known);
        let key = Self::read(&mut draft);
        key.filter(|_| draft.finish().is_empty())
    }
}

/// Members of a public key that are read (RFC 7517 4, RFC 7518 6, RFC 8037 2).
const KNOWN: [&str; 8] = ["kid", "kty", "crv", "x", "y", "n", "e", "use"];
/// Members of a private or symmetric key (RFC 7518 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Shortest modulus of an RSA key (FAPI 2.0 Security Profile 5.4.2).
const SHORTEST_MODULUS_BITS: usize = 2_048;
/// Bytes of a coordinate on P-256 and of an Ed25519 key.
const COORDINATE_BYTES: usize = 32;

/// A number of an RSA key, in base64url.
fn number(name: &'static str, words: &str, key: &mut Draft<'_>) -> Option<String> {
    let text = key.string(name, 700, words)?;
    if bits(&text).is_none_or(|bits| bits == 0) {
        key.note(name, "malformed", format!("This is no number. {words}"));
    }
    Some(text)
}

/// A coordinate of a public key, in base64url.
fn coordinate(name: &'static str, words: &str, key: &mut Draft<'_>) -> Option<String> {
    let text = key.string(name, 700, words)?;
    if URL_SAFE_NO_PAD.decode(&text).ok().is_none_or(|bytes| bytes.len() != COORDINATE_BYTES) {
        key.note(name, "malformed", format!("This is no coordinate of 32 bytes. {words}"));
    }
    Some(text)
}

/// Whether two coordinates are a point of P-256 (SEC 1, 2.3.4).
fn is_on_curve(x: &str, y: &str) -> bool {
    let (Ok(x), Ok(y)) = (URL_SAFE_NO_PAD.decode(x), URL_SAFE_NO_PAD.decode(y)) else { return false };
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat()).is_ok()
}

/// First byte of a point that is written with both coordinates (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// How many bits a number in base64url has, leading zeros aside.
fn bits(text: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let leading = bytes.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    Some((bytes.len() - first) * 8 - leading)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The key of RFC 7517 A.1.
    fn point(kid: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": kid,
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    }

    fn names(keys: &[Value]) -> Vec<String> {
        Jwk::read_set(&json!({ "keys": keys })).into_iter().map(|key| key.kid).collect()
    }

    #[test]
    fn a_published_set_is_read_as_far_as_it_is_understood() {
        let mut more = point("more");
        (more["alg"], more["use"], more["x5c"]) = (json!("ES256"), json!("sig"), json!(["AAAA"]));
        let mut private = point("private");
        private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
        let mut off = point("off");
        off["y"] = off["x"].clone();
        let keys = [
            point("one"),
            more,
            private,
            off,
            json!({ "kty": "oct", "kid": "secret", "k": "AAAA" }),
            json!({ "kty": "EC", "crv": "P-521", "kid": "long", "x": "AA", "y": "AA" }),
            json!({ "kty": "RSA", "kid": "short", "n": "vvvv", "e": "AQAB" }),
            json!("no key"),
        ];
        assert_eq!(names(&keys), ["one", "more"]);
        assert_eq!(names(&[point("twice"), point("twice"), point("once")]), ["once"]);
        for other in [json!(null), json!([]), json!({ "keys": {} }), json!({})] {
            assert!(Jwk::read_set(&other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_key_says_what_it_is_for() {
        let mut key = point("enc");
        key["use"] = json!("enc");
        let read = Jwk::read_set(&json!({ "keys": [key.clone()] }));
        assert_eq!(read[0].key_use, KeyUse::Encryption);
        assert_eq!(serde_json::to_value(&read[0]).unwrap(), key, "it is written as it was read");
        assert_eq!(serde_json::to_value(&Jwk::read_set(&json!({ "keys": [point("sig")] }))[0]).unwrap(), point("sig"));
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "e", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "enc" });
        assert!(names(&[ed25519]).is_empty(), "nothing can be encrypted to a key for signatures");
    }
}
