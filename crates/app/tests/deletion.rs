//! What services are told to delete and answer, and erasures that share their epoch.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{City, LIBRARY, OPERATOR, SERVICE, SeededRng, SetClock, VENDOR, block, mandate, on_postgres, service};
use serde_json::json;
use usufruct_app::store::db::{Connection, Error as DbError, Value};
use usufruct_app::store::deletions::{self, Counts, Deletion};
use usufruct_app::{
    Answered, App, AuthorizeRequest, Config, Error, GrantManagement, House, Kept, LifecycleStep, NewResident, Open, Publication,
    VaultSetup,
};
use usufruct_core::Text;
use usufruct_core::case_tally::Figure;
use usufruct_core::certificate::{Answer, Cause};
use usufruct_core::id::ServiceId;
use usufruct_core::late::LateDuty;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::status::Grounds;
use usufruct_core::time::DAY;

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn counts(city: &City) -> (i64, i64, i64, i64) {
    let Counts { noted, told, answered, overdue, .. } = city.app.deletion_counts().unwrap();
    (noted, told, answered, overdue)
}

#[test]
fn a_service_is_told_under_the_old_pseudonym_and_its_answer_stands() {
    on_both("told", |dir, url| {
        let city = City::found(dir, url);
        let (reader, subject) = city.cardholder();
        city.app.release(&city.request(&subject)).unwrap();
        let withdrawn = city.app.withdraw(reader, &mandate()).unwrap();
        assert_eq!(counts(&city), (1, 0, 0, 0));
        let notices = city.app.deletion_notices(&service()).unwrap();
        assert_eq!(notices.len(), 1);
        let notice = &notices[0];
        assert_eq!((notice.subject.as_deref(), &notice.mandate), (Some(subject.as_str()), &Some(mandate())));
        assert_eq!(notice.due_at, city.app.now().plus(30 * DAY));
        assert!(!notice.id.to_string().contains(withdrawn.certificate.as_str().trim_start_matches("crt_")));
        assert_eq!(counts(&city), (1, 1, 0, 0));
        // The resident sees it, and that the answer is late.
        city.clock.advance(31 * DAY);
        let seen = city.app.deletions_of(reader).unwrap();
        assert_eq!((seen.len(), seen[0].certificate.clone(), seen[0].answer), (1, withdrawn.certificate.clone(), None));
        assert_eq!(counts(&city), (1, 1, 0, 1));
        // Nobody answers for another service, and nobody answers what does not exist.
        let stranger = "svc_festival".parse().unwrap();
        let refused = city.app.answer_deletion(&stranger, &notice.id, Answer::Deleted).unwrap_err();
        assert!(matches!(refused, Error::Unknown { .. }), "{refused}");
        city.app.answer_deletion(&service(), &notice.id, Answer::Deleted).unwrap();
        city.app.answer_deletion(&service(), &notice.id, Answer::Deleted).unwrap();
        let refused = city.app.answer_deletion(&service(), &notice.id, kept()).unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert_eq!(counts(&city), (1, 1, 1, 0));
        assert!(city.app.deletion_notices(&service()).unwrap().is_empty());
        assert_eq!(city.app.deletions_of(reader).unwrap()[0].answer, Some((Answer::Deleted, city.app.now())));
        // Of one resident's data the certificate has the number and nothing that joins pseudonyms.
        city.app.tick().unwrap();
        let register = city.app.register();
        let body = &register.certificates[&withdrawn.certificate];
        assert_eq!((body.rev, body.body.recipients_told, body.body.recipients.len()), (1, 1, 0));
    });
}

