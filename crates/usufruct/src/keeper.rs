//! Keepers of the root on machines of their own (class E3): the list of them, the way to one, and the server that is one.
//!
//! Everything goes over TLS 1.3 with certificates on both sides. The roster holds all of them, and nobody else is trusted.

pub mod link;
pub mod listener;
pub mod peers;
pub mod roster;
pub mod site;
pub mod standings;
pub mod tls;
pub mod upkeep;
pub mod wire;
