//! Tokens: opaque, short, stored as hashes, bound to a key, and worth nothing once their mandate or grant is gone.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::event::Form;
use usufruct_core::grant::GrantState;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::mandate::Basis;
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_core::register::Register;
use usufruct_core::service::Profile;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::codes::{self, Code};
use usufruct_store::db::{Connection, Pending};
use usufruct_store::refresh_tokens::{self, RefreshToken};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::tokens::{self, Token};
use usufruct_store::{
    assertions, authorizations, counter_requests, delegations, grants, proposals, pushed_requests, shown_cards,
};

use crate::proposal::PROPOSALS_KEPT;
use crate::row_mark::{find_delegation, marked_token, of_refresh_token, true_authorization, true_code, true_refresh_token};
use crate::session::hash;
use crate::sign_in::{active_service, served_service};
use crate::{App, Error, Presented};

/// How long an access token works, and how long one by which data can be had.
const TOKEN_LIFE: i64 = 300 * SECOND;
const DATA_TOKEN_LIFE: i64 = 120 * SECOND;
/// Scope of a service's own token for the API.
pub(crate) const RELEASE_SCOPE: &str = "release";
/// Authorizations ended in one sweep.
const SWEPT: usize = 1_000;

/// What a service presents to exchange a code.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The authenticated client.
    pub service: ServiceId,
    pub code: String,
    pub redirect_uri: String,
    /// PKCE verifier (RFC 7636 4.1).
    pub verifier: Option<String>,
    /// Thumbprint of the key whose possession it proved.
    pub jkt: Option<String>,
    pub presented: Vec<Presented>,
}

/// What a service presents to get another access token without the resident.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The authenticated client.
    pub service: ServiceId,
    pub refresh_token: String,
    /// A narrower scope, or all of it.
    pub scope: Option<String>,
    pub jkt: Option<String>,
    pub presented: Vec<Presented>,
}

/// The answer to an exchange or a refresh.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in_seconds: i64,
    pub scope: String,
    /// Pairwise subject.
    pub subject: String,
    pub auth_time: Time,
    pub means: Means,
    /// Name of the session for this service.
    pub sid: String,
    pub nonce: Option<String>,
    /// At an exchange, for a service that may come again.
    pub refresh_token: Option<String>,
    /// Id of the authorization.
    pub grant_id: Option<String>,
    pub granted: Vec<Granted>,
    /// Whether they work only with the key that was proven.
    pub is_bound: bool,
}

/// What is granted under one mandate (RFC 9396).
#[derive(Clone, Debug)]
pub struct Granted {
    pub mandate: MandateId,
    /// Hash of the revision.
    pub revision: Digest,
    pub blocks: Vec<(BlockId, Form)>,
    pub until: Time,
}

/// A service's own token for the API.
#[derive(Clone, Debug)]
pub struct ClientGrant {
    pub access_token: String,
    pub expires_in_seconds: i64,
    pub scope: String,
}

