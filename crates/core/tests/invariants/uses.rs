//! What may be used after any history of statements: the decision against what the log says.

use proptest::prelude::*;
use usufruct_core::decide::{Outcome, Request, decide};
use usufruct_core::event::Form;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::id::BlockId;
use usufruct_core::time::{DAY, parse_duration};
use usufruct_core::{Digest, Time};

use crate::common::{City, cases, day};
use crate::history::{CARD, CLOUD, HEALTH, MEALS, OUTBREAK, SERVICE, histories, play};
use crate::said::{Said, time};

/// Service, mandate, block and form of a request.
pub type Asked = (&'static str, &'static str, &'static str, Form);

pub const ASKED: [Asked; 10] = [
    (SERVICE, CARD, "blk_name", Form::Value),
    (SERVICE, CARD, "blk_age", Form::Predicate),
    (SERVICE, CARD, "blk_age", Form::Value),
    (SERVICE, CARD, "blk_address", Form::Token),
    (CLOUD, CARD, "blk_name", Form::Value),
    (CLOUD, CARD, "blk_age", Form::Predicate),
    (CLOUD, MEALS, "blk_name", Form::Token),
    (SERVICE, MEALS, "blk_name", Form::Value),
    (HEALTH, OUTBREAK, "blk_name", Form::Value),
    (SERVICE, OUTBREAK, "blk_name", Form::Value),
];

pub fn is_permitted(city: &City, asked: &Asked, grant: Option<&Grant>, at: Time) -> bool {
    let (service, mandate, block, form) = *asked;
    let request = Request {
        service: service.parse().unwrap(),
        mandate: mandate.parse().unwrap(),
        blocks: vec![(block.parse().unwrap(), form)],
        reason: "new-card".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    };
    decide(&city.register, &request, grant, at).outcome == Outcome::Permit
}

/// A consent to the present revision that lacks nothing.
pub fn whole_grant(city: &City, mandate: &str) -> Option<Grant> {
    let (hash, _) = city.state(mandate)?;
    let blocks: Vec<BlockId> = ["blk_name", "blk_age", "blk_address"].iter().map(|block| block.parse().unwrap()).collect();
    Some(Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: hash,
        given_at: city.now,
        valid_until: day(10_000),
        blocks,
        uses: 0,
        window_start: city.now,
        window_uses: 0,
        means: None,
        resident_active: true,
        authorized: true,
        rests: false,
        declined: false,
    })
}

/// No consent, a whole one, and some that lack one thing each.
fn grants(city: &City, mandate: &str) -> Vec<Option<Grant>> {
    let Some(whole) = whole_grant(city, mandate) else { return vec![None] };
    let with = |change: &dyn Fn(&mut Grant)| {
        let mut grant = whole.clone();
        change(&mut grant);
        Some(grant)
    };
    let first = city.statements.iter().find(|statement| statement.id == mandate).unwrap().hash().unwrap();
    vec![
        None,
        Some(whole.clone()),
        with(&|grant| grant.given_at = day(20)),
        with(&|grant| grant.given_at = day(62)),
        with(&|grant| grant.mandate_hash = first),
        with(&|grant| grant.mandate_hash = Digest([7; 32])),
        with(&|grant| grant.window_uses = 3),
        with(&|grant| grant.valid_until = city.now),
        with(&|grant| grant.kind = GrantKind::Notified),
    ]
}

