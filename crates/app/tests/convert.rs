//! Pseudonyms of one service for those of another, on both databases: only under a mandate that says so, logged first, and never
//! anything to be found of it elsewhere. And the end of a sector, with one keeper and with two.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::common::{CARD, City, LIBRARY, SERVICE, SeededRng, block, library_card, mandate, on_postgres, service, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::core::lifecycle::State;
use usufruct_app::vault::roots::Disk;
use usufruct_app::vault::second_hand::{SecondHand, SectorKeys};
use usufruct_app::vault::{Error as VaultError, Result as VaultResult};
use usufruct_app::{
    AuthorizeRequest, BatchRequest, ConversionAnswer, ConversionBatch, Error, GrantManagement, Happening, StreamRequest,
};
use usufruct_core::certificate::Cause;
use usufruct_core::decide::Clause;
use usufruct_core::event::{Form, Kind};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::time::{DAY, HOUR};
use usufruct_store::{erasures, leaves};

const GARDEN: &str = "svc_garden";
/// The mandate under which the library may learn the pseudonyms of the garden.
const JOINED: &str = "mdt_short";

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn garden() -> ServiceId {
    GARDEN.parse().unwrap()
}

fn joined() -> MandateId {
    JOINED.parse().unwrap()
}

/// A city whose library may convert its readers' pseudonyms into those of a garden.
fn city(dir: &Path, url: Option<&str>, change: impl FnOnce(&mut Value)) -> City {
    let city = City::found(dir, url);
    city.open_service(GARDEN, LIBRARY, "garden");
    join(&city, change);
    city
}

fn join(city: &City, change: impl FnOnce(&mut Value)) {
    let mut body = library_card();
    body["title"] = text("Readers in the garden");
    body["conversions"] = json!([{"from": SERVICE, "to": GARDEN, "why": text("Readers enter without a ticket.")}]);
    change(&mut body);
    city.publish_mandate(JOINED, body);
}

/// A resident who agreed to be known in the garden, and her pseudonym at the library.
fn reader(city: &City) -> (u64, String) {
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &joined(), &[]).unwrap();
    (resident, city.app.subject(resident, &service()).unwrap())
}