impl App {
    /// Exchanges a code for tokens. A code used twice kills everything that was made from it (RFC 6749 4.1.2).
    ///
    /// Three reads and one transaction, in which the grants are read again: an answer is before a withdrawal or after it in the log, never across.
    pub fn exchange(&self, exchange: &Exchange) -> Result<Tokens, Error> {
        let now = self.now();
        let code_hash = hash(&exchange.code);
        let code = true_code(&self.vault, self.db.read(|conn| codes::find(conn, &code_hash))?)?.ok_or_else(bad_code)?;
        if code.service != exchange.service {
            return Err(bad_code());
        }
        // What a delegate was given ends with the delegation.
        let delegation_ends_at = self.delegation_end(&code_hash, now)?;
        let fits = self.fits(exchange, &code, now) && delegation_ends_at.is_none_or(|ends_at| now < ends_at);
        let subject = match self.subject(code.resident, &code.service) {
            // The code is still good when the second keeper is back.
            Err(error) if fits && code.used_at.is_none() && error.is_temporary() => {
                self.note(exchange.presented.clone())?;
                return Err(error);
            }
            outcome => outcome,
        };
        let (access_token, refresh_token) = (self.fresh_token("uft_"), self.fresh_token("ufr_"));
        let mut token = self.access_token(&access_token, &code, exchange.jkt.clone(), now);
        token.expires_at = delegation_ends_at.map_or(token.expires_at, |ends_at| token.expires_at.min(ends_at));
        let token = marked_token(&self.vault, token)?;
        let expires_in_seconds = (token.expires_at.micros() - now.micros()) / SECOND;
        let register = self.register();
        let ends_at = match &code.authorization {
            Some(id) => {
                true_authorization(&self.vault, self.db.read(|conn| authorizations::find(conn, id))?)?.map(|found| found.ends_at)
            }
            None => None,
        };
        let mut refresh =
            ends_at.zip(exchange.jkt.clone()).zip(code.authorization.clone()).map(|((expires_at, jkt), authorization)| {
                RefreshToken {
                    token_hash: hash(&refresh_token),
                    service: code.service.clone(),
                    resident: code.resident,
                    authorization,
                    jkt,
                    scope: code.scope.clone(),
                    auth_time: code.auth_time,
                    means: code.means,
                    card: code.card,
                    sid: code.sid.clone(),
                    code_hash,
                    issued_at: now,
                    expires_at: delegation_ends_at.map_or(expires_at, |ends_at| expires_at.min(ends_at)),
                    mark: None,
                }
            });
        if let Some(refresh) = &mut refresh {
            refresh.mark = Some(of_refresh_token(&self.vault, refresh)?);
        }
        let has_refresh = refresh.is_some();
        let (presented, asked) = (exchange.presented.clone(), code.clone());
        let outcome = self.db.transaction("exchange code", move |tx| {
            Presented::note(&presented, tx)?;
            if !codes::redeem(tx, &code_hash, now)? {
                tokens::delete_of_code(tx, &code_hash)?;
                refresh_tokens::delete_of_code(tx, &code_hash)?;
                return Ok::<_, Error>(None);
            }
            let Some(granted) = granted(tx, &register, &asked.service, asked.resident, &asked.scope, now)?.filter(|_| fits)
            else {
                return Ok(None);
            };
            tokens::insert(tx, &token)?;
            if let Some(refresh) = &refresh {
                refresh_tokens::insert(tx, refresh)?;
            }
            Ok(Some(granted))
        })?;
        let granted = outcome.ok_or_else(bad_code)?;
        Ok(Tokens {
            access_token,
            expires_in_seconds,
            scope: code.scope,
            subject: subject?,
            auth_time: code.auth_time,
            means: code.means,
            sid: code.sid,
            nonce: code.nonce,
            refresh_token: has_refresh.then_some(refresh_token),
            grant_id: code.authorization,
            granted,
            is_bound: exchange.jkt.is_some(),
        })
    }

