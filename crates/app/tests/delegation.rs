//! Helpers and guardians, on both databases: what was given and no more, in the footprints of both, and an end that is one.

use std::path::Path;

use crate::common;
use crate::common::{CARD, City, OPERATOR, mandate, service};
use usufruct_app::store::db::Connection;
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::{
    About, Approved, AuthorizeRequest, CaseRequest, DelegationView, Earlier, Error, Exchange, GrantManagement, Guardianship,
    NewHelper, OpenSession, Refresh, Tokens, guardian_message,
};
use usufruct_core::Time;
use usufruct_core::case::CaseKind;
use usufruct_core::delegation::{Power, Powers};
use usufruct_core::event::Kind;
use usufruct_core::means::Means;
use usufruct_core::time::{DAY, HOUR, MINUTE, SECOND};

common::on_both!(
    a_code_is_taken_up_once_and_by_somebody_else,
    a_guardian_is_set_up_and_ended_by_two_clerks,
    a_helper_acts_on_the_persons_rights_and_both_see_it,
    a_person_ends_a_guardianship_with_her_own_passkey,
    a_service_meets_the_person_and_learns_nothing_of_the_helper,
    help_is_renewed_for_a_year_at_most,
    help_that_is_to_end_sooner_ends_refreshed_tokens_sooner,
    nothing_is_done_that_was_not_given,
    the_end_of_help_is_at_once_whatever_ends_it,
    the_last_day_ends_tokens_too,
    what_acts_for_somebody_works_in_one_session_only,
);

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

/// A resident with two passkeys, and her session.
fn enrolled(city: &City) -> OpenSession {
    let resident = city.enrol(1)[0];
    let code = city.app.invite(resident, None).unwrap();
    city.app.redeem(&code, &passkey(city, resident, "first"), Earlier::Keep).unwrap();
    let session = signed_in(city, resident);
    city.app.add_passkey(&session, &passkey(city, resident, "second")).unwrap();
    session
}

fn signed_in(city: &City, resident: u64) -> OpenSession {
    let token = city.app.open_session(resident, "test").unwrap();
    city.app.session(&token).unwrap().unwrap()
}

fn new_helper(city: &City, powers: &[Power]) -> NewHelper {
    NewHelper {
        helper_called: "my daughter".into(),
        person_called: "mother".into(),
        powers: powers.iter().copied().collect(),
        ends_at: city.app.now().plus(300 * DAY),
    }
}

/// Who helps whom, and the helper as she acts.
struct Help {
    person: OpenSession,
    helper: OpenSession,
    id: String,
    token: String,
    acting: OpenSession,
}

fn help(city: &City, powers: &[Power]) -> Help {
    let (person, helper) = (enrolled(city), enrolled(city));
    let code = city.app.give_help(&person, &new_helper(city, powers)).unwrap();
    city.app.take_up_help(&helper, &code).unwrap();
    let id = only(city, &helper).id;
    let token = city.app.begin_acting(&helper, &id).unwrap();
    let acting = city.app.acting(&helper, &token).unwrap().unwrap();
    Help { person, helper, id, token, acting }
}

