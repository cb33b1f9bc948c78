//! The decision against an oracle that was written from the prose of the design and reads only the test's own model.

#[path = "../common/mod.rs"]
mod common;
mod more;

use std::collections::BTreeSet;

use common::{City, contract_body, day, founded, library_card, notice_body, service_body, text};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use usufruct_core::decide::{
    Clause, Decision, Outcome, Request, decide, decide_deposit, decide_deposit_without_resident, decide_without_resident,
};
use usufruct_core::event::Form;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Operation;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};

const MANDATE: &str = "mdt_library-card";
const FORMS: [Form; 3] = [Form::Token, Form::Predicate, Form::Value];
const BASES: [&str; 4] = ["consent", "public_task", "legal_obligation", "vital_interest"];
/// The blocks of the city, the richest form a mandate may ask for, and the forms in which each may leave.
const BLOCKS: [(&str, Form, &[Form]); 4] = [
    ("blk_name", Form::Value, &[Form::Token, Form::Predicate, Form::Value]),
    ("blk_age", Form::Predicate, &[Form::Token, Form::Predicate]),
    ("blk_address", Form::Value, &[Form::Token, Form::Value]),
    ("blk_illness", Form::Token, &[Form::Token]),
];
const SERVICES: [(&str, &str); 3] = [("svc_library", "agc_library"), ("svc_parks", "agc_parks"), ("svc_cloud", "agc_cloud")];
const VENDOR: usize = 2;

// The model: what a test knows about a city without asking the register

#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Active,
    Approved,
    Consulted,
    Draft,
    Erased,
    Published,
    Reactivated,
    RevisedActive,
    RevisedDraft,
    Revoked,
    Sunset,
    Suspended,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Once,
    OnceAfter(i64),
    Periodic,
}

#[derive(Clone, Debug)]
struct ContractModel {
    path: usize,
    own_controller: bool,
    covers: bool,
    from: i64,
    until: i64,
    values: Vec<bool>,
}

#[derive(Clone, Debug)]
struct Model {
    basis: usize,
    asked: Vec<Option<Form>>,
    when: When,
    cap: i64,
    per_days: i64,
    bulk: i64,
    /// Whether a matter may be closed to her.
    closes: bool,
    receives: [bool; 3],
    starts: i64,
    sunset: i64,
    notice: i64,
    path: Path,
    /// For each service: how far it came (0 draft, 1 active, 2 suspended, 3 active again, 4 closed), and whether it lists the mandate.
    services: [(usize, bool); 3],
    contract: Option<ContractModel>,
}

impl Model {
    fn active(&self) -> bool {
        matches!(self.path, Path::Active | Path::Reactivated | Path::RevisedActive)
    }

    /// The day on which the notice of the present revision was published.
    fn notice_day(&self) -> Option<i64> {
        match self.path {
            Path::Draft | Path::Consulted | Path::Approved | Path::RevisedDraft => None,
            Path::RevisedActive => Some(38),
            _ => Some(self.notice),
        }
    }

    fn may_leave(&self, block: usize, form: Form) -> bool {
        self.asked[block].is_some_and(|asked| form <= asked) && BLOCKS[block].2.contains(&form)
    }

