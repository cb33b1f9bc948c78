//! Mandates: active, ending soon, coming, ended with certificate; and each of them whole.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::agency::AgencyKind;
use usufruct_core::assessment;
use usufruct_core::certificate::Certificate;
use usufruct_core::condition::{Condition, Shown as Evidence};
use usufruct_core::event::Form;
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::key::KeyOf;
use usufruct_core::layers::Layers;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::{Mandate, MandateKind, Necessity, Review};
use usufruct_core::means::Means;
use usufruct_core::notice::Notice;
use usufruct_core::notice_life::NoticeLife;
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::DAY;

use super::export::Vocabulary;
use super::keys::{self, ShownKey, Standing as KeyStanding};
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

/// How early the register says that a mandate ends.
const SOON: i64 = 30 * DAY;

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage {
    page: Page,
    groups: Vec<Group>,
}

struct Group {
    standing: Standing,
    mandates: Vec<Shown>,
}

/// Where a mandate stands for a reader of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// People can comment on it.
    Open,
    Active,
    EndingSoon,
    Coming,
    Ended,
}

struct Shown {
    id: String,
    title: String,
    purpose: String,
    controller: String,
    starts_at: Time,
    sunset_at: Time,
    is_emergency: bool,
    is_suspended: bool,
    /// When two people of two offices approved it, while it is not published.
    approved_at: Option<Time>,
    certificate: Option<String>,
    /// Until when people can comment on it, and where they write to.
    comments: Option<(Time, String)>,
}

#[derive(Template)]
#[template(path = "mandate.html")]
struct MandatePage {
    page: Page,
    entry: Entry<Mandate>,
    standing: Standing,
    notice: Option<Entry<Notice>>,
    layers: Option<Layers>,
    /// The notices of all its revisions, the oldest first.
    notices: Vec<NoticeLife>,
    /// Whether an impact assessment holds for it.
    is_assessed: bool,
    controller: Link,
    oversight: Link,
    /// Within how many days residents see its lines, where that is later, and who answers for it.
    delay: Option<(i64, Link)>,
    blocks: Vec<ShownBlock>,
    recipients: Vec<ShownRecipient>,
    services: Vec<Link>,
    conversions: Vec<ShownConversion>,
    continues: Option<Link>,
    certificate: Option<Entry<Certificate>>,
    eight: Vec<(String, ShownCondition)>,
    /// Orders that stand against it.
    orders: Vec<String>,
    review: Option<Review>,
    keys: Vec<ShownKey>,
    /// Until when people can comment on it, and where they write to.
    comments: Option<(Time, String)>,
    /// The health authority that found an emergency mandate needed.
    finder: Option<Link>,
    /// The provision of the law of the controller that it rests on, with its article and its words.
    provision: Option<(String, String)>,
    exception: Option<(String, String)>,
}

/// The answer to one of the eight questions.
struct ShownCondition {
    /// The answer, or why there is none yet.
    words: String,
    /// Until when it is waived, if it is not met.
    waived_until: Option<Time>,
    evidence: Vec<ShownEvidence>,
}

/// What shows that a condition is met: a document, or a statement of the register.
struct ShownEvidence {
    words: String,
    /// Where it can be read; empty where that is not said.
    to: String,
    /// SHA-256 of a document; empty for a statement.
    hash: String,
}

struct ShownBlock {
    name: String,
    is_required: bool,
    form: Form,
    reason: String,
    /// The weakest means of signing in for its use, where that is more than the mandate asks for.
    means: Option<Means>,
}

struct ShownConversion {
    from: String,
    to: String,
    why: String,
}

struct ShownRecipient {
    agency: Link,
    why: String,
    is_vendor: bool,
    contract: Option<String>,
    /// Vendors of the vendor, with the country they work in.
    behind: Vec<(String, String)>,
}

impl Standing {
    const ALL: [Self; 5] = [Self::Open, Self::Active, Self::EndingSoon, Self::Coming, Self::Ended];

