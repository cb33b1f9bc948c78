//! What happens to one resident while two services listen, from her first sign-in to the end of her pass.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_app::store::passkeys::Passkey;
use usufruct_app::store::residents::ResidentState;
use usufruct_app::{TicketDesk, desk_ticket};
use usufruct_core::time::{HOUR, MINUTE};

use crate::common::CARD;
use crate::service::{Call, Channel, Ear};
use crate::site::{Answer, VERIFIER, claims_of, encode};
use crate::town::{READS, SUMMER, Town};

/// Everything she lets a service do.
const SCOPE: &str = "openid mdt_library-card mdt_portal mdt_summer-reading";
/// How long a logout token holds from when it is made.
const LOGOUT_LIFE_SECONDS: i64 = 120;
/// What nobody was given.
const NO_TOKEN: &str = "uft_nobody-gave-this-to-anyone";

/// What a service holds after a sign-in.
struct Held {
    code: String,
    subject: String,
    access: String,
    refresh: String,
    id_token: String,
    grant: String,
}

/// One resident's life with two services. The seconds that both hear of by design come back.
pub async fn live(town: &Town, resident: u64, ears: &mut [Ear<'_>; 2]) -> BTreeSet<i64> {
    let mut moments = BTreeSet::new();
    let site = &town.site;
    let app = &site.city.app;
    for ear in ears.iter_mut() {
        opens_stream(town, ear).await;
    }

    // She signs in to both, from one session, and both do what they can.
    let cookie = proves_herself(town, resident, &mut moments);
    let mut held = Vec::new();
    for ear in ears.iter_mut() {
        held.push(signs_in(town, ear, &cookie).await);
    }
    for (ear, held) in ears.iter_mut().zip(&held) {
        asks_about_her(town, ear, held).await;
        uses_her_data(town, ear, held).await;
        reads_her_footprint(town, ear, held).await;
        is_refused(town, ear, held).await;
    }

    // Her sign-in has grown old, and what asks for a newer one is told so. She signs in anew.
    site.city.clock.advance(6 * MINUTE);
    let newer = proves_herself(town, resident, &mut moments);
    for (ear, held) in ears.iter_mut().zip(&mut held) {
        is_asked_for_a_newer_sign_in(town, ear, held).await;
        *held = signs_in(town, ear, &newer).await;
        uses(town, ear, held, SUMMER, &[("blk_name", "value")]).await;
    }
    for (ear, held) in ears.iter_mut().zip(&held) {
        asks_silently(town, ear, &newer).await;
        gives_up_a_token(town, ear, held).await;
    }

    // She adds a passkey and removes it, and signs out in every way.
    let session = app.session(newer.trim_start_matches("usufruct=")).unwrap().unwrap();
    let passkey = passkey(town, resident);
    app.add_passkey(&session, &passkey).unwrap();
    town.tell(ears).await;
    for ear in ears.iter_mut() {
        let cookie = site.sign_in(resident);
        let held = signs_in(town, ear, &cookie).await;
        signs_out_at(town, ear, &cookie, &held).await;
    }
    let both = proves_herself(town, resident, &mut moments);
    for ear in ears.iter_mut() {
        signs_in(town, ear, &both).await;
    }
    town.wait();
    let session = app.session(both.trim_start_matches("usufruct=")).unwrap().unwrap();
    app.close_session(&session).unwrap();
    app.sign_out_everywhere(resident).unwrap();
    town.tell(ears).await;

    // She pauses her pass and goes on. Then something was not her, and all are told in that second, since somebody may be in her pass now.
    for state in [ResidentState::Deactivated, ResidentState::Active] {
        town.wait();
        app.set_active(resident, state).unwrap();
        town.tell(ears).await;
    }
    let cookie = proves_herself(town, resident, &mut moments);
    for (ear, held) in ears.iter_mut().zip(&mut held) {
        *held = signs_in(town, ear, &cookie).await;
    }
    town.wait();
    app.freeze(resident).unwrap();
    let frozen = app.now().seconds();
    moments.extend([frozen, frozen + LOGOUT_LIFE_SECONDS]);
    town.tell(ears).await;
    for (ear, held) in ears.iter_mut().zip(&held) {
        asks_about_her(town, ear, held).await;
        uses(town, ear, held, CARD, &[("blk_name", "value")]).await;
    }
    town.wait();
    let token = app.open_session(resident, "phone").unwrap();
    app.lift_freeze(&app.session(&token).unwrap().unwrap()).unwrap();
    town.tell(ears).await;

    // She withdraws, which both have to delete after, and comes again under other names.
    let cookie = proves_herself(town, resident, &mut moments);
    for (ear, held) in ears.iter_mut().zip(&mut held) {
        *held = signs_in(town, ear, &cookie).await;
        uses(town, ear, held, CARD, &[("blk_name", "value")]).await;
    }
    town.wait();
    app.withdraw(resident, &CARD.parse().unwrap()).unwrap();
    town.tell(ears).await;
    for (ear, held) in ears.iter_mut().zip(&mut held) {
        assert!(answers_what_it_has_to_delete(town, ear).await > 0, "{} is told", ear.service.id);
        asks_about_her(town, ear, held).await;
        *held = signs_in(town, ear, &site.sign_in(resident)).await;
        uses_her_data(town, ear, held).await;
    }

    // She deletes her pass.
    town.wait();
    app.delete_resident(resident).unwrap();
    town.tell(ears).await;
    for (ear, held) in ears.iter_mut().zip(&held) {
        assert!(answers_what_it_has_to_delete(town, ear).await > 0, "{} is told", ear.service.id);
        asks_about_her(town, ear, held).await;
        uses(town, ear, held, CARD, &[("blk_name", "value")]).await;
    }
    moments
}

/// A mandate ends for everybody, and both are told.
pub async fn the_summer_ends(town: &Town, ears: &mut [Ear<'_>; 2]) {
    let sunset = town.site.city.app.register().mandates[&SUMMER.parse().unwrap()].body.sunset_at;
    let now = town.site.city.app.now();
    town.site.city.clock.advance(sunset.micros() - now.micros() + HOUR);
    assert_eq!(town.site.city.app.run_sunsets().unwrap().ended, [SUMMER.parse().unwrap()]);
    town.tell(ears).await;
    for ear in ears.iter_mut() {
        answers_what_it_has_to_delete(town, ear).await;
    }
}

/// It has a stream, looks at it, and has the pass say that it works.
async fn opens_stream(town: &Town, ear: &mut Ear<'_>) {
    let token = ear.own_token(town, "ssf.manage ssf.read").await;
    let is_pushed = ear.service.id == town.services[0].id;
    let delivery = if is_pushed {
        let bearer = format!("Bearer of-{}", ear.service.sector);
        json!({ "method": "urn:ietf:rfc:8935", "endpoint_url": ear.service.signals_uri(), "authorization_header": bearer })
    } else {
        json!({ "method": "urn:ietf:rfc:8936" })
    };
    let made = ear.calls(town, Channel::Stream, &token, Call::post("/ssf/streams", json!({ "delivery": delivery }))).await;
    // The one it made when it listened for somebody else is still there.
    assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&made.status), "{}", made.text());
    let streams = ear.calls(town, Channel::Stream, &token, Call::get("/ssf/streams")).await.json();
    let stream = streams[0]["stream_id"].as_str().unwrap();
    let path = format!("/ssf/status?stream_id={stream}");
    ear.calls(town, Channel::Stream, &token, Call::get(&path)).await;
    town.site.city.clock.advance(MINUTE);
    let state = format!("{}-state", ear.service.sector);
    let verify = json!({ "stream_id": stream, "state": state });
    let verified = ear.calls(town, Channel::Stream, &token, Call::post("/ssf/verify", verify)).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT, "{}", verified.text());
}