    fn justified(&self, block: usize) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.values[block])
    }

    fn mandate_body(&self) -> Value {
        let mut body = library_card();
        body["legal_basis"]["code"] = json!(BASES[self.basis]);
        let blocks = self.asked.iter().zip(BLOCKS).filter_map(|(form, (block, _, _))| {
            Some(json!({"block": block, "necessity": "optional", "form": (*form)?.code(), "reason": text("It is needed.")}))
        });
        body["blocks"] = blocks.collect();
        body["exception"] = json!({"code": "house", "written_reason": text("It is needed.")});
        body["fetch"] = match self.when {
            When::Once => json!({"when": "once"}),
            When::OnceAfter(after) => json!({"when": "once_after", "after": day(after).to_string()}),
            When::Periodic => json!({"when": "periodic"}),
        };
        body["rate_cap"] = json!({"uses": self.cap, "per": format!("P{}D", self.per_days)});
        body["bulk_limit"] = json!(self.bulk);
        if self.closes {
            body["third_party"] = json!({"max_days": 30});
        }
        let recipients = SERVICES.iter().enumerate().filter(|(i, _)| self.receives[*i]).map(|(i, (_, agency))| {
            let mut recipient = json!({"agency": agency, "why": text("It needs the data.")});
            if i == VENDOR {
                recipient["contract"] = json!("ctr_cloud");
            }
            recipient
        });
        body["recipients"] = recipients.collect();
        body["starts_at"] = json!(day(self.starts).to_string());
        body["sunset_at"] = json!(day(self.sunset).to_string());
        body
    }

    /// Writes the city, statement by statement. The answer also has the hash of the first revision.
    fn city(&self) -> (City, Digest) {
        let mut city = founded();
        city.now = day(1);
        for (i, (service, agency)) in SERVICES.into_iter().enumerate() {
            let (path, listed) = self.services[i];
            let mandates: &[&str] = if listed { &[MANDATE] } else { &[] };
            city.say(StatementKind::Service, service, agency, service_body(agency, service, &[]));
            // Put there by hand: who decides relies on nothing that was checked when a service became active.
            let entry = city.register.services.get_mut(&service.parse().unwrap()).unwrap();
            entry.body.mandates = mandates.iter().map(|mandate| mandate.parse().unwrap()).collect();
            entry.state = match path {
                0 => State::Draft,
                1 | 3 => State::Active,
                2 => State::Suspended,
                _ => State::Closed,
            };
        }
        if let Some(contract) = &self.contract {
            let controller = if contract.own_controller { "agc_library" } else { "agc_parks" };
            let mut body = contract_body();
            body["controller"] = json!(controller);
            body["mandates"] = json!([if contract.covers { MANDATE } else { "mdt_other" }]);
            body["from"] = json!(day(contract.from).to_string());
            body["until"] = json!(day(contract.until).to_string());
            // Far ahead: tests/contracts.rs is about checks that are late and evidence that has ended.
            body["next_check_due"] = json!(day(contract.from + 3_650).to_string());
            body["capability_evidence"][0]["expires"] = json!(day(contract.from + 3_650).to_string());
            let values = BLOCKS.iter().zip(&contract.values).filter(|(_, value)| **value);
            body["value_blocks"] = values.map(|((block, _, _), _)| json!({"block": block, "why": text("Needed.")})).collect();
            city.say(StatementKind::Contract, "ctr_cloud", controller, body);
            let all = [State::CheckedAgency, State::CheckedCity, State::Signed, State::Active];
            let (walked, then): (usize, &[State]) = match contract.path {
                0 => (0, &[]),
                1 => (3, &[]),
                2 => (4, &[]),
                3 => (4, &[State::Suspended]),
                _ => (4, &[State::Ending]),
            };
            city.steps("ctr_cloud", &all[..walked]);
            city.steps("ctr_cloud", then);
        }
        let first = self.mandate(&mut city);
        (city, first)
    }

    fn mandate(&self, city: &mut City) -> Digest {
        city.say(StatementKind::Mandate, MANDATE, "agc_library", self.mandate_body());
        let (first, _) = city.state(MANDATE).unwrap();
        if self.path == Path::Draft {
            return first;
        }
        city.now = day(24);
        city.step(MANDATE, State::Consulted);
        if self.path == Path::Consulted {
            return first;
        }
        city.step(MANDATE, State::Approved);
        if self.path == Path::Approved {
            return first;
        }
        city.now = day(self.notice);
        city.say(StatementKind::Notice, "ntc_one", "agc_library", notice_body(MANDATE, first));
        city.step(MANDATE, State::Published);
        if self.path == Path::Published {
            return first;
        }
        city.step(MANDATE, State::Active);
        city.now = day(36);
        match self.path {
            Path::Suspended => city.step(MANDATE, State::Suspended),
            Path::Reactivated => city.steps(MANDATE, &[State::Suspended, State::Active]),
            Path::Revoked => city.step(MANDATE, State::Revoked),
            Path::RevisedDraft => city.say(StatementKind::Mandate, MANDATE, "agc_library", self.mandate_body()),
            Path::RevisedActive => {
                city.say(StatementKind::Mandate, MANDATE, "agc_library", self.mandate_body());
                let (second, _) = city.state(MANDATE).unwrap();
                city.steps(MANDATE, &[State::Consulted, State::Approved]);
                city.now = day(38);
                city.say(StatementKind::Notice, "ntc_two", "agc_library", notice_body(MANDATE, second));
                city.steps(MANDATE, &[State::Published, State::Active]);
            }
            Path::Sunset | Path::Erased => {
                if self.path == Path::Erased {
                    city.say_key(MANDATE, common::commitment_of(MANDATE));
                }
                city.now = day(self.sunset);
                city.step(MANDATE, State::Sunset);
                if self.path == Path::Erased {
                    city.step(MANDATE, State::Erasing);
                    let certificate = common::certificate_body(MANDATE, city.now);
                    city.say(StatementKind::Certificate, "crt_one", "agc_operator", certificate);
                    city.step(MANDATE, State::Erased);
                }
            }
            _ => {}
        }
        first
    }
}

