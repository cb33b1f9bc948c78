//! What the pass tells services by itself, as the services meet it: logout tokens and security events, pushed and fetched.

mod calls;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod delivery;
#[path = "../oidc/ear.rs"]
mod ear;
mod held;
mod join;
mod receiver;
#[path = "../oidc/site.rs"]
mod site;
mod stream;