/// She signs in to the pass. The second of it is the `auth_time` of all that she enters from there, because services count `max_age` from it.
fn proves_herself(town: &Town, resident: u64, moments: &mut BTreeSet<i64>) -> String {
    town.wait();
    moments.insert(town.site.city.app.now().seconds());
    town.site.sign_in(resident)
}

/// She is asked, agrees, and the service changes its code for tokens.
async fn signs_in(town: &Town, ear: &mut Ear<'_>, cookie: &str) -> Held {
    let address = ear.pushes(town, SCOPE, &[]).await.unwrap();
    let answer = agrees(town, ear, cookie, &address).await;
    let code = answer.led("code").unwrap_or_else(|| panic!("{:?} {}", answer.headers, answer.text()));
    let tokens = ear.asks(town, Channel::Token, "/oidc/token", &exchange(&code, &ear.service.callback)).await;
    let word = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{name}: {tokens}")).to_owned();
    let subject = claims_of(&word("id_token"))["sub"].as_str().unwrap().to_owned();
    Held {
        code,
        subject,
        access: word("access_token"),
        refresh: word("refresh_token"),
        id_token: word("id_token"),
        grant: word("grant_id"),
    }
}

/// She opens the address, agrees to every page, and her browser is led back.
async fn agrees(town: &Town, ear: &mut Ear<'_>, cookie: &str, address: &str) -> Answer {
    town.wait();
    let mut answer = town.site.get(address, cookie).await;
    while answer.status == StatusCode::OK {
        town.wait();
        answer = town.site.decide(cookie, &answer, &[("decision", "agree")]).await;
    }
    ear.hear_redirect(Channel::Redirect, &answer);
    answer
}