    /// Makes another access token for an authorization that still holds, without what she has paused, and says for what. The refresh token
    /// stays as it is (FAPI 2.0 5.3.2.1, 9).
    pub fn refresh(&self, refresh: &Refresh) -> Result<Tokens, Error> {
        let now = self.now();
        let token_hash = hash(&refresh.refresh_token);
        let known = true_refresh_token(&self.vault, self.db.read(|conn| refresh_tokens::find(conn, &token_hash))?)?
            .ok_or_else(bad_code)?;
        if known.service != refresh.service || known.expires_at <= now || refresh.jkt.as_ref() != Some(&known.jkt) {
            return Err(bad_code());
        }
        // The end of a delegation may have come nearer since she gave it.
        let ends_at =
            self.delegation_end(&known.code_hash, now)?.map_or(known.expires_at, |ends_at| ends_at.min(known.expires_at));
        if ends_at <= now {
            return Err(bad_code());
        }
        let scope = match &refresh.scope {
            None => known.scope.clone(),
            Some(scope) if scope.split(' ').all(|word| known.scope.split(' ').any(|had| had == word)) => scope.clone(),
            Some(_) => return Err(Error::WiderScope),
        };
        let subject = match self.subject(known.resident, &known.service) {
            Err(error) if error.is_temporary() => {
                self.note(refresh.presented.clone())?;
                return Err(error);
            }
            outcome => outcome,
        };
        let access_token = self.fresh_token("uft_");
        let token = Token {
            token_hash: hash(&access_token),
            service: known.service.clone(),
            resident: Some(known.resident),
            // Said where it is known what of it stands.
            scope: String::new(),
            auth_time: Some(known.auth_time),
            code_hash: Some(known.code_hash),
            jkt: refresh.jkt.clone(),
            authorization: Some(known.authorization.clone()),
            means: known.means,
            issued_at: now,
            // As is how long it works.
            expires_at: now,
            mark: None,
        };
        let (register, presented, vault) = (self.register(), refresh.presented.clone(), Arc::clone(&self.vault));
        let (service, resident, asked) = (known.service.clone(), known.resident, scope);
        let granted = self.db.transaction("refresh token", move |tx| {
            Presented::note(&presented, tx)?;
            // A withdrawal deletes it, and may have come in between.
            if refresh_tokens::find(tx, &token_hash)?.is_none() {
                return Ok::<_, Error>(None);
            }
            let Some(granted) = standing(tx, &register, &service, resident, &asked, now)? else { return Ok(None) };
            // What she has paused comes back when she resumes it, and holds up nothing else meanwhile.
            for missing in mandates(&asked).filter(|id| granted.iter().all(|granted| granted.mandate != *id)) {
                if !is_paused(tx, &register, &service, resident, &missing, now)? {
                    return Ok(None);
                }
            }
            let scope = scope_of(&asked, &granted);
            if scope.is_empty() {
                return Err(Error::WiderScope);
            }
            let expires_at = now.plus(life(&scope)).min(ends_at);
            tokens::insert(tx, &marked_token(&vault, Token { scope: scope.clone(), expires_at, ..token.clone() })?)?;
            Ok(Some((scope, granted, expires_at)))
        })?;
        let (scope, granted, expires_at) = granted.ok_or_else(bad_code)?;
        let expires_in_seconds = (expires_at.micros() - now.micros()) / SECOND;
        Ok(Tokens {
            access_token,
            expires_in_seconds,
            scope,
            granted,
            subject: subject?,
            auth_time: known.auth_time,
            means: known.means,
            sid: known.sid,
            nonce: None,
            refresh_token: Some(refresh.refresh_token.clone()),
            grant_id: Some(known.authorization),
            is_bound: true,
        })
    }

    /// Makes a token by which an authenticated service calls the API: one transaction and no read, so that asynchronous code can await it
    /// where it stands. One that is suspended gets it too: it opens nothing by itself, and by it the service is told what it has to delete
    /// and which clause refuses it.
    pub fn client_token(
        &self,
        service: &ServiceId,
        scope: &str,
        jkt: Option<String>,
        presented: Vec<Presented>,
    ) -> Pending<ClientGrant, Error> {
        match active_service(&self.register(), service) {
            Err(error) => return Pending::refused(error),
            Ok(entry) if entry.body.profile != Profile::Fapi2 => {
                return Pending::refused(Error::refused(
                    "This service signs residents in and gets no data.",
                    "Register it with the profile fapi2, under a mandate.",
                ));
            }
            Ok(_) => {}
        }
        let now = self.now();
        let access_token = self.fresh_token("uft_");
        let token = Token {
            token_hash: hash(&access_token),
            service: service.clone(),
            resident: None,
            scope: scope.to_owned(),
            auth_time: None,
            code_hash: None,
            jkt,
            authorization: None,
            means: Means::default(),
            issued_at: now,
            expires_at: now.plus(life(scope)),
            mark: None,
        };
        let token = match marked_token(&self.vault, token) {
            Ok(token) => token,
            Err(error) => return Pending::refused(error),
        };
        let grant = ClientGrant { access_token, expires_in_seconds: life(scope) / SECOND, scope: scope.to_owned() };
        self.db.submit("make client token", move |tx| {
            Presented::note(&presented, tx)?;
            tokens::insert(tx, &token)?;
            Ok(grant.clone())
        })
    }

