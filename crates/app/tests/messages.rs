//! Weekly messages and lists by post, on both databases: one for each week and resident, none lost after a stop, none to whoever wants none, and
//! nothing in them that her own lines do not say.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common;
use crate::common::{City, OPERATOR};
use usufruct_app::store::db::{Connection, Error as DbError, Tx, Value};
use usufruct_app::vault::hpke::PrivateKey;
use usufruct_app::{
    Approved, Courier, DueList, Error, Mail, MessageWish, Posting, WeeklyMessage, counter_list_message, open_list,
};
use usufruct_core::Time;
use usufruct_core::event::Kind;
use usufruct_core::statement::Approval;
use usufruct_core::time::{DAY, HOUR};
use usufruct_core::week::Week;

common::on_both!(
    a_letter_says_once_that_a_message_is_there,
    a_list_by_post_opens_at_the_print_house_alone,
    a_new_resident_is_told_of_her_own_days_only,
    a_wish_that_somebody_else_wrote_is_none,
    after_a_stop_of_weeks_one_message_speaks_for_all,
    an_erased_resident_leaves_no_message,
    clerks_order_what_she_says_and_nothing_else,
    many_residents_take_many_parts_and_each_gets_one,
    one_message_a_week_also_that_nothing_happened,
    who_wants_none_gets_none_and_sees_that_she_said_so,
);

/// A city on a Wednesday of which the clock has seen a whole week.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.app.write_messages().unwrap();
    city
}

fn messages(city: &City, resident: u64) -> Vec<WeeklyMessage> {
    city.app.messages(resident).unwrap()
}

fn week(city: &City) -> u64 {
    city.clock.advance(7 * DAY);
    city.app.write_messages().unwrap()
}

fn last_reason(city: &City, resident: u64) -> String {
    city.app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap().reason
}

fn write(city: &City, sql: &'static str, params: Vec<Value>) {
    let write = move |tx: &mut Tx<'_>| tx.execute(sql, &params);
    let written: Result<u64, DbError> = city.app.db().transaction("write", write);
    assert_eq!(written.unwrap(), 1, "{sql}");
}

fn one_message_a_week_also_that_nothing_happened(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = city.cardholder();
    assert!(messages(&city, resident).is_empty(), "the week is not over");
    city.app.release(&city.request(&subject)).unwrap();
    city.app.release(&city.request(&subject)).unwrap();
    let mut refused = city.request(&subject);
    refused.blocks[0].0 = common::block("district");
    assert!(city.app.release(&refused).is_err());
    assert_eq!(week(&city), 1);
    assert_eq!(city.app.write_messages().unwrap(), 0, "once");
    let [first] = messages(&city, resident)[..] else { panic!("one message") };
    assert_eq!((first.uses, first.refusals, first.own, first.is_quiet()), (2, 1, 1, false));
    assert_eq!(first.ends_at, Week::of(city.app.now()).begins());
    assert_eq!(week(&city), 1);
    let [second, again] = messages(&city, resident)[..] else { panic!("two messages") };
    assert!(second.is_quiet(), "{second:?}");
    assert_eq!((second.begins_at, again), (first.ends_at, first), "no moment is in none, and none in two");
}

fn after_a_stop_of_weeks_one_message_speaks_for_all(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = city.cardholder();
    week(&city);
    city.clock.advance(7 * DAY);
    city.app.release(&city.request(&subject)).unwrap();
    city.clock.advance(28 * DAY);
    assert_eq!(city.app.write_messages().unwrap(), 1);
    let [long, short] = messages(&city, resident)[..] else { panic!("two messages") };
    assert_eq!((long.begins_at, long.ends_at), (short.ends_at, short.ends_at.plus(35 * DAY)));
    assert_eq!(long.uses, 1);
    // The clock of a machine that was set back writes nothing anew.
    city.clock.advance(-14 * DAY);
    assert_eq!(city.app.write_messages().unwrap(), 0);
}

fn a_new_resident_is_told_of_her_own_days_only(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    week(&city);
    let resident = city.enrol(1)[0];
    let enrolled_at = city.app.now();
    assert_eq!(city.app.write_messages().unwrap(), 0);
    assert_eq!(week(&city), 1);
    assert_eq!(messages(&city, resident)[0].begins_at, enrolled_at);
}