fn batch(subjects: &[String]) -> ConversionBatch {
    ConversionBatch {
        service: service(),
        to: garden(),
        mandate: joined(),
        subjects: subjects.to_vec(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    }
}

/// What came out for each subject: the pseudonym, or the problem in words.
fn outcomes(answer: ConversionAnswer) -> Vec<Result<String, String>> {
    let outcome = |line: usufruct_app::ConversionLine| match line.outcome {
        Ok(converted) => Ok(converted.subject),
        Err(Error::Unpermitted(clauses)) => Err(clauses[0].code().to_owned()),
        Err(other) => Err(other.to_string()),
    };
    answer.lines.into_iter().map(outcome).collect()
}

fn one(city: &City, subject: &str) -> Result<String, String> {
    outcomes(city.app.convert(&batch(&[subject.to_owned()])).unwrap()).remove(0)
}

/// The clauses by which a whole request is refused, and that nothing was logged of it but so many lines about whom it names.
#[track_caller]
fn refused(city: &City, request: &ConversionBatch, lines: u64) -> Vec<Clause> {
    let size = || city.app.db().read(|conn| usufruct_store::log_head::size(conn)).unwrap();
    let before = size();
    match city.app.convert(request) {
        Err(Error::Unpermitted(clauses)) => {
            assert_eq!(size(), before + lines, "who is known sees that it was tried");
            clauses
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was permitted"),
    }
}

const UNKNOWN: &str = "There is no such subject at this service. Check the name and try again.";

#[test]
fn a_batch_is_converted_in_its_order_and_every_footprint_says_so() {
    on_both("converted", |dir, url| {
        let city = city(dir, url, |_| {});
        let readers: Vec<(u64, String)> = (0..5).map(|_| reader(&city)).collect();
        let stranger = city.enrol(1)[0];
        let outsider = city.app.subject(stranger, &service()).unwrap();
        let mut subjects: Vec<String> = readers.iter().rev().map(|(_, subject)| subject.clone()).collect();
        subjects.insert(2, outsider);
        subjects.push("AAAAAAAAAAAAAAAAAAAAAA".into());
        subjects.push("not a pseudonym".into());
        let answer = city.app.convert(&batch(&subjects)).unwrap();
        assert!(answer.lines.iter().map(|line| &line.subject).eq(&subjects));
        let receipts: Vec<_> = answer.lines.iter().filter_map(|line| line.outcome.as_ref().ok()).collect();
        assert!(receipts.iter().all(|converted| converted.receipt.contains("city.test/log")));
        let indices: Vec<u64> = receipts.iter().rev().map(|converted| converted.index).collect();
        let mut expected: Vec<Result<String, String>> =
            readers.iter().rev().map(|(resident, _)| Ok(city.app.subject(*resident, &garden()).unwrap())).collect();
        expected.insert(2, Err("grant".into()));
        expected.extend([Err(UNKNOWN.into()), Err(UNKNOWN.into())]);
        assert_eq!(outcomes(answer), expected);

        let last = |resident| city.app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap();
        for ((resident, _), index) in readers.iter().zip(indices) {
            assert_eq!(city.app.footprint(*resident).unwrap().lines.last().unwrap().index, index);
            let event = last(*resident);
            assert_eq!((event.kind, &event.service), (Kind::Conversion, &Some(service())));
            assert_eq!((event.detail.as_deref(), event.reason.as_str()), (Some(GARDEN), "lending"));
            assert_eq!(event.batch.unwrap().size, 8);
            assert!(event.until.is_some() && event.blocks.is_empty());
        }
        let event = last(stranger);
        assert_eq!((event.kind, event.clause.as_deref(), event.detail.as_deref()), (Kind::Refusal, Some("grant"), Some(GARDEN)));
    });
}

#[test]
fn outside_a_mandate_that_names_it_nothing_is_converted() {
    on_both("outside", |dir, url| {
        let city = city(dir, url, |_| {});
        let (resident, subject) = reader(&city);
        city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
        let good = batch(std::slice::from_ref(&subject));
        // The library card knows no conversions.
        assert_eq!(refused(&city, &ConversionBatch { mandate: mandate(), ..good.clone() }, 1), [Clause::Conversion]);
        assert_eq!(
            refused(&city, &ConversionBatch { mandate: "mdt_nothing".parse().unwrap(), ..good.clone() }, 0),
            [Clause::Mandate]
        );
        // The other way round, and to itself.
        let back = ConversionBatch { service: garden(), to: service(), ..good.clone() };
        assert_eq!(refused(&city, &back, 0), [Clause::Conversion]);
        assert_eq!(refused(&city, &ConversionBatch { to: service(), ..good.clone() }, 1), [Clause::Conversion]);
        assert_eq!(refused(&city, &ConversionBatch { to: "svc_nowhere".parse().unwrap(), ..good.clone() }, 1), [Clause::Service]);
        assert_eq!(refused(&city, &ConversionBatch { reason: "curiosity".into(), ..good.clone() }, 1), [Clause::Reason]);
        assert_eq!(refused(&city, &ConversionBatch { subjects: vec![], ..good.clone() }, 0), [Clause::BulkLimit]);
        let crowd = (0..10_001).map(|n| format!("{n:022}")).collect();
        assert_eq!(refused(&city, &ConversionBatch { subjects: crowd, ..good.clone() }, 0), [Clause::BulkLimit]);
        let twice = ConversionBatch { subjects: vec![subject.clone(), subject.clone()], ..good };
        assert!(matches!(city.app.convert(&twice), Err(Error::Refused { .. })));
        // A pseudonym of the garden is nobody's at the library.
        assert_eq!(one(&city, &city.app.subject(resident, &garden()).unwrap()), Err(UNKNOWN.into()));
        assert!(one(&city, &subject).is_ok());
    });
}

#[test]
fn the_grants_of_residents_hold_for_conversions_too() {
    on_both("granted", |dir, url| {
        let city = city(dir, url, |_| {});
        let (resident, subject) = reader(&city);
        let before = one(&city, &subject).unwrap();
        // She withdraws: the old pseudonym leads nowhere, the new one has no grant, and the garden knows another one too.
        city.app.withdraw(resident, &joined()).unwrap();
        assert_eq!(one(&city, &subject), Err(UNKNOWN.into()));
        let fresh = city.app.subject(resident, &service()).unwrap();
        assert_eq!(one(&city, &fresh), Err("grant".into()));
        city.app.consent_at_counter(resident, &service(), &joined(), &[]).unwrap();
        let after = one(&city, &fresh).unwrap();
        assert!(after != before && after == city.app.subject(resident, &garden()).unwrap());
        // Erased: as unknown as what never was.
        city.app.delete_resident(resident).unwrap();
        assert_eq!(one(&city, &fresh), Err(UNKNOWN.into()));
    });
}

#[test]
fn where_the_law_asks_for_it_she_is_told_first() {
    on_both("notified", |dir, url| {
        let city = city(dir, url, |body| body["legal_basis"]["code"] = json!("public_task"));
        let resident = city.enrol(1)[0];
        let subject = city.app.subject(resident, &service()).unwrap();
        assert_eq!(one(&city, &subject).unwrap(), city.app.subject(resident, &garden()).unwrap());
        let kinds: Vec<Kind> =
            city.app.footprint(resident).unwrap().lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
        assert_eq!(kinds, [Kind::Consent, Kind::Conversion]);
    });
}

#[test]
fn after_its_last_day_a_mandate_converts_nothing() {
    on_both("sunset", |dir, url| {
        let city = city(dir, url, |body| {
            body["sunset_at"] = json!("2026-02-01T00:00:00Z");
            body["rate_cap"] = json!({"uses": 2, "per": "P1D"});
        });
        let (_, subject) = reader(&city);
        assert!(one(&city, &subject).is_ok() && one(&city, &subject).is_ok());
        assert_eq!(one(&city, &subject), Err("rate-cap".into()), "conversions count");
        city.clock.advance(31 * DAY);
        let request = batch(std::slice::from_ref(&subject));
        assert_eq!(refused(&city, &request, 1), [Clause::Sunset]);
        city.app.run_sunsets().unwrap();
        assert!(refused(&city, &request, 1).contains(&Clause::Mandate));
    });
}

#[test]
fn with_the_last_service_of_a_sector_its_key_goes() {
    on_both("dissolved", |dir, url| {
        let city = city(dir, url, |_| {});
        let (resident, subject) = reader(&city);
        let known = one(&city, &subject).unwrap();
        city.open_service("svc_greenhouse", LIBRARY, "garden");
        city.step_service(GARDEN, LIBRARY, State::Closed);
        assert!(city.app.run_sunsets().unwrap().dissolved.is_empty(), "the greenhouse still knows people");
        assert_eq!(refused(&city, &batch(std::slice::from_ref(&subject)), 1), [Clause::Service]);
        city.step_service("svc_greenhouse", LIBRARY, State::Closed);
        assert_eq!(city.app.run_sunsets().unwrap().dissolved, ["garden"]);
        assert!(city.app.run_sunsets().unwrap().dissolved.is_empty(), "once");
        city.app.tick().unwrap();
        let register = city.app.register();
        let certificates: Vec<_> =
            register.certificates.values().filter(|entry| entry.body.cause == Cause::Sector).map(|entry| &entry.body).collect();
        assert_eq!(certificates.len(), 1);
        assert_eq!((certificates[0].sector.as_deref(), certificates[0].recipients_told), (Some("garden"), 0));
        // What the garden still holds leads to nobody; the library goes on.
        let mut request = city.request(&known);
        (request.service, request.mandate) = (garden(), joined());
        assert!(matches!(city.app.release(&request), Err(Error::Unknown { .. })));
        assert!(city.app.subject(resident, &garden()).is_err());
        assert_eq!(city.app.subject(resident, &service()).unwrap(), subject);
        // After a restart too, and no key is made for it again.
        drop(city);
        let city = City::open(dir, url, "2026-01-02T00:00:00Z", 2);
        assert!(matches!(city.app.release(&request), Err(Error::Unknown { .. })));
        assert!(city.app.run_sunsets().unwrap().dissolved.is_empty());
        assert_eq!(city.app.register().certificates.values().filter(|entry| entry.body.cause == Cause::Sector).count(), 1);
    });
}

/// What the program writes to its own log, everything included.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_pseudonym_is_found_in_any_log_or_row() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // Under a runner that gives each test a process it is the only one.
    let is_mine = tracing::subscriber::set_global_default(subscriber).is_ok();
    on_both("leaks", |dir, url| {
        let city = city(dir, url, |_| {});
        let (resident, subject) = reader(&city);
        let converted = one(&city, &subject).unwrap();
        assert_eq!(one(&city, "AAAAAAAAAAAAAAAAAAAAAA"), Err(UNKNOWN.into()));
        city.app.withdraw(resident, &joined()).unwrap();
        assert_eq!(one(&city, &subject), Err(UNKNOWN.into()));
        tracing::info!("the end of the test");
        let mut places: Vec<(String, Vec<u8>)> = vec![("the program's log".into(), written.0.lock().unwrap().clone())];
        let size = city.app.db().read(|conn| usufruct_store::log_head::size(conn)).unwrap();
        let public = city.app.db().read(|conn| leaves::range(conn, 0, usize::try_from(size).unwrap())).unwrap();
        places.extend(public.into_iter().map(|(_, leaf)| ("a leaf".to_owned(), leaf)));
        let lines = city.app.footprint(resident).unwrap().lines;
        places.extend(lines.into_iter().map(|line| ("a footprint".to_owned(), line.encoded)));
        // Files of the embedded database, of the key tree and of the log; nothing else may lie there.
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => places.push((path.display().to_string(), std::fs::read(&path).unwrap())),
                }
            }
        }
        assert!(places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 10_000);
        for pseudonym in [&subject, &converted] {
            let raw = URL_SAFE_NO_PAD.decode(pseudonym).unwrap();
            for (place, bytes) in &places {
                let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!has(pseudonym.as_bytes()) && !has(&raw), "a pseudonym stands in {place}");
            }
        }
        assert!(!is_mine || places[0].1.windows(19).any(|window| window == b"the end of the test"));
    });
}