#[test]
fn an_answer_that_did_not_come_in_time_is_noted_once_and_stays_noted() {
    on_both("missed", |dir, url| {
        let city = City::found(dir, url);
        let missed = |reader| city.app.deletions_of(reader).unwrap()[0].missed_at;
        let (prompt, late, never) = (city.cardholder().0, city.cardholder().0, city.cardholder().0);
        for reader in [prompt, late, never] {
            city.app.withdraw(reader, &mandate()).unwrap();
        }
        let notice = |reader| city.app.deletions_of(reader).unwrap()[0].id.clone();
        city.clock.advance(30 * DAY);
        city.app.answer_deletion(&service(), &notice(prompt), Answer::Deleted).unwrap();
        assert_eq!(city.app.note_missed_deletions().unwrap(), 0, "the last moment is in time");
        assert!(city.owed().is_empty());
        city.clock.advance(1);
        let owed = city.owed();
        assert_eq!(
            owed.iter().map(|late| (late.duty, late.object.as_str())).collect::<Vec<_>>(),
            [(LateDuty::Deletion, SERVICE)]
        );
        assert_eq!(city.app.deletion_counts().unwrap().missed, 2, "counted before the clock has noted it");
        let found = city.app.now();
        assert_eq!(city.app.note_missed_deletions().unwrap(), 2);
        city.clock.advance(DAY);
        assert_eq!(city.app.note_missed_deletions().unwrap(), 0, "once");
        assert_eq!((missed(prompt), missed(late), missed(never)), (None, Some(found), Some(found)));
        city.app.answer_deletion(&service(), &notice(late), Answer::Deleted).unwrap();
        assert_eq!(missed(late), Some(found), "an answer that comes late is late for ever");
        let Counts { noted, answered, overdue, missed: ever, .. } = city.app.deletion_counts().unwrap();
        assert_eq!((noted, answered, overdue, ever), (3, 2, 1, 2));
        assert_eq!(city.app.overdue_deletions().unwrap().len(), 1);
        // Whoever answers late, before the clock came by, is late as well.
        let (hasty, _) = city.cardholder();
        city.app.withdraw(hasty, &mandate()).unwrap();
        city.clock.advance(31 * DAY);
        city.app.answer_deletion(&service(), &notice(hasty), Answer::Nothing).unwrap();
        assert_eq!(missed(hasty), Some(city.app.now()));
        assert_eq!(city.app.note_missed_deletions().unwrap(), 0);
    });
}

/// Two processes over one database come by at the same time.
#[test]
fn what_was_missed_is_noted_by_one_process_alone() {
    on_postgres("missed_by_two", |dir, url| {
        let city = City::found(dir, url);
        for _ in 0..40 {
            let (reader, _) = city.cardholder();
            city.app.withdraw(reader, &mandate()).unwrap();
        }
        city.clock.advance(31 * DAY);
        let second = usufruct_app::store::db::Db::open(url.unwrap(), &usufruct_app::store::db::Options::default()).unwrap();
        let now = city.app.now();
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(move || {
                let mut count = 0;
                for _ in 0..8 {
                    let noted = second.transaction("miss", move |tx| {
                        let due = deletions::unnoted(tx, now, 5)?;
                        let noted: Vec<_> = due.into_iter().map(|due| Deletion { missed_at: Some(now), ..due }).collect();
                        deletions::set(tx, &noted)?;
                        Ok::<_, DbError>(noted.len())
                    });
                    count += noted.unwrap_or(0);
                }
                count
            });
            (city.app.note_missed_deletions().unwrap(), other.join().unwrap())
        });
        assert_eq!(first + second, 40);
        assert_eq!(city.app.deletion_counts().unwrap().missed, 40);
    });
}

/// A service's word that it keeps what it was to delete, on a ground of the law.
fn kept() -> Answered {
    Answered { answer: Answer::Kept, ground: Some("legal-retention".into()) }
}

