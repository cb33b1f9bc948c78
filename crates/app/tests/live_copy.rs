//! A restored database takes what must never be old from the live copy alone: an old one is told by what the log and the key
//! tree say, and without any the safe side is taken.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{City, SeededRng, WATCH, block, library_card, mandate, on_postgres, service, vault_setup};
use serde_json::json;
use usufruct_app::core::Time;
use usufruct_app::core::event::LEAF_PREFIX;
use usufruct_app::log::{Folder, Objects, Source};
use usufruct_app::store::db::{Connection, Db, Options};
use usufruct_app::store::residents::{self, ResidentState};
use usufruct_app::store::{MIGRATIONS, erasures, keyrings, leaves, lines, tables};
use usufruct_app::{
    Comparison, Config, Doubt, Error, House, NewResident, RestoredDatabase, Settled, renew_keyrings, restore_log,
};

const LATER: &str = "2026-03-01T00:00:00Z";

fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn config(url: Option<&str>) -> Config {
    Config {
        origin: "city.test/log".into(),
        database: url.map(str::to_owned),
        operator: common::OPERATOR.parse().unwrap(),
        vault: vault_setup(url),
    }
}

fn open(dir: &Path, url: Option<&str>) -> Db {
    let own = format!("sqlite:{}", dir.join("usufruct.db").display());
    Db::open(url.unwrap_or(&own), &Options::default()).unwrap()
}

fn doubts_of(dir: &Path, url: Option<&str>, live: &Db, backup: u64) -> Vec<Doubt> {
    let house = House::open(dir).unwrap();
    let log = Files(dir.join("log"));
    let config = config(url);
    let comparison = Comparison { config: &config, house: &house, root: None, log: Some(&log), backup };
    comparison.doubts(live, SeededRng::new(9).as_ref()).unwrap()
}

/// The public files of a log, for reading.
struct Files(std::path::PathBuf);

impl Source for Files {
    fn fetch(&self, path: &str) -> usufruct_app::log::Result<Option<Vec<u8>>> {
        Ok(std::fs::read(self.0.join(path)).ok())
    }
}

fn execute(db: &Db, sql: &'static str) -> u64 {
    db.transaction("change", move |tx| tx.execute(sql, &[])).unwrap()
}

/// A database beside this one, on the same kind, empty.
fn beside(dir: &Path, url: Option<&str>, name: &str) -> String {
    match url {
        None => format!("sqlite:{}", dir.join(format!("{name}.db")).display()),
        Some(url) => {
            let (base, schema) = url.rsplit_once("%3D").unwrap();
            let make = format!("-- schema_make\nCREATE SCHEMA {schema}_{name}");
            open(dir, Some(url)).transaction("make schema", move |tx| tx.script(&make)).unwrap();
            format!("{base}%3D{schema}_{name}")
        }
    }
}

fn forget_beside(dir: &Path, url: Option<&str>, names: &[&str]) {
    for name in names {
        let Some((_, schema)) = url.and_then(|url| url.rsplit_once("%3D")) else { return };
        let drop = format!("-- schema_drop\nDROP SCHEMA {schema}_{name} CASCADE");
        open(dir, url).transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
    }
}

/// All rows as they are now, in another database.
fn copy(from: &Db, to: &str) -> Db {
    let to = Db::open(to, &Options::default()).unwrap();
    to.migrate(MIGRATIONS).unwrap();
    for table in tables::ALL {
        let mut after: Option<Vec<_>> = None;
        loop {
            let (rows, last) = from.read(|conn| table.rows(conn, after.as_deref(), 100)).unwrap();
            let Some(last) = last else { break };
            after = Some(last);
            to.transaction("copy", move |tx| table.insert(tx, &rows)).unwrap();
        }
    }
    to
}

