//! Audits of bodies: who looked at whom, what was found, and what has been done about it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::body_audit::{BodyAudit, Finding, FindingStatus, Severity};
use usufruct_core::id::BodyAuditId;
use usufruct_core::register::{Entry, Register};

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "audits.html")]
struct AuditsPage {
    page: Page,
    audits: Vec<ShownAudit>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    shown: ShownAudit,
}

/// An audit as readers see it.
struct ShownAudit {
    entry: Entry<BodyAudit>,
    auditor: Link,
    audited: Link,
    /// The heaviest first, each with whether its day has passed.
    findings: Vec<(Finding, bool)>,
    /// How many there are, and how many of them are open, in words.
    counted: String,
    /// Whether no later audit stands in for it.
    is_latest: bool,
    /// Whether the next one should have been done by now.
    is_next_late: bool,
}

/// All of them, the next that is due first.
pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let mut audits: Vec<_> = register.body_audits.iter().map(|(id, entry)| shown(&register, &page, id, entry, now)).collect();
    audits.sort_by_key(|shown| (!shown.is_latest, shown.entry.body.next_due));
    show(&AuditsPage { page, audits })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().body_audits)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<BodyAuditId>().ok().and_then(|id| register.body_audits.get_key_value(&id));
    if let Some((_, entry)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let (id, entry) = find(&id).ok_or_else(|| Fault::not_found("audit"))?;
    let shown = shown(&register, &page, id, entry, site.app.now());
    Ok(show(&AuditPage { page, shown }))
}

fn shown(register: &Register, page: &Page, id: &BodyAuditId, entry: &Entry<BodyAudit>, now: Time) -> ShownAudit {
    let body = &entry.body;
    let mut findings: Vec<_> = body.findings.iter().map(|finding| (finding.clone(), finding.is_late(now))).collect();
    findings
        .sort_by_key(|(finding, _)| (finding.status != FindingStatus::Open, std::cmp::Reverse(finding.severity), finding.due));
    let open = body.findings.iter().filter(|finding| finding.status == FindingStatus::Open).count();
    let is_latest = register.is_latest_audit(id, entry);
    ShownAudit {
        auditor: Link::agency(register, page, &body.auditor),
        audited: Link::agency(register, page, &body.audited),
        counted: fl!(page.messages, "audit-findings-count", all = body.findings.len(), open = open),
        findings,
        is_latest,
        is_next_late: is_latest && body.next_due <= now,
        entry: entry.clone(),
    }
}

impl Link {
    /// An audit: whom it was of, and by what it was measured.
    pub(super) fn body_audit(register: &Register, page: &Page, entry: &Entry<BodyAudit>) -> Self {
        let audited = Self::agency(register, page, &entry.body.audited).words;
        Self { to: format!("/register/audits/{}", entry.id), words: format!("{audited} ({})", entry.body.standard) }
    }
}

impl Page {
    /// How much a finding weighs.
    pub fn severity(&self, severity: &Severity) -> String {
        match severity {
            Severity::Low => fl!(self.messages, "severity-low"),
            Severity::Medium => fl!(self.messages, "severity-medium"),
            Severity::High => fl!(self.messages, "severity-high"),
            Severity::Critical => fl!(self.messages, "severity-critical"),
        }
    }

    /// What has become of a finding.
    pub fn finding_status(&self, status: &FindingStatus) -> String {
        match status {
            FindingStatus::Accepted => fl!(self.messages, "finding-accepted"),
            FindingStatus::Mended => fl!(self.messages, "finding-mended"),
            FindingStatus::Open => fl!(self.messages, "finding-open"),
        }
    }
}