    /// Word in addresses and styles.
    fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Active => "active",
            Self::EndingSoon => "ending-soon",
            Self::Coming => "coming",
            Self::Ended => "ended",
        }
    }

    fn words(self, page: &Page) -> String {
        match self {
            Self::Open => fl!(page.messages, "register-open"),
            Self::Active => fl!(page.messages, "register-active"),
            Self::EndingSoon => fl!(page.messages, "register-ending"),
            Self::Coming => fl!(page.messages, "register-coming"),
            Self::Ended => fl!(page.messages, "register-ended"),
        }
    }
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let now = site.app.now();
    let groups = Standing::ALL
        .into_iter()
        .map(|standing| {
            let of = register.mandates.iter().filter(|(_, entry)| stand(entry, now) == Some(standing));
            let mut mandates: Vec<_> = of.map(|(id, entry)| shown(&register, &page, id, entry, now)).collect();
            mandates.sort_by_key(|mandate| mandate.sunset_at);
            Group { standing, mandates }
        })
        .collect();
    show(&RegisterPage { page, groups })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().mandates)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<MandateId>().ok().and_then(|id| Some((register.mandates.get(&id)?, id)));
    if let Some((entry, _)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    if let Some((vocabulary, (entry, _))) = Vocabulary::asked(&id).and_then(|(asked, id)| Some((asked, find(id)?))) {
        return Ok(vocabulary.answer(&site, &register, entry));
    }
    let (entry, id) = find(&id).ok_or_else(|| Fault::not_found("mandate"))?;
    Ok(show(&whole(&register, page, &id, entry, site.app.now())))
}

fn whole(register: &Register, page: Page, id: &MandateId, entry: &Entry<Mandate>, now: Time) -> MandatePage {
    let body = &entry.body;
    let law = register.law(&body.controller, now);
    let name = |id| register.blocks.get(id).map(|block| page.text(&block.body.name).to_owned());
    let blocks = body.blocks.iter().map(|asked| ShownBlock {
        name: name(&asked.block).unwrap_or_else(|| asked.block.to_string()),
        is_required: asked.necessity == Necessity::Required,
        form: asked.form,
        reason: page.text(&asked.reason).to_owned(),
        means: (asked.means > body.means).then_some(asked.means),
    });
    let services = register.services.values().filter(|service| service.body.mandates.contains(id));
    let before = body.continues.as_ref().and_then(|before| register.mandates.get(&before.parse().ok()?));
    MandatePage {
        standing: stand(entry, now).unwrap_or(Standing::Coming),
        controller: Link::agency(register, &page, &body.controller),
        oversight: Link::agency(register, &page, &body.oversight_body),
        delay: body.visibility.delay().map(|delay| (delay.max_days, Link::agency(register, &page, &delay.authority))),
        blocks: blocks.collect(),
        recipients: recipients(register, &page, body),
        services: services.map(|service| Link::service(&page, service)).collect(),
        conversions: conversions(register, &page, body),
        continues: before.map(|before| Link::mandate(&page, before)),
        certificate: register.certificate(id).cloned(),
        notice: register.notice(entry).cloned(),
        layers: Layers::of(register, id, now),
        notices: register.notices_of(id),
        is_assessed: assessment::holding(register, entry).is_some(),
        eight: eight(&page, body),
        orders: register.binding(id.as_str(), now).map(|order| order.id.clone()).collect(),
        review: body.review.clone(),
        comments: comments(register, id, entry, now),
        finder: body.emergency.as_ref().map(|emergency| Link::agency(register, &page, &emergency.finding.by)),
        provision: law
            .bases()
            .iter()
            .find(|listed| Some(&listed.code) == body.legal_basis.provision.as_ref())
            .map(|listed| (listed.article.clone(), page.text(&listed.text).to_owned())),
        exception: body.exception.as_ref().map(|exception| {
            let listed = law.exceptions().iter().find(|listed| listed.code == exception.code);
            let article = listed.map_or_else(|| exception.code.clone(), |listed| listed.article.clone());
            (article, listed.map(|listed| page.text(&listed.text).to_owned()).unwrap_or_default())
        }),
        keys: keys::shown(register, &page, |key| key.of == KeyOf::Mandate(id.clone())),
        entry: entry.clone(),
        page,
    }
}

/// Until when people can comment: by the day in the mandate, or by the law if that comes later. Of an emergency, while comments are not
/// summed up.
fn comments(register: &Register, id: &MandateId, entry: &Entry<Mandate>, now: Time) -> Option<(Time, String)> {
    let body = &entry.body;
    let until = match entry.state {
        Stage::Draft | Stage::Consulted => {
            register.open_until(id, body, now).into_iter().chain([body.consultation.to]).max().filter(|until| now < *until)
        }
        Stage::Published | Stage::Active | Stage::Suspended => body.summary_due().filter(|until| now < *until),
        _ => None,
    };
    let contact = register.agencies.get(&body.controller).map(|agency| agency.body.contact.clone());
    until.zip(contact)
}

fn recipients(register: &Register, page: &Page, mandate: &Mandate) -> Vec<ShownRecipient> {
    let is_vendor = |id: &AgencyId| register.agencies.get(id).is_some_and(|agency| agency.body.kind == AgencyKind::Vendor);
    let shown = mandate.recipients.iter().map(|recipient| {
        let contract = recipient.contract.as_ref().and_then(|id| register.contracts.get(id));
        let behind = contract.iter().flat_map(|contract| register.subprocessors(contract));
        ShownRecipient {
            agency: Link::agency(register, page, &recipient.agency),
            why: page.text(&recipient.why).to_owned(),
            is_vendor: is_vendor(&recipient.agency),
            contract: contract.map(|contract| contract.id.clone()),
            behind: behind.map(|sub| (Link::agency(register, page, &sub.agency).words, page.place(&sub.location))).collect(),
        }
    });
    shown.collect()
}