/// Whoever keeps what it was to delete says under which article, out of a closed list; the resident and everybody can read it.
#[test]
fn data_is_kept_on_a_ground_of_the_law_alone() {
    on_both("kept_on_a_ground", |dir, url| {
        let city = City::found(dir, url);
        let (reader, _) = city.cardholder();
        city.app.withdraw(reader, &mandate()).unwrap();
        let notice = city.app.deletion_notices(&service()).unwrap().remove(0).id;
        let answer = |answer, ground: Option<&str>| {
            city.app.answer_deletion(&service(), &notice, Answered { answer, ground: ground.map(str::to_owned) })
        };
        for (said, ground) in [
            (Answer::Kept, None),
            (Answer::Kept, Some("we-like-it")),
            (Answer::Kept, Some("")),
            (Answer::Deleted, Some("legal-retention")),
        ] {
            let refused = answer(said, ground).unwrap_err();
            assert!(matches!(refused, Error::Refused { .. }), "{said:?} {ground:?}: {refused}");
        }
        let told = || city.app.deletions_of(reader).unwrap().remove(0);
        assert_eq!((told().answer, city.app.deletion_counts().unwrap().kept), (None, 0));
        answer(Answer::Kept, Some("legal-retention")).unwrap();
        answer(Answer::Kept, Some("legal-retention")).unwrap();
        assert!(answer(Answer::Kept, Some("legal-claims")).is_err(), "an answer stands");
        let told = told();
        assert_eq!(
            (told.answer.map(|(answer, _)| answer), told.ground.as_deref()),
            (Some(Answer::Kept), Some("legal-retention"))
        );
        assert_eq!(city.app.deletion_counts().unwrap().kept, 1);
        let Kept { all, grounds } = city.app.kept_deletions().unwrap();
        assert_eq!(all, Figure::Few);
        assert_eq!(
            grounds.iter().map(|(ground, count)| (ground.as_str(), count.to_string())).collect::<Vec<_>>(),
            [("legal-retention", "1-9".to_owned())]
        );
        // Another ground that somebody writes into the row is none of the service.
        city.app
            .db()
            .transaction("forge", |tx| tx.execute("-- forge\nUPDATE deletions SET ground = 'legal-claims'", &[]))
            .unwrap();
        assert_eq!(city.app.deletions_of(reader).unwrap().remove(0).answer, None);
    });
}

#[test]
fn a_service_hears_of_nobody_whom_it_never_met() {
    on_both("never_met", |dir, url| {
        let city = City::found(dir, url);
        city.open_service("svc_archive", LIBRARY, "archive");
        city.open_service("svc_reading", LIBRARY, "reading");
        let archive = "svc_archive".parse().unwrap();
        let (stranger, known) = (city.cardholder().0, city.cardholder().0);
        city.app.consent_at_counter(known, &archive, &mandate(), &[]).unwrap();
        let subject = city.app.subject(known, &archive).unwrap();
        city.app.release(&usufruct_app::ReleaseRequest { service: archive.clone(), ..city.request(&subject) }).unwrap();
        city.app.withdraw(stranger, &mandate()).unwrap();
        assert!(city.app.deletion_notices(&archive).unwrap().is_empty());
        city.app.delete_resident(known).unwrap();
        let told = city.app.deletion_notices(&archive).unwrap();
        assert_eq!(told.iter().map(|notice| notice.subject.as_deref()).collect::<Vec<_>>(), [Some(subject.as_str())]);
        assert!(city.app.deletion_notices(&"svc_reading".parse().unwrap()).unwrap().is_empty());
        assert_eq!(city.app.deletion_notices(&service()).unwrap().len(), 2, "they agreed there");
    });
}

/// A pseudonym is a pseudonym, also where nothing was lent by it.
#[test]
fn services_that_only_signed_her_in_are_told_or_named_to_her() {
    on_both("signed_in_only", |dir, url| {
        let city = City::found(dir, url);
        // Under a mandate by which she lends nothing.
        city.publish_mandate("mdt_short", common::library_card());
        city.open_service_with("svc_desk", LIBRARY, "desk", |body| body["mandates"] = json!(["mdt_short"]));
        city.open_service_with("svc_login", LIBRARY, "login", |body| {
            body["mandates"] = json!([]);
            body["profile"] = json!("oidc");
        });
        let [desk, login]: [ServiceId; 2] = ["svc_desk", "svc_login"].map(|id| id.parse().unwrap());
        let (reader, _) = city.cardholder();
        let session = city.app.session(&city.app.open_session(reader, "test").unwrap()).unwrap().unwrap();
        for service in [&desk, &login] {
            let request = AuthorizeRequest {
                service: service.clone(),
                redirect_uri: "http://localhost:8081/callback".to_owned(),
                scope: vec!["openid".to_owned()],
                details: Vec::new(),
                state: None,
                nonce: None,
                challenge: None,
                by_form: false,
                jkt: None,
                management: GrantManagement::Any,
                pushed: None,
                agreed: Vec::new(),
            };
            city.app.authorize(&session, &request).unwrap();
        }
        let subject = city.app.subject(reader, &desk).unwrap();
        // What she lent is what a withdrawal is about, and neither got any of it.
        city.app.withdraw(reader, &mandate()).unwrap();
        assert!(city.app.deletion_notices(&desk).unwrap().is_empty());
        let reached = city.app.reached_by_deletion(reader).unwrap();
        assert_eq!((reached.told, reached.untold), (vec![desk.clone(), service()], vec![login.clone()]));

        city.app.delete_resident(reader).unwrap();
        let told = city.app.deletion_notices(&desk).unwrap();
        assert_eq!(told.iter().map(|notice| notice.subject.clone()).collect::<Vec<_>>(), [Some(subject)]);
        assert!(told[0].due_at > city.app.now());
        let all = city.app.deletions_of(reader).unwrap();
        assert!(all.iter().all(|notice| notice.service != login), "nothing is due from whoever cannot read it");
        city.app.answer_deletion(&desk, &told[0].id, Answer::Deleted).unwrap();
    });
}

