//! Shamir's secret sharing of 32 bytes over GF(2^8) (How to share a secret, CACM 1979): any `threshold` shares give the secret,
//! fewer give nothing.
//!
//! The field is that of AES, x^8 + x^4 + x^3 + x + 1. The arithmetic has no table and no branch on a secret.

use usufruct_core::hash::equal;
use usufruct_core::ports::Rng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::tree::Key;

/// A point of the polynomials: `x` is public, and never 0, where the secret is.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    #[zeroize(skip)]
    pub x: u8,
    pub y: [u8; 32],
}

impl Share {
    /// A second copy, where the share really lives twice.
    pub fn copy(&self) -> Self {
        Self { x: self.x, y: self.y }
    }

    /// Whether it is the same point, compared without a hint of where they differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.x == other.x && equal(&self.y, &other.y)
    }
}

/// Splits a secret into shares at 1, 2, … `count`.
pub fn split(secret: &Key, threshold: u8, count: u8, rng: &dyn Rng) -> Vec<Share> {
    // Never moved while it grows: its first point is the secret itself.
    let mut points = Vec::with_capacity(usize::from(threshold));
    points.push(Share { x: 0, y: *secret.bytes() });
    for x in 1..threshold {
        // Random values at the first points are as good as random coefficients.
        points.push(Share { x, y: *Key::random(rng).bytes() });
    }
    (1..=count).map(|x| at(&points, x)).collect()
}

/// The secret behind `threshold` shares, which must have different places.
pub fn join(shares: &[Share]) -> Key {
    Key::from_bytes(at(shares, 0).y)
}

/// The share at `x` of the polynomials through these points (Lagrange).
pub fn at(points: &[Share], x: u8) -> Share {
    let mut y = [0; 32];
    for point in points {
        let others = points.iter().filter(|other| other.x != point.x);
        let weight = others.fold(1, |weight, other| multiply(weight, multiply(x ^ other.x, inverse(point.x ^ other.x))));
        for (sum, value) in y.iter_mut().zip(point.y) {
            *sum ^= multiply(weight, value);
        }
    }
    let share = Share { x, y };
    y.zeroize();
    share
}

fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        a = (a << 1) ^ (0x1b & (a >> 7).wrapping_neg());
        b >>= 1;
    }
    product
}

/// a^254, which is the inverse; that of 0 is 0.
fn inverse(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = multiply(multiply(power, power), a);
    }
    multiply(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;
    use proptest::prelude::*;

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, 4.2 and 4.2.1.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn vectors() {
        let text = include_str!("../../../../vectors/vault/shamir.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let bytes = |value: &serde_json::Value| {
                <[u8; 32]>::try_from(usufruct_core::hash::unhex(value.as_str().unwrap()).unwrap()).unwrap()
            };
            let shares: Vec<Share> = case["shares"]
                .as_array()
                .unwrap()
                .iter()
                .map(|share| Share { x: share["x"].as_u64().unwrap() as u8, y: bytes(&share["y"]) })
                .collect();
            let threshold = case["threshold"].as_u64().unwrap() as usize;
            for start in 0..=shares.len() - threshold {
                let some: Vec<Share> = shares[start..start + threshold].iter().map(Share::copy).collect();
                assert_eq!(*join(&some).bytes(), bytes(&case["secret"]));
                for share in &shares {
                    assert_eq!(at(&some, share.x).y, share.y);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn enough_shares_give_the_secret_and_fewer_fit_every_secret(threshold in 1u8..6, more in 0u8..4, seed in any::<u64>(), skip in any::<prop::sample::Index>()) {
            let rng = Seeded::new(seed);
            let secret = Key::random(&rng);
            let mut shares = split(&secret, threshold, threshold + more, &rng);
            for _ in 0..more {
                let gone = skip.index(shares.len());
                shares.remove(gone);
            }
            let joined = join(&shares);
            prop_assert_eq!(joined.bytes(), secret.bytes());
            // One share fewer: with any other secret there is a polynomial through the rest.
            shares.pop();
            let other = Key::random(&rng);
            shares.push(Share { x: 0, y: *other.bytes() });
            let made_up = at(&shares, 200);
            shares.pop();
            shares.push(made_up);
            let joined = join(&shares);
            prop_assert_eq!(joined.bytes(), other.bytes());
        }
    }
}
