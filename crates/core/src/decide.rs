//! The decision: may this data be used now, and which clauses say so.

mod conversion;
mod deposit;

use crate::Time;
use crate::agency::AgencyKind;
use crate::contract::Contract;
use crate::event::Form;
use crate::grant::{Grant, GrantKind, GrantState};
use crate::id::{BlockId, ContractId, MandateId, ServiceId};
use crate::lifecycle::State;
use crate::mandate::{Basis, Fetch, Mandate, MandateKind, Operation, Recipient};
use crate::means::{AskedSignIn, SignIn};
use crate::register::{Entry, Register};
use crate::service::Service;

pub use conversion::{ConversionRequest, decide_conversion, decide_conversion_without_resident};
pub use deposit::{decide_deposit, decide_deposit_without_resident};

/// What a service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub service: ServiceId,
    pub mandate: MandateId,
    pub blocks: Vec<(BlockId, Form)>,
    /// One of the mandate's reason codes.
    pub reason: String,
    /// How many residents the request names.
    pub subjects: i64,
    /// The sign-in behind the token that she gave the service; `None` where the service asks with its own.
    pub sign_in: Option<SignIn>,
    /// Whether the matter concerns somebody else, so that it is closed to her for a time.
    pub third_party: bool,
    /// How far back it asks, where it asks for what was before now.
    pub since: Option<Time>,
    /// Whether the official gave a reason in writing beside its code.
    pub written_reason: bool,
}

/// Permit or refuse, with the clauses that determined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    /// For a permit every clause that held; for a refusal every clause that did not.
    pub because: Vec<Clause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Permit,
    Refuse,
}

/// A rule of design.md section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clause {
    /// An agreement in force lets the bodies of both services join what they know, and the other one have the block.
    Agreement,
    /// Where the use rests on consent: she authorized the service for it, and the service has not given that back.
    Authorization,
    /// Every block is one the mandate names.
    BlocksInMandate,
    /// Every block is one the resident agreed to.
    BlocksChosen,
    /// The official does not decide far more often than before, or oversight has looked at it.
    Brake,
    /// The request names no more people than the mandate allows.
    BulkLimit,
    /// Each of the eight conditions is met or waived.
    Condition,
    /// What people said of an emergency is summed up, or they can still say it.
    Consultation,
    /// A vendor has an active contract that covers the mandate.
    Contract,
    /// The mandate names the conversion from the one service to the other.
    Conversion,
    /// What is asked for is of the time that the mandate reaches.
    DataRange,
    /// Data may be fetched at this time and this often.
    Fetch,
    /// No block leaves in a richer form than allowed.
    Form,
    /// The resident's grant is there and valid.
    Grant,
    /// The mandate exists and is active.
    Mandate,
    /// The notice was published before the grant.
    Notice,
    /// The mandate names what the request does: to take or give out data, to deposit, to match.
    Operation,
    /// No order of an oversight body stands against it.
    Order,
    /// Within the rate cap.
    RateCap,
    /// The reason is one of the mandate's.
    Reason,
    /// The receiving agency is named in the mandate.
    Recipient,
    /// The resident's pass is active.
    Resident,
    /// The service is active and registered under the mandate.
    Service,
    /// She signed in as surely and as lately as is asked.
    SignIn,
    /// The mandate's first day has come.
    Start,
    /// The mandate's last day has not passed.
    Sunset,
    /// Nothing suspends the mandate or the grant.
    Suspension,
    /// The mandate lets a matter be closed to her, where the request asks for that.
    ThirdParty,
    /// Where the law asks for it: the use has a reason in writing.
    WrittenReason,
}

/// What a request about blocks does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Deposit,
    Use,
}

/// Decides a request about one resident. `grant` is what the store holds for her under the mandate.
pub fn decide(register: &Register, request: &Request, grant: Option<&Grant>, now: Time) -> Decision {
    weigh(register, request, grant, Doing::Use, now).decision()
}