/// The log brought to a restored database, and what is in doubt settled.
fn settle(dir: &Path, url: Option<&str>, restored: &str, db: &Db, has_live: bool) -> Settled {
    let house = House::open(dir).unwrap();
    let config = Config { database: Some(restored.to_owned()), ..config(url) };
    let rng = SeededRng::new(8);
    let objects: Arc<dyn Objects> = Arc::new(Folder::hold(house.log_dir()).unwrap());
    restore_log(&config, &house, &objects, &Files(dir.join("log")), None, rng.as_ref()).unwrap();
    drop(objects);
    let restored = RestoredDatabase { config: &config, house: &house, root: None, db, has_live };
    restored.settle(LATER.parse::<Time>().unwrap(), rng.as_ref()).unwrap()
}

#[test]
fn a_copy_that_is_not_the_live_one_is_told_by_what_it_lacks() {
    on_both("doubts", |dir, url| {
        let city = City::found(dir, url);
        let (withdrawer, _) = city.cardholder();
        let (reader, subject) = city.cardholder();
        let gone = city.enrol(1)[0];
        let old = city.app.db().read(|conn| keyrings::candidates(conn, withdrawer)).unwrap();
        city.app.withdraw(withdrawer, &mandate()).unwrap();
        let certificate = city.app.delete_resident(gone).unwrap();
        city.app.release(&city.request(&subject)).unwrap();
        city.app.publish_log().unwrap();
        let size = city.app.committed_size().unwrap();
        drop(city);
        let live = open(dir, url);
        let doubts = |backup| doubts_of(dir, url, &live, backup);
        assert_eq!(doubts(size), [], "the live one itself");
        assert_eq!(doubts(size + 1), [Doubt::OlderThanBackup { copy: size, backup: size + 1 }]);

        execute(&live, "-- change\nUPDATE log_head SET size = size - 2");
        assert_eq!(doubts(0), [Doubt::Behind { copy: size - 2, log: size }]);
        execute(&live, "-- change\nUPDATE log_head SET size = size + 2");

        // What an old copy lacks after somebody has brought the leaves of the log into it.
        let row = live.read(|conn| tables::ALL.iter().find(|table| table.name == "erasures").unwrap().rows(conn, None, 100));
        let rows = row.unwrap().0;
        let id = certificate.clone();
        live.transaction("forget erasure", move |tx| {
            tx.execute("-- change\nDELETE FROM erasures WHERE certificate_id = $1", &[id.as_str().into()])
        })
        .unwrap();
        assert!(!live.read(|conn| erasures::is_known(conn, &certificate)).unwrap());
        assert_eq!(doubts(0), [Doubt::LacksErasure { count: 1 }]);
        live.transaction("erasures again", move |tx| {
            let table = tables::ALL.iter().find(|table| table.name == "erasures").unwrap();
            table.clear(tx)?;
            table.insert(tx, &rows)
        })
        .unwrap();

        assert_eq!(execute(&live, "-- change\nUPDATE residents SET state = 'active' WHERE state = 'erased'"), 1);
        assert_eq!(doubts(0), [Doubt::KeyGone { count: 1 }]);
        live.transaction("erased", move |tx| residents::set_state(tx, gone, ResidentState::Erased)).unwrap();

        let new = live.read(|conn| keyrings::candidates(conn, withdrawer)).unwrap();
        live.transaction("old keyring", move |tx| keyrings::replace(tx, withdrawer, &old)).unwrap();
        assert_eq!(doubts(0), [Doubt::OldKeyring { count: 1 }]);
        live.transaction("new keyring", move |tx| keyrings::replace(tx, withdrawer, &new)).unwrap();

        let last = live.read(|conn| lines::last(conn, reader)).unwrap().unwrap().0;
        live.transaction("lose line", move |tx| {
            let sql = "-- change\nDELETE FROM lines WHERE resident = $1 AND n = $2";
            tx.execute(sql, &[reader.cast_signed().into(), last.cast_signed().into()])
        })
        .unwrap();
        assert_eq!(doubts(0), [Doubt::LacksLine { count: 1 }]);

        // Another pass, and another one that claims the same name.
        let stranger = tempfile::tempdir().unwrap();
        drop(City::try_open(stranger.path(), None, "2026-01-01T00:00:00Z", 77, None).map(|city| {
            let city = City::found_in(city);
            city.app.publish_log().unwrap();
        }));
        assert_eq!(doubts_of(dir, url, &open(stranger.path(), None), 0), [Doubt::Foreign]);
    });
}

