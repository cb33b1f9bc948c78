//! The consent page.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use usufruct_app::Wishes;
use usufruct_core::event::Kind;
use usufruct_core::grant::{Grant, GrantState};
use usufruct_core::time::{DAY, MINUTE, SECOND};

use crate::common::{CARD, block, library_card, mandate};
use crate::site::{CALLBACK, OTHER, OTHER_CALLBACK, TestSite};

#[tokio::test]
async fn it_shows_what_is_taken_and_how_to_do_without() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let html = page.text();
    for words in [
        "svc_library",
        "Body",
        "To lend books.",
        "To print it on the card.",
        "To suggest a branch.",
        "It lends the books.",
        "2027-12-01",
        "30 days",
        "https://law.example.org",
        "Show a paper card.",
        "Ask at the counter.",
        "Lends books.",
        "All five.",
        "<details>",
    ] {
        assert!(html.contains(words), "the page lacks {words}");
    }
    let at = |words: &str| html.find(words).unwrap_or_else(|| panic!("no {words}"));
    assert!(at("Ask at the counter.") < at("data-testid=\"agree\""), "the other ways come before the buttons");
    // Required blocks are shown and cannot be ticked; optional ones are not ticked.
    assert!(!html.contains("optional_blk_name"));
    assert!(html.contains("name=\"optional_blk_district\""));
    assert!(!html.contains("checked"));
    // All buttons weigh the same.
    let button = |id: &str| html.split("<button").find(|part| part.contains(id)).unwrap().split('>').next().unwrap().to_owned();
    let weight = |id: &str, value: &str| button(id).replace(value, "");
    assert_eq!(weight("data-testid=\"agree\"", "agree"), weight("data-testid=\"not-now\"", "not-now"));
    assert_eq!(weight("data-testid=\"agree\"", "agree"), weight("data-testid=\"refuse\"", "refuse"));
    assert!(!button("agree").contains("class") && !html.contains("autofocus"));

    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' http://localhost:8081;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.header("cache-control"), "no-store");

    let chinese = site.authorize(&cookie, &[("ui_locales", "fr zh-TW en")]).await;
    assert!(chinese.text().contains("lang=\"zh-Hant\"") && chinese.text().contains("To lend books.（中文）"));
}

#[tokio::test]
async fn agreeing_lends_what_was_ticked_and_leads_back_with_a_code() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let answer = site.decide(&cookie, &page, &[("decision", "agree"), ("optional_blk_district", "yes")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(LOCATION).starts_with(&format!("{CALLBACK}?code=")));
    assert_eq!(answer.led("iss").as_deref(), Some(crate::site::ISSUER));
    let grants = site.city.app.grants(resident).unwrap();
    assert_eq!(grants[0].grant.blocks, [block("name"), block("district")]);
    let lines = site.city.app.footprint(resident).unwrap().lines;
    let kinds: Vec<_> = lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [Kind::Consent, Kind::SignIn]);
    // Sent twice, the form agrees once, and a pushed request is answered once.
    let again = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert_eq!((again.status, again.header(LOCATION)), (StatusCode::BAD_REQUEST, ""));
    assert_eq!(site.city.app.grants(resident).unwrap()[0].revision, grants[0].revision);
}

#[tokio::test]
async fn not_now_leads_back_and_lends_nothing() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    for decision in ["not-now", "", "AGREE"] {
        let page = site.authorize(&cookie, &[]).await;
        let answer = site.decide(&cookie, &page, &[("decision", decision)]).await;
        assert_eq!(answer.led_error(), "access_denied");
        assert_eq!(answer.led("state").as_deref(), Some("s1"));
        let after = site.decide(&cookie, &page, &[("decision", "agree")]).await;
        assert_eq!((after.status, after.header(LOCATION)), (StatusCode::BAD_REQUEST, ""), "she has said no");
    }
    let [stored] = &site.city.app.grants(resident).unwrap()[..] else { panic!("one question") };
    assert_eq!((stored.grant.state, stored.grant.blocks.len()), (GrantState::Deferred, 0));
    let reasons = site.city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap().reason);
    assert_eq!(reasons.collect::<Vec<_>>(), ["deferred"], "what the form does not offer says nothing in her name");
}

