//! What services are told by themselves: written with what it reports, kept until they have it, and of no use to join two of them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::common;
use crate::common::{CARD, City, LIBRARY, OPERATOR, SERVICE, SeededRng, SetClock, mandate, on_postgres, service};
use serde_json::json;
use usufruct_app::store::db::Connection;
use usufruct_app::store::outbox::Channel;
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::store::streams::Status;
use usufruct_app::{
    App, AuthorizeRequest, Config, Error, GrantManagement, Happening, House, Open, OpenSession, Outgoing, StreamRequest,
    VaultSetup,
};
use usufruct_core::Text;
use usufruct_core::id::ServiceId;
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};

const SECOND_SERVICE: &str = "svc_archive";

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

/// A city whose two services want to be told of everything.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(SECOND_SERVICE, LIBRARY, "archive");
    for (id, sector) in [(SERVICE, "library"), (SECOND_SERVICE, "archive")] {
        let text = |en: &str| json!({"en": en, "zh-Hant": en});
        let body = json!({
            "agency": LIBRARY, "name": text("Library"), "sector": sector, "redirect_uris": ["http://localhost:8081/callback"],
            "channels": ["web", "counter"], "alternatives": [text("Ask at the counter.")], "mandates": [CARD], "help": text("Lends books."),
            "backchannel_logout_uri": format!("https://{sector}.example.org/logout"),
            "signals_uri": format!("https://{sector}.example.org/signals"),
        });
        city.publish(StatementKind::Service, id, LIBRARY, body);
        city.app.create_stream(&id.parse().unwrap(), pushed(&format!("https://{sector}.example.org/signals"))).unwrap();
    }
    city
}

fn archive() -> ServiceId {
    SECOND_SERVICE.parse().unwrap()
}

fn pushed(endpoint: &str) -> StreamRequest {
    StreamRequest { endpoint: Some(endpoint.to_owned()), authorization_header: None, events: None, description: None }
}

fn request(service: &ServiceId) -> AuthorizeRequest {
    AuthorizeRequest {
        service: service.clone(),
        redirect_uri: "http://localhost:8081/callback".to_owned(),
        scope: vec!["openid".to_owned(), CARD.to_owned()],
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Any,
        pushed: None,
        agreed: vec![CARD.parse().unwrap()],
    }
}

/// Signs a resident in at both services in one session.
fn signed_in(app: &App, resident: u64) -> OpenSession {
    let session = app.session(&app.open_session(resident, "test").unwrap()).unwrap().unwrap();
    for service in [service(), archive()] {
        app.authorize(&session, &request(&service)).unwrap();
    }
    session
}

fn due(app: &App) -> Vec<Outgoing> {
    app.due_messages(1_000).unwrap()
}

/// Takes everything that is due, so that what comes next stands alone.
fn take_all(app: &App) -> Vec<Outgoing> {
    let all = due(app);
    all.iter().for_each(|sent| app.message_taken(sent).unwrap());
    all
}

fn signals(all: &[Outgoing], service: &ServiceId) -> Vec<Happening> {
    let theirs = all.iter().filter(|sent| sent.channel == Channel::Signal && sent.event.service == *service);
    theirs.map(|sent| sent.event.told.happening.clone()).collect()
}

