//! The main path of the pass, on both databases: agree, release, see it, withdraw, end, erase, restart.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{CARD, City, LIBRARY, block, library_card, mandate, on_both, service};
use serde_json::json;
use usufruct_app::{About, BatchRequest, CaseRequest, Error, ReleaseRequest};
use usufruct_core::Text;
use usufruct_core::case::CaseKind;
use usufruct_core::decide::Clause;
use usufruct_core::event::{Form, Kind, commitment, leaf};
use usufruct_core::id::MandateId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::statement::Statement;
use usufruct_core::time::{DAY, HOUR, SECOND};
use usufruct_store::db::Connection;
use usufruct_store::residents::ResidentState;
use usufruct_store::{blocks, keyrings, leaves, lines};

on_both!(
    a_batch_touches_every_footprint,
    a_block_is_released_with_a_receipt_and_a_line,
    a_changed_line_no_longer_opens,
    a_correction_reaches_the_copies_on_loan,
    a_deleted_resident_is_noise,
    a_mandate_ends_and_is_certified,
    a_poorer_form_carries_nothing_of_the_value,
    a_register_is_a_fold_over_the_log,
    a_restart_keeps_everything,
    a_use_that_a_withdrawal_overtakes_opens_nothing_and_says_so,
    a_withdrawal_destroys_the_key,
    a_withdrawal_is_between_releases_never_across,
    an_objection_is_filed_and_logged,
    an_unknown_subject_is_told_nothing,
    deactivation_refuses,
    refusals_are_logged_and_name_the_clause,
    the_rate_cap_holds_under_load,
    the_first_use_that_a_law_allows_is_not_refused_for_the_notice_it_gives,
    the_same_number_never_means_two_events,
);

fn clauses<T>(outcome: Result<T, Error>) -> Vec<Clause> {
    match outcome {
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was permitted"),
    }
}

fn a_block_is_released_with_a_receipt_and_a_line(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let released = city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(released.blocks[0].2.as_str(), "Resident 0");
    assert!(released.receipt.contains(&format!("\n{}\n", released.index)), "{}", released.receipt);

    let footprint = city.app.footprint(resident).unwrap();
    let kinds: Vec<_> = footprint.lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [Kind::Consent, Kind::Use]);
    let line = &footprint.lines[1];
    assert_eq!(line.index, released.index);
    assert_eq!(line.event.as_ref().unwrap().prev, Some(commitment(&footprint.lines[0].opening, &footprint.lines[0].encoded)));

    // The leaf in the log is what the line opens to.
    let stored = city.app.db().read(|conn| leaves::range(conn, line.index, 1)).unwrap();
    let tag = usufruct_core::event::tag(&footprint.tag_key, line.n);
    assert_eq!(stored[0].1, leaf(&commitment(&line.opening, &line.encoded), &tag));
}

/// Under a mandate that rests on law she is notified by the first use, and time goes on between the two.
fn the_first_use_that_a_law_allows_is_not_refused_for_the_notice_it_gives(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut body = library_card();
    body["legal_basis"]["code"] = json!("public_task");
    city.publish_mandate("mdt_short", body);
    let subject = city.app.subject(city.enrol(1)[0], &service()).unwrap();
    let clock = Arc::clone(&city.clock);
    city.clock.after(1, move || clock.advance(SECOND));
    let mandate = "mdt_short".parse().unwrap();
    city.app.release(&ReleaseRequest { mandate, ..city.request(&subject) }).unwrap();
}

fn refusals_are_logged_and_name_the_clause(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let mut request = city.request(&subject);
    request.blocks = vec![(block("district"), Form::Value)];
    assert_eq!(clauses(city.app.release(&request)), [Clause::BlocksChosen]);
    let mut request = city.request(&subject);
    request.reason = "curiosity".into();
    assert_eq!(clauses(city.app.release(&request)), [Clause::Reason]);
    let mut request = city.request(&subject);
    request.mandate = "mdt_nothing".parse().unwrap();
    assert_eq!(clauses(city.app.release(&request)), [Clause::Mandate]);
    let lines = city.app.footprint(resident).unwrap().lines;
    let refusals: Vec<_> =
        lines.iter().filter_map(|line| line.event.as_ref()).filter(|event| event.kind == Kind::Refusal).collect();
    assert_eq!(refusals.len(), 2);
    assert_eq!(refusals[1].clause.as_deref(), Some("reason"));
    // Words that a caller made up do not reach her footprint.
    assert_eq!(refusals[1].reason, "");
}

