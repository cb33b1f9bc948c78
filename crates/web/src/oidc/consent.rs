//! The consent page: what this service takes, why, who gets it, until when, and how to do without.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Actor, App, AuthorizeRequest, Decline, Error, Lending, OpenSession};
use usufruct_core::delegation::Power;
use usufruct_core::event::Form;
use usufruct_core::hash::equal;
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::layers::Layers;
use usufruct_core::mandate::{AskedBlock, Basis, Mandate, Necessity};
use usufruct_core::register::Register;
use usufruct_core::{Text, Time};

use super::authorize::{self, Asked};
use crate::Site;
use crate::fault::Fault;
use crate::form::CheckedOfAnybody;
use crate::headers::policy_with_form_target;
use crate::language::{from_tag, messages};
use crate::page::{Page, link_to, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    page: Page,
    service: Text,
    agency: Text,
    mandate_id: MandateId,
    mandate: Mandate,
    layers: Layers,
    asks: Asks,
    /// Whether she lends under it or has paused it, so that a "No" could take nothing back.
    is_lending: bool,
    required: Vec<ShownBlock>,
    optional: Vec<ShownBlock>,
    recipients: Vec<ShownRecipient>,
    alternatives: Vec<Text>,
    until: Time,
    raw: String,
    mark: String,
}

/// A mandate that she is asked about.
pub(crate) struct Question {
    mandate: MandateId,
    asks: Asks,
    /// What she lends under it already, or has paused.
    lending: Option<Lending>,
    /// Whether she wishes never to be asked about optional blocks.
    no_optional: bool,
}

/// What she is asked about a mandate. What the last two show is what she lends already, as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Asks {
    /// To lend under it.
    #[default]
    Consent,
    /// To let a service use what she lends already.
    Service,
    /// To resume what she has paused, and let the service use it.
    Resumption,
}

impl Asks {
    fn code(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Service => "service",
            Self::Resumption => "resumption",
        }
    }
}

impl Question {
    /// `again` where she is asked also about what she agreed to before, with all that she may choose.
    fn new(app: &App, resident: u64, mandate: MandateId, no_optional: bool, again: bool) -> Result<Self, Error> {
        let lending = app.lending(resident, &mandate)?;
        let asks = match &lending {
            Some(lending) if lending.is_paused => Asks::Resumption,
            Some(_) if !again => Asks::Service,
            _ => Asks::Consent,
        };
        Ok(Self { mandate, asks, lending, no_optional })
    }
}

/// A block as the page shows it.
struct ShownBlock {
    id: BlockId,
    name: Text,
    reason: Text,
    form: Form,
}

/// Someone who receives data, and the vendors behind it.
struct ShownRecipient {
    name: Text,
    why: Text,
    is_processor: bool,
    locations: String,
}

/// Shows the page for one mandate.
pub(crate) fn page(
    site: &Site,
    page: Page,
    session: &OpenSession,
    asked: &Asked,
    question: &Question,
) -> Result<Response, Fault> {
    let Question { mandate, asks, lending, no_optional } = question;
    let kept = lending.as_ref().filter(|_| *asks != Asks::Consent);
    let register = site.app.register();
    let entry = register.mandates.get(mandate).ok_or_else(|| Fault::not_found("mandate"))?;
    let layers = Layers::of(&register, mandate, site.app.now()).ok_or_else(|| Fault::not_found("notice"))?;
    let service = register.services.get(&asked.request.service).ok_or_else(|| Fault::not_found("service"))?;
    let agency = register.agencies.get(&service.body.agency).ok_or_else(|| Fault::not_found("agency"))?;
    let shown = |block: &AskedBlock| ShownBlock {
        id: block.block.clone(),
        name: register
            .blocks
            .get(&block.block)
            .map_or_else(|| Text::new(block.block.as_str(), block.block.as_str()), |entry| entry.body.name.clone()),
        reason: block.reason.clone(),
        form: block.form,
    };
    let is_needed = |block: &AskedBlock| match kept {
        Some(kept) => kept.blocks.contains(&block.block),
        None => block.necessity == Necessity::Required,
    };
    let is_offered = |block: &AskedBlock| {
        kept.is_none()
            && !no_optional
            && block.necessity == Necessity::Optional
            && is_wanted(&asked.request, mandate, &block.block)
    };
    let blocks = &entry.body.blocks;
    let content = ConsentPage {
        page: within(page, asked),
        service: service.body.name.clone(),
        agency: agency.body.legal_name.clone(),
        mandate_id: mandate.clone(),
        mandate: entry.body.clone(),
        layers,
        asks: *asks,
        is_lending: lending.is_some(),
        required: blocks.iter().filter(|block| is_needed(block)).map(shown).collect(),
        optional: blocks.iter().filter(|block| is_offered(block)).map(shown).collect(),
        recipients: recipients(&register, &entry.body),
        alternatives: service.body.alternatives.clone(),
        until: entry.body.sunset_at,
        mark: mark(site, session, mandate, &asked.raw, *asks)?,
        raw: asked.raw.clone(),
    };
    let mut response = show(&content);
    // The form's answer leads to the service, which the browser counts as a target of the form.
    if let Some(origin) = url::Url::parse(&asked.request.redirect_uri).ok().map(|uri| uri.origin().ascii_serialization()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&origin));
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    mandate: MandateId,
    /// The authorization request as it came, and the mark that it was shown to this session.
    request: String,
    mark: String,
    decision: String,
    /// What the page asked.
    #[serde(default)]
    asks: Asks,
    /// Optional blocks, separated by spaces; each ticked box sends its own `optional_<block>`.
    #[serde(flatten)]
    fields: std::collections::BTreeMap<String, String>,
}

