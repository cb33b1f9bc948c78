//! How many requests are taken from one network and from one service: beyond that, 429 and when to come back.
//!
//! Guesses at PINs are counted in the store besides (`usufruct_app::App::sign_in_with_card`); this only keeps one caller from
//! taking what the machine can do from all others.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{NotUntil, Quota, RateLimiter};
use usufruct_app::App;
use usufruct_core::id::ServiceId;

use crate::Site;
use crate::fault::Fault;
use crate::limit_keys::{Countable, Keys};
use crate::oidc;
use crate::oidc::fields::OAuthError;

/// Requests per second in the long run and at once.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub per_second: u32,
    pub burst: u32,
}

/// The limits of a site.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Codes and PINs, per network.
    pub guesses: Limit,
    /// The same, per customer of a provider of IPv6, who may have as many networks as there are households in a street.
    pub guesses_of_customer: Limit,
    /// Passkey ceremonies, per network: a mobile carrier hides many people behind one.
    pub ceremonies: Limit,
    /// Endpoints for services, per network.
    pub services: Limit,
    /// The API for services and their signals, per network, with a token or without: a body's services may share one.
    pub calls: Limit,
    /// Signed requests of one service to the provider, wherever they come from.
    pub service: Limit,
    /// Requests of one service by a token, to the API, about its signals, its grants and its residents, wherever they come from.
    pub call: Limit,
    /// Services registered in the sandbox of a demo, per network.
    pub registrations: Pace,
}

/// Requests in the long run, when one a second would be too many, and at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub seconds_for_one: u32,
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guesses: Limit { per_second: 1, burst: 30 },
            guesses_of_customer: Limit { per_second: 4, burst: 60 },
            ceremonies: Limit { per_second: 10, burst: 100 },
            services: Limit { per_second: 200, burst: 400 },
            calls: Limit { per_second: 500, burst: 1_000 },
            service: Limit { per_second: 50, burst: 100 },
            call: Limit { per_second: 250, burst: 500 },
            registrations: Pace { seconds_for_one: 60, burst: 10 },
        }
    }
}

impl Limits {
    /// So wide that nothing is turned away: for measurements.
    pub fn wide() -> Self {
        let limit = Limit { per_second: 1_000_000, burst: 1_000_000 };
        let registrations = Pace { seconds_for_one: 1, burst: limit.burst };
        Self {
            guesses: limit,
            guesses_of_customer: limit,
            ceremonies: limit,
            services: limit,
            calls: limit,
            service: limit,
            call: limit,
            registrations,
        }
    }
}

/// The counters behind the limits.
pub(crate) struct Limiters {
    guesses: Limiter<IpAddr>,
    guesses_of_customer: Limiter<IpAddr>,
    ceremonies: Limiter<IpAddr>,
    services: Limiter<IpAddr>,
    calls: Limiter<IpAddr>,
    registrations: Limiter<IpAddr>,
    service: Limiter<ServiceId>,
    call: Limiter<ServiceId>,
}

/// A limit on whoever has the same key.
struct Limiter<K: Countable> {
    rate: RateLimiter<K, Keys<K>, SiteClock, NoOpMiddleware<Nanos>>,
    /// When those who have been quiet were last forgotten, in nanoseconds.
    swept_at: AtomicU64,
}

impl Limiters {
    pub fn new(limits: &Limits, app: &Arc<App>) -> Self {
        Self {
            guesses: limiter(limits.guesses, app),
            guesses_of_customer: limiter(limits.guesses_of_customer, app),
            ceremonies: limiter(limits.ceremonies, app),
            services: limiter(limits.services, app),
            calls: limiter(limits.calls, app),
            registrations: paced(limits.registrations, app),
            service: limiter(limits.service, app),
            call: limiter(limits.call, app),
        }
    }

    /// Counts a request that a service signed; seconds to wait when it is one too many. Nobody else can use up its share.
    pub fn count_service(&self, service: &ServiceId) -> Result<(), u64> {
        count(&self.service, service)
    }

    /// Counts a request that a service makes with a token; seconds to wait when it is one too many.
    pub fn count_call(&self, service: &ServiceId) -> Result<(), u64> {
        count(&self.call, service)
    }

    fn of(&self, method: &Method, path: &str) -> Option<&Limiter<IpAddr>> {
        let is_post = *method == Method::POST;
        match path {
            // A preflight does nothing, and a page whose preflight is refused never reads that it asked too often.
            _ if *method == Method::OPTIONS && oidc::cross_origin::is_called(path) => None,
            _ if is_guess(method, path) => Some(&self.guesses),
            "/developers" if is_post => Some(&self.registrations),
            _ if ["/webauthn/", "/sign-in/certificate/", "/officials/sign-in/"].iter().any(|front| path.starts_with(front)) => {
                Some(&self.ceremonies)
            }
            _ if path.starts_with("/oidc/") => Some(&self.services),
            _ if path.starts_with("/api/") || path.starts_with("/ssf/") => Some(&self.calls),
            _ => None,
        }
    }
}