fn only(city: &City, session: &OpenSession) -> DelegationView {
    let mut all = city.app.delegations(session).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Kind, reason, detail and other person of the lines in a footprint that have to do with a delegation, oldest first.
fn lines(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    let about = events.filter(|event| event.kind == Kind::Delegation || event.other.is_some());
    about
        .map(|event| {
            let detail = event.detail.filter(|_| event.kind == Kind::Delegation).unwrap_or_default();
            let words = [event.kind.code(), &event.reason, &detail, event.other.as_deref().unwrap_or_default()];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("/")
        })
        .collect()
}

fn request() -> AuthorizeRequest {
    AuthorizeRequest {
        service: service(),
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

fn exchange(city: &City, code: String) -> Result<Tokens, Error> {
    city.app.exchange(&Exchange {
        service: service(),
        code,
        redirect_uri: request().redirect_uri,
        verifier: None,
        jkt: Some("key".into()),
        presented: Vec::new(),
    })
}

fn refresh(city: &City, refresh_token: &str) -> Result<Tokens, Error> {
    let refresh_token = refresh_token.to_owned();
    city.app.refresh(&Refresh { service: service(), refresh_token, scope: None, jkt: Some("key".into()), presented: Vec::new() })
}

/// The tokens that the library gets when this session signs in there.
fn tokens(city: &City, session: &OpenSession) -> Tokens {
    exchange(city, city.app.authorize(session, &request()).unwrap()).unwrap()
}

fn lives(city: &City, access_token: &str) -> bool {
    city.app.introspect(access_token, Vec::new()).unwrap().is_some()
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

fn is_not_given<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::NotGiven))
}

fn a_helper_acts_on_the_persons_rights_and_both_see_it(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, helper, acting, .. } = help(&city, &Power::ALL);
    assert_eq!((acting.person(), acting.resident), (person.resident, helper.resident));
    assert_eq!(acting.acting.as_ref().unwrap().called, "mother");
    assert_ne!(acting.form_token, helper.form_token);

    for _ in 0..2 {
        assert_eq!(city.app.look(&acting, Power::Footprint).unwrap(), person.resident, "and it stands there once");
    }
    city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[]).unwrap();
    city.app.authorize(&acting, &request()).unwrap();
    let about = CaseRequest::new(About::Line(0), CaseKind::Challenge, "Not so.");
    city.app.file_case(acting.actor(&[Power::Footprint, Power::Cases]).unwrap(), &about).unwrap();
    city.app.withdraw(acting.actor(&[Power::Consents]).unwrap(), &mandate()).unwrap();

    // The rights are the person's.
    assert_eq!(city.app.cases(person.resident).unwrap().len(), 1);
    assert_eq!(city.app.grants(person.resident).unwrap().len(), 1);
    assert!(city.app.grants(helper.resident).unwrap().is_empty() && city.app.cases(helper.resident).unwrap().is_empty());
    assert_eq!(
        lines(&city, person.resident),
        [
            "delegation/helper-given/footprint consents cases sign-in/my daughter",
            "delegation/helper-taken-up/footprint consents cases sign-in/my daughter",
            "delegation/looked/footprint/my daughter",
            "consent/consent/my daughter",
            "sign-in/sign-in/my daughter",
            "objection/objection/my daughter",
            "withdrawal/withdrawal/my daughter",
        ]
    );
    assert_eq!(
        lines(&city, helper.resident),
        [
            "delegation/helping-taken-up/footprint consents cases sign-in/mother",
            "delegation/did/footprint/mother",
            "delegation/did/consent/mother",
            "delegation/did/sign-in/mother",
            "delegation/did/objection/mother",
            "delegation/did/withdrawal/mother",
        ]
    );
    // What one does for herself is no line of the other's.
    let before = lines(&city, person.resident).len();
    city.app.consent(helper.resident, &service(), &mandate(), &[]).unwrap();
    assert_eq!(lines(&city, person.resident).len(), before);
    assert_eq!(lines(&city, helper.resident).len(), 6);
    // Neither footprint, nor any row about delegations, has a word in clear.
    let stored = city.app.db().read(|conn| conn.query("-- test\nSELECT delegate_called, person_called FROM delegations", &[]));
    for row in stored.unwrap() {
        for (column, word) in [(0, "my daughter"), (1, "mother")] {
            let sealed = row.bytes(column).unwrap();
            assert!(!sealed.windows(word.len()).any(|part| part == word.as_bytes()));
        }
    }
}

