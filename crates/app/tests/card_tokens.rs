//! What services hold by a card or a passkey ends with it, on both databases, and nothing else does; and a pass that a resident takes back
//! opens to nothing from before.

use std::path::Path;

use crate::authority::Trust;
use crate::common;
use crate::common::{CARD, City, LIBRARY, OPERATOR};
use serde_json::json;
use usufruct_app::store::outbox::Channel;
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::{
    AuthorizeRequest, Bearing, CardAttempt, Credential, CredentialChange, Earlier, Error, Exchange, GrantManagement, Happening,
    OpenSession, Presented, Refresh, StreamRequest, Tokens, Way, counter_message,
};
use usufruct_core::event::Kind;
use usufruct_core::id::ServiceId;
use usufruct_core::means::Means;
use usufruct_core::time::MINUTE;
use zeroize::Zeroizing;

common::on_both!(
    a_session_that_has_ended_issues_nothing_more,
    a_freeze_ends_what_clerks_approved,
    a_card_that_is_revoked_meanwhile_opens_nothing,
    a_certificate_card_takes_along_what_it_opened_alone,
    a_new_card_ends_what_the_one_before_opened,
    a_new_passkey_that_ends_all_before_it_leaves_no_way_in,
    a_pass_that_rests_makes_its_tokens_worth_nothing,
    a_printed_card_takes_along_what_it_opened,
    a_removed_passkey_takes_along_what_it_opened,
    a_thief_without_a_passkey_is_removed_too,
);

const PIN: &str = "204817";
const SIGNALS: &str = "https://desk.example.org/signals";

fn desk() -> ServiceId {
    "svc_desk".parse().unwrap()
}

/// A city with a service that wants to be told.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.open_service_with("svc_desk", LIBRARY, "desk", |body| {
        body["signals_uri"] = json!(SIGNALS);
        body["backchannel_logout_uri"] = json!("https://desk.example.org/logout");
    });
    let told = StreamRequest { endpoint: Some(SIGNALS.to_owned()), authorization_header: None, events: None, description: None };
    city.app.create_stream(&desk(), told).unwrap();
    city
}

fn resident(city: &City) -> u64 {
    let resident = city.enrol(1)[0];
    city.app.consent(resident, &desk(), &CARD.parse().unwrap(), &[]).unwrap();
    resident
}

fn session(city: &City, token: &str) -> OpenSession {
    city.app.session(token).unwrap().unwrap()
}

fn with_passkey(city: &City, resident: u64) -> OpenSession {
    session(city, &city.app.open_session_by(resident, "test", Means::Passkey).unwrap())
}

fn made(city: &City, resident: u64, name: &str) -> Passkey {
    Passkey {
        credential: format!("{resident}/{name}").into_bytes(),
        resident,
        passkey: "{}".into(),
        label: name.into(),
        added_at: city.app.now(),
        used_at: None,
    }
}

/// A resident whose pass began with a passkey.
fn enrolled(city: &City) -> u64 {
    let resident = resident(city);
    let code = city.app.invite(resident, None).unwrap();
    city.app.redeem(&code, &made(city, resident, "first"), Earlier::Keep).unwrap();
    resident
}

/// A request at a counter that two clerks have approved.
fn approved(city: &City, resident: u64, way: Way) -> String {
    let id = city.app.begin_counter_request(resident, way).unwrap();
    for clerk in city.signer(OPERATOR) {
        let message = counter_message("city.test/log", &id, resident, way);
        city.app.approve_counter_request(&id, &clerk.approve(&message)).unwrap();
    }
    id
}

/// The reasons of the status lines in a footprint, oldest first.
fn statuses(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Status).map(|event| event.reason).collect()
}

fn attempt(code: &str) -> CardAttempt {
    CardAttempt { code: code.to_owned(), pin: Zeroizing::new(PIN.to_owned()), device_mark: None }
}