// The oracle: the prose of the design, one paragraph for each clause

/// The clauses that `request` breaks, after design.md section 5. `present` is the hash of the mandate's present revision.
fn broken(model: &Model, present: Digest, request: &Request, grant: Option<&Grant>, now: Time) -> BTreeSet<Clause> {
    let mut broken = BTreeSet::new();
    let service = SERVICES.iter().position(|(service, _)| *service == request.service.as_str());
    let known = request.mandate.as_str() == MANDATE;
    let (Some(service), true) = (service, known) else {
        if !known {
            broken.insert(Clause::Mandate);
        }
        if service.is_none() {
            broken.insert(Clause::Service);
        }
        return broken;
    };
    let mut must = |clause, holds: bool| {
        if !holds {
            broken.insert(clause);
        }
    };
    // Mandate revision active and not past sunset. A suspension is named as such.
    must(Clause::Mandate, model.active() || model.path == Path::Suspended);
    must(Clause::Start, now >= day(model.starts));
    must(Clause::Sunset, now < day(model.sunset));
    // Nothing suspends it.
    let (progress, listed) = model.services[service];
    let paused = grant.is_some_and(|grant| grant.state == GrantState::Paused);
    must(Clause::Suspension, model.path != Path::Suspended && progress != 2 && !paused);
    must(Clause::Service, matches!(progress, 1..=3) && listed);
    // Recipient named in the mandate; an active contract when a vendor is involved; values to vendors only with a reason.
    must(Clause::Recipient, model.receives[service]);
    if service == VENDOR && model.receives[VENDOR] {
        let contract = model.contract.as_ref();
        must(
            Clause::Contract,
            contract.is_some_and(|contract| {
                contract.path == 2
                    && contract.own_controller
                    && contract.covers
                    && now >= day(contract.from)
                    && now < day(contract.until)
            }),
        );
        let values = request.blocks.iter().filter(|(_, form)| *form == Form::Value);
        for (block, _) in values {
            let justified = BLOCKS.iter().position(|known| known.0 == block.as_str()).is_some_and(|i| model.justified(i));
            must(Clause::Form, contract.is_none() || justified);
        }
    }
    // Every block in the mandate, in a form no richer than allowed.
    must(Clause::BlocksInMandate, !request.blocks.is_empty());
    for (block, form) in &request.blocks {
        match BLOCKS.iter().position(|known| known.0 == block.as_str()).filter(|i| model.asked[*i].is_some()) {
            Some(i) => must(Clause::Form, model.may_leave(i, *form)),
            None => must(Clause::BlocksInMandate, false),
        }
    }
    must(Clause::Reason, ["new-card", "reminder"].contains(&request.reason.as_str()));
    must(Clause::ThirdParty, !request.third_party || model.closes);
    must(Clause::BulkLimit, request.subjects >= 1 && request.subjects <= model.bulk);
    // Grant valid, or a non-consent basis; notice published before the grant; rate cap; fetch mode.
    let consent = BASES[model.basis] == "consent";
    let day_has_come = match model.when {
        When::OnceAfter(after) => now >= day(after),
        _ => true,
    };
    let once = model.when != When::Periodic;
    match grant {
        None => {
            must(Clause::Grant, !consent);
            must(Clause::Notice, model.notice_day().is_some());
            // Without a grant nobody can show that the one fetch has not happened yet.
            must(Clause::Fetch, day_has_come && (consent || !once));
        }
        Some(grant) => {
            let stands = grant.state == GrantState::Given || grant.state == GrantState::Paused;
            let in_time = grant.given_at <= now && now < grant.valid_until;
            let agreed = !consent || grant.kind == GrantKind::Consent;
            must(Clause::Grant, stands && in_time && agreed && grant.mandate_hash == present);
            must(Clause::Notice, model.notice_day().is_some_and(|notice| day(notice) <= grant.given_at));
            let is_valid = stands && in_time && agreed && grant.mandate_hash == present;
            must(Clause::Authorization, !(consent && is_valid) || grant.authorized);
            must(Clause::Resident, grant.resident_active);
            for (block, _) in &request.blocks {
                must(Clause::BlocksChosen, grant.blocks.contains(block));
            }
            let window_is_open = now < grant.window_start.plus(model.per_days * DAY);
            must(Clause::RateCap, !window_is_open || grant.window_uses < model.cap);
            must(Clause::Fetch, day_has_come && (!once || grant.uses == 0));
        }
    }
    broken
}

