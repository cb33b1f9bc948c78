//! What services deposit under a mandate: sealed for its month, seen by the resident, gone after its time, with a certificate.

use std::path::Path;

use crate::common;
use crate::common::{City, LIBRARY, SERVICE, SeededRng, block, library_card, looked_into, on_postgres, service, text};
use serde_json::{Value, json};
use usufruct_app::store::db::{Connection as _, Error as StoreError, Value as SqlValue};
use usufruct_app::store::deposits::{self, Deposit};
use usufruct_app::{BatchRequest, DepositReceipt, DepositRequest, Error, ReleaseRequest, Released};
use usufruct_core::certificate::{Cause, Certificate};
use usufruct_core::decide::Clause;
use usufruct_core::event::{Form, Kind};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::random;
use usufruct_core::register::Entry;
use usufruct_core::time::{DAY, HOUR, Month};
use usufruct_core::{Text, Time};

/// The service of these tests is registered under it.
const VISITS: &str = "mdt_short";

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn visits() -> MandateId {
    VISITS.parse().unwrap()
}

/// A mandate whose services may deposit, and that keeps for 28 days, and ends at the end of June.
fn visits_body() -> Value {
    let mut body = library_card();
    body["operations"] = json!(["collect", "deposit", "match"]);
    body["retention"] = json!({"from_event": text("the visit"), "duration": "P28D"});
    body["sunset_at"] = json!("2026-06-30T16:00:00Z");
    body
}

/// A city on 1 January in which visits are deposited.
fn found(dir: &Path, url: Option<&str>, change: impl FnOnce(&mut Value)) -> City {
    let city = City::found(dir, url);
    let mut body = visits_body();
    change(&mut body);
    city.publish_mandate(VISITS, body);
    city
}

/// A resident who agreed to it, and her pseudonym.
fn visitor(city: &City) -> (u64, String) {
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &visits(), &[]).unwrap();
    (resident, city.app.subject(resident, &service()).unwrap())
}

