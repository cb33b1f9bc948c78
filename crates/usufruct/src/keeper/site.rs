//! A keeper as a server. Who calls is known by the certificate: the city may do everything but ask for the counter, other
//! keepers may do that alone.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Serialize;
use serde::de::DeserializeOwned;
use usufruct_app::vault::keeper::{Bound, Facts, Keeper, OneTimeKeys};
use usufruct_app::vault::second_hand::{self, SectorKeys};
use usufruct_app::vault::{Epoch, Error, Result, scrub};
use usufruct_core::Digest;
use usufruct_core::hash::unhex;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::{Clock, Rng};
use zeroize::Zeroizing;

use super::listener::Caller;
use super::peers::Peers;
use super::wire::{self, Asked, Fixed, Given, Nothing, OfEpoch, OneTime, Order, Prepare, Refusal, Stands, place};
use crate::clock;

/// What the server needs.
pub struct KeeperSite {
    pub keeper: Keeper,
    /// The keys to which shares may be sealed now.
    pub keys: OneTimeKeys,
    /// The second keys of pseudonym sectors that have two.
    pub sectors: SectorKeys,
    pub peers: Peers,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

type Site = State<Arc<KeeperSite>>;
type Who = ConnectInfo<Caller>;

/// Everything a keeper serves.
pub fn router(site: Arc<KeeperSite>) -> Router {
    Router::new()
        .route(wire::STANDING, post(standing))
        .route(wire::KEY, post(key))
        .route(wire::PREPARE, post(prepare))
        .route(wire::KEEP_ONLY, post(keep_only))
        .route(wire::KEEP_FROM, post(keep_from))
        .route(wire::SHARE, post(share))
        .route(wire::COUNTER, post(counter))
        .route(wire::SECTORS, post(sectors))
        .layer(from_fn(in_time))
        .with_state(site)
}

async fn standing(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work = |site: &KeeperSite, _: Nothing| Ok(Stands::from(site.keeper.standing()));
    answer(site, caller == Caller::City, body, work).await
}

async fn key(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work =
        |site: &KeeperSite, _: Nothing| Ok(OneTime { key: Fixed(*site.keys.give(clock::stopwatch(), &*site.rng).bytes()) });
    answer(site, caller == Caller::City, body, work).await
}

async fn prepare(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work = |site: &KeeperSite, asked: Prepare| {
        let epoch = Epoch(asked.epoch);
        let facts = Facts { vault: &asked.vault, epoch, x: asked.x.get(), check: &asked.check };
        let key = asked.key.key().and_then(|public| site.keys.take(&public, clock::stopwatch()));
        let key =
            key.ok_or_else(|| refuses("the key of this share was used already or is too old, and another is to be asked for"))?;
        let share = Bound::ToKeeper.open(key, &facts, &asked.sealed.0);
        let share = share.map_err(|_| Error::Malformed { what: "the share does not open with its key" })?;
        if site.keeper.is_leap(epoch) {
            let (nonce, answers) = site.peers.ask(&*site.rng);
            site.keeper.compare(&nonce, &answers)?;
        }
        site.keeper.prepare(&asked.vault, epoch, share, asked.check)?;
        Ok(Nothing {})
    };
    answer(site, caller == Caller::City, body, work).await
}

async fn keep_only(site: Site, who: Who, body: Bytes) -> Response {
    destroy(site, who, body, Keeper::keep_only).await
}

async fn keep_from(site: Site, who: Who, body: Bytes) -> Response {
    destroy(site, who, body, Keeper::keep_from).await
}

async fn destroy(
    State(site): Site,
    ConnectInfo(caller): Who,
    body: Bytes,
    keep: fn(&Keeper, &str, Epoch, &Digest, u64) -> Result<Destroyed>,
) -> Response {
    let work = move |site: &KeeperSite, asked: Order| {
        let now = site.clock.now().micros().max(0).unsigned_abs() / 1_000_000;
        let signed = keep(&site.keeper, &asked.vault, Epoch(asked.epoch), &asked.check, now)?;
        tracing::info!(epoch = signed.epoch, "nothing of an epoch before this one is held");
        Ok(signed)
    };
    answer(site, caller == Caller::City, body, work).await
}

async fn share(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work = |site: &KeeperSite, asked: OfEpoch| {
        let to = asked.key.key().ok_or(Error::Malformed { what: "the key is none that a share can be sealed to" })?;
        let (nonce, answers) = site.peers.ask(&*site.rng);
        let (share, check) = site.keeper.share(&asked.vault, Epoch(asked.epoch), &nonce, &answers)?;
        tracing::info!(epoch = asked.epoch, "the city was given its share");
        let x = place(&share).ok_or(Error::Damaged { what: "a share lies where the root does" })?;
        let facts = Facts { vault: &asked.vault, epoch: Epoch(asked.epoch), x: share.x, check: &check };
        Ok(Given { x, sealed: Fixed(Bound::ToCity.seal(&to, &facts, &share, &*site.rng)), check })
    };
    answer(site, caller == Caller::City, body, work).await
}

async fn counter(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work = |site: &KeeperSite, asked: Asked| {
        let nonce = unhex(&asked.nonce).and_then(|nonce| <[u8; 16]>::try_from(nonce).ok());
        let nonce = nonce.ok_or(Error::Malformed { what: "the nonce is not 16 bytes in hexadecimal digits" })?;
        Ok(site.keeper.tell_counter(&nonce))
    };
    answer(site, matches!(caller, Caller::Keeper(_)), body, work).await
}

/// Pseudonyms on their way, as bytes: see [`usufruct_app::vault::second_hand`].
async fn sectors(State(site): Site, ConnectInfo(caller): Who, body: Bytes) -> Response {
    let work =
        move |site: &KeeperSite, body: &[u8]| second_hand::serve(&site.sectors, site.keeper.vault(), body).map(Bytes::from);
    answer_bytes(site, caller == Caller::City, body, work).await
}

/// Reads the question, and answers it where it may block.
async fn answer<Q: DeserializeOwned, A: Serialize>(
    site: Arc<KeeperSite>,
    is_allowed: bool,
    body: Bytes,
    work: impl FnOnce(&KeeperSite, Q) -> Result<A> + Send + 'static,
) -> Response {
    let work = move |site: &KeeperSite, body: &[u8]| {
        let question = serde_json::from_slice::<Q>(body);
        let question = question.map_err(|_| Error::Malformed { what: "the body is not what this call takes" })?;
        let answer = work(site, question)?;
        serde_json::to_vec(&answer).map(Bytes::from).map_err(|_| Error::Malformed { what: "the answer" })
    };
    answer_bytes(site, is_allowed, body, work).await
}

async fn answer_bytes(
    site: Arc<KeeperSite>,
    is_allowed: bool,
    body: Bytes,
    work: impl FnOnce(&KeeperSite, &[u8]) -> Result<Bytes> + Send + 'static,
) -> Response {
    if !is_allowed {
        return refuse(StatusCode::FORBIDDEN, "this certificate may not ask that");
    }
    let outcome = tokio::task::spawn_blocking(move || {
        let answer = work(&site, &body);
        scrub();
        answer
    });
    match outcome.await {
        Ok(Ok(bytes)) => respond(StatusCode::OK, Body::from(bytes)),
        Ok(Err(Error::Keeper { why, .. })) => refuse(StatusCode::CONFLICT, &why),
        Ok(Err(Error::NoKey { .. })) => refuse(StatusCode::GONE, "it has no key of this sector, or has destroyed it"),
        Ok(Err(Error::Malformed { what })) => refuse(StatusCode::BAD_REQUEST, what),
        Ok(Err(error)) => {
            tracing::error!(%error, "the keeper cannot do what it was asked");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "its disk does not do what it should; see its messages")
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "it broke down over this call; see its messages"),
    }
}