#[tokio::test]
async fn who_refused_is_asked_again_only_when_the_service_asks_for_consent_or_she_lets_it() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let deferred = site.decide(&cookie, &page, &[("decision", "not-now")]).await;
    let page = site.authorize(&cookie, &[]).await;
    assert_eq!(page.status, StatusCode::OK, "who said not now is asked the next time");
    let refused = site.decide(&cookie, &page, &[("decision", "refuse")]).await;
    let told = |answer: &crate::site::Answer| ["error", "error_description", "state", "iss"].map(|name| answer.led(name));
    assert_eq!(told(&refused), told(&deferred), "the service reads the same");
    assert_eq!(told(&site.authorize(&cookie, &[]).await), told(&deferred), "and the next time without her being asked");
    assert_eq!(site.authorize(&cookie, &[("prompt", "none")]).await.led_error(), "consent_required");
    assert_eq!(site.authorize(&cookie, &by_other(&[])).await.led_error(), "access_denied", "the mandate is what she refused");
    assert_eq!(site.authorize(&cookie, &[("prompt", "consent")]).await.status, StatusCode::OK);
    site.city.app.ask_again(resident, &mandate()).unwrap();
    let page = site.authorize(&cookie, &[]).await;
    assert!(site.decide(&cookie, &page, &[("decision", "agree")]).await.led("code").is_some());
    // Asked again, she says yes again: nothing is lent anew, and it is written down.
    let page = site.authorize(&cookie, &[("prompt", "consent")]).await;
    site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert!(site.city.app.grants(resident).unwrap()[0].reaffirmed_at.is_some());
    let events = site.city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap());
    let reasons: Vec<_> = events.filter(|event| event.kind == Kind::Grant).map(|event| event.reason).collect();
    assert_eq!(reasons, ["deferred", "refused", "asked-again", "reaffirmed"]);
}

#[tokio::test]
async fn what_she_has_paused_goes_on_by_agreeing_and_stays_paused_by_not_now() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    site.city.app.release(&site.city.request(&subject)).unwrap();
    let grant = || site.city.app.grants(resident).unwrap().remove(0);
    let old = site.authorize(&cookie, &[("prompt", "consent")]).await;
    assert!(old.text().contains("You lend this already") && !old.text().contains("value=\"refuse\""));
    assert!(old.text().contains("href=\"/me/consents\""), "she can withdraw there");
    let denied = site.decide(&cookie, &site.authorize(&cookie, &[("prompt", "consent")]).await, &[("decision", "not-now")]).await;
    assert_eq!((denied.led_error().as_str(), grant().grant.state), ("access_denied", GrantState::Given));

    site.city.app.pause(resident, &mandate()).unwrap();
    let before = grant();
    assert_eq!(before.grant.uses, 1);
    for changes in [&[][..], &[("prompt", "consent")]] {
        let page = site.authorize(&cookie, changes).await;
        assert!(page.text().contains("paused it") && page.text().contains("href=\"/me/consents\""));
        assert!(!page.text().contains("value=\"refuse\"") && !page.text().contains("optional_blk_"));
        assert_eq!(site.decide(&cookie, &page, &[("decision", "not-now")]).await.led_error(), "access_denied");
        assert_eq!((grant().grant, grant().revision), (before.grant.clone(), before.revision));
    }
    // Whoever opened the page before she paused agrees to nothing that she was not asked.
    let page = site.decide(&cookie, &old, &[("decision", "agree")]).await;
    assert!(page.status == StatusCode::OK && page.text().contains("paused it"));
    let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert!(answer.led("code").is_some(), "{}", answer.text());
    let after = grant();
    let resumed = Grant { state: GrantState::Given, ..before.grant };
    assert_eq!((after.id, after.grant, after.last_use_at), (before.id, resumed, before.last_use_at), "its uses are counted on");
    let events = site.city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap());
    let reasons: Vec<_> = events.filter(|event| event.kind == Kind::Grant).map(|event| event.reason).collect();
    assert_eq!(reasons, ["paused", "resumed"]);
}

