//! Names of things in the register: a type prefix and a short slug or UUID, as `mdt_library-card`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

use crate::ports::{Rng, random};
use crate::{Digest, Time};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of this kind. Write `{prefix}_` and then 1 to 60 lower-case letters, digits or hyphens.")]
pub struct Malformed {
    text: String,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// What every id of this kind begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id as text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A fresh id: the prefix and a UUIDv7 (RFC 9562) made of `now` and `rng`.
            pub fn fresh(now: Time, rng: &dyn Rng) -> Self {
                Self(format!("{}_{}", $prefix, uuid_v7(now, rng)).into())
            }

            /// A fresh id without a time: the prefix and 128 random bits in hex. For what several parties are told of one
            /// happening, whose names would be joined by the time in them.
            pub fn random(rng: &dyn Rng) -> Self {
                Self(format!("{}_{}", $prefix, crate::hash::hex(&random::<16>(rng))).into())
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                if well_formed(text, $prefix) {
                    Ok(Self(text.into()))
                } else {
                    Err(Malformed { text: text.chars().take(80).collect(), prefix: $prefix })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A public body, a vendor, an overseer, or the operator of the pass.
    AgencyId = "agc";
    /// That bodies may learn each other's pseudonyms.
    AgreementId = "agr";
    /// What a mandate could do to people, weighed.
    AssessmentId = "dpi";
    /// What a drill of the vault found.
    AuditId = "aud";
    /// What an auditor found at a body.
    BodyAuditId = "bau";
    /// One piece of data that can be asked for, such as a name.
    BlockId = "blk";
    /// Data that got out, was lost or is kept too long.
    BreachId = "brc";
    /// A camera in a public place.
    CameraId = "cam";
    /// What a resident asked, demanded or objected to.
    CaseId = "cas";
    /// How many cases a body had in one month, in numbers.
    CaseTallyId = "cst";
    /// The public proof that keys were destroyed.
    CertificateId = "crt";
    /// What a body found when it looked at a vendor.
    CheckId = "chk";
    /// What a vendor agreed to before it may process anything.
    ContractId = "ctr";
    /// What one service is told to delete.
    DeletionId = "del";
    /// A source whose uses are not all in the log.
    IncidentId = "inc";
    /// The permission for one resident's data under one mandate.
    GrantId = "grt";
    /// The public commitment of a key of a mandate or a pseudonym domain.
    KeyId = "key";
    /// What a law asks.
    LawpackId = "law";
    /// The terms of the log.
    LogId = "log";
    /// The published power to use data for one purpose until a date.
    MandateId = "mdt";
    /// The minutes of an oversight body.
    MeetingId = "mtg";
    /// What a resident is told before data is used.
    NoticeId = "ntc";
    /// What an oversight body commands.
    OrderId = "ord";
    /// That what an order commanded was paid.
    PaymentId = "pay";
    /// That no ciphertext is left of what was erased.
    PurgeId = "prg";
    /// That the pseudonyms of a domain were all replaced.
    RotationId = "rot";
    /// What an overseer publishes of a decision.
    RulingId = "rul";
    /// Something residents sign in to.
    ServiceId = "svc";
    /// That the burst brake has stopped somebody.
    StoppageId = "stp";
    /// A change of an object's status.
    StatusChangeId = "sta";
    /// What was done under a mandate on one day, in numbers.
    TallyId = "tly";
    /// One access to data.
    UseId = "use";
    /// The terms of the vault.
    VaultId = "vlt";
    /// The verifier that is served to browsers.
    VerifierId = "ver";
}

impl KeyId {
    /// The id of the key with this commitment: its first 16 bytes in hex, so that no key is published twice under two names.
    pub fn of(commitment: &Digest) -> Self {
        Self(format!("{}_{}", Self::PREFIX, crate::hash::hex(&commitment.0[..16])).into())
    }
}

fn well_formed(text: &str, prefix: &str) -> bool {
    let Some(slug) = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
        return false;
    };
    (1..=60).contains(&slug.len()) && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn uuid_v7(now: Time, rng: &dyn Rng) -> String {
    let mut bytes: [u8; 16] = random(rng);
    let millis = (now.micros() / 1_000).max(0).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let digits = crate::hash::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Rng for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    #[test]
    fn ids_are_strict() {
        assert!("mdt_library-card".parse::<MandateId>().is_ok());
        for bad in ["library-card", "mdt_", "svc_library", "mdt_Library", "mdt_a b", "mdt_é"] {
            assert!(bad.parse::<MandateId>().is_err(), "{bad}");
        }
        let fresh = UseId::fresh("2026-11-20T00:00:00Z".parse().unwrap(), &Ones);
        assert!(fresh.as_str().parse::<UseId>().is_ok(), "{fresh}");
        assert_eq!(&fresh.as_str()[18..19], "7");
        let random = DeletionId::random(&Ones);
        assert_eq!((random.as_str().parse(), random.as_str()), (Ok(random.clone()), "del_ffffffffffffffffffffffffffffffff"));
    }
}
