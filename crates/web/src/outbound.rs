//! Requests to services: only to addresses of the register, and never to anything inside.
//!
//! A name is resolved first, and the connection goes to the address that was looked at: a name that answers otherwise a moment later
//! leads nowhere else. Redirects are not followed and proxies of the environment are not asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use url::{Host, Url};

/// Finds the addresses of a host.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// A client for requests to services. Clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    /// Whether services on this machine may be called: only where the pass itself is on it, in demos and tests.
    may_be_local: bool,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    #[error("The address is not https, or leads inside. Register one that the public can reach.")]
    Forbidden,
    #[error("The service answered with status {0}. It has to answer 200, and nobody is followed elsewhere.")]
    Status(u16),
    #[error("The service did not answer in time. It is tried again.")]
    Unreachable,
    #[error("The answer is larger than 64 KiB and was not read. Answer with less.")]
    TooLarge,
}

impl Outbound {
    /// A client for a pass at `issuer`.
    pub fn new(issuer: &str) -> Result<Self, String> {
        Self::resolving(issuer, Arc::new(of_the_system))
    }

    /// As [`Outbound::new`], with another way to find addresses.
    pub fn resolving(issuer: &str, lookup: Arc<Lookup>) -> Result<Self, String> {
        let issuer =
            Url::parse(issuer).map_err(|error| format!("The issuer is no URL: {error}. Give it as https://pass.example.org."))?;
        let may_be_local = issuer.scheme() == "http" && is_local(&issuer);
        let client = reqwest::Client::builder()
            .connect_timeout(WITHIN)
            .timeout(WITHIN)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Guard { lookup, may_be_local })
            .user_agent(concat!("usufruct/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("No connection can be made: {error}. Check the limits of the system."))?;
        Ok(Self { client, may_be_local })
    }

    /// Posts to an address of the register, and answers the status. `authorization` is sent as it is.
    pub async fn post(&self, url: &str, content_type: &str, authorization: Option<&str>, body: String) -> Result<u16, Unsent> {
        let url = self.lawful(url).ok_or(Unsent::Forbidden)?;
        let mut request = self.client.post(url).header(CONTENT_TYPE, content_type).body(body);
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| Unsent::Forbidden)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(answer(request).await?.0)
    }

    /// What stands at an address of the register. Only 200 says that something does.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, Unsent> {
        let url = self.lawful(url).ok_or(Unsent::Forbidden)?;
        match answer(self.client.get(url).header(ACCEPT, "application/json")).await? {
            (200, body) => Ok(body),
            (status, _) => Err(Unsent::Status(status)),
        }
    }

    /// The address, if a request may go there as far as it can be told without resolving it.
    fn lawful(&self, url: &str) -> Option<Url> {
        let url = Url::parse(url).ok()?;
        let is_local = self.may_be_local && is_local(&url);
        let scheme_fits = url.scheme() == "https" || url.scheme() == "http" && is_local;
        let host_fits = match url.host()? {
            Host::Domain(_) => true,
            Host::Ipv4(address) => is_local || is_public(address.into()),
            Host::Ipv6(address) => is_local || is_public(address.into()),
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        (scheme_fits && host_fits && is_plain).then_some(url)
    }
}

/// Sends a request, and answers status and body.
async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Unsent> {
    let mut answer = request.send().await.map_err(|error| match is_forbidden(&error) {
        true => Unsent::Forbidden,
        false => Unsent::Unreachable,
    })?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| Unsent::Unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Unsent::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((answer.status().as_u16(), body))
}

/// Lets names lead to public addresses only.
struct Guard {
    lookup: Arc<Lookup>,
    may_be_local: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, may_be_local) = (Arc::clone(&self.lookup), self.may_be_local);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let is_local = may_be_local && host == "localhost";
            let found = tokio::task::spawn_blocking(move || lookup(&host)).await??;
            // One address inside spoils the name: which of them a client takes is chance.
            let fits = |address: &IpAddr| if is_local { address.is_loopback() } else { is_public(*address) };
            if !found.iter().all(fits) {
                return Err(Unsent::Forbidden.into());
            }
            // The port is filled in from the address of the request.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

