//! An oversight body counts again what the tallies say: an insider who doctors a count, a copy or a line is found.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common;
use crate::common::{City, WATCH, library_card, on_both, service};
use serde_json::{Value, json};
use usufruct_app::{Error, OpenedCopy, Proposed, Publication, RecountDay};
use usufruct_core::Digest;
use usufruct_core::event::Event;
use usufruct_core::hash::sha256;
use usufruct_core::order::Standing;
use usufruct_core::recount::{Finding, compare, sample, seed};
use usufruct_core::source::Source;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::tally::{Day, Tally};
use usufruct_core::time::DAY;
use usufruct_store::db::Connection;
use usufruct_store::{leaves, log_head};
use usufruct_vault::hpke::PrivateKey;

on_both!(
    a_doctored_count_is_found,
    a_recount_finds_nothing_where_nothing_is_wrong,
    a_recount_is_said_by_the_overseer_after_chance_has_spoken,
    nobody_else_opens_a_copy,
    what_is_published_together_is_drawn_by_the_same_rules,
    what_was_left_out_for_the_auditor_is_found,
);

const SHORT: &str = "mdt_short";

struct Audited {
    city: City,
    key: PrivateKey,
    subjects: Vec<String>,
}

fn audited(dir: &Path, url: Option<&str>) -> Audited {
    use base64::Engine;
    let city = City::found(dir, url);
    city.publish_watch();
    let key = PrivateKey::random(city.app.rng());
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["audit_key"] = json!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.public().bytes()));
    city.publish_mandate(SHORT, body);
    let subjects = (0..3)
        .map(|_| {
            let resident = city.enrol(1)[0];
            city.app.consent_at_counter(resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
            city.app.subject(resident, &service()).unwrap()
        })
        .collect();
    Audited { city, key, subjects }
}

impl Audited {
    /// A day with so many uses, and a refusal.
    fn day(&self, uses: usize) {
        for n in 0..uses {
            let mut request = self.city.request(&self.subjects[n % 3]);
            request.mandate = SHORT.parse().unwrap();
            self.city.app.release(&request).unwrap();
        }
        let mut request = self.city.request(&self.subjects[0]);
        (request.mandate, request.reason) = (SHORT.parse().unwrap(), "curiosity".into());
        assert!(self.city.app.release(&request).is_err());
        self.city.clock.advance(DAY);
    }

    fn insider(&self, sql: &'static str) {
        let changed = self.city.app.db().transaction("insider", move |tx| tx.execute(sql, &[])).unwrap();
        assert!(changed > 0, "{sql}");
    }

    /// What the auditor finds on a day, from what the pass hands out and from the log.
    fn find(&self, day: Day) -> Vec<Finding> {
        let app = &self.city.app;
        let material: RecountDay = app.recount_days(&SHORT.parse().unwrap(), &[day]).unwrap().remove(0);
        let open = |copies: &[String]| -> Vec<OpenedCopy> {
            copies.iter().map(|copy| OpenedCopy::open(&self.key, copy).unwrap()).collect()
        };
        let copies = open(&material.copies);
        for copy in &copies {
            let leaf = app.db().read(|conn| leaves::range(conn, copy.index, 1)).unwrap().remove(0).1;
            assert!(copy.is_in(&leaf));
        }
        let mut before = BTreeMap::<Source, u64>::new();
        for mark in open(&material.before).into_iter().filter_map(|copy| copy.event.source) {
            let last = before.entry(mark.source).or_default();
            *last = (*last).max(mark.number);
        }
        let spans: Vec<_> = material.spans.iter().filter_map(|span| span.opened()).collect();
        let lines: Vec<Event> = copies.into_iter().map(|copy| copy.event).collect();
        compare(&self.tally(day), &lines, &spans, &before)
    }

    fn tally(&self, day: Day) -> Tally {
        let register = self.city.app.register();
        let found = register.tallies.values().find(|entry| entry.body.mandate.as_str() == SHORT && entry.body.day == day);
        found.unwrap().body.clone()
    }

    fn first(&self) -> Day {
        Day::of("2026-01-01T00:00:00Z".parse().unwrap()).unwrap()
    }
}

fn a_recount_finds_nothing_where_nothing_is_wrong(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    for uses in [12, 0, 3, 25] {
        audited.day(uses);
    }
    audited.city.app.run_tallies().unwrap();
    let mut day = audited.first();
    for _ in 0..4 {
        assert_eq!(audited.find(day), []);
        day = day.next();
    }
}