/// Every eight letters in a row.
fn windows(name: &str) -> BTreeSet<String> {
    name.as_bytes().windows(8).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn sid(sent: &Outgoing) -> &str {
    match &sent.event.told.happening {
        Happening::SessionEnded { sid, .. } => sid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_services_of_one_session_are_told_and_share_nothing() {
    on_both("apart", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        let session = signed_in(&city.app, reader);
        assert!(due(&city.app).is_empty());
        city.app.close_session(&session).unwrap();
        let all = take_all(&city.app);
        let names = |service: &ServiceId| -> BTreeSet<String> {
            let theirs: Vec<&Outgoing> = all.iter().filter(|sent| sent.event.service == *service).collect();
            let channels: Vec<&str> =
                theirs.iter().map(|sent| sent.channel.code()).collect::<BTreeSet<_>>().into_iter().collect();
            assert_eq!(channels, ["logout", "signal"]);
            let own = city.app.subject(reader, service).unwrap();
            assert!(theirs.iter().all(|sent| sent.event.told.subject.as_ref() == Some(&own) && sid(sent) == sid(theirs[0])));
            let named =
                |sent: &&Outgoing| [sent.event.id.clone(), sent.event.told.txn.clone(), sid(sent).to_owned(), own.clone()];
            theirs.iter().flat_map(named).collect()
        };
        let (library, archive) = (names(&service()), names(&archive()));
        // Two ids, two transactions, a session and a pseudonym each.
        assert_eq!((library.len(), archive.len()), (6, 6));
        for ours in &library {
            for theirs in &archive {
                let part = |text: &str| text.trim_start_matches("evt_").chars().take(8).collect::<String>();
                assert_ne!(part(ours), part(theirs), "not even their beginnings are alike");
            }
        }
        // Once is enough.
        assert!(take_all(&city.app).is_empty());
        assert!(city.app.session_count(reader).unwrap() == 0);
    });
}

#[test]
fn no_row_holds_a_pseudonym_and_none_leads_to_another_service() {
    on_both("sealed", |dir, url| {
        let city = city(dir, url);
        let (reader, subject) = city.cardholder();
        let session = signed_in(&city.app, reader);
        let read = |sql: &str| -> Vec<u8> {
            let rows = city.app.db().read(|conn| conn.query(sql, &[])).unwrap();
            rows.iter().flat_map(|row| [row.text(0).unwrap().as_bytes(), row.bytes(1).unwrap()].concat()).collect()
        };
        let mut stored = read("-- test\nSELECT service, sealed FROM session_services");
        city.app.close_session(&session).unwrap();
        city.app.withdraw(reader, &mandate()).unwrap();
        stored.extend(read("-- test\nSELECT message_id, sealed FROM outbox"));
        assert!(stored.len() > 2_000);
        let clear = subject.parse::<usufruct_app::vault::Subject>().unwrap().bytes().to_vec();
        for needle in [subject.as_bytes(), &clear] {
            assert!(!stored.windows(needle.len()).any(|window| window == needle));
        }
        let lengths = city.app.db().read(|conn| conn.query("-- test\nSELECT DISTINCT LENGTH(sealed) FROM outbox", &[])).unwrap();
        assert_eq!(lengths.len(), 1, "the length of a row does not tell what happened");
        // An insider who gives one service's row to another gets nothing across.
        let count = due(&city.app).len();
        city.clock.advance(HOUR);
        city.app
            .db()
            .transaction("insider", move |tx| {
                let sql = "-- insider\nUPDATE outbox SET service = $1 WHERE service = $2";
                tx.execute(sql, &[SECOND_SERVICE.into(), SERVICE.into()])
            })
            .unwrap();
        assert_eq!(due(&city.app).len(), count / 2);
    });
}

/// Gives out after so many draws.
struct Exhausted(Arc<SeededRng>, AtomicI64);

impl Rng for Exhausted {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(self.1.fetch_sub(1, Ordering::SeqCst) > 0, "the process stops here");
        self.0.fill(bytes);
    }
}

/// What can happen, and whether it has happened.
type Step = (fn(&App, u64) -> Result<(), Error>, fn(&App, u64) -> bool);

#[test]
fn a_crash_leaves_what_happened_and_its_messages_or_neither() {
    let sign_out: Step =
        (|app, resident| app.sign_out_everywhere(resident).map(drop), |app, resident| app.session_count(resident).unwrap() == 0);
    let withdraw: Step = (
        |app, resident| app.withdraw(resident, &mandate()).map(drop),
        |app, resident| app.deletions_of(resident).unwrap().len() == 2,
    );
    on_both("crash", |dir, url| {
        drop(city(dir, url));
        for (base, (act, has_happened)) in [(10_000, sign_out), (20_000, withdraw)] {
            for draws in 0.. {
                let rng = Arc::new(Exhausted(SeededRng::new(base + draws), AtomicI64::new(i64::MAX)));
                let open = Open {
                    config: Config {
                        origin: "city.test/log".into(),
                        database: url.map(str::to_owned),
                        operator: OPERATOR.parse().unwrap(),
                        vault: VaultSetup { pages_in_database: url.is_some(), any_disk: true, ..VaultSetup::default() },
                    },
                    house: House::open(dir).unwrap(),
                    clock: SetClock::new("2026-01-02T00:00:00Z") as Arc<dyn Clock>,
                    rng: Arc::clone(&rng) as Arc<dyn Rng>,
                    objects: None,
                    transport: None,
                    root: None,
                    second_hand: None,
                };
                let app = App::open(open).unwrap();
                app.spread_word(0);
                let resident = app.enrol(&[usufruct_app::NewResident::default()]).unwrap()[0].resident;
                app.consent(resident, &service(), &mandate(), &[]).unwrap();
                signed_in(&app, resident);
                take_all(&app);
                rng.1.store(i64::try_from(draws).unwrap(), Ordering::SeqCst);
                let _ = catch_unwind(AssertUnwindSafe(|| act(&app, resident)));
                drop(app);
                let again = City::open(dir, url, "2026-01-02T01:00:00Z", base + 5_000 + draws);
                let told = take_all(&again.app).len();
                assert_eq!(told, if has_happened(&again.app, resident) { 4 } else { 0 }, "after {draws} draws");
                again.app.finish_erasures().unwrap();
                // What follows the transaction is the business of the tests of erasure.
                if told > 0 {
                    assert!(draws > 8, "it was stopped at several places");
                    break;
                }
            }
        }
    });
}

#[test]
fn a_process_that_dies_while_it_sends_only_delays() {
    on_both("lease", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        city.app.close_session(&signed_in(&city.app, reader)).unwrap();
        let first = due(&city.app);
        assert_eq!(first.len(), 4);
        // Somebody else finds nothing while the first one is at it.
        assert!(due(&city.app).is_empty());
        city.clock.advance(MINUTE - 1);
        assert!(due(&city.app).is_empty());
        // The lease is over: the first one died before it sent, or after it sent and before it said so.
        city.clock.advance(1);
        let again = due(&city.app);
        let ids = |all: &[Outgoing]| all.iter().map(|sent| sent.event.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&first), ids(&again));
        assert!(first.iter().all(|sent| sent.attempts == 1) && again.iter().all(|sent| sent.attempts == 2));
        // The first one was only slow. Its failure does not move what the second one holds now; its success counts.
        city.app.message_refused(&first[0]).unwrap();
        city.clock.advance(30 * SECOND);
        assert!(due(&city.app).is_empty());
        city.app.message_taken(&first[0]).unwrap();
        city.app.message_taken(&again[0]).unwrap();
        city.clock.advance(MINUTE);
        assert_eq!(due(&city.app).len(), 3);
    });
}

