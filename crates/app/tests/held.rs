//! What was asked while a session or a token was good, and comes to be done after it has ended, is not done; on both databases.

use std::collections::BTreeSet;
use std::path::Path;

use crate::authority::Trust;
use crate::common;
use crate::common::{City, LIBRARY, SERVICE, block, library_card, mandate, service, text};
use serde_json::json;
use usufruct_app::store::grants;
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::store::streams::Status;
use usufruct_app::vault::FOOTPRINT_KEYS_LEN;
use usufruct_app::{
    About, AuthorizeRequest, BatchRequest, Bearing, CaseRequest, ConversionBatch, DataBearer, Decline, DepositRequest, Earlier,
    Error, Exchange, GrantManagement, HeldToken, MessageWish, NewHelper, OpenSession, OwnCaller, Posting, Presented,
    ProvenCertificate, ReleaseRequest, ReportedUse, StreamRequest, Tokens, UsageRequest, Wishes, Wrap,
};
use usufruct_core::case::CaseKind;
use usufruct_core::certificate::Answer;
use usufruct_core::delegation::Power;
use usufruct_core::event::Form;
use usufruct_core::grant::GrantState;
use usufruct_core::hash::sha256;
use usufruct_core::id::{CaseId, DeletionId, MandateId, ServiceId};
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};

common::on_both!(
    a_passkey_shown_too_long_ago_deletes_no_pass,
    a_service_does_nothing_more_by_a_token_that_ended,
    a_session_that_ended_does_nothing_more,
    a_token_that_ended_does_nothing_more,
    every_call_does_its_work_in_an_open_session,
);

const CALLBACK: &str = "http://localhost:8081/callback";
/// A service in another pseudonym domain, and a mandate under which both may deposit and convert.
const SECOND_SERVICE: &str = "svc_second";
const SHORT: &str = "mdt_short";

/// A request that was let in, and is still on its way.
struct Held<'a> {
    city: &'a City,
    session: OpenSession,
    /// A card that is registered nowhere.
    proven: ProvenCertificate,
    /// The name of a card that she registered.
    card: String,
}