#[tokio::test]
async fn what_was_resumed_in_another_browser_goes_on_by_agreeing_too() {
    for changes in [&[][..], &[("prompt", "consent")]] {
        let site = TestSite::new();
        let (resident, cookie) = site.resident();
        let (_, subject) = site.tokens(&cookie, &[]).await;
        site.city.app.release(&site.city.request(&subject)).unwrap();
        site.city.app.pause(resident, &mandate()).unwrap();
        let page = site.authorize(&cookie, changes).await;
        assert!(page.text().contains("paused it"));
        site.city.app.resume(resident, &mandate()).unwrap();
        let before = site.city.app.grants(resident).unwrap().remove(0);
        let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
        assert!(answer.led("code").is_some(), "{}", answer.text());
        let after = site.city.app.grants(resident).unwrap().remove(0);
        assert_eq!((after.id, after.revision, after.grant), (before.id, before.revision, before.grant), "nothing is lent anew");
        assert_eq!(turns_of_grants(&site, resident)[..2], ["paused", "resumed"]);
        assert!(!turns_of_grants(&site, resident)[2..].contains(&"resumed".to_owned()), "it was resumed once");
    }
}

/// Wherever between the answer to her form and the end of the work the other browser is.
#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_resume_at_once_and_both_go_on() {
    for readings in 0..12 {
        let site = TestSite::new();
        let (resident, cookie) = site.resident();
        site.tokens(&cookie, &[]).await;
        site.city.app.pause(resident, &mandate()).unwrap();
        let page = site.authorize(&cookie, &[]).await;
        let app = Arc::clone(&site.city.app);
        site.city.clock.after(readings, move || {
            let (done, is_done) = mpsc::channel();
            std::thread::spawn(move || done.send(app.resume(resident, &mandate()).is_ok()));
            // Where this one holds what the other waits for, that comes second.
            let _ = is_done.recv_timeout(Duration::from_millis(200));
        });
        let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
        assert!(answer.led("code").is_some(), "after {readings} readings: {}", answer.text());
        assert_eq!(turns_of_grants(&site, resident), ["paused", "resumed"], "after {readings} readings");
    }
}

/// What has become of her grants, in words.
fn turns_of_grants(site: &TestSite, resident: u64) -> Vec<String> {
    let events = site.city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap());
    events.filter(|event| event.kind == Kind::Grant).map(|event| event.reason).collect()
}

#[tokio::test]
async fn a_no_to_a_revision_that_asks_for_more_is_noted() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let mut body = library_card();
    body["purpose"]["sentence"]["en"] = "To count readers.".into();
    site.city.clock.advance(SECOND);
    site.city.publish_mandate(CARD, body);
    site.city.clock.advance(SECOND);
    let page = site.authorize(&cookie, &[]).await;
    assert!(page.text().contains("To count readers.") && page.text().contains("value=\"refuse\""));
    assert_eq!(site.decide(&cookie, &page, &[("decision", "not-now")]).await.led_error(), "access_denied");
    assert_eq!(site.city.app.grants(resident).unwrap()[0].grant.state, GrantState::Given, "she can still withdraw it");
    let page = site.authorize(&cookie, &[]).await;
    assert_eq!(site.decide(&cookie, &page, &[("decision", "refuse")]).await.led_error(), "access_denied");
    assert_eq!(site.authorize(&cookie, &[]).await.led_error(), "access_denied", "she is not asked again");
    let events = site.city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap());
    assert!(events.into_iter().any(|event| event.kind == Kind::Grant && event.reason == "refused"));
}

