//! Shared Signals, as a transmitter.

use crate::{Case, open};

/// The modules of the list.
pub fn cases() -> Vec<Case> {
    MODULES.into_iter().map(|module| open(module, "Waits for the endpoints of Shared Signals.")).collect()
}

const MODULES: [&str; 14] = [
    "openid-ssf-transmitter-metadata",
    "openid-ssf-stream-control-happy-path",
    "openid-ssf-stream-control-error-create-stream-with-invalid-token",
    "openid-ssf-stream-control-error-create-stream-with-read-only-token",
    "openid-ssf-stream-control-error-read-stream-with-invalid-token",
    "openid-ssf-stream-control-error-update-stream-with-invalid-token",
    "openid-ssf-transmitter-subject-control",
    "openid-ssf-transmitter-events",
    "openid-ssf-transmitter-stream-verification-poll-only",
    "openid-ssf-transmitter-stream-verification-poll-and-ack",
    "openid-ssf-transmitter-stream-verification-ack-only",
    "openid-ssf-transmitter-stream-verification-push",
    "openid-ssf-transmitter-stream-verification-error-invalid-body",
    "openid-ssf-transmitter-stream-verification-error-unknown-stream",
];
