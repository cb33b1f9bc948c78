//! What a token is good for: for those who present it, and for the service it was given to.

use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::means::{AskedSignIn, Means, SignIn};
use usufruct_core::service::Profile;
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::tokens::{self, Token};
use usufruct_store::{authorizations, refresh_tokens};

use crate::row_mark::{true_authorization, true_token};
use crate::session::hash;
use crate::sign_in::{active_service, served_service};
use crate::token::{RELEASE_SCOPE, mandates, scope_of, standing};
use crate::{App, Error, Granted, HeldToken, Presented};

/// Scope of a service's own token that asks what an authorization is good for.
pub const QUERY_SCOPE: &str = "grant_management_query";
/// Scope of a service's own token that ends an authorization.
pub const REVOKE_SCOPE: &str = "grant_management_revoke";

/// A token as it comes with a request, and the key whose possession came with it.
#[derive(Clone, Debug)]
pub struct Bearing {
    pub access_token: String,
    /// Thumbprint and proof; `None` for a token that was sent as `Bearer`.
    pub possession: Option<(String, Presented)>,
}

/// Who calls the API for services.
#[derive(Clone, Debug)]
pub struct DataCaller {
    pub service: ServiceId,
    /// To be given on with what is asked.
    pub token: HeldToken,
    /// What its token says of a resident; `None` for a token of the service's own.
    pub resident: Option<Presence>,
}

/// Whose token comes with a call for data.
#[derive(Clone, Debug)]
pub enum DataBearer {
    Asks(DataCaller),
    /// It is the service's own, and for something else.
    LacksScope,
}

/// A resident who gave the service a token.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Her pseudonym at the service.
    pub subject: String,
    /// What the token was given for.
    pub scope: String,
    pub sign_in: SignIn,
}

impl Presence {
    /// Whether the token was given for this mandate.
    pub fn covers(&self, mandate: &MandateId) -> bool {
        self.scope.split(' ').any(|word| word == mandate.as_str())
    }
}

/// What a token is good for, as its own service may know it.
#[derive(Clone, Debug)]
pub struct Introspection {
    pub service: ServiceId,
    /// Pairwise subject; `None` for a service's own token.
    pub subject: Option<String>,
    /// What it was given for; as told to its service, what of it stands.
    pub scope: String,
    pub issued_at: Time,
    pub expires_at: Time,
    pub auth_time: Option<Time>,
    pub means: Means,
    /// Thumbprint of the key that it is bound to.
    pub jkt: Option<String>,
    /// What of it is good for something now.
    pub granted: Vec<Granted>,
    /// Id of its authorization.
    pub grant_id: Option<String>,
}

/// An authorization as its service may see it.
#[derive(Clone, Debug)]
pub struct AuthorizationView {
    /// What of it is good for something now; empty while the service may not be served.
    pub scope: String,
    pub granted: Vec<Granted>,
    pub created_at: Time,
    pub updated_at: Time,
    pub ends_at: Time,
}

impl App {
    /// The service whose own token is borne, if it has this scope.
    pub fn caller(&self, bearing: &Bearing, scope: &str) -> Result<Option<ServiceId>, Error> {
        let own = self.own_held_token(bearing)?;
        Ok(own.filter(|(_, scopes, _)| scopes.split(' ').any(|word| word == scope)).map(|(service, ..)| service))
    }

    /// The service whose own token is borne, the scopes of that token, and the token.
    pub fn own_held_token(&self, bearing: &Bearing) -> Result<Option<(ServiceId, String, HeldToken)>, Error> {
        let token = self.borne(bearing)?.filter(|token| token.resident.is_none());
        Ok(token.map(|token| (token.service.clone(), token.scope.clone(), HeldToken::from(&token))))
    }

    /// Whether a live token is borne as it must. The proof is not used up: it is looked at again with what is asked.
    pub fn is_borne(&self, bearing: &Bearing) -> Result<bool, Error> {
        let token = self.live_token(&bearing.access_token)?;
        Ok(token.is_some_and(|token| token.jkt.as_ref() == bearing.possession.as_ref().map(|(jkt, _)| jkt)))
    }