type Call = fn(&Held<'_>) -> Result<(), Error>;
/// A way in which what is held ends, for a resident and by something of hers.
type End<'a, T> = (&'static str, &'a dyn Fn(u64, &T));

/// Everything that is done by a session.
const CALLS: [(&str, Call); 41] = [
    ("add_certificate_card", |held| held.city.app.add_certificate_card(&held.session, &held.proven, "card")),
    ("add_passkey", |held| held.city.app.add_passkey(&held.session, &passkey(held.city, held.session.resident, "another"))),
    ("ask_again", |held| in_state(held, GrantState::Refused).app.ask_again(held.session.herself()?, &mandate())),
    ("authorize", |held| held.city.app.authorize(&held.session, &sign_in(&[])).map(drop)),
    ("begin_acting", |held| held.city.app.begin_acting(&held.session, "none").map(drop)),
    ("close_session_named", |held| held.city.app.close_session_named(&held.session, "none")),
    ("complain", |held| held.city.app.complain(held.session.herself()?, &case(held.city), "No.")),
    ("consent", |held| held.city.app.consent(held.session.herself()?, &service(), &mandate(), &[]).map(drop)),
    ("correct", |held| held.city.app.correct(held.session.herself()?, &block("district"), "Hill")),
    ("decline", |held| {
        let city = in_state(held, GrantState::Withdrawn);
        city.app.decline(held.session.herself()?, &service(), &mandate(), Decline::Refused)
    }),
    ("delete_resident", |held| held.city.app.delete_resident(held.session.proven(held.city.app.now())?).map(drop)),
    ("drop_footprint_wrap", |held| held.city.app.drop_footprint_wrap(&held.session, &first(&held.session))),
    ("end_delegation", |held| held.city.app.end_delegation(&held.session, "none")),
    ("exported_footprint", |held| held.city.app.exported_footprint(&held.session).map(drop)),
    ("file_case", |held| held.city.app.file_case(held.session.herself()?, &question()).map(drop)),
    ("footprint_key", |held| held.city.app.footprint_key(&held.session).map(drop)),
    ("footprint_to_check", |held| held.city.app.footprint_to_check(&held.session).map(drop)),
    ("freeze", |held| held.city.app.freeze(held.session.herself()?)),
    ("give_help", |held| held.city.app.give_help(&held.session, &helper(held.city)).map(drop)),
    ("keep_footprint_wrap", |held| held.city.app.keep_footprint_wrap(&held.session, &first(&held.session), &wrap())),
    ("lift_freeze", |held| held.city.app.lift_freeze(&held.session)),
    ("make_recovery_codes", |held| held.city.app.make_recovery_codes(&held.session).map(drop)),
    ("offered_help", |held| held.city.app.offered_help(&held.session, "ABCD").map(drop)),
    ("order_list", |held| held.city.app.order_list(held.session.herself()?, Posting::Once, "en")),
    ("pause", |held| in_state(held, GrantState::Given).app.pause(held.session.herself()?, &mandate())),
    ("reaffirm", |held| in_state(held, GrantState::Given).app.reaffirm(held.session.herself()?, &service(), &mandate())),
    ("remove_certificate_card", |held| held.city.app.remove_certificate_card(held.session.herself()?, &held.card)),
    ("remove_passkey", |held| held.city.app.remove_passkey(&held.session, &first(&held.session))),
    ("rename_passkey", |held| held.city.app.rename_passkey(held.session.herself()?, &first(&held.session), "mine")),
    ("renew_help", |held| held.city.app.renew_help(&held.session, "none", held.city.app.now().plus(DAY))),
    ("resume", |held| in_state(held, GrantState::Paused).app.resume(held.session.herself()?, &mandate())),
    ("revoke_cards", |held| held.city.app.revoke_cards(held.session.herself()?).map(drop)),
    ("set_active", |held| held.city.app.set_active(held.session.herself()?, ResidentState::Deactivated)),
    ("settle", |held| held.city.app.settle(held.session.herself()?, &case(held.city))),
    ("sign_out_everywhere", |held| held.city.app.sign_out_everywhere(held.session.herself()?).map(drop)),
    ("take_recovery_codes", |held| held.city.app.take_recovery_codes(&held.session, &own_codes())),
    ("take_up_guardianship", |held| held.city.app.take_up_guardianship(&held.session, "none", "she", "I")),
    ("take_up_help", |held| held.city.app.take_up_help(&held.session, "ABCD")),
    ("wish", |held| held.city.app.wish(held.session.herself()?, &Wishes { no_optional: true, ..Wishes::default() })),
    ("wish_messages", |held| {
        held.city.app.wish_messages(held.session.herself()?, &MessageWish { is_weekly: false, address: None })
    }),
    ("withdraw", |held| held.city.app.withdraw(held.session.herself()?, &mandate()).map(drop)),
];

/// What takes a session and neither changes nor opens anything of hers: it ends the session itself, or what she asks to be shown was looked up
/// with it, by a request that has nothing else to wait for.
const HARMLESS: [&str; 12] = [
    "acting",
    "close_session",
    "delegations",
    "look",
    "mark",
    "prove_passkey",
    "redeem_and_sign_in",
    "replace_session",
    "sessions",
    "sign_in_with_card",
    "sign_in_with_certificate",
    "stop_acting",
];

/// A service that calls for itself, and what it calls about.
struct HeldOwn<'a> {
    city: &'a City,
    caller: OwnCaller,
    stream: String,
    /// Its name for a resident who lent it something.
    subject: String,
    authorization: String,
    notice: DeletionId,
    /// Of the next line that it reports.
    number: u64,
}

