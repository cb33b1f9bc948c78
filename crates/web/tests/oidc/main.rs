//! The provider, the consent page, the release API and the samples, as services and browsers meet them.

mod api;
mod authorize;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod consent;
mod endpoints;
mod keys;
mod logout;
mod sample;
mod site;
mod token;