#[tokio::test]
async fn nothing_on_the_form_can_be_altered_or_taken_elsewhere() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (_, other) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let alter = |name: &str, value: &str| {
        let mut hidden = page.hidden();
        hidden.iter_mut().filter(|(known, _)| known == name).for_each(|(_, old)| value.clone_into(old));
        hidden.push(("decision".to_owned(), "agree".to_owned()));
        hidden
    };
    let altered_request = site.ask(&[("state", "other")]);
    let forms = [
        (alter("request", &altered_request), &cookie),
        (alter("mandate", "mdt_short"), &cookie),
        (alter("mark", "AAAA"), &cookie),
        (alter("form_token", "AAAA"), &cookie),
        (alter("-", ""), &other),
    ];
    for (form, cookie) in forms {
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = site.post("/oidc/authorize/decide", cookie, &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{form:?}");
        assert_eq!(answer.header(LOCATION), "");
    }
    // The form token of another session of hers does not carry the mark of this one over.
    let elsewhere = site.sign_in(resident);
    let token = site.authorize(&elsewhere, &[]).await.hidden().into_iter().find(|(name, _)| name == "form_token").unwrap().1;
    let moved = alter("form_token", &token);
    let moved: Vec<_> = moved.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(site.post("/oidc/authorize/decide", &elsewhere, &moved).await.status, StatusCode::FORBIDDEN);
    let made_up = site.decide(&cookie, &page, &[("decision", "agree"), ("optional_blk_secret", "yes")]).await;
    assert!(made_up.status.is_client_error());
    assert!(site.city.app.grants(resident).unwrap().is_empty());
}

#[tokio::test]
async fn what_changed_meanwhile_is_shown_before_it_is_agreed_to() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let mut wider = library_card();
    wider["blocks"][1]["necessity"] = "required".into();
    site.city.clock.advance(MINUTE);
    site.city.publish_mandate(CARD, wider);
    let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(site.city.app.grants(resident).unwrap().is_empty());
    let page = site.authorize(&cookie, &[]).await;
    assert!(!page.text().contains("optional_blk_district"));
    assert!(site.decide(&cookie, &page, &[("decision", "agree")]).await.led("code").is_some());
}

#[tokio::test]
async fn several_mandates_are_asked_in_turn() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let scope = [("scope", "openid mdt_library-card mdt_short")];
    let first = site.authorize(&cookie, &scope).await;
    assert!(first.text().contains(&format!("name=\"mandate\" value=\"{CARD}\"")));
    let second = site.decide(&cookie, &first, &[("decision", "agree")]).await;
    assert_eq!(second.status, StatusCode::OK);
    assert!(second.text().contains("name=\"mandate\" value=\"mdt_short\""));
    // The second page came by a post: its link to the other language opens it once more.
    let link = second.text().split("href=\"").find(|part| part.contains("lang=zh-Hant")).unwrap().split('"').next().unwrap();
    let chinese = site.get(&link.replace("&#38;", "&"), &cookie).await;
    assert!(
        chinese.text().contains("name=\"mandate\" value=\"mdt_short\"") && chinese.text().contains("<html lang=\"zh-Hant\">")
    );
    assert!(second.header("content-security-policy").contains("http://localhost:8081"));
    let answer = site.decide(&cookie, &second, &[("decision", "agree")]).await;
    assert!(answer.led("code").is_some());
    assert_eq!(site.city.app.grants(resident).unwrap().len(), 2);
}

