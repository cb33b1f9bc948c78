//! What every handler shares.

use std::sync::Arc;

use usufruct_app::App;
use usufruct_core::id::{AgencyId, ServiceId};
use usufruct_core::service::Profile;
use usufruct_core::{Text, Time};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::api::turn::Turns;
use crate::fault::Fault;
use crate::limits::{Limiters, Limits};
use crate::oidc::keys::ProviderKeys;
use crate::oidc::nonce::Nonces;
use crate::oidc::service_keys::ServiceKeys;
use crate::outbound::Outbound;
use crate::ssf::waiting::Waiting;
use crate::turns::PinTurns;

/// How a site is set up.
#[derive(Clone)]
pub struct Settings {
    /// Base URL without trailing slash, as `http://localhost:8080`; also the issuer.
    pub issuer: String,
    /// Whether services of the profile oidc are served: software off the shelf that signs in and gets no data.
    pub allows_oidc: bool,
    /// Present only in the demo: opens shortcuts that no real pass has.
    pub demo: Option<DemoSettings>,
}

/// Registers a sandbox service with this public key (a JWK) and redirect URI, or says why not.
pub type Sandbox = Arc<dyn Fn(&str, &str) -> Result<ServiceId, Unregistered> + Send + Sync>;

/// Why a sandbox service was not registered.
#[derive(Clone, Debug)]
pub enum Unregistered {
    /// The address to return to is not on the visitor's own machine.
    Elsewhere,
    /// The key is no JSON.
    NoJson,
    /// The register does not accept it; what it says, for developers and in English.
    Unlawful(String),
}

/// The demo's shortcuts.
#[derive(Clone)]
pub struct DemoSettings {
    pub personas: Vec<Persona>,
    /// Where the sample relying parties are.
    pub sample_urls: Vec<String>,
    /// How a developer's own service is registered.
    pub sandbox: Option<Sandbox>,
    /// The body that a visitor can be an official of.
    pub desk: Option<DemoDesk>,
}

/// Publishes the next revision of the body with this entry of a key, as the page of officials shows it.
pub type EnterKey = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// A body whose entry takes the passkeys of visitors. What goes wrong is said in two sentences, in English.
#[derive(Clone)]
pub struct DemoDesk {
    pub body: AgencyId,
    pub enter: EnterKey,
    /// Proposes a mandate and answers the id of the proposal.
    pub propose: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

/// Somebody a visitor can sign in as.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Word in the link, as `student`.
    pub key: String,
    pub resident: u64,
    pub name: String,
    pub story: Text,
}

/// Where residents show their certificate cards.
#[derive(Clone, Debug)]
pub struct CardPlace {
    /// Scheme, host and port of the listener, as `https://cards.pass.example.org`.
    pub origin: String,
    /// What the cards are called.
    pub name: Text,
}

/// What every handler shares.
pub struct Site {
    pub app: Arc<App>,
    pub settings: Settings,
    pub(crate) webauthn: Webauthn,
    pub(crate) nonces: Nonces,
    pub(crate) provider_keys: ProviderKeys,
    pub(crate) service_keys: ServiceKeys,
    pub(crate) limiters: Limiters,
    /// Turns at looking at PINs.
    pub(crate) pins: PinTurns,
    /// Turns at sending lines.
    pub(crate) line_turns: Turns,
    pub(crate) waiting: Waiting,
    pub(crate) card_place: Option<CardPlace>,
}

/// How many may wait until their PIN is looked at, of strangers and of browsers that are known: some seconds' worth.
const WAITING_PINS: usize = 64;

impl Site {
    /// A site over an open pass. The message says what is wrong with the settings when it cannot be made.
    pub fn new(app: Arc<App>, settings: Settings) -> Result<Self, String> {
        let origin = origin(&settings.issuer)?;
        let host = origin.host_str().ok_or("The issuer names no host. Give it as https://pass.example.org.")?;
        let webauthn = WebauthnBuilder::new(host, &origin)
            .and_then(|builder| builder.rp_name("Usufruct").build())
            .map_err(|error| format!("Passkeys cannot work at this issuer: {error:?}. Give a host name, not an address."))?;
        let provider_keys = ProviderKeys::open(&app, settings.allows_oidc).map_err(|error| error.to_string())?;
        let limiters = Limiters::new(&Limits::default(), &app);
        let service_keys = ServiceKeys::new(Outbound::new(&settings.issuer)?);
        Ok(Self {
            app,
            settings,
            webauthn,
            nonces: Nonces::new(false),
            provider_keys,
            service_keys,
            limiters,
            pins: PinTurns::new(std::thread::available_parallelism().map_or(1, usize::from), WAITING_PINS),
            line_turns: Turns::default(),
            waiting: Waiting::default(),
            card_place: None,
        })
    }