#[test]
fn whoever_deletes_her_pass_is_still_named_to_the_service() {
    on_both("told_all", |dir, url| {
        let city = City::found(dir, url);
        let (reader, subject) = city.cardholder();
        let (other, _) = city.cardholder();
        let certificate = city.app.delete_resident(reader).unwrap();
        let notices = city.app.deletion_notices(&service()).unwrap();
        let told: Vec<_> = notices.iter().map(|notice| (notice.subject.as_deref(), &notice.mandate)).collect();
        assert_eq!(told, [(Some(subject.as_str()), &None)]);
        assert!(city.app.deletions_of(other).unwrap().is_empty());
        assert_eq!(city.app.register().certificates[&certificate].body.recipients_told, 1);
        // No row that leads to the resident has the pseudonym in clear.
        let sealed = city.app.deletions_of(reader).unwrap()[0].sealed.clone().unwrap();
        let clear = usufruct_vault_subject(&subject);
        assert!(!sealed.windows(clear.len()).any(|window| window == clear));
        // Somebody who changes the row gets no other pseudonym out of it.
        let id = notices[0].id.clone();
        city.app
            .db()
            .transaction("insider", move |tx| {
                let sql = "-- insider\nUPDATE deletions SET sealed = $2 WHERE deletion_id = $1";
                tx.execute(sql, &[id.as_str().into(), vec![7u8; 48].into()])
            })
            .unwrap();
        assert!(city.app.deletion_notices(&service()).unwrap().is_empty());
    });
}

/// The bytes of a pseudonym.
fn usufruct_vault_subject(subject: &str) -> Vec<u8> {
    subject.parse::<usufruct_app::vault::Subject>().unwrap().bytes().to_vec()
}

#[test]
fn the_certificate_of_a_mandate_says_what_services_answered() {
    on_both("answers", |dir, url| {
        let city = City::found(dir, url);
        city.cardholder();
        city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let certificate = || {
            let register = city.app.register();
            let entry = register.certificate(&mandate()).unwrap();
            (entry.rev, entry.body.recipients_told, entry.body.recipients.clone())
        };
        city.app.tick().unwrap();
        assert_eq!(certificate(), (1, 1, vec![]));
        let notices = city.app.deletion_notices(&service()).unwrap();
        assert_eq!((notices.len(), notices[0].subject.as_deref()), (1, None));
        city.app.tick().unwrap();
        let (rev, _, recipients) = certificate();
        assert_eq!((rev, recipients.len(), recipients[0].answer), (2, 1, None));
        city.clock.advance(DAY);
        city.app.answer_deletion(&service(), &notices[0].id, kept()).unwrap();
        city.app.tick().unwrap();
        city.app.tick().unwrap();
        let (rev, _, recipients) = certificate();
        assert_eq!((rev, recipients[0].answer, recipients[0].answered_at), (3, Some(Answer::Kept), Some(city.app.now())));
        assert_eq!(recipients[0].told_at, city.app.now().plus(-DAY));
    });
}