#[tokio::test]
async fn prompt_consent_asks_again() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let scope = ("scope", "openid mdt_library-card mdt_short");
    site.code(&cookie, &[scope]).await;
    let before = site.city.app.grants(resident).unwrap();
    let again = [scope, ("prompt", "consent")];
    let page = site.authorize(&cookie, &again).await;
    assert_eq!(page.status, StatusCode::OK, "asked again although she agreed before");
    // Agreeing to the same again changes nothing: what was used stays counted.
    let second = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert_eq!(second.status, StatusCode::OK);
    assert!(site.decide(&cookie, &second, &[("decision", "agree")]).await.led("code").is_some());
    let after = site.city.app.grants(resident).unwrap();
    assert_eq!((after[0].revision, after[0].id.clone()), (before[0].revision, before[0].id.clone()));
    // Another choice is a new grant.
    let page = site.authorize(&cookie, &again).await;
    site.decide(&cookie, &page, &[("decision", "agree"), ("optional_blk_district", "yes")]).await;
    let chosen = site.city.app.grants(resident).unwrap();
    assert!(chosen.iter().any(|stored| stored.grant.blocks.contains(&block("district"))));
    // "Not now" keeps what was agreed before.
    let page = site.authorize(&cookie, &again).await;
    assert_eq!(site.decide(&cookie, &page, &[("decision", "not-now")]).await.led_error(), "access_denied");
    assert_eq!(site.city.app.grants(resident).unwrap().len(), 2);
}

/// What the second service asks.
fn by_other<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK)], more].concat()
}

#[tokio::test]
async fn another_service_is_let_in_by_her_once() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    site.decide(&cookie, &page, &[("decision", "agree"), ("optional_blk_district", "yes")]).await;
    let before = site.city.app.grants(resident).unwrap();
    assert_eq!(site.authorize(&cookie, &by_other(&[("prompt", "none")])).await.led_error(), "consent_required");
    assert!(site.authorize(&cookie, &by_other(&[("prompt", "none"), ("scope", "openid")])).await.led("code").is_some());

    let page = site.authorize(&cookie, &by_other(&[])).await;
    assert_eq!(page.status, StatusCode::OK);
    for words in
        ["svc_second asks for your data", "You have agreed to this before", "To suggest a branch.", "It lends the books."]
    {
        assert!(page.text().contains(words), "the page lacks {words}");
    }
    assert!(!page.text().contains("optional_blk_"), "what she lends stays as it is");
    let refused = site.decide(&cookie, &page, &[("decision", "not-now")]).await;
    assert_eq!(refused.led_error(), "access_denied");

    let page = site.authorize(&cookie, &by_other(&[("ui_locales", "zh-TW")])).await;
    assert!(page.text().contains("您先前已同意") && page.text().contains("lang=\"zh-Hant\""));
    let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert!(answer.led("code").is_some(), "{}", answer.text());
    let after = site.city.app.grants(resident).unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!((&after[0].id, after[0].revision), (&before[0].id, before[0].revision), "her consent stands as it was");
    assert_eq!(after[0].grant.blocks, before[0].grant.blocks);
    assert!(site.authorize(&cookie, &by_other(&[("prompt", "none")])).await.led("code").is_some(), "asked once");
}

#[tokio::test]
async fn what_she_said_on_one_request_lets_no_other_in() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let scope = ("scope", "openid mdt_library-card mdt_short");
    let first = site.authorize(&cookie, &[scope]).await;
    let second = site.decide(&cookie, &first, &[("decision", "agree")]).await;
    let said = second.hidden().into_iter().find(|(name, _)| name == "request").unwrap().1;
    let said = said.split('&').find(|pair| pair.starts_with("usufruct_agreed=")).unwrap().to_owned();
    // What she agreed to there is not agreed to here: neither by another request, nor by another name of a mandate, nor in another session.
    let next = site.pushed(&[]).await;
    assert_eq!(site.get(&format!("{next}&{said}"), &cookie).await.status, StatusCode::OK);
    let other = site.pushed(&by_other(&[])).await;
    assert_eq!(site.get(&format!("{other}&{said}"), &cookie).await.status, StatusCode::OK);
    let end = site.decide(&cookie, &second, &[("decision", "not-now")]).await;
    assert_eq!(end.led_error(), "access_denied");
    assert_eq!(site.authorize(&cookie, &[("prompt", "none")]).await.led_error(), "consent_required", "she never came there");
}

