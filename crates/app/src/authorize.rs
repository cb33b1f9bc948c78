//! Authorize: what a service asks of a resident, whether she must be asked, and the code that answers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Time;
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate};
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::SECOND;
use usufruct_store::codes::{self, Code};
use usufruct_store::{grants, residents};

use crate::session::hash;
use crate::sign_in::active_service;
use crate::{App, Error};

/// How long a code works (FAPI 2.0 asks for 60 seconds at most).
const CODE_LIFE: i64 = 30 * SECOND;

/// An authorization request whose client and redirect URI were found in the register.
#[derive(Clone, Debug)]
pub struct AuthorizeRequest {
    pub service: ServiceId,
    pub redirect_uri: String,
    /// `openid` and ids of mandates.
    pub scope: Vec<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    /// PKCE challenge, S256.
    pub challenge: String,
}

/// What an authorization request comes to.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Mandates of the request that rest on consent and have no valid grant yet: to be shown and agreed to.
    pub to_ask: Vec<MandateId>,
}

impl App {
    /// Whether `redirect_uri` is registered for an active service, byte for byte. Only then may anything be sent there.
    pub fn knows_redirect(&self, service: &ServiceId, redirect_uri: &str) -> bool {
        let register = self.register();
        active_service(&register, service).is_ok_and(|entry| entry.body.redirect_uris.iter().any(|known| known == redirect_uri))
    }

    /// The mandates a scope names, or why it is refused.
    pub fn scope_mandates(&self, service: &ServiceId, scope: &[String]) -> Result<Vec<MandateId>, Error> {
        let register = self.register();
        let entry = active_service(&register, service)?;
        let mut mandates = Vec::new();
        for word in scope.iter().filter(|word| word.starts_with("mdt_")) {
            let id: MandateId = word.parse().map_err(|_| Error::Unknown { what: "mandate" })?;
            if !entry.body.mandates.contains(&id) {
                return Err(Error::refused(
                    "The service is not registered under this mandate.",
                    "Ask for a mandate of the service.",
                ));
            }
            in_force(&register, &id, self.now())?;
            if !mandates.contains(&id) {
                mandates.push(id);
            }
        }
        Ok(mandates)
    }

    /// Which mandates of a request the resident has to be asked about.
    pub fn authorization(&self, resident: u64, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let register = self.register();
        let now = self.now();
        let mut to_ask = Vec::new();
        for id in self.scope_mandates(&request.service, &request.scope)? {
            let entry = in_force(&register, &id, now)?;
            if entry.body.legal_basis.code != Basis::Consent {
                continue;
            }
            let stored = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
            let valid = stored.is_some_and(|stored| {
                stored.grant.state == GrantState::Given
                    && stored.grant.mandate_hash == entry.hash
                    && now < stored.grant.valid_until
            });
            if !valid {
                to_ask.push(id);
            }
        }
        Ok(Authorization { to_ask })
    }

    /// Signs the resident in to the service and makes the code that the service exchanges.
    pub fn authorize(&self, resident: u64, auth_time: Time, request: &AuthorizeRequest) -> Result<String, Error> {
        if !self.authorization(resident, request)?.to_ask.is_empty() {
            return Err(Error::Unpermitted(vec![usufruct_core::decide::Clause::Grant]));
        }
        self.record_sign_in(resident, &request.service)?;
        let code = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let row = Code {
            code_hash: hash(&code),
            service: request.service.clone(),
            resident,
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
            scope: request.scope.join(" "),
            auth_time,
            expires_at: self.now().plus(CODE_LIFE),
            used_at: None,
        };
        self.db.transaction("make code", move |tx| {
            if residents::state(tx, resident)? != Some(residents::ResidentState::Active) {
                return Err(Error::refused("The pass is deactivated.", "Reactivate it first."));
            }
            Ok(codes::insert(tx, &row)?)
        })?;
        Ok(code)
    }
}

fn in_force<'a>(register: &'a Register, id: &MandateId, now: Time) -> Result<&'a Entry<Mandate>, Error> {
    let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
    if entry.is_in_force(now) {
        Ok(entry)
    } else {
        Err(Error::refused("The mandate is not in force.", "See the public register for mandates that are."))
    }
}
