//! Agency: a public body, vendor, overseer or the operator; who may sign for it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::AgencyId;
use crate::register::Register;
use crate::webauthn::Passkey;
use crate::{Text, Time};

/// A party that can stand in the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agency {
    pub legal_name: Text,
    pub kind: AgencyKind,
    /// Where people can write or call.
    pub contact: String,
    /// The personal data protection officer.
    pub protection_officer: String,
    /// The named, trained person for data security (Taiwan Act 18).
    pub security_officer: String,
    pub jurisdiction: String,
    /// The body that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<AgencyId>,
    /// Its own systems that use data, and since when each of them logs every use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_systems: Vec<SourceSystem>,
    pub signing_keys: Vec<SigningKey>,
    /// Of the operator: of which bodies people approve by passkeys alone, and from when on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passkeys_from: Vec<PasskeysFrom>,
}

/// From this moment on key files of people approve nothing for a body. Those of machines go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PasskeysFrom {
    pub body: AgencyId,
    pub from: Time,
}

/// A system of a body that uses data of residents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSystem {
    pub name: Text,
    /// From then on every use of it is in the log.
    pub log_complete_since: Time,
}

/// What kind of body an agency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgencyKind {
    Agency,
    Auditor,
    HealthAuthority,
    Operator,
    Oversight,
    SecurityOrIntelligence,
    Vendor,
}

/// A key by which one official, or one automaton, approves statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SigningKey {
    /// Short name, unique within the agency.
    pub id: String,
    /// The office it speaks for, as `head`, `data-protection`, `automation`.
    pub role: String,
    /// Raw Ed25519 public key, base64url without padding; of a passkey what its algorithm says.
    pub public: String,
    /// A word for the person, where she has more than one key: a passkey on each of two devices, say. Keys of one holder are one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Set where the key is a passkey and not a key file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webauthn: Option<Passkey>,
}

/// The role of keys that no person holds. They can end and withhold power, never give it.
pub const AUTOMATION: &str = "automation";

impl SigningKey {
    /// What tells the person who holds it from others of the same body: all her keys have it in common.
    pub fn person(&self) -> &str {
        self.holder.as_deref().unwrap_or(&self.public)
    }
}