/// "Agree" lends the data and goes on; "No" and "Not now" lead back with `access_denied`, and she is asked again only after the latter.
pub(crate) async fn decide(
    State(site): State<Arc<Site>>,
    page: Page,
    CheckedOfAnybody(session, decision): CheckedOfAnybody<Decision>,
) -> Result<Response, Fault> {
    let asks = decision.asks;
    let known = mark(&site, &session, &decision.mandate, &decision.request, asks)?;
    if !equal(known.as_bytes(), decision.mark.as_bytes()) {
        return Err(Fault::foreign_form());
    }
    let asked = authorize::reread(&site, &session, &decision.request).await?;
    if decision.decision != "agree" {
        let declined = match decision.decision.as_str() {
            "refuse" => Some(Decline::Refused),
            "not-now" => Some(Decline::Deferred),
            _ => None,
        };
        // Who may not decide for her says nothing in her name.
        let actor = session.actor(&[Power::Consents]).ok().filter(|_| asks == Asks::Consent);
        if let (Some(actor), Some(declined)) = (actor, declined) {
            let (service, mandate) = (asked.request.service.clone(), decision.mandate.clone());
            blocking(&site, move |app| app.decline(actor, &service, &mandate, declined)).await?;
        }
        return authorize::deny(&site, &asked).await;
    }
    let chosen: Result<Vec<BlockId>, _> =
        decision.fields.keys().filter_map(|key| key.strip_prefix("optional_")).map(str::parse).collect();
    let chosen = chosen.map_err(|_| Fault::bad_form())?;
    if !chosen.iter().all(|block| asks == Asks::Consent && is_wanted(&asked.request, &decision.mandate, block)) {
        return Err(Fault::bad_form());
    }
    let (resident, wanted, mandate, again) = (session.person(), asked.request.clone(), decision.mandate.clone(), asked.again);
    let actor = session.actor(&[Power::Consents, Power::SignIn])?;
    let open = blocking(&site, move |app| {
        let open = questions(app, resident, &wanted, again)?;
        let lends = app.authorization(resident, &wanted)?.lends(&mandate);
        let is_paused = open.iter().any(|question| question.mandate == mandate && question.asks == Asks::Resumption);
        if !lends && (asks == Asks::Service || is_paused != (asks == Asks::Resumption)) {
            return Ok(Err(open));
        }
        // What was agreed to before, here or in another window, stays as it is, with its uses counted.
        let kept = lends && (asks != Asks::Consent || !again || is_as_before(app, resident, &mandate, &chosen)?);
        if is_paused {
            resume(app, actor, resident, &mandate)?;
        } else if kept && again {
            app.reaffirm(actor, &wanted.service, &mandate)?;
        } else if !kept && open.iter().any(|question| question.mandate == mandate) {
            app.consent(actor, &wanted.service, &mandate, &chosen)?;
        }
        Ok(Ok(open))
    })
    .await?;
    let open = match open {
        Ok(open) => open,
        // She has withdrawn, paused or resumed since, and this page did not ask her what is to be asked now.
        Err(open) => {
            let question = open.iter().find(|question| question.mandate == decision.mandate).ok_or_else(Fault::bad_form)?;
            return self::page(&site, page, &session, &asked, question);
        }
    };
    let asked = asked.agreeing(&site, &session, &decision.mandate)?;
    let rest = if again {
        open.into_iter().skip_while(|question| question.mandate != decision.mandate).skip(1).collect()
    } else {
        let wanted = asked.request.clone();
        blocking(&site, move |app| questions(app, resident, &wanted, false)).await?
    };
    match rest.first() {
        Some(next) => self::page(&site, page, &session, &asked, next),
        None => authorize::answer(&site, &session, asked.request).await,
    }
}