fn a_doctored_count_is_found(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    audited.day(12);
    audited.insider("-- doctor\nUPDATE tally_counts SET count = 30 WHERE what = 'use'");
    audited.city.app.run_tallies().unwrap();
    let found = audited.find(audited.first());
    assert_eq!(found, [Finding::OtherCount { what: "uses".into(), tally: "30".into(), log: "12".into() }], "{}", found[0]);
    // Whoever takes refusals away is found as well.
    audited.day(1);
    audited.insider("-- doctor\nDELETE FROM tally_counts WHERE what = 'refusal:reason'");
    audited.city.app.run_tallies().unwrap();
    assert!(matches!(&audited.find(audited.first().next())[..], [Finding::OtherCount { what, .. }] if what == "refusals"));
}

fn what_was_left_out_for_the_auditor_is_found(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    audited.day(12);
    // The insider hides one use from the auditor, and makes the counts fit.
    audited.insider("-- doctor\nUPDATE tally_counts SET count = count - 1 WHERE what = 'use'");
    audited.insider("-- doctor\nDELETE FROM audit_copies WHERE seq = 5");
    audited.insider("-- doctor\nUPDATE tally_spans SET lines = lines - 1");
    audited.city.app.run_tallies().unwrap();
    assert_eq!(audited.find(audited.first()), [Finding::Numbers { source: "pass".into() }]);
    // Neither can the end of a day be cut off: the next day does not follow then.
    audited.day(12);
    audited.insider("-- doctor\nUPDATE tally_counts SET count = count - 1 WHERE what = 'use' AND count = 12");
    audited.insider("-- doctor\nDELETE FROM audit_copies WHERE seq = 14");
    audited.insider("-- doctor\nUPDATE tally_spans SET first = first + 1, lines = lines - 1 WHERE first > 1");
    audited.city.app.run_tallies().unwrap();
    assert_eq!(audited.find(audited.first().next()), [Finding::Numbers { source: "pass".into() }]);
    // Nor can what a published tally binds be changed afterwards.
    audited.insider("-- doctor\nUPDATE tally_spans SET last = last + 1");
    assert!(audited.find(audited.first()).contains(&Finding::Span { source: "pass".into() }));
}

fn nobody_else_opens_a_copy(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    audited.day(1);
    audited.city.app.run_tallies().unwrap();
    let day = audited.city.app.recount_days(&SHORT.parse().unwrap(), &[audited.first()]).unwrap().remove(0);
    assert_eq!(day.copies.len(), 2);
    let other = PrivateKey::random(audited.city.app.rng());
    assert!(day.copies.iter().all(|copy| OpenedCopy::open(&other, copy).is_none()));
    let opened = OpenedCopy::open(&audited.key, &day.copies[0]).unwrap();
    assert!(!opened.is_in(&[1, 2, 3]) && !opened.is_in(&[1; 66]));
}