    /// The service whose own token is borne, if it may call the release API.
    pub fn release_caller(&self, bearing: &Bearing) -> Result<Option<ServiceId>, Error> {
        self.caller(bearing, RELEASE_SCOPE)
    }

    /// Who calls for data: a service with its own token, or with one that a resident gave it. `None` for what is no token at all.
    pub fn data_caller(&self, bearing: &Bearing) -> Result<Option<DataBearer>, Error> {
        let Some(token) = self.borne(bearing)? else { return Ok(None) };
        if token.resident.is_none() {
            let is_for_data = token.scope.split(' ').any(|word| word == RELEASE_SCOPE);
            let caller = DataCaller { token: HeldToken::from(&token), service: token.service, resident: None };
            return Ok(Some(if is_for_data { DataBearer::Asks(caller) } else { DataBearer::LacksScope }));
        }
        // A service that only signs residents in gets no data, whatever she gave it.
        if active_service(&self.register(), &token.service)?.body.profile != Profile::Fapi2 {
            return Ok(None);
        }
        let held = HeldToken::from(&token);
        let Some(found) = self.describe(token)? else { return Ok(None) };
        let presence = found.subject.zip(found.auth_time).map(|(subject, at)| Presence {
            subject,
            scope: found.scope,
            sign_in: SignIn { means: found.means, at },
        });
        Ok(presence
            .map(|presence| DataBearer::Asks(DataCaller { service: found.service, token: held, resident: Some(presence) })))
    }

    /// What a sign-in has to be for a token with this scope to be good for anything: what the service and the mandates ask for.
    pub fn asked_of_token(&self, service: &ServiceId, scope: &str) -> AskedSignIn {
        let register = self.register();
        let own = register.services.get(service).map_or(AskedSignIn::NOTHING, |entry| entry.body.asked_sign_in());
        let mandates = scope.split(' ').filter_map(|word| register.mandates.get(&word.parse::<MandateId>().ok()?));
        mandates.fold(own, |asked, mandate| asked.and(mandate.body.asked_sign_in()))
    }

    /// What a sign-in has to be for a use of these blocks.
    pub fn asked_of_use(&self, service: &ServiceId, mandate: &MandateId, blocks: &[(BlockId, Form)]) -> AskedSignIn {
        let register = self.register();
        let own = register.services.get(service).map_or(AskedSignIn::NOTHING, |entry| entry.body.asked_sign_in());
        register.mandates.get(mandate).map_or(own, |mandate| own.and(mandate.body.asked_for(blocks)))
    }

    /// What a token that speaks for a resident is good for.
    pub fn bearer(&self, bearing: &Bearing) -> Result<Option<Introspection>, Error> {
        let Some(token) = self.borne(bearing)? else { return Ok(None) };
        self.describe(token)
    }

    /// What a live token is good for, with those words of its scope that stand. `None` for everything else, without a reason. The proofs of
    /// the caller are noted.
    pub fn introspect(&self, access_token: &str, presented: Vec<Presented>) -> Result<Option<Introspection>, Error> {
        self.note(presented)?;
        let Some(token) = self.live_token(access_token)? else { return Ok(None) };
        let found = self.describe(token)?;
        Ok(found.map(|found| Introspection { scope: scope_of(&found.scope, &found.granted), ..found }))
    }

    /// Revokes a token of an authenticated service, and with a refresh token everything that came from its code. Unknown tokens
    /// are fine (RFC 7009 2.2); the authorization stays.
    pub fn revoke(&self, service: &ServiceId, token: &str, presented: Vec<Presented>) -> Result<(), Error> {
        let (token_hash, service) = (hash(token), service.clone());
        self.db.transaction("revoke token", move |tx| {
            Presented::note(&presented, tx)?;
            tokens::delete(tx, &token_hash, &service)?;
            if let Some(refresh) = refresh_tokens::find(tx, &token_hash)?.filter(|refresh| refresh.service == service) {
                tokens::delete_of_code(tx, &refresh.code_hash)?;
                refresh_tokens::delete(tx, &token_hash)?;
            }
            Ok::<_, Error>(())
        })
    }

