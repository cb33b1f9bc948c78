//! What may be used, and whose pseudonyms may be joined, after any history of statements: the decision against what the log says.

use proptest::prelude::*;
use serde_json::Value;
use usufruct_core::decide::{ConversionRequest, Outcome, Request, decide, decide_conversion};
use usufruct_core::event::Form;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::id::BlockId;
use usufruct_core::time::{DAY, parse_duration};
use usufruct_core::{Digest, Time};

use crate::common::{City, cases, day};
use crate::history::{
    AGAIN, CARD, CLOUD, GARDEN, HEALTH, JOINED, LIBRARY, MEALS, OUTBREAK, PARK, PARKS, SERVICE, histories, play,
};
use crate::said::{Said, time};

/// Service, mandate, block and form of a request.
pub type Asked = (&'static str, &'static str, &'static str, Form);

pub const ASKED: [Asked; 14] = [
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
    (HEALTH, AGAIN, "blk_name", Form::Value),
    (SERVICE, JOINED, "blk_name", Form::Value),
    (PARK, JOINED, "blk_name", Form::Token),
    (PARK, JOINED, "blk_age", Form::Predicate),
];

/// From which service to which one pseudonyms are converted, and under which mandate.
pub type Joining = (&'static str, &'static str, &'static str);

pub const JOININGS: [Joining; 3] = [(SERVICE, PARK, JOINED), (PARK, SERVICE, JOINED), (SERVICE, CLOUD, CARD)];

pub fn is_permitted(city: &City, asked: &Asked, grant: Option<&Grant>, at: Time) -> bool {
    is_permitted_since(city, asked, grant, at, None)
}

/// The same for what was so far back.
fn is_permitted_since(city: &City, asked: &Asked, grant: Option<&Grant>, at: Time, since: Option<Time>) -> bool {
    let (service, mandate, block, form) = *asked;
    let request = Request {
        service: service.parse().unwrap(),
        mandate: mandate.parse().unwrap(),
        blocks: vec![(block.parse().unwrap(), form)],
        reason: "new-card".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since,
        written_reason: false,
    };
    decide(&city.register, &request, grant, at).outcome == Outcome::Permit
}

pub fn is_joinable(city: &City, joining: &Joining, grant: Option<&Grant>, at: Time) -> bool {
    let (from, to, mandate) = *joining;
    let request = ConversionRequest {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        mandate: mandate.parse().unwrap(),
        reason: "new-card".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
    };
    decide_conversion(&city.register, &request, grant, at).outcome == Outcome::Permit
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
        with(&|grant| grant.authorized = false),
        with(&|grant| grant.declined = true),
        with(&|grant| grant.resident_active = false),
        with(&|grant| grant.rests = true),
    ]
}

/// Words that something breaks.
struct Broken(Vec<&'static str>);

impl Broken {
    fn must(&mut self, words: &'static str, holds: bool) {
        if !holds {
            self.0.push(words);
        }
    }
}

/// Which words of the first invariant a use breaks, by what the log says.
fn broken(said: &Said, asked: &Asked, grant: Option<&Grant>, at: Time) -> Vec<&'static str> {
    let (service, mandate, block, form) = *asked;
    let Some((body, _)) = said.revision("Mandate", mandate) else { return vec!["mandate"] };
    let Some((served, _)) = said.revision("Service", service) else { return vec!["service"] };
    let mut broken = Broken(Vec::new());
    in_force(said, mandate, &[service], &[block], grant, at, &mut broken);
    let named = body["blocks"].as_array().unwrap().iter().find(|one| one["block"] == block);
    broken.must("block in mandate", named.is_some());
    let order = |code: &str| ["token", "predicate", "value"].iter().position(|one| *one == code).unwrap();
    let (known, _) = said.revision("DataBlock", block).unwrap();
    let allowed = known["forms_allowed"].as_array().unwrap().iter().any(|one| one == form.code());
    let is_poorer = named.is_none_or(|named| order(form.code()) <= order(named["form"].as_str().unwrap()));
    broken.must("form not richer than allowed", allowed && is_poorer);
    // Whose people are joined with those of another body gets of the other one's data what an agreement names.
    let joins = body["conversions"].as_array().map_or(&[][..], Vec::as_slice);
    let is_joined = service == PARK && joins.iter().any(|way| way["from"] == SERVICE && way["to"] == PARK);
    let is_own = body["controller"] == served["agency"];
    broken.must("agreement about the block", !is_joined || is_own || is_agreed(said, mandate, Some(block), at));
    broken.0
}

/// Which words a conversion of pseudonyms breaks.
fn broken_joining(said: &Said, joining: &Joining, grant: Option<&Grant>, at: Time) -> Vec<&'static str> {
    let (from, to, mandate) = *joining;
    let Some((body, _)) = said.revision("Mandate", mandate) else { return vec!["mandate"] };
    let mut broken = Broken(Vec::new());
    in_force(said, mandate, &[from, to], &[], grant, at, &mut broken);
    let is_one = |list: &Value, code: &str| list.as_array().is_some_and(|list| list.iter().any(|one| one == code));
    broken.must("operation named", is_one(&body["operations"], "match"));
    let ways = body["conversions"].as_array().map_or(&[][..], Vec::as_slice);
    broken.must("conversion in mandate", ways.iter().any(|way| way["from"] == from && way["to"] == to));
    broken.must("agreement about the transfer", is_agreed(said, mandate, None, at));
    broken.0
}