    /// Notes proofs that are presented for something that writes nothing itself.
    pub fn note(&self, presented: Vec<Presented>) -> Result<(), Error> {
        self.db.transaction("note proofs", move |tx| Presented::note(&presented, tx))
    }

    /// Uses up proofs that were presented for something that was refused.
    pub fn spend(&self, presented: Vec<Presented>) -> Pending<(), Error> {
        self.db.submit("spend proofs", move |tx| Presented::spend(&presented, tx))
    }

    /// Ends sessions and delegations whose time is over, forgets codes, tokens and proofs that ended a while ago, and gives up what no service
    /// took in time.
    pub fn sweep(&self) -> Result<u64, Error> {
        let ended = self.end_sessions()? + self.end_lapsed_delegations()? + self.end_expired_cards()? + self.give_up()?;
        let (now, before) = (self.now(), self.now().plus(-10 * MINUTE));
        self.db.transaction("sweep", move |tx| {
            Ok::<_, Error>(
                ended
                    + codes::delete_expired(tx, before)?
                    + tokens::delete_expired(tx, before)?
                    + refresh_tokens::delete_expired(tx, before)?
                    + pushed_requests::delete_expired(tx, before)?
                    + counter_requests::delete_expired(tx, before)?
                    + proposals::delete_expired(tx, now.plus(-PROPOSALS_KEPT))?
                    + authorizations::end_expired(tx, now, SWEPT)?
                    + assertions::delete_expired(tx, before)?
                    // Nobody needs what was shown a moment longer.
                    + shown_cards::delete_expired(tx, now)?,
            )
        })
    }

    /// When the delegation ends under which a code was given; `None` for a code that the resident got herself. One that has ended, or that the
    /// house did not write, is over.
    fn delegation_end(&self, code_hash: &Digest, now: Time) -> Result<Option<Time>, Error> {
        self.db.read(|conn| {
            let Some(id) = delegations::of_code(conn, code_hash)? else { return Ok(None) };
            Ok(Some(find_delegation(conn, &self.vault, &id)?.map_or(now, |delegation| delegation.ends_at)))
        })
    }

    /// Whether the code was made for what is presented.
    fn fits(&self, exchange: &Exchange, code: &Code, now: Time) -> bool {
        let challenge = exchange.verifier.as_ref().map(|verifier| URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()).0));
        code.expires_at > now
            && code.redirect_uri == exchange.redirect_uri
            && equal(challenge.unwrap_or_default().as_bytes(), code.challenge.as_bytes())
            && (code.jkt.is_none() || code.jkt == exchange.jkt)
    }

    fn access_token(&self, access_token: &str, code: &Code, jkt: Option<String>, now: Time) -> Token {
        Token {
            token_hash: hash(access_token),
            service: code.service.clone(),
            resident: Some(code.resident),
            scope: code.scope.clone(),
            auth_time: Some(code.auth_time),
            code_hash: Some(code.code_hash),
            jkt,
            authorization: code.authorization.clone(),
            means: code.means,
            issued_at: now,
            expires_at: now.plus(life(&code.scope)),
            mark: None,
        }
    }

    /// 256 random bits behind a prefix that scanners for leaked secrets know.
    fn fresh_token(&self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>(self.rng())))
    }
}

