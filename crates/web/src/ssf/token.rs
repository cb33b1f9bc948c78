//! The two tokens by which a service is told: logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.4) and security event tokens
//! (RFC 8417).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_app::{Credential, CredentialChange, Event, Happening, Initiator};
use usufruct_core::means::Means;
use usufruct_core::ports::random;

use crate::Site;

/// The token that tells a service to end a session. Each try is a token of its own, since a service may refuse one it has seen.
pub(crate) fn logout(site: &Site, event: &Event) -> Option<String> {
    let now = site.app.now().seconds();
    let mut claims = json!({
        "iss": site.settings.issuer,
        "aud": event.service,
        "iat": now,
        "exp": now + LOGOUT_LIFE_SECONDS,
        "jti": URL_SAFE_NO_PAD.encode(random::<16>(site.app.rng())),
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        "sub": event.told.subject.as_ref()?,
    });
    if let Happening::SessionEnded { sid, .. } = &event.told.happening {
        claims["sid"] = json!(sid);
    }
    // By the algorithm of its ID tokens (OpenID Connect Back-Channel Logout 1.0, 2.6).
    let algorithm = site.app.register().services.get(&event.service)?.body.id_token_algorithm();
    site.provider_keys.sign_by(algorithm, "logout+jwt", &claims)
}

/// The token that tells a service what happened. It has the same `jti` however often it is sent. Its times are those at which this service might
/// hear of it, which no other service shares: up to some minutes after the event, so that whoever ends what began before misses nothing.
pub(crate) fn security_event(site: &Site, event: &Event) -> Option<String> {
    let (name, content) = content(event);
    let claims = json!({
        "iss": site.settings.issuer,
        "aud": event.service,
        "iat": event.ready_at.seconds(),
        "jti": event.id,
        "txn": event.told.txn,
        "sub_id": sub_id(site, event),
        "events": { name: content },
    });
    let algorithm = site.app.register().services.get(&event.service)?.body.signals_algorithm();
    site.provider_keys.sign_by(algorithm, "secevent+jwt", &claims)
}

/// Of whom or what the event speaks (RFC 9493).
fn sub_id(site: &Site, event: &Event) -> Value {
    let issuer = &site.settings.issuer;
    let user = event.told.subject.as_ref().map(|subject| json!({ "format": "iss_sub", "iss": issuer, "sub": subject }));
    match (user, &event.told.happening) {
        (Some(user), Happening::SessionEnded { sid, .. }) => {
            json!({ "format": "complex", "user": user, "session": { "format": "opaque", "id": sid } })
        }
        (Some(user), _) => user,
        (None, Happening::Verification { stream, .. }) => json!({ "format": "opaque", "id": stream }),
        (
            None,
            Happening::MandateEnded { mandate, .. }
            | Happening::GrantWithdrawn { mandate }
            | Happening::DeletionDue { mandate: Some(mandate), .. },
        ) => json!({ "format": "uri", "uri": format!("{issuer}/register/mandates/{mandate}") }),
        (None, _) => json!({ "format": "uri", "uri": issuer }),
    }
}

/// The type of the event and what it says.
fn content(event: &Event) -> (&'static str, Value) {
    let at = event.ready_at.seconds();
    let content = match &event.told.happening {
        Happening::SessionEnded { by, .. } | Happening::AllSessionsEnded { by } => {
            json!({ "event_timestamp": at, "initiating_entity": initiator(*by), "reason_admin": why_ended(*by) })
        }
        Happening::CredentialChanged { credential, change } => json!({
            "event_timestamp": at,
            "credential_type": credential_type(*credential),
            "change_type": change_type(*change),
            "reason_admin": what_changed(*change),
        }),
        Happening::AssuranceChanged { from, to } => json!({
            "event_timestamp": at,
            "namespace": "urn:usufruct:acr",
            "previous_level": from,
            "current_level": to,
            "change_direction": if Means::from_acr(to) > Means::from_acr(from) { "increase" } else { "decrease" },
        }),
        Happening::GrantWithdrawn { mandate } => json!({ "event_timestamp": at, "mandate": mandate }),
        Happening::MandateEnded { mandate, cause } => json!({ "event_timestamp": at, "mandate": mandate, "cause": cause }),
        Happening::AccountFrozen | Happening::AccountUnfrozen => json!({ "event_timestamp": at }),
        Happening::DeletionDue { deletion, mandate, due_at } => json!({
            "event_timestamp": at,
            "deletion": deletion,
            "mandate": mandate,
            "due_at": due_at.seconds(),
        }),
        Happening::PseudonymReplaced { next } => json!({ "event_timestamp": at, "new_sub": next }),
        Happening::Verification { state: Some(state), .. } => json!({ "state": state }),
        Happening::Verification { state: None, .. } => json!({}),
    };
    (event.told.happening.event_type().unwrap_or(VERIFICATION), content)
}

fn initiator(by: Initiator) -> &'static str {
    match by {
        Initiator::User => "user",
        Initiator::Policy => "policy",
    }
}

/// For whoever runs the service. The CAEP interoperability profile 1.0 asks for it; it says no more than the members beside it, and the same of
/// everybody.
fn why_ended(by: Initiator) -> Value {
    match by {
        Initiator::User => json!({ "en": "She ended it.", "zh-Hant": "由本人結束。" }),
        Initiator::Policy => json!({ "en": "Its time was over.", "zh-Hant": "時間已到。" }),
    }
}

fn what_changed(change: CredentialChange) -> Value {
    match change {
        CredentialChange::Create => json!({ "en": "A way to sign in was added.", "zh-Hant": "新增了一種登入方式。" }),
        CredentialChange::Revoke => json!({ "en": "A way to sign in was removed.", "zh-Hant": "移除了一種登入方式。" }),
        CredentialChange::Update => json!({ "en": "A way to sign in was changed.", "zh-Hant": "變更了一種登入方式。" }),
    }
}

/// In the words of CAEP 1.0, 3.3.
fn credential_type(credential: Credential) -> &'static str {
    match credential {
        Credential::Card => "pin",
        Credential::Certificate => "x509",
        Credential::Passkey => "fido2-platform",
    }
}

fn change_type(change: CredentialChange) -> &'static str {
    match change {
        CredentialChange::Create => "create",
        CredentialChange::Revoke => "revoke",
        CredentialChange::Update => "update",
    }
}

const LOGOUT_LIFE_SECONDS: i64 = 120;
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";
