//! The invariants of the model over random histories of statements: what is said of the register holds after every one of them, whoever
//! tried what in which order. Each test is named by the number that docs/law.md gives its invariant.

mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod history;
mod laws;
mod reach;
mod said;
mod uses;
mod watch;
mod ways;

use common::cases;
use history::{CAMERA, CONTRACT, GARDEN, LIBRARY, MANDATES, OBJECTS, OVERSEER, PARKS, Seen, begun, histories, play};
use proptest::prelude::*;
use said::{Said, people, people_of};
use serde_json::Value;
use usufruct_core::lifecycle::State;
use usufruct_core::notice_life::NoticeState;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};

/// The register as JSON.
fn shown(register: &Register) -> Value {
    serde_json::to_value(register).unwrap()
}

/// Whether everything in `before` is in `after`: the same objects with the same numbers, and of each history at least as much.
fn is_kept(before: &Value, after: &Value) -> bool {
    before.as_object().unwrap().iter().all(|(list, entries)| {
        let Some(entries) = entries.as_object() else { return true };
        entries.iter().filter(|(_, entry)| entry["history"].is_array()).all(|(id, entry)| {
            let now = &after[list][id];
            let known = entry["history"].as_array().unwrap();
            now["number"] == entry["number"] && now["history"].as_array().is_some_and(|all| all.starts_with(known))
        })
    })
}