fn a_recount_is_said_by_the_overseer_after_chance_has_spoken(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    for _ in 0..5 {
        audited.day(2);
    }
    let city = &audited.city;
    city.app.run_tallies().unwrap();
    let (from, to) = (audited.first(), audited.first().next().next().next());
    let secret = sha256(b"a secret");
    let order = |to: Day| -> Value {
        json!({"body": common::WATCH, "kind": "audit", "target": SHORT, "reasons": common::text("Count again."),
            "comply_by": city.app.now().plus(30 * DAY), "draw": {"from": from, "to": to, "days": 2, "chance": sha256(&secret.0), "next_tally": true}})
    };
    let refused = |outcome: Result<Vec<u64>, Error>| match outcome {
        Err(Error::Unlawful(problems)) => problems.into_iter().map(|problem| problem.rule).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let people = city.watchers();
    // What is not counted yet could be made to be chosen, or not to be.
    let today = Day::of(city.app.now()).unwrap();
    assert_eq!(refused(city.watch(StatementKind::Order, "ord_1", order(today), &people)), ["not-counted"]);
    city.watch(StatementKind::Order, "ord_1", order(to), &people).unwrap();
    let id = "ord_1".parse().unwrap();
    let standing = || {
        let register = city.app.register();
        register.standing(&id, &register.orders[&id], city.app.now())
    };
    assert_eq!(standing(), Standing::InForce);
    // Its own word that it looked is no recount.
    let mut looked = order(to);
    looked["evidence"] = json!([{"title": common::text("We looked."), "sha256": sha256(b"nothing")}]);
    city.watch(StatementKind::Order, "ord_1", looked, &people).unwrap();
    assert_eq!(standing(), Standing::InForce);
    // The log as it stands now could be reckoned ahead by whoever gives the order.
    let mut foreseeable = order(to);
    foreseeable["draw"].as_object_mut().unwrap().remove("next_tally");
    assert_eq!(refused(city.watch(StatementKind::Order, "ord_2", foreseeable.clone(), &people)), ["foreseeable"]);
    let unsigned = Proposed {
        statement: city.app.statement(
            StatementKind::Order,
            "ord_2",
            &common::WATCH.parse().unwrap(),
            foreseeable,
            city.app.now(),
        ),
        bodies: vec![common::WATCH.parse().unwrap()],
    };
    match city.app.propose(vec![unsigned]) {
        Err(Error::Unlawful(problems)) => assert_eq!(problems[0].rule, "foreseeable", "nobody is asked to approve it"),
        other => panic!("{other:?}"),
    }
    let given_in = city.app.register().orders[&id].given_in();
    let chosen_at = || {
        let register = city.app.register();
        register.chosen_at(&register.orders[&id], register.orders[&id].body.draw.as_ref().unwrap())
    };
    assert_eq!(chosen_at(), None);
    let early = json!({"drill": "recount", "sampled": 0, "opened": 0, "closed": 0, "wrong": 0, "searched_bytes": 0, "recount":
        {"mandate": SHORT, "order": "ord_1", "secret": secret, "from": from, "to": to, "log_size": given_in + 1, "log_root": sha256(b"a root"), "days": [from]}});
    city.app.publish_log().unwrap();
    let root_of = |size: u64| city.app.log_root(size).unwrap().unwrap();
    let mut told = early.clone();
    told["recount"]["log_root"] = json!(root_of(given_in + 1));
    assert!(refused(city.watch(StatementKind::Audit, "aud_1", told, &people)).contains(&"not-chosen"), "chance has not spoken");
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let size = chosen_at().unwrap();
    assert!(size > given_in + 1);
    assert_eq!(
        refused(city.watch(
            StatementKind::Audit,
            "aud_1",
            {
                let mut body = early.clone();
                body["recount"]["log_size"] = json!(size);
                body["recount"]["days"] = json!(sample(&seed(&sha256(b"a root"), &secret), &SHORT.parse().unwrap(), from, to, 2));
                body
            },
            &people
        )),
        ["not-published"]
    );
    city.app.publish_log().unwrap();
    let root = root_of(size);
    let days = sample(&seed(&root, &secret), &SHORT.parse().unwrap(), from, to, 2);
    assert_eq!(days.len(), 2);
    let with = |field: &str, value: Value| -> Value {
        let mut recount = json!({"mandate": SHORT, "order": "ord_1", "secret": secret, "from": from, "to": to, "log_size": size,
            "log_root": root, "days": days});
        recount[field] = value;
        json!({"drill": "recount", "sampled": 2, "opened": 6, "closed": 0, "wrong": 0, "searched_bytes": 0, "recount": recount})
    };
    let body = |size: u64| with("log_size", json!(size));
    let says = |body: Value| refused(city.watch(StatementKind::Audit, "aud_1", body, &people));
    assert_eq!(says(body(1)), ["other-size"]);
    assert_eq!(says(with("order", json!("ord_2"))), ["no-draw"]);
    // A root that the log never had chooses days too, whichever one likes.
    let other = sha256(b"a root");
    let mut misdrawn = with("log_root", json!(other));
    misdrawn["recount"]["days"] = json!(sample(&seed(&other, &secret), &SHORT.parse().unwrap(), from, to, 2));
    assert_eq!(says(misdrawn), ["other-root"]);
    let drawn = |secret: &Digest| sample(&seed(&root, secret), &SHORT.parse().unwrap(), from, to, 2);
    let another = (0..=u8::MAX).map(|n| sha256(&[n])).find(|another| drawn(another) != days).unwrap();
    assert_eq!(says(with("secret", json!(another))), ["other-secret", "other-days"]);
    assert_eq!(says(with("from", json!(from.next()))), ["other-draw"]);
    let other = sample(&sha256(b"as it pleases"), &SHORT.parse().unwrap(), from, to, 1);
    assert_eq!(says(with("days", json!(other))), ["other-days"]);
    assert_eq!(refused(city.watch(StatementKind::Audit, "aud_1", body(size), &people[..1])), ["too-few"]);
    city.watch(StatementKind::Audit, "aud_1", body(size), &people).unwrap();
    assert_eq!(standing(), Standing::Complied);
    // The operator does not audit itself.
    let mut own =
        city.app.statement(StatementKind::Audit, "aud_2", &common::OPERATOR.parse().unwrap(), body(size), city.app.now());
    for signer in city.signer(common::OPERATOR) {
        own.approve(signer).unwrap();
    }
    assert!(refused(city.app.publish(&Publication { statements: vec![own] })).contains(&"not-the-owner"));
}

/// What is lawful only because of what stands before it in the same publication is looked at as well.
fn what_is_published_together_is_drawn_by_the_same_rules(dir: &Path, url: Option<&str>) {
    let audited = audited(dir, url);
    for _ in 0..3 {
        audited.day(2);
    }
    let city = &audited.city;
    city.app.run_tallies().unwrap();
    let (from, to, secret) = (audited.first(), audited.first().next(), sha256(b"a secret"));
    let order = |next_tally: bool| {
        let mut draw = json!({"from": from, "to": to, "days": 1, "chance": sha256(&secret.0)});
        if next_tally {
            draw["next_tally"] = json!(true);
        }
        json!({"body": WATCH, "kind": "audit", "target": SHORT, "reasons": common::text("Count again."),
            "comply_by": city.app.now().plus(30 * DAY), "draw": draw})
    };
    let said = |kind, id: &str, by: &str, body: Value| city.app.statement(kind, id, &by.parse().unwrap(), body, city.app.now());
    let together = |statements: Vec<Statement>| match city.app.publish(&Publication { statements }) {
        Err(Error::Unlawful(problems)) => problems.into_iter().map(|problem| problem.rule).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let people = city.watchers();

    // An official who is registered just before signs an order whose draw she can reckon ahead.
    let counsel = city.app.house().signer(&WATCH.parse().unwrap(), "counsel", city.app.rng()).unwrap();
    let mut body = json!(city.app.register().agencies[&WATCH.parse().unwrap()].body);
    let key = json!({"id": counsel.key(), "role": counsel.key(), "public": counsel.public()});
    body["signing_keys"].as_array_mut().unwrap().push(key);
    let mut registered = said(StatementKind::Agency, WATCH, common::OPERATOR, body);
    for signer in city.signer(common::OPERATOR).into_iter().chain(&people) {
        registered.approve(signer).unwrap();
    }
    let mut foreseeable = said(StatementKind::Order, "ord_1", WATCH, order(false));
    [&people[0], &counsel].into_iter().for_each(|signer| foreseeable.approve(signer).unwrap());
    assert_eq!(together(vec![registered, foreseeable]), ["foreseeable"]);

    // The operator counts a day and the overseer recounts at once, by a root that both of them like.
    city.watch(StatementKind::Order, "ord_2", order(true), &people).unwrap();
    city.clock.advance(DAY);
    let counted = city.app.register().last_tally(&SHORT.parse().unwrap()).unwrap();
    let mut tally = json!(audited.tally(counted));
    tally["day"] = json!(counted.next());
    let mut tally = said(StatementKind::Tally, "tly_1", common::OPERATOR, tally);
    let machine = city.app.house().signer(&common::OPERATOR.parse().unwrap(), "automation", city.app.rng()).unwrap();
    tally.approve(&machine).unwrap();
    let (size, root) = (city.app.db().read(|conn| log_head::size(conn)).unwrap() + 1, sha256(b"a root that we like"));
    let days = sample(&seed(&root, &secret), &SHORT.parse().unwrap(), from, to, 1);
    let recount = json!({"mandate": SHORT, "order": "ord_2", "secret": secret, "from": from, "to": to, "log_size": size, "log_root": root,
        "days": days});
    let audit =
        json!({"drill": "recount", "sampled": 1, "opened": 3, "closed": 0, "wrong": 0, "searched_bytes": 0, "recount": recount});
    let mut audit = said(StatementKind::Audit, "aud_1", WATCH, audit);
    people.iter().for_each(|signer| audit.approve(signer).unwrap());
    assert_eq!(together(vec![tally.clone(), audit.clone()]), ["not-published"]);
    // The day alone is lawful, and it is what would have chosen.
    city.app.publish(&Publication { statements: vec![tally] }).unwrap();
    assert_eq!(together(vec![audit]), ["not-published"]);
}