fn conversions(register: &Register, page: &Page, mandate: &Mandate) -> Vec<ShownConversion> {
    let name = |id| register.services.get(id).map_or_else(|| id.to_string(), |service| page.text(&service.body.name).to_owned());
    let shown = mandate.conversions.iter().map(|conversion| ShownConversion {
        from: name(&conversion.from),
        to: name(&conversion.to),
        why: page.text(&conversion.why).to_owned(),
    });
    shown.collect()
}

/// The eight questions of an emergency and the answers.
fn eight(page: &Page, mandate: &Mandate) -> Vec<(String, ShownCondition)> {
    let Some(eight) = &mandate.eight_conditions else { return Vec::new() };
    let messages = page.messages;
    let answers = [
        (fl!(messages, "eight-necessity"), &eight.necessity),
        (fl!(messages, "eight-time-bound"), &eight.time_bound),
        (fl!(messages, "eight-scope-lock"), &eight.scope_lock),
        (fl!(messages, "eight-security"), &eight.security),
        (fl!(messages, "eight-fairness"), &eight.fairness),
        (fl!(messages, "eight-sharing"), &eight.sharing),
        (fl!(messages, "eight-remedy"), &eight.remedy),
        (fl!(messages, "eight-participation"), &eight.participation),
    ];
    let shown = |condition: &Condition| match condition {
        Condition::Met { text, evidence } => {
            let evidence = evidence.iter().map(|shown| evidence_of(page, shown)).collect();
            ShownCondition { words: page.text(text).to_owned(), waived_until: None, evidence }
        }
        Condition::Waived(waiver) => {
            ShownCondition { words: page.text(&waiver.reason).to_owned(), waived_until: Some(waiver.until), evidence: Vec::new() }
        }
    };
    answers.into_iter().map(|(question, answer)| (question, shown(answer))).collect()
}

fn evidence_of(page: &Page, evidence: &Evidence) -> ShownEvidence {
    match evidence {
        Evidence::Document(document) => ShownEvidence {
            words: page.text(&document.title).to_owned(),
            to: document.url.clone().filter(|url| page.is_link(url)).unwrap_or_default(),
            hash: document.sha256.to_string(),
        },
        Evidence::Statement { statement } => {
            let pages = [("agr_", "agreements"), ("ctr_", "contracts"), ("mdt_", "mandates")];
            let page = pages.into_iter().find(|(prefix, _)| statement.starts_with(prefix));
            let to = page.map(|(_, page)| format!("/register/{page}/{statement}")).unwrap_or_default();
            ShownEvidence { words: statement.clone(), to, hash: String::new() }
        }
    }
}

/// Where a mandate stands on the page.
fn stand(entry: &Entry<Mandate>, now: Time) -> Option<Standing> {
    match entry.state {
        Stage::Sunset | Stage::Revoked | Stage::Erasing | Stage::Erased => Some(Standing::Ended),
        Stage::Published | Stage::Active | Stage::Suspended if entry.body.sunset_at <= now => Some(Standing::Ended),
        Stage::Approved | Stage::Published => Some(Standing::Coming),
        Stage::Active | Stage::Suspended if entry.body.starts_at > now => Some(Standing::Coming),
        Stage::Active | Stage::Suspended if entry.body.sunset_at < now.plus(SOON) => Some(Standing::EndingSoon),
        Stage::Active | Stage::Suspended => Some(Standing::Active),
        Stage::Draft | Stage::Consulted => Some(Standing::Open),
        _ => None,
    }
}

fn shown(register: &Register, page: &Page, id: &MandateId, entry: &Entry<Mandate>, now: Time) -> Shown {
    Shown {
        id: entry.id.clone(),
        title: page.text(&entry.body.title).to_owned(),
        purpose: page.text(&entry.body.purpose.sentence).to_owned(),
        controller: Link::agency(register, page, &entry.body.controller).words,
        starts_at: entry.body.starts_at,
        sunset_at: entry.body.sunset_at,
        is_emergency: entry.body.kind == MandateKind::Emergency,
        is_suspended: entry.state == Stage::Suspended || register.is_suspended_by_order(&entry.id, now),
        approved_at: (entry.state == Stage::Approved).then_some(entry.since),
        certificate: register.certificate(id).map(|certificate| certificate.id.clone()),
        comments: comments(register, id, entry, now),
    }
}