fn weigh(register: &Register, request: &Request, grant: Option<&Grant>, doing: Doing, now: Time) -> Sheet {
    let grant = grant.filter(|grant| grant.was_given());
    let mut sheet = Sheet { held: Vec::with_capacity(25), broken: Vec::new() };
    let mandate = register.mandates.get(&request.mandate);
    let service = register.services.get(&request.service);
    let Some((mandate, service)) = mandate.zip(service) else {
        sheet.rule(Clause::Mandate, mandate.is_some());
        sheet.rule(Clause::Service, service.is_some());
        return sheet;
    };
    in_force(mandate, &[service], grant, now, &mut sheet);
    ordered(register, &request.blocks, mandate, &[service], now, &mut sheet);
    receiving(register, &request.blocks, mandate, service, now, &mut sheet);
    sheet.rule(Clause::Reason, mandate.body.reason(&request.reason).is_some());
    sheet.rule(Clause::ThirdParty, !request.third_party || mandate.body.third_party.is_some());
    sheet.rule(Clause::BulkLimit, (1..=mandate.body.bulk_limit).contains(&request.subjects));
    asked(register, request, &mandate.body, &mut sheet);
    let (body, controller) = (register.principal(service, mandate), &mandate.body.controller);
    let does: &[Operation] = match doing {
        Doing::Deposit => &[Operation::Deposit],
        // What a body takes for itself it collects; what another one gets is given out to it.
        Doing::Use if body == controller => &[Operation::Collect, Operation::Disclose],
        Doing::Use => &[Operation::Disclose],
    };
    sheet.rule(Clause::Operation, mandate.body.does(does));
    if doing == Doing::Use {
        // Whose people are joined with those of the controller asks about them no further than the two agreed in public.
        if body != controller && register.is_joined(service, body, mandate) {
            let mut asked = request.blocks.iter();
            sheet.rule(Clause::Agreement, asked.all(|(block, _)| register.hands_over(controller, body, mandate, block, now)));
        }
        // A block holds what is true now, but for what was deposited.
        let reaches = |of| mandate.body.reaches(of, now);
        sheet.rule(Clause::DataRange, (mandate.body.lets_deposit() || reaches(now)) && request.since.is_none_or(reaches));
        sheet.rule(Clause::WrittenReason, request.written_reason || !register.asks_written_reason(mandate, now));
    }
    granted(register, &request.blocks, mandate, grant, now, &mut sheet);
    let wanted = mandate.body.asked_for(&request.blocks).and(service.body.asked_sign_in());
    signed_in(wanted, request.sign_in, grant, now, &mut sheet);
    sheet
}

/// What a decision before any resident is known can say: everything but the grant. Used by the dry run and by batches to
/// refuse a whole request early.
pub fn decide_without_resident(register: &Register, request: &Request, now: Time) -> Decision {
    let sheet = weigh(register, request, None, Doing::Use, now);
    without_resident(register, &request.mandate, sheet, now)
}

fn without_resident(register: &Register, mandate: &MandateId, mut sheet: Sheet, now: Time) -> Decision {
    // Whether data was fetched already depends on the resident; whether the day has come does not.
    let fetch = register.mandates.get(mandate).map(|mandate| mandate.body.fetch);
    let too_early = matches!(fetch, Some(Fetch::OnceAfter { after }) if now < after);
    sheet.broken.retain(|clause| match clause {
        Clause::Grant | Clause::Notice | Clause::BlocksChosen | Clause::Resident | Clause::SignIn => false,
        Clause::Fetch => too_early,
        _ => true,
    });
    sheet.decision()
}

/// The mandate and the services that take part are in force.
fn in_force(mandate: &Entry<Mandate>, services: &[&Entry<Service>], grant: Option<&Grant>, now: Time, sheet: &mut Sheet) {
    let waivers_run = mandate.body.eight_conditions.as_ref().is_none_or(|eight| eight.are_kept(now));
    sheet.rule(Clause::Condition, waivers_run);
    sheet.rule(Clause::Consultation, mandate.body.summary_due().is_none_or(|due| now < due));
    let is_suspended = mandate.state == State::Suspended || services.iter().any(|service| service.state == State::Suspended);
    sheet.rule(Clause::Mandate, matches!(mandate.state, State::Active | State::Suspended));
    sheet.rule(Clause::Suspension, !is_suspended && !is_paused(grant) && !grant.is_some_and(|grant| grant.rests));
    sheet.rule(Clause::Start, mandate.body.starts_at <= now);
    sheet.rule(Clause::Sunset, now < mandate.body.sunset_at);
    let works = |service: &&Entry<Service>| {
        matches!(service.state, State::Active | State::Suspended)
            && service.body.mandates.iter().any(|id| id.as_str() == mandate.id)
    };
    sheet.rule(Clause::Service, services.iter().all(works));
}