fn an_unknown_subject_is_told_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    let turned: String = subject.chars().rev().collect();
    for wrong in ["", "short", "AAAAAAAAAAAAAAAAAAAAAA", &turned, &format!("{subject}=")] {
        let outcome = city.app.release(&city.request(wrong));
        assert!(matches!(outcome, Err(Error::Unknown { .. })), "{wrong}: {:?}", outcome.err());
    }
}

fn a_batch_touches_every_footprint(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let residents = city.enrol(1_200);
    for resident in &residents {
        city.app.consent_at_counter(*resident, &service(), &mandate(), &[]).unwrap();
    }
    let subjects: Vec<_> = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    city.app.withdraw(residents[7], &mandate()).unwrap();
    let batch = BatchRequest {
        service: service(),
        mandate: mandate(),
        subjects,
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    };
    let answer = city.app.release_batch(&batch).unwrap();
    assert_eq!(answer.lines.iter().filter(|line| line.outcome.is_ok()).count(), 1_199);
    assert!(answer.lines[7].outcome.is_err());
    for i in [0, 600, 1_199] {
        let lines = city.app.footprint(residents[i]).unwrap().lines;
        let used: Vec<_> = lines.iter().filter_map(|line| line.event.as_ref()).filter(|event| event.kind == Kind::Use).collect();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0].batch.unwrap().size, 1_200);
    }
    let twice = BatchRequest { subjects: vec!["A".repeat(22), "A".repeat(22)], ..batch.clone() };
    assert!(city.app.release_batch(&twice).is_err());
    let none = BatchRequest { subjects: vec![], ..batch };
    assert_eq!(clauses(city.app.release_batch(&none)), [Clause::BulkLimit]);
}

fn a_withdrawal_destroys_the_key(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    city.app.release(&city.request(&subject)).unwrap();
    let number = city.app.register().mandates[&mandate()].number;

    // An insider copies everything the store holds.
    let (sealed, rings) = city
        .app
        .db()
        .read(|conn| Ok::<_, Error>((blocks::lent(conn, resident, number)?, keyrings::candidates(conn, resident)?)))
        .unwrap();
    assert!(!sealed.is_empty());

    let withdrawn = city.app.withdraw(resident, &mandate()).unwrap();
    let refused = city.app.release(&city.request(&subject));
    assert!(matches!(refused, Err(Error::Unknown { .. })), "the old pseudonym leads nowhere");
    let fresh = city.app.subject(resident, &service()).unwrap();
    assert_ne!(fresh, subject);
    assert_eq!(clauses(city.app.release(&city.request(&fresh))), [Clause::Grant]);

    // The copy of the keyring opens nothing any more, and the certificate is public.
    let (copied, lent) = (rings, sealed);
    city.app
        .db()
        .transaction("insider puts the copy back", move |tx| {
            for (version, ring) in &copied {
                keyrings::put(tx, resident, *version, ring)?;
            }
            for (block, sealed) in &lent {
                blocks::put_lent(tx, &[(resident, number, *block, sealed.clone())])?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(clauses(city.app.release(&city.request(&fresh))), [Clause::Grant]);
    let certificate = &city.app.register().certificates[&withdrawn.certificate];
    assert!(certificate.body.epoch_after > certificate.body.epoch_before);

    // She can come back, and is asked again.
    city.app.consent_at_counter(resident, &service(), &mandate(), &[block("district")]).unwrap();
    assert!(city.app.release(&city.request(&fresh)).is_ok());
    assert!(matches!(city.app.withdraw(resident, &"mdt_nothing".parse().unwrap()), Err(Error::Unknown { .. })));
}

fn a_withdrawal_is_between_releases_never_across(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let is_acknowledged = AtomicBool::new(false);
    let (released, unopened): (Vec<u64>, Vec<u64>) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let (mut released, mut unopened) = (Vec::new(), Vec::new());
                    for _ in 0..20 {
                        let began_after = is_acknowledged.load(Ordering::SeqCst);
                        match city.app.release(&city.request(&subject)) {
                            Ok(answer) => {
                                assert!(!began_after, "a release began after the withdrawal was acknowledged");
                                released.push(answer.index);
                            }
                            Err(Error::Unopened { index }) => unopened.push(index),
                            // Decided after the withdrawal: the pseudonym was left behind with it.
                            Err(Error::Unknown { .. }) => {}
                            Err(other) => panic!("{other}"),
                        }
                    }
                    (released, unopened)
                })
            })
            .collect();
        city.app.withdraw(resident, &mandate()).unwrap();
        is_acknowledged.store(true, Ordering::SeqCst);
        let answers: (Vec<_>, Vec<_>) = readers.into_iter().map(|reader| reader.join().unwrap()).unzip();
        (answers.0.concat(), answers.1.concat())
    });
    let lines = city.app.footprint(resident).unwrap().lines;
    let of_kind = |kind: Kind| -> Vec<u64> {
        lines.iter().filter(|line| line.event.as_ref().unwrap().kind == kind).map(|line| line.index).collect()
    };
    let [withdrawal] = of_kind(Kind::Withdrawal)[..] else { panic!("one withdrawal") };
    let uses = of_kind(Kind::Use);
    assert!(uses.iter().all(|index| *index < withdrawal), "a use was logged after the withdrawal");
    // Each use in the log was either answered or reported as never opened, and nothing else was.
    let mut accounted = [released, unopened].concat();
    accounted.sort_unstable();
    assert_eq!(accounted, uses);
    assert!(matches!(city.app.release(&city.request(&subject)), Err(Error::Unknown { .. })));
}