/// How long an access token with this scope works.
fn life(scope: &str) -> i64 {
    let opens_data = scope.split(' ').any(|word| word == RELEASE_SCOPE) || mandates(scope).next().is_some();
    if opens_data { DATA_TOKEN_LIFE } else { TOKEN_LIFE }
}

/// What the mandates of a scope are good for now at a service; `None` when one of them is good for nothing, or the service or her pass is.
pub(crate) fn granted(
    conn: &mut dyn Connection,
    register: &Register,
    service: &ServiceId,
    resident: u64,
    scope: &str,
    now: Time,
) -> Result<Option<Vec<Granted>>, Error> {
    let standing = standing(conn, register, service, resident, scope, now)?;
    Ok(standing.filter(|standing| standing.len() == mandates(scope).count()))
}

/// Those mandates of a scope that are good for something now, and for what: they are in force for the service, no order suspends them, and
/// the consent is given. `None` when the service is not served, or her pass is not active.
pub(crate) fn standing(
    conn: &mut dyn Connection,
    register: &Register,
    service: &ServiceId,
    resident: u64,
    scope: &str,
    now: Time,
) -> Result<Option<Vec<Granted>>, Error> {
    let Ok(service) = served_service(register, service, now) else { return Ok(None) };
    if residents::state(conn, resident)? != Some(ResidentState::Active) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for id in mandates(scope) {
        let entry = register.mandates.get(&id).filter(|entry| register.is_served_under(service, entry, now));
        let Some(entry) = entry else { continue };
        let stored = grants::find(conn, resident, entry.number)?.map(|stored| stored.grant);
        let given = stored.filter(|grant| {
            grant.state == GrantState::Given
                && register.still_holds(&grant.mandate_hash, entry)
                && now < grant.valid_until
                && grant.resident_active
        });
        if given.is_none() && entry.body.legal_basis.code == Basis::Consent {
            continue;
        }
        let is_granted = |block: &BlockId| given.as_ref().is_none_or(|grant| grant.blocks.contains(block));
        let blocks = entry.body.blocks.iter().filter(|asked| is_granted(&asked.block));
        all.push(Granted {
            blocks: blocks.map(|asked| (asked.block.clone(), asked.form)).collect(),
            mandate: id,
            revision: entry.hash,
            until: given.as_ref().map_or(entry.body.sunset_at, |grant| grant.valid_until),
        });
    }
    Ok(Some(all))
}

/// Whether all that stands against a mandate of a scope is that she has paused it.
fn is_paused(
    conn: &mut dyn Connection,
    register: &Register,
    service: &ServiceId,
    resident: u64,
    mandate: &MandateId,
    now: Time,
) -> Result<bool, Error> {
    let Ok(service) = served_service(register, service, now) else { return Ok(false) };
    let served = register.mandates.get(mandate).filter(|entry| register.is_served_under(service, entry, now));
    let Some(entry) = served else { return Ok(false) };
    let found = grants::find(conn, resident, entry.number)?;
    Ok(found.is_some_and(|found| {
        found.grant.state == GrantState::Paused
            && now < found.grant.valid_until
            && register.still_holds(&found.grant.mandate_hash, entry)
    }))
}

/// The words of a scope that stand: those that name no mandate, and the mandates that are good for something.
pub(crate) fn scope_of(scope: &str, standing: &[Granted]) -> String {
    let stands = |word: &&str| match word.parse::<MandateId>() {
        Ok(id) => standing.iter().any(|granted| granted.mandate == id),
        Err(_) => true,
    };
    scope.split(' ').filter(stands).collect::<Vec<_>>().join(" ")
}

/// The mandates that a scope names.
pub(crate) fn mandates(scope: &str) -> impl Iterator<Item = MandateId> {
    scope.split(' ').filter_map(|word| word.parse().ok())
}

pub(crate) fn bad_code() -> Error {
    Error::refused("The code or token is not valid.", "Send the resident to sign in again.")
}