#[test]
fn nothing_that_ended_comes_back_with_an_old_copy_or_with_none() {
    for is_given in [false, true] {
        on_both(if is_given { "old_copy" } else { "no_copy" }, |dir, url| {
            let city = City::found(dir, url);
            let quiet = city.cardholder();
            let busy = city.cardholder();
            let withdrawer = city.cardholder();
            let gone = city.cardholder();
            city.publish_mandate("mdt_short", library_card());
            city.app.consent_at_counter(quiet.0, &service(), &"mdt_short".parse().unwrap(), &[]).unwrap();
            city.app.publish_log().unwrap();
            let (backup, old, restored) = (beside(dir, url, "b"), beside(dir, url, "o"), beside(dir, url, "r"));
            let backup = copy(city.app.db(), &backup);
            if is_given {
                city.app.release(&city.request(&quiet.1)).unwrap();
            }
            let old = copy(city.app.db(), &old);
            city.app.withdraw(withdrawer.0, &mandate()).unwrap();
            city.app.delete_resident(gone.0).unwrap();
            city.app.release(&city.request(&busy.1)).unwrap();
            city.app.release(&city.request(&busy.1)).unwrap();
            let head = city.signer(common::LIBRARY);
            city.app.end_mandate(&"mdt_short".parse().unwrap(), &head, common_text()).unwrap();
            city.app.publish_log().unwrap();
            let pages = copy_pages(city.app.db());
            drop(city);

            let db = copy(&backup, &restored);
            if is_given {
                let is_in_database = vault_setup(url).pages_in_database;
                assert_eq!(doubts_of(dir, url, &old, 0).contains(&Doubt::OldPages), is_in_database);
                assert!(doubts_of(dir, url, with_pages(&old, &pages), 0).len() >= 3, "it is refused for more than one reason");
                renew_keyrings(&db, &old).unwrap();
            }
            let db = with_pages_owned(db, &pages);
            let settled = settle(dir, url, &restored, &db, false);
            assert_eq!(settled, Settled { erased: 1, closed: 1, held: 1, lines: 2 });
            let again = settle(dir, url, &restored, &db, false);
            assert_eq!(again, Settled::default(), "done once, there is nothing left to do");
            drop(db);

            // The pages lie in the restored database where they lie in a database at all.
            let city = City::open(dir, Some(&restored), LATER, 5);
            let grant = |resident: u64| city.app.grants(resident).unwrap()[0].grant.state;
            use usufruct_app::core::grant::GrantState;
            assert!(city.app.release(&city.request(&quiet.1)).is_ok(), "who did nothing goes on");
            assert!(city.app.release(&city.request(&withdrawer.1)).is_err(), "a consent that was withdrawn does not stand again");
            assert!(city.app.release(&city.request(&gone.1)).is_err());
            let state = |resident| city.app.db().read(|conn| residents::state(conn, resident)).unwrap();
            assert_eq!([withdrawer.0, gone.0].map(state), [Some(ResidentState::Erased); 2]);
            let short = city.app.grants(quiet.0).unwrap();
            assert_eq!(short.iter().filter(|grant| grant.grant.state == GrantState::Terminated).count(), 1, "{short:?}");

            // Whom something happened to is asked again, and then is as good as new.
            assert_eq!((state(busy.0), grant(busy.0)), (Some(ResidentState::Deactivated), GrantState::Invalidated));
            assert!(city.app.release(&city.request(&busy.1)).is_err());
            city.app.invite(busy.0, None).unwrap();
            city.app.set_active(busy.0, ResidentState::Active).unwrap();
            city.app.consent_at_counter(busy.0, &service(), &mandate(), &[]).unwrap();
            city.app.release(&city.request(&busy.1)).unwrap();
            let footprint = city.app.footprint(busy.0).unwrap();
            assert_eq!(footprint.lines.iter().filter(|line| line.event.is_none()).count(), 2, "lost lines are shown as lost");
            assert!(footprint.lines.iter().zip(0..).all(|(line, n)| line.n == n), "without gaps");

            // And whoever was closed is enrolled again.
            let fresh = city.app.enrol(&[NewResident { blocks: vec![(block("name"), "Again".into())] }]).unwrap()[0].resident;
            assert!(![quiet.0, busy.0, withdrawer.0, gone.0].contains(&fresh));
            city.app.consent_at_counter(fresh, &service(), &mandate(), &[]).unwrap();
            let subject = city.app.subject(fresh, &service()).unwrap();
            city.app.release(&city.request(&subject)).unwrap();

            let all = city.app.db().read(|conn| leaves::range(conn, 0, 10_000)).unwrap();
            let tags: Vec<&[u8]> = all.iter().filter_map(|(_, leaf)| Some(&leaf.strip_prefix(&LEAF_PREFIX)?[32..])).collect();
            assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len(), "no number is used twice");
            drop(city);
            forget_beside(dir, url, &["b", "o", "r"]);
        });
    }
}