#[test]
fn a_refused_message_waits_longer_each_time_and_is_given_up() {
    on_both("back_off", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        city.app.close_session(&signed_in(&city.app, reader)).unwrap();
        let began = city.app.now();
        let mut waits = Vec::new();
        let mut last = (began, began);
        loop {
            let all = due(&city.app);
            let now = city.app.now();
            for sent in &all {
                match sent.channel {
                    Channel::Logout => last.0 = now,
                    Channel::Signal => last.1 = now,
                }
                city.app.message_refused(sent).unwrap();
            }
            if all.is_empty() {
                break;
            }
            let next = next_due(&city);
            waits.push((next - now.micros()) / SECOND);
            city.clock.advance(next - now.micros() - 1);
            assert!(due(&city.app).is_empty(), "not before its time");
            city.clock.advance(1);
        }
        assert_eq!(waits[..11], [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600]);
        // The last wait is this test's own, for something that does not come.
        waits.pop();
        assert!(waits[11..].iter().all(|wait| *wait == 3_600), "{waits:?}");
        let nearly = |last: usufruct_core::Time, life: i64| last < began.plus(life) && last >= began.plus(life - HOUR);
        assert!(nearly(last.0, DAY), "a logout token is tried for a day");
        assert!(nearly(last.1, 7 * DAY), "a signal for seven");
        let left = || city.app.db().read(|conn| conn.query("-- test\nSELECT message_id FROM outbox", &[])).unwrap().len();
        assert_eq!(left(), 4);
        city.app.sweep().unwrap();
        assert_eq!(left(), 0);
    });
}

