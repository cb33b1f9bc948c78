//! Lawpacks: what each law sets, from when until when, whether it counts, and where it can be read.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::assessment::{AssessedWhen, Trigger};
use usufruct_core::id::LawpackId;
use usufruct_core::lawpack::{Duty, LawStatus, Lawpack};
use usufruct_core::register::{Entry, Register};

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "laws.html")]
struct LawsPage {
    page: Page,
    laws: Vec<ShownLaw>,
}

#[derive(Template)]
#[template(path = "law.html")]
struct LawPage {
    page: Page,
    law: ShownLaw,
}

struct ShownLaw {
    entry: Entry<Lawpack>,
    standing: Standing,
    /// The bodies under it.
    bodies: Vec<Link>,
}

/// Whether a pack counts today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is the one by which its jurisdiction is judged.
    Counts,
    /// A newer one of the same jurisdiction counts instead.
    Replaced,
    Coming,
    Ended,
    /// It is shown and never applied.
    Draft,
}

impl Standing {
    fn of(register: &Register, pack: &Lawpack, now: Time) -> Self {
        let is_newer = |other: &Lawpack| {
            other.jurisdiction.eq_ignore_ascii_case(&pack.jurisdiction)
                && other.is_in_force(now)
                && other.valid_from > pack.valid_from
        };
        if pack.status == LawStatus::Draft {
            Self::Draft
        } else if pack.valid_from > now {
            Self::Coming
        } else if pack.valid_until.is_some_and(|until| until <= now) {
            Self::Ended
        } else if register.lawpacks.values().any(|entry| is_newer(&entry.body)) {
            Self::Replaced
        } else {
            Self::Counts
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Counts => "active",
            Self::Replaced | Self::Ended => "ended",
            Self::Coming => "coming",
            Self::Draft => "draft",
        }
    }

    fn words(self, page: &Page) -> String {
        match self {
            Self::Counts => fl!(page.messages, "law-counts"),
            Self::Replaced => fl!(page.messages, "law-replaced"),
            Self::Coming => fl!(page.messages, "register-coming"),
            Self::Ended => fl!(page.messages, "register-ended"),
            Self::Draft => fl!(page.messages, "law-draft"),
        }
    }
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let laws = register.lawpacks.values().map(|entry| shown(&register, &page, entry, now)).collect();
    show(&LawsPage { page, laws })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().lawpacks)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<LawpackId>().ok().and_then(|id| register.lawpacks.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("lawpack"))?;
    Ok(show(&LawPage { law: shown(&register, &page, entry, site.app.now()), page }))
}

fn shown(register: &Register, page: &Page, entry: &Entry<Lawpack>, now: Time) -> ShownLaw {
    let under =
        register.agencies.iter().filter(|(_, body)| body.body.jurisdiction.eq_ignore_ascii_case(&entry.body.jurisdiction));
    ShownLaw {
        standing: Standing::of(register, &entry.body, now),
        bodies: under.map(|(id, _)| Link::agency(register, page, id)).collect(),
        entry: entry.clone(),
    }
}

impl Page {
    /// What a length of time in a law is about.
    pub fn duty(&self, duty: &Duty) -> String {
        match duty {
            Duty::Acknowledge => fl!(self.messages, "duty-acknowledge"),
            Duty::Access => fl!(self.messages, "duty-access"),
            Duty::Copy => fl!(self.messages, "duty-copy"),
            Duty::Correct => fl!(self.messages, "duty-correct"),
            Duty::Stop => fl!(self.messages, "duty-stop"),
            Duty::Delete => fl!(self.messages, "duty-delete"),
            Duty::Challenge => fl!(self.messages, "duty-challenge"),
            Duty::Complain => fl!(self.messages, "duty-complain"),
            Duty::Complaint => fl!(self.messages, "duty-complaint"),
            Duty::Question => fl!(self.messages, "duty-question"),
            Duty::Escalated => fl!(self.messages, "duty-escalated"),
            Duty::Remedy => fl!(self.messages, "duty-remedy"),
            Duty::MandateLongest => fl!(self.messages, "duty-mandate-longest"),
            Duty::EmergencyLongest => fl!(self.messages, "duty-emergency-longest"),
            Duty::CommentPublic => fl!(self.messages, "duty-comment-public"),
            Duty::CommentShortest => fl!(self.messages, "duty-comment-shortest"),
            Duty::AgreementNotice => fl!(self.messages, "duty-agreement-notice"),
            Duty::AgreementLongest => fl!(self.messages, "duty-agreement-longest"),
            Duty::EmergencyAgreementLongest => fl!(self.messages, "duty-emergency-agreement-longest"),
            Duty::SubprocessorNotice => fl!(self.messages, "duty-subprocessor-notice"),
            Duty::CameraCheck => fl!(self.messages, "duty-camera-check"),
            Duty::CheckGrace => fl!(self.messages, "duty-check-grace"),
            Duty::DeletionAnswer => fl!(self.messages, "duty-deletion-answer"),
            Duty::ClosedLongest => fl!(self.messages, "duty-closed-longest"),
            Duty::GuardianshipLongest => fl!(self.messages, "duty-guardianship-longest"),
            Duty::HelpLongest => fl!(self.messages, "duty-help-longest"),
            Duty::VendorCallLongest => fl!(self.messages, "duty-vendor-call-longest"),
            Duty::VendorReportLongest => fl!(self.messages, "duty-vendor-report-longest"),
            Duty::VendorDeletionLongest => fl!(self.messages, "duty-vendor-deletion-longest"),
            Duty::DelayLongest => fl!(self.messages, "duty-delay-longest"),
            Duty::PublishRegister => fl!(self.messages, "duty-publish-register"),
            Duty::KeepBreachRecords => fl!(self.messages, "duty-keep-breach-records"),
            other => self.breach_duty(other),
        }
    }

    /// What about a mandate asks for an impact assessment.
    pub fn trigger(&self, asked: &AssessedWhen) -> String {
        match asked.trigger {
            Trigger::Automated => fl!(self.messages, "trigger-automated"),
            Trigger::Bulk => fl!(self.messages, "trigger-bulk"),
            Trigger::Cameras => fl!(self.messages, "trigger-cameras"),
            Trigger::Children => fl!(self.messages, "trigger-children"),
            Trigger::Covert => fl!(self.messages, "trigger-covert"),
            Trigger::Emergency => fl!(self.messages, "trigger-emergency"),
            Trigger::Many => fl!(self.messages, "trigger-many", most = asked.more_than.unwrap_or_default()),
            Trigger::Matching => fl!(self.messages, "trigger-matching"),
            Trigger::Sole => fl!(self.messages, "trigger-sole"),
            Trigger::Special => fl!(self.messages, "trigger-special"),
        }
    }
}
