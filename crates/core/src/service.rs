//! Service: something residents sign in to, with the ways in that need no pass.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Text;
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, MandateId};
use crate::jwk::{Algorithm, Jwk, KeyUse};
use crate::means::{AskedSignIn, Means};
use crate::processing_log::ProcessingLog;

/// A relying party. Its keys are public and in the log, so there is no client secret to leak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    pub agency: AgencyId,
    pub name: Text,
    /// The pseudonym domain. Two services share one only by intent, and residents are told.
    pub sector: String,
    /// Who has to take part in making or reading a pseudonym of the sector. Settled once a service of it is active.
    #[serde(skip_serializing_if = "PseudonymMode::is_single")]
    pub pseudonym_mode: PseudonymMode,
    /// Compared byte for byte (OpenID Connect Core 3.1.2.1).
    pub redirect_uris: Vec<String>,
    pub channels: Vec<Channel>,
    /// Ways to the same service that need no pass; at least one.
    pub alternatives: Vec<Text>,
    pub mandates: Vec<MandateId>,
    /// Public keys (RFC 7517) by which the service proves itself.
    pub jwks: Vec<Jwk>,
    /// Where it publishes them instead, so that it can replace them by itself. What stands there is not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    pub profile: Profile,
    /// How it proves itself where it exchanges codes.
    #[serde(skip_serializing_if = "Auth::is_by_key")]
    pub auth: Auth,
    /// How its ID tokens are signed, where it is not as the profile has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<Algorithm>,
    /// How userinfo is signed, if it is to come as a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// How events on its stream are signed, where it is not as its ID tokens are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals_signed_response_alg: Option<Algorithm>,
    /// The weakest means by which residents must have signed in to it. Anything will do unless it says so.
    #[serde(skip_serializing_if = "is_any")]
    pub means: Means,
    /// How long ago they may have: an ISO 8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_within: Option<String>,
    pub post_logout_redirect_uris: Vec<String>,
    /// Where the service is told that a resident signed out (OpenID Connect Back-Channel Logout 1.0).
    pub backchannel_logout_uri: Option<String>,
    /// Where events may be pushed to (RFC 8935), if the service makes a stream that pushes.
    pub signals_uri: Option<String>,
    /// How the lines of its own systems are read, where those know nothing of the pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_log: Option<ProcessingLog>,
    pub help: Text,
}

/// Whose keys stand between a pseudonym and the resident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PseudonymMode {
    /// The house's own.
    #[default]
    Single,
    /// The house's and one that a second keeper holds, so that neither converts or reverses alone.
    TwoKeeper,
}

/// How a service speaks to the pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// By the FAPI 2.0 security profile. Only such a service may be registered under mandates.
    #[default]
    Fapi2,
    /// By plain OpenID Connect, for software off the shelf: it learns a pseudonym and nothing else.
    Oidc,
}

/// How a service proves itself to the pass (`token_endpoint_auth_method` of OpenID Connect Dynamic Client Registration 1.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// By an assertion signed with a key of its statement.
    #[default]
    PrivateKeyJwt,
    /// Not at all: a program in a browser, which can keep no key (a public client of RFC 6749 2.1). PKCE and the registered address bind
    /// a code to the page that asked for it.
    None,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    App,
    Card,
    Counter,
    Paper,
    Web,
}

impl Service {
    /// Whether it is a program in a browser that can keep no key.
    pub fn is_public(&self) -> bool {
        self.auth == Auth::None
    }

    /// Whether the pass numbers the uses that its systems report under this mandate.
    pub fn is_numbered_by_pass(&self, mandate: &MandateId) -> bool {
        self.processing_log.as_ref().is_some_and(|log| log.numbers(mandate))
    }

    /// What a sign-in has to be for the service, whatever it asks for.
    pub fn asked_sign_in(&self) -> AskedSignIn {
        AskedSignIn { means: self.means, within: self.sign_in_within.as_deref().and_then(crate::time::parse_duration) }
    }

