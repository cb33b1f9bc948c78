//! Orders and meetings of oversight bodies: what was commanded, who is late, and what was decided with which dissent.

use std::fmt::Write;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::id::{MeetingId, OrderId};
use usufruct_core::meeting::Meeting;
use usufruct_core::order::{Order, Standing, Target};
use usufruct_core::register::{Entry, Register};

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    page: Page,
    groups: Vec<Group>,
}

struct Group {
    standing: Standing,
    orders: Vec<ShownOrder>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    page: Page,
    shown: ShownOrder,
}

#[derive(Template)]
#[template(path = "meetings.html")]
struct MeetingsPage {
    page: Page,
    meetings: Vec<ShownMeeting>,
}

#[derive(Template)]
#[template(path = "meeting.html")]
struct MeetingPage {
    page: Page,
    shown: ShownMeeting,
}

/// An order as readers see it.
pub(crate) struct ShownOrder {
    pub entry: Entry<Order>,
    pub standing: Standing,
    pub body: Link,
    pub target: Link,
    pub effective_at: Time,
    pub due_at: Option<Time>,
    pub lifted_at: Option<Time>,
    /// When its body says that it paid, of an order to compensate.
    pub paid_at: Option<Time>,
    /// The certificate by which the machine carried it out, and how many grants ended, of an order to delete.
    pub deleted: Option<(String, String)>,
    /// Names of the blocks that a restriction leaves.
    pub blocks: Vec<String>,
}

/// Minutes as readers see them.
pub(crate) struct ShownMeeting {
    pub entry: Entry<Meeting>,
    pub body: Link,
}

impl Group {
    fn id(&self) -> String {
        self.standing.code().replace('_', "-")
    }
}

/// In which order readers meet them: who is late comes first.
const STANDINGS: [Standing; 7] = [
    Standing::Overdue,
    Standing::InForce,
    Standing::Appealed,
    Standing::Issued,
    Standing::Enforced,
    Standing::Complied,
    Standing::Lifted,
];

pub(super) async fn orders(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let mut all: Vec<_> = shown_orders(&register, &page, site.app.now(), |_| true);
    let groups = STANDINGS
        .into_iter()
        .map(|standing| {
            let (orders, rest) = std::mem::take(&mut all).into_iter().partition(|order| order.standing == standing);
            all = rest;
            Group { standing, orders }
        })
        .collect();
    show(&OrdersPage { page, groups })
}

pub(super) async fn orders_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().orders)
}

/// One line for each order. It has ids, words of closed lists and times only, so nothing in it needs quotes.
pub(super) async fn orders_csv(State(site): State<Arc<Site>>) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let mut csv = String::from("id,body,kind,target,standing,effective_at,comply_by,lifted_at,leaf\r\n");
    for (id, entry) in &register.orders {
        let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
        let standing = register.standing(id, entry, now).code();
        let (body, kind, target) = (&entry.body.body, entry.body.kind.code(), &entry.body.target);
        let (from, by, lifted) = (entry.effective_at(), time(register.due_at(id, entry)), time(register.lifted_at(id)));
        // Writing to a String cannot fail.
        let _ = write!(csv, "{id},{body},{kind},{target},{standing},{from},{by},{lifted},{}\r\n", entry.number);
    }
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response()
}

pub(super) async fn order(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<OrderId>().ok().and_then(|id| Some((register.orders.get(&id)?, id)));
    if let Some((entry, _)) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let (entry, id) = find(&id).ok_or_else(|| Fault::not_found("order"))?;
    let shown = shown_order(&register, &page, &id, entry, site.app.now());
    Ok(show(&OrderPage { page, shown }))
}

pub(super) async fn meetings(State(site): State<Arc<Site>>, page: Page) -> Response {
    let meetings = shown_meetings(&site.app.register(), &page, |_| true);
    show(&MeetingsPage { page, meetings })
}

pub(super) async fn meetings_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().meetings)
}

pub(super) async fn meeting(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<MeetingId>().ok().and_then(|id| register.meetings.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("meeting"))?;
    let shown = ShownMeeting { body: Link::agency(&register, &page, &entry.body.body), entry: entry.clone() };
    Ok(show(&MeetingPage { page, shown }))
}

/// The orders that `keep` keeps, the newest first.
pub(crate) fn shown_orders(register: &Register, page: &Page, now: Time, keep: impl Fn(&Order) -> bool) -> Vec<ShownOrder> {
    let kept = register.orders.iter().filter(|(_, entry)| keep(&entry.body));
    let mut shown: Vec<_> = kept.map(|(id, entry)| shown_order(register, page, id, entry, now)).collect();
    shown.sort_by_key(|order| std::cmp::Reverse(order.entry.number));
    shown
}

/// The minutes that `keep` keeps, the newest first.
pub(crate) fn shown_meetings(register: &Register, page: &Page, keep: impl Fn(&Meeting) -> bool) -> Vec<ShownMeeting> {
    let kept = register.meetings.values().filter(|entry| keep(&entry.body));
    let mut shown: Vec<_> =
        kept.map(|entry| ShownMeeting { body: Link::agency(register, page, &entry.body.body), entry: entry.clone() }).collect();
    shown.sort_by_key(|meeting| std::cmp::Reverse(meeting.entry.body.held_at));
    shown
}

fn shown_order(register: &Register, page: &Page, id: &OrderId, entry: &Entry<Order>, now: Time) -> ShownOrder {
    let name = |block| register.blocks.get(block).map(|block| page.text(&block.body.name).to_owned());
    ShownOrder {
        standing: register.standing(id, entry, now),
        body: Link::agency(register, page, &entry.body.body),
        target: target(register, page, &entry.body.target),
        effective_at: entry.effective_at(),
        due_at: register.due_at(id, entry),
        lifted_at: register.lifted_at(id),
        paid_at: register.payment(id).map(|payment| payment.body.paid_at),
        deleted: register.carried_out(id).map(|certificate| {
            (certificate.id.clone(), certificate.body.grants.map(|grants| grants.to_string()).unwrap_or_default())
        }),
        blocks: entry.body.blocks.iter().filter_map(name).collect(),
        entry: entry.clone(),
    }
}

fn target(register: &Register, page: &Page, target: &Target) -> Link {
    let found = match target {
        Target::Agency(id) => register.agencies.contains_key(id).then(|| Link::agency(register, page, id)),
        Target::Agreement(id) => register
            .agreements
            .get(id)
            .map(|entry| Link { to: format!("/register/agreements/{id}"), words: page.text(&entry.body.title).to_owned() }),
        Target::Contract(id) => register.contracts.get(id).map(|entry| Link {
            to: format!("/register/contracts/{id}"),
            words: Link::agency(register, page, &entry.body.vendor).words,
        }),
        Target::Mandate(id) => register.mandates.get(id).map(|entry| Link::mandate(page, entry)),
        Target::Service(id) => register.services.get(id).map(|entry| Link::service(page, entry)),
    };
    found.unwrap_or_else(|| Link { to: "/register".to_owned(), words: target.to_string() })
}
