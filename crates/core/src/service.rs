//! Service: something residents sign in to, with the ways in that need no pass.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
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
    pub profile: Profile,
    /// How it proves itself where it exchanges codes.
    #[serde(skip_serializing_if = "Auth::is_by_key")]
    pub auth: Auth,
    pub post_logout_redirect_uris: Vec<String>,
    /// Where the service is told that a resident signed out (OpenID Connect Back-Channel Logout 1.0).
    pub backchannel_logout_uri: Option<String>,
    /// Where events may be pushed to (RFC 8935), if the service makes a stream that pushes.
    pub signals_uri: Option<String>,
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

/// A public key of a service: P-256 for ES256, Ed25519 for EdDSA, RSA of 2,048 bits or more for PS256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    pub kid: String,
    pub kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
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
        let jwks = draft.optional_objects("jwks", jwk);
        let is_twice = |key: &Jwk| jwks.iter().filter(|other| other.kid == key.kid).count() > 1;
        if jwks.iter().any(is_twice) {
            draft.note("jwks", "twice", "Two keys have one name. Give each its own.".into());
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
        if auth == Auth::None && !jwks.is_empty() {
            draft.note(
                "jwks",
                "unused",
                "A service with `auth = \"none\"` proves itself by no key. Leave the keys out, or leave `auth` out.".into(),
            );
        }
        let post_logout_redirect_uris =
            draft.optional_parses("post_logout_redirect_uris", "List where residents return to after signing out.");
        lawful_uris("post_logout_redirect_uris", &post_logout_redirect_uris, draft);
        let backchannel_logout_uri = draft.optional_string("backchannel_logout_uri", 500);
        lawful_uris("backchannel_logout_uri", backchannel_logout_uri.as_slice(), draft);
        let signals_uri = draft.optional_string("signals_uri", 500);
        lawful_uris("signals_uri", signals_uri.as_slice(), draft);
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
            profile,
            auth,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            signals_uri,
            help: help?,
        })
    }
}

/// Reads a public key. Private parts and symmetric keys have no field here, so they are refused.
fn jwk(key: &mut Draft<'_>) -> Option<Jwk> {
    let kid = key.string("kid", 80, "Name the key.");
    let kinds = [("EC", "EC"), ("OKP", "OKP"), ("RSA", "RSA")];
    let kty = key.word("kty", &kinds, "Give an elliptic-curve key (EC or OKP) or an RSA key.")?;
    let (mut crv, mut x, mut y, mut n, mut e) = (None, None, None, None, None);
    match kty {
        "RSA" => {
            n = Some(number("n", "Give the modulus in base64url.", key)?);
            e = Some(number("e", "Give the exponent in base64url.", key)?);
            if n.as_deref().and_then(bits).is_some_and(|bits| bits < SHORTEST_MODULUS_BITS) {
                key.note("n", "too-short", "The RSA key has fewer than 2,048 bits. Make a longer one.".into());
            }
        }
        _ => {
            x = Some(coordinate("x", "Give the x coordinate in base64url.", key)?);
            if kty == "EC" {
                y = Some(coordinate("y", "Give the y coordinate in base64url.", key)?);
            }
            let curves = if kty == "EC" { [("P-256", "P-256")] } else { [("Ed25519", "Ed25519")] };
            crv = Some(key.word("crv", &curves, "Give P-256 for EC, Ed25519 for OKP.")?.to_owned());
            if let (Some(x), Some(y)) = (&x, &y)
                && !is_on_curve(x, y)
            {
                key.note("y", "off-curve", "The coordinates are no point of P-256. Export the public key again.".into());
            }
        }
    }
    Some(Jwk { kid: kid?, kty: kty.to_owned(), crv, x, y, n, e })
}

/// Shortest modulus of an RSA key (FAPI 2.0 Security Profile 5.4.2).
const SHORTEST_MODULUS_BITS: usize = 2_048;
/// Bytes of a coordinate on P-256 and of an Ed25519 key.
const COORDINATE_BYTES: usize = 32;

/// A number of an RSA key, in base64url.
fn number(name: &'static str, words: &str, key: &mut Draft<'_>) -> Option<String> {
    let text = key.string(name, 700, words)?;
    if bits(&text).is_none_or(|bits| bits == 0) {
        key.note(name, "malformed", format!("This is no number. {words}"));
    }
    Some(text)
}

/// A coordinate of a public key, in base64url.
fn coordinate(name: &'static str, words: &str, key: &mut Draft<'_>) -> Option<String> {
    let text = key.string(name, 700, words)?;
    if URL_SAFE_NO_PAD.decode(&text).ok().is_none_or(|bytes| bytes.len() != COORDINATE_BYTES) {
        key.note(name, "malformed", format!("This is no coordinate of 32 bytes. {words}"));
    }
    Some(text)
}

/// Whether two coordinates are a point of P-256 (SEC 1, 2.3.4).
fn is_on_curve(x: &str, y: &str) -> bool {
    let (Ok(x), Ok(y)) = (URL_SAFE_NO_PAD.decode(x), URL_SAFE_NO_PAD.decode(y)) else { return false };
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat()).is_ok()
}

/// First byte of a point that is written with both coordinates (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// How many bits a number in base64url has, leading zeros aside.
fn bits(text: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let leading = bytes.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    Some((bytes.len() - first) * 8 - leading)
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