#[test]
fn a_vendor_has_as_long_as_its_contract_says() {
    let dir = tempfile::tempdir().unwrap();
    let city = City::found(dir.path(), None);
    let text = |en: &str| json!({"en": en, "zh-Hant": en});
    city.publish_agency(VENDOR, "vendor");
    let contract = json!({
        "controller": LIBRARY, "vendor": VENDOR, "mandates": [common::CARD], "scope": text("All."), "from": "2026-01-01T00:00:00Z",
        "until": "2027-01-01T00:00:00Z", "capability_evidence": [{"kind": "ISO", "issuer": "X", "expires": "2027-01-01T00:00:00Z",
            "sha256": "00".repeat(32)}],
        "measures": [text("Locks.")], "data_locations": ["TW"], "cloud_provider": "none", "breach_first_ping_hours": 24, "breach_report_hours": 72,
        "check_every": "P90D", "next_check_due": "2026-03-01T00:00:00Z", "penalty": text("A fine."),
        "penalties": [{"trigger": text("A day late"), "amount": "TWD 1,000"}], "no_own_purpose": true,
        "delete_within_days": 7,
    });
    city.publish(usufruct_core::statement::StatementKind::Contract, "ctr_library", LIBRARY, contract);
    for to in [State::CheckedAgency, State::CheckedCity, State::Signed, State::Active] {
        let entry = city.app.register().contracts[&"ctr_library".parse().unwrap()].clone();
        let reason = Text::new("The next step.", "下一步。");
        let step = LifecycleStep {
            object: "ctr_library",
            revision: entry.hash,
            from: entry.state,
            to,
            reason,
            grounds: Grounds::default(),
        };
        let step = city.app.step(&step, &LIBRARY.parse().unwrap(), &city.signer(LIBRARY), city.app.now()).unwrap();
        city.app.publish(&Publication { statements: vec![step] }).unwrap();
    }
    let mut card = common::library_card();
    let recipient = json!({"agency": VENDOR, "contract": "ctr_library", "why": text("It prints the cards.")});
    card["recipients"].as_array_mut().unwrap().push(recipient);
    city.publish_mandate(common::CARD, card);
    city.open_service_with("svc_vendor", VENDOR, "vendor", |body| body["mandates"] = json!([common::CARD]));
    let (reader, _) = city.cardholder();
    let vendor = "svc_vendor".parse().unwrap();
    city.app.consent_at_counter(reader, &vendor, &mandate(), &[]).unwrap();
    city.app.withdraw(reader, &mandate()).unwrap();
    let (theirs, own) = (city.app.deletion_notices(&vendor).unwrap(), city.app.deletion_notices(&service()).unwrap());
    assert_eq!(theirs[0].due_at, city.app.now().plus(7 * DAY));
    assert_eq!(own[0].due_at, city.app.now().plus(30 * DAY));
    assert!(theirs[0].subject != own[0].subject && theirs[0].id != own[0].id, "nothing joins the two");
}

/// Writes to the row of a notice behind the back of the house.
fn write(city: &City, sql: &'static str, params: Vec<Value>) {
    assert_eq!(city.app.db().transaction("insider", move |tx| tx.execute(sql, &params)).unwrap(), 1, "{sql}");
}

