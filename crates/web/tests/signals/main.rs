//! What the pass tells services by itself, as the services meet it: logout tokens and security events, pushed and fetched.

mod calls;
#[path = "../../../app/tests/common/mod.rs"]
mod common;
mod delivery;
mod held;
mod receiver;
#[path = "../oidc/site.rs"]
mod site;
mod stream;