/// When something is tried next that is not given up by then.
fn next_due(city: &City) -> i64 {
    let now = city.app.now().micros();
    let rows =
        city.app.db().read(|conn| conn.query("-- test\nSELECT MIN(due_at) FROM outbox WHERE due_at < ends_at", &[])).unwrap();
    rows[0].optional_integer(0).unwrap().unwrap_or(now + DAY)
}

#[test]
fn a_receiver_in_trouble_is_left_alone_and_holds_up_nobody_else() {
    on_both("trouble", |dir, url| {
        let city = city(dir, url);
        for _ in 0..5 {
            let (reader, _) = city.cardholder();
            city.app.close_session(&signed_in(&city.app, reader)).unwrap();
        }
        let all = due(&city.app);
        let of = |service: ServiceId, channel| -> Vec<Outgoing> {
            all.iter().filter(|sent| sent.event.service == service && sent.channel == channel).cloned().collect()
        };
        let broken = of(service(), Channel::Logout);
        assert_eq!(broken.len(), 5);
        city.app.receiver_failed(&broken[0], &broken[1..]).unwrap();
        // What comes now waits with the rest.
        let (reader, _) = city.cardholder();
        city.app.close_session(&signed_in(&city.app, reader)).unwrap();
        let next = due(&city.app);
        assert_eq!(next.len(), 4, "the new one is tried, and everything of others");
        let fresh: Vec<_> =
            next.iter().filter(|sent| sent.event.service == service() && sent.channel == Channel::Logout).collect();
        city.app.receiver_failed(fresh[0], &[]).unwrap();
        next.iter().filter(|sent| sent.event.id != fresh[0].event.id).for_each(|sent| city.app.message_taken(sent).unwrap());
        city.clock.advance(4 * SECOND);
        assert_eq!(due(&city.app).len(), 0);
        city.clock.advance(SECOND);
        assert_eq!(due(&city.app).len(), 6);
    });
}

#[test]
fn whoever_returns_after_a_withdrawal_is_not_joined_by_the_end_of_her_session() {
    on_both("return", |dir, url| {
        let city = city(dir, url);
        let (reader, old) = city.cardholder();
        let session = signed_in(&city.app, reader);
        let withdrawn = city.app.withdraw(reader, &mandate()).unwrap();
        let told = take_all(&city.app);
        for service in [service(), archive()] {
            let kinds = signals(&told, &service);
            assert!(matches!(&kinds[..], [_, _]), "{kinds:?}");
            assert!(kinds.iter().any(|kind| matches!(kind, Happening::GrantWithdrawn { mandate: ended } if *ended == mandate())));
            assert!(
                kinds
                    .iter()
                    .any(|kind| matches!(kind, Happening::DeletionDue { mandate: Some(ended), .. } if *ended == mandate()))
            );
        }
        // The notice that a signal names is the one that the service fetches.
        let named = |service: &ServiceId| {
            signals(&told, service).into_iter().find_map(|kind| match kind {
                Happening::DeletionDue { deletion, due_at, .. } => Some((deletion, due_at)),
                _ => None,
            })
        };
        let notice = city.app.deletion_notices(&service()).unwrap().remove(0);
        assert_eq!(named(&service()), Some((notice.id.clone(), notice.due_at)));
        // Nothing in its name, as a time would be, is in the name that the other service gets, nor in the public one.
        let other = named(&archive()).unwrap().0;
        let names = [notice.id.as_str(), other.as_str(), withdrawn.certificate.as_str()].map(windows);
        for (one, another) in [(0, 1), (0, 2), (1, 2)] {
            let shared: Vec<_> = names[one].intersection(&names[another]).filter(|part| !part.contains('_')).collect();
            assert!(shared.is_empty(), "{shared:?}");
        }
        let subjects: BTreeSet<_> =
            told.iter().filter(|sent| sent.event.service == service()).map(|sent| sent.event.told.subject.clone()).collect();
        assert_eq!(subjects, BTreeSet::from([Some(old.clone())]), "under the pseudonym that she left behind");
        city.app.consent(reader, &service(), &mandate(), &[]).unwrap();
        city.app.authorize(&session, &request(&service())).unwrap();
        let new = city.app.subject(reader, &service()).unwrap();
        assert_ne!(old, new);
        city.app.close_session(&session).unwrap();
        let ends = take_all(&city.app);
        let ends: BTreeSet<(String, String)> = ends
            .iter()
            .filter(|sent| sent.event.service == service() && sent.channel == Channel::Logout)
            .map(|sent| (sent.event.told.subject.clone().unwrap(), sid(sent).to_owned()))
            .collect();
        assert_eq!(ends.len(), 2);
        let sids: BTreeSet<&String> = ends.iter().map(|(_, sid)| sid).collect();
        let names: BTreeSet<&String> = ends.iter().map(|(subject, _)| subject).collect();
        assert_eq!((sids.len(), names), (2, BTreeSet::from([&old, &new])), "each session name goes with one pseudonym");
    });
}

