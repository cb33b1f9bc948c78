//! What the law and those who watch make of any history: assessments before a mandate begins, objections, findings and orders that stay, emergencies
//! that go on, and cameras.

use proptest::prelude::*;
use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

use crate::common::cases;
use crate::history::{AGAIN, CAMERA, CONTRACT, MANDATES, OUTBREAK, histories, play};
use crate::said::{Said, json, people_of, time};

/// The body of the statement that was made about the object before this one.
fn before<'a>(said: &'a Said, statement: &'a Value) -> Option<&'a Value> {
    said.revisions(statement["id"].as_str()?).find(|one| one["rev"] != statement["rev"]).map(|one| &one["body"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether the law of the city, as it was said last, asks for an assessment of a mandate before this step.
fn asks(said: &Said, mandate: &Value, to: &Value) -> bool {
    let law = said.revisions("law_tw").next().map_or(&Value::Null, |law| &law["body"]["assessed_when"]);
    let concerns = &mandate["concerns"];
    list(law).iter().filter(|asked| to == "active" || asked["before"] == "approved").any(|asked| {
        match asked["trigger"].as_str() {
            Some("automated") => mandate["automated_decision"] != "none",
            Some("cameras") => concerns["cameras"] == true,
            Some("children") => concerns["children"] == true,
            Some("covert") => mandate["kind"] == "covert",
            Some("emergency") => mandate["kind"] == "emergency",
            Some("many") => concerns["persons"].as_i64().is_none_or(|persons| persons > asked["more_than"].as_i64().unwrap()),
            Some("matching") => {
                !list(&mandate["conversions"]).is_empty() || list(&mandate["operations"]).iter().any(|one| one == "match")
            }
            Some("sole") => mandate["automated_decision"] == "sole",
            Some("special") => list(&mandate["blocks"]).iter().any(|asked| {
                let (block, _) = said.revision("DataBlock", asked["block"].as_str().unwrap()).unwrap();
                block["sensitivity"] == "special"
            }),
            other => panic!("the law asks for {other:?}"),
        }
    })
}

/// The emergency mandates that one continues, the last one first.
fn continued<'a>(said: &'a Said, mandate: &'a Value) -> Vec<&'a str> {
    let (mut found, mut last) = (Vec::new(), mandate);
    while let Some(id) = last["continues"].as_str()
        && let Some((body, _)) = said.revision("Mandate", id)
        && !found.contains(&id)
    {
        found.push(id);
        last = body;
    }
    found
}

fn weight(finding: &Value) -> usize {
    ["low", "medium", "high", "critical"].iter().position(|word| finding["severity"] == *word).unwrap()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn invariant_01_no_mandate_begins_without_the_assessment_that_the_law_asks_for(history in histories()) {
        play(&history, |seen| {
            let body = &seen.statement.body;
            let Some(mandate) = body["object"].as_str().filter(|id| MANDATES.contains(id)) else { return Ok(()) };
            let waits = ["approved", "published", "active"].iter().any(|to| body["to"] == *to);
            if !seen.is_taken || seen.statement.kind != StatementKind::StatusChange || !waits {
                return Ok(());
            }
            let (begun, _) = seen.said.revision("Mandate", mandate).unwrap();
            let assessed = seen.said.all("Assessment").find(|(said, _)| said["body"]["mandate"] == mandate);
            let holds = assessed.is_some_and(|(said, _)| {
                said["body"]["decision"] == "continue" && seen.statement.at < time(&said["body"]["review_due"])
            });
            prop_assert!(!asks(seen.said, begun, &body["to"]) || holds, "{} is {} with {:?}", mandate, body["to"], assessed);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_01_a_camera_sees_only_while_it_is_permitted_and_looked_after(history in histories(), after in 0i64..400) {
        play(&history, |seen| {
            let camera = &seen.after.register.cameras[&CAMERA.parse().unwrap()];
            let (body, _) = seen.said.revision("Camera", CAMERA).unwrap();
            let is_over = seen.said.was_ever(CAMERA, &["permit_expired", "removed"]);
            let is_active = camera.state == State::Active && seen.said.was_ever(CAMERA, &["permitted"]) && !is_over;
            for at in [seen.after.now, seen.after.now.plus(after * DAY), time(&body["permit_until"])] {
                // Where the law says nothing else, somebody has looked at it within 180 days.
                let looked = time(&body["last_check"]).plus(180 * DAY);
                let is_lawful = is_active && at < time(&body["permit_until"]) && at < looked;
                prop_assert!(is_lawful || !seen.after.register.camera_may_see(camera, at), "it sees at {}", at);
            }
            for forbidden in ["audio", "face_recognition", "joined_with_personal_data"] {
                prop_assert_eq!(&body[forbidden], false);
            }
            prop_assert_ne!(&body["authority"], &body["applicant"]);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_05_what_was_found_or_ordered_stays_as_it_was_said(history in histories()) {
        play(&history, |seen| {
            if !seen.is_taken {
                return Ok(());
            }
            let statement = json(seen.statement);
            let Some(old) = before(seen.said, &statement) else { return Ok(()) };
            let new = &statement["body"];
            let lists: &[&str] = match seen.statement.kind {
                StatementKind::Order => {
                    let added = ["appeal_ref", "compulsion", "evidence"];
                    let command = |body: &Value| {
                        let mut body = body.clone();
                        added.iter().for_each(|field| drop(body.as_object_mut().unwrap().remove(*field)));
                        body
                    };
                    prop_assert_eq!(command(old), command(new), "an order commands something else than before");
                    let is_due = new["comply_by"].as_str().is_some_and(|by| by.parse::<Time>().unwrap() <= seen.statement.at);
                    let is_first = list(&old["compulsion"]).is_empty() && !list(&new["compulsion"]).is_empty();
                    prop_assert!(!is_first || is_due, "somebody was compelled before the day had passed");
                    &["compulsion", "evidence"]
                }
                StatementKind::Agreement => &["reviews"],
                StatementKind::BodyAudit => {
                    prop_assert_eq!([&old["auditor"], &old["audited"], &old["done_at"]], [&new["auditor"], &new["audited"], &new["done_at"]]);
                    for before in list(&old["findings"]) {
                        let now = list(&new["findings"]).iter().find(|finding| finding["id"] == before["id"]);
                        prop_assert_eq!(now.map(|now| &now["text"]), Some(&before["text"]), "a finding is gone or says something else");
                        let is_eased = now.is_some_and(|now| weight(now) < weight(before) || time(&now["due"]) > time(&before["due"]));
                        let reason = now.map_or(&Value::Null, |now| &now["eased_because"]);
                        let is_said = reason.is_object() && *reason != before["eased_because"];
                        prop_assert!(!is_eased || is_said, "a finding weighs less without a reason");
                    }
                    &[]
                }
                _ => return Ok(()),
            };
            for kept in lists {
                prop_assert!(list(&old[*kept]).iter().all(|one| list(&new[*kept]).contains(one)), "{} is not what it was", kept);
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_06_who_watches_is_a_body_that_watches(history in histories()) {
        play(&history, |seen| {
            if !seen.is_taken {
                return Ok(());
            }
            let (body, by) = (&seen.statement.body, seen.statement.by.as_str());
            match seen.statement.kind {
                StatementKind::Order => prop_assert_eq!(seen.said.kind_of(&body["body"]), "oversight"),
                StatementKind::Ruling => {
                    let oversees = |said: &Value| said["body"]["controller"] == body["office"] && said["body"]["oversight_body"] == body["body"];
                    prop_assert!(seen.said.all("Mandate").any(|(said, _)| oversees(said)), "{} rules over {}", by, body["office"]);
                    prop_assert_eq!(seen.said.kind_of(&body["body"]), "oversight");
                }
                StatementKind::BodyAudit => {
                    prop_assert!(["auditor", "oversight"].contains(&seen.said.kind_of(&body["auditor"])));
                    prop_assert!(body["auditor"] != body["audited"] && body["auditor"] == by);
                }
                _ => return Ok(()),
            }
            prop_assert!(people_of(seen.statement, by) >= 2, "{:?}", seen.statement);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_08_nobody_works_for_a_vendor_against_an_objection(history in histories()) {
        play(&history, |seen| {
            let objections = seen.said.all("Check").filter(|(said, _)| said["body"]["kind"] == "objection");
            let against: Vec<_> = objections.map(|(said, _)| said["body"]["subprocessor"].as_str().unwrap()).collect();
            let contract = &seen.after.register.contracts[&CONTRACT.parse().unwrap()];
            for sub in seen.after.register.subprocessors(contract) {
                prop_assert!(!against.contains(&sub.agency.as_str()), "{} works under the contract", sub.agency);
            }
            if !seen.is_taken {
                return Ok(());
            }
            let body = &seen.statement.body;
            if seen.statement.kind == StatementKind::Contract {
                let named = list(&body["subprocessors"]).iter().filter_map(|sub| sub["agency"].as_str());
                prop_assert!(named.into_iter().all(|sub| !against.contains(&sub)), "{} names {:?}", body, against);
            }
            if body["kind"] == "objection" {
                let (contract, _) = seen.said.revision("Contract", CONTRACT).unwrap();
                let is_announced = |sub: &Value| sub["agency"] == body["subprocessor"] && seen.statement.at < time(&sub["from"]);
                prop_assert!(list(&contract["subprocessors"]).iter().any(is_announced), "it comes too late: {}", contract);
                prop_assert!(people_of(seen.statement, seen.statement.by.as_str()) >= 2);
                prop_assert!(["agc_library", "agc_oversight"].contains(&seen.statement.by.as_str()));
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_09_nothing_that_was_public_is_prolonged_or_said_anew_once_it_has_ended(history in histories()) {
        play(&history, |seen| {
            let statement = json(seen.statement);
            if !seen.is_taken || seen.statement.kind != StatementKind::Mandate {
                return Ok(());
            }
            let id = seen.statement.id.as_str();
            let Some(old) = before(seen.said, &statement) else { return Ok(()) };
            let (ended, ends) = (time(&old["sunset_at"]), time(&statement["body"]["sunset_at"]));
            let was_public = seen.said.was_ever(id, &["published", "active"]);
            prop_assert!(!was_public || ends <= ended, "{} ends on {} and not on {} any more", id, ends, ended);
            let stood = seen.before.state(id).map(|(_, state)| state);
            let is_over = seen.said.was_ever(id, &["sunset", "revoked", "erasing", "erased"])
                || stood == Some(State::Active) && ended <= seen.statement.at;
            prop_assert!(!is_over, "{} has ended and is revised", id);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_09_an_emergency_goes_on_only_by_another_mandate_with_a_new_review(history in histories()) {
        play(&history, |seen| {
            for id in [OUTBREAK, AGAIN, "mdt_new"] {
                let found = seen.said.revision("Mandate", id).filter(|(body, _)| body["kind"] == "emergency");
                let Some((body, _)) = found else { continue };
                let (starts, ends) = (time(&body["starts_at"]), time(&body["sunset_at"]));
                prop_assert!(ends <= starts.plus(90 * DAY), "{} runs longer than 90 days", id);
                let before = continued(seen.said, body);
                let old = before.first().and_then(|before| seen.said.revision("Mandate", before));
                if let Some((old, _)) = old.filter(|(old, _)| old["kind"] == "emergency") {
                    let reviewed = body["review"]["at"].as_str().map(|at| at.parse::<Time>().unwrap());
                    let is_new = reviewed.is_some_and(|at| at > time(&old["starts_at"]));
                    prop_assert!(is_new, "{} goes on without a look at {}", id, before[0]);
                }
            }
            // It is public only if it says that it goes on from another one, or has nothing longer than those that were public before.
            let body = &seen.statement.body;
            if !seen.is_taken || body["object"] != AGAIN || body["to"] != "published" {
                return Ok(());
            }
            let (again, _) = seen.said.revision("Mandate", AGAIN).unwrap();
            let others = MANDATES.into_iter().chain(["mdt_new"]).filter(|id| *id != AGAIN && seen.said.was_ever(id, &["published"]));
            let bodies = others.filter_map(|id| seen.said.revision("Mandate", id)).filter(|(body, _)| body["kind"] == "emergency");
            let longest = bodies.map(|(body, _)| time(&body["sunset_at"])).max();
            let is_longer = longest.is_none_or(|longest| longest < time(&again["sunset_at"]));
            prop_assert!(!is_longer || !continued(seen.said, again).is_empty(), "{} goes on and names nobody", again);
            Ok(())
        })?;
    }
}