/// No standing order withholds the blocks: about the mandate, about a service that takes part, or about a vendor's contract.
fn ordered(
    register: &Register,
    blocks: &[(BlockId, Form)],
    mandate: &Entry<Mandate>,
    services: &[&Entry<Service>],
    now: Time,
    sheet: &mut Sheet,
) {
    let contracts = services.iter().filter_map(|service| {
        let recipient = mandate.body.recipients.iter().find(|recipient| recipient.agency == service.body.agency)?;
        recipient.contract.as_ref().map(ContractId::as_str)
    });
    let targets = services.iter().map(|service| service.id.as_str()).chain(contracts).chain([mandate.id.as_str()]);
    let asked = blocks.iter().map(|(block, _)| block);
    let permit = targets.into_iter().all(|target| register.orders_permit(target, asked.clone(), now));
    sheet.rule(Clause::Order, permit && !register.awaits_deletion(&mandate.id, now));
}

fn receiving(
    register: &Register,
    blocks: &[(BlockId, Form)],
    mandate: &Entry<Mandate>,
    service: &Entry<Service>,
    now: Time,
    sheet: &mut Sheet,
) {
    let recipient = mandate.body.recipients.iter().find(|recipient| recipient.agency == service.body.agency);
    let is_emergency = mandate.body.kind == MandateKind::Emergency;
    let has_part = |recipient: &Recipient| is_emergency && register.is_security_body(&recipient.agency);
    sheet.rule(Clause::Recipient, recipient.is_some_and(|recipient| !has_part(recipient)));
    let Some(recipient) = recipient else { return };
    let is_vendor = register.agencies.get(&recipient.agency).is_none_or(|agency| agency.body.kind == AgencyKind::Vendor);
    if !is_vendor {
        return;
    }
    let contract = recipient.contract.as_ref().and_then(|id| register.contracts.get(id));
    let is_kept_out = |contract: &Contract| contract.subprocessors.iter().all(|sub| !register.is_security_body(&sub.agency));
    sheet.rule(
        Clause::Contract,
        contract.is_some_and(|contract| {
            register.contract_covers(contract, &recipient.agency, mandate, now) && (!is_emergency || is_kept_out(&contract.body))
        }),
    );
    // Vendors hold tokens, not people: a value leaves to a vendor only where the contract justifies it.
    let tokens_only = |contract: &Contract| {
        blocks.iter().all(|(block, form)| *form < Form::Value || contract.value_blocks.iter().any(|value| value.block == *block))
    };
    sheet.rule(Clause::Form, contract.is_none_or(|contract| tokens_only(&contract.body)));
}

fn asked(register: &Register, request: &Request, mandate: &Mandate, sheet: &mut Sheet) {
    let known = |block: &BlockId| mandate.asked(block).zip(register.blocks.get(block));
    sheet.rule(
        Clause::BlocksInMandate,
        !request.blocks.is_empty() && request.blocks.iter().all(|(block, _)| known(block).is_some()),
    );
    sheet.rule(
        Clause::Form,
        request.blocks.iter().all(|(block, form)| {
            known(block).is_none_or(|(asked, entry)| *form <= asked.form && entry.body.forms_allowed.contains(form))
        }),
    );
}

fn granted(
    register: &Register,
    blocks: &[(BlockId, Form)],
    mandate: &Entry<Mandate>,
    grant: Option<&Grant>,
    now: Time,
    sheet: &mut Sheet,
) {
    let notice = register.notice(mandate);
    let consent = mandate.body.legal_basis.code == Basis::Consent;
    let Some(grant) = grant else {
        sheet.rule(Clause::Grant, !consent);
        sheet.rule(Clause::Notice, notice.is_some());
        // Without a grant there is no counter, so only a date can be checked; one-time fetches need the counter.
        sheet.rule(
            Clause::Fetch,
            match mandate.body.fetch {
                Fetch::Once => consent,
                Fetch::OnceAfter { after } => consent && now >= after,
                Fetch::Periodic => true,
            },
        );
        return;
    };
    let stands = matches!(grant.state, GrantState::Given | GrantState::Paused)
        && register.still_holds(&grant.mandate_hash, mandate)
        && grant.given_at <= now
        && now < grant.valid_until
        && (!consent || grant.kind == GrantKind::Consent && !grant.declined);
    sheet.rule(Clause::Grant, stands);
    let is_deleted = register.is_deleted_by_order(&mandate.id, grant.given_at, now);
    sheet.rule(Clause::Order, grant.state == GrantState::Invalidated || !is_deleted);
    // Without a consent there is nothing that a service could be authorized for, so that is all there is to say.
    sheet.rule(Clause::Authorization, !consent || !stands || grant.authorized);
    // She was told before she agreed of what she agreed to, and there is a notice of what has become of it.
    let told = register.notices.get(&grant.mandate_hash);
    let told = if register.still_holds(&grant.mandate_hash, mandate) { told } else { notice };
    sheet.rule(Clause::Notice, notice.is_some() && told.is_some_and(|notice| notice.since <= grant.given_at));
    sheet.rule(Clause::Resident, grant.resident_active);
    sheet.rule(Clause::BlocksChosen, blocks.iter().all(|(block, _)| grant.blocks.contains(block)));
    sheet.rule(Clause::RateCap, window_uses(grant, &mandate.body, now) < mandate.body.rate_cap.uses);
    sheet.rule(
        Clause::Fetch,
        match mandate.body.fetch {
            Fetch::Once => grant.uses == 0,
            Fetch::OnceAfter { after } => grant.uses == 0 && now >= after,
            Fetch::Periodic => true,
        },
    );
}