#[test]
fn what_somebody_else_wrote_to_a_notice_is_nobodys_answer() {
    on_both("altered", |dir, url| {
        let city = City::found(dir, url);
        let readers: Vec<u64> = (0..7).map(|_| city.cardholder().0).collect();
        for reader in &readers {
            city.app.withdraw(*reader, &mandate()).unwrap();
        }
        let notice = |reader: u64| city.app.deletions_of(reader).unwrap().remove(0);
        let id = |reader: u64| Value::from(notice(reader).id.as_str());
        assert_eq!(city.app.deletion_notices(&service()).unwrap().len(), 7);
        let [planted, changed, taken, put_off, spared, unsealed, honest] = readers[..] else { panic!("seven residents") };
        for reader in [changed, taken, spared, honest] {
            city.app.answer_deletion(&service(), &notice(reader).id, kept()).unwrap();
        }
        assert_eq!(city.app.note_altered_deletions().unwrap(), 0);
        let now = || Value::from(city.app.now().micros());
        let later = Value::from(city.app.now().plus(4_000 * DAY).micros());
        let answer = "UPDATE deletions SET answer = 'deleted', answered_at = $2 WHERE deletion_id = $1";
        write(&city, answer, vec![id(planted), now()]);
        write(&city, "UPDATE deletions SET answer = 'no word of ours' WHERE deletion_id = $1", vec![id(changed)]);
        write(&city, "UPDATE deletions SET answer = NULL, answered_at = NULL WHERE deletion_id = $1", vec![id(taken)]);
        write(&city, "UPDATE deletions SET due_at = $2 WHERE deletion_id = $1", vec![id(put_off), later]);
        write(&city, "UPDATE deletions SET mark = NULL WHERE deletion_id = $1", vec![id(spared)]);
        write(&city, "UPDATE deletions SET sealed = NULL WHERE deletion_id = $1", vec![id(unsealed)]);

        // Her page says so at once, and neither does the service read it nor answer it.
        for reader in &readers[..6] {
            let seen = notice(*reader);
            assert_eq!((seen.answer, seen.told_at, seen.altered_at), (None, None, Some(city.app.now())));
            assert!(matches!(city.app.answer_deletion(&service(), &seen.id, Answer::Deleted), Err(Error::Refused { .. })));
        }
        assert!(city.app.deletion_notices(&service()).unwrap().is_empty(), "nobody is told to delete more than she asked for");
        assert_eq!(notice(honest).answer, Some((Answer::Kept, city.app.now())));

        // In public from when the clock has come by, once, and whoever looks after breaches gets them.
        let found = city.app.now();
        assert_eq!(city.app.note_altered_deletions().unwrap(), 6);
        assert_eq!(city.app.note_altered_deletions().unwrap(), 0);
        city.clock.advance(DAY);
        let Counts { noted, told, answered, overdue, missed, altered, .. } = city.app.deletion_counts().unwrap();
        assert_eq!((noted, told, answered, overdue, missed, altered), (7, 1, 1, 6, 6, 6));
        let listed = city.app.overdue_deletions().unwrap();
        assert!(listed.len() == 6 && listed.iter().all(|one| one.altered_at == Some(found)));
        assert_eq!(city.owed().len(), 1);
        assert_eq!(city.app.run_breaches().unwrap(), 1);
        let facts = city.app.register().breaches.values().next().unwrap().body.facts.en.clone();
        assert!(facts.starts_with("Somebody wrote to the record"), "{facts}");
        assert_eq!(notice(planted).altered_at, Some(found));
        // Whoever writes again is found again.
        write(
            &city,
            "UPDATE deletions SET altered_at = NULL, answer = 'deleted', answered_at = $2 WHERE deletion_id = $1",
            vec![id(changed), now()],
        );
        assert_eq!(city.app.note_altered_deletions().unwrap(), 1);
        assert_eq!(city.app.deletion_counts().unwrap().altered, 6);
    });
}

#[test]
fn the_certificate_of_a_mandate_repeats_no_answer_that_somebody_else_wrote() {
    on_both("altered_certificate", |dir, url| {
        let city = City::found(dir, url);
        city.cardholder();
        city.app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let recipients = || city.app.register().certificate(&mandate()).unwrap().body.recipients.clone();
        city.app.tick().unwrap();
        let notices = city.app.deletion_notices(&service()).unwrap();
        city.app.tick().unwrap();
        let told = recipients();
        assert_eq!((told.len(), told[0].answer), (1, None));
        let answer = "UPDATE deletions SET answer = 'deleted', answered_at = $2 WHERE deletion_id = $1";
        write(&city, answer, vec![Value::from(notices[0].id.as_str()), Value::from(city.app.now().micros())]);
        city.app.tick().unwrap();
        city.app.note_altered_deletions().unwrap();
        city.app.tick().unwrap();
        assert_eq!(recipients(), told, "what was said before stands");
    });
}

#[test]
fn notices_from_before_the_marks_get_theirs_once() {
    on_both("unmarked", |dir, url| {
        let city = City::found(dir, url);
        let reader = city.cardholder().0;
        city.app.withdraw(reader, &mandate()).unwrap();
        let id = city.app.deletion_notices(&service()).unwrap()[0].id.clone();
        city.app.answer_deletion(&service(), &id, Answer::Nothing).unwrap();
        let forget =
            |city: &City| write(city, "UPDATE deletions SET mark = NULL WHERE deletion_id = $1", vec![Value::from(id.as_str())]);
        let answer = |city: &City| city.app.deletions_of(reader).unwrap()[0].answer.map(|(answer, _)| answer);
        forget(&city);
        assert_eq!(answer(&city), None);
        drop(city);
        // As the house was before the upgrade.
        std::fs::remove_file(dir.join("keys/deletions.marked")).unwrap();
        let city = City::open(dir, url, "2026-01-02T00:01:00Z", 2);
        assert_eq!(answer(&city), Some(Answer::Nothing));
        forget(&city);
        drop(city);
        let city = City::open(dir, url, "2026-01-02T00:02:00Z", 3);
        assert_eq!(answer(&city), None, "a row that lost its mark later was written by somebody else");
    });
}

