//! Chance: the system's, and new key pairs made with it.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use usufruct_core::ports::Rng;

/// The system's source of randomness.
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the composition root is where chance comes from")]
    fn fill(&self, bytes: &mut [u8]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // Without randomness every key would be a lie, and there is nothing left to clean up.
            eprintln!("The system gives no randomness. Check /dev/urandom and start again.");
            std::process::abort();
        }
    }
}

/// The same, for those who keep it.
pub fn chance() -> Arc<dyn Rng> {
    Arc::new(SystemRng)
}

/// A new P-256 key pair in PKCS #8.
#[expect(clippy::disallowed_methods, reason = "the composition root is where chance comes from")]
pub fn p256_pkcs8() -> Option<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
    Some(document.as_ref().to_vec())
}