    /// The site with other limits than the usual.
    #[must_use]
    pub fn with_limits(mut self, limits: &Limits) -> Self {
        self.limiters = Limiters::new(limits, &self.app);
        self
    }

    /// The site with nonces of its own in every proof of possession.
    #[must_use]
    pub fn with_dpop_nonces(mut self) -> Self {
        self.nonces = Nonces::new(true);
        self
    }

    /// The site with another way to the addresses of services.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Outbound) -> Self {
        self.service_keys = ServiceKeys::new(outbound);
        self
    }

    /// Tells that the clock has jumped: until then proofs of possession are timed by nonces.
    pub fn doubt_clock(&self, until: Time) {
        self.nonces.doubt(until);
    }

    /// The site with certificate cards as a way in.
    #[must_use]
    pub fn with_card_place(mut self, place: CardPlace) -> Self {
        self.card_place = Some(place);
        self
    }

    /// Whether services of this profile are served.
    pub(crate) fn serves(&self, profile: Profile) -> bool {
        self.settings.allows_oidc || profile == Profile::Fapi2
    }

    /// Whether cookies can be marked `Secure` and get the `__Host-` prefix.
    pub(crate) fn is_https(&self) -> bool {
        self.settings.issuer.starts_with("https://")
    }
}

/// Runs a use case on a thread that may block on the store.
pub(crate) async fn blocking<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&App) -> Result<T, usufruct_app::Error> + Send + 'static,
) -> Result<T, Fault> {
    let app = Arc::clone(&site.app);
    let joined = tokio::task::spawn_blocking(move || scrubbed(|| work(&app))).await;
    joined.map_err(|_| Fault::internal())?.map_err(Fault::from)
}

/// Does something with keys in hand on a thread that may wait for long afterwards, and leaves none of them on its stack.
pub(crate) fn scrubbed<T>(work: impl FnOnce() -> T) -> T {
    let outcome = work();
    usufruct_app::vault::scrub();
    outcome
}

/// As [`blocking`], for those who tell errors apart.
pub(crate) async fn attempt<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&App) -> Result<T, usufruct_app::Error> + Send + 'static,
) -> Result<T, usufruct_app::Error> {
    let app = Arc::clone(&site.app);
    let joined = tokio::task::spawn_blocking(move || scrubbed(|| work(&app))).await;
    joined.unwrap_or(Err(usufruct_app::Error::Stale))
}

/// The issuer as a URL: scheme, host and port only, and https except on this machine (OpenID Connect Discovery 1.0, section 3).
fn origin(issuer: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(issuer)
        .map_err(|error| format!("The issuer is no URL: {error}. Give it as https://pass.example.org."))?;
    let host = url.host_str().ok_or("The issuer names no host. Give it as https://pass.example.org.")?;
    let has_more = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some();
    if issuer.ends_with('/') || url.path() != "/" && !url.path().is_empty() || has_more {
        return Err("The issuer has a path, a slash at its end or something else. Give scheme, host and port only.".to_owned());
    }
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        let message =
            "The issuer is no https address, and only this machine may be reached without. Give it as https://pass.example.org.";
        return Err(message.to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_issuer_is_scheme_host_and_port() {
        for good in [
            "https://pass.example.org",
            "https://pass.example.org:8443",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]:1",
        ] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "https://pass.example.org/",
            "https://pass.example.org/a",
            "https://pass.example.org?a=1",
            "https://pass.example.org/?a=1",
            "https://pass.example.org#a",
            "https://me@pass.example.org",
            "http://pass.example.org",
            "ftp://localhost",
            "pass.example.org",
            "http://localhost.example.org",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