/// Every call has its time, reading of the body included. What never came to a call is refused in the same form.
async fn in_time(request: Request, next: Next) -> Response {
    let call = async {
        let most = if request.uri().path() == wire::SECTORS { wire::SECTORS_LIMIT } else { BODY_LIMIT };
        let (head, body) = request.into_parts();
        match read(body, most).await {
            Ok(question) => next.run(Request::from_parts(head, Body::from(question))).await,
            Err(status) => refuse(status, "the question broke off"),
        }
    };
    match tokio::time::timeout(LIMIT, call).await {
        Ok(response) => match response.status() {
            status @ StatusCode::NOT_FOUND => refuse(status, "there is no such call"),
            status @ StatusCode::PAYLOAD_TOO_LARGE => refuse(status, "the question is too long"),
            status @ StatusCode::METHOD_NOT_ALLOWED => {
                let mut refusal = refuse(status, "every call is a POST");
                refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                refusal
            }
            _ => response,
        },
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "the call took too long"),
    }
}

/// The question, if it has no more than `most` bytes. What a longer one has beyond that is read too, up to a bound, and thrown away: a
/// line that is closed while the other side still writes breaks for it, and the answer is lost.
async fn read(mut body: Body, most: usize) -> std::result::Result<Bytes, StatusCode> {
    // Never moved while it grows: pseudonyms may be in it.
    let mut question = Zeroizing::new(Vec::with_capacity(most));
    let mut length = 0;
    while length < LINGER {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else { continue };
                length += bytes.len();
                if length <= most {
                    question.extend_from_slice(&bytes);
                }
            }
            Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
            None => break,
        }
    }
    if length > most { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(Bytes::from_owner(question)) }
}

/// A refusal that the keeper itself does not know of.
fn refuses(why: &str) -> Error {
    Error::Keeper { name: String::new(), why: why.to_owned() }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    let refusal = Refusal { why: why.to_owned() };
    respond(status, Body::from(serde_json::to_vec(&refusal).unwrap_or_default()))
}

fn respond(status: StatusCode, body: Body) -> Response {
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response()
}

const BODY_LIMIT: usize = 4_096;
/// Bytes of a question that are read, of which a call takes far fewer.
const LINGER: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(5);