// Random cities and random requests

fn forms() -> impl Strategy<Value = Form> {
    (0usize..3).prop_map(|form| FORMS[form])
}

fn paths() -> impl Strategy<Value = Path> {
    use Path::*;
    let rest = [Approved, Consulted, Draft, Erased, Published, RevisedDraft, Revoked, Sunset, Suspended];
    prop_oneof![6 => Just(Active), 2 => Just(Reactivated), 2 => Just(RevisedActive), 3 => prop::sample::select(rest.to_vec())]
}

fn contracts() -> impl Strategy<Value = ContractModel> {
    let path = prop_oneof![5 => Just(2usize), 1 => 0usize..5];
    let flag = || prop::bool::weighted(0.9);
    (path, flag(), flag(), 0i64..45, 46i64..500, prop::collection::vec(any::<bool>(), 4)).prop_map(
        |(path, own_controller, covers, from, until, values)| ContractModel { path, own_controller, covers, from, until, values },
    )
}

prop_compose! {
    fn models()(
        basis in prop_oneof![2 => Just(0usize), 1 => 1usize..4],
        asked in prop::collection::vec(prop::option::weighted(0.75, forms()), 4),
        when in prop_oneof![3 => Just(When::Periodic), 1 => Just(When::Once), 1 => (20i64..90).prop_map(When::OnceAfter)],
        cap in 1i64..5, per_days in prop::sample::select(vec![1i64, 7, 30]), bulk in prop::sample::select(vec![1i64, 3, 50]), closes in any::<bool>(),
        receives in prop::array::uniform3(prop::bool::weighted(0.75)),
        starts in 30i64..60, length in 10i64..300, notice in 24i64..35, path in paths(),
        services in prop::array::uniform3((prop_oneof![6 => Just(1usize), 2 => 0usize..5], prop::bool::weighted(0.9))),
        contract in prop::option::weighted(0.85, contracts()),
    ) -> Model {
        let mut asked: Vec<_> = asked.into_iter().zip(BLOCKS).map(|(form, (_, most, _))| form.map(|form| form.min(most))).collect();
        if asked.iter().all(Option::is_none) {
            asked[0] = Some(Form::Predicate);
        }
        let mut receives = receives;
        if receives == [false; 3] {
            receives[0] = true;
        }
        let sunset = starts + length;
        Model { basis, asked, when, cap, per_days, bulk, closes, receives, starts, sunset, notice, path, services, contract }
    }
}

/// One way in which a request or grant differs from a lawful one.
#[derive(Clone, Copy, Debug)]
enum Twist {
    AnyForm,
    AtStart,
    AtSunset,
    BlockNotChosen,
    ClosedMatter,
    ExpiredGrant,
    ForeignBlock,
    FutureGrant,
    GrantBeforeNotice,
    InState(GrantState),
    InactiveResident,
    JustBeforeStart,
    LongAfter,
    LongBefore,
    NoBlocks,
    NoGrant,
    NotAuthorized,
    Notified,
    OtherService,
    OtherRevision,
    RicherForm,
    TooMany,
    UnknownMandate,
    UnknownReason,
    UnknownService,
    UsedBefore,
    Window { uses: i64, age_days: i64 },
    ZeroSubjects,
}