fn with_card(city: &City, code: &str) -> OpenSession {
    session(city, &city.app.sign_in_with_card(&attempt(code), None, "kiosk").unwrap().token)
}

fn code(city: &City, session: &OpenSession) -> String {
    city.app.authorize(session, &request()).unwrap()
}

fn request() -> AuthorizeRequest {
    AuthorizeRequest {
        service: desk(),
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
    let redirect_uri = "http://localhost:8081/callback".to_owned();
    let jkt = Some("key".into());
    city.app.exchange(&Exchange { service: desk(), code, redirect_uri, verifier: None, jkt, presented: Vec::new() })
}

fn tokens(city: &City, session: &OpenSession) -> Tokens {
    exchange(city, code(city, session)).unwrap()
}

fn refresh(city: &City, tokens: &Tokens) -> Result<Tokens, Error> {
    let refresh_token = tokens.refresh_token.clone().unwrap();
    city.app.refresh(&Refresh { service: desk(), refresh_token, scope: None, jkt: Some("key".into()), presented: Vec::new() })
}

fn lives(city: &City, tokens: &Tokens) -> bool {
    city.app.introspect(&tokens.access_token, Vec::new()).unwrap().is_some()
}

fn is_refused<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Refused { .. }))
}

/// What the service was told since it was asked last: sessions that ended, by logout token and by signal, and cards that were revoked.
fn told(city: &City) -> (usize, usize, usize) {
    let all = city.app.due_messages(1_000).unwrap();
    all.iter().for_each(|sent| city.app.message_taken(sent).unwrap());
    let ended = |channel| {
        let theirs = all.iter().filter(|sent| sent.channel == channel);
        theirs.filter(|sent| matches!(sent.event.told.happening, Happening::SessionEnded { .. })).count()
    };
    let is_revoked = |happening: &Happening| match happening {
        Happening::CredentialChanged { credential, change } => {
            *credential != Credential::Passkey && *change == CredentialChange::Revoke
        }
        _ => false,
    };
    let revoked = all.iter().filter(|sent| is_revoked(&sent.event.told.happening)).count();
    (ended(Channel::Logout), ended(Channel::Signal), revoked)
}

fn a_printed_card_takes_along_what_it_opened(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = resident(&city);
    let card = city.app.issue_card(resident, PIN, None).unwrap();
    let passkey = with_passkey(&city, resident);
    let (earlier, own) = (tokens(&city, &with_card(&city, &card)), tokens(&city, &passkey));
    // That session ends by itself; what the service holds by it goes on.
    city.clock.advance(40 * MINUTE);
    city.app.sweep().unwrap();
    let earlier = refresh(&city, &earlier).unwrap();
    let open = with_card(&city, &card);
    let (late, unused) = (tokens(&city, &open), code(&city, &open));
    told(&city);

    assert_eq!(city.app.revoke_cards(resident).unwrap(), 1);
    assert!(!lives(&city, &earlier) && is_refused(refresh(&city, &earlier)), "of a session that was over");
    assert!(!lives(&city, &late) && is_refused(refresh(&city, &late)), "of one that was open");
    assert!(is_refused(exchange(&city, unused)));
    assert_eq!(told(&city), (1, 1, 1), "one session was open, and one card is gone");
    let own = refresh(&city, &own).unwrap();
    assert!(lives(&city, &own), "what a passkey opened is hers");
}

fn a_new_card_ends_what_the_one_before_opened(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = resident(&city);
    let card = city.app.issue_card(resident, PIN, None).unwrap();
    let token = city.app.sign_in_with_card(&attempt(&card), None, "kiosk").unwrap().token;
    let held = tokens(&city, &session(&city, &token));
    let fresh = city.app.issue_card(resident, PIN, Some(&approved(&city, resident, Way::Card))).unwrap();
    assert!(is_refused(city.app.sign_in_with_card(&attempt(&card), None, "kiosk")));
    assert!(city.app.session(&token).unwrap().is_none());
    assert!(!lives(&city, &held) && is_refused(refresh(&city, &held)));
    let held = tokens(&city, &with_card(&city, &fresh));
    refresh(&city, &held).unwrap();
}