impl AgencyKind {
    pub const WORDS: [(&'static str, Self); 7] = [
        ("agency", Self::Agency),
        ("auditor", Self::Auditor),
        ("health_authority", Self::HealthAuthority),
        ("operator", Self::Operator),
        ("oversight", Self::Oversight),
        ("security_or_intelligence", Self::SecurityOrIntelligence),
        ("vendor", Self::Vendor),
    ];
}

impl Agency {
    /// Reads an agency, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let agency = Self::fields(&mut draft);
        let problems = draft.finish();
        match agency {
            Some(agency) if problems.is_empty() => Ok(agency),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let legal_name = draft.text("legal_name", 120, "Give the legal name in both languages.");
        let kind = draft.word("kind", &AgencyKind::WORDS, "Say what kind of body this is.");
        let contact = draft.string("contact", 200, "Give an address people can write to or a number they can call.");
        let protection_officer = draft.string("protection_officer", 120, "Name the office of the data protection officer.");
        let security_officer = draft.string("security_officer", 120, "Name the office responsible for data security.");
        let jurisdiction = draft.string("jurisdiction", 40, "Give the code of the law that applies, as `TW`.");
        let parent = draft.optional_parse("parent", "Name the body that it is a part of, as `agc_city`, or leave it out.");
        let source_systems = draft.optional_objects("source_systems", |system| {
            let name = system.text("name", 80, "Name the system in both languages.");
            let since = system.time("log_complete_since", "Say since when every use of it is in the log.");
            Some(SourceSystem { name: name?, log_complete_since: since? })
        });
        let signing_keys = draft.objects("signing_keys", "Add at least one key that may sign for this body.", |key| {
            let id = key.string("id", 60, "Give the key a short name.");
            let role = key.string("role", 60, "Say which office the key speaks for.");
            let public = key.string("public", 90, "Give the raw Ed25519 public key in base64url.");
            let holder = key.optional_string("holder", 60);
            let is_passkey = key.optional("webauthn").is_some();
            let webauthn = key.optional_object("webauthn", |draft| Passkey::read(draft, public.as_deref()));
            if !is_passkey && public.as_deref().is_some_and(|public| crate::statement::public_key(public).is_none()) {
                key.note(
                    "public",
                    "malformed",
                    "This is not an Ed25519 public key. Give its 32 bytes in base64url without padding.".into(),
                );
                return None;
            }
            if is_passkey && role.as_deref() == Some(AUTOMATION) {
                let message =
                    "A passkey is touched by a person, and this role is a machine's. Give it a key file, or another role.";
                key.note("webauthn", "automation", message.into());
            }
            (webauthn.is_some() == is_passkey).then_some(())?;
            Some(SigningKey { id: id?, role: role?, public: public?, holder, webauthn })
        });
        let passkeys_from: Vec<PasskeysFrom> = draft.optional_objects("passkeys_from", |demand| {
            let body = demand.parse("body", "Name the body, as `agc_library`.");
            let from = demand.time("from", "Say from when on its people approve by passkeys alone.");
            Some(PasskeysFrom { body: body?, from: from? })
        });
        if !passkeys_from.is_empty() && kind != Some(AgencyKind::Operator) {
            let message = "Only the operator says who approves by passkeys alone. Take this out.";
            draft.note("passkeys_from", "not-the-operator", message.into());
        }
        let demanded: BTreeSet<_> = passkeys_from.iter().map(|demand| &demand.body).collect();
        if demanded.len() != passkeys_from.len() {
            draft.note("passkeys_from", "twice", "A body is there twice. Name each once.".into());
        }
        let mut ids: Vec<_> = signing_keys.iter().map(|key| &key.id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("signing_keys", "duplicate", "Two keys have the same name. Give each its own.".into());
        }
        let mut publics: Vec<_> = signing_keys.iter().map(|key| &key.public).collect();
        publics.sort_unstable();
        if publics.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note(
                "signing_keys",
                "duplicate",
                "One public key stands under two names, so one person could speak for two roles. Give each person a key.".into(),
            );
        }
        let holders = |key: &SigningKey| key.holder.clone().map(|holder| (holder, key.role.clone()));
        let held: BTreeSet<_> = signing_keys.iter().filter_map(holders).collect();
        let mut named = held.iter().map(|(holder, _)| holder);
        if named.any(|holder| held.iter().filter(|(other, _)| other == holder).count() > 1) {
            let message = "The keys of one holder speak for two roles, so one person could be two. Give them one role.";
            draft.note("signing_keys", "two-roles", message.into());
        }
        Some(Self {
            legal_name: legal_name?,
            kind: kind?,
            contact: contact?,
            protection_officer: protection_officer?,
            security_officer: security_officer?,
            jurisdiction: jurisdiction?,
            parent,
            source_systems,
            signing_keys,
            passkeys_from,
        })
    }

    /// Whether people in two roles hold passkeys, so that the body can go on without key files.
    pub fn has_passkeys(&self) -> bool {
        let roles = self.signing_keys.iter().filter(|key| key.webauthn.is_some()).map(|key| &key.role);
        roles.collect::<BTreeSet<_>>().len() > 1
    }

    /// The signing key with this name.
    pub fn key(&self, id: &str) -> Option<&SigningKey> {
        self.signing_keys.iter().find(|key| key.id == id)
    }
}

impl Register {
    /// Since when people of a body approve by passkeys alone, if they have to at `at`.
    pub fn passkeys_since(&self, body: &AgencyId, at: Time) -> Option<Time> {
        let demands = self.operator().map_or(&[][..], |operator| &operator.body.passkeys_from);
        demands.iter().find(|demand| demand.body == *body && demand.from <= at).map(|demand| demand.from)
    }

    /// Since when a key of a body approves nothing, because it is a person's key file and the city demands passkeys of that body.
    pub fn refuses_key(&self, body: &AgencyId, key: &SigningKey, at: Time) -> Option<Time> {
        if key.webauthn.is_some() || key.role == AUTOMATION { None } else { self.passkeys_since(body, at) }
    }
}