#[test]
fn waiting_lines_keep_their_places_after_a_restore() {
    for has_live in [false, true] {
        on_both(if has_live { "waiting_live" } else { "waiting" }, |dir, url| {
            let city = City::found(dir, url);
            city.publish_watch();
            let mut body = library_card();
            (body["kind"], body["gate"]) = (json!("covert"), json!("witnessed"));
            body["legal_basis"]["code"] = json!("public_task");
            body["visibility"] = json!({"delayed": {"max_days": 30, "authority": WATCH}});
            let (id, watchers) = ("mdt_inquiry".parse().unwrap(), city.watchers());
            let signers: Vec<_> = city.signer(common::LIBRARY).into_iter().chain(&watchers).collect();
            let publication = city.app.mandate_publication(&id, body, &common::notice(), &signers, city.app.now()).unwrap();
            city.app.publish(&publication).unwrap();
            city.open_service_with("svc_inquiry", common::LIBRARY, "inquiry", |body| body["mandates"] = json!([id]));
            let (resident, _) = city.cardholder();
            let mut request = city.request(&city.app.subject(resident, &"svc_inquiry".parse().unwrap()).unwrap());
            (request.service, request.mandate) = ("svc_inquiry".parse().unwrap(), id);
            // Without a witness no data leaves, and the line is written all the same.
            let ask = |city: &City| assert!(matches!(city.app.release(&request), Err(Error::Unpublished)));
            ask(&city);
            city.app.publish_log().unwrap();
            let (backup, restored) = (beside(dir, url, "b"), beside(dir, url, "r"));
            let backup = copy(city.app.db(), &backup);
            ask(&city);
            city.app.publish_log().unwrap();
            let pages = copy_pages(city.app.db());
            drop(city);
            let db = copy(&backup, &restored);
            if has_live {
                assert_eq!(renew_keyrings(&db, &open(dir, url)).unwrap().lines, 1);
                assert_eq!(renew_keyrings(&db, &open(dir, url)).unwrap().lines, 0);
            }
            let db = with_pages_owned(db, &pages);
            let lost = Settled { lines: u64::from(!has_live), ..Settled::default() };
            assert_eq!(settle(dir, url, &restored, &db, has_live), lost, "and nothing that would tell her of it");
            assert_eq!(settle(dir, url, &restored, &db, has_live), Settled::default());
            drop(db);
            let city = City::open(dir, Some(&restored), LATER, 5);
            ask(&city);
            let lines = city.app.footprint(resident).unwrap().lines;
            let first = lines[1].n;
            assert_eq!(lines.iter().map(|line| line.n).collect::<Vec<_>>(), [0, first, first + 1, first + 2]);
            assert_eq!(lines.iter().filter(|line| line.event.is_none()).count(), usize::from(!has_live));
            drop(city);
            forget_beside(dir, url, &["b", "r"]);
        });
    }
}

