//! The law of Usufruct: what exists, who may do what, and why not.
//!
//! Everything in this crate is pure. There is no I/O, no async, no clock and no source of randomness; time and
//! chance come in as arguments ([`Time`], [`ports::Rng`]). A refusal is data that names the clause it rests on.

pub mod agency;
pub mod agreement;
pub mod audit;
pub mod block;
pub mod brake;
pub mod breach;
pub mod case;
pub mod cbor;
pub mod certificate;
pub mod check;
pub mod clause;
pub mod condition;
pub mod contract;
pub mod decide;
pub mod delegation;
pub mod document;
pub mod draft;
pub mod event;
pub mod foreign;
pub mod grant;
pub mod handles;
pub mod hash;
pub mod id;
pub mod incident;
pub mod jcs;
pub mod jwk;
pub mod keeper;
pub mod key;
pub mod late;
pub mod lawpack;
pub mod lifecycle;
pub mod log_terms;
pub mod logged;
pub mod mandate;
pub mod means;
pub mod meeting;
pub mod notice;
pub mod order;
pub mod payment;
pub mod ports;
pub mod purge;
pub mod recount;
pub mod register;
pub mod rotation;
pub mod service;
pub mod source;
pub mod statement;
pub mod status;
pub mod stoppage;
pub mod supervision;
pub mod tally;
pub mod text;
pub mod time;
pub mod uncertified;
pub mod validate;
pub mod vault_terms;
pub mod verifier;

pub use hash::Digest;
pub use text::Text;
pub use time::Time;