/// Whether the sign-in that a use rests on is enough. That is the one behind the token that she gave the service; where the service asks with
/// its own token, the one in which she agreed. Where nobody had to sign in, because a law asks for the use, there is nothing to compare.
fn signed_in(wanted: AskedSignIn, sign_in: Option<SignIn>, grant: Option<&Grant>, now: Time, sheet: &mut Sheet) {
    let consent = grant.filter(|grant| grant.kind == GrantKind::Consent);
    let rests_on =
        sign_in.or_else(|| consent.map(|grant| SignIn { means: grant.means.unwrap_or(wanted.means), at: grant.given_at }));
    sheet.rule(Clause::SignIn, rests_on.is_none_or(|sign_in| wanted.is_met_by(sign_in, now)));
}

/// Uses in the rate window that is open at `now`.
pub fn window_uses(grant: &Grant, mandate: &Mandate, now: Time) -> i64 {
    if now.micros().saturating_sub(grant.window_start.micros()) >= mandate.rate_period() { 0 } else { grant.window_uses }
}

fn is_paused(grant: Option<&Grant>) -> bool {
    grant.is_some_and(|grant| grant.state == GrantState::Paused)
}

struct Sheet {
    held: Vec<Clause>,
    broken: Vec<Clause>,
}

impl Sheet {
    fn rule(&mut self, clause: Clause, holds: bool) {
        let list = if holds { &mut self.held } else { &mut self.broken };
        if !list.contains(&clause) {
            list.push(clause);
        }
    }

    fn decision(self) -> Decision {
        if self.broken.is_empty() {
            Decision { outcome: Outcome::Permit, because: self.held }
        } else {
            Decision { outcome: Outcome::Refuse, because: self.broken }
        }
    }
}

impl Clause {
    /// Every clause, in the order of their codes.
    pub const ALL: [Self; 29] = [
        Self::Agreement,
        Self::Authorization,
        Self::BlocksChosen,
        Self::BlocksInMandate,
        Self::Brake,
        Self::BulkLimit,
        Self::Condition,
        Self::Consultation,
        Self::Contract,
        Self::Conversion,
        Self::DataRange,
        Self::Fetch,
        Self::Form,
        Self::Grant,
        Self::Mandate,
        Self::Notice,
        Self::Operation,
        Self::Order,
        Self::RateCap,
        Self::Reason,
        Self::Recipient,
        Self::Resident,
        Self::Service,
        Self::SignIn,
        Self::Start,
        Self::Sunset,
        Self::Suspension,
        Self::ThirdParty,
        Self::WrittenReason,
    ];