/// Resumes what she has paused, unless she has done so in another browser in this very moment.
fn resume(app: &App, actor: Actor, resident: u64, mandate: &MandateId) -> Result<(), Error> {
    match app.resume(actor, mandate) {
        Err(Error::Refused { .. } | Error::Stale)
            if app.lending(resident, mandate)?.is_some_and(|lending| !lending.is_paused) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

/// What to ask about, in order: mandates to which she has not agreed or has not let the service in, or all that rest on consent.
pub(crate) fn questions(app: &App, resident: u64, request: &AuthorizeRequest, again: bool) -> Result<Vec<Question>, Error> {
    let no_optional = app.wishes(resident)?.no_optional;
    if !again {
        let open = app.authorization(resident, request)?.to_ask.into_iter();
        return open.map(|mandate| Question::new(app, resident, mandate, no_optional, false)).collect();
    }
    let register = app.register();
    let rests_on_consent =
        |id: &MandateId| register.mandates.get(id).is_some_and(|entry| entry.body.legal_basis.code == Basis::Consent);
    let mandates = app.scope_mandates(&request.service, &request.scope)?.into_iter().filter(rests_on_consent);
    mandates.map(|mandate| Question::new(app, resident, mandate, no_optional, true)).collect()
}

/// Whether she chose the same optional blocks as in the consent she has given.
fn is_as_before(app: &App, resident: u64, mandate: &MandateId, chosen: &[BlockId]) -> Result<bool, Error> {
    let register = app.register();
    let Some(entry) = register.mandates.get(mandate) else { return Ok(false) };
    let required = entry.body.blocks.iter().filter(|asked| asked.necessity == Necessity::Required).map(|asked| &asked.block);
    let now: BTreeSet<&BlockId> = required.chain(chosen).collect();
    let grants = app.grants(resident)?;
    let given = grants.iter().find(|stored| stored.mandate == entry.number);
    Ok(given.is_some_and(|stored| stored.grant.blocks.iter().collect::<BTreeSet<_>>() == now))
}

/// Whether the service wants this optional block: if it has said which it wants, only those are offered.
fn is_wanted(request: &AuthorizeRequest, mandate: &MandateId, block: &BlockId) -> bool {
    let named = request.details.iter().find(|(named, _)| named == mandate);
    named.is_none_or(|(_, blocks)| blocks.contains(block))
}

/// The page in the language chosen here, else in the one the service asks for (`ui_locales`), else the browser's. Its links open the
/// request as it stands on the form.
pub(crate) fn within(page: Page, asked: &Asked) -> Page {
    let page = Page { here: link_to("/oidc/authorize", &asked.raw), ..page };
    let has_chosen = url::form_urlencoded::parse(asked.raw.as_bytes()).any(|(key, _)| key == "lang");
    match asked.locales.as_ref().filter(|_| !has_chosen).and_then(|tags| tags.split_whitespace().find_map(from_tag)) {
        Some(language) => Page { language, messages: messages(language), ..page },
        None => page,
    }
}

/// Binds the shown request, the shown revision of the mandate and what was asked to the session: what is agreed to is what was shown.
fn mark(site: &Site, session: &OpenSession, mandate: &MandateId, raw: &str, asks: Asks) -> Result<String, Error> {
    let revision = site.app.register().mandates.get(mandate).map(|entry| entry.hash.to_string()).unwrap_or_default();
    site.app.mark("consent", Some(session), &[mandate.as_str(), &revision, asks.code(), raw])
}

fn recipients(register: &Register, mandate: &Mandate) -> Vec<ShownRecipient> {
    let name = |id| register.agencies.get(id).map_or_else(|| Text::new("?", "?"), |agency| agency.body.legal_name.clone());
    let mut shown = Vec::new();
    for recipient in &mandate.recipients {
        let contract = recipient.contract.as_ref().and_then(|id| register.contracts.get(id));
        let locations = contract.map_or_else(|| mandate.locations.join(", "), |contract| contract.body.data_locations.join(", "));
        shown.push(ShownRecipient {
            name: name(&recipient.agency),
            why: recipient.why.clone(),
            is_processor: recipient.contract.is_some(),
            locations,
        });
        for sub in contract.iter().flat_map(|contract| register.subprocessors(contract)) {
            let why = contract.map_or_else(|| recipient.why.clone(), |contract| contract.body.scope.clone());
            shown.push(ShownRecipient { name: name(&sub.agency), why, is_processor: true, locations: sub.location.clone() });
        }
    }
    shown
}