#[tokio::test]
async fn what_was_withdrawn_while_she_read_is_asked_from_the_beginning() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let page = site.authorize(&cookie, &by_other(&[])).await;
    site.city.app.withdraw(resident, &mandate()).unwrap();
    let again = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert_eq!(again.status, StatusCode::OK, "she had not been asked to lend it anew");
    assert!(again.text().contains("optional_blk_district") && !again.text().contains("You have agreed to this before"));
    assert!(site.city.app.grants(resident).unwrap().iter().all(|stored| stored.grant.state != GrantState::Given));
    assert!(site.decide(&cookie, &again, &[("decision", "agree")]).await.led("code").is_some());
}

#[tokio::test]
async fn she_is_asked_again_after_a_withdrawal_and_never_after_the_end() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    assert!(site.authorize(&cookie, &[]).await.led("code").is_some(), "agreed once, asked once");
    site.city.app.withdraw(resident, &mandate()).unwrap();
    assert_eq!(site.authorize(&cookie, &[]).await.status, StatusCode::OK);
    site.city.clock.advance(9 * DAY - MINUTE);
    let cookie = site.sign_in(resident);
    let short = [("scope", "openid mdt_short")];
    let (page, unseen) = (site.authorize(&cookie, &short).await, site.pushed(&short).await);
    assert_eq!(page.status, StatusCode::OK);
    site.city.clock.advance(MINUTE);
    assert_eq!(site.get(&unseen, &cookie).await.led_error(), "invalid_scope", "it ended while the request waited");
    assert_eq!(site.push_error(&short).await, "invalid_scope");
    let late = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    assert_eq!((late.status, late.header(LOCATION)), (StatusCode::CONFLICT, ""));
    assert!(site.city.app.grants(resident).unwrap().iter().all(|stored| stored.grant.state != GrantState::Given));
}

#[tokio::test]
async fn who_was_away_signs_in_and_finds_the_page_again() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    for (minutes, is_there) in [(5, true), (31, false)] {
        let cookie = if is_there { cookie.clone() } else { site.sign_in(resident) };
        let page = site.authorize(&cookie, &[]).await;
        site.city.clock.advance(minutes * MINUTE);
        site.city.app.sign_out_everywhere(resident).unwrap();
        let hidden = page.hidden();
        let form: Vec<_> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("decision", "agree")]).collect();
        let answer = site.post(&page.action(), &cookie, &form).await;
        assert!(answer.header(LOCATION).starts_with("/sign-in?next="), "{}", answer.text());
        let cookie = site.sign_in(resident);
        let page = site.get(&answer.led("next").unwrap(), &cookie).await;
        if is_there {
            assert!(site.decide(&cookie, &page, &[("decision", "agree")]).await.led("code").is_some());
            site.city.app.withdraw(resident, &mandate()).unwrap();
        } else {
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert!(page.text().contains("Go back to the service and start again"), "{}", page.text());
        }
    }
}

#[tokio::test]
async fn a_standing_wish_holds_before_she_is_shown_anything() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let app = &site.city.app;
    app.wish(resident, &Wishes { no_optional: true, ..Wishes::default() }).unwrap();
    let page = site.authorize(&cookie, &[]).await;
    assert!(page.status == StatusCode::OK && !page.text().contains("optional_blk_"));
    app.wish(resident, &Wishes { not_offices: ["agc_library".parse().unwrap()].into(), ..Wishes::default() }).unwrap();
    let denied = site.authorize(&cookie, &[]).await;
    assert_eq!(denied.led_error(), "access_denied");
    // A no of hers reads the same.
    let (_, other) = site.resident();
    let page = site.authorize(&other, &[]).await;
    let no = site.decide(&other, &page, &[("decision", "not-now")]).await;
    assert_eq!(denied.led("error_description"), no.led("error_description"));
    assert_eq!(site.authorize(&cookie, &[("prompt", "none")]).await.led_error(), "consent_required");
    let refusal = app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap();
    assert_eq!((refusal.kind, refusal.detail.as_deref()), (Kind::Refusal, Some("wish")));
}