fn nothing_is_done_that_was_not_given(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, helper, id, acting, .. } = help(&city, &[Power::Footprint]);
    city.app.consent(person.resident, &service(), &mandate(), &[]).unwrap();
    let before = (lines(&city, person.resident), lines(&city, helper.resident));
    for power in [Power::Consents, Power::Cases, Power::SignIn] {
        assert!(is_not_given(acting.actor(&[power])), "{power:?}");
        assert!(is_not_given(city.app.look(&acting, power)), "{power:?}");
    }
    assert!(is_not_given(acting.actor(&[Power::Footprint, Power::Cases])), "one of two is not both");
    assert!(is_not_given(city.app.authorize(&acting, &request())));

    // Never to be given: devices, codes, further delegation, lifting a freeze. The proof is the helper's own and counts for nothing here.
    assert!(!acting.is_fresh(city.app.now()) && helper.is_fresh(city.app.now()));
    assert!(matches!(city.app.make_recovery_codes(&acting), Err(Error::NotFresh)));
    assert!(matches!(city.app.add_passkey(&acting, &passkey(&city, person.resident, "hers")), Err(Error::NotFresh)));
    assert!(matches!(
        city.app.remove_passkey(&acting, &passkey(&city, person.resident, "first").credential),
        Err(Error::NotFresh)
    ));
    assert!(matches!(city.app.lift_freeze(&acting), Err(Error::NotFresh)));
    assert!(is_not_given(city.app.give_help(&acting, &new_helper(&city, &Power::ALL))));
    assert!(is_not_given(city.app.renew_help(&acting, &id, city.app.now().plus(DAY))));
    assert!(is_not_given(city.app.end_delegation(&acting, &id)));
    assert!(is_not_given(city.app.delegations(&acting)));
    assert!(is_not_given(city.app.begin_acting(&acting, &id)), "no chain");
    assert_eq!((lines(&city, person.resident), lines(&city, helper.resident)), before, "and nothing has happened");

    // Wider powers in what the helper holds do not help: the row decides, inside the transaction.
    let wide = help(&city, &Power::ALL);
    let actor = wide.acting.actor(&[Power::Consents]).unwrap();
    let narrowed = wide.id.clone();
    city.app
        .db()
        .transaction("narrow", move |tx| {
            let sql = "-- test\nUPDATE delegations SET powers = 'footprint' WHERE delegation_id = $1";
            tx.execute(sql, &[narrowed.as_str().into()])
        })
        .unwrap();
    assert!(is_not_given(city.app.consent(actor, &service(), &mandate(), &[])));
    assert!(city.app.grants(wide.person.resident).unwrap().is_empty());

    // A stranger can neither use nor end it; the helper cannot renew it.
    let stranger = enrolled(&city);
    assert!(matches!(city.app.begin_acting(&stranger, &id), Err(Error::Unknown { .. })));
    assert!(matches!(city.app.end_delegation(&stranger, &id), Err(Error::Unknown { .. })));
    assert!(matches!(city.app.renew_help(&helper, &id, city.app.now().plus(DAY)), Err(Error::Unknown { .. })));
    assert!(matches!(city.app.begin_acting(&person, &id), Err(Error::Unknown { .. })));
}

fn a_code_is_taken_up_once_and_by_somebody_else(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (person, helper, third) = (enrolled(&city), enrolled(&city), enrolled(&city));
    let give = |new: &NewHelper| city.app.give_help(&person, new);
    let good = new_helper(&city, &[Power::Cases]);
    assert!(is_refused(give(&new_helper(&city, &[]))), "nothing given");
    assert!(is_refused(give(&NewHelper { ends_at: city.app.now().plus(366 * DAY), ..good.clone() })), "more than a year");
    assert!(is_refused(give(&NewHelper { ends_at: city.app.now(), ..good.clone() })), "over already");
    for word in ["", "   ", "two\nlines", &"x".repeat(41)] {
        assert!(is_refused(give(&NewHelper { helper_called: word.into(), ..good.clone() })), "{word:?}");
        assert!(is_refused(give(&NewHelper { person_called: word.into(), ..good.clone() })), "{word:?}");
    }
    let code = give(&good).unwrap();
    assert_eq!(code.len(), 24, "100 bits");
    assert!(is_refused(city.app.take_up_help(&person, &code)), "not by herself");
    assert!(is_refused(city.app.offered_help(&helper, "ABCD-EFGH-JKLM-NPQR-STUV")));
    let offer = city.app.offered_help(&helper, &code.to_lowercase().replace('-', " ")).unwrap();
    assert_eq!((offer.person_called.as_str(), offer.powers), ("mother", Powers::from_iter([Power::Cases])));
    assert!(only(&city, &person).taken_at.is_none());
    city.app.take_up_help(&helper, &code).unwrap();
    assert!(is_refused(city.app.take_up_help(&third, &code)), "once");
    let words = |code: &str| city.app.take_up_help(&third, code).unwrap_err().to_string();
    assert_eq!(words(&code), words("ABCD-EFGH-JKLM-NPQR-STUV"), "a used code and one that never was are alike");

    // Both sides need a passkey that was just shown.
    city.clock.advance(5 * MINUTE + SECOND);
    assert!(matches!(give(&good), Err(Error::NotFresh)));
    assert!(matches!(city.app.take_up_help(&helper, &code), Err(Error::NotFresh)));
    let again = |session: &OpenSession| signed_in(&city, session.resident);
    let code = city.app.give_help(&again(&person), &good).unwrap();
    city.clock.advance(7 * DAY);
    assert!(is_refused(city.app.take_up_help(&again(&third), &code)), "it has lapsed");
    city.app.sweep().unwrap();
    assert_eq!(lines(&city, person.resident).last().unwrap(), "delegation/helper-ended/date/my daughter");
    assert_eq!(city.app.delegations(&again(&person)).unwrap().len(), 1, "the one that was taken up goes on");

    // Ten at once, and no more.
    for _ in 0..9 {
        city.app.give_help(&again(&person), &good).unwrap();
    }
    assert!(is_refused(city.app.give_help(&again(&person), &good)));
    // Who paused or froze her pass gives nothing, and what waits is not taken up.
    let open = city.app.give_help(&again(&helper), &good).unwrap();
    city.app.set_active(helper.resident, usufruct_app::store::residents::ResidentState::Deactivated).unwrap();
    assert!(is_refused(city.app.take_up_help(&again(&third), &open)));
    assert!(is_refused(city.app.give_help(&again(&helper), &good)));
}