type OwnCall = fn(&HeldOwn<'_>) -> Result<(), Error>;

/// Everything that a service does for itself, in an order in which each finds what it is about.
const OWN_CALLS: [(&str, OwnCall); 14] = [
    ("officer", |held| {
        let (subjects, word) = (std::slice::from_ref(&held.subject), format!("desk {}", held.number));
        held.city.app.officer(held.caller.clone(), &mandate(), subjects, &word).map(drop)
    }),
    ("report_of_officer", |held| {
        let line = ReportedUse { number: Some(1_000 + held.number), ..line(held) };
        held.city.app.report_of_officer(held.caller.clone(), &line, "desk 9").map(drop)
    }),
    ("report", |held| held.city.app.report(held.caller.clone(), &line(held)).map(drop)),
    ("hear_source", |held| held.city.app.hear_source(held.caller.clone(), &mandate(), held.number, false).map(drop)),
    ("deletion_notices", |held| held.city.app.deletion_notices(held.caller.clone()).map(drop)),
    ("answer_deletion", |held| held.city.app.answer_deletion(held.caller.clone(), &held.notice, Answer::Deleted)),
    ("give_back", |held| held.city.app.give_back(held.caller.clone(), &held.authorization).map(|is_ended| assert!(is_ended))),
    ("change_stream", |held| held.city.app.change_stream(held.caller.clone(), &held.stream, polled()).map(drop)),
    ("set_stream_status", |held| {
        held.city.app.set_stream_status(held.caller.clone(), &held.stream, Status::Enabled, None).map(drop)
    }),
    ("verify_stream", |held| held.city.app.verify_stream(held.caller.clone(), &held.stream, None)),
    ("waiting_events", |held| held.city.app.waiting_events(held.caller.clone(), &held.stream, 10).map(drop)),
    ("acknowledge_events", |held| {
        held.city.app.acknowledge_events(held.caller.clone(), &held.stream, vec!["evt_unknown".to_owned()])
    }),
    ("delete_stream", |held| held.city.app.delete_stream(held.caller.clone(), &held.stream)),
    ("create_stream", |held| held.city.app.create_stream(held.caller.clone(), polled()).map(drop)),
];

/// Everything that is asked about a resident by a token.
const ASKED_BY_TOKEN: [&str; 5] = ["convert_by", "deposit_by", "find_usage_by", "release_batch_by", "release_by"];

#[test]
fn every_use_case_that_takes_a_token_is_among_them() {
    let known: BTreeSet<String> = OWN_CALLS.iter().map(|(name, _)| *name).chain(ASKED_BY_TOKEN).map(str::to_owned).collect();
    assert_eq!(takers(&["HeldToken", "OwnCaller"]), known);
}

#[test]
fn every_use_case_that_takes_a_session_is_among_them() {
    let known: BTreeSet<String> = CALLS.iter().map(|(name, _)| *name).chain(HARMLESS).map(str::to_owned).collect();
    assert_eq!(takers(&["OpenSession", "Actor"]), known);
}

/// What they do is in `supervision.rs`, where there is a vendor.
#[test]
fn every_use_case_that_takes_a_session_at_a_desk_is_known() {
    let known: BTreeSet<String> = ["answer_vendor_deletion", "vendor_deletions"].map(str::to_owned).into();
    assert_eq!(takers(&["DeskSession"]), known);
}

/// The public functions that take one of these types, by what the sources say.
fn takers(types: &[&str]) -> BTreeSet<String> {
    let mut takers = BTreeSet::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            for part in std::fs::read_to_string(path).unwrap().split("pub fn ").skip(1) {
                let arguments = part.split(" {").next().unwrap().split("->").next().unwrap();
                if types.iter().any(|name| arguments.contains(name)) {
                    takers.insert(part.split(['(', '<']).next().unwrap().to_owned());
                }
            }
        }
    }
    takers
}

fn id(service: &str) -> ServiceId {
    service.parse().unwrap()
}

fn short() -> MandateId {
    SHORT.parse().unwrap()
}

fn passkey(city: &City, resident: u64, name: &str) -> Passkey {
    Passkey {
        credential: format!("{resident}/{name}").into_bytes(),
        resident,
        passkey: "{}".into(),
        label: name.into(),
        added_at: city.app.now(),
        used_at: None,
    }
}

fn first(session: &OpenSession) -> Vec<u8> {
    format!("{}/first", session.resident).into_bytes()
}