fn a_use_that_a_withdrawal_overtakes_opens_nothing_and_says_so(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let id: MandateId = "mdt_short".parse().unwrap();
    let mut slow = library_card();
    slow["gate"] = json!("published");
    slow["operations"] = json!(["collect", "deposit", "match"]);
    city.publish_mandate("mdt_short", slow);
    let ending: [&dyn Fn(u64) -> Box<dyn FnOnce() + Send>; 2] = [
        &|resident| {
            let (app, id) = (Arc::clone(&city.app), id.clone());
            Box::new(move || drop(app.withdraw(resident, &id).unwrap()))
        },
        &|resident| {
            let app = Arc::clone(&city.app);
            Box::new(move || drop(app.delete_resident(resident).unwrap()))
        },
    ];
    for end in ending {
        let (resident, _) = city.cardholder();
        city.app.consent_at_counter(resident, &service(), &id, &[]).unwrap();
        let mut request = city.request(&city.app.subject(resident, &service()).unwrap());
        request.mandate = id.clone();
        let before = city.app.footprint(resident).unwrap().lines.len();
        // The first reading is the decision's; the next one comes when the use is in the log and waits to be published.
        city.clock.after(1, end(resident));
        let Err(Error::Unopened { index }) = city.app.release(&request).map(drop) else { panic!("the use was opened") };
        assert!(city.app.published_size() > index, "it is in the log");
        assert!(matches!(city.app.release(&request), Err(Error::Unknown { .. })));
        let Ok(footprint) = city.app.footprint(resident) else { continue };
        let lines = &footprint.lines[before..];
        let kinds: Vec<Kind> = lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
        assert_eq!(kinds, [Kind::Use, Kind::Withdrawal, Kind::Status]);
        assert_eq!((lines[0].index, lines[1].index), (index, index + 1));
        let used = &footprint.lines[before];
        let failed = footprint.lines[before + 2].event.as_ref().unwrap();
        assert_eq!((failed.reason.as_str(), failed.detail.clone()), ("use-failed", Some(used.n.to_string())));
        let used = used.event.as_ref().unwrap();
        assert_eq!((failed.mandate, &failed.service), (used.mandate, &used.service), "it says which use");
    }
}

