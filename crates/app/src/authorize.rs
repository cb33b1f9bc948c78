//! Authorize: what a service asks of a resident, whether she must be asked, and the code that answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::delegation::Power;
use usufruct_core::event::Kind;
use usufruct_core::grant::{Grant, GrantState};
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate};
use usufruct_core::means::AskedSignIn;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Profile;
use usufruct_core::time::{DAY, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::authorizations::{self, Authorization as Stored};
use usufruct_store::codes::{self, Code};
use usufruct_store::db::{Connection, Error as DbError, Tx};
use usufruct_store::session_services::{self, SessionService};
use usufruct_store::{delegations, grants, pushed_requests, residents};

use crate::actor::place_by;
use crate::erase::plain_event;
use crate::row_mark::{of_authorization, of_code, true_authorization, true_authorizations};
use crate::session::hash;
use crate::sign_in::{active_service, served_service};
use crate::{App, Error, OpenSession};

/// How long a code works (FAPI 2.0 asks for 60 seconds at most).
const CODE_LIFE: i64 = 30 * SECOND;
/// How long an authorization lasts, if no mandate of it ends before. The house's own and no law: it bounds a token that was forgotten, and a sign-in
/// makes another.
const AUTHORIZATION_LIFE: i64 = 365 * DAY;

/// An authorization request whose client and redirect URI were found in the register.
#[derive(Clone, Debug)]
pub struct AuthorizeRequest {
    pub service: ServiceId,
    pub redirect_uri: String,
    /// `openid` and ids of mandates.
    pub scope: Vec<String>,
    /// Blocks it wants at most, for mandates where it says so (RFC 9396).
    pub details: Vec<(MandateId, Vec<BlockId>)>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    /// PKCE challenge, S256; a service of the profile oidc may do without.
    pub challenge: Option<String>,
    /// Whether the answer is posted (OAuth 2.0 Form Post Response Mode).
    pub by_form: bool,
    /// Thumbprint of the key that the code is bound to.
    pub jkt: Option<String>,
    pub management: GrantManagement,
    /// The pushed request, which is used up when it is answered.
    pub pushed: Option<Digest>,
    /// Mandates to which she said yes on the pages of this very request.
    pub agreed: Vec<MandateId>,
}

/// What becomes of earlier authorizations (Grant Management for OAuth 2.0).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GrantManagement {
    /// The service did not say: what she authorized before is widened.
    #[default]
    Any,
    Create,
    Merge(String),
    Replace(String),
}

/// What an authorization request comes to.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Mandates of the request that rest on consent, and to which she has not agreed or has not let this service in: to be shown and agreed to.
    pub to_ask: Vec<MandateId>,
    /// Those of them to which she has agreed, with the blocks that she lends. She is asked about the service alone.
    pub lent: BTreeMap<MandateId, Vec<BlockId>>,
}

/// What a resident lends under a mandate, whose present revision asks for what she agreed to.
#[derive(Clone, Debug)]
pub struct Lending {
    pub blocks: Vec<BlockId>,
    /// Whether she holds it back until she resumes it.
    pub is_paused: bool,
}

impl Authorization {
    /// Whether she lends under a mandate of the request.
    pub fn lends(&self, mandate: &MandateId) -> bool {
        !self.to_ask.contains(mandate) || self.lent.contains_key(mandate)
    }
}

impl App {
    /// Whether `redirect_uri` is registered for an active service, byte for byte. Only then may anything be sent there.
    pub fn knows_redirect(&self, service: &ServiceId, redirect_uri: &str) -> bool {
        let register = self.register();
        let served = served_service(&register, service, self.now());
        served.is_ok_and(|entry| entry.body.redirect_uris.iter().any(|known| known == redirect_uri))
    }

    /// The profile of an active service.
    pub fn profile(&self, service: &ServiceId) -> Result<Profile, Error> {
        Ok(active_service(&self.register(), service)?.body.profile)
    }

    /// Whether an active service may ask without a PKCE challenge: software off the shelf that proves itself with a key. Where there is no
    /// key the challenge is all that binds a code to who asked for it (RFC 9700 2.1.1).
    pub fn may_omit_challenge(&self, service: &ServiceId) -> Result<bool, Error> {
        let register = self.register();
        let body = &active_service(&register, service)?.body;
        Ok(body.profile == Profile::Oidc && !body.is_public())
    }

