//! A transparency log as specified by C2SP: tlog-tiles, tlog-checkpoint, signed-note and tlog-proof.
//!
//! The crate has no clock, no randomness, no async, no HTTP and no database. It asks for three collaborators:
//! [`Objects`] for the public files, [`Head`] for the signed head that moves by compare-and-swap, and [`LeafSource`]
//! for the entries. [`Publisher`] turns entries into tiles and checkpoints; [`Reader`] verifies what another log
//! has published.
//!
//! ```
//! use usufruct_log::{Ed25519Signer, Memory, MemoryHead, Publisher, Reader, checkpoint};
//!
//! # fn main() -> usufruct_log::Result<()> {
//! let signer = Ed25519Signer::from_seed("example.org/log", &[7; 32])?;
//! let key = signer.verifier_key().clone();
//! let objects = Memory::default();
//! let mut publisher = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], "example.org/log", None)?;
//! publisher.publish([(0, b"first".to_vec()), (1, b"second".to_vec())], 1_790_000_000)?;
//!
//! let (head, _) = checkpoint::fetch(&objects, "example.org/log", &[&key.verifier()?])?;
//! let reader = Reader::new(&objects, head);
//! let mut entries = Vec::new();
//! reader.entries(0, |_, entry| {
//!     entries.push(entry.to_vec());
//!     Ok(())
//! })?;
//! assert_eq!(entries, [b"first".to_vec(), b"second".to_vec()]);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

pub mod checkpoint;
mod collect;
pub mod cosignature;
mod disk;
mod edge;
mod error;
pub mod hash;
mod head;
mod key;
pub mod merkle;
pub mod mirror;
pub mod note;
pub mod objects;
pub mod policy;
pub mod proof;
mod publisher;
mod reader;
mod receipt;
mod recover;
mod text;
pub mod tile;
mod transport;
pub mod witness;
pub mod witnessing;

pub use checkpoint::Checkpoint;
pub use collect::{Collected, collect};
pub use cosignature::{CosignatureVerifier, Cosigner, Ed25519Cosigner, MlDsaCosigner};
pub use error::{Error, Part, Result};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use head::{FileHead, Head, MemoryHead, SignedHead};
pub use key::{Ed25519Signer, Ed25519Verifier, SignatureType, VerifierKey};
pub use merkle::Frontier;
pub use note::{Note, NoteSignature, Signer, Verifier};
pub use objects::{Folder, Memory, Objects, Stored};
pub use policy::{Policy, PolicyLog, PolicyWitness};
pub use proof::{HashReader, TlogProof};
pub use publisher::{LeafSource, Publisher, rebuild_tiles};
pub use reader::{Reader, Source, TileHashes};
pub use receipt::{Promise, Receipt, ReceiptFile, ReceiptSigner, ReceiptVerifier, SignedPromise};
pub use tile::Tile;
pub use transport::{Response, Transport};
