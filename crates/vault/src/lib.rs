//! The keys that make the store readable and the pseudonyms reversible, in a tree whose root can be destroyed.
//!
//! [`Vault`] is the door. It gets and returns bytes; the caller stores them. What a backup holds of those bytes stays
//! closed once the keys are gone: every erasure replaces the root of the key tree, and only the newest root exists.
//!
//! | key | made | dies | opens |
//! |---|---|---|---|
//! | `K_r`, one per resident | at enrolment | at withdrawal (replaced), at erasure | the resident's [`Keyring`] |
//! | `G_rm`, one per resident and mandate, in the keyring | when a grant is given | at withdrawal | with `K_m`: the lent blocks |
//! | `K_m`, one per mandate | when the mandate is published | at sunset | with `G_rm`: the lent blocks |
//! | `K_s`, one per sector | when the sector is made | at the sector's end | the sector's pseudonyms |
//!
//! A lent block is opened by [`Vault::open`] and by nothing else, and that asks for the [`Logged`] use. In the same way
//! [`Vault::convert`] turns pseudonyms of one sector into those of another.
//!
//! What stands behind a pseudonym cannot be reached from outside:
//!
//! ```compile_fail,E0603
//! use usufruct_vault::pseudonym::Seed;
//! ```
//!
//! ```compile_fail,E0624
//! # use usufruct_vault::Keyring;
//! fn peek(keyring: &Keyring) {
//!     keyring.seed();
//! }
//! ```
//!
//! nor shown with the keyring it lies in:
//!
//! ```compile_fail,E0277
//! # use usufruct_vault::Keyring;
//! fn log(keyring: &Keyring) {
//!     println!("{keyring:?}");
//! }
//! ```
//!
//! nor written:
//!
//! ```compile_fail,E0277
//! # use usufruct_vault::Keyring;
//! fn store(keyring: &Keyring) {
//!     serde_json::to_string(keyring);
//! }
//! ```
//!
//! nor is it in reach once it is gathered for many at once:
//!
//! ```compile_fail,E0616
//! # use usufruct_vault::Seeds;
//! fn peek(seeds: &Seeds) {
//!     seeds.inputs[0];
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use usufruct_vault::Seeds;
//! fn log(seeds: &Seeds) {
//!     println!("{seeds:?}");
//! }
//! ```
//!
//! nor stored in clear beside the pseudonym, since it makes no bytes and no copies:
//!
//! ```compile_fail,E0599
//! # use usufruct_vault::{Keyring, Subject};
//! fn row(keyring: &Keyring, subject: Subject) -> (Keyring, Subject) {
//!     (keyring.clone(), subject)
//! }
//! ```
//!
//! [`Logged`]: usufruct_core::logged::Logged

mod aead;
mod disk;
mod error;
pub mod escrow;
mod halves;
mod handles;
pub mod hpke;
pub mod keeper;
mod keyring;
pub mod keytree;
mod pseudonym;
pub mod roots;
mod scrub;
mod seal;
pub mod second_hand;
#[cfg(test)]
mod testing;
mod tree;
mod vault;

pub use error::{Error, Result};
pub use keyring::{FOOTPRINT_KEYS_LEN, Keyring};
pub use pseudonym::{Seeds, Subject};
pub use scrub::scrub;
pub use tree::{Epoch, Erased, HouseKey, Key, KeyId, KeyTree, SlotClass, State, Trace, commit_key};
pub use vault::{Again, Enrolled, Vault, Way, Withdrawal, Withheld};