    /// What an authorization of this service is good for. `None` where there is no such one or it is another's.
    pub fn query_authorization(&self, service: &ServiceId, id: &str) -> Result<Option<AuthorizationView>, Error> {
        let (now, register) = (self.now(), self.register());
        let found = true_authorization(&self.vault, self.db.read(|conn| authorizations::find(conn, id))?)?;
        let Some(found) = found.filter(|found| found.service == *service && found.ends_at > now) else { return Ok(None) };
        let standing = self.db.read(|conn| standing(conn, &register, service, found.resident, &found.scope, now))?;
        Ok(Some(AuthorizationView {
            scope: standing.as_ref().map_or_else(String::new, |standing| scope_of(&found.scope, standing)),
            granted: standing.unwrap_or_default(),
            created_at: found.created_at,
            updated_at: found.updated_at,
            ends_at: found.ends_at,
        }))
    }

    /// The live token that is borne, if it came as it must: with its key, or without where it is bound to none.
    fn borne(&self, bearing: &Bearing) -> Result<Option<Token>, Error> {
        let Some(token) = self.live_token(&bearing.access_token)? else { return Ok(None) };
        match &bearing.possession {
            None => Ok(Some(token).filter(|token| token.jkt.is_none())),
            Some((jkt, presented)) if token.jkt.as_ref() == Some(jkt) => {
                self.note(vec![presented.clone()])?;
                Ok(Some(token))
            }
            Some(_) => Ok(None),
        }
    }

    fn describe(&self, token: Token) -> Result<Option<Introspection>, Error> {
        let subject = token.resident.map(|resident| self.subject(resident, &token.service)).transpose()?;
        // A withdrawal may have ended the token since it was found. The pseudonym after it must not be told for a token of before.
        // It is the same row as long as it has the same mark. A pass that rests tells nothing of her.
        let is_alive = self.db.read(|conn| {
            let is_active = match token.resident {
                Some(resident) => residents::state(conn, resident)? == Some(ResidentState::Active),
                None => true,
            };
            Ok::<_, Error>(is_active && tokens::find(conn, &token.token_hash)?.is_some_and(|found| found.mark == token.mark))
        })?;
        if !is_alive {
            return Ok(None);
        }
        let granted = match token.resident {
            Some(resident) => {
                let (register, now) = (self.register(), self.now());
                self.db.read(|conn| standing(conn, &register, &token.service, resident, &token.scope, now))?.unwrap_or_default()
            }
            None => Vec::new(),
        };
        Ok(Some(Introspection {
            service: token.service,
            subject,
            scope: token.scope,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            auth_time: token.auth_time,
            means: token.means,
            jkt: token.jkt,
            granted,
            grant_id: token.authorization,
        }))
    }

    /// A token that has not ended, whose service may be served and whose mandates are all in force for it. So tokens die with their
    /// mandate, with a contract and by an order at the very moment, before any job has run.
    fn live_token(&self, access_token: &str) -> Result<Option<Token>, Error> {
        let now = self.now();
        let token_hash = hash(access_token);
        let register = self.register();
        let token = true_token(&self.vault, self.db.read(|conn| tokens::find(conn, &token_hash))?)?;
        Ok(token.filter(|token| {
            if token.expires_at <= now {
                return false;
            }
            if token.resident.is_none() {
                // What a vendor has to delete it is told after its contract too.
                return active_service(&register, &token.service).is_ok();
            }
            served_service(&register, &token.service, now).is_ok_and(|service| {
                mandates(&token.scope)
                    .all(|id| register.mandates.get(&id).is_some_and(|mandate| register.is_served_under(service, mandate, now)))
            })
        }))
    }
}