fn twists() -> impl Strategy<Value = Twist> {
    use Twist::*;
    let plain = [
        AnyForm,
        AtStart,
        AtSunset,
        BlockNotChosen,
        ClosedMatter,
        ExpiredGrant,
        ForeignBlock,
        FutureGrant,
        GrantBeforeNotice,
        InactiveResident,
        JustBeforeStart,
        LongAfter,
        LongBefore,
        NoBlocks,
        NoGrant,
        NotAuthorized,
        Notified,
        OtherService,
        OtherRevision,
        RicherForm,
        TooMany,
        UnknownMandate,
        UnknownReason,
        UnknownService,
        UsedBefore,
        ZeroSubjects,
    ];
    let states = [GrantState::Invalidated, GrantState::Paused, GrantState::Sunset, GrantState::Terminated, GrantState::Withdrawn];
    prop_oneof![
        20 => prop::sample::select(plain.to_vec()),
        2 => prop::sample::select(states.to_vec()).prop_map(InState),
        3 => (0i64..6, prop::sample::select(vec![-3i64, 0, 1, 7, 29, 30, 31])).prop_map(|(uses, age_days)| Window { uses, age_days }),
    ]
}

/// Randomness for one request: where in time, which service, which blocks in which forms, and what is wrong with it.
#[derive(Clone, Debug)]
struct Ask {
    at: f64,
    service: Index,
    pick: [bool; 4],
    forms: [Index; 4],
    twists: Vec<Twist>,
}

prop_compose! {
    fn asks()(at in 0.0f64..1.0, service in any::<Index>(), pick in prop::array::uniform4(any::<bool>()),
        forms in prop::array::uniform4(any::<Index>()),
        twists in prop_oneof![3 => prop::collection::vec(twists(), 0..=1), 1 => prop::collection::vec(twists(), 2..5)]) -> Ask {
        Ask { at, service, pick, forms, twists }
    }
}

/// A request that is as lawful as the city allows, with its grant and time; then twisted.
fn asking(model: &Model, present: Digest, ask: &Ask) -> (Request, Option<Grant>, Time) {
    let notice = model.notice_day().unwrap_or(model.notice);
    let after = if let When::OnceAfter(after) = model.when { after } else { 0 };
    let from = model.starts.max(notice).max(after).min(model.sunset);
    let mut now = day(from).plus(((model.sunset - from) as f64 * DAY as f64 * ask.at) as i64);

    let working = |i: &usize| model.receives[*i] && matches!(model.services[*i], (1 | 3, true));
    let able: Vec<_> = (0..3).filter(working).collect();
    let mut service = if able.is_empty() { ask.service.index(3) } else { able[ask.service.index(able.len())] };
    if ask.twists.iter().any(|twist| matches!(twist, Twist::OtherService)) {
        service = (service + 1) % 3;
    }
    let mut blocks = Vec::new();
    for i in 0..4 {
        let value_may_leave = service != VENDOR || model.justified(i);
        let lawful: Vec<_> =
            FORMS.into_iter().filter(|form| model.may_leave(i, *form) && (*form < Form::Value || value_may_leave)).collect();
        if !lawful.is_empty() && (ask.pick[i] || blocks.is_empty()) {
            blocks.push((BLOCKS[i].0.parse().unwrap(), lawful[ask.forms[i].index(lawful.len())]));
        }
    }
    let mut request = Request {
        service: SERVICES[service].0.parse().unwrap(),
        mandate: MANDATE.parse().unwrap(),
        blocks,
        reason: "reminder".into(),
        subjects: model.bulk,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    };
    let mut grant = Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: present,
        given_at: day(notice),
        valid_until: day(model.sunset),
        blocks: BLOCKS.iter().map(|(block, _, _)| block.parse().unwrap()).collect(),
        uses: 0,
        window_start: now,
        window_uses: model.cap - 1,
        means: None,
        resident_active: true,
        rests: false,
        declined: false,
        authorized: true,
    };
    let mut granted = true;
    for twist in &ask.twists {
        match *twist {
            Twist::AnyForm => request.blocks.iter_mut().for_each(|(_, form)| *form = FORMS[ask.forms[2].index(3)]),
            Twist::AtStart => now = day(model.starts),
            Twist::AtSunset => now = day(model.sunset),
            Twist::BlockNotChosen => grant.blocks.truncate(ask.forms[0].index(4)),
            Twist::ClosedMatter => request.third_party = true,
            Twist::ExpiredGrant => grant.valid_until = now,
            Twist::ForeignBlock => request.blocks.push((BLOCKS[ask.forms[1].index(4)].0.parse().unwrap(), Form::Token)),
            Twist::FutureGrant => grant.given_at = now.plus(1),
            Twist::GrantBeforeNotice => grant.given_at = day(notice).plus(-1),
            Twist::InState(state) => grant.state = state,
            Twist::InactiveResident => grant.resident_active = false,
            Twist::NotAuthorized => grant.authorized = false,
            Twist::JustBeforeStart => now = day(model.starts).plus(-1),
            Twist::LongAfter => now = day(model.sunset + 1 + (ask.at * 2_000.0) as i64),
            Twist::LongBefore => now = day((ask.at * 40.0) as i64),
            Twist::NoBlocks => request.blocks.clear(),
            Twist::NoGrant => granted = false,
            Twist::Notified => grant.kind = GrantKind::Notified,
            Twist::OtherService => {}
            Twist::OtherRevision => grant.mandate_hash = usufruct_core::hash::sha256(b"another revision"),
            Twist::RicherForm => request.blocks.iter_mut().for_each(|(_, form)| *form = Form::Value),
            Twist::TooMany => request.subjects = model.bulk + 1,
            Twist::UnknownMandate => request.mandate = "mdt_nowhere".parse().unwrap(),
            Twist::UnknownReason => request.reason = "curiosity".into(),
            Twist::UnknownService => request.service = "svc_nowhere".parse().unwrap(),
            Twist::UsedBefore => grant.uses = 1,
            Twist::Window { uses, age_days } => {
                grant.window_uses = uses;
                grant.window_start = now.plus(-age_days * DAY);
            }
            Twist::ZeroSubjects => request.subjects = 0,
        }
    }
    (request, granted.then_some(grant), now)
}

