//! Tallies: day after day without a gap, by the machine, once a day is over, and final.

use super::*;
use usufruct_core::Time;
use usufruct_core::tally::Day;
use usufruct_core::time::DAY;

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn body(mandate: &str, day: Day) -> Value {
    json!({"mandate": mandate, "day": day.to_string(), "uses": "1-9", "delayed": "0", "irregular": "0",
        "batches": "0", "residents": "1-9", "refusals": [{"clause": "grant", "count": "31"}]})
}

fn draft(city: &City, id: &str, mandate: &str, day: Day) -> Statement {
    city.draft(StatementKind::Tally, id, "agc_operator", body(mandate, day), &MACHINE)
}

#[test]
fn the_machine_counts_each_day_once_it_is_over() {
    let mut city = lawful();
    let today = Day::of(city.now).unwrap();
    assert!(names(&refused(&city, draft(&city, "tly_1", CARD, today)), "day", "not-over"));
    city.now = today.next().begins();
    let other = [("agc_library", "head"), ("agc_library", "privacy")];
    let other = city.draft(StatementKind::Tally, "tly_1", "agc_library", body(CARD, today), &other);
    assert!(names(&refused(&city, other), "by", "not-the-owner"));
    assert!(names(&refused(&city, draft(&city, "aud_1", CARD, today)), "id", "malformed"));
    assert!(names(&refused(&city, draft(&city, "tly_1", "mdt_nothing", today)), "mandate", "unknown"));
    let first = draft(&city, "tly_1", CARD, today);
    city.apply(first).unwrap();
    assert_eq!(city.register.last_tally(&CARD.parse().unwrap()), Some(today));
    assert_eq!(city.register.last_tally(&MEALS.parse().unwrap()), None);
    // A mandate that never came into force has no days, and counting begins with the first day in force.
    let mut draft_only = city.clone();
    draft_only.say(StatementKind::Mandate, "mdt_draft", "agc_library", school_meals());
    assert!(names(&refused(&draft_only, draft(&draft_only, "tly_2", "mdt_draft", today)), "mandate", "never-active"));
    let mut later = city.clone();
    later.now = later.now.plus(2 * DAY);
    assert!(names(&refused(&later, draft(&later, "tly_2", MEALS, today.next())), "day", "not-next"));
    // It is neither revised nor said again under another name.
    assert!(names(&refused(&city, draft(&city, "tly_1", CARD, today)), "rev", "final"));
    assert!(names(&refused(&city, draft(&city, "tly_2", CARD, today)), "day", "not-next"));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

proptest! {
    #![proptest_config(common::cases(64))]

    /// Whatever days the machine tries, what stands in the register is one run of days for each mandate, and none is left out.
    #[test]
    fn no_day_is_left_out(tries in prop::collection::vec((any::<bool>(), 0..8i64), 1..40)) {
        let mut city = lawful();
        let begin = Day::of(city.now).unwrap();
        city.now = city.now.plus(20 * DAY);
        let mut model: [Option<Day>; 2] = [None, None];
        for (n, (is_card, ahead)) in tries.into_iter().enumerate() {
            let (mandate, last) = if is_card { (CARD, &mut model[0]) } else { (MEALS, &mut model[1]) };
            let day = (0..ahead).fold(begin, |day, _| day.next());
            let is_next = last.map_or(begin, Day::next) == day;
            let statement = draft(&city, &format!("tly_{n}"), mandate, day);
            prop_assert_eq!(city.apply(statement).is_ok(), is_next);
            if is_next {
                *last = Some(day);
            }
        }
        for (mandate, last) in [(CARD, model[0]), (MEALS, model[1])] {
            let id = mandate.parse().unwrap();
            prop_assert_eq!(city.register.last_tally(&id), last);
            let mut days: Vec<Day> =
                city.register.tallies.values().filter(|entry| entry.body.mandate == id).map(|entry| entry.body.day).collect();
            days.sort_unstable();
            prop_assert!(days.windows(2).all(|pair| pair[0].next() == pair[1]));
        }
    }
}

proptest! {
    #[test]
    fn a_day_is_the_one_that_the_calendar_says(micros in prop_oneof![0i64..253_402_207_200_000_000, 1_700_000_000_000_000i64..1_900_000_000_000_000]) {
        let time = Time::from_micros(micros);
        let day = Day::of(time).unwrap();
        prop_assert_eq!(day.to_string(), time.day());
        prop_assert!(day.begins() <= time && time < day.next().begins());
        prop_assert_eq!(Day::from_number(day.number()), Some(day));
        prop_assert_eq!(day.next().number(), day.number() + 1);
    }
}