fn a_service_meets_the_person_and_learns_nothing_of_the_helper(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, helper, acting, .. } = help(&city, &[Power::SignIn]);
    assert!(matches!(city.app.authorize(&acting, &request()), Err(Error::Unpermitted(_))), "agreeing was not given");
    for resident in [person.resident, helper.resident] {
        city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
    }
    let own = tokens(&city, &person);
    city.clock.advance(MINUTE);
    let by_helper = tokens(&city, &acting);
    let helpers_own = tokens(&city, &helper);
    assert_eq!(own.subject, by_helper.subject, "the pseudonym is the person's");
    assert_ne!(helpers_own.subject, by_helper.subject);
    assert_ne!(helpers_own.auth_time, by_helper.auth_time, "no time joins the two");
    assert_eq!(by_helper.means, Means::Delegate, "no passkey of the person was shown");
    assert_eq!((by_helper.means.acr(), by_helper.means.amr().len()), ("urn:usufruct:acr:none", 0));
    assert_eq!(Means::from_acr("urn:usufruct:acr:none"), None, "nobody asks for it");
    assert!(Means::Delegate < Means::Card);
    let sids = [&own.sid, &by_helper.sid, &helpers_own.sid];
    assert_eq!(
        sids.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "the helper's own session has another name there"
    );
    let found = city.app.introspect(&by_helper.access_token, Vec::new()).unwrap().unwrap();
    assert_eq!((found.subject, found.means), (Some(own.subject), Means::Delegate));

    // The end of acting ends that session and none of the helper's own.
    city.app.stop_acting(&acting).unwrap();
    assert!(is_not_given(city.app.authorize(&acting, &request())));
    assert!(city.app.authorize(&helper, &request()).is_ok());
}

fn what_acts_for_somebody_works_in_one_session_only(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, helper, id, token, acting } = help(&city, &Power::ALL);
    assert!(city.app.session(&token).unwrap().is_none(), "it is no session of its own");
    let elsewhere = signed_in(&city, helper.resident);
    let stranger = enrolled(&city);
    for other in [&elsewhere, &stranger, &person, &acting] {
        assert!(city.app.acting(other, &token).unwrap().is_none(), "planted in another browser it opens nothing");
    }
    assert_eq!(city.app.sessions(&helper).unwrap().len(), 2, "and it is in no list");
    assert_eq!(city.app.session_count(helper.resident).unwrap(), 2);

    let second = city.app.begin_acting(&helper, &id).unwrap();
    assert!(city.app.acting(&helper, &token).unwrap().is_none(), "one at a time");
    assert!(city.app.acting(&helper, &second).unwrap().is_some());
    // A card opens little, and acting is not part of it.
    let by_card = city.app.open_session_by(helper.resident, "kiosk", Means::Card).unwrap();
    let by_card = city.app.session(&by_card).unwrap().unwrap();
    assert!(is_not_given(city.app.begin_acting(&by_card, &id)));
    // With the session of the helper everything ends that hung on it.
    city.app.close_session(&helper).unwrap();
    assert!(city.app.acting(&helper, &second).unwrap().is_none());
    assert!(is_not_given(city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[])));
    // And half an hour without a request ends it too.
    let idle = city.app.begin_acting(&elsewhere, &id).unwrap();
    city.clock.advance(31 * MINUTE);
    assert!(city.app.acting(&elsewhere, &idle).unwrap().is_none());
    city.app.sweep().unwrap();
    let left = city.app.db().read(|conn| conn.query("-- test\nSELECT 1 FROM sessions WHERE parent IS NOT NULL", &[]));
    assert!(left.unwrap().is_empty());
}