fn a_mandate_ends_and_is_certified(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut short = library_card();
    short["sunset_at"] = json!("2026-01-10T00:00:00Z");
    city.publish_mandate("mdt_short", short);
    let (resident, subject) = city.cardholder();
    let id = "mdt_short".parse().unwrap();
    city.app.consent_at_counter(resident, &service(), &id, &[]).unwrap();
    let mut request = city.request(&subject);
    request.mandate = id.clone();
    city.app.release(&request).unwrap();
    let token = city.app.client_token(&service(), "release", None, Vec::new()).wait().unwrap().access_token;

    city.clock.advance(9 * DAY);
    // The clock alone ends it, before any job has run.
    assert_eq!(clauses(city.app.release(&request)), [Clause::Sunset, Clause::Grant]);
    let report = city.app.run_sunsets().unwrap();
    assert_eq!(report.ended, std::slice::from_ref(&id));
    let register = city.app.register();
    assert_eq!(register.mandates[&id].state, State::Erased);
    assert!(register.certificate(&id).is_some());
    assert!(city.app.run_sunsets().unwrap().ended.is_empty());
    assert!(city.app.consent_at_counter(resident, &service(), &id, &[]).is_err());
    // The other mandate and the service live on.
    assert!(city.app.release(&city.request(&subject)).is_ok());
    assert!(
        city.app.release_caller(&usufruct_app::Bearing { access_token: token.clone(), possession: None }).unwrap().is_none(),
        "its tokens ended long ago"
    );

    // Ending early needs the controller's people.
    let reason = Text::new("No longer needed.", "已無必要。");
    city.app.end_mandate(&mandate(), &city.signer(LIBRARY), reason).unwrap();
    assert_eq!(city.app.register().mandates[&mandate()].state, State::Erased);
    assert!(city.app.release(&city.request(&subject)).is_err());
}

fn a_poorer_form_carries_nothing_of_the_value(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    let form = |form: Form| {
        let mut request = city.request(&subject);
        request.blocks = vec![(block("name"), form)];
        city.app.release(&request).unwrap().blocks[0].2.as_str().to_owned()
    };
    assert_eq!(form(Form::Predicate), "true");
    assert_eq!(form(Form::Value), "Resident 0");
    let token = form(Form::Token);
    assert_eq!((token.len(), token == form(Form::Token)), (22, true));
}

fn a_register_is_a_fold_over_the_log(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.cardholder();
    let stored = city.app.db().read(|conn| leaves::statements(conn, 0, 1_000)).unwrap();
    let statements: Vec<_> = stored.iter().map(|(index, leaf)| (*index, Statement::from_leaf(leaf).unwrap())).collect();
    let replayed = Register::replay(statements.iter().map(|(index, statement)| (*index, statement))).unwrap();
    assert_eq!(serde_json::to_string(&replayed).unwrap(), serde_json::to_string(&*city.app.register()).unwrap());
    let err = city.app.publish(&usufruct_app::Publication { statements: vec![statements[3].1.clone()] });
    assert!(matches!(err, Err(Error::Unlawful(_))));
}