fn compare(decision: &Decision, expected: &BTreeSet<Clause>) -> Result<(), TestCaseError> {
    let because: BTreeSet<_> = decision.because.iter().copied().collect();
    prop_assert_eq!(because.len(), decision.because.len(), "a clause stands twice in {:?}", decision);
    prop_assert!(!because.is_empty(), "a decision without a clause");
    for clause in &because {
        prop_assert!(!clause.code().is_empty() && clause.what().ends_with('.') && clause.remedy().ends_with('.'));
    }
    match decision.outcome {
        Outcome::Permit => {
            prop_assert!(expected.is_empty(), "permitted although {:?} are broken", expected);
            prop_assert!(
                because.contains(&Clause::Mandate) && because.contains(&Clause::Sunset) && because.contains(&Clause::Form)
            );
        }
        Outcome::Refuse => prop_assert_eq!(&because, expected),
    }
    Ok(())
}

proptest! {
    #![proptest_config(common::cases(300))]

    #[test]
    fn decide_permits_exactly_what_the_design_permits(model in models(), asks in prop::collection::vec(asks(), 40)) {
        let (city, first) = model.city();
        let (present, _) = city.state(MANDATE).unwrap();
        for ask in &asks {
            let (request, grant, now) = asking(&model, present, ask);
            let expected = broken(&model, present, &request, grant.as_ref(), now);
            compare(&decide(&city.register, &request, grant.as_ref(), now), &expected)?;
            if present != first && let Some(grant) = grant {
                let old = Grant { mandate_hash: first, ..grant };
                let decision = decide(&city.register, &request, Some(&old), now);
                prop_assert_eq!(decision.outcome, Outcome::Refuse, "a grant for the first revision opened the second");
            }
        }
    }

    #[test]
    fn the_dry_run_permits_what_some_resident_could_allow(model in models(), asks in prop::collection::vec(asks(), 20)) {
        let (city, _) = model.city();
        let (present, _) = city.state(MANDATE).unwrap();
        for ask in &asks {
            let (request, _, now) = asking(&model, present, ask);
            let willing = Grant {
                kind: GrantKind::Consent, state: GrantState::Given, mandate_hash: present, given_at: now, valid_until: now.plus(1),
                blocks: request.blocks.iter().map(|(block, _)| block.clone()).collect(),
                uses: 0, window_start: now, window_uses: 0, means: None,
 resident_active: true,
 rests: false,
 declined: false,
 authorized: true,
            };
            let mut expected = broken(&model, present, &request, Some(&willing), now);
            expected.remove(&Clause::Notice);
            compare(&decide_without_resident(&city.register, &request, now), &expected)?;
        }
    }

    #[test]
    fn a_decision_does_not_depend_on_anything_else(model in models(), ask in asks()) {
        let (city, _) = model.city();
        let (present, _) = city.state(MANDATE).unwrap();
        let (request, grant, now) = asking(&model, present, &ask);
        let once = decide(&city.register, &request, grant.as_ref(), now);
        prop_assert_eq!(decide(&city.clone().register, &request, grant.as_ref(), now), once);
    }
}