fn the_end_of_help_is_at_once_whatever_ends_it(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    type Step = fn(&City, &Help);
    let causes: [(&str, Step); 8] = [
        ("person", |city, help| city.app.end_delegation(&help.person, &help.id).unwrap()),
        ("delegate", |city, help| city.app.end_delegation(&help.helper, &help.id).unwrap()),
        ("freeze", |city, help| city.app.freeze(help.person.resident).unwrap()),
        ("freeze", |city, help| city.app.freeze(help.helper.resident).unwrap()),
        ("passkey", |city, help| {
            let lost = passkey(city, help.person.resident, "first").credential;
            city.app.remove_passkey(&help.person, &lost).unwrap();
        }),
        ("passkey", |city, help| {
            let lost = passkey(city, help.helper.resident, "first").credential;
            city.app.remove_passkey(&help.helper, &lost).unwrap();
        }),
        ("erasure", |city, help| drop(city.app.delete_resident(help.person.resident).unwrap())),
        ("erasure", |city, help| drop(city.app.delete_resident(help.helper.resident).unwrap())),
    ];
    for (at, (cause, step)) in causes.into_iter().enumerate() {
        let help = help(&city, &Power::ALL);
        city.app.consent(help.person.resident, &service(), &mandate(), &[]).unwrap();
        let tokens = tokens(&city, &help.acting);
        let unused = city.app.authorize(&help.acting, &request()).unwrap();
        assert!(lives(&city, &tokens.access_token) && tokens.refresh_token.is_some());
        step(&city, &help);
        let what = format!("{cause} {at}");
        assert!(!lives(&city, &tokens.access_token), "{what}");
        assert!(refresh(&city, &tokens.refresh_token.unwrap()).is_err(), "{what}");
        assert!(exchange(&city, unused).is_err(), "{what}");
        assert!(city.app.acting(&help.helper, &help.token).unwrap().is_none(), "{what}");
        assert!(city.app.begin_acting(&help.helper, &help.id).is_err(), "{what}");
        // Who kept hold of what she had before gets nowhere.
        let actor = || help.acting.actor(&[Power::Consents]).unwrap();
        assert!(is_not_given(city.app.withdraw(actor(), &mandate())) || cause == "erasure", "{what}");
        assert!(city.app.consent(actor(), &service(), &mandate(), &[]).is_err(), "{what}");
        assert!(city.app.look(&help.acting, Power::Cases).is_err(), "{what}");
        for (session, line) in [(&help.person, "helper-ended"), (&help.helper, "helping-ended")] {
            let Ok(footprint) = city.app.footprint(session.resident) else { continue };
            if footprint.lines.is_empty() {
                continue;
            }
            let told = lines(&city, session.resident).last().unwrap().clone();
            assert!(told.starts_with(&format!("delegation/{line}/{cause}/")), "{what}: {told}");
        }
        let left = city.app.db().read(|conn| {
            conn.query("-- test\nSELECT delegation_id FROM delegations UNION SELECT delegation_id FROM delegated_codes", &[])
        });
        assert!(left.unwrap().is_empty(), "{what}");
    }
    // All passkeys replaced at a counter is the same as one removed.
    let help = help(&city, &Power::ALL);
    let id = city.app.begin_counter_request(help.person.resident, usufruct_app::Way::Passkey).unwrap();
    let message = usufruct_app::counter_message("city.test/log", &id, help.person.resident, usufruct_app::Way::Passkey);
    for clerk in city.signer(OPERATOR) {
        city.app.approve_counter_request(&id, &clerk.approve(&message)).unwrap();
    }
    let code = city.app.invite(help.person.resident, Some(&id)).unwrap();
    city.app.redeem(&code, &passkey(&city, help.person.resident, "new"), Earlier::Remove).unwrap();
    assert!(city.app.acting(&help.helper, &help.token).unwrap().is_none());
    // Signing out everywhere closes what acts for her, and the help itself stays.
    let help = self::help(&city, &Power::ALL);
    city.app.sign_out_everywhere(help.person.resident).unwrap();
    assert!(city.app.acting(&help.helper, &help.token).unwrap().is_none());
    assert!(city.app.begin_acting(&help.helper, &help.id).is_ok());
    // A pass that is paused is acted for by nobody until it goes on.
    let paused = usufruct_app::store::residents::ResidentState::Deactivated;
    city.app.set_active(help.person.resident, paused).unwrap();
    assert!(is_not_given(city.app.begin_acting(&help.helper, &help.id)));
}