#[test]
fn what_is_lent_under_a_mandate_that_has_another_key_since_opens_after_a_restore() {
    for has_live in [false, true] {
        on_both(if has_live { "rotated_live" } else { "rotated" }, |dir, url| {
            let city = City::found(dir, url);
            let (_, subject) = city.cardholder();
            city.app.publish_log().unwrap();
            let (backup, restored) = (beside(dir, url, "b"), beside(dir, url, "r"));
            let backup = copy(city.app.db(), &backup);
            city.app.rotate_mandate(&mandate()).unwrap();
            city.app.publish_log().unwrap();
            let pages = copy_pages(city.app.db());
            drop(city);
            let db = copy(&backup, &restored);
            if has_live {
                renew_keyrings(&db, &open(dir, url)).unwrap();
            }
            let db = with_pages_owned(db, &pages);
            assert_eq!(settle(dir, url, &restored, &db, has_live), Settled::default());
            drop(db);
            let city = City::open(dir, Some(&restored), LATER, 5);
            assert_eq!(*city.app.release(&city.request(&subject)).unwrap().blocks[0].2, "Resident 0");
            drop(city);
            forget_beside(dir, url, &["b", "r"]);
        });
    }
}

#[test]
fn a_database_that_is_older_than_the_log_does_not_start() {
    on_both("older", |dir, url| {
        let city = City::found(dir, url);
        city.app.publish_log().unwrap();
        let yesterday = beside(dir, url, "y");
        drop(copy(city.app.db(), &yesterday));
        city.cardholder();
        city.app.publish_log().unwrap();
        let (leaves, pages) = (city.app.committed_size().unwrap(), copy_pages(city.app.db()));
        drop(city);
        with_pages(&open(dir, Some(&yesterday)), &pages);
        let refused = City::try_open(dir, Some(&yesterday), LATER, 3, None).err().unwrap().to_string();
        assert!(refused.contains("older than the log") && refused.contains(&format!("checkpoint {leaves}")), "{refused}");
        assert!(refused.contains("usufruct restore"), "{refused}");
        let empty = beside(dir, url, "e");
        let refused = City::try_open(dir, Some(&empty), LATER, 3, None).err().unwrap().to_string();
        assert!(refused.contains("it has 0 leaves"), "{refused}");
        drop(City::open(dir, url, LATER, 3));
        forget_beside(dir, url, &["y", "e"]);
    });
}

type PageRows = Vec<((u32, u64, u32), Vec<u8>)>;

/// The pages of the key tree, where they are in the database: what is replicated live.
fn copy_pages(db: &Db) -> PageRows {
    db.read(|conn| usufruct_app::store::key_pages::list(conn, None, 10_000)).unwrap()
}

fn with_pages<'a>(db: &'a Db, pages: &PageRows) -> &'a Db {
    let pages = pages.clone();
    db.transaction("pages", move |tx| {
        usufruct_app::store::key_pages::clear(tx)?;
        usufruct_app::store::key_pages::insert(tx, &pages)
    })
    .unwrap();
    db
}

fn with_pages_owned(db: Db, pages: &PageRows) -> Db {
    with_pages(&db, pages);
    db
}

fn common_text() -> usufruct_app::core::Text {
    usufruct_app::core::Text::new("Its own cards again.", "恢復自行核發。")
}