fn exchange<'a>(code: &'a str, callback: &'a str) -> [(&'a str, &'a str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", callback), ("code_verifier", VERIFIER)]
}

/// Userinfo, introspection as JSON and signed, a refresh, and her grant. After the end of what she gave, these are the refusals.
async fn asks_about_her(town: &Town, ear: &mut Ear<'_>, held: &Held) {
    ear.calls(town, Channel::Userinfo, &held.access, Call::get("/oidc/userinfo")).await;
    for token in [&held.access, &held.refresh] {
        ear.asks(town, Channel::Introspection, "/oidc/introspect", &[("token", token)]).await;
    }
    let form = [("token", held.access.as_str())];
    let signed = ear.asks_for(town, "/oidc/introspect", &form, "application/token-introspection+jwt").await;
    ear.hear_answer(Channel::SignedIntrospection, &signed);
    let form = [("grant_type", "refresh_token"), ("refresh_token", held.refresh.as_str())];
    ear.asks(town, Channel::Refresh, "/oidc/token", &form).await;
    let query = ear.own_token(town, "grant_management_query").await;
    let path = format!("/oidc/grants/{}", held.grant);
    ear.calls(town, Channel::GrantManagement, &query, Call::get(&path)).await;
}

/// Values, tokens and yes or no, one and many; data that it puts in; and what its own system did.
async fn uses_her_data(town: &Town, ear: &mut Ear<'_>, held: &Held) {
    let subject = held.subject.as_str();
    let own = ear.own_token(town, "release").await;
    let visit = json!({ "subject": subject, "mandate": CARD, "block": "blk_name", "value": format!("Seen by {}", ear.service.sector), "reason": "lending" });
    for token in [&own, &held.access] {
        let deposited = ear.calls(town, Channel::Deposit, token, Call::post("/api/deposits", visit.clone())).await;
        assert_eq!(deposited.status, StatusCode::OK, "{}", deposited.text());
    }
    for form in ["value", "predicate", "token"] {
        uses(town, ear, held, CARD, &[("blk_name", form)]).await;
    }
    let blocks = json!([{ "block": "blk_name", "form": "value" }]);
    let many = json!({ "subjects": [subject, "nobody-there"], "mandate": CARD, "blocks": blocks, "reason": "lending", "actor": "clerk 7" });
    let batch = ear.calls(town, Channel::Release, &own, Call::post("/api/releases/batch", many)).await;
    assert_eq!(batch.status, StatusCode::OK, "{}", batch.text());
    // It may not learn what the other one knows her by.
    let other = town.services.iter().find(|service| service.id != ear.service.id).unwrap();
    let convert = json!({ "subjects": [subject], "to": other.id, "mandate": CARD, "reason": "lending" });
    let refused = ear.calls(town, Channel::Conversion, &own, Call::post("/api/conversions", convert)).await;
    assert!(!refused.text().contains("converted\":\""), "{}", refused.text());
    ear.calls(town, Channel::Report, &own, Call::post("/api/ldv/v1/traces", report(subject))).await;
    ear.calls(town, Channel::Report, &own, Call::post("/api/ldv/sources", json!({ "mandate": CARD, "last": 1 }))).await;
}

/// One use, by a token of its own.
async fn uses(town: &Town, ear: &mut Ear<'_>, held: &Held, mandate: &str, blocks: &[(&str, &str)]) {
    let own = ear.own_token(town, "release").await;
    ear.calls(town, Channel::Release, &own, Call::post("/api/releases", asked(held, mandate, blocks))).await;
}