fn request(subject: &str, value: &str) -> DepositRequest {
    DepositRequest {
        service: service(),
        mandate: visits(),
        subject: subject.to_owned(),
        block: block("name"),
        value: value.to_owned(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    }
}

fn deposit(city: &City, subject: &str, value: &str) -> DepositReceipt {
    city.app.deposit(&request(subject, value)).unwrap()
}

fn seen(city: &City, resident: u64) -> Vec<String> {
    city.app.own_deposits(resident).unwrap().into_iter().map(|deposit| deposit.value).collect()
}

/// What is stored about her, whether its time is over or not.
fn rows(city: &City, resident: u64) -> Vec<Deposit> {
    city.app.db().read(|conn| deposits::of_resident(conn, resident, Time::default())).unwrap()
}

fn months(city: &City) -> Vec<Month> {
    city.app.db().read(deposits::months).unwrap().into_iter().map(|(_, month)| month).collect()
}

fn set(city: &City, at: &str) {
    let at: Time = at.parse().unwrap();
    city.clock.advance(at.micros() - city.app.now().micros());
}

fn certificates(city: &City) -> Vec<Entry<Certificate>> {
    let mut certificates: Vec<_> = city.app.register().certificates.values().cloned().collect();
    certificates.sort_by_key(|entry| entry.index);
    certificates
}

/// A deposit as it is given: value, when, until.
type Given = (String, Time, Time);

/// What a release of her name in this form gives of deposits.
fn released(city: &City, subject: &str, form: Form) -> Vec<Given> {
    let mut request = city.request(subject);
    request.mandate = visits();
    request.blocks = vec![(block("name"), form)];
    plain(&city.app.release(&request).unwrap())
}

fn plain(released: &Released) -> Vec<Given> {
    assert!(released.deposits.iter().all(|deposit| deposit.block == block("name")));
    released.deposits.iter().map(|deposit| (deposit.value.as_str().to_owned(), deposit.at, deposit.until)).collect()
}

#[test]
fn what_is_deposited_is_seen_and_ends_with_its_month() {
    on_both("month", |dir, url| {
        let city = found(dir, url, |_| {});
        let ((anna, subject), (bert, other)) = (visitor(&city), visitor(&city));
        let receipt = deposit(&city, &subject, " Main hall ");
        assert_eq!(receipt.until, city.app.now().plus(28 * DAY));
        assert!(receipt.receipt.contains(&format!("\n{}\n", receipt.index)));
        deposit(&city, &other, "Annex");
        set(&city, "2026-01-20");
        deposit(&city, &subject, "Reading room");
        // She sees it in her data and in her footprint, and nobody else's.
        let mine = city.app.own_deposits(anna).unwrap();
        assert_eq!(mine.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["Reading room", "Main hall"]);
        assert!(mine.iter().all(|one| one.mandate == visits() && one.block == block("name")));
        assert_eq!((mine[0].at, mine[0].until), (city.app.now(), city.app.now().plus(28 * DAY)));
        assert_eq!(seen(&city, bert), ["Annex"]);
        let lines = city.app.footprint(anna).unwrap().lines;
        let line = lines.last().unwrap().event.as_ref().unwrap();
        assert_eq!((line.kind, line.service.as_ref(), line.until), (Kind::Deposit, Some(&service()), Some(mine[0].until)));
        assert_eq!((&line.blocks[..], line.reason.as_str()), (&[(block("name"), Form::Value)][..], "lending"));
        // It is no copy of her own data and not on loan.
        assert!(city.app.own_blocks(anna).unwrap().iter().all(|own| own.value != "Main hall"));
        assert_eq!(months(&city).iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-01"]);
        // Each is gone from here on its own day.
        set(&city, "2026-01-29T00:00:00Z");
        assert_eq!(seen(&city, anna), ["Reading room"], "whether or not the clock has run");
        city.app.tick().unwrap();
        assert_eq!((rows(&city, anna).len(), rows(&city, bert).len(), certificates(&city).len()), (1, 0, 0));
        let old = rows(&city, anna);
        set(&city, "2026-02-05");
        deposit(&city, &subject, "Garden");
        // And the month ends when the last of it could have been kept for its time: no sooner, and with its key.
        set(&city, "2026-02-28T15:59:59Z");
        city.app.tick().unwrap();
        assert!(certificates(&city).is_empty());
        let before = city.app.vault_state().0;
        set(&city, "2026-02-28T16:00:00Z");
        city.app.tick().unwrap();
        let after = city.app.vault_state().0;
        assert_eq!(
            (after.epoch.0, after.count),
            (before.epoch.0 + 1, before.count),
            "one commit: the key of January went, after that of March had come"
        );
        let [certificate] = &certificates(&city)[..] else { panic!("one month, one certificate") };
        let body = &certificate.body;
        assert_eq!((body.cause, body.mandate.as_deref(), body.key_commitments.len()), (Cause::Retention, Some(VISITS), 1));
        assert!(body.ground.en.contains("2026-01.") && body.ground.zh_hant.contains("2026-01 "), "{:?}", body.ground);
        assert_eq!((body.epoch_before, body.epoch_after), (before.epoch.0 as i64, after.epoch.0 as i64));
        assert_eq!(body.recipients_told, 0);
        assert_eq!(seen(&city, anna), ["Garden"], "the next month lives");
        assert_eq!(months(&city).iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-02", "2026-03"]);
        // What a copy of then brings back opens no more.
        let back = Deposit { until: city.app.now().plus(DAY), ..old[0].clone() };
        city.app.db().transaction("bring back", move |tx| deposits::insert(tx, &back)).unwrap();
        assert_eq!(rows(&city, anna).len(), 2);
        assert_eq!(seen(&city, anna), ["Garden"]);
        // The mandate goes on: a month's certificate is none of its end.
        assert!(city.app.register().certificate(&visits()).is_none());
        assert_eq!(city.app.register().mandates[&visits()].state, State::Active);
        city.app.tick().unwrap();
        assert_eq!(certificates(&city).len(), 1);
    });
}

#[test]
fn months_that_are_due_together_end_in_one_commit() {
    on_both("months", |dir, url| {
        let city = found(dir, url, |_| {});
        let (resident, subject) = visitor(&city);
        for day in ["2026-01-05", "2026-02-05", "2026-03-05"] {
            set(&city, day);
            deposit(&city, &subject, "Main hall");
        }
        // The mandate is suspended meanwhile: nothing is deposited, and what was ends all the same.
        set(&city, "2026-05-10");
        let reason = Text::new("For now.", "暫停。");
        city.app.move_mandate(&visits(), State::Suspended, &city.signer(LIBRARY), reason, looked_into()).unwrap();
        assert!(
            matches!(city.app.deposit(&request(&subject, "Annex")), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Suspension])
        );
        let before = city.app.vault_state().0;
        let ended = city.app.run_retention().unwrap();
        let names: Vec<String> = ended.iter().flat_map(|(_, months)| months).map(ToString::to_string).collect();
        assert_eq!((ended.len(), &ended[0].0, names), (1, &visits(), vec!["2026-01".into(), "2026-02".into(), "2026-03".into()]));
        let after = city.app.vault_state().0;
        assert_eq!((after.epoch.0, after.count), (before.epoch.0 + 1, before.count - 3));
        let [certificate] = &certificates(&city)[..] else { panic!("one commit, one certificate") };
        assert_eq!(certificate.body.key_commitments.len(), 3);
        assert!(rows(&city, resident).is_empty() && months(&city).is_empty());
        assert!(city.app.run_retention().unwrap().is_empty());
        // The purge of the ciphertext follows on its own date.
        city.clock.advance(36 * DAY);
        // Other tests on the same server may look at an older state for a while.
        let done = (0..300).find_map(|_| match city.app.run_purges(None) {
            Err(Error::Store(StoreError::Unpurged { .. })) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
                None
            }
            outcome => Some(outcome.unwrap()),
        });
        assert_eq!(done, Some(1));
        assert!(certificates(&city)[0].body.ciphertext_purged_at.is_some());
    });
}

#[test]
fn a_withdrawal_and_a_deleted_pass_take_what_was_deposited() {
    on_both("withdrawn", |dir, url| {
        let city = found(dir, url, |_| {});
        let people: Vec<(u64, String)> = (0..3).map(|_| visitor(&city)).collect();
        people.iter().for_each(|(_, subject)| drop(deposit(&city, subject, "Main hall")));
        let old = rows(&city, people[0].0);
        city.app.withdraw(people[0].0, &visits()).unwrap();
        city.app.delete_resident(people[1].0).unwrap();
        let left: Vec<usize> = people.iter().map(|(resident, _)| rows(&city, *resident).len()).collect();
        assert_eq!(left, [0, 0, 1]);
        // Even if she comes back, an old row does not.
        city.app.db().transaction("bring back", move |tx| deposits::insert(tx, &old[0])).unwrap();
        assert!(seen(&city, people[0].0).is_empty());
        city.app.consent_at_counter(people[0].0, &service(), &visits(), &[]).unwrap();
        assert!(seen(&city, people[0].0).is_empty());
        assert_eq!(seen(&city, people[2].0), ["Main hall"]);
    });
}

#[test]
fn the_end_of_a_mandate_ends_its_months() {
    on_both("ends", |dir, url| {
        let city = found(dir, url, |_| {});
        let (resident, subject) = visitor(&city);
        set(&city, "2026-06-01");
        city.app.tick().unwrap();
        assert_eq!(certificates(&city).iter().map(|entry| entry.body.cause).collect::<Vec<_>>(), [Cause::Retention]);
        deposit(&city, &subject, "Main hall");
        set(&city, "2026-06-29");
        assert_eq!(deposit(&city, &subject, "Annex").until.to_string(), "2026-06-30T16:00:00Z", "no longer than the mandate");
        set(&city, "2026-06-30T16:00:00Z");
        let before = city.app.vault_state().0;
        city.app.tick().unwrap();
        let after = city.app.vault_state().0;
        assert_eq!((after.epoch.0, after.count), (before.epoch.0 + 1, before.count - 2), "its own key and that of June");
        let [_, certificate] = &certificates(&city)[..] else { panic!("one end, one certificate") };
        assert_eq!((certificate.body.cause, certificate.body.key_commitments.len()), (Cause::Sunset, 2));
        assert!(rows(&city, resident).is_empty() && months(&city).is_empty());
        assert_eq!(city.app.register().mandates[&visits()].state, State::Erased);
        assert!(matches!(city.app.deposit(&request(&subject, "Annex")), Err(Error::Unpermitted(_) | Error::Unknown { .. })));
        assert_eq!(months(&city).len(), 0);
    });
}

#[test]
fn a_months_certificate_does_not_end_its_mandate() {
    on_both("not_ended", |dir, url| {
        let city = found(dir, url, |_| {});
        let (_, subject) = visitor(&city);
        deposit(&city, &subject, "Main hall");
        set(&city, "2026-03-02");
        city.app.tick().unwrap();
        assert_eq!(certificates(&city).len(), 1);
        city.app.end_mandate(&visits(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let causes: Vec<Cause> = certificates(&city).iter().map(|entry| entry.body.cause).collect();
        assert_eq!(causes, [Cause::Retention, Cause::Revocation]);
        assert_eq!(city.app.register().certificate(&visits()).unwrap().body.cause, Cause::Revocation);
    });
}

#[test]
fn what_may_not_be_deposited_is_refused_and_logged() {
    on_both("refused", |dir, url| {
        let city = found(dir, url, |body| body["rate_cap"] = json!({"uses": 2, "per": "P1D"}));
        let (resident, subject) = visitor(&city);
        let lines = || city.app.footprint(resident).unwrap().lines;
        let refused = |change: &dyn Fn(&mut DepositRequest)| {
            let mut request = request(&subject, "Main hall");
            change(&mut request);
            match city.app.deposit(&request) {
                Err(Error::Unpermitted(clauses)) => clauses,
                outcome => panic!("{:?}", outcome.map(drop)),
            }
        };
        assert_eq!(refused(&|request| request.reason = "curiosity".into()), [Clause::Reason]);
        assert_eq!(refused(&|request| request.block = block("district")), [Clause::BlocksChosen]);
        assert_eq!(refused(&|request| request.block = block("income")), [Clause::BlocksInMandate, Clause::BlocksChosen]);
        assert_eq!(refused(&|request| request.service = "svc_nobody".parse().unwrap()), [Clause::Service]);
        let last = lines().last().unwrap().event.clone().unwrap();
        assert_eq!((last.kind, last.clause.as_deref()), (Kind::Refusal, Some("blocks-in-mandate")));
        // A mandate that does not say so.
        city.app.consent_at_counter(resident, &service(), &common::mandate(), &[]).unwrap();
        assert_eq!(refused(&|request| request.mandate = common::mandate()), [Clause::Operation]);
        for value in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert!(matches!(city.app.deposit(&request(&subject, value)), Err(Error::Refused { .. })), "{value:?}");
        }
        assert!(matches!(city.app.deposit(&request("AAAAAAAAAAAAAAAAAAAAAA", "Annex")), Err(Error::Unknown { .. })));
        assert!(rows(&city, resident).is_empty() && months(&city).len() == 1, "no key is made for what is refused");
        // Deposits count as uses.
        deposit(&city, &subject, "Main hall");
        deposit(&city, &subject, "Annex");
        assert_eq!(refused(&|_| {}), [Clause::RateCap]);
        city.clock.advance(DAY + HOUR);
        deposit(&city, &subject, "Garden");
        assert_eq!(rows(&city, resident).len(), 3);
    });
}

#[test]
fn deposits_come_with_their_block_for_one_logged_use() {
    on_both("released", |dir, url| {
        let city = found(dir, url, |_| {});
        let ((anna, subject), (_, other)) = (visitor(&city), visitor(&city));
        let first = (String::from("Main hall"), city.app.now(), city.app.now().plus(28 * DAY));
        deposit(&city, &subject, "Main hall");
        deposit(&city, &other, "Annex");
        set(&city, "2026-01-20");
        deposit(&city, &subject, "Reading room");
        let second = (String::from("Reading room"), city.app.now(), city.app.now().plus(28 * DAY));
        let before = city.app.footprint(anna).unwrap().lines.len();
        assert_eq!(released(&city, &subject, Form::Value), [second.clone(), first]);
        let lines = city.app.footprint(anna).unwrap().lines;
        assert_eq!((lines.len(), lines[before].event.as_ref().unwrap().kind), (before + 1, Kind::Use), "one use, one line");
        // A poorer form says nothing of them, not even how many there are.
        assert_eq!((released(&city, &subject, Form::Predicate), released(&city, &subject, Form::Token)), (vec![], vec![]));
        // In a batch each has her own.
        let batch = BatchRequest {
            service: service(),
            mandate: visits(),
            subjects: vec![other.clone(), subject.clone()],
            blocks: vec![(block("name"), Form::Value)],
            reason: "lending".into(),
            actor: None,
            third_party: false,
        };
        let lines = city.app.release_batch(&batch).unwrap().lines;
        let values: Vec<Vec<String>> = lines
            .iter()
            .map(|line| plain(line.outcome.as_ref().unwrap()).into_iter().map(|(value, ..)| value).collect())
            .collect();
        assert_eq!(values, [vec!["Annex"], vec!["Reading room", "Main hall"]]);
        // Each for its own time, whether or not the clock has run.
        set(&city, "2026-01-29T00:00:00Z");
        assert_eq!(released(&city, &subject, Form::Value), [second]);
        set(&city, "2026-02-17T00:00:00Z");
        assert!(released(&city, &subject, Form::Value).is_empty());
        // A row that a copy of then brings back gives nothing once its month has ended, and stands in nobody's way.
        deposit(&city, &subject, "Garden");
        let back = Deposit { until: "2026-06-01T00:00:00Z".parse().unwrap(), ..rows(&city, anna)[1].clone() };
        set(&city, "2026-03-01T00:00:00Z");
        city.app.tick().unwrap();
        city.app.db().transaction("bring back", move |tx| deposits::insert(tx, &back)).unwrap();
        let values: Vec<String> = released(&city, &subject, Form::Value).into_iter().map(|(value, ..)| value).collect();
        assert_eq!((rows(&city, anna).len(), values), (2, vec!["Garden".to_owned()]));
    });
}

#[test]
fn deposits_are_released_under_their_own_mandate_only() {
    on_both("own_mandate", |dir, url| {
        let city = found(dir, url, |_| {});
        let (other, gate): (MandateId, ServiceId) = ("mdt_gate".parse().unwrap(), "svc_gate".parse().unwrap());
        city.publish_mandate("mdt_gate", visits_body());
        city.open_service_with("svc_gate", LIBRARY, "gate", |body| body["mandates"] = json!([VISITS, "mdt_gate"]));
        let resident = city.enrol(1)[0];
        for mandate in [visits(), other.clone()] {
            city.app.consent_at_counter(resident, &gate, &mandate, &[]).unwrap();
        }
        let subject = || city.app.subject(resident, &gate).unwrap();
        for (mandate, value) in [(visits(), "Main hall"), (other.clone(), "North gate")] {
            let request = DepositRequest { mandate, service: gate.clone(), ..request(&subject(), value) };
            city.app.deposit(&request).unwrap();
        }
        let given = |mandate: &MandateId| {
            let request = ReleaseRequest { mandate: mandate.clone(), service: gate.clone(), ..city.request(&subject()) };
            city.app.release(&request).map(|released| plain(&released).into_iter().map(|(value, ..)| value).collect::<Vec<_>>())
        };
        assert_eq!((given(&visits()).unwrap(), given(&other).unwrap()), (vec!["Main hall".into()], vec!["North gate".into()]));
        // The row of the one does not open under the other, whoever moves it there.
        let number = |mandate: &MandateId| city.app.register().mandates[mandate].number.cast_signed();
        let params = [SqlValue::from(number(&other)), SqlValue::from(number(&visits()))];
        let sql = "-- insider_move\nUPDATE deposits SET mandate = $1 WHERE mandate = $2";
        city.app.db().transaction("move", move |tx| tx.execute(sql, &params)).unwrap();
        assert_eq!((given(&visits()).unwrap(), given(&other).unwrap()), (Vec::<String>::new(), vec!["North gate".into()]));
        // It ends with her withdrawal, and does not come back with her.
        let old = rows(&city, resident);
        city.app.withdraw(resident, &other).unwrap();
        assert!(matches!(given(&other), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Grant]));
        city.app.db().transaction("bring back", move |tx| old.iter().try_for_each(|row| deposits::insert(tx, row))).unwrap();
        city.app.consent_at_counter(resident, &gate, &other, &[]).unwrap();
        assert!(given(&other).unwrap().is_empty() && seen(&city, resident).is_empty());
        // And with the mandate. Her withdrawal ended what she had authorized the gate for, under the other mandate too.
        city.app.consent_at_counter(resident, &gate, &visits(), &[]).unwrap();
        city.app.deposit(&DepositRequest { service: gate.clone(), ..request(&subject(), "Annex") }).unwrap();
        assert_eq!(given(&visits()).unwrap(), ["Annex"]);
        set(&city, "2026-06-30T16:00:00Z");
        assert!(matches!(given(&visits()), Err(Error::Unpermitted(clauses)) if clauses.contains(&Clause::Sunset)));
        city.app.tick().unwrap();
        assert!(given(&visits()).is_err() && rows(&city, resident).is_empty());
    });
}

/// Random histories of two residents: a release gives exactly the living deposits of the one it is about, at every moment.
#[test]
fn a_release_gives_what_lives_and_nothing_else() {
    on_both("histories", |dir, url| {
        // What no official writes is braked, but where a machine decides by itself.
        let city = found(dir, url, |body| {
            body["automated_decision"] = json!("sole");
            body["operations"].as_array_mut().unwrap().push(json!("decide"));
            body["algorithm_url"] = json!("https://city.example/algorithm");
        });
        let mut people: Vec<(u64, Option<String>, Vec<Given>)> =
            (0..2).map(|_| visitor(&city)).map(|(resident, subject)| (resident, Some(subject), Vec::new())).collect();
        let end: Time = "2026-06-30T16:00:00Z".parse().unwrap();
        let rng = SeededRng::new(20_260_101);
        let mut given = 0;
        for step in 0..160 {
            let [act, who, amount] = random::<3>(rng.as_ref());
            let (resident, subject, living) = &mut people[usize::from(who % 2)];
            let now = city.app.now();
            match (act % 16, subject.as_ref()) {
                (0..6, Some(subject)) => {
                    let value = format!("place {step}");
                    let until = now.plus(28 * DAY).min(end);
                    assert_eq!(deposit(&city, subject, &value).until, until);
                    living.insert(0, (value, now, until));
                }
                (6..10, _) if now.plus(i64::from(amount % 7) * DAY) < end => {
                    city.clock.advance(i64::from(amount % 7) * DAY);
                    if amount >= 128 {
                        city.app.tick().unwrap();
                    }
                }
                (10, Some(_)) => {
                    city.app.withdraw(*resident, &visits()).unwrap();
                    (*subject, *living) = (None, Vec::new());
                }
                (_, None) => {
                    city.app.consent_at_counter(*resident, &service(), &visits(), &[]).unwrap();
                    *subject = Some(city.app.subject(*resident, &service()).unwrap());
                }
                _ => {}
            }
            let now = city.app.now();
            for (resident, subject, living) in &mut people {
                living.retain(|(_, _, until)| *until > now);
                let Some(subject) = subject else { continue };
                assert_eq!(&released(&city, subject, Form::Value), living, "step {step}");
                assert_eq!(seen(&city, *resident), living.iter().map(|(value, ..)| value.clone()).collect::<Vec<_>>());
                given += living.len();
            }
        }
        assert!(given > 200 && !certificates(&city).is_empty(), "{given}");
    });
}

#[test]
fn who_agreed_that_a_service_collects_did_not_agree_to_deposits() {
    on_both("collect", |dir, url| {
        let city = found(dir, url, |body| body["operations"] = json!(["collect", "store"]));
        let (resident, subject) = visitor(&city);
        match city.app.deposit(&request(&subject, "Main hall")) {
            Err(Error::Unpermitted(clauses)) => assert_eq!(clauses, [Clause::Operation]),
            outcome => panic!("{:?}", outcome.map(drop)),
        }
        let last = city.app.footprint(resident).unwrap().lines.last().unwrap().event.clone().unwrap();
        assert_eq!((last.kind, last.clause.as_deref()), (Kind::Refusal, Some("operation")));
        assert!(rows(&city, resident).is_empty() && months(&city).is_empty());
        // What it did agree to goes on.
        let mut taken = city.request(&subject);
        taken.mandate = visits();
        assert_eq!(city.app.release(&taken).unwrap().blocks[0].2.as_str(), "Resident 0");
    });
}

#[test]
fn where_the_law_asks_for_it_she_is_told_first() {
    on_both("law", |dir, url| {
        let city = found(dir, url, |body| body["legal_basis"]["code"] = json!("public_task"));
        let resident = city.enrol(1)[0];
        let subject = city.app.subject(resident, &SERVICE.parse().unwrap()).unwrap();
        deposit(&city, &subject, "Main hall");
        let kinds: Vec<Kind> =
            city.app.footprint(resident).unwrap().lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
        assert_eq!(kinds[kinds.len() - 2..], [Kind::Consent, Kind::Deposit]);
        assert_eq!(seen(&city, resident), ["Main hall"]);
    });
}
