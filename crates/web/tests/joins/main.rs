//! Nothing that leaves can be joined: two services hear of one resident by every way there is, and have no value in common.
//!
//! Read [`story`] first: what happens, from top to bottom. [`town`] is where, [`service`] is who listens and keeps every byte, [`search`] finds what
//! two listeners have in common, and [`allowed`] is what they may have, each with its reason. [`compared`] holds one against the other, and
//! [`planted`] shows that a value in any one of the ways is found.

mod allowed;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod compared;
mod planted;
mod search;
mod service;
#[path = "../oidc/site.rs"]
mod site;
mod story;
mod town;
#[path = "../../../app/tests/common/vendors.rs"]
mod vendors;
