//! The decision over all mandates, in an order that the caches of the processor cannot foresee.

use std::time::Duration;

use usufruct_core::Time;
use usufruct_core::decide::{Outcome, Request, decide};
use usufruct_core::event::Form;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::register::Register;
use usufruct_core::time::DAY;

use crate::city::{MANDATES_A_SERVICE, first_day, mandate_id, service_id};
use crate::neighbours::{BREACHES, Neighbours, OF_THE_PARK, OF_THE_VENDOR, SHARED};
use crate::now;

const DECISIONS: u32 = 2_000_000;
/// Between one mandate and the next.
const STRIDE: usize = 7_919;
/// So many requests are read before they are decided; they stay in the cache.
const BATCH: u32 = 50;
/// The aim, in nanoseconds.
const AIM: f64 = 2_000.0;

/// Measures and prints. The mandates that a replay left suspended are refused, which costs as much as a permit.
pub fn rows(register: &Register, mandates: usize) {
    let now_at = register.last_at().max(first_day().plus(60 * DAY));
    let requests: Vec<_> = (0..mandates).map(|mandate| (request(mandate), grant(register, mandate))).collect();
    println!("| decide() with {mandates} mandates | ns | against the aim of 2 µs |\n|---|---:|---:|");
    for (name, stride) in [("one mandate again and again", 0), ("a mandate far from the last each time", STRIDE)] {
        let (mut at, mut permits) = (0, 0u32);
        let begin = now();
        for _ in 0..DECISIONS {
            let (request, grant) = &requests[at];
            permits += u32::from(decide(register, request, Some(grant), now_at).outcome == Outcome::Permit);
            at = (at + stride) % mandates;
        }
        row(name, begin.elapsed(), permits);
    }
    fresh(register, &requests, now_at);
}

/// Measures and prints what stands beside a mandate: for another body the agreements, for a vendor the breaches.
pub fn neighbour_rows(register: Register, mandates: usize) {
    let mut beside = Neighbours::new(register);
    beside.agree(mandates);
    again(&format!("another body, with {} agreements", mandates + 1), &beside.register, OF_THE_PARK);
    beside.breach(mandates);
    again(&format!("a vendor, with {BREACHES} harmful breaches"), &beside.register, OF_THE_VENDOR);
}

/// One request under the shared mandate, again and again.
fn again(name: &str, register: &Register, service: &str) {
    let request = request_of(service, SHARED);
    let (grant, now_at, mut permits) = (grant_under(register, SHARED), register.last_at(), 0u32);
    let begin = now();
    for _ in 0..DECISIONS {
        permits += u32::from(decide(register, &request, Some(&grant), now_at).outcome == Outcome::Permit);
    }
    row(name, begin.elapsed(), permits);
}

/// Requests and grants are made just before, as a server reads them from the network and its store; only the register is cold.
fn fresh(register: &Register, requests: &[(Request, Grant)], now_at: Time) {
    let (mut at, mut permits, mut spent) = (0, 0u32, Duration::ZERO);
    for _ in 0..DECISIONS / BATCH {
        let made: Vec<_> = (0..BATCH as usize).map(|n| requests[(at + n * STRIDE) % requests.len()].clone()).collect();
        at = (at + BATCH as usize * STRIDE) % requests.len();
        let begin = now();
        for (request, grant) in &made {
            permits += u32::from(decide(register, request, Some(grant), now_at).outcome == Outcome::Permit);
        }
        spent += begin.elapsed();
    }
    row("the same, with request and grant just read", spent, permits);
}

fn row(name: &str, spent: Duration, permits: u32) {
    let nanos = spent.as_secs_f64() * 1e9 / f64::from(DECISIONS);
    let share = f64::from(permits) * 100.0 / f64::from(DECISIONS);
    println!("| {name}, {share:.0} % permitted | {nanos:.0} | {:.2} |", nanos / AIM);
}

fn request(mandate: usize) -> Request {
    request_of(&service_id(mandate / MANDATES_A_SERVICE), &mandate_id(mandate))
}

fn request_of(service: &str, mandate: &str) -> Request {
    Request {
        service: service.parse().expect("a service"),
        mandate: mandate.parse().expect("a mandate"),
        blocks: ["blk_name", "blk_age"].map(|block| (block.parse().expect("a block"), Form::Value)).into(),
        reason: "reminder".to_owned(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    }
}

fn grant(register: &Register, mandate: usize) -> Grant {
    grant_under(register, &mandate_id(mandate))
}

fn grant_under(register: &Register, mandate: &str) -> Grant {
    let entry = &register.mandates[&mandate.parse().expect("a mandate")];
    Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: entry.hash,
        given_at: register.last_at(),
        valid_until: entry.body.sunset_at,
        blocks: entry.body.blocks.iter().map(|asked| asked.block.clone()).collect(),
        uses: 0,
        window_start: register.last_at(),
        window_uses: 0,
        means: None,
        resident_active: true,
        authorized: true,
        rests: false,
        declined: false,
    }
}