/// Objects that became active by the statement, or that it revised while they stay so.
fn given_power(seen: &Seen<'_>) -> Vec<&'static str> {
    let stands = |object: &&str| {
        let (before, after) = (seen.before.state(object), seen.after.state(object));
        after.is_some_and(|(_, state)| state == State::Active) && before != after
    };
    OBJECTS.into_iter().filter(stands).collect()
}

fn is_emergency(said: &Said, mandate: &str) -> bool {
    said.all("Mandate")
        .filter(|(said, _)| said["id"] == mandate)
        .last()
        .is_some_and(|(said, _)| said["body"]["kind"] == "emergency")
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn invariant_05_nothing_is_changed_or_taken_away_and_a_state_is_the_fold_of_its_steps(history in histories()) {
        let mut register = shown(&begun(history.0).register);
        play(&history, |seen| {
            let now = shown(&seen.after.register);
            if !seen.is_taken {
                prop_assert!(now == register, "a statement that was refused changed the register: {:?}", seen.statement);
                return Ok(());
            }
            prop_assert!(is_kept(&register, &now), "something was changed or taken away by {:?}", seen.statement);
            prop_assert_eq!(&seen.after.statements[..seen.before.statements.len()], &seen.before.statements[..]);
            for object in OBJECTS {
                let state = seen.after.state(object).map(|(_, state)| state.code());
                let expected = match object {
                    GARDEN => seen.said.state_of_agreement(GARDEN),
                    _ => seen.said.state(object, object.starts_with("mdt_")),
                };
                // A revision of a contract makes it a draft again, unless it leaves to it what was looked at, and one of a camera a
                // proposal, unless it says no more than that somebody looked.
                let is_redrawn = [CAMERA, CONTRACT].contains(&object) && state == seen.said.state(object, true);
                prop_assert!(state == expected || is_redrawn, "{object} is {state:?} and was last said to be {expected:?}");
            }
            register = now;
            Ok(())
        })?;
    }

    #[test]
    fn invariant_05_replaying_the_log_gives_the_register_byte_for_byte(history in histories()) {
        let city = play(&history, |_| Ok(()))?;
        let leaves: Vec<_> = city.statements.iter().map(|statement| statement.leaf().unwrap()).collect();
        let read: Vec<_> = leaves.iter().map(|leaf| Statement::from_leaf(leaf).unwrap()).collect();
        for statements in [&city.statements, &read] {
            let again = Register::replay((0..).zip(statements)).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            prop_assert!(serde_json::to_string(&again).unwrap() == city.json(), "the replay gives another register");
        }
        prop_assert!(read.iter().zip(&leaves).all(|(statement, leaf)| statement.leaf().unwrap() == *leaf));
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn invariant_06_no_single_person_gives_power_or_lifts_an_order(history in histories()) {
        play(&history, |seen| {
            let gives = given_power(seen);
            let needs_two = matches!(
                seen.statement.kind,
                StatementKind::Assessment | StatementKind::BodyAudit | StatementKind::DataBlock | StatementKind::Lawpack
                    | StatementKind::Order | StatementKind::Meeting | StatementKind::Ruling
            );
            if seen.is_taken && (needs_two || !gives.is_empty()) {
                prop_assert!(people(seen.statement) >= 2, "{:?} by {:?}", gives, seen.statement);
            }
            // What two bodies agree on they both say.
            let is_agreed = seen.is_taken && (seen.statement.kind == StatementKind::Agreement || gives.contains(&GARDEN));
            let both = [LIBRARY, PARKS].iter().all(|party| people_of(seen.statement, party) >= 2);
            prop_assert!(!is_agreed || both, "{:?} by {:?}", gives, seen.statement);
            // An emergency begins with two people of its overseer.
            let begins = seen.is_taken && gives.iter().any(|id| is_emergency(seen.said, id));
            let overseers = seen.statement.approvals.iter().filter(|approval| approval.agency.as_str() == OVERSEER);
            prop_assert!(!begins || overseers.count() >= 2, "{:?} by {:?}", gives, seen.statement);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_07_no_security_body_and_no_business_has_a_part_in_an_emergency(history in histories()) {
        let city = play(&history, |_| Ok(()))?;
        let said = Said::by(&city);
        for (mandate, _) in said.all("Mandate").filter(|(said, _)| said["body"]["kind"] == "emergency") {
            let body = &mandate["body"];
            let receives = body["recipients"].as_array().unwrap().iter().map(|recipient| &recipient["agency"]);
            for part in receives.chain([&body["controller"]]) {
                prop_assert_ne!(said.kind_of(part), "security_or_intelligence", "{} has a part in {}", part, mandate["id"]);
            }
            prop_assert_eq!(&body["purpose"]["commercial"], false);
        }
        // By no contract either, since what it is about may become an emergency at any time.
        for (agreement, _) in said.all("Agreement") {
            let about = agreement["body"]["mandates"].as_array().unwrap().iter();
            let is_about_emergency = about.filter_map(|id| said.revision("Mandate", id.as_str()?)).any(|(body, _)| body["kind"] == "emergency");
            for party in agreement["body"]["parties"].as_array().unwrap() {
                prop_assert!(!is_about_emergency || said.kind_of(party) != "security_or_intelligence", "{} agrees", party);
            }
        }
        for (contract, _) in said.all("Contract") {
            for sub in contract["body"]["subprocessors"].as_array().map_or(&[][..], Vec::as_slice) {
                prop_assert_ne!(said.kind_of(&sub["agency"]), "security_or_intelligence", "{} works under {}", sub, contract["id"]);
            }
        }
    }

    #[test]
    fn invariant_09_what_is_erased_has_a_certificate_for_every_key_it_had(history in histories()) {
        let city = play(&history, |_| Ok(()))?;
        let said = Said::by(&city);
        for mandate in MANDATES.into_iter().filter(|id| said.state(id, true) == Some("erased")) {
            let certified: Vec<_> = said
                .all("Certificate")
                .filter(|(said, _)| said["body"]["mandate"] == mandate)
                .flat_map(|(said, _)| said["body"]["key_commitments"].as_array().unwrap())
                .collect();
            for (key, _) in said.all("Key").filter(|(said, _)| said["body"]["mandate"] == mandate) {
                prop_assert!(certified.contains(&&key["body"]["commitment"]), "{} is erased, and a key of it lives", mandate);
            }
            prop_assert!(!certified.is_empty());
        }
    }

    #[test]
    fn invariant_10_every_active_service_has_a_way_in_without_the_pass(history in histories()) {
        play(&history, |seen| {
            for (id, entry) in seen.after.register.services.iter().filter(|(_, entry)| entry.state == State::Active) {
                let (body, _) = seen.said.revision("Service", id.as_str()).unwrap();
                let ways = body["alternatives"].as_array().map_or(&[][..], Vec::as_slice);
                let is_told = |way: &Value| ["en", "zh-Hant"].iter().all(|lang| way[lang].as_str().is_some_and(|words| !words.trim().is_empty()));
                prop_assert!(!ways.is_empty() && ways.iter().all(is_told), "{} is {:?} with {:?}", id, entry.state, ways);
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_11_steps_notices_and_checks_name_the_revision_that_the_register_shows(history in histories()) {
        play(&history, |seen| {
            let body = &seen.statement.body;
            let (object, named) = match seen.statement.kind {
                StatementKind::StatusChange => (&body["object"], &body["revision"]),
                StatementKind::Notice => (&body["mandate"], &body["mandate_hash"]),
                StatementKind::Check => (&body["contract"], &body["revision"]),
                StatementKind::Assessment => (&body["mandate"], &body["mandate_hash"]),
                _ => return Ok(()),
            };
            if !seen.is_taken {
                return Ok(());
            }
            let object = object.as_str().unwrap();
            let kinds = ["Mandate", "Contract", "Service", "Camera", "Agreement"];
            let latest = kinds.iter().find_map(|kind| seen.said.revision(kind, object)).map(|(_, hash)| hash);
            prop_assert_eq!(named.as_str(), latest, "{}", object);
            let shown = seen.after.state(object).map(|(hash, _)| hash.to_string());
            prop_assert_eq!(shown.as_deref(), latest);
            Ok(())
        })?;
    }

    /// What a reader is shown as the notice is the last one that was published; all before it say which one stands in their place.
    #[test]
    fn invariant_11_of_the_notices_of_a_mandate_the_last_published_one_stands(history in histories()) {
        play(&history, |seen| {
            let register = &seen.after.register;
            for id in register.mandates.keys() {
                let lives = register.notices_of(id);
                let standing = lives.iter().filter(|life| life.state == NoticeState::Published).count();
                let published = lives.iter().filter(|life| life.published_at.is_some()).count();
                prop_assert_eq!(standing, published.min(1), "{}", id);
                for (i, life) in lives.iter().enumerate() {
                    let next = lives[i + 1..].iter().find(|later| later.published_at.is_some());
                    prop_assert_eq!(life.superseded_by, next.map(|next| next.revision));
                    prop_assert_eq!(life.state == NoticeState::Superseded, next.is_some());
                    prop_assert_eq!(register.revision(&life.mandate_hash).map(|(_, rev)| rev), Some(life.revision));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_14_an_official_is_named_only_by_two_people_of_the_overseer(history in histories()) {
        play(&history, |seen| {
            if seen.is_taken && seen.statement.body["kind"] == "disclose_actor" {
                let body = &seen.statement.body;
                prop_assert!(people(seen.statement) >= 2);
                prop_assert_eq!(seen.said.kind_of(&body["body"]), "oversight");
                prop_assert_eq!(seen.statement.by.as_str(), body["body"].as_str().unwrap());
            }
            Ok(())
        })?;
    }

    /// Of the law itself: statements do not go back in time, so nobody acts under an earlier state.
    #[test]
    fn invariant_05_the_log_does_not_go_back_in_time(history in histories()) {
        let city = play(&history, |_| Ok(()))?;
        prop_assert!(Said::by(&city).times().is_sorted());
    }
}