/// What holds for whatever is done under a mandate, for every service that takes part.
fn in_force(
    said: &Said,
    mandate: &str,
    services: &[&str],
    blocks: &[&str],
    grant: Option<&Grant>,
    at: Time,
    broken: &mut Broken,
) {
    let (body, hash) = said.revision("Mandate", mandate).unwrap();
    broken.must("active mandate revision", said.state(mandate, true) == Some("active"));
    broken.must("unexpired sunset", time(&body["starts_at"]) <= at && at < time(&body["sunset_at"]));
    let told = grant.map_or(at, |grant| grant.given_at);
    let has_notice = said.all("Notice").any(|(said, _)| said["body"]["mandate_hash"] == hash && time(&said["at"]) <= told);
    broken.must("notice published before the grant", has_notice);
    let is_valid = grant.is_some_and(|grant| {
        let stands = grant.kind == GrantKind::Consent && grant.state == GrantState::Given && !grant.declined;
        stands && grant.authorized && grant.mandate_hash.to_string() == hash && grant.given_at <= at && at < grant.valid_until
    });
    broken.must("grant valid or a non-consent basis", is_valid || body["legal_basis"]["code"] != "consent");
    broken.must("pass that is active", grant.is_none_or(|grant| grant.resident_active));
    broken.must("no case for which it rests", grant.is_none_or(|grant| !grant.rests));
    let period = parse_duration(body["rate_cap"]["per"].as_str().unwrap()).unwrap();
    let is_within = grant.is_none_or(|grant| {
        let is_open = at.micros() < grant.window_start.micros() + period;
        !is_open || grant.window_uses < body["rate_cap"]["uses"].as_i64().unwrap()
    });
    broken.must("within the rate cap", is_within);
    for service in services {
        let Some((served, _)) = said.revision("Service", service) else {
            broken.must("service", false);
            continue;
        };
        let recipient = body["recipients"].as_array().unwrap().iter().find(|one| one["agency"] == served["agency"]);
        broken.must("recipient listed", recipient.is_some());
        let contract = recipient.and_then(|recipient| recipient["contract"].as_str());
        if said.kind_of(&served["agency"]) == "vendor" {
            let is_bound = contract.is_some_and(|id| {
                let Some((agreed, _)) = said.revision("Contract", id) else { return false };
                let covers = agreed["mandates"].as_array().unwrap().iter().any(|one| one == mandate);
                said.state(id, false) == Some("active") && covers && at < time(&agreed["until"])
            });
            broken.must("active contract of a vendor", is_bound);
        }
        broken.must("active service under the mandate", said.state(service, false) == Some("active"));
        broken.must("active service under the mandate", served["mandates"].as_array().unwrap().iter().any(|one| one == mandate));
        let targets: Vec<_> = [*service, mandate].into_iter().chain(contract).collect();
        broken.must("no order that withholds it", !said.is_withheld(&targets, blocks));
    }
}