    /// How its ID tokens and logout tokens are signed: what it registered, or what its profile expects (OpenID Connect Dynamic Client
    /// Registration 1.0, 2).
    pub fn id_token_algorithm(&self) -> Algorithm {
        self.id_token_signed_response_alg.unwrap_or(match self.profile {
            Profile::Fapi2 => Algorithm::Es256,
            Profile::Oidc => Algorithm::Rs256,
        })
    }

    /// How events on its stream are signed: what it registered for them, or what it registered for its ID tokens.
    pub fn signals_algorithm(&self) -> Algorithm {
        self.signals_signed_response_alg.unwrap_or_else(|| self.id_token_algorithm())
    }

    /// Every algorithm by which something is signed for it.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        [self.id_token_algorithm(), self.signals_algorithm()].into_iter().chain(self.userinfo_signed_response_alg)
    }

    /// Reads a service, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let service = Self::fields(&mut draft);
        let problems = draft.finish();
        match service {
            Some(service) if problems.is_empty() => Ok(service),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let agency = draft.parse("agency", "Name the agency that answers for it, as `agc_library`.");
        let name = draft.text("name", 60, "Give the name in both languages.");
        let sector = draft.string("sector", 60, "Give the pseudonym domain; by default one of its own for each service.");
        let modes = [("single", PseudonymMode::Single), ("two_keeper", PseudonymMode::TwoKeeper)];
        let pseudonym_mode = draft.optional_word("pseudonym_mode", &modes);
        let redirect_uris = draft.parses::<String>("redirect_uris", "List where residents return to after signing in.");
        lawful_uris("redirect_uris", &redirect_uris, draft);
        let words = [
            ("app", Channel::App),
            ("card", Channel::Card),
            ("counter", Channel::Counter),
            ("paper", Channel::Paper),
            ("web", Channel::Web),
        ];
        let channels = draft.words("channels", &words, "List the ways in: app, card, counter, paper, web.");
        let alternatives: Vec<Text> = draft.objects(
            "alternatives",
            "A service whose only door is the pass cannot exist here. Describe at least one way in that needs no pass.",
            |way| {
                let en = way.string("en", 200, "Write it in English.");
                let zh = way.string("zh-Hant", 200, "Write it in traditional Chinese.");
                Some(Text { en: en?, zh_hant: zh? })
            },
        );
        let mandates = draft.optional_parses("mandates", "List the mandates it works under, as `mdt_library-card`.");
        let jwks = draft.optional_objects("jwks", Jwk::read);
        let is_twice = |key: &Jwk| jwks.iter().filter(|other| other.kid == key.kid).count() > 1;
        if jwks.iter().any(is_twice) {
            draft.note("jwks", "twice", "Two keys have one name. Give each its own.".into());
        }
        let jwks_uri = draft.optional_string("jwks_uri", 500);
        lawful_uris("jwks_uri", jwks_uri.as_slice(), draft);
        if jwks_uri.is_some() && !jwks.is_empty() {
            draft.note(
                "jwks_uri",
                "both",
                "The keys stand here and at an address, and one of the two would be out of date. Leave one out.".into(),
            );
        }
        let profiles = [("fapi2", Profile::Fapi2), ("oidc", Profile::Oidc)];
        let named = draft.optional("profile").is_some();
        let profile = if named { draft.word("profile", &profiles, "Give the profile.")? } else { Profile::Fapi2 };
        if profile == Profile::Oidc && !mandates.is_empty() {
            draft.note(
                "profile",
                "login-only",
                "A service of the profile oidc signs residents in and gets no data. Use the profile fapi2, or leave the mandates out."
                    .into(),
            );
        }
        let auth =
            draft.optional_word("auth", &[("private_key_jwt", Auth::PrivateKeyJwt), ("none", Auth::None)]).unwrap_or_default();
        if auth == Auth::None && profile != Profile::Oidc {
            draft.note(
                "auth",
                "keyless",
                "Only a service of the profile oidc may go without a key. Use the profile oidc, or give the service a key."
                    .into(),
            );
        }
        if auth == Auth::None && (!jwks.is_empty() || jwks_uri.is_some()) {
            draft.note(
                "jwks",
                "unused",
                "A service with `auth = \"none\"` proves itself by no key. Leave the keys out, or leave `auth` out.".into(),
            );
        }
        let id_token_signed_response_alg = signed_by("id_token_signed_response_alg", profile, draft);
        let userinfo_signed_response_alg = signed_by("userinfo_signed_response_alg", profile, draft);
        // The security profile speaks of its own tokens; an event is none of them, and receivers off the shelf ask for RS256.
        let signals_signed_response_alg =
            draft.optional_word("signals_signed_response_alg", &Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm)));
        if userinfo_signed_response_alg.is_none() && jwks.iter().any(|key| key.key_use == KeyUse::Encryption) {
            draft.note(
                "userinfo_signed_response_alg",
                "missing",
                "There is a key for encryption, and nothing that could be encrypted to it. Say how userinfo is signed, as `ES256`.".into(),
            );
        }
        let means = draft.optional_word("means", &Means::PROOFS.map(|means| (means.code(), means))).unwrap_or(Means::Delegate);
        let sign_in_within = draft.optional_duration("sign_in_within").map(|length| length.to_string());
        let post_logout_redirect_uris =
            draft.optional_parses("post_logout_redirect_uris", "List where residents return to after signing out.");
        lawful_uris("post_logout_redirect_uris", &post_logout_redirect_uris, draft);
        let backchannel_logout_uri = draft.optional_string("backchannel_logout_uri", 500);
        lawful_uris("backchannel_logout_uri", backchannel_logout_uri.as_slice(), draft);
        let signals_uri = draft.optional_string("signals_uri", 500);
        lawful_uris("signals_uri", signals_uri.as_slice(), draft);
        let processing_log = draft.optional_object("processing_log", ProcessingLog::read);
        let help = draft.text("help", 400, "Say in one or two sentences what the service does.");
        Some(Self {
            agency: agency?,
            name: name?,
            sector: sector?,
            pseudonym_mode: pseudonym_mode.unwrap_or_default(),
            redirect_uris,
            channels,
            alternatives,
            mandates,
            jwks,
            jwks_uri,
            profile,
            auth,
            id_token_signed_response_alg,
            userinfo_signed_response_alg,
            signals_signed_response_alg,
            means,
            sign_in_within,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            signals_uri,
            processing_log,
            help: help?,
        })
    }
}

