//! The city, whole: decisions, keys and log against both databases. One program, so that it is linked once.

mod attacker;
#[path = "common/authority.rs"]
mod authority;
mod broken;
mod cluster;
mod common;
#[path = "../../core/tests/common/passkey.rs"]
mod passkey;
#[path = "common/slow_root.rs"]
mod slow_root;
#[path = "common/vendors.rs"]
mod vendors;
#[path = "common/witness.rs"]
mod witness;

mod authorizations;
mod brake;
mod breach;
mod card_tokens;
mod case_tallies;
mod cases;
mod ceremonies;
mod certificate_card;
mod convert;
mod crash;
mod dates;
mod delayed;
mod delegation;
mod deletion;
mod drills;
mod erasure;
mod evidence;
mod footprint_key;
mod gate;
mod held;
mod hostile;
mod invariants;
mod keys;
mod left_out;
mod live_copy;
mod log;
mod manner;
mod messages;
mod nodes;
mod officers;
mod ordered_deletion;
mod ordered_grants;
mod outbox;
mod oversight;
mod pause;
mod processing_log;
mod proposals;
mod recount;
mod refuse;
mod renewal;
mod retention;
mod revisions;
mod rotate_service;
mod row_marks;
mod service_marks;
mod spread;
mod story;
mod supervision;
mod tallies;
mod third_party;
mod usage;
mod ways_in;