fn sign_in(scope: &[&str]) -> AuthorizeRequest {
    AuthorizeRequest {
        service: service(),
        redirect_uri: CALLBACK.to_owned(),
        scope: std::iter::once("openid").chain(scope.iter().copied()).map(str::to_owned).collect(),
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Create,
        pushed: None,
        agreed: scope.iter().filter_map(|word| word.parse().ok()).collect(),
    }
}

fn case(city: &City) -> CaseId {
    CaseId::fresh(city.app.now(), city.app.rng())
}

fn question() -> CaseRequest {
    CaseRequest::new(About::Service(service()), CaseKind::Challenge, "")
}

/// The city once what she said under the mandate stands in this state.
fn in_state<'a>(held: &Held<'a>, state: GrantState) -> &'a City {
    let (db, number) = (held.city.app.db(), held.city.app.register().mandates[&mandate()].number);
    let mut stored = db.read(|conn| grants::find(conn, held.session.resident, number)).unwrap().unwrap();
    stored.grant.state = state;
    db.transaction("put in state", move |tx| grants::put(tx, &stored)).unwrap();
    held.city
}

fn helper(city: &City) -> NewHelper {
    NewHelper {
        helper_called: "daughter".into(),
        person_called: "mother".into(),
        powers: [Power::Cases].into_iter().collect(),
        ends_at: city.app.now().plus(DAY),
    }
}

fn wrap() -> Wrap {
    let mut bytes = [0; 1 + 12 + FOOTPRINT_KEYS_LEN + 16];
    bytes[0] = 1;
    Wrap::parse(&bytes).unwrap()
}

fn own_codes() -> Vec<(usufruct_core::Digest, Wrap)> {
    (0..10_u8).map(|n| (sha256(&[n]), wrap())).collect()
}

fn session(city: &City, resident: u64) -> OpenSession {
    city.app.session(&city.app.open_session(resident, "test").unwrap()).unwrap().unwrap()
}

/// A resident with a passkey, a certificate card, a consent, and a session just opened.
fn held<'a>(city: &'a City, trust: &Trust, serial: u64) -> Held<'a> {
    let resident = city.enrol(1)[0];
    let code = city.app.invite(resident, None).unwrap();
    city.app.redeem(&code, &passkey(city, resident, "first"), Earlier::Keep).unwrap();
    city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
    let session = session(city, resident);
    let registered = trust.proven(&city.app, &trust.state.card("holder", 2 * serial));
    city.app.add_certificate_card(&session, &registered, "hers").unwrap();
    let card = city.app.certificate_cards(resident).unwrap().remove(0).name;
    let proven = trust.proven(&city.app, &trust.state.card("holder", 2 * serial + 1));
    Held { city, session, proven, card }
}

fn is_ended<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { what, .. }) if what == "This session has ended.")
}

fn every_call_does_its_work_in_an_open_session(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    for (serial, (name, call)) in (1..).zip(CALLS) {
        let outcome = call(&held(&city, &trust, serial));
        assert!(!is_ended(&outcome) && !matches!(outcome, Err(Error::NotFresh | Error::NotGiven)), "{name}: {outcome:?}");
    }
}