/// A second keeper that may be away.
struct Away(SectorKeys, AtomicBool, AtomicUsize);

impl Away {
    fn answer<T>(&self, work: impl FnOnce(&SectorKeys) -> VaultResult<T>) -> VaultResult<T> {
        self.2.fetch_add(1, Ordering::SeqCst);
        match self.1.load(Ordering::SeqCst) {
            true => Err(VaultError::Keeper { name: "parks".into(), why: "it does not answer".into() }),
            false => work(&self.0),
        }
    }
}

impl SecondHand for Away {
    fn create(&self, sector: u64) -> VaultResult<()> {
        self.answer(|keys| keys.create(sector))
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> VaultResult<()> {
        self.answer(|keys| keys.permute(sector, blocks))
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> VaultResult<()> {
        self.answer(|keys| keys.reverse(sector, blocks))
    }

    fn destroy(&self, sector: u64) -> VaultResult<()> {
        self.answer(|keys| keys.destroy(sector))
    }
}

fn two_keepers(dir: &Path, url: Option<&str>, hand: &Arc<Away>) -> City {
    let shared = Some(Arc::clone(hand) as Arc<dyn SecondHand>);
    City::found_in(City::try_open_with(dir, url, "2026-01-01T00:00:00Z", 1, None, shared).unwrap())
}

fn away(dir: &Path) -> Arc<Away> {
    Arc::new(Away(SectorKeys::open(dir, Disk::Any, SeededRng::new(9)).unwrap(), AtomicBool::new(false), AtomicUsize::new(0)))
}

fn open_shared_garden(city: &City) {
    city.open_service_with(GARDEN, LIBRARY, "garden", |body| body["pseudonym_mode"] = json!("two_keeper"));
}

#[test]
fn two_keepers_convert_together_and_nothing_waits_that_need_not() {
    on_both("two_keepers", |dir, url| {
        let keeper = tempfile::tempdir().unwrap();
        let hand = away(keeper.path());
        let city = two_keepers(dir, url, &hand);
        // The keeper is away when the service begins: nobody is known there until it is back.
        hand.1.store(true, Ordering::SeqCst);
        open_shared_garden(&city);
        let resident = city.enrol(1)[0];
        assert!(city.app.subject(resident, &garden()).is_err());
        city.app.tick().unwrap();
        hand.1.store(false, Ordering::SeqCst);
        city.app.tick().unwrap();
        let known = city.app.subject(resident, &garden()).unwrap();

        join(&city, |_| {});
        city.app.consent_at_counter(resident, &service(), &joined(), &[]).unwrap();
        let subject = city.app.subject(resident, &service()).unwrap();
        assert_eq!(one(&city, &subject).unwrap(), known);
        hand.1.store(true, Ordering::SeqCst);
        let size = || city.app.db().read(|conn| usufruct_store::log_head::size(conn)).unwrap();
        let before = size();
        assert!(matches!(city.app.convert(&batch(std::slice::from_ref(&subject))), Err(Error::Vault(VaultError::Keeper { .. }))));
        assert_eq!(size(), before, "she is not told of a conversion that did not happen");
        // She withdraws without it, and the garden is told once it is back.
        city.app.withdraw(resident, &joined()).unwrap();
        assert!(city.app.deletion_notices(&garden()).is_err());
        hand.1.store(false, Ordering::SeqCst);
        let notices = city.app.deletion_notices(&garden()).unwrap();
        assert_eq!(notices.iter().map(|notice| notice.subject.as_deref()).collect::<Vec<_>>(), [Some(known.as_str())]);
        assert_ne!(city.app.subject(resident, &garden()).unwrap(), known);
    });
}

#[test]
fn what_happens_while_the_second_keeper_is_away_is_told_when_it_is_back() {
    on_both("told_later", |dir, url| {
        let keeper = tempfile::tempdir().unwrap();
        let hand = away(keeper.path());
        let city = two_keepers(dir, url, &hand);
        let address = "https://garden.example.org/signals";
        city.open_service_with(GARDEN, LIBRARY, "garden", |body| {
            body["pseudonym_mode"] = json!("two_keeper");
            body["signals_uri"] = json!(address);
        });
        let polled = StreamRequest { endpoint: None, authorization_header: None, events: None, description: None };
        let stream = city.app.create_stream(&garden(), polled.clone()).unwrap();
        let residents = city.enrol(2);
        let known: Vec<String> = residents
            .iter()
            .map(|resident| {
                city.app.consent_at_counter(*resident, &garden(), &mandate(), &[]).unwrap();
                let session = city.app.session(&city.app.open_session(*resident, "test").unwrap()).unwrap().unwrap();
                let request = AuthorizeRequest {
                    service: garden(),
                    redirect_uri: "http://localhost:8081/callback".into(),
                    scope: vec!["openid".into(), CARD.into()],
                    details: Vec::new(),
                    state: None,
                    nonce: None,
                    challenge: None,
                    by_form: false,
                    jkt: None,
                    management: GrantManagement::Any,
                    pushed: None,
                    agreed: vec![CARD.parse().unwrap()],
                };
                city.app.authorize(&session, &request).unwrap();
                city.app.subject(*resident, &garden()).unwrap()
            })
            .collect();
        hand.1.store(true, Ordering::SeqCst);
        city.app.freeze(residents[0]).unwrap();
        city.app.withdraw(residents[1], &mandate()).unwrap();
        let waiting = city.app.waiting_events(&garden(), &stream.id, 1).unwrap();
        assert!(waiting.events.is_empty() && !waiting.has_more, "nobody can say yet whom they are about");
        let pushed = StreamRequest { endpoint: Some(address.to_owned()), ..polled };
        city.app.change_stream(&garden(), &stream.id, pushed).unwrap();
        assert!(city.app.due_messages(10).unwrap().is_empty());
        city.clock.advance(HOUR);
        assert!(city.app.due_messages(10).unwrap().is_empty());
        // Under the pseudonym of then, not the one that the withdrawal gave her since.
        hand.1.store(false, Ordering::SeqCst);
        assert_ne!(city.app.subject(residents[1], &garden()).unwrap(), known[1]);
        city.clock.advance(HOUR);
        let mut told: Vec<(&str, Option<String>)> = city
            .app
            .due_messages(10)
            .unwrap()
            .into_iter()
            .map(|sent| {
                let what = match sent.event.told.happening {
                    Happening::AccountFrozen => "frozen",
                    Happening::GrantWithdrawn { .. } => "withdrawn",
                    Happening::DeletionDue { .. } => "deletion",
                    other => panic!("{other:?}"),
                };
                (what, sent.event.told.subject)
            })
            .collect();
        told.sort();
        let of = |what, i: usize| (what, Some(known[i].clone()));
        assert_eq!(told, [of("deletion", 1), of("frozen", 0), of("withdrawn", 1)]);
    });
}

#[test]
fn a_batch_is_one_question_to_the_second_keeper_and_all_of_it_waits() {
    on_both("shared_batch", |dir, url| {
        let keeper = tempfile::tempdir().unwrap();
        let hand = away(keeper.path());
        let city = two_keepers(dir, url, &hand);
        open_shared_garden(&city);
        let residents = city.enrol(5);
        for resident in &residents {
            city.app.consent_at_counter(*resident, &garden(), &mandate(), &[]).unwrap();
        }
        let mut subjects: Vec<String> =
            residents.iter().map(|resident| city.app.subject(*resident, &garden()).unwrap()).collect();
        subjects.insert(2, "A".repeat(22));
        subjects.push("nobody".to_owned());
        let blocks = vec![(block("name"), Form::Value)];
        let batch = BatchRequest {
            service: garden(),
            mandate: mandate(),
            subjects,
            blocks,
            reason: "lending".into(),
            actor: None,
            third_party: false,
        };
        let size = || city.app.db().read(|conn| usufruct_store::log_head::size(conn)).unwrap();
        let before = size();
        hand.1.store(true, Ordering::SeqCst);
        assert!(matches!(city.app.release_batch(&batch), Err(Error::Vault(VaultError::Keeper { .. }))));
        assert_eq!(size(), before);
        hand.1.store(false, Ordering::SeqCst);
        hand.2.store(0, Ordering::SeqCst);
        let answer = city.app.release_batch(&batch).unwrap();
        assert_eq!(hand.2.load(Ordering::SeqCst), 1);
        let released: Vec<bool> = answer.lines.iter().map(|line| line.outcome.is_ok()).collect();
        assert_eq!(released, [true, true, false, true, true, true, false]);
    });
}

#[test]
fn the_end_of_a_shared_sector_does_not_wait_for_the_second_key_and_does_not_forget_it() {
    on_both("shared_end", |dir, url| {
        let keeper = tempfile::tempdir().unwrap();
        let hand = away(keeper.path());
        let city = two_keepers(dir, url, &hand);
        open_shared_garden(&city);
        let sector = city.app.register().services[&garden()].number;
        assert!(hand.permute(sector, &mut [[0; 16]]).is_ok());
        hand.1.store(true, Ordering::SeqCst);
        city.step_service(GARDEN, LIBRARY, State::Closed);
        city.app.tick().unwrap();
        let certified = || city.app.register().certificates.values().filter(|entry| entry.body.cause == Cause::Sector).count();
        assert_eq!(certified(), 1, "without the house's key nobody gets anywhere");
        let epoch = city.app.vault_state().0.epoch;
        city.app.tick().unwrap();
        let erasure = city.app.db().read(|conn| erasures::of_sector(conn, sector)).unwrap().unwrap();
        let is_pending = || city.app.db().read(|conn| erasures::is_pending(conn, &erasure.certificate)).unwrap();
        assert!(is_pending() && city.app.vault_state().0.epoch == epoch);
        hand.1.store(false, Ordering::SeqCst);
        assert!(hand.permute(sector, &mut [[0; 16]]).is_ok());
        assert_eq!(city.app.run_sunsets().unwrap().dissolved, ["garden"]);
        assert!(!is_pending() && certified() == 1);
        assert!(hand.permute(sector, &mut [[0; 16]]).is_err(), "it is gone there too");
    });
}

#[test]
fn without_a_second_keeper_no_service_of_two_begins() {
    let dir = tempfile::tempdir().unwrap();
    let city = City::found(dir.path(), None);
    let mut body = json!({
        "agency": LIBRARY, "name": text("Garden"), "sector": "garden", "redirect_uris": ["http://localhost:8081/callback"],
        "channels": ["web"], "alternatives": [text("Ask.")], "mandates": [CARD], "help": text("Flowers."), "pseudonym_mode": "two_keeper",
    });
    let publish = |body: &Value| {
        let kind = usufruct_core::statement::StatementKind::Service;
        let mut statement = city.app.statement(kind, GARDEN, &LIBRARY.parse().unwrap(), body.clone(), city.app.now());
        city.signer(LIBRARY).into_iter().for_each(|signer| statement.approve(signer).unwrap());
        city.app.publish(&usufruct_app::Publication { statements: vec![statement] })
    };
    match publish(&body).unwrap_err() {
        Error::Unlawful(problems) => assert_eq!(problems[0].rule, "no-second-keeper"),
        other => panic!("another error: {other}"),
    }
    body["pseudonym_mode"] = json!("single");
    publish(&body).unwrap();
}
