//! The end of a mandate under which few or many residents lend something: a whole pass, with a row for each grant, for each copy on loan and
//! for each access token of its service.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use usufruct_app::store::db::{Connection as _, Error, Tx};
use usufruct_core::key::KeyOf;
use usufruct_core::time::DAY;

use crate::city::{City, mandate, service};
use crate::now;

/// How long each step took after the clock had asked for the end, in seconds.
struct Steps {
    closed: f64,
    certified: f64,
    cleared: f64,
}

/// What must not grow is the time until nothing opens and until that is certified; the rows are cleared afterwards, and each of them costs.
pub fn print(dir: &Path) {
    println!(
        "\n| grants, copies on loan and tokens under the mandate | nothing opens, ms | against one | certified, ms | against one | every row cleared, ms |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut first: Option<(f64, f64)> = None;
    for (count, runs) in [(1, 9), (10_000, 9), (1_000_000, 3)] {
        let mut all: Vec<Steps> = (0..runs).map(|run| measure(&dir.join(format!("sunset-{count}-{run}")), count)).collect();
        let mut half = |of: fn(&Steps) -> f64| {
            all.sort_by(|one, other| of(one).total_cmp(&of(other)));
            of(&all[runs / 2]) * 1e3
        };
        let (closed, certified, cleared) =
            (half(|steps| steps.closed), half(|steps| steps.certified), half(|steps| steps.cleared));
        let (one, proven) = *first.get_or_insert((closed, certified));
        println!("| {count} | {closed:.2} | {:.2} | {certified:.2} | {:.2} | {cleared:.1} |", closed / one, certified / proven);
    }
}

fn measure(dir: &Path, count: u64) -> Steps {
    std::fs::create_dir_all(dir).expect("the folder is ours");
    let city = City::found(dir, None);
    fill(&city, count);
    let register = city.app.register();
    let key = register.living_keys(&KeyOf::Mandate(mandate()))[0].body.commitment;
    city.clock.advance(700 * DAY);
    let (app, is_begun) = (Arc::clone(&city.app), AtomicBool::new(false));
    let steps = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !is_begun.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            let begun = now();
            let since = |is_so: &dyn Fn() -> bool| {
                while !is_so() {
                    std::thread::sleep(Duration::from_micros(20));
                }
                begun.elapsed().as_secs_f64()
            };
            let closed = since(&|| !app.key_lives(&key));
            (closed, since(&|| app.register().certificate(&mandate()).is_some()))
        });
        is_begun.store(true, Ordering::SeqCst);
        let begun = now();
        let report = city.app.run_sunsets().expect("the pass is whole");
        let cleared = begun.elapsed().as_secs_f64();
        assert_eq!(report.ended, [mandate()], "it ended");
        let (closed, certified) = watch.join().expect("it only looks");
        Steps { closed, certified, cleared }
    });
    drop(city);
    std::fs::remove_dir_all(dir).expect("the folder is ours");
    steps
}

/// So many rows of each kind. Nothing reads what is in them on the way to the end, so their content is as short as a real one and no more.
fn fill(city: &City, count: u64) {
    let number = city.app.register().mandates[&mandate()].number;
    let later = city.app.now().plus(1_000 * DAY).micros();
    for from in (1..=count).step_by(PART) {
        let to = count.min(from + PART as u64 - 1);
        let counted = format!("WITH RECURSIVE counted(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM counted WHERE n < {to})");
        let fills = [
            format!(
                "-- fill_grants\n{counted} INSERT INTO grants (shard, resident, mandate, grant_id, kind, state, revision, \
                 mandate_hash, blocks, given_at, valid_until, uses, window_start, window_uses) \
                 SELECT n % 4096, n, {number}, 'grt_' || n, 'consent', 'given', 1, randomblob(32), 'blk_name', 0, {later}, 0, 0, 0 FROM counted"
            ),
            format!(
                "-- fill_loans\n{counted} INSERT INTO lent_blocks (shard, resident, mandate, block, sealed) \
                 SELECT n % 4096, n, {number}, 1, randomblob(80) FROM counted"
            ),
            format!(
                "-- fill_tokens\n{counted} INSERT INTO tokens (token_hash, service, resident, scope, issued_at, expires_at) \
                 SELECT randomblob(32), '{}', n, 'openid', 0, {later} FROM counted",
                service()
            ),
        ];
        let work = move |tx: &mut Tx<'_>| fills.iter().try_for_each(|sql| tx.execute(sql, &[]).map(drop));
        let outcome: Result<(), Error> = city.app.db().transaction("fill", work);
        outcome.expect("the rows fit");
    }
}

/// Rows of each kind made in one transaction.
const PART: usize = 50_000;