/// Whether the library and the park have agreed about the mandate in public: about this block, or about the transfer from the one to the other.
fn is_agreed(said: &Said, mandate: &str, block: Option<&str>, at: Time) -> bool {
    let Some((body, _)) = said.revision("Agreement", GARDEN) else { return false };
    let names = |list: &str, id: &str| body[list].as_array().unwrap().iter().any(|one| one == id);
    let transfers = || body["transfers"].as_array().unwrap().iter().any(|way| way["from"] == SERVICE && way["to"] == PARK);
    let Some(public) =
        said.all("StatusChange").find(|(said, _)| said["body"]["object"] == GARDEN && said["body"]["to"] == "published")
    else {
        return false;
    };
    let blocks: Vec<_> = block.into_iter().collect();
    said.state_of_agreement(GARDEN) == Some("active")
        && [LIBRARY, PARKS].iter().all(|party| names("parties", party))
        && names("mandates", mandate)
        && block.map_or_else(transfers, |block| names("blocks", block))
        && time(&body["in_force_from"]) <= at
        && at < time(&body["sunset_at"])
        && time(&public.0["at"]).plus(14 * DAY) <= at
        && !said.is_withheld(&[GARDEN], &blocks)
        && said.revision("Mandate", mandate).is_some_and(|(body, _)| body["purpose"]["commercial"] == false)
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
                            let (body, _) = seen.said.revision("Mandate", asked.1).unwrap();
                            let back = parse_duration(body["data_range"]["back"].as_str().unwrap()).unwrap();
                            let since = Some(at.plus(-back - 1));
                            let reaches = is_permitted_since(seen.after, asked, grant.as_ref(), at, since);
                            prop_assert!(!reaches, "{:?} reaches further back than {}", asked, body["data_range"]);
                        }
                    }
                }
            }
            for joining in &JOININGS {
                for grant in grants(seen.after, joining.2) {
                    for at in [seen.after.now, seen.after.now.plus(after * DAY)] {
                        if is_joinable(seen.after, joining, grant.as_ref(), at) {
                            let broken = broken_joining(seen.said, joining, grant.as_ref(), at);
                            prop_assert!(broken.is_empty(), "{:?} is joined at {} with {:?}, without {:?}", joining, at, grant, broken);
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
            for joining in &JOININGS {
                let Some((agreed, _)) = seen.said.revision("Agreement", GARDEN) else { continue };
                let over = seen.said.was_ever(GARDEN, &["sunset", "revoked"]) || seen.said.was_ever(joining.2, &["sunset", "revoked"]);
                for at in [seen.after.now, seen.after.now.plus(after * DAY), time(&agreed["sunset_at"])] {
                    let is_past = over || at >= time(&agreed["sunset_at"]);
                    let joined = is_joinable(seen.after, joining, whole_grant(seen.after, joining.2).as_ref(), at);
                    prop_assert!(!is_past || !joined, "{:?} is joined at {} after its end", joining, at);
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
            for joining in &JOININGS {
                for state in [Deferred, Invalidated, Paused, Refused, Sunset, Terminated, Withdrawn] {
                    let Some(whole) = whole_grant(seen.after, joining.2) else { continue };
                    let grant = Grant { state, ..whole };
                    let rests_on_law = seen.said.revision("Mandate", joining.2).is_some_and(|(body, _)| body["legal_basis"]["code"] != "consent");
                    let is_no = matches!(state, Deferred | Refused);
                    let joined = is_joinable(seen.after, joining, Some(&grant), seen.after.now);
                    prop_assert!(!joined || rests_on_law && is_no, "{:?} with {:?}", joining, state);
                }
            }
            Ok(())
        })?;
    }
}