fn asked(held: &Held, mandate: &str, blocks: &[(&str, &str)]) -> Value {
    let blocks: Vec<Value> = blocks.iter().map(|(block, form)| json!({ "block": block, "form": form })).collect();
    json!({ "subject": held.subject, "mandate": mandate, "blocks": blocks, "reason": "lending" })
}

/// A line of its own system, as it would export it.
fn report(subject: &str) -> Value {
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let text = |text: &str| json!({ "stringValue": text });
    let attributes = [
        attribute("dpl.core.processing_activity_id", text(&format!("https://pass.example.org/register/mandates/{CARD}"))),
        attribute("dpl.core.data_subject_id", text(subject)),
        attribute("usufruct.number", json!({ "intValue": "1" })),
        attribute("usufruct.blocks", json!({ "arrayValue": { "values": [text("blk_name")] } })),
    ];
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "lend", "kind": 1,
        "startTimeUnixNano": "1767225500000000000", "endTimeUnixNano": "1767225540000000000", "attributes": attributes,
    });
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] })
}

/// It shows her what was done with her data, as a portal does.
async fn reads_her_footprint(town: &Town, ear: &mut Ear<'_>, held: &Held) {
    let own = ear.own_token(town, "release").await;
    let path = format!("/api/v2/findUsage?{}", encode(&[("userCode", &held.subject)]));
    let found = ear.calls(town, Channel::FindUsage, &own, Call::get(&path).about(&held.subject)).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text());
    for path in ["/api/v2/heartbeat", "/api/v2/usagePeriod"] {
        ear.calls(town, Channel::FindUsage, &own, Call::get(path)).await;
    }
}

/// Everything that can be asked wrongly.
async fn is_refused(town: &Town, ear: &mut Ear<'_>, held: &Held) {
    let own = ear.own_token(town, "release").await;
    // A code that was used, a grant and a stream of nobody, a request that cannot be, a token of nobody.
    let callback = ear.service.callback.clone();
    ear.asks(town, Channel::Token, "/oidc/token", &exchange("no-such-code", &callback)).await;
    ear.asks(town, Channel::Token, "/oidc/token", &[("grant_type", "password")]).await;
    ear.asks(town, Channel::Refresh, "/oidc/token", &[("grant_type", "refresh_token"), ("refresh_token", NO_TOKEN)]).await;
    ear.asks(town, Channel::Introspection, "/oidc/introspect", &[("token", NO_TOKEN)]).await;
    assert!(ear.pushes(town, "openid mdt_of-nobody", &[]).await.is_none());
    let query = ear.own_token(town, "grant_management_query").await;
    ear.calls(town, Channel::GrantManagement, &query, Call::get("/oidc/grants/nobody")).await;
    ear.calls(town, Channel::Stream, &own, Call::get("/ssf/streams")).await;
    ear.calls(town, Channel::Userinfo, NO_TOKEN, Call::get("/oidc/userinfo")).await;
    // Blocks, reasons and people that the mandate does not know, and bodies that cannot be read.
    let ask = |subject: &str, mandate: &str, block: &str, reason: &str| json!({ "subject": subject, "mandate": mandate, "blocks": [{ "block": block, "form": "value" }], "reason": reason });
    for body in [
        ask("nobody-there", CARD, "blk_name", "lending"),
        ask(&held.subject, CARD, "blk_district", "lending"),
        ask(&held.subject, CARD, "blk_name", "curiosity"),
        ask(&held.subject, "mdt_of-nobody", "blk_name", "lending"),
        ask(&held.subject, READS, "blk_name", "lending"),
        json!({ "subject": held.subject }),
    ] {
        let refused = ear.calls(town, Channel::Release, &own, Call::post("/api/releases", body)).await;
        assert!(refused.status.is_client_error(), "{}", refused.text());
    }
    ear.calls(town, Channel::DeletionNotice, &own, Call::post("/api/deletions/del_nobody", json!({ "answer": "deleted" }))).await;
}

/// What asks for a sign-in of these minutes says so (RFC 9470), and she proves herself again for it.
async fn is_asked_for_a_newer_sign_in(town: &Town, ear: &mut Ear<'_>, held: &mut Held) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", held.refresh.as_str())];
    let refreshed = ear.asks(town, Channel::Refresh, "/oidc/token", &form).await;
    refreshed["access_token"].as_str().unwrap().clone_into(&mut held.access);
    let body = asked(held, SUMMER, &[("blk_name", "value")]);
    let answer = ear.calls(town, Channel::StepUp, &held.access, Call::post("/api/releases", body)).await;
    assert!(answer.header("www-authenticate").contains("insufficient_user_authentication"), "{:?}", answer.headers);
    ear.calls(town, Channel::StepUp, &held.access, Call::get("/oidc/userinfo")).await;
}

