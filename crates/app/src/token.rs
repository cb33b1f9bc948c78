//! Tokens: opaque, short, stored as hashes, and worth nothing once their mandate or grant is gone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::ports::random;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::tokens::{self, Token};
use usufruct_store::{assertions, codes};

use crate::session::hash;
use crate::sign_in::active_service;
use crate::{App, Error};

/// How long an access token works.
const TOKEN_LIFE: i64 = 300 * SECOND;
/// Scope of a service's own token for the release API.
const RELEASE_SCOPE: &str = "release";

/// What a service presents to exchange a code.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The authenticated client.
    pub service: ServiceId,
    pub code: String,
    pub redirect_uri: String,
    /// PKCE verifier (RFC 7636 4.1).
    pub verifier: String,
}

/// The answer to an exchange.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in_seconds: i64,
    pub scope: String,
    /// Pairwise subject.
    pub subject: String,
    pub auth_time: Time,
    pub nonce: Option<String>,
}

/// A service's own token for the release API.
#[derive(Clone, Debug)]
pub struct ClientGrant {
    pub access_token: String,
    pub expires_in_seconds: i64,
    pub scope: &'static str,
}

/// What a token is good for, as its own service may know it.
#[derive(Clone, Debug)]
pub struct Introspection {
    pub service: ServiceId,
    /// Pairwise subject; `None` for a service's own token.
    pub subject: Option<String>,
    pub scope: String,
    pub issued_at: Time,
    pub expires_at: Time,
    pub auth_time: Option<Time>,
}

impl App {
    /// Exchanges a code for an access token. A code used twice kills the tokens made from it (RFC 6749 4.1.2).
    pub fn exchange(&self, exchange: &Exchange) -> Result<Tokens, Error> {
        let now = self.now();
        let code_hash = hash(&exchange.code);
        let code = self.db.read(|conn| codes::find(conn, &code_hash))?.ok_or_else(bad_code)?;
        if code.service != exchange.service {
            return Err(bad_code());
        }
        let challenge = URL_SAFE_NO_PAD.encode(sha256(exchange.verifier.as_bytes()).0);
        let subject = self.subject(code.resident, &code.service);
        let fits = code.expires_at > now
            && code.redirect_uri == exchange.redirect_uri
            && equal(challenge.as_bytes(), code.challenge.as_bytes());
        let access_token = self.fresh_token();
        let token = Token {
            token_hash: hash(&access_token),
            service: code.service.clone(),
            resident: Some(code.resident),
            scope: code.scope.clone(),
            auth_time: Some(code.auth_time),
            code_hash: Some(code_hash),
            issued_at: now,
            expires_at: now.plus(TOKEN_LIFE),
        };
        let outcome = self.db.transaction("exchange code", move |tx| {
            if !codes::redeem(tx, &code_hash, now)? {
                tokens::delete_of_code(tx, &code_hash)?;
                return Ok::<_, Error>(false);
            }
            if fits {
                tokens::insert(tx, &token)?;
            }
            Ok(fits)
        })?;
        if !outcome {
            return Err(bad_code());
        }
        Ok(Tokens {
            access_token,
            expires_in_seconds: TOKEN_LIFE / SECOND,
            scope: code.scope,
            subject: subject?,
            auth_time: code.auth_time,
            nonce: code.nonce,
        })
    }

    /// Makes a token by which an authenticated service calls the release API.
    pub fn client_token(&self, service: &ServiceId) -> Result<ClientGrant, Error> {
        active_service(&self.register(), service)?;
        let now = self.now();
        let access_token = self.fresh_token();
        let token = Token {
            token_hash: hash(&access_token),
            service: service.clone(),
            resident: None,
            scope: RELEASE_SCOPE.to_owned(),
            auth_time: None,
            code_hash: None,
            issued_at: now,
            expires_at: now.plus(TOKEN_LIFE),
        };
        self.db.transaction("make client token", move |tx| tokens::insert(tx, &token))?;
        Ok(ClientGrant { access_token, expires_in_seconds: TOKEN_LIFE / SECOND, scope: RELEASE_SCOPE })
    }

    /// The service whose own token this is, if it may call the release API.
    pub fn release_caller(&self, access_token: &str) -> Result<Option<ServiceId>, Error> {
        let token = self.live_token(access_token)?;
        Ok(token.filter(|token| token.resident.is_none() && token.scope == RELEASE_SCOPE).map(|token| token.service))
    }

    /// What a live token is good for. `None` for everything else, without a reason.
    pub fn introspect(&self, access_token: &str) -> Result<Option<Introspection>, Error> {
        let Some(token) = self.live_token(access_token)? else { return Ok(None) };
        let subject = token.resident.map(|resident| self.subject(resident, &token.service)).transpose()?;
        Ok(Some(Introspection {
            service: token.service,
            subject,
            scope: token.scope,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            auth_time: token.auth_time,
        }))
    }

    /// Revokes a token of an authenticated service. Unknown tokens are fine (RFC 7009 2.2); the grant stays.
    pub fn revoke(&self, service: &ServiceId, access_token: &str) -> Result<(), Error> {
        let (token_hash, service) = (hash(access_token), service.clone());
        Ok(self.db.transaction("revoke token", move |tx| tokens::delete(tx, &token_hash, &service).map(drop))?)
    }

    /// Notes a client assertion. False when it was used before.
    pub fn claim_assertion(&self, client: &str, jti: &str, expires_at: Time) -> Result<bool, Error> {
        let jti_hash: Digest = sha256(format!("{client}\n{jti}").as_bytes());
        Ok(self.db.transaction("claim assertion", move |tx| assertions::claim(tx, &jti_hash, expires_at))?)
    }

    /// Forgets codes, tokens and assertions that ended a while ago.
    pub fn sweep(&self) -> Result<u64, Error> {
        let before = self.now().plus(-10 * MINUTE);
        self.db.transaction("sweep", move |tx| {
            Ok::<_, Error>(
                codes::delete_expired(tx, before)?
                    + tokens::delete_expired(tx, before)?
                    + assertions::delete_expired(tx, before)?,
            )
        })
    }

    /// A token that has not ended, whose service is active and whose mandates are all in force. So tokens die with their
    /// mandate at the very moment, before any job has run.
    fn live_token(&self, access_token: &str) -> Result<Option<Token>, Error> {
        let now = self.now();
        let token_hash = hash(access_token);
        let register = self.register();
        let token = self.db.read(|conn| tokens::find(conn, &token_hash))?;
        Ok(token.filter(|token| {
            token.expires_at > now
                && active_service(&register, &token.service).is_ok()
                && token
                    .scope
                    .split(' ')
                    .filter_map(|word| word.parse::<MandateId>().ok())
                    .all(|id| register.mandates.get(&id).is_some_and(|entry| entry.is_in_force(now)))
        }))
    }

    fn fresh_token(&self) -> String {
        format!("uft_{}", URL_SAFE_NO_PAD.encode(random::<32>(self.rng())))
    }
}

fn bad_code() -> Error {
    Error::refused("The code is not valid, was used, or belongs to another request.", "Send the resident to sign in again.")
}
