//! Service: something residents sign in to, with the ways in that need no pass.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, MandateId};

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
    pub post_logout_redirect_uris: Vec<String>,
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

/// A public key of a service: P-256 for ES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    pub kid: String,
    pub kty: String,
    pub crv: String,
    pub x: String,
    pub y: String,
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
        let jwks = draft.optional_objects("jwks", |key| {
            let kid = key.string("kid", 80, "Name the key.");
            let kty = key.word("kty", &[("EC", "EC")], "Only elliptic-curve keys are accepted.");
            let crv = key.word("crv", &[("P-256", "P-256")], "Only the curve P-256 is accepted.");
            let x = key.string("x", 43, "Give the x coordinate in base64url.");
            let y = key.string("y", 43, "Give the y coordinate in base64url.");
            Some(Jwk { kid: kid?, kty: kty?.into(), crv: crv?.into(), x: x?, y: y? })
        });
        let post_logout_redirect_uris =
            draft.optional_parses("post_logout_redirect_uris", "List where residents return to after signing out.");
        lawful_uris("post_logout_redirect_uris", &post_logout_redirect_uris, draft);
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
            post_logout_redirect_uris,
            help: help?,
        })
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