    /// The mandates a scope names, or why it is refused.
    pub fn scope_mandates(&self, service: &ServiceId, scope: &[String]) -> Result<Vec<MandateId>, Error> {
        let register = self.register();
        let entry = served_service(&register, service, self.now())?;
        let mut mandates = Vec::new();
        for word in scope.iter().filter(|word| word.starts_with("mdt_")) {
            let id: MandateId = word.parse().map_err(|_| Error::Unknown { what: "mandate" })?;
            if !entry.body.mandates.contains(&id) {
                return Err(Error::refused(
                    "The service is not registered under this mandate.",
                    "Ask for a mandate of the service.",
                ));
            }
            let mandate = in_force(&register, &id, self.now())?;
            if !register.is_served_under(entry, mandate, self.now()) {
                return Err(Error::refused(
                    "No contract lets the service work under this mandate now.",
                    "See the public register for what it works under.",
                ));
            }
            if !mandates.contains(&id) {
                mandates.push(id);
            }
        }
        Ok(mandates)
    }

    /// What a sign-in has to be for a request: what its service and its mandates ask for.
    pub fn asked_sign_in(&self, request: &AuthorizeRequest) -> Result<AskedSignIn, Error> {
        let (register, now) = (self.register(), self.now());
        let mut asked = active_service(&register, &request.service)?.body.asked_sign_in();
        for id in self.scope_mandates(&request.service, &request.scope)? {
            asked = asked.and(in_force(&register, &id, now)?.body.asked_sign_in());
        }
        Ok(asked)
    }

    /// Which mandates of a request the resident has to be asked about. A consent is to a purpose and holds for every service that works for it,
    /// but none of them gets anything by it before she has let that very service in.
    pub fn authorization(&self, resident: u64, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let register = self.register();
        let now = self.now();
        let let_in = self.let_in(resident, request, now)?;
        let (mut to_ask, mut lent) = (Vec::new(), BTreeMap::new());
        for id in self.scope_mandates(&request.service, &request.scope)? {
            let entry = in_force(&register, &id, now)?;
            if entry.body.legal_basis.code != Basis::Consent {
                continue;
            }
            match self.lending_under(resident, entry, now)? {
                Some(lending) if !lending.is_paused && let_in.contains(id.as_str()) => {}
                Some(lending) if !lending.is_paused => {
                    lent.insert(id.clone(), lending.blocks);
                    to_ask.push(id);
                }
                _ => to_ask.push(id),
            }
        }
        Ok(Authorization { to_ask, lent })
    }

    /// What the resident lends under a mandate that rests on consent; `None` also where she agreed to a revision that does not hold any more.
    pub fn lending(&self, resident: u64, mandate: &MandateId) -> Result<Option<Lending>, Error> {
        let register = self.register();
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        self.lending_under(resident, entry, self.now())
    }

    fn lending_under(&self, resident: u64, entry: &Entry<Mandate>, now: Time) -> Result<Option<Lending>, Error> {
        let found = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
        Ok(found.and_then(|found| lending(&self.register(), entry, found.grant, now)))
    }

