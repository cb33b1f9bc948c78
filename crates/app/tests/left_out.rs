//! Nobody in a batch is left out of the log while data of hers goes out: where her leaf or her line is not written, whether the database refuses it or
//! drops it in silence, she gets no line and the service none of her data, and everybody else is served. So it needs no root over a batch to find
//! whom it lacks.

use std::path::Path;

use crate::common::{City, block, mandate, on_both, service};
use usufruct_app::store::db::Connection;
use usufruct_app::store::leaves;
use usufruct_app::{BatchAnswer, BatchRequest};
use usufruct_core::event::{Form, Kind, LEAF_LEN, commitment, leaf, tag};

on_both!(nobody_in_a_batch_is_left_out_of_the_log_while_her_data_goes_out);

/// What an insider makes of the database, with a word of SQL for each kind of it.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The row is refused.
    Refuses,
    /// The row is dropped, and nobody is told.
    Drops,
}

/// Has the database refuse or drop the rows of `table` for which `condition` holds.
fn break_rows(city: &City, is_postgres: bool, table: &str, condition: &str, way: Way) {
    let sql = if is_postgres {
        let body = match way {
            Way::Refuses => "RAISE EXCEPTION 'no'",
            Way::Drops => "RETURN NULL",
        };
        format!(
            "-- break\nCREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION broken();"
        )
    } else {
        let body = match way {
            Way::Refuses => "RAISE(ABORT, 'no')",
            Way::Drops => "RAISE(IGNORE)",
        };
        format!("-- break\nCREATE TRIGGER broken BEFORE INSERT ON {table} WHEN {condition} BEGIN SELECT {body}; END;")
    };
    city.app.db().transaction("break", move |tx| tx.script(&sql)).unwrap();
}

fn mend(city: &City, is_postgres: bool, table: &str) {
    let sql = if is_postgres {
        format!("-- mend\nDROP TRIGGER broken ON {table}; DROP FUNCTION broken();")
    } else {
        "-- mend\nDROP TRIGGER broken;".to_owned()
    };
    city.app.db().transaction("mend", move |tx| tx.script(&sql)).unwrap();
}

/// How many leaves the log has.
fn size(city: &City) -> u64 {
    city.app.db().read(|conn| leaves::range(conn, 0, 1_000_000)).unwrap().len() as u64
}

fn ask(city: &City, residents: &[u64]) -> BatchAnswer {
    let subjects = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    let blocks = vec![(block("name"), Form::Value)];
    let (service, mandate, reason) = (service(), mandate(), "lending".to_owned());
    city.app.release_batch(&BatchRequest { service, mandate, subjects, blocks, reason, actor: None, third_party: false }).unwrap()
}

/// The uses in her footprint, after a look whether each is the leaf that it says, with the batch and its size.
fn uses(city: &City, resident: u64, asked: usize) -> Vec<u64> {
    let footprint = city.app.footprint(resident).unwrap();
    let mut found = Vec::new();
    for line in &footprint.lines {
        let event = line.event.as_ref().unwrap();
        if event.kind != Kind::Use {
            continue;
        }
        assert_eq!(event.batch.as_ref().unwrap().size, asked as u64);
        let stored = city.app.db().read(|conn| leaves::range(conn, line.index, 1)).unwrap();
        let expected = leaf(&commitment(&line.opening, &line.encoded), &tag(&footprint.tag_key, line.n));
        assert_eq!(stored, [(line.index, expected.to_vec())]);
        assert_eq!(expected.len(), LEAF_LEN);
        found.push(line.index);
    }
    found
}

fn nobody_in_a_batch_is_left_out_of_the_log_while_her_data_goes_out(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let readers: Vec<u64> = (0..4).map(|_| city.cardholder().0).collect();
    let is_postgres = url.is_some();
    for (table, way) in [("lines", Way::Refuses), ("lines", Way::Drops), ("leaves", Way::Refuses), ("leaves", Way::Drops)] {
        let before: Vec<_> = readers.iter().map(|reader| uses(&city, *reader, readers.len())).collect();
        let condition = match table {
            "lines" => format!("NEW.resident = {}", readers[1]),
            // The leaf after the next one, whoever comes to it.
            _ => format!("NEW.idx = {}", size(&city) + 1),
        };
        break_rows(&city, is_postgres, table, &condition, way);
        let answer = ask(&city, &readers);
        let served: Vec<_> = answer.lines.iter().map(|line| line.outcome.as_ref().ok().map(|released| released.index)).collect();
        assert!(served.iter().any(Option::is_none), "{table} {way:?}: everybody was served: {served:?}");
        if table == "lines" {
            assert_eq!(served.iter().filter(|index| index.is_none()).count(), 1, "{way:?}: {served:?}");
        }
        for ((reader, index), before) in readers.iter().zip(&served).zip(&before) {
            let now = uses(&city, *reader, readers.len());
            assert_eq!(&now[before.len()..], index.as_slice(), "{table} {way:?}: what went out is what stands in the log");
        }
        mend(&city, is_postgres, table);
        // The log is whole, and goes on.
        assert!(ask(&city, &readers).lines.iter().all(|line| line.outcome.is_ok()), "{table} {way:?}");
        city.app.publish_log().unwrap();
    }
}