fn who_wants_none_gets_none_and_sees_that_she_said_so(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let wish = |is_weekly| MessageWish { is_weekly, address: None };
    assert_eq!(city.app.message_wish(resident).unwrap(), wish(true), "without a word of hers");
    city.app.wish_messages(resident, &wish(false)).unwrap();
    assert_eq!(last_reason(&city, resident), "messages-changed");
    assert_eq!(week(&city), 0);
    city.app.wish_messages(resident, &wish(true)).unwrap();
    assert_eq!(city.app.write_messages().unwrap(), 0, "the week was looked at");
    assert_eq!(week(&city), 1);
    assert_eq!(messages(&city, resident)[0].own, 2, "what happened meanwhile is told: {:?}", messages(&city, resident));
}

fn a_wish_that_somebody_else_wrote_is_none(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    city.app.wish_messages(resident, &MessageWish::default()).unwrap();
    write(&city, "UPDATE message_wishes SET is_off = 1 WHERE is_off = $1", vec![Value::from(0)]);
    assert_eq!(week(&city), 1);
    assert!(matches!(city.app.message_wish(resident), Err(Error::Altered)));
}

fn many_residents_take_many_parts_and_each_gets_one(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let residents = city.enrol(1_001);
    assert_eq!(week(&city), 1_001);
    assert_eq!(city.app.write_messages().unwrap(), 0);
    assert!(residents.iter().step_by(250).all(|resident| messages(&city, *resident).len() == 1));
}

fn an_erased_resident_leaves_no_message(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    city.app.wish_messages(resident, &MessageWish { is_weekly: true, address: Some("a@example.org".into()) }).unwrap();
    city.app.order_list(resident, Posting::Monthly, "en").unwrap();
    week(&city);
    let rows = |table: &str| {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        city.app.db().read(|conn| conn.query_one(&sql, &[])?.unwrap().integer(0)).unwrap()
    };
    let all = || ["messages", "message_wishes", "posted_lists"].map(rows);
    assert_eq!(all(), [1, 1, 1]);
    city.app.delete_resident(resident).unwrap();
    city.clock.advance(400 * DAY);
    city.app.tick().unwrap();
    city.app.run_purges(None).unwrap();
    assert_eq!(all(), [0, 0, 0]);
}

/// A courier who remembers, and loses heart after so many letters.
#[derive(Clone, Default)]
struct Bag(Arc<Mutex<(Vec<Mail>, usize)>>);

impl Courier for Bag {
    fn hand_over(&self, mail: &Mail) -> Result<(), Error> {
        let mut bag = self.0.lock().unwrap();
        if bag.0.len() >= bag.1 {
            return Err(Error::House { what: "the folder is full".into() });
        }
        bag.0.push(mail.clone());
        Ok(())
    }
}

fn a_letter_says_once_that_a_message_is_there(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let residents = city.enrol(3);
    let wish = |address: &str| MessageWish { is_weekly: true, address: Some(address.into()) };
    city.app.wish_messages(residents[0], &wish("one@example.org")).unwrap();
    city.app.wish_messages(residents[1], &wish("two@example.org")).unwrap();
    assert!(city.app.wish_messages(residents[2], &wish("three@example.org\nBcc: all@example.org")).is_err());
    week(&city);
    week(&city);
    assert_eq!(city.app.send_mail().unwrap(), 0, "nobody brings it");
    let bag = Bag::default();
    bag.0.lock().unwrap().1 = 1;
    city.app.set_courier(Box::new(bag.clone()));
    assert!(city.app.send_mail().is_err(), "the second does not go");
    bag.0.lock().unwrap().1 = 9;
    assert_eq!(city.app.send_mail().unwrap(), 1, "the first is not sent again");
    assert_eq!(city.app.send_mail().unwrap(), 0);
    let sent = bag.0.lock().unwrap().0.clone();
    let mut to: Vec<&str> = sent.iter().map(|mail| mail.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["one@example.org", "two@example.org"], "one each, though two messages wait");
    assert_ne!(sent[0].name, sent[1].name);
    assert!(sent.iter().all(|mail| mail.name.len() == 22), "a mark, and no number of hers");
    // Whoever wants none any more gets no letter either.
    city.app.wish_messages(residents[0], &MessageWish { is_weekly: false, ..wish("one@example.org") }).unwrap();
    week(&city);
    assert_eq!(city.app.send_mail().unwrap(), 1);
}