/// Turns away what is too much from one network.
pub(crate) async fn by_address(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let limiter = site.limiters.of(request.method(), request.uri().path());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    if let (Some(limiter), Some(address)) = (limiter, address(peer, request.headers())) {
        let path = request.uri().path();
        let mut counted = count(limiter, &prefix(address, SITE));
        if counted.is_ok() && address.is_ipv6() && is_guess(request.method(), path) {
            counted = count(&site.limiters.guesses_of_customer, &prefix(address, CUSTOMER));
        }
        if let Err(seconds) = counted {
            let is_for_programs = oidc::answers_programs(path);
            return if is_for_programs {
                OAuthError::too_many(seconds).into_response()
            } else {
                Fault::too_many(seconds).into_response()
            };
        }
    }
    next.run(request).await
}

/// Whether a request may be a guess at a code or a PIN.
fn is_guess(method: &Method, path: &str) -> bool {
    *method == Method::POST && matches!(path, "/sign-in/card" | "/recover" | "/freeze" | "/webauthn/register/start")
}

/// The network of whoever connects as one provider gives it to one customer, a /24 or a /48; `None` for this machine itself.
pub fn network_of(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    (!peer.is_loopback()).then(|| prefix(peer, CUSTOMER))
}

/// The network of whoever sends a request, as [`network_of`] says it, also behind a web server on this machine.
pub(crate) struct Caller(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Ok(Self(address(peer, &parts.headers).map(|address| prefix(address, CUSTOMER))))
    }
}

/// The address of the caller. Behind a web server on this machine it is the last one that the server noted; what begins on this machine
/// itself is not counted.
fn address(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !peer.is_loopback() {
        return Some(peer);
    }
    let noted = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    noted.rsplit(',').next()?.trim().parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn prefix(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & (u32::MAX << 8)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << (128 - bits))).into()),
    }
}

fn count<K: Countable>(limiter: &Limiter<K>, key: &K) -> Result<(), u64> {
    let rate = &limiter.rate;
    let now = rate.clock().now();
    if rate.len() >= MOST_KEYS && is_due(&limiter.swept_at, now) {
        rate.retain_recent();
    }
    rate.check_key(key).map_err(|until: NotUntil<Nanos>| seconds(until.wait_time_from(now)))
}

/// Whether to look through all keys, which takes a while, so that it is not done for every request of a flood. Of those who ask at once one
/// is told yes.
fn is_due(swept_at: &AtomicU64, now: Nanos) -> bool {
    let (last, now) = (swept_at.load(Ordering::Relaxed), now.as_u64());
    now.abs_diff(last) >= SWEPT_EVERY && swept_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Whole seconds, rounded up, at least one.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn limiter<K: Countable>(limit: Limit, app: &Arc<App>) -> Limiter<K> {
    of_quota(Quota::per_second(some(limit.per_second)).allow_burst(some(limit.burst)), app)
}

fn paced<K: Countable>(pace: Pace, app: &Arc<App>) -> Limiter<K> {
    let every = Duration::from_secs(some(pace.seconds_for_one).get().into());
    // A quota of no time at all is the one that cannot be made.
    let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(some(pace.burst));
    of_quota(quota, app)
}

fn of_quota<K: Countable>(quota: Quota, app: &Arc<App>) -> Limiter<K> {
    let rate = RateLimiter::new(quota, Keys::new(MOST_KEYS, MOST_NEIGHBOURHOODS), SiteClock(Arc::clone(app)));
    Limiter { rate, swept_at: AtomicU64::new(0) }
}

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// The clock of the pass, as governor asks for one.
#[derive(Clone)]
struct SiteClock(Arc<App>);

impl Clock for SiteClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_micros(self.0.now().micros().max(0).unsigned_abs()).into()
    }
}

/// Leading bits of an IPv6 address that one household has, and one customer of a provider at most.
const SITE: u32 = 56;
const CUSTOMER: u32 = 48;
/// Networks that are told apart, and neighbourhoods of those that come when so many are counted already: some megabytes.
const MOST_KEYS: usize = 100_000;
const MOST_NEIGHBOURHOODS: usize = 20_000;
/// Nanoseconds between two times that those who have been quiet are forgotten.
const SWEPT_EVERY: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !forwarded.is_empty() {
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        address(Some(peer.parse().unwrap()), &headers).map(|address| prefix(address, SITE).to_string())
    }

    #[test]
    fn a_network_is_a_prefix_and_nobody_names_their_own() {
        assert_eq!(of("203.0.113.77", "").as_deref(), Some("203.0.113.0"));
        assert_eq!(of("::ffff:203.0.113.77", "").as_deref(), Some("203.0.113.0"));
        assert_eq!(of("2001:db8:1:2ff:3::4", "").as_deref(), Some("2001:db8:1:200::"));
        assert_eq!(
            of("203.0.113.77", "198.51.100.1").as_deref(),
            Some("203.0.113.0"),
            "a header from outside counts for nothing"
        );
        assert_eq!(
            of("127.0.0.1", "192.0.2.9, 198.51.100.1").as_deref(),
            Some("198.51.100.0"),
            "the web server's own note is the last"
        );
        assert_eq!(of("127.0.0.1", ""), None);
        assert_eq!(of("127.0.0.1", "nonsense"), None);
    }
}
