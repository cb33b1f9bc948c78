//! The SQL of Usufruct: one text for SQLite and PostgreSQL, one module per noun.
//!
//! The store holds ciphertext about residents and the small working state of a server. It knows neither keys nor the
//! Merkle tree; `usufruct-app` brings the three together.

pub mod assertions;
pub mod attempts;
pub mod audit_copies;
pub mod authorizations;
pub mod blocks;
pub mod brakes;
pub mod breaches;
pub mod canaries;
pub mod cards;
pub mod cases;
pub mod certificate_cards;
pub mod codes;
pub mod counter_requests;
pub mod db;
pub mod delayed;
pub mod delegations;
pub mod deletions;
pub mod deposits;
pub mod erasures;
pub mod grants;
pub mod invitations;
pub mod key_epochs;
pub mod key_pages;
pub mod keyrings;
pub mod leaves;
pub mod lines;
pub mod log_head;
pub mod messages;
pub mod officers;
pub mod outbox;
pub mod passkeys;
pub mod posted_lists;
pub mod proposals;
pub mod pushed_requests;
pub mod recovery_codes;
pub mod refresh_tokens;
pub mod residents;
pub mod rotations;
pub mod session_services;
pub mod sessions;
pub mod shown_cards;
pub mod sources;
pub mod streams;
pub mod tables;
pub mod tallies;
pub mod tokens;
pub mod wishes;

use usufruct_core::Digest;

use db::{Migration, Row};

/// The migrations, in order. Numbered, additive, never edited once released.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "pass", sql: include_str!("../migrations/0001_pass.sql") },
    Migration { number: 2, name: "log", sql: include_str!("../migrations/0002_log.sql") },
    Migration { number: 3, name: "erasure", sql: include_str!("../migrations/0003_erasure.sql") },
    Migration { number: 4, name: "deletions", sql: include_str!("../migrations/0004_deletions.sql") },
    Migration { number: 5, name: "provider", sql: include_str!("../migrations/0005_provider.sql") },
    Migration { number: 6, name: "events", sql: include_str!("../migrations/0006_events.sql") },
    Migration { number: 7, name: "ways_in", sql: include_str!("../migrations/0007_ways_in.sql") },
    Migration { number: 8, name: "sectors", sql: include_str!("../migrations/0008_sectors.sql") },
    Migration { number: 9, name: "collected", sql: include_str!("../migrations/0009_collected.sql") },
    Migration { number: 11, name: "deposits", sql: include_str!("../migrations/0011_deposits.sql") },
    Migration { number: 12, name: "missed_deletions", sql: include_str!("../migrations/0012_missed_deletions.sql") },
    Migration { number: 13, name: "footprint_key", sql: include_str!("../migrations/0013_footprint_key.sql") },
    Migration { number: 14, name: "delegations", sql: include_str!("../migrations/0014_delegations.sql") },
    Migration { number: 15, name: "certificate_cards", sql: include_str!("../migrations/0015_certificate_cards.sql") },
    Migration { number: 16, name: "row_marks", sql: include_str!("../migrations/0016_row_marks.sql") },
    Migration { number: 19, name: "sign_ins", sql: include_str!("../migrations/0019_sign_ins.sql") },
    Migration { number: 20, name: "ways_in_marks", sql: include_str!("../migrations/0020_ways_in_marks.sql") },
    Migration { number: 23, name: "tallies", sql: include_str!("../migrations/0023_tallies.sql") },
    Migration { number: 24, name: "canaries", sql: include_str!("../migrations/0024_canaries.sql") },
    Migration { number: 25, name: "key_epochs", sql: include_str!("../migrations/0025_key_epochs.sql") },
    Migration { number: 26, name: "service_marks", sql: include_str!("../migrations/0026_service_marks.sql") },
    Migration { number: 27, name: "breaches", sql: include_str!("../migrations/0027_breaches.sql") },
    Migration { number: 29, name: "tokens_by_service", sql: include_str!("../migrations/0029_tokens_by_service.sql") },
    Migration { number: 30, name: "deletion_marks", sql: include_str!("../migrations/0030_deletion_marks.sql") },
    Migration { number: 31, name: "cases", sql: include_str!("../migrations/0031_cases.sql") },
    Migration { number: 32, name: "wishes", sql: include_str!("../migrations/0032_wishes.sql") },
    Migration { number: 33, name: "stops_and_bursts", sql: include_str!("../migrations/0033_stops_and_bursts.sql") },
    Migration { number: 34, name: "officers", sql: include_str!("../migrations/0034_officers.sql") },
    Migration { number: 36, name: "shown_cards", sql: include_str!("../migrations/0036_shown_cards.sql") },
    Migration { number: 37, name: "tokens_of_residents", sql: include_str!("../migrations/0037_tokens_of_residents.sql") },
    Migration { number: 38, name: "closed_matters", sql: include_str!("../migrations/0038_closed_matters.sql") },
    Migration { number: 40, name: "delayed", sql: include_str!("../migrations/0040_delayed.sql") },
    Migration { number: 42, name: "proposals", sql: include_str!("../migrations/0042_proposals.sql") },
    Migration { number: 45, name: "cases_by_overseer", sql: include_str!("../migrations/0045_cases_by_overseer.sql") },
    Migration { number: 46, name: "messages", sql: include_str!("../migrations/0046_messages.sql") },
    Migration { number: 47, name: "posted_lists", sql: include_str!("../migrations/0047_posted_lists.sql") },
    Migration { number: 63, name: "breach_weeks", sql: include_str!("../migrations/0063_breach_weeks.sql") },
    Migration { number: 65, name: "reaffirmed", sql: include_str!("../migrations/0065_reaffirmed.sql") },
    Migration { number: 70, name: "case_states", sql: include_str!("../migrations/0070_case_states.sql") },
    Migration { number: 73, name: "depositors", sql: include_str!("../migrations/0073_depositors.sql") },
    Migration { number: 74, name: "cases_by_complaint", sql: include_str!("../migrations/0074_cases_by_complaint.sql") },
    Migration { number: 75, name: "refusals", sql: include_str!("../migrations/0075_refusals.sql") },
    Migration { number: 79, name: "operations_and_grounds", sql: include_str!("../migrations/0079_operations_and_grounds.sql") },
];

/// The shard of a resident: 12 bits of a hash of her number (Knuth's multiplicative one), so that neighbours are spread.
pub fn shard(resident: u64) -> i64 {
    (resident.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52).cast_signed()
}

/// A resident number as SQL holds it. Numbers stay below 2^53.
pub(crate) fn number(resident: u64) -> i64 {
    resident.cast_signed()
}

/// The mark of the house in a column; `None` where there is none.
pub(crate) fn mark(row: &Row, column: usize) -> Result<Option<Digest>, db::Error> {
    row.optional_bytes(column)?.map(|_| row.array(column).map(Digest)).transpose()
}

/// A column holds a value that the code never writes.
pub(crate) fn inconsistent(column: &str) -> db::Error {
    db::Error::Inconsistent { column: column.to_owned(), expected: "a value this program writes", found: "another".to_owned() }
}