fn due(city: &City) -> Vec<DueList> {
    city.app.due_lists(None).unwrap()
}

fn a_list_by_post_opens_at_the_print_house_alone(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let residents = city.enrol(2);
    city.app.order_list(residents[0], Posting::Once, "en").unwrap();
    city.app.order_list(residents[1], Posting::Monthly, "zh-Hant").unwrap();
    assert!(city.app.order_list(residents[1], Posting::Monthly, "tlh").is_err());
    assert_eq!(last_reason(&city, residents[0]), "list-ordered");
    let lists = due(&city);
    assert_eq!(lists.len(), 2);
    let (house, other) = (PrivateKey::from_bytes([7; 32]), PrivateKey::from_bytes([8; 32]));
    let sealed = city.app.seal_list(&lists[0], &house.public(), b"line 1");
    let (resident, due_at) = (lists[0].resident, lists[0].due_at);
    assert_eq!(**open_list(&house, resident, due_at, &sealed).unwrap(), *b"line 1");
    assert!(open_list(&other, resident, due_at, &sealed).is_err() && open_list(&house, resident + 1, due_at, &sealed).is_err());
    assert_eq!(due(&city).len(), 2, "they are due until they are there");
    for list in &lists {
        city.app.list_posted(list).unwrap();
        city.app.list_posted(list).unwrap();
    }
    let posted = |resident: u64| {
        let lines = city.app.footprint(resident).unwrap().lines;
        lines.iter().filter_map(|line| line.event.as_ref()).filter(|event| event.reason == "list-posted").count()
    };
    assert_eq!((posted(residents[0]), posted(residents[1])), (1, 1));
    assert!(due(&city).is_empty());
    assert_eq!(city.app.post_order(residents[0]).unwrap(), None);
    let next = city.app.post_order(residents[1]).unwrap().unwrap();
    assert_eq!((next.posting, next.due_at), (Posting::Monthly, "2026-02-01".parse::<Time>().unwrap()));
    city.clock.advance(31 * DAY);
    assert_eq!(due(&city).iter().map(|list| list.resident).collect::<Vec<_>>(), [residents[1]]);
    // An order that somebody else wrote into the database is none.
    write(&city, "UPDATE posted_lists SET language = $1", vec![Value::from("en")]);
    assert!(due(&city).is_empty() && matches!(city.app.post_order(residents[1]), Err(Error::Altered)));
    city.app.order_list(residents[1], Posting::Never, "en").unwrap();
    assert_eq!((city.app.post_order(residents[1]).unwrap(), last_reason(&city, residents[1])), (None, "list-ended".into()));
}

fn clerks_order_what_she_says_and_nothing_else(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let id = city.app.begin_counter_list(resident, Posting::Monthly, "en").unwrap();
    let clerks = city.signer(OPERATOR);
    let approve = |clerk: usize, posting: Posting| -> Result<Approved, Error> {
        let message = counter_list_message("city.test/log", &id, resident, posting, "en");
        let approval: Approval = clerks[clerk].approve(&message);
        city.app.approve_counter_list(&id, posting, "en", &approval)
    };
    assert!(approve(0, Posting::Never).is_err(), "not what was asked");
    assert_eq!(approve(0, Posting::Monthly).unwrap(), Approved::Once);
    assert!(approve(0, Posting::Monthly).is_err(), "one clerk is one");
    assert!(due(&city).is_empty());
    assert_eq!(approve(1, Posting::Monthly).unwrap(), Approved::Twice);
    assert!(approve(1, Posting::Monthly).is_err(), "used up");
    assert_eq!(due(&city).len(), 1);
    let lines = city.app.footprint(resident).unwrap().lines;
    let reasons: Vec<_> =
        lines.iter().filter_map(|line| line.event.as_ref()).map(|event| (event.kind, event.reason.as_str())).collect();
    assert!(reasons.ends_with(&[(Kind::Status, "counter-list"), (Kind::Status, "list-ordered")]), "{reasons:?}");
    let late = city.app.begin_counter_list(resident, Posting::Never, "en").unwrap();
    city.clock.advance(2 * HOUR);
    let message = counter_list_message("city.test/log", &late, resident, Posting::Never, "en");
    assert!(city.app.approve_counter_list(&late, Posting::Never, "en", &clerks[0].approve(&message)).is_err());
}
