//! One key: its file, its public part, and signatures by it.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Serialize;
use serde_json::{Value, json};
use usufruct_app::{App, Error};
use usufruct_core::Time;
use usufruct_core::hash::sha256;
use usufruct_core::jwk::Algorithm;
use usufruct_core::time::SECOND;

pub(super) struct Key {
    /// Name of its file.
    pub name: String,
    pub made_at: Time,
    pub kid: String,
    pub jwk: Value,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    /// With the way of padding: RS256 or PS256.
    Rsa(RsaKeyPair, Algorithm),
}

/// How the names of the files of an algorithm begin.
pub(super) fn prefix(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDsa => "eddsa-",
        Algorithm::Es256 => "oidc-",
        Algorithm::Ps256 => "ps256-",
        Algorithm::Rs256 => "rs256-",
    }
}

/// A new key as PKCS#8. The library draws it from the system's generator; it offers no other way to make one.
fn fresh(algorithm: Algorithm) -> Vec<u8> {
    let rng = SystemRandom::default();
    let made = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&rng).map(|pkcs8| pkcs8.as_ref().to_vec()),
        Algorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).map(|pkcs8| pkcs8.as_ref().to_vec())
        }
        Algorithm::Ps256 | Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| AsDer::<Pkcs8V1Der<'static>>::as_der(&pair))
            .map(|pkcs8| pkcs8.as_ref().to_vec()),
    };
    made.unwrap_or_default()
}

impl Key {
    pub fn make(app: &App, algorithm: Algorithm) -> Result<Self, Error> {
        Self::open(app, algorithm, format!("{}{}.p8", prefix(algorithm), app.now().seconds()))
    }

    /// Opens the key in a file of the folder `keys`, making it if it is not there.
    pub fn open(app: &App, algorithm: Algorithm, name: String) -> Result<Self, Error> {
        let refused = || Error::House { what: format!("the provider key {name} is refused") };
        let stem = name.strip_prefix(prefix(algorithm)).and_then(|rest| rest.strip_suffix(".p8")).ok_or_else(refused)?;
        let made_at = Time::from_micros(stem.parse::<i64>().map_err(|_| refused())?.saturating_mul(SECOND));
        let pkcs8 = app.house().secret(&name, || fresh(algorithm))?;
        let pair = Pair::open(algorithm, &pkcs8).ok_or_else(refused)?;
        let mut jwk = pair.public().ok_or_else(refused)?;
        // RFC 7638 thumbprint: the required members in lexicographic order, which is how this map is written.
        let kid = URL_SAFE_NO_PAD.encode(&sha256(jwk.to_string().as_bytes()).0[..12]);
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(algorithm.name());
        jwk["use"] = json!("sig");
        Ok(Self { name, made_at, kid, jwk, pair })
    }

    /// A compact JWS of this type over the claims (RFC 7515).
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Option<String> {
        let header = json!({ "typ": typ, "alg": self.pair.algorithm().name(), "kid": self.kid });
        let part = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let text = format!("{}.{}", part(serde_json::to_vec(&header).ok()?), part(serde_json::to_vec(claims).ok()?));
        let signature = self.pair.sign(text.as_bytes())?;
        Some(format!("{text}.{}", part(signature)))
    }