/// Which words of the first invariant a use breaks, by what the log says.
fn broken(said: &Said, asked: &Asked, grant: Option<&Grant>, at: Time) -> Vec<&'static str> {
    let (service, mandate, block, form) = *asked;
    let Some((body, hash)) = said.revision("Mandate", mandate) else { return vec!["mandate"] };
    let Some((served, _)) = said.revision("Service", service) else { return vec!["service"] };
    let mut broken = Vec::new();
    let mut must = |words, holds: bool| {
        if !holds {
            broken.push(words);
        }
    };
    must("active mandate revision", said.state(mandate, true) == Some("active"));
    must("unexpired sunset", time(&body["starts_at"]) <= at && at < time(&body["sunset_at"]));
    let told = grant.map_or(at, |grant| grant.given_at);
    must(
        "notice published before the grant",
        said.all("Notice").any(|(said, _)| said["body"]["mandate_hash"] == hash && time(&said["at"]) <= told),
    );
    let is_valid = grant.is_some_and(|grant| {
        let stands = grant.kind == GrantKind::Consent && grant.state == GrantState::Given;
        stands && grant.mandate_hash.to_string() == hash && grant.given_at <= at && at < grant.valid_until
    });
    must("grant valid or a non-consent basis", is_valid || body["legal_basis"]["code"] != "consent");
    let named = body["blocks"].as_array().unwrap().iter().find(|one| one["block"] == block);
    must("block in mandate", named.is_some());
    let order = |code: &str| ["token", "predicate", "value"].iter().position(|one| *one == code).unwrap();
    let (known, _) = said.revision("DataBlock", block).unwrap();
    let allowed = known["forms_allowed"].as_array().unwrap().iter().any(|one| one == form.code());
    let is_poorer = named.is_none_or(|named| order(form.code()) <= order(named["form"].as_str().unwrap()));
    must("form not richer than allowed", allowed && is_poorer);
    let recipient = body["recipients"].as_array().unwrap().iter().find(|one| one["agency"] == served["agency"]);
    must("recipient listed", recipient.is_some());
    let period = parse_duration(body["rate_cap"]["per"].as_str().unwrap()).unwrap();
    must(
        "within the rate cap",
        grant.is_none_or(|grant| {
            let is_open = at.micros() < grant.window_start.micros() + period;
            !is_open || grant.window_uses < body["rate_cap"]["uses"].as_i64().unwrap()
        }),
    );
    let contract = recipient.and_then(|recipient| recipient["contract"].as_str());
    if said.kind_of(&served["agency"]) == "vendor" {
        must(
            "active contract of a vendor",
            contract.is_some_and(|id| {
                let Some((agreed, _)) = said.revision("Contract", id) else { return false };
                let covers = agreed["mandates"].as_array().unwrap().iter().any(|one| one == mandate);
                said.state(id, false) == Some("active") && covers && at < time(&agreed["until"])
            }),
        );
    }
    must("active service under the mandate", said.state(service, false) == Some("active"));
    must("active service under the mandate", served["mandates"].as_array().unwrap().iter().any(|one| one == mandate));
    let targets: Vec<_> = [service, mandate].into_iter().chain(contract).collect();
    must("no order that withholds it", !said.is_withheld(&targets, &[block]));
    broken
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn invariant_01_nothing_is_permitted_that_the_log_does_not_make_lawful(history in histories(), after in 0i64..400) {
        play(&history, |seen| {
            for asked in &ASKED {
                for grant in grants(seen.after, asked.1) {
                    for at in [seen.after.now, seen.after.now.plus(after * DAY)] {
                        if is_permitted(seen.after, asked, grant.as_ref(), at) {
                            let broken = broken(seen.said, asked, grant.as_ref(), at);
                            prop_assert!(broken.is_empty(), "{:?} is permitted at {} with {:?}, without {:?}", asked, at, grant, broken);
                        }
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_08_a_vendor_gets_a_value_only_where_its_contract_justifies_it(history in histories()) {
        play(&history, |seen| {
            for asked in ASKED.iter().filter(|asked| asked.0 == CLOUD && asked.3 == Form::Value) {
                if is_permitted(seen.after, asked, whole_grant(seen.after, asked.1).as_ref(), seen.after.now) {
                    let (contract, _) = seen.said.revision("Contract", "ctr_cloud").unwrap();
                    let justified = contract["value_blocks"].as_array().map_or(&[][..], Vec::as_slice);
                    prop_assert!(justified.iter().any(|one| one["block"] == asked.2), "{:?} under {}", asked, contract);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_09_after_its_sunset_or_its_end_nothing_is_permitted_ever_again(history in histories(), after in 0i64..2_000) {
        play(&history, |seen| {
            for asked in &ASKED {
                let Some((body, _)) = seen.said.revision("Mandate", asked.1) else { continue };
                let over = seen.said.was_ever(asked.1, &["sunset", "revoked", "erasing", "erased"]);
                for at in [seen.after.now, seen.after.now.plus(after * DAY), time(&body["sunset_at"])] {
                    let is_past = over || at >= time(&body["sunset_at"]);
                    let permitted = is_permitted(seen.after, asked, whole_grant(seen.after, asked.1).as_ref(), at);
                    prop_assert!(!is_past || !permitted, "{:?} is permitted at {} after its end", asked, at);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_12_no_history_lets_a_grant_work_that_is_revoked_or_paused(history in histories()) {
        use GrantState::{Deferred, Invalidated, Paused, Refused, Sunset, Terminated, Withdrawn};
        play(&history, |seen| {
            for asked in &ASKED {
                for state in [Deferred, Invalidated, Paused, Refused, Sunset, Terminated, Withdrawn] {
                    let Some(whole) = whole_grant(seen.after, asked.1) else { continue };
                    // Whoever said no to a consent said nothing to what rests on a law.
                    let rests_on_law = seen.said.revision("Mandate", asked.1).is_some_and(|(body, _)| body["legal_basis"]["code"] != "consent");
                    if rests_on_law && matches!(state, Deferred | Refused) {
                        continue;
                    }
                    let grant = Grant { state, ..whole };
                    prop_assert!(!is_permitted(seen.after, asked, Some(&grant), seen.after.now), "{:?} with {:?}", asked, state);
                }
            }
            Ok(())
        })?;
    }
}