    /// The words of a scope for which she has let the service in: at a sign-in or a counter that still counts, or on the pages of this request.
    fn let_in(&self, resident: u64, request: &AuthorizeRequest, now: Time) -> Result<BTreeSet<String>, Error> {
        if self.profile(&request.service)? != Profile::Fapi2 {
            // It only signs her in and gets no data, so there is nothing to let it in to.
            return Ok(request.scope.iter().cloned().collect());
        }
        let known = self.db.read(|conn| authorizations::of_resident(conn, resident, Some(&request.service)))?;
        let known = true_authorizations(&self.vault, known)?.into_iter().filter(|known| known.ends_at > now);
        let mut words: BTreeSet<String> =
            known.flat_map(|known| known.scope.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        words.extend(request.agreed.iter().map(ToString::to_string));
        Ok(words)
    }

    /// Signs the resident in to the service, or the person for whom she acts, and makes the code that the service exchanges. One transaction: the
    /// sign-in in her footprint, the authorization, the code, and the end of the pushed request.
    pub fn authorize(&self, session: &OpenSession, request: &AuthorizeRequest) -> Result<String, Error> {
        let actor = session.actor(&[Power::SignIn])?;
        let resident = actor.resident;
        // So that no withdrawal gives her another pseudonym between here and the transaction.
        let _guard = self.lock_resident(resident);
        let seen = self.db.read(|conn| standing_marks(conn, resident, &request.service))?;
        if !self.authorization(resident, request)?.to_ask.is_empty() {
            return Err(Error::Unpermitted(vec![usufruct_core::decide::Clause::Grant]));
        }
        if session.means < self.asked_sign_in(request)?.means {
            return Err(Error::refused(
                "The service or a mandate of the request asks for a stronger way of signing in.",
                "Sign in with what it names.",
            ));
        }
        let now = self.now();
        let authorization = match self.profile(&request.service)? {
            Profile::Fapi2 => Some(self.next_authorization(resident, request, now)?),
            Profile::Oidc => None,
        };
        let signed_in = self.signed_in(session, &request.service)?;
        let code = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let mut row = Code {
            code_hash: hash(&code),
            service: request.service.clone(),
            resident,
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone().unwrap_or_default(),
            nonce: request.nonce.clone(),
            scope: request.scope.join(" "),
            jkt: request.jkt.clone(),
            authorization: authorization.as_ref().map(|authorization| authorization.id.clone()),
            sid: signed_in.sid.clone(),
            means: session.means,
            card: session.card.filter(|_| session.acting.is_none()),
            // The time of the delegate's own proof would join the person with what the delegate is elsewhere.
            auth_time: if session.acting.is_some() { now } else { session.proved_at },
            expires_at: now.plus(CODE_LIFE),
            used_at: None,
            mark: None,
        };
        row.mark = Some(of_code(&self.vault, &row)?);
        let keyring = Arc::new(self.keyring(resident)?);
        let mut event = plain_event(Kind::SignIn, "sign-in", None, now);
        event.service = Some(request.service.clone());
        let (rng, pushed, management) = (Arc::clone(&self.rng), request.pushed, request.management.clone());
        let vault = Arc::clone(&self.vault);
        self.db.transaction("authorize", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if residents::state(tx, resident)? != Some(residents::ResidentState::Active) {
                return Err(Error::refused("The pass is deactivated.", "Reactivate it first."));
            }
            // A service may have given back meanwhile, at another process, what is widened here.
            if standing_marks(tx, resident, &row.service)? != seen {
                return Err(Error::refused(
                    "What the service may ask for changed in this moment.",
                    "Go back to the service and start again.",
                ));
            }
            if let Some(pushed) = &pushed
                && !pushed_requests::take(tx, pushed, now)?
            {
                return Err(Error::refused("This request was answered before.", "Go back to the service and start again."));
            }
            if let Some(authorization) = &authorization {
                if matches!(management, GrantManagement::Merge(_) | GrantManagement::Replace(_)) {
                    // What it was good for before must not go on beside what it is good for now.
                    authorizations::end(tx, &authorization.id)?;
                }
                authorizations::put(tx, authorization)?;
            }
            codes::insert(tx, &row)?;
            if let Some(both) = &both {
                delegations::note_code(tx, &both.delegation.id, &row.code_hash)?;
            }
            session_services::put(tx, &signed_in)?;
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })?;
        Ok(code)
    }

    /// What the service will be told by when the session ends. The session has a name for this service alone, so that no two services
    /// can compare theirs, and for this pseudonym alone, so that no service can join one that she left with the next one.
    fn signed_in(&self, session: &OpenSession, service: &ServiceId) -> Result<SessionService, Error> {
        let subject = self.subject(session.person(), service)?;
        let named = [b"usufruct/sid/v2", &session.bound_to().0[..], service.as_str().as_bytes(), subject.as_bytes()];
        let mark = self.vault.session_mark(&named)?;
        let sid = URL_SAFE_NO_PAD.encode(&mark[..16]);
        let register = self.register();
        let sector = register.sector(active_service(&register, service)?);
        let sealed = self.vault.seal_message(sector, &sid, subject.as_bytes(), self.rng())?;
        Ok(SessionService { token_hash: *session.bound_to(), service: service.clone(), sid, sealed })
    }

    /// An authorization for one mandate until its end; one that she has is made wider. The service learns the id when she signs in there and it
    /// asks for no new one.
    pub(crate) fn counter_authorization(
        &self,
        resident: u64,
        service: &ServiceId,
        mandate: &MandateId,
    ) -> Result<CounterAuthorization, Error> {
        let (register, now) = (self.register(), self.now());
        let entry = served_service(&register, service, now)?;
        if entry.body.profile != Profile::Fapi2 {
            return Err(Error::refused(
                "This service signs residents in and gets no data.",
                "Ask for a service under the mandate.",
            ));
        }
        // Whether it is in force is asked where data is lent under it, with the clause that stands against it.
        let ends_at = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?.body.sunset_at;
        let known = self.db.read(|conn| authorizations::of_resident(conn, resident, Some(service)))?;
        let seen = known.iter().map(|known| known.mark).collect();
        let known = true_authorizations(&self.vault, known)?.into_iter().find(|known| known.ends_at > now);
        let scope = known.as_ref().map_or("openid", |known| known.scope.as_str());
        let is_known = scope.split(' ').any(|word| word == mandate.as_str());
        let mut next = Stored {
            id: known.as_ref().map_or_else(|| self.fresh_grant_id(), |known| known.id.clone()),
            service: service.clone(),
            resident,
            scope: if is_known { scope.to_owned() } else { format!("{scope} {mandate}") },
            created_at: known.as_ref().map_or(now, |known| known.created_at),
            updated_at: now,
            ends_at: known.as_ref().map_or(ends_at, |known| known.ends_at.max(ends_at)),
            mark: None,
        };
        next.mark = Some(of_authorization(&self.vault, &next)?);
        Ok(CounterAuthorization { next, seen })
    }