    pub fn algorithm(&self) -> jsonwebtoken::Algorithm {
        match self.pair.algorithm() {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }

    /// The public part, to check signatures with.
    pub fn decoding(&self) -> Option<DecodingKey> {
        let member = |name: &str| self.jwk[name].as_str();
        match self.pair {
            Pair::Ec(_) => DecodingKey::from_ec_components(member("x")?, member("y")?).ok(),
            Pair::Ed(_) => DecodingKey::from_ed_components(member("x")?).ok(),
            Pair::Rsa(..) => DecodingKey::from_rsa_components(member("n")?, member("e")?).ok(),
        }
    }
}

impl Pair {
    fn open(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).ok().map(Self::Ed),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok().map(Self::Ec),
            Algorithm::Ps256 | Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).ok().map(|pair| Self::Rsa(pair, algorithm)),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec(_) => Algorithm::Es256,
            Self::Ed(_) => Algorithm::EdDsa,
            Self::Rsa(_, algorithm) => *algorithm,
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        // The library draws what ECDSA needs from the system's generator, whatever it is given.
        match self {
            Self::Ec(pair) => Some(pair.sign(&SystemRandom::default(), text).ok()?.as_ref().to_vec()),
            Self::Ed(pair) => Some(pair.sign(text).as_ref().to_vec()),
            Self::Rsa(pair, algorithm) => {
                let padding: &dyn RsaEncoding = if *algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::default(), text, &mut signature).ok()?;
                Some(signature)
            }
        }
    }

    /// The required members of the public JWK and no others (RFC 7638, 3.2).
    fn public(&self) -> Option<Value> {
        match self {
            // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let [x, y] = [point.get(1..33)?, point.get(33..65)?].map(|half| URL_SAFE_NO_PAD.encode(half));
                Some(json!({ "crv": "P-256", "kty": "EC", "x": x, "y": y }))
            }
            Self::Ed(pair) => {
                Some(json!({ "crv": "Ed25519", "kty": "OKP", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()) }))
            }
            Self::Rsa(pair, _) => {
                let (n, e) = modulus_and_exponent(pair.public_key().as_ref())?;
                let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
                Some(json!({ "e": e, "kty": "RSA", "n": n }))
            }
        }
    }
}

/// The two numbers of an `RSAPublicKey` in DER (RFC 8017, A.1.1), without leading zeros.
fn modulus_and_exponent(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, []) = element(0x30, der)? else { return None };
    let (n, rest) = element(0x02, numbers)?;
    let (e, []) = element(0x02, rest)? else { return None };
    let trimmed = |number: &[u8]| number.iter().position(|byte| *byte != 0);
    Some((&n[trimmed(n)?..], &e[trimmed(e)?..]))
}

/// The content of the first DER element, which has this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
        short if short < 0x80 => (usize::from(short), rest),
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_an_rsa_key() {
        assert_eq!(modulus_and_exponent(&[0x30, 7, 2, 2, 0, 0x8f, 2, 1, 3]), Some((&[0x8f][..], &[3][..])));
        let mut long = vec![0x30, 0x82, 1, 9, 2, 0x82, 1, 0];
        long.extend([0x7f; 256]);
        long.extend([2, 3, 1, 0, 1]);
        assert_eq!(modulus_and_exponent(&long), Some((&[0x7f; 256][..], &[1, 0, 1][..])));
        for broken in [&long[..long.len() - 1], &[0x30, 0x83, 0, 0, 0], &[0x31, 0], &[0x30], &[], &[0x30, 3, 2, 1, 0]] {
            assert_eq!(modulus_and_exponent(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_new_key_is_read_again() {
        for algorithm in Algorithm::ALL {
            let pair = Pair::open(algorithm, &fresh(algorithm)).unwrap();
            assert_eq!(pair.algorithm(), algorithm);
            let text = b"signed";
            let jwk = pair.public().unwrap();
            let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let signature = pair.sign(text).unwrap();
            let by_rsa = |parameters| {
                assert_eq!((number("n").len(), number("e")), (256, vec![1, 0, 1]));
                let public = aws_lc_rs::rsa::PublicKeyComponents { n: number("n"), e: number("e") };
                public.verify(parameters, text, &signature).unwrap();
            };
            match algorithm {
                Algorithm::EdDsa => {
                    let public = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, number("x"));
                    public.verify(text, &signature).unwrap();
                }
                Algorithm::Es256 => assert_eq!((number("x").len(), signature.len()), (32, 64)),
                Algorithm::Ps256 => by_rsa(&aws_lc_rs::signature::RSA_PSS_2048_8192_SHA256),
                Algorithm::Rs256 => by_rsa(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256),
            }
        }
    }
}