fn of_the_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<Unsent>().is_some() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether a URL names this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether an address is one of the public internet (the registries of RFC 6890): no private network, no link, no
/// machine's own, and so no metadata service of a cloud either.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = match (a, b) {
        // Protocol assignments with Teredo, documentation, 6to4, documentation again.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff) => true,
        _ => a & 0xe000 != 0x2000,
    };
    !is_special
}

const LARGEST_ANSWER: usize = 64 * 1024;
const WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(issuer: &str, addresses: &'static [&'static str]) -> Outbound {
        let found = move |_: &str| Ok(addresses.iter().map(|address| address.parse().unwrap()).collect());
        Outbound::resolving(issuer, Arc::new(found)).unwrap()
    }

    #[test]
    fn addresses_inside_are_known() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2002:a00:1::",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for public in ["1.1.1.1", "100.63.0.1", "172.32.0.1", "192.0.1.1", "203.0.114.1", "2606:4700::1111", "2400:cb00::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn nothing_inside_is_called() {
        let outbound = at("https://pass.example.org", &["127.0.0.1"]);
        for url in [
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest/",
            "https://[::ffff:10.0.0.1]/",
            "https://user:pass@example.org/",
            "no url",
            "http://localhost:8081/",
            "http://127.0.0.1:8081/",
            "https://localhost/",
            "https://inner.example.org/",
        ] {
            assert_eq!(outbound.post(url, "text/plain", None, String::new()).await, Err(Unsent::Forbidden), "{url}");
        }
        // A name with one address outside and one inside is one inside.
        let both = at("https://pass.example.org", &["1.1.1.1", "10.0.0.1"]);
        assert_eq!(both.post("https://example.org/", "text/plain", None, String::new()).await, Err(Unsent::Forbidden));
        // A pass on this machine may call this machine by its names, and by no others.
        let local = at("http://localhost:8080", &["127.0.0.1"]);
        for url in ["http://inner.example.org/", "https://inner.example.org/", "http://10.0.0.1/", "https://10.0.0.1/"] {
            assert_eq!(local.post(url, "text/plain", None, String::new()).await, Err(Unsent::Forbidden), "{url}");
        }
        let rebound = at("http://localhost:8080", &["10.0.0.1"]);
        assert_eq!(rebound.post("http://localhost:1/", "text/plain", None, String::new()).await, Err(Unsent::Forbidden));
    }

    #[tokio::test]
    async fn the_address_that_was_looked_at_is_the_one_that_is_called() {
        let (asked, count) = (Arc::new(std::sync::atomic::AtomicUsize::new(0)), std::sync::atomic::Ordering::SeqCst);
        let seen = Arc::clone(&asked);
        // The name is public when it is looked at first, and leads inside from then on.
        let lookup = move |_: &str| {
            let first = seen.fetch_add(1, count) == 0;
            Ok(vec![if first { "203.0.114.1".parse().unwrap() } else { "127.0.0.1".parse().unwrap() }])
        };
        let outbound = Outbound::resolving("https://pass.example.org", Arc::new(lookup)).unwrap();
        let url = format!("https://example.org:{}/", 1);
        let first = outbound.post(&url, "text/plain", None, String::new());
        // Nobody is there, or nothing leads there: the one address was tried all the same, and the name was asked once.
        assert!(matches!(first.await, Err(Unsent::Unreachable)));
        assert_eq!(asked.load(count), 1);
        assert_eq!(outbound.post(&url, "text/plain", None, String::new()).await, Err(Unsent::Forbidden));
    }

    #[tokio::test]
    async fn a_secret_that_is_no_header_is_not_sent() {
        let outbound = at("http://localhost:8080", &["127.0.0.1"]);
        let sent = outbound.post("http://localhost:1/", "text/plain", Some("a\r\nb"), String::new()).await;
        assert_eq!(sent, Err(Unsent::Forbidden));
    }
}
