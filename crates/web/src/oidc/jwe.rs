//! Encryption to a service (RFC 7516, compact): a key agreed with its P-256 key for one message (ECDH-ES), A256GCM under it, and no other way.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use usufruct_core::hash::sha256;
use usufruct_core::jwk::{Jwk, KeyUse};
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

/// How the key is agreed, for the metadata.
pub(crate) const AGREEMENT: &str = "ECDH-ES";
/// How the content is encrypted, for the metadata.
pub(crate) const ENCRYPTION: &str = "A256GCM";

/// A signed token for nobody but the holder of `key` (RFC 7519 5.2). `None` for a key that is not for encryption.
pub(crate) fn encrypted(token: &str, key: &Jwk, rng: &dyn Rng) -> Option<String> {
    // The library draws the key of the message from the system's generator, whatever it is given.
    let ephemeral = PrivateKey::generate(&ECDH_P256).ok()?;
    sealed(token, key, &ephemeral, random(rng))
}

fn sealed(token: &str, key: &Jwk, ephemeral: &PrivateKey, iv: [u8; 12]) -> Option<String> {
    if key.key_use != KeyUse::Encryption {
        return None;
    }
    let point = ephemeral.compute_public_key().ok()?;
    let [x, y] = [point.as_ref().get(1..33)?, point.as_ref().get(33..65)?].map(|half| URL_SAFE_NO_PAD.encode(half));
    let header = json!({
        "alg": AGREEMENT,
        "cty": "JWT",
        "enc": ENCRYPTION,
        "epk": { "crv": "P-256", "kty": "EC", "x": x, "y": y },
        "kid": key.kid,
    });
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let secret =
        agreed(ephemeral, key.x.as_deref()?, key.y.as_deref()?, &Party { algorithm: ENCRYPTION, by: "", to: "", bits: 256 })?;
    let (ciphertext, tag) = under(&secret, iv, header.as_bytes(), token.as_bytes())?;
    // There is no encrypted key: what was agreed is the key itself (RFC 7518 4.6).
    Some(
        [header, String::new(), URL_SAFE_NO_PAD.encode(iv), URL_SAFE_NO_PAD.encode(ciphertext), URL_SAFE_NO_PAD.encode(tag)]
            .join("."),
    )
}

/// What a key is agreed for (RFC 7518 4.6.2).
struct Party<'a> {
    algorithm: &'a str,
    by: &'a str,
    to: &'a str,
    bits: u32,
}

/// The key that both sides come to: one round of the Concat KDF (NIST SP 800-56A 5.8.2.1), which gives 256 bits.
fn agreed(own: &PrivateKey, x: &str, y: &str, party: &Party<'_>) -> Option<Zeroizing<[u8; 32]>> {
    let [x, y] = [URL_SAFE_NO_PAD.decode(x).ok()?, URL_SAFE_NO_PAD.decode(y).ok()?];
    let theirs = UnparsedPublicKey::new(&ECDH_P256, [&[UNCOMPRESSED][..], &x, &y].concat());
    agree(own, theirs, (), |secret| {
        let mut message = Zeroizing::new(1_u32.to_be_bytes().to_vec());
        message.extend_from_slice(secret);
        for word in [party.algorithm, party.by, party.to] {
            message.extend_from_slice(&u32::try_from(word.len()).map_err(drop)?.to_be_bytes());
            message.extend_from_slice(word.as_bytes());
        }
        message.extend_from_slice(&party.bits.to_be_bytes());
        Ok(Zeroizing::new(sha256(&message).0))
    })
    .ok()
}

fn under(key: &[u8; 32], iv: [u8; 12], about: &[u8], content: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut bytes = content.to_vec();
    let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(about), &mut bytes).ok()?;
    Some((bytes, tag.as_ref().to_vec()))
}

/// First byte of a point that is written with both coordinates (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use usufruct_core::ports::Rng;

    use super::*;

    /// RFC 7518 C: what Alice and Bob come to, here for A128GCM, of which the key is the first half of the round.
    #[test]
    fn the_agreement_of_the_rfc() {
        let key = |d: &str| PrivateKey::from_private_key(&ECDH_P256, &URL_SAFE_NO_PAD.decode(d).unwrap()).unwrap();
        let (alice, bob) =
            (key("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"), key("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"));
        let party = Party { algorithm: "A128GCM", by: "Alice", to: "Bob", bits: 128 };
        let (x, y) = ("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck");
        let one = agreed(&alice, x, y, &party).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&one[..16]), "VqqN6vgjbSBcIijNcacQGg");
        let (x, y) = ("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0", "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps");
        assert_eq!(*agreed(&bob, x, y, &party).unwrap(), *one);
        assert!(agreed(&bob, y, x, &party).is_none(), "no point of the curve");
    }

    /// RFC 7516 A.1: the content of the first example.
    #[test]
    fn the_encryption_of_the_rfc() {
        let key = [
            177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34, 105, 47,
            130, 203, 46, 122, 234, 64, 252,
        ];
        let iv = [227, 197, 117, 252, 2, 219, 233, 68, 180, 225, 77, 219];
        let header = b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ";
        let text = b"The true sign of intelligence is not knowledge but imagination.";
        let (ciphertext, tag) = under(&key, iv, header, text).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(ciphertext),
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"
        );
        assert_eq!(URL_SAFE_NO_PAD.encode(tag), "XFBoMYUZodetZdvTiFvSkQ");
    }

    struct Sevens;

    impl Rng for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn only_the_holder_of_the_key_reads_it() {
        let own = PrivateKey::generate(&ECDH_P256).unwrap();
        let point = own.compute_public_key().unwrap();
        let [x, y] = [1..33, 33..65].map(|half| URL_SAFE_NO_PAD.encode(&point.as_ref()[half]));
        let mut key = Jwk {
            kid: "e1".into(),
            kty: "EC".into(),
            crv: Some("P-256".into()),
            x: Some(x),
            y: Some(y),
            n: None,
            e: None,
            key_use: KeyUse::Encryption,
        };
        let token = encrypted("a.b.c", &key, &Sevens).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!((parts.len(), parts[1]), (5, ""));
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&bytes(parts[0])).unwrap();
        assert_eq!(
            (&header["alg"], &header["enc"], &header["cty"], &header["kid"]),
            (&json!("ECDH-ES"), &json!("A256GCM"), &json!("JWT"), &json!("e1"))
        );
        assert!(header["epk"].get("d").is_none());
        let coordinate = |name: &str| header["epk"][name].as_str().unwrap().to_owned();
        let party = Party { algorithm: ENCRYPTION, by: "", to: "", bits: 256 };
        let secret = agreed(&own, &coordinate("x"), &coordinate("y"), &party).unwrap();
        let opening = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*secret).unwrap());
        let mut content = [bytes(parts[3]), bytes(parts[4])].concat();
        let nonce = Nonce::try_assume_unique_for_key(&bytes(parts[2])).unwrap();
        assert_eq!(opening.open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut content).unwrap(), b"a.b.c");
        assert_ne!(encrypted("a.b.c", &key, &Sevens).unwrap(), token, "each message has a key of its own");
        key.key_use = KeyUse::Signature;
        assert!(encrypted("a.b.c", &key, &Sevens).is_none());
    }
}
