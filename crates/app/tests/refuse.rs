//! What is refused as a whole: everybody whom the request names and whom the service knows sees that it was tried, and so does the public.

use std::path::Path;

use crate::common::{CARD, City, LIBRARY, block, library_card, mandate, on_both, service};
use serde_json::json;
use usufruct_app::{BatchRequest, ConversionBatch, Error};
use usufruct_core::decide::Clause;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::tally::Count;
use usufruct_core::time::DAY;

on_both!(
    a_conversion_that_is_refused_is_a_line_too,
    a_stopped_official_leaves_a_line_with_each_of_many,
    everybody_sees_a_batch_that_was_refused,
);

fn readers(city: &City, count: usize, mandate: &str) -> (Vec<u64>, Vec<String>) {
    let residents = city.enrol(count);
    for resident in &residents {
        city.app.consent_at_counter(*resident, &service(), &mandate.parse().unwrap(), &[]).unwrap();
    }
    let subjects = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    (residents, subjects)
}

fn batch(subjects: &[String]) -> BatchRequest {
    BatchRequest {
        service: service(),
        mandate: mandate(),
        subjects: subjects.to_vec(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    }
}

#[track_caller]
fn refused<T>(outcome: Result<T, Error>) -> Vec<Clause> {
    match outcome {
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was permitted"),
    }
}

fn refusals(city: &City, resident: u64) -> Vec<Event> {
    let lines = city.app.footprint(resident).unwrap().lines;
    lines.into_iter().filter_map(|line| line.event).filter(|event| event.kind == Kind::Refusal).collect()
}

fn everybody_sees_a_batch_that_was_refused(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (residents, mut subjects) = readers(&city, 12, CARD);
    let stranger = city.enrol(1)[0];
    subjects.push("AAAAAAAAAAAAAAAAAAAAAA".into());
    let curious = BatchRequest { reason: "curiosity".into(), ..batch(&subjects) };
    assert_eq!(refused(city.app.release_batch(&curious)), [Clause::Reason]);
    for resident in &residents {
        let [event] = &refusals(&city, *resident)[..] else { panic!("one line") };
        assert_eq!((event.clause.as_deref(), event.reason.as_str()), (Some("reason"), ""), "no word of the request stands in it");
        assert_eq!((event.batch.unwrap().size, event.blocks.len(), event.until), (13, 1, None));
    }
    assert!(refusals(&city, stranger).is_empty());
    // What it named that is not in the mandate is not repeated, and a list that names somebody twice is no request.
    let other = BatchRequest { blocks: vec![(block("photo"), Form::Value)], ..batch(&subjects[..1]) };
    assert_eq!(refused(city.app.release_batch(&other)), [Clause::BlocksInMandate]);
    assert!(refusals(&city, residents[0])[1].blocks.is_empty());
    let twice = [subjects[0].clone(), subjects[0].clone()];
    assert!(matches!(city.app.release_batch(&batch(&twice)), Err(Error::Refused { .. })));
    assert_eq!(refusals(&city, residents[0]).len(), 2);
    let crowd: Vec<String> = std::iter::repeat_n(subjects[1].clone(), 10_001).collect();
    assert_eq!(refused(city.app.release_batch(&batch(&crowd))), [Clause::BulkLimit]);
    assert_eq!(refused(city.app.release_batch(&batch(&[]))), [Clause::BulkLimit]);
    assert_eq!(refusals(&city, residents[1]).len(), 1);
    // Whoever stands twice in a list that is refused sees one line of it.
    assert_eq!(refused(city.app.release_batch(&BatchRequest { subjects: twice.to_vec(), ..curious })), [Clause::Reason]);
    assert_eq!(refusals(&city, residents[0]).len(), 3);
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let register = city.app.register();
    let tally = register.tallies.values().find(|entry| entry.body.mandate == mandate()).unwrap();
    let counted: Vec<_> = tally.body.refusals.iter().map(|line| (line.clause.as_str(), line.count)).collect();
    assert_eq!(counted, [("blocks-in-mandate", Count::of(1)), ("reason", Count::of(13))]);
    assert_eq!(tally.body.uses, Count::of(0));
}

fn a_stopped_official_leaves_a_line_with_each_of_many(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (residents, subjects) = readers(&city, 3, CARD);
    let mut request = city.request(&subjects[0]);
    request.actor = Some(sha256(b"officer 17").0);
    let taken = (0..40).take_while(|_| city.app.release(&request).is_ok()).count();
    assert!((1..15).contains(&taken), "{taken}");
    let mass = BatchRequest { actor: request.actor, ..batch(&subjects) };
    assert_eq!(refused(city.app.release_batch(&mass)), [Clause::Brake]);
    let last = refusals(&city, residents[2]);
    assert_eq!((last.len(), last[0].clause.as_deref(), last[0].actor), (1, Some("brake"), request.actor));
    // The batch that is stopped as the first of all leaves its line too, though the register changes meanwhile.
    let other = BatchRequest { actor: Some(sha256(b"officer 18").0), ..batch(&subjects) };
    while city.app.release_batch(&other).is_ok() {}
    assert_eq!(refusals(&city, residents[2]).len(), 2);
    assert_eq!(city.app.register().stoppages.len(), 2);
}

fn a_conversion_that_is_refused_is_a_line_too(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.open_service("svc_garden", LIBRARY, "garden");
    let mut body = library_card();
    body["bulk_limit"] = json!(5);
    city.publish_mandate("mdt_short", body);
    let (residents, subjects) = readers(&city, 2, "mdt_short");
    let request = ConversionBatch {
        service: service(),
        to: "svc_garden".parse().unwrap(),
        mandate: "mdt_short".parse().unwrap(),
        subjects: subjects.clone(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    assert_eq!(refused(city.app.convert(&request)), [Clause::Conversion]);
    let nowhere = ConversionBatch {
        to: "svc_nowhere".parse().unwrap(),
        reason: "curiosity".into(),
        subjects: subjects[..1].to_vec(),
        ..request
    };
    assert_eq!(refused(city.app.convert(&nowhere))[..1], [Clause::Service]);
    let first = refusals(&city, residents[0]);
    assert_eq!(
        first.iter().map(|event| (event.clause.as_deref(), event.detail.as_deref(), &*event.reason)).collect::<Vec<_>>(),
        [(Some("conversion"), Some("svc_garden"), "lending"), (Some("service"), None, "")]
    );
    assert_eq!(refusals(&city, residents[1]).len(), 1);
}