/// The properties say little when almost nothing is permitted, or when some clause never breaks.
#[test]
fn the_generators_permit_often_and_break_every_clause() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut permitted, mut alone, mut total) = (0, BTreeSet::new(), 0);
    let (mut to_vendor, mut without_grant) = (0, 0);
    for _ in 0..700 {
        let model = models().new_tree(&mut runner).unwrap().current();
        let (city, _) = model.city();
        let (present, _) = city.state(MANDATE).unwrap();
        for ask in prop::collection::vec(asks(), 40).new_tree(&mut runner).unwrap().current() {
            let (request, grant, now) = asking(&model, present, &ask);
            total += 1;
            let decision = decide(&city.register, &request, grant.as_ref(), now);
            if decision.outcome == Outcome::Permit {
                permitted += 1;
                to_vendor += u32::from(request.service.as_str() == "svc_cloud");
                without_grant += u32::from(grant.is_none());
            } else if let [clause] = decision.because[..] {
                alone.insert(clause);
            }
        }
    }
    println!("{permitted} of {total} permitted, {to_vendor} to a vendor, {without_grant} without a grant");
    assert!(permitted * 5 > total, "only {permitted} of {total} permitted");
    assert!(permitted * 3 < total * 2, "{permitted} of {total} permitted");
    assert!(to_vendor > 50 && without_grant > 20, "{to_vendor} to a vendor, {without_grant} without a grant");
    use Clause::*;
    let every = BTreeSet::from([
        Authorization,
        BlocksInMandate,
        BlocksChosen,
        BulkLimit,
        Contract,
        Fetch,
        Form,
        Grant,
        Mandate,
        Notice,
        RateCap,
        Reason,
        Recipient,
        Resident,
        Service,
        Start,
        Sunset,
        Suspension,
        ThirdParty,
    ]);
    assert_eq!(alone, every, "clauses that never broke alone: {:?}", every.difference(&alone));
}

// One clause at a time, on one city whose base case is permitted

fn base() -> Model {
    Model {
        basis: 0,
        asked: vec![Some(Form::Value), Some(Form::Token), None, None],
        when: When::Periodic,
        cap: 2,
        per_days: 30,
        bulk: 3,
        closes: false,
        receives: [true, false, true],
        starts: 40,
        sunset: 100,
        notice: 30,
        path: Path::Active,
        services: [(1, true), (1, true), (1, true)],
        contract: Some(ContractModel {
            path: 2,
            own_controller: true,
            covers: true,
            from: 0,
            until: 90,
            values: vec![true, false, false, false],
        }),
    }
}

type Change = fn(&mut Request, &mut Option<Grant>, &mut Time);

fn decided(model: &Model, change: Change) -> Decision {
    let (city, _) = model.city();
    let (mut request, mut grant, mut now) = lawful(model, &city);
    change(&mut request, &mut grant, &mut now);
    decide(&city.register, &request, grant.as_ref(), now)
}

fn lawful(model: &Model, city: &City) -> (Request, Option<Grant>, Time) {
    let request = Request {
        service: "svc_library".parse().unwrap(),
        mandate: MANDATE.parse().unwrap(),
        blocks: vec![("blk_name".parse().unwrap(), Form::Value)],
        reason: "reminder".into(),
        subjects: 3,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    };
    let grant = Some(Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: city.state(MANDATE).unwrap().0,
        given_at: day(model.notice_day().unwrap_or(30)),
        valid_until: day(100),
        blocks: vec!["blk_name".parse().unwrap(), "blk_age".parse().unwrap()],
        uses: 0,
        window_start: day(45),
        window_uses: 1,
        means: None,
        resident_active: true,
        rests: false,
        declined: false,
        authorized: true,
    });
    (request, grant, day(50))
}

#[track_caller]
fn permits(model: &Model, change: Change) {
    assert_eq!(decided(model, change).outcome, Outcome::Permit);
}

#[track_caller]
fn refuses(model: &Model, clause: Clause, change: Change) {
    assert_eq!(decided(model, change), Decision { outcome: Outcome::Refuse, because: vec![clause] });
}

fn g(grant: &mut Option<Grant>) -> &mut Grant {
    grant.as_mut().unwrap()
}