/// An algorithm by which something is to be signed for the service.
fn signed_by(field: &'static str, profile: Profile, draft: &mut Draft<'_>) -> Option<Algorithm> {
    let algorithm = draft.optional_word(field, &Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm)));
    if profile == Profile::Fapi2 && algorithm == Some(Algorithm::Rs256) {
        draft.note(
            field,
            "forbidden",
            "The profile fapi2 forbids RS256. Choose ES256, EdDSA or PS256, or leave it out for ES256.".into(),
        );
    }
    algorithm
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_any(means: &Means) -> bool {
    *means == Means::Delegate
}

impl Auth {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_by_key(&self) -> bool {
        *self == Self::PrivateKeyJwt
    }
}

impl PseudonymMode {
    /// The word for this mode.
    pub fn code(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::TwoKeeper => "two_keeper",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_single(&self) -> bool {
        *self == Self::Single
    }
}

fn lawful_uris(field: &str, uris: &[String], draft: &mut Draft<'_>) {
    for (i, uri) in uris.iter().enumerate() {
        if !lawful_uri(uri) {
            draft.note(
                &format!("{field}[{i}]"),
                "not-https",
                "This address is neither https nor on this machine (http://localhost). Use https, without a fragment.".into(),
            );
        }
    }
}

fn lawful_uri(uri: &str) -> bool {
    let local = ["http://localhost:", "http://localhost/", "http://127.0.0.1:", "http://127.0.0.1/", "http://[::1]:"];
    let accepted = (uri.starts_with("https://") && uri.len() > 8) || local.iter().any(|prefix| uri.starts_with(prefix));
    accepted && !uri.contains(['#', ' ', '\\']) && uri.is_ascii() && uri.len() <= 500
}