fn a_session_that_ended_does_nothing_more(dir: &Path, url: Option<&str>) {
    let (city, trust) = (City::found(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let freeze = |resident: u64, _: &str| city.app.freeze(resident).unwrap();
    let sign_out = |resident: u64, _: &str| {
        city.app.sign_out_everywhere(resident).unwrap();
    };
    let recover = |resident: u64, code: &str| {
        let invitation = city.app.recover(code).unwrap();
        city.app.redeem(&invitation, &passkey(&city, resident, "new"), Earlier::Remove).unwrap();
    };
    let ends: [End<'_, str>; 3] = [("frozen", &freeze), ("recovered", &recover), ("signed out", &sign_out)];
    for (serial, (end, apply)) in (100..).zip(ends) {
        let held = held(&city, &trust, serial);
        let resident = held.session.resident;
        let codes = city.app.make_recovery_codes(&held.session).unwrap();
        apply(resident, &codes[0]);
        let seen = || (city.app.footprint(resident).unwrap().lines.len(), city.app.passkeys(resident).unwrap().len());
        let before = seen();
        for (name, call) in CALLS {
            let outcome = call(&held);
            // The card went with the recovery, before anybody looks at a session.
            let is_gone = name == "remove_certificate_card" && matches!(outcome, Err(Error::Unknown { .. }));
            assert!(is_ended(&outcome) || (end == "recovered" && is_gone), "{name}, {end}: {outcome:?}");
            assert_eq!(seen(), before, "{name}, {end}");
        }
    }
}

fn a_passkey_shown_too_long_ago_deletes_no_pass(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let session = session(&city, city.enrol(1)[0]);
    let proven = session.proven(city.app.now()).unwrap();
    city.clock.advance(5 * MINUTE + SECOND);
    assert!(matches!(city.app.delete_resident(proven), Err(Error::NotFresh)));
    assert!(matches!(session.proven(city.app.now()), Err(Error::NotFresh)));
    city.app.correct(session.herself().unwrap(), &block("district"), "Hill").unwrap();
}

fn found(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service(SECOND_SERVICE, LIBRARY, "second");
    let mut body = library_card();
    body["operations"] = json!(["disclose", "store", "deposit", "match"]);
    body["conversions"] = json!([{"from": SERVICE, "to": SECOND_SERVICE, "why": text("Readers enter without a ticket.")}]);
    city.publish_mandate(SHORT, body);
    city
}

/// She signs in to the library, which gets a token that is good for data.
fn tokens(city: &City, resident: u64) -> Tokens {
    let session = session(city, resident);
    let code = city.app.authorize(&session, &sign_in(&[SHORT])).unwrap();
    let exchange = Exchange {
        service: service(),
        code,
        redirect_uri: CALLBACK.to_owned(),
        verifier: None,
        jkt: Some("key".to_owned()),
        presented: Vec::new(),
    };
    city.app.exchange(&exchange).unwrap()
}

/// The token as it is held once the caller was looked up; the proof is called `name`.
fn held_token(city: &City, tokens: &Tokens, name: &str) -> HeldToken {
    let proof = Presented::possession("key", name, city.app.now().plus(HOUR));
    let bearing = Bearing { access_token: tokens.access_token.clone(), possession: Some(("key".to_owned(), proof)) };
    match city.app.data_caller(&bearing).unwrap() {
        Some(DataBearer::Asks(caller)) => caller.token,
        other => panic!("{other:?}"),
    }
}

/// What comes of everything that can be asked about her by the token.
fn asked(city: &City, subject: &str, token: &HeldToken) -> [Result<(), Error>; 5] {
    let release = ReleaseRequest { mandate: short(), ..city.request(subject) };
    let batch = BatchRequest {
        service: service(),
        mandate: short(),
        subjects: vec![subject.to_owned()],
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    };
    let deposit = DepositRequest {
        service: service(),
        mandate: short(),
        subject: subject.to_owned(),
        block: block("name"),
        value: "A visit".into(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    let conversion = ConversionBatch {
        service: service(),
        to: id(SECOND_SERVICE),
        mandate: short(),
        subjects: vec![subject.to_owned()],
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    let reading = UsageRequest {
        service: service(),
        mandate: short(),
        subject: subject.to_owned(),
        sign_in: None,
        from: None,
        until: None,
        offset: 0,
        limit: 1,
    };
    let read = match city.app.find_usage_by(&reading, token) {
        // The mandate lends no footprint; that is decided, and logged, by a token that is good.
        Err(Error::Unpermitted(_)) => Ok(()),
        outcome => outcome.map(drop),
    };
    [
        read,
        city.app.release_by(&release, token).map(drop),
        city.app.release_batch_by(&batch, token).unwrap().lines.remove(0).outcome.map(drop),
        city.app.deposit_by(&deposit, token).map(drop),
        city.app.convert_by(&conversion, token).unwrap().lines.remove(0).outcome.map(drop),
    ]
}

fn a_token_that_ended_does_nothing_more(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let revoke = |_: u64, tokens: &Tokens| city.app.revoke(&service(), &tokens.access_token, Vec::new()).unwrap();
    let sign_out = |resident: u64, _: &Tokens| {
        city.app.sign_out_everywhere(resident).unwrap();
    };
    let expire = |_: u64, _: &Tokens| city.clock.advance(HOUR);
    let ends: [End<'_, Tokens>; 3] = [("revoked", &revoke), ("signed out", &sign_out), ("expired", &expire)];
    for (end, apply) in ends {
        let resident = city.enrol(1)[0];
        city.app.consent(resident, &service(), &short(), &[]).unwrap();
        let tokens = tokens(&city, resident);
        let token = held_token(&city, &tokens, end);
        for outcome in asked(&city, &tokens.subject, &token) {
            outcome.unwrap();
        }
        apply(resident, &tokens);
        let before = city.app.footprint(resident).unwrap().lines.len();
        for (n, outcome) in asked(&city, &tokens.subject, &token).into_iter().enumerate() {
            assert!(matches!(outcome, Err(Error::Unborne)), "{n}, {end}: {outcome:?}");
        }
        assert_eq!(city.app.footprint(resident).unwrap().lines.len(), before, "nothing was decided, {end}");
    }
}

fn polled() -> StreamRequest {
    StreamRequest { endpoint: None, authorization_header: None, events: None, description: None }
}

fn line(held: &HeldOwn<'_>) -> ReportedUse {
    ReportedUse {
        mandate: mandate(),
        number: Some(held.number),
        operation: None,
        subject: held.subject.clone(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        happened_at: held.city.app.now(),
        third_party: false,
    }
}

/// A fresh token of the service's own, as it is held once the caller was looked up; and the token as it is sent.
fn own_caller(city: &City, name: &str) -> (OwnCaller, String) {
    let grant = city.app.client_token(&service(), "release ssf.manage", Some("key".to_owned()), Vec::new()).wait().unwrap();
    let proof = Presented::possession("key", name, city.app.now().plus(HOUR));
    let bearing = Bearing { access_token: grant.access_token.clone(), possession: Some(("key".to_owned(), proof)) };
    let (service, _, token) = city.app.own_held_token(&bearing).unwrap().unwrap();
    (OwnCaller::from((service, token)), grant.access_token)
}

/// A service that can call about everything, at the `number`th time.
fn held_own<'a>(city: &'a City, caller: OwnCaller, number: u64) -> HeldOwn<'a> {
    let (leaver, left) = city.cardholder();
    city.app.release(&city.request(&left)).unwrap();
    city.app.withdraw(leaver, &mandate()).unwrap();
    let notice = city.app.deletion_notices(&service()).unwrap().remove(0).id;
    let (_, subject) = city.cardholder();
    let resident = city.enrol(1)[0];
    city.app.consent(resident, &service(), &short(), &[]).unwrap();
    let authorization = tokens(city, resident).grant_id.unwrap();
    let stream = city.app.stream(&service()).unwrap().unwrap().id;
    HeldOwn { city, caller, stream, subject, authorization, notice, number }
}

fn a_service_does_nothing_more_by_a_token_that_ended(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    city.app.create_stream(&service(), polled()).unwrap();
    let revoke = |token: &str| city.app.revoke(&service(), token, Vec::new()).unwrap();
    let expire = |_: &str| city.clock.advance(HOUR);
    let revoke: &dyn Fn(&str) = &revoke;
    for (number, (end, apply)) in (1..).zip([("revoked", revoke), ("expired", &expire)]) {
        let (caller, token) = own_caller(&city, end);
        let mut held = held_own(&city, caller, number);
        apply(&token);
        for (name, call) in OWN_CALLS {
            let outcome = call(&held);
            assert!(matches!(outcome, Err(Error::Unborne)), "{name}, {end}: {outcome:?}");
        }
        // Nothing of it was done: by a token that is good, all of it is still there to do.
        held.caller = own_caller(&city, &format!("{end}, anew")).0;
        for (name, call) in OWN_CALLS {
            call(&held).unwrap_or_else(|error| panic!("{name}, {end}: {error}"));
        }
    }
}
