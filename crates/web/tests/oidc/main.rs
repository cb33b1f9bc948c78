//! The provider, the consent page, the release API and the samples, as services and browsers meet them.

mod abuse;
mod api;
mod authorize;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod consent;
mod endpoints;
mod grants;
mod join;
mod keys;
mod logout;
mod means;
mod public;
mod refresh;
mod sample;
mod service_keys;
mod site;
mod token;