fn help_that_is_to_end_sooner_ends_refreshed_tokens_sooner(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, id, acting, .. } = help(&city, &Power::ALL);
    city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[]).unwrap();
    let refresh_token = tokens(&city, &acting).refresh_token.unwrap();
    let usual = refresh(&city, &refresh_token).unwrap().expires_in_seconds;
    city.app.renew_help(&person, &id, city.app.now().plus(MINUTE)).unwrap();
    let sooner = refresh(&city, &refresh_token).unwrap();
    assert!(usual > 60 && sooner.expires_in_seconds == 60, "{usual}, {}", sooner.expires_in_seconds);
    city.clock.advance(MINUTE);
    // Before anything has swept.
    assert!(!lives(&city, &sooner.access_token));
    assert!(is_refused(refresh(&city, &refresh_token)));
}

fn the_last_day_ends_tokens_too(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (person, helper) = (enrolled(&city), enrolled(&city));
    let new = NewHelper { ends_at: city.app.now().plus(4 * MINUTE), ..new_helper(&city, &Power::ALL) };
    let code = city.app.give_help(&person, &new).unwrap();
    city.app.take_up_help(&helper, &code).unwrap();
    let id = only(&city, &helper).id;
    let token = city.app.begin_acting(&helper, &id).unwrap();
    let acting = city.app.acting(&helper, &token).unwrap().unwrap();
    city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[]).unwrap();
    let tokens = tokens(&city, &acting);
    assert_eq!(tokens.expires_in_seconds, 240, "an access token lives for 300 seconds otherwise");
    city.clock.advance(3 * MINUTE + 50 * SECOND);
    let again = refresh(&city, tokens.refresh_token.as_deref().unwrap()).unwrap();
    assert_eq!(again.expires_in_seconds, 10);
    let late = city.app.authorize(&acting, &request()).unwrap();
    city.clock.advance(10 * SECOND);
    // Before anything has swept.
    assert!(!lives(&city, &tokens.access_token) && !lives(&city, &again.access_token));
    assert!(refresh(&city, tokens.refresh_token.as_deref().unwrap()).is_err());
    assert!(exchange(&city, late).is_err());
    assert!(city.app.acting(&helper, &token).unwrap().is_none());
    assert!(is_not_given(city.app.withdraw(acting.actor(&[Power::Consents]).unwrap(), &mandate())));
    assert!(city.app.delegations(&helper).unwrap().is_empty() && city.app.delegations(&person).unwrap().is_empty());
    city.app.sweep().unwrap();
    assert_eq!(lines(&city, person.resident).last().unwrap(), "delegation/helper-ended/date/my daughter");
    assert_eq!(lines(&city, helper.resident).last().unwrap(), "delegation/helping-ended/date/mother");
    // Her own consent, given by the helper, is hers and stays.
    assert_eq!(city.app.grants(person.resident).unwrap().len(), 1);
}

fn help_is_renewed_for_a_year_at_most(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let Help { person, helper, id, .. } = help(&city, &[Power::Cases]);
    let in_days = |days: i64| city.app.now().plus(days * DAY);
    assert!(is_refused(city.app.renew_help(&person, &id, in_days(366))));
    city.app.renew_help(&person, &id, in_days(365)).unwrap();
    assert_eq!(only(&city, &helper).ends_at, in_days(365));
    assert_eq!(lines(&city, helper.resident).last().unwrap(), "delegation/helping-renewed/cases/mother");
    city.clock.advance(HOUR);
    assert!(matches!(city.app.renew_help(&person, &id, in_days(10)), Err(Error::NotFresh)));
}