#[test]
fn a_neighbour_in_the_domain_hears_that_its_tokens_are_dead_and_of_no_mandate() {
    on_both("neighbour", |dir, url| {
        const NEIGHBOUR: &str = "svc_reading-room";
        const STRANGER: &str = "svc_depot";
        let city = city(dir, url);
        city.publish_mandate("mdt_reading", common::library_card());
        for id in [NEIGHBOUR, STRANGER] {
            city.open_service_with(id, LIBRARY, "library", |body| {
                body["mandates"] = json!(["mdt_reading"]);
                body["signals_uri"] = json!("https://reading.example.org/signals");
            });
            city.app.create_stream(&id.parse().unwrap(), pushed("https://reading.example.org/signals")).unwrap();
        }
        let neighbour: ServiceId = NEIGHBOUR.parse().unwrap();
        let (reader, old) = city.cardholder();
        let session = signed_in(&city.app, reader);
        city.app.consent(reader, &neighbour, &"mdt_reading".parse().unwrap(), &[]).unwrap();
        let there = AuthorizeRequest {
            scope: vec!["openid".to_owned(), "mdt_reading".to_owned()],
            agreed: vec!["mdt_reading".parse().unwrap()],
            ..request(&neighbour)
        };
        city.app.authorize(&session, &there).unwrap();
        take_all(&city.app);
        city.app.withdraw(reader, &mandate()).unwrap();
        let told = take_all(&city.app);
        assert!(matches!(signals(&told, &neighbour)[..], [Happening::AllSessionsEnded { by: usufruct_app::Initiator::User }]));
        let theirs = told.iter().find(|sent| sent.event.service == neighbour).unwrap();
        assert_eq!(theirs.event.told.subject.as_ref(), Some(&old), "under the pseudonym that is dead");
        assert_ne!(city.app.subject(reader, &neighbour).unwrap(), old);
        // Who holds nothing of hers hears nothing, and whoever works under the mandate no more than before.
        assert!(signals(&told, &STRANGER.parse().unwrap()).is_empty());
        for service in [service(), archive()] {
            assert!(!signals(&told, &service).iter().any(|kind| matches!(kind, Happening::AllSessionsEnded { .. })));
        }
        // It reads what it reads when she signs out everywhere.
        city.app.authorize(&session, &there).unwrap();
        city.app.sign_out_everywhere(reader).unwrap();
        let again = take_all(&city.app);
        assert!(matches!(signals(&again, &neighbour)[..], [Happening::AllSessionsEnded { by: usufruct_app::Initiator::User }]));
    });
}