/// It asks without a page: once she is there, and once she would have to be asked.
async fn asks_silently(town: &Town, ear: &mut Ear<'_>, cookie: &str) {
    for (more, cookie) in
        [(&[("prompt", "none")][..], cookie), (&[("prompt", "none"), ("max_age", "0")], cookie), (&[("prompt", "none")], "")]
    {
        let address = ear.pushes(town, SCOPE, more).await.unwrap();
        agrees(town, ear, cookie, &address).await;
    }
    let address = ear.pushes(town, SCOPE, &[("prompt", "consent")]).await.unwrap();
    let page = town.site.get(&address, cookie).await;
    let answer = town.site.decide(cookie, &page, &[("decision", "not-now")]).await;
    ear.hear_redirect(Channel::Redirect, &answer);
}

/// It uses a code twice, which ends its tokens, and gives one up itself.
async fn gives_up_a_token(town: &Town, ear: &mut Ear<'_>, held: &Held) {
    ear.asks(town, Channel::Revocation, "/oidc/revoke", &[("token", &held.access)]).await;
    ear.calls(town, Channel::Userinfo, &held.access, Call::get("/oidc/userinfo")).await;
    let callback = ear.service.callback.clone();
    ear.asks(town, Channel::Token, "/oidc/token", &exchange(&held.code, &callback)).await;
    ear.asks(town, Channel::Introspection, "/oidc/introspect", &[("token", &held.refresh)]).await;
}

fn passkey(town: &Town, resident: u64) -> Passkey {
    let credential = resident.to_be_bytes().to_vec();
    Passkey {
        credential,
        resident,
        passkey: "{}".into(),
        label: "phone".into(),
        added_at: town.site.city.app.now(),
        used_at: None,
    }
}

/// She signs out at the service, and her browser is led back there.
async fn signs_out_at(town: &Town, ear: &mut Ear<'_>, cookie: &str, held: &Held) {
    town.wait();
    let state = format!("{}-out", ear.service.sector);
    let fields =
        [("id_token_hint", held.id_token.as_str()), ("post_logout_redirect_uri", &ear.service.after_logout), ("state", &state)];
    let page = town.site.get(&format!("/oidc/end-session?{}", encode(&fields)), cookie).await;
    let hidden = page.hidden();
    let form: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = town.site.post("/oidc/end-session/confirm", cookie, &form).await;
    ear.hear_redirect(Channel::AfterLogout, &answer);
}

/// Its people look at their desk, its machine at the list, and it answers; how much there was.
async fn answers_what_it_has_to_delete(town: &Town, ear: &mut Ear<'_>) -> usize {
    looks_at_the_desk(town, ear).await;
    let own = ear.own_token(town, "release").await;
    let list = ear.calls(town, Channel::DeletionNotice, &own, Call::get("/api/deletions")).await.json();
    let notices = list["deletions"].as_array().unwrap().clone();
    for notice in &notices {
        let path = format!("/api/deletions/{}", notice["id"].as_str().unwrap());
        ear.calls(town, Channel::DeletionNotice, &own, Call::post(&path, json!({ "answer": "deleted" }))).await;
    }
    looks_at_the_desk(town, ear).await;
    notices.len()
}

async fn looks_at_the_desk(town: &Town, ear: &mut Ear<'_>) {
    town.wait();
    let site = &town.site;
    let signers = site.city.signer(ear.service.agency);
    let until = site.city.app.now().plus(HOUR);
    let ticket = desk_ticket(TicketDesk::Vendor, signers[0], crate::site::ISSUER, until, site.city.app.rng()).unwrap();
    let opened = site.post("/vendor/sign-in", "", &[("ticket", &ticket)]).await;
    ear.hear_answer(Channel::Desk, &opened);
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    for language in ["en", "zh-Hant"] {
        let desk = site.get("/vendor", &format!("{cookie}; lang={language}")).await;
        assert_eq!(desk.status, StatusCode::OK);
        ear.hear_answer(Channel::Desk, &desk);
    }
}