fn ask(city: &City, asked: &Guardianship) -> Result<String, Error> {
    city.app.begin_guardian_request(asked)
}

/// Both clerks sign what they typed.
fn approved(city: &City, asked: &Guardianship) {
    let id = ask(city, asked).unwrap();
    let message = guardian_message("city.test/log", &id, asked);
    let clerks = city.signer(OPERATOR).into_iter();
    let outcomes: Vec<_> =
        clerks.map(|clerk| city.app.approve_guardian_request(&id, &clerk.approve(&message)).unwrap()).collect();
    assert_eq!(outcomes, [Approved::Once, Approved::Twice]);
}

fn a_guardian_is_set_up_and_ended_by_two_clerks(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (child, guardian) = (city.enrol(1)[0], enrolled(&city));
    let until = Some(city.app.now().plus(10 * 365 * DAY));
    let asked = Guardianship { person: child, guardian: guardian.resident, ends_at: until };
    let wrong = |change: fn(&mut Guardianship, Time)| {
        let mut wrong = asked;
        change(&mut wrong, city.app.now());
        ask(&city, &wrong)
    };
    assert!(is_refused(wrong(|wrong, _| wrong.guardian = wrong.person)));
    assert!(is_refused(wrong(|wrong, now| wrong.ends_at = Some(now))));
    assert!(is_refused(wrong(|wrong, now| wrong.ends_at = Some(now.plus(21 * 366 * DAY)))));
    assert!(matches!(wrong(|wrong, _| wrong.person = u64::MAX >> 12), Err(Error::Unknown { .. })));
    assert!(matches!(wrong(|wrong, _| wrong.ends_at = None), Err(Error::Unknown { .. })), "there is none to end");

    // One clerk twice, a signature for another day or for another guardian, or by somebody else, does nothing.
    let id = ask(&city, &asked).unwrap();
    let clerks = city.signer(OPERATOR);
    let message = guardian_message("city.test/log", &id, &asked);
    let longer = Guardianship { ends_at: until.map(|until| until.plus(DAY)), ..asked };
    let other = Guardianship { guardian: enrolled(&city).resident, ..asked };
    assert_eq!(city.app.approve_guardian_request(&id, &clerks[0].approve(&message)).unwrap(), Approved::Once);
    for approval in [
        clerks[0].approve(&message),
        clerks[1].approve(&guardian_message("city.test/log", &id, &longer)),
        clerks[1].approve(&guardian_message("city.test/log", &id, &other)),
        city.signer(common::LIBRARY)[0].approve(&message),
    ] {
        assert!(is_refused(city.app.approve_guardian_request(&id, &approval)));
    }
    // Nor is it a request for a new way in, or the other way round.
    assert!(is_refused(city.app.approve_counter_request(&id, &clerks[1].approve(&message))));
    assert!(is_refused(city.app.invite(guardian.resident, Some(&id))));
    assert!(lines(&city, child).is_empty() && city.app.delegations(&guardian).unwrap().is_empty());
    assert_eq!(city.app.approve_guardian_request(&id, &clerks[1].approve(&message)).unwrap(), Approved::Twice);
    assert!(is_refused(city.app.approve_guardian_request(&id, &clerks[1].approve(&message))), "once");
    assert_eq!(lines(&city, child), ["delegation/guardian-set-up"], "the person sees it before anything is done");
    assert_eq!(lines(&city, guardian.resident), ["delegation/guarding-set-up"]);

    let waiting = only(&city, &guardian);
    assert!(matches!(city.app.begin_acting(&guardian, &waiting.id), Err(Error::Unknown { .. })), "not before she takes it up");
    let stranger = enrolled(&city);
    let take = |session: &OpenSession, called: &str| city.app.take_up_guardianship(session, &waiting.id, called, "father");
    assert!(matches!(take(&stranger, "Bao"), Err(Error::Unknown { .. })));
    assert!(is_refused(take(&guardian, " ")));
    take(&guardian, "Bao").unwrap();
    assert!(matches!(take(&guardian, "Bao"), Err(Error::Unknown { .. })), "once");
    let token = city.app.begin_acting(&guardian, &waiting.id).unwrap();
    let acting = city.app.acting(&guardian, &token).unwrap().unwrap();
    city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[]).unwrap();
    assert_eq!(lines(&city, child).last().unwrap(), "consent/consent/father");
    assert_eq!(lines(&city, guardian.resident).last().unwrap(), "delegation/did/consent/Bao");

    assert!(is_refused(city.app.end_delegation(&guardian, &waiting.id)), "not by the guardian alone");
    // A freeze lets it rest.
    city.app.freeze(guardian.resident).unwrap();
    assert!(is_not_given(city.app.withdraw(acting.actor(&[Power::Consents]).unwrap(), &mandate())));
    let back = signed_in(&city, guardian.resident);
    assert!(city.app.begin_acting(&back, &waiting.id).is_err());
    city.app.lift_freeze(&back).unwrap();
    let back = signed_in(&city, guardian.resident);
    let token = city.app.begin_acting(&back, &waiting.id).unwrap();
    // A later decision gives it another end; a last one ends it.
    approved(&city, &longer);
    assert_eq!(only(&city, &back).ends_at, longer.ends_at.unwrap());
    assert!(city.app.acting(&back, &token).unwrap().is_some());
    approved(&city, &Guardianship { ends_at: None, ..asked });
    assert!(city.app.acting(&back, &token).unwrap().is_none());
    assert_eq!(lines(&city, child).last().unwrap(), "delegation/guardian-ended/counter/father");

    // The day of majority ends it by itself.
    let soon = Guardianship { ends_at: Some(city.app.now().plus(20 * MINUTE)), ..asked };
    approved(&city, &soon);
    let back = signed_in(&city, guardian.resident);
    let id = only(&city, &back).id;
    city.app.take_up_guardianship(&back, &id, "Bao", "father").unwrap();
    let token = city.app.begin_acting(&back, &id).unwrap();
    city.clock.advance(20 * MINUTE);
    assert!(city.app.acting(&back, &token).unwrap().is_none());
    // A clerk has an hour.
    let id = ask(&city, &longer).unwrap();
    city.clock.advance(HOUR);
    let late = clerks[0].approve(&guardian_message("city.test/log", &id, &longer));
    assert!(is_refused(city.app.approve_guardian_request(&id, &late)));
}