fn a_restart_keeps_everything(dir: &Path, url: Option<&str>) {
    let (resident, subject, index) = {
        let city = City::found(dir, url);
        let (resident, subject) = city.cardholder();
        let index = city.app.release(&city.request(&subject)).unwrap().index;
        city.app.publish_log().unwrap();
        (resident, subject, index)
    };
    let city = City::open(dir, url, "2026-02-01T00:00:00Z", 2);
    assert_eq!(city.app.subject(resident, &service()).unwrap(), subject);
    assert!(city.app.published_size() > index);
    let next = city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(next.index, index + 1);
    let lines = city.app.footprint(resident).unwrap().lines;
    assert_eq!(lines.iter().map(|line| line.n).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(city.app.register().mandates[&CARD.parse().unwrap()].state, State::Active);
}

fn a_changed_line_no_longer_opens(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    city.app.release(&city.request(&subject)).unwrap();
    // An insider with the database puts the first line's bytes in the place of the second.
    let stored = city.app.db().read(|conn| lines::of_resident(conn, resident, 0..lines::END, 10)).unwrap();
    let foreign = stored[0].sealed.clone();
    city.app
        .db()
        .transaction("edit", move |tx| {
            let params =
                [usufruct_store::db::Value::from(foreign.clone()), usufruct_store::db::Value::from(resident.cast_signed())];
            tx.execute("-- insider_edit\nUPDATE lines SET sealed = $1 WHERE resident = $2 AND n = 1", &params)
        })
        .unwrap();
    let lines = city.app.footprint(resident).unwrap().lines;
    assert!(lines[0].event.is_some());
    assert!(lines[1].event.is_none());
}

fn a_correction_reaches_the_copies_on_loan(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &mandate(), &[block("district")]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    city.app.correct(resident, &block("district"), "Riverside").unwrap();
    assert!(city.app.correct(resident, &block("name"), "Other").is_err());
    assert!(city.app.correct(resident, &block("district"), "").is_err());
    let mut request = city.request(&subject);
    request.blocks = vec![(block("district"), Form::Value)];
    assert_eq!(city.app.release(&request).unwrap().blocks[0].2.as_str(), "Riverside");
    let own = city.app.own_blocks(resident).unwrap();
    assert!(own.iter().any(|own| own.value == "Riverside"));
}

fn an_objection_is_filed_and_logged(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    city.app.release(&city.request(&subject)).unwrap();
    let case = city.app.file_case(resident, &CaseRequest::new(About::Line(1), CaseKind::Challenge, "I was not there.")).unwrap();
    assert_eq!((case.case.due_at, case.case.suspends), (case.case.filed_at.plus(30 * DAY), false));
    assert_eq!(city.app.cases(resident).unwrap()[0].letters[0].text, "I was not there.");
    assert!(city.app.file_case(resident, &CaseRequest::new(About::Line(99), CaseKind::Challenge, "")).is_err());
    let last = city.app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap();
    assert_eq!((last.kind, last.detail), (Kind::Objection, Some(case.id.to_string())));
}

fn deactivation_refuses(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    city.app.set_active(resident, ResidentState::Deactivated).unwrap();
    assert_eq!(clauses(city.app.release(&city.request(&subject))), [Clause::Resident]);
    city.app.set_active(resident, ResidentState::Active).unwrap();
    assert!(city.app.release(&city.request(&subject)).is_ok());
}

fn a_deleted_resident_is_noise(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let token = city.app.open_session(resident, "browser").unwrap();
    let certificate = city.app.delete_resident(resident).unwrap();
    assert!(city.app.session(&token).unwrap().is_none());
    assert!(matches!(city.app.release(&city.request(&subject)), Err(Error::Unknown { .. })));
    assert!(city.app.footprint(resident).is_err());
    assert!(city.app.register().certificates.contains_key(&certificate));
    assert_eq!(city.app.finish_erasures().unwrap(), 0);
}

fn the_rate_cap_holds_under_load(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut capped = library_card();
    capped["rate_cap"] = json!({"uses": 5, "per": "PT1H"});
    city.publish_mandate("mdt_short", capped);
    let (resident, subject) = city.cardholder();
    let id = "mdt_short".parse().unwrap();
    city.app.consent_at_counter(resident, &service(), &id, &[]).unwrap();
    let mut request = city.request(&subject);
    request.mandate = id;
    let count = |request: &usufruct_app::ReleaseRequest| {
        let outcomes: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..12).map(|_| scope.spawn(|| city.app.release(request).is_ok())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        outcomes.into_iter().filter(|ok| *ok).count()
    };
    assert_eq!(count(&request), 5);
    city.clock.advance(HOUR);
    assert_eq!(count(&request), 5);
}

fn the_same_number_never_means_two_events(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let app = Arc::clone(&city.app);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    app.release(&city.request(&subject)).unwrap();
                }
            });
        }
    });
    let lines = app.footprint(resident).unwrap().lines;
    assert_eq!(lines.len(), 81);
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line.n, i as u64);
        let prev = i.checked_sub(1).map(|before| commitment(&lines[before].opening, &lines[before].encoded));
        assert_eq!(line.event.as_ref().unwrap().prev, prev);
    }
}