thread_local! {
    /// Whether the next key drawn by this thread ends what it does.
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Gives out where a new key of a resident is drawn, which is after an erasure was noted and before anything is destroyed.
struct StopsAtKeys(Arc<SeededRng>);

impl Rng for StopsAtKeys {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(bytes.len() != 32 || !ARMED.get(), "the process stops here");
        self.0.fill(bytes);
    }
}

fn open(dir: &Path, url: Option<&str>) -> App {
    let pages_in_database = url.is_some();
    App::open(Open {
        config: Config {
            origin: "city.test/log".into(),
            database: url.map(str::to_owned),
            operator: OPERATOR.parse().unwrap(),
            vault: VaultSetup { pages_in_database, any_disk: true, ..VaultSetup::default() },
        },
        house: House::open(dir).unwrap(),
        clock: SetClock::new("2026-01-02T00:00:00Z") as Arc<dyn Clock>,
        rng: Arc::new(StopsAtKeys(SeededRng::new(99))),
        root: None,
        objects: None,
        second_hand: None,
        transport: None,
    })
    .unwrap()
}

#[test]
fn erasures_that_were_interrupted_share_an_epoch() {
    on_both("batch", |dir, url| {
        drop(City::found(dir, url));
        let app = open(dir, url);
        let new: Vec<_> = (0..40).map(|i| NewResident { blocks: vec![(block("name"), format!("Resident {i}"))] }).collect();
        let residents: Vec<u64> = app.enrol(&new).unwrap().into_iter().map(|enrolled| enrolled.resident).collect();
        for resident in &residents {
            app.consent_at_counter(*resident, &service(), &mandate(), &[]).unwrap();
        }
        let interrupted = |work: &dyn Fn()| {
            ARMED.set(true);
            assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
            ARMED.set(false);
        };
        for resident in &residents[..20] {
            interrupted(&|| drop(app.withdraw(*resident, &mandate())));
        }
        for resident in &residents[10..30] {
            interrupted(&|| drop(app.delete_resident(*resident)));
        }
        let (before, certificates) = (app.vault_state().0.epoch.0, app.register().certificates.len());
        assert_eq!(certificates, 0, "nothing is certified before it is done");
        // Somebody damaged a keyring: she alone has to wait.
        let damaged = residents[0];
        let damage = |byte: u8| {
            let sql = "-- insider\nUPDATE keyrings SET sealed = $2 WHERE resident = $1";
            let kept = app.db().read(|conn| usufruct_app::store::keyrings::candidates(conn, damaged)).unwrap()[0].1.clone();
            let mut bytes = kept;
            bytes[30] ^= byte;
            app.db()
                .transaction("damage", move |tx| tx.execute(sql, &[damaged.cast_signed().into(), bytes.clone().into()]))
                .unwrap();
        };
        damage(1);
        assert!(app.finish_erasures().is_err());
        assert_eq!(app.vault_state().0.epoch.0, before + 2, "one epoch for withdrawals, one for deletions");
        assert_eq!(app.register().certificates.len(), 39);
        damage(1);
        assert_eq!(app.finish_erasures().unwrap(), 1);
        assert_eq!(app.finish_erasures().unwrap(), 0);
        let register = app.register();
        let of = |cause| register.certificates.values().filter(|entry| entry.body.cause == cause).count();
        assert_eq!((of(Cause::Withdrawal), of(Cause::Request)), (20, 20));
        for (place, resident) in residents.iter().enumerate() {
            assert_eq!(app.footprint(*resident).is_ok(), !(10..30).contains(&place), "resident {place}");
        }
        assert_eq!(app.resident_count().unwrap(), 20);
    });
}