fn a_person_ends_a_guardianship_with_her_own_passkey(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (person, guardian) = (enrolled(&city), enrolled(&city));
    let ends_at = Some(city.app.now().plus(100 * DAY));
    approved(&city, &Guardianship { person: person.resident, guardian: guardian.resident, ends_at });
    let id = only(&city, &guardian).id;
    assert!(only(&city, &person).is_given && !only(&city, &guardian).is_given);
    city.app.take_up_guardianship(&guardian, &id, "aunt", "nephew").unwrap();
    let token = city.app.begin_acting(&guardian, &id).unwrap();
    // She can object to what he did, as to any line.
    let acting = city.app.acting(&guardian, &token).unwrap().unwrap();
    city.app.consent(acting.actor(&[Power::Consents]).unwrap(), &service(), &mandate(), &[]).unwrap();
    let line = city.app.footprint(person.resident).unwrap().lines.last().unwrap().n;
    city.app
        .file_case(person.resident, &CaseRequest::new(About::Line(line), CaseKind::Challenge, "I did not want that."))
        .unwrap();

    let by_card = city.app.open_session_by(person.resident, "kiosk", Means::Card).unwrap();
    let by_card = city.app.session(&by_card).unwrap().unwrap();
    assert!(matches!(city.app.end_delegation(&by_card, &id), Err(Error::NotFresh)), "whoever found her card does not");
    // Nor does whoever froze her pass by a code that was found.
    city.app.freeze(person.resident).unwrap();
    assert!(city.app.acting(&guardian, &token).unwrap().is_none());
    let again = signed_in(&city, person.resident);
    city.app.lift_freeze(&again).unwrap();
    assert_eq!(only(&city, &again).id, id);
    city.app.end_delegation(&signed_in(&city, person.resident), &id).unwrap();
    assert!(city.app.delegations(&guardian).unwrap().is_empty());
    assert_eq!(lines(&city, guardian.resident).last().unwrap(), "delegation/guarding-ended/person/aunt");
}