/// The card is revoked while its PIN is looked at.
fn a_card_that_is_revoked_meanwhile_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = resident(&city);
    let card = city.app.issue_card(resident, PIN, None).unwrap();
    let app = std::sync::Arc::clone(&city.app);
    // The first reading counts the attempt, the second looks at the PIN.
    city.clock.after(1, move || assert_eq!(app.revoke_cards(resident).unwrap(), 1));
    assert!(is_refused(city.app.sign_in_with_card(&attempt(&card), None, "kiosk")));
    assert_eq!(city.app.session_count(resident).unwrap(), 0);
}

fn a_certificate_card_takes_along_what_it_opened_alone(dir: &Path, url: Option<&str>) {
    let (city, trust) = (city(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    let resident = resident(&city);
    let passkey = with_passkey(&city, resident);
    let cards = [7, 8, 9].map(|serial| trust.state.card("holder", serial));
    let open = |card| {
        let proven = trust.proven(&city.app, card);
        session(&city, &city.app.sign_in_with_certificate(&proven, None, "test").unwrap())
    };
    for card in &cards {
        city.app.add_certificate_card(&passkey, &trust.proven(&city.app, card), "card").unwrap();
    }
    let held: Vec<Tokens> = cards.iter().map(|card| tokens(&city, &open(card))).collect();
    city.clock.advance(40 * MINUTE);
    city.app.sweep().unwrap();
    let unused = code(&city, &open(&cards[0]));
    told(&city);

    assert_eq!(trust.open(&city.app, &[7]), 1, "the issuer revoked the first");
    assert!(is_refused(refresh(&city, &held[0])) && is_refused(exchange(&city, unused)));
    assert_eq!(told(&city), (1, 1, 1));
    refresh(&city, &held[1]).unwrap();
    // She removes another one herself.
    let left = city.app.certificate_cards(resident).unwrap();
    assert_eq!(left.len(), 2);
    city.app.remove_certificate_card(resident, &left[0].name).unwrap();
    let alive: Vec<bool> = held.iter().map(|held| refresh(&city, held).is_ok()).collect();
    assert_eq!(alive.iter().filter(|is_alive| **is_alive).count(), 1, "{alive:?}");
    // The issuer is trusted no more.
    city.app.open_card_door(trust.door_for(&trust.other, trust.other.list(&[])));
    city.app.end_revoked_cards().unwrap();
    assert!(held.iter().all(|held| is_refused(refresh(&city, held))));
}

/// Whoever held one of her devices may have made codes, used one for an invitation, and got cards with it.
fn a_new_passkey_that_ends_all_before_it_leaves_no_way_in(dir: &Path, url: Option<&str>) {
    let (city, trust) = (city(dir, url), Trust::default());
    trust.open(&city.app, &[]);
    for (is_at_counter, serial) in [(true, 7), (false, 8)] {
        let resident = enrolled(&city);
        let passkey = with_passkey(&city, resident);
        let codes = city.app.make_recovery_codes(&passkey).unwrap();
        let planted = city.app.recover(&codes[0]).unwrap();
        let card = city.app.issue_card(resident, PIN, Some(&approved(&city, resident, Way::Card))).unwrap();
        let certificate = trust.proven(&city.app, &trust.state.card("holder", serial));
        city.app.add_certificate_card(&passkey, &certificate, "card").unwrap();
        let by_certificate = session(&city, &city.app.sign_in_with_certificate(&certificate, None, "test").unwrap());
        let open = [passkey, with_card(&city, &card), by_certificate];
        let held: Vec<Tokens> = open.iter().map(|session| tokens(&city, session)).collect();
        let unused = code(&city, &open[0]);
        let waiting = [Way::Passkey, Way::Card].map(|way| approved(&city, resident, way));
        told(&city);

        let way = if is_at_counter {
            city.app.invite(resident, Some(&approved(&city, resident, Way::Passkey))).unwrap()
        } else {
            city.app.recover(&codes[1]).unwrap()
        };
        city.app.redeem(&way, &made(&city, resident, "new"), Earlier::Remove).unwrap();
        let labels: Vec<String> = city.app.passkeys(resident).unwrap().into_iter().map(|passkey| passkey.label).collect();
        assert_eq!(labels, ["new"]);
        assert!(is_refused(city.app.recover(&codes[2])) && is_refused(city.app.freeze_by_code(&codes[2])));
        assert_eq!(city.app.recovery_codes_left(resident).unwrap(), 0);
        assert!(is_refused(city.app.invited(&planted)), "what was made with a code before");
        assert!(is_refused(city.app.redeem(&planted, &made(&city, resident, "planted"), Earlier::Remove)));
        assert!(is_refused(city.app.invite(resident, Some(&waiting[0]))), "what two clerks had approved before");
        assert!(is_refused(city.app.issue_card(resident, PIN, Some(&waiting[1]))));
        assert!(is_refused(city.app.sign_in_with_card(&attempt(&card), None, "kiosk")));
        assert!(is_refused(city.app.sign_in_with_certificate(&certificate, None, "test")));
        assert!(city.app.cards(resident).unwrap().is_empty() && city.app.certificate_cards(resident).unwrap().is_empty());
        assert_eq!(city.app.session_count(resident).unwrap(), 0);
        assert!(held.iter().all(|held| !lives(&city, held) && is_refused(refresh(&city, held))));
        assert!(is_refused(exchange(&city, unused)));
        assert_eq!(told(&city).2, 2, "both cards are gone");
        let seen = statuses(&city, resident);
        assert_eq!(seen[seen.len() - 2..], ["ways-in-removed", "passkey-added"]);

        // What she makes from now on is hers.
        let fresh = with_passkey(&city, resident);
        assert_eq!(city.app.make_recovery_codes(&fresh).unwrap().len(), 10);
        refresh(&city, &tokens(&city, &fresh)).unwrap();
    }
    // A first passkey ends nothing, because there is nothing.
    let newcomer = resident(&city);
    let code = city.app.invite(newcomer, None).unwrap();
    city.app.redeem(&code, &made(&city, newcomer, "first"), Earlier::Remove).unwrap();
    assert!(statuses(&city, newcomer).is_empty());
}

/// Whoever deceived two clerks would lift the freeze with what they hand out.
fn a_freeze_ends_what_clerks_approved(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, other) = (enrolled(&city), enrolled(&city));
    let waiting = approved(&city, resident, Way::Passkey);
    let (begun, others) = (city.app.begin_counter_request(resident, Way::Card).unwrap(), approved(&city, other, Way::Passkey));
    city.app.freeze(resident).unwrap();
    assert!(is_refused(city.app.invite(resident, Some(&waiting))));
    let message = counter_message("city.test/log", &begun, resident, Way::Card);
    assert!(is_refused(city.app.approve_counter_request(&begun, &city.signer(OPERATOR)[0].approve(&message))));
    // She goes to a counter herself, and nobody else is in her way.
    city.app.invite(resident, Some(&approved(&city, resident, Way::Passkey))).unwrap();
    city.app.invite(other, Some(&others)).unwrap();
}

/// A request that came in before the session ended, and is written after it.
fn a_session_that_has_ended_issues_nothing_more(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = enrolled(&city);
    let request = request();
    let ends: [&dyn Fn(&OpenSession); 4] = [
        &|session| city.app.close_session(session).unwrap(),
        &|_| assert!(city.app.sign_out_everywhere(resident).is_ok()),
        &|_| city.clock.advance(40 * MINUTE),
        &|_| city.app.freeze(resident).unwrap(),
    ];
    for (place, end) in ends.into_iter().enumerate() {
        let session = with_passkey(&city, resident);
        let unused = code(&city, &session);
        end(&session);
        assert!(is_refused(exchange(&city, unused)), "end {place}: a code that was not exchanged");
        assert!(is_refused(city.app.authorize(&session, &request)), "end {place}: another code");
        assert!(is_refused(city.app.withdraw(session.actor(&[]).unwrap(), &CARD.parse().unwrap())), "end {place}");
    }
    let fresh = with_passkey(&city, resident);
    city.app.lift_freeze(&fresh).unwrap();
    refresh(&city, &tokens(&city, &fresh)).unwrap();
}

/// Whoever got in may have removed all passkeys, and have kept a card.
fn a_thief_without_a_passkey_is_removed_too(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = resident(&city);
    let card = city.app.issue_card(resident, PIN, None).unwrap();
    let held = tokens(&city, &with_card(&city, &card));
    let way = city.app.invite(resident, Some(&approved(&city, resident, Way::Passkey))).unwrap();
    city.app.redeem(&way, &made(&city, resident, "new"), Earlier::Remove).unwrap();
    assert!(is_refused(city.app.sign_in_with_card(&attempt(&card), None, "kiosk")));
    assert!(!lives(&city, &held) && is_refused(refresh(&city, &held)));
    assert_eq!(city.app.session_count(resident).unwrap(), 0);
}

fn a_removed_passkey_takes_along_what_it_opened(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = enrolled(&city);
    let first = with_passkey(&city, resident);
    city.app.add_passkey(&first, &made(&city, resident, "second")).unwrap();
    let card = city.app.issue_card(resident, PIN, Some(&approved(&city, resident, Way::Card))).unwrap();
    let earlier = tokens(&city, &with_passkey(&city, resident));
    let by_card = tokens(&city, &with_card(&city, &card));
    // Those sessions end by themselves; what the service holds by them goes on.
    city.clock.advance(40 * MINUTE);
    city.app.sweep().unwrap();
    let earlier = refresh(&city, &earlier).unwrap();
    let (own, elsewhere) = (with_passkey(&city, resident), with_passkey(&city, resident));
    let (late, unused) = (tokens(&city, &elsewhere), code(&city, &elsewhere));
    let hers = tokens(&city, &own);

    city.app.remove_passkey(&own, &made(&city, resident, "second").credential).unwrap();
    assert!(!lives(&city, &earlier) && is_refused(refresh(&city, &earlier)), "of a session that was over");
    assert!(!lives(&city, &late) && is_refused(refresh(&city, &late)), "of one that was open");
    assert!(is_refused(exchange(&city, unused)));
    assert!(lives(&city, &hers), "what the session opened in which she removes it is hers");
    refresh(&city, &hers).unwrap();
    refresh(&city, &by_card).unwrap();
}

fn a_pass_that_rests_makes_its_tokens_worth_nothing(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = resident(&city);
    let held = tokens(&city, &with_passkey(&city, resident));
    let proof = |name: &str| Presented::possession("key", name, city.app.now().plus(MINUTE));
    let borne = |name: &str| {
        let bearing = Bearing { access_token: held.access_token.clone(), possession: Some(("key".to_owned(), proof(name))) };
        city.app.bearer(&bearing).unwrap().is_some()
    };
    assert!(lives(&city, &held) && borne("before"));
    city.app.set_active(resident, ResidentState::Deactivated).unwrap();
    assert!(!lives(&city, &held) && !borne("at rest") && is_refused(refresh(&city, &held)));
    city.app.set_active(resident, ResidentState::Active).unwrap();
    assert!(lives(&city, &held) && borne("in use again"));
    city.app.freeze(resident).unwrap();
    assert!(!lives(&city, &held) && !borne("frozen") && is_refused(refresh(&city, &held)));
}
