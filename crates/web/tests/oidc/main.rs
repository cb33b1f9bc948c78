//! The provider, the consent page, the release API and the samples, as services and browsers meet them.

mod abuse;
mod api;
#[path = "../../../app/tests/common/authority.rs"]
mod authority;
mod authorize;
mod ceremonies;
mod certificate_card;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod consent;
mod endpoints;
mod grants;
mod issuance;
mod keys;
mod ldv;
mod limits;
mod logout;
mod means;
mod nonce;
mod public;
mod published_keys;
mod refresh;
mod rules;
mod sample;
mod service_keys;
mod signed;
mod site;
mod soft_passkey;
mod step_up;
mod token;
mod usage;
#[path = "../../../app/tests/common/vendors.rs"]
mod vendors;