    /// Stable code, as it stands in events and problem documents.
    pub fn code(self) -> &'static str {
        self.words().0
    }

    /// What went wrong when this clause refuses: one sentence.
    pub fn what(self) -> &'static str {
        self.words().1
    }

    /// What would make it lawful: one sentence.
    pub fn remedy(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Agreement => (
                "agreement",
                "No sharing agreement in force lets the two bodies join people's pseudonyms, or the one have this block of the other.",
                "Publish an agreement that names both bodies, this mandate and the transfer or the block, and wait until it is in force.",
            ),
            Self::Authorization => (
                "authorization",
                "The resident has not authorized this service for the mandate, or the service gave that back.",
                "Send the resident to sign in, with the mandate in the scope.",
            ),
            Self::BlocksChosen => {
                ("blocks-chosen", "The resident did not agree to one of the blocks.", "Ask only for blocks she chose.")
            }
            Self::BlocksInMandate => {
                ("blocks-in-mandate", "A block is not in the mandate.", "Ask only for blocks the mandate names, at least one.")
            }
            Self::Brake => (
                "brake",
                "This official decides far more often than ever before, or far more is written without an official, so the brake has stopped it.",
                "Ask the oversight body of the mandate to look at it; only that body can release the brake.",
            ),
            Self::BulkLimit => (
                "bulk-limit",
                "The request names more people than the mandate allows.",
                "Split the request or publish a mandate with a higher limit.",
            ),
            Self::Condition => (
                "condition",
                "One of the eight conditions of the mandate is no longer waived.",
                "Publish a revision that meets it, or one that the oversight body waives anew.",
            ),
            Self::Consultation => (
                "consultation",
                "The time to comment on this emergency is over, and nobody has summed up what people said.",
                "Publish a revision of the mandate with the summary of the comments.",
            ),
            Self::Contract => (
                "contract",
                "There is no active contract between the agency and the vendor for this mandate.",
                "Sign and activate the contract first.",
            ),
            Self::Conversion => (
                "conversion",
                "The mandate does not turn the pseudonyms of the one service into those of the other.",
                "Name a mandate with this conversion, or publish one.",
            ),
            Self::DataRange => (
                "data-range",
                "The request reaches further back, or later, than the mandate does.",
                "Ask within the `data_range` of the mandate.",
            ),
            Self::Fetch => (
                "fetch",
                "The data may not be fetched now, or was fetched already.",
                "See the mandate's `fetch`: once, once after a date, or periodic.",
            ),
            Self::Form => (
                "form",
                "A block is asked for in a richer form than allowed.",
                "Ask for a token or a predicate, or show the justification in the contract.",
            ),
            Self::Grant => (
                "grant",
                "There is no valid permission of the resident for this mandate.",
                "Send the resident to sign in and agree.",
            ),
            Self::Mandate => {
                ("mandate", "The mandate does not exist or is not active.", "Name an active mandate of the public register.")
            }
            Self::Notice => (
                "notice",
                "No notice was published before the permission was given.",
                "Publish the notice and ask the resident again.",
            ),
            Self::Operation => (
                "operation",
                "The mandate does not name what the request does with the data.",
                "Name a mandate with the operation: `collect` or `disclose` to get data, `deposit` to put it in, `match` to join pseudonyms.",
            ),
            Self::Order => (
                "order",
                "An order of the oversight body stands against this use.",
                "Read the order in the public register; only the body that gave it can lift it.",
            ),
            Self::RateCap => {
                ("rate-cap", "The data was used as often as the mandate allows in this period.", "Wait for the next period.")
            }
            Self::Reason => ("reason", "The reason is not one of the mandate's.", "Give one of the reason codes in the mandate."),
            Self::Recipient => (
                "recipient",
                "The receiving body is not named in the mandate.",
                "Publish a revision that names it; residents will be told.",
            ),
            Self::Resident => ("resident", "The resident has deactivated the pass.", "Serve the resident in another way."),
            Self::Service => (
                "service",
                "The service is not active, or not registered under this mandate.",
                "Register the service under the mandate.",
            ),
            Self::SignIn => (
                "sign-in",
                "The resident did not sign in as surely or as lately as this use asks for.",
                "Send her to sign in again, with the `acr_values` and `max_age` of the answer, and ask with her token.",
            ),
            Self::Start => ("start", "The mandate has not begun.", "Wait for its first day."),
            Self::Sunset => ("sunset", "The mandate has ended.", "Publish a new mandate and ask again; the old keys are gone."),
            Self::Suspension => (
                "suspension",
                "The mandate, the service or this permission is suspended.",
                "Wait until the suspension is lifted.",
            ),
            Self::ThirdParty => (
                "third-party",
                "The mandate does not let a matter be closed to the resident.",
                "Ask without `third_party`, so that she reads the reason at once, or name a mandate that has it.",
            ),
            Self::WrittenReason => (
                "written-reason",
                "The mandate rests on an exception of the law that asks for a written reason for each use, and none was given.",
                "Say in `written_reason` why this use is needed.",
            ),
        }
    }
}