    fn fresh_grant_id(&self) -> String {
        fresh_grant_id(self.rng())
    }

    /// The authorization that the request makes, or makes wider.
    fn next_authorization(&self, resident: u64, request: &AuthorizeRequest, now: Time) -> Result<Stored, Error> {
        let service = request.service.clone();
        let stands = |known: &Stored| known.ends_at > now;
        let known = match &request.management {
            GrantManagement::Create => None,
            GrantManagement::Any => true_authorizations(
                &self.vault,
                self.db.read(|conn| authorizations::of_resident(conn, resident, Some(&service)))?,
            )?
            .into_iter()
            .find(stands),
            GrantManagement::Merge(id) | GrantManagement::Replace(id) => {
                // One that has ended is there until it is swept away, and is none any more.
                let found = true_authorization(&self.vault, self.db.read(|conn| authorizations::find(conn, id))?)?;
                let found = found.filter(|found| found.service == service && found.resident == resident && stands(found));
                Some(found.ok_or(Error::NoAuthorization)?)
            }
        };
        let mut scope = request.scope.clone();
        if let Some(known) = &known
            && !matches!(request.management, GrantManagement::Replace(_))
        {
            let register = self.register();
            let earlier = known.scope.split(' ').filter(|word| {
                word.parse().ok().and_then(|id: MandateId| register.mandates.get(&id)).is_some_and(|entry| entry.is_in_force(now))
            });
            let earlier: Vec<String> =
                earlier.filter(|word| !scope.iter().any(|known| known == word)).map(str::to_owned).collect();
            scope.extend(earlier);
        }
        let register = self.register();
        let sunsets = scope.iter().filter_map(|word| word.parse::<MandateId>().ok()).filter_map(|id| register.mandates.get(&id));
        // Each mandate ends by itself; the authorization goes on for those that are left.
        let ends_at = sunsets.map(|entry| entry.body.sunset_at).max().unwrap_or(now.plus(AUTHORIZATION_LIFE));
        let mut next = Stored {
            id: known.as_ref().map_or_else(|| self.fresh_grant_id(), |known| known.id.clone()),
            service,
            resident,
            scope: scope.join(" "),
            created_at: known.map_or(now, |known| known.created_at),
            updated_at: now,
            ends_at: ends_at.min(now.plus(AUTHORIZATION_LIFE)),
            mark: None,
        };
        next.mark = Some(of_authorization(&self.vault, &next)?);
        Ok(next)
    }
}

/// What a consent at a counter authorizes its service for.
#[derive(Clone, Debug)]
pub(crate) struct CounterAuthorization {
    next: Stored,
    /// The marks of what she had authorized the service for when it was made.
    seen: Vec<Option<Digest>>,
}

impl CounterAuthorization {
    /// Puts it in the place of what was seen. What was given back or withdrawn meanwhile does not come to life again by it.
    pub fn put(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if standing_marks(tx, self.next.resident, &self.next.service)? != self.seen {
            return Err(Error::Stale);
        }
        Ok(authorizations::put(tx, &self.next)?)
    }
}

/// What is lent by a grant now; `None` where it has ended, was not given or is to a revision that does not hold any more.
pub(crate) fn lending(register: &Register, entry: &Entry<Mandate>, grant: Grant, now: Time) -> Option<Lending> {
    let is_paused = grant.state == GrantState::Paused;
    let lends = (is_paused || grant.state == GrantState::Given)
        && register.still_holds(&grant.mandate_hash, entry)
        && now < grant.valid_until;
    lends.then_some(Lending { blocks: grant.blocks, is_paused })
}

/// The marks of what a resident authorized a service for.
fn standing_marks(conn: &mut dyn Connection, resident: u64, service: &ServiceId) -> Result<Vec<Option<Digest>>, DbError> {
    Ok(authorizations::of_resident(conn, resident, Some(service))?.into_iter().map(|known| known.mark).collect())
}

pub(crate) fn fresh_grant_id(rng: &dyn Rng) -> String {
    format!("ufg_{}", URL_SAFE_NO_PAD.encode(random::<32>(rng)))
}

pub(crate) fn in_force<'a>(register: &'a Register, id: &MandateId, now: Time) -> Result<&'a Entry<Mandate>, Error> {
    let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
    if entry.is_in_force(now) && !register.is_suspended_by_order(id.as_str(), now) {
        Ok(entry)
    } else {
        Err(Error::refused("The mandate is not in force.", "See the public register for mandates that are."))
    }
}