#[test]
fn everything_that_happens_is_told_to_those_who_know_her() {
    on_both("all", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        let stranger = city.enrol(1)[0];
        city.app.consent(stranger, &service(), &mandate(), &[]).unwrap();
        let app = &city.app;
        let kinds = |all: &[Outgoing]| signals(all, &archive());
        let logouts = |all: &[Outgoing]| all.iter().filter(|sent| sent.channel == Channel::Logout).count();
        signed_in(app, reader);
        // Of somebody whom no service has met nothing is told.
        app.set_active(stranger, ResidentState::Deactivated).unwrap();
        app.sign_out_everywhere(stranger).unwrap();
        assert!(take_all(app).is_empty());

        let passkey = |credential: u8| Passkey {
            credential: vec![credential],
            resident: reader,
            passkey: "{}".into(),
            label: "phone".into(),
            added_at: app.now(),
            used_at: None,
        };
        let add = |credential: u8| {
            let session = app.session(&app.open_session(reader, "phone").unwrap()).unwrap().unwrap();
            app.add_passkey(&session, &passkey(credential)).unwrap();
            app.close_session(&session).unwrap();
        };
        add(1);
        let told = kinds(&take_all(app));
        assert!(told.iter().any(|kind| matches!(kind, Happening::CredentialChanged { .. })), "{told:?}");
        assert!(told.iter().any(|kind| matches!(kind, Happening::AssuranceChanged { .. })), "{told:?}");
        add(2);
        assert!(matches!(&kinds(&take_all(app))[..], [Happening::CredentialChanged { .. }]));

        // "This was not me": the same, and nobody is signed in here either.
        let before = app.session_count(reader).unwrap();
        assert!(before > 0);
        app.freeze(reader).unwrap();
        let told = take_all(app);
        assert!(matches!(&kinds(&told)[..], [Happening::AccountFrozen]), "{:?}", kinds(&told));
        assert_eq!((logouts(&told), app.session_count(reader).unwrap()), (2, 0));
        let session = app.session(&app.open_session(reader, "phone").unwrap()).unwrap().unwrap();
        app.lift_freeze(&session).unwrap();
        assert!(matches!(&kinds(&take_all(app))[..], [Happening::AccountUnfrozen]));
        app.close_session(&session).unwrap();
        signed_in(app, reader);
        take_all(app);

        app.set_active(reader, ResidentState::Deactivated).unwrap();
        let told = take_all(app);
        assert!(matches!(&kinds(&told)[..], [Happening::AccountFrozen]));
        assert_eq!((logouts(&told), app.session_count(reader).unwrap()), (2, 1), "she can still take it back");
        app.set_active(reader, ResidentState::Deactivated).unwrap();
        assert!(take_all(app).is_empty(), "nothing has changed");
        app.set_active(reader, ResidentState::Active).unwrap();
        assert!(matches!(&kinds(&take_all(app))[..], [Happening::AccountUnfrozen]));

        signed_in(app, reader);
        app.sign_out_everywhere(reader).unwrap();
        let told = take_all(app);
        assert!(matches!(&kinds(&told)[..], [Happening::AllSessionsEnded { .. }]));
        assert_eq!(logouts(&told), 2);

        let token = app.open_session(reader, "test").unwrap();
        let session = app.session(&token).unwrap().unwrap();
        app.authorize(&session, &request(&archive())).unwrap();
        city.clock.advance(31 * MINUTE);
        assert!(app.session(&token).unwrap().is_none());
        app.sweep().unwrap();
        let told = take_all(app);
        assert!(matches!(&kinds(&told)[..], [Happening::SessionEnded { by: usufruct_app::Initiator::Policy, .. }]));
        assert_eq!((logouts(&told), app.session_count(reader).unwrap()), (1, 0));

        signed_in(app, reader);
        app.delete_resident(reader).unwrap();
        let told = take_all(app);
        let all = kinds(&told);
        assert!(matches!(&all[..], [_, _]), "{all:?}");
        assert!(all.iter().any(|kind| matches!(kind, Happening::AllSessionsEnded { .. })));
        assert!(all.iter().any(|kind| matches!(kind, Happening::DeletionDue { mandate: None, .. })));
        assert!(told.iter().all(|sent| sent.event.told.subject.is_some()), "it can be named although its seed is gone");

        app.end_mandate(&mandate(), &city.signer(LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let told = take_all(app);
        let all = kinds(&told);
        assert!(all.iter().any(|kind| matches!(kind, Happening::MandateEnded { cause, .. } if cause == "revocation")), "{all:?}");
        assert!(all.iter().any(|kind| matches!(kind, Happening::DeletionDue { mandate: Some(_), .. })));
        assert!(told.iter().all(|sent| sent.event.told.subject.is_none()));
    });
}

#[test]
fn a_stream_holds_drops_and_chooses() {
    on_both("stream", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        let app = &city.app;
        signed_in(app, reader);
        let (id, other) = (app.stream(&service()).unwrap().unwrap().id, app.stream(&archive()).unwrap().unwrap().id);
        assert!(matches!(
            app.create_stream(&service(), pushed("https://library.example.org/signals")),
            Err(Error::Refused { .. })
        ));
        let foreign = app.change_stream(&service(), &id, pushed("https://evil.example.org/signals"));
        assert!(matches!(foreign, Err(Error::ForeignAddress)));
        // The stream of another service cannot be told from none.
        assert!(matches!(app.set_stream_status(&service(), &other, Status::Paused, None), Err(Error::Unknown { .. })));
        assert!(matches!(app.delete_stream(&service(), &other), Err(Error::Unknown { .. })));
        assert!(matches!(app.verify_stream(&service(), &other, None), Err(Error::Unknown { .. })));

        app.delete_stream(&archive(), &other).unwrap();
        app.set_stream_status(&service(), &id, Status::Paused, Some("Moving.".into())).unwrap();
        app.verify_stream(&service(), &id, Some("s".into())).unwrap();
        assert!(matches!(app.verify_stream(&service(), &id, None), Err(Error::TooSoon { .. })));
        app.set_active(reader, ResidentState::Deactivated).unwrap();
        assert!(signals(&take_all(app), &service()).is_empty(), "held");
        app.set_stream_status(&service(), &id, Status::Enabled, None).unwrap();
        assert_eq!(signals(&take_all(app), &service()).len(), 2);

        app.set_active(reader, ResidentState::Active).unwrap();
        app.set_stream_status(&service(), &id, Status::Disabled, None).unwrap();
        app.set_active(reader, ResidentState::Deactivated).unwrap();
        app.set_stream_status(&service(), &id, Status::Enabled, None).unwrap();
        assert!(take_all(app).is_empty(), "dropped");

        let only = StreamRequest {
            events: Some(vec!["urn:usufruct:event:account-unfrozen".into(), "urn:unheard-of".into()]),
            ..pushed("https://library.example.org/signals")
        };
        app.change_stream(&service(), &id, only).unwrap();
        app.set_active(reader, ResidentState::Active).unwrap();
        app.set_active(reader, ResidentState::Deactivated).unwrap();
        assert!(matches!(&signals(&take_all(app), &service())[..], [Happening::AccountUnfrozen]));

        // What waits is fetched once the service polls, and what it has does not come again.
        app.set_active(reader, ResidentState::Active).unwrap();
        let poll = StreamRequest { endpoint: None, authorization_header: None, events: None, description: None };
        app.change_stream(&service(), &id, poll).unwrap();
        assert!(due(app).is_empty(), "nothing is pushed to a service that polls");
        let waiting = app.waiting_events(&service(), &id, 10).unwrap();
        assert_eq!((waiting.events.len(), waiting.has_more), (1, false));
        assert!(app.waiting_events(&service(), &id, 0).unwrap().has_more);
        let first = waiting.events[0].id.clone();
        app.create_stream(&archive(), pushed("https://archive.example.org/signals")).unwrap();
        let theirs = app.stream(&archive()).unwrap().unwrap().id;
        app.acknowledge_events(&archive(), &theirs, vec![first.clone()]).unwrap();
        assert_eq!(app.waiting_events(&service(), &id, 10).unwrap().events.len(), 1, "nobody acknowledges for another service");
        app.acknowledge_events(&service(), &id, vec![first, "evt_unknown".into()]).unwrap();
        assert!(app.waiting_events(&service(), &id, 10).unwrap().events.is_empty());
    });
}

#[test]
fn what_is_not_answered_in_time_is_listed() {
    on_both("overdue", |dir, url| {
        let city = city(dir, url);
        let (reader, _) = city.cardholder();
        signed_in(&city.app, reader);
        city.app.withdraw(reader, &mandate()).unwrap();
        city.clock.advance(30 * DAY);
        assert!(city.app.overdue_deletions().unwrap().is_empty());
        city.clock.advance(1);
        let overdue = city.app.overdue_deletions().unwrap();
        assert_eq!(
            overdue.iter().map(|notice| notice.service.clone()).collect::<BTreeSet<_>>(),
            BTreeSet::from([service(), archive()])
        );
        assert_eq!(city.app.deletion_counts().unwrap().overdue, 2);
        let id = overdue.iter().find(|notice| notice.service == service()).unwrap().id.clone();
        city.app.answer_deletion(&service(), &id, usufruct_core::certificate::Answer::Deleted).unwrap();
        assert_eq!(city.app.overdue_deletions().unwrap().len(), 1);
    });
}
