//! The words of the register (states, kinds, forms, bases) in the language of a page.

use i18n_embed_fl::fl;
use usufruct_app::Posting;
use usufruct_core::Time;
use usufruct_core::agency::AgencyKind;
use usufruct_core::breach::{
    Audience, BreachCause, BreachKind, BreachState, ClockStanding, NoticeChannel, Reporter, ThreatActor,
};
use usufruct_core::certificate::{Answer, Cause};
use usufruct_core::check::{CheckKind, CheckOutcome};
use usufruct_core::contract::Contract;
use usufruct_core::delegation::Power;
use usufruct_core::emergency::SpeaksFor;
use usufruct_core::erasure::ErasureState;
use usufruct_core::event::{Form, Kind};
use usufruct_core::incident::Fault as RecordFault;
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::{Duty, GENERIC};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::{
    AutomatedDecision, Basis, Concerns, DataRange, Fetch, GateLevel, MandateKind, Mode, Operation, Ordered,
};
use usufruct_core::means::Means;
use usufruct_core::meeting::Part;
use usufruct_core::order::{OrderKind, Standing};
use usufruct_core::service::Channel;
use usufruct_core::status::ReasonCode;

use crate::page::Page;

impl Page {
    /// The path of this page.
    pub fn path(&self) -> &str {
        self.here.split('?').next().unwrap_or_default()
    }

    /// Whether this page is the one at `path` or lies below it.
    pub fn is_at(&self, path: &str) -> bool {
        self.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Hour and minute, Taipei time.
    pub fn clock(&self, time: &Time) -> String {
        time.minute().split_off(11)
    }

    /// The month of a day, as a heading.
    pub fn month(&self, time: &Time) -> String {
        let day = time.day();
        let (year, number) = (day[..4].to_owned(), day[5..7].parse::<i64>().unwrap_or_default());
        fl!(self.messages, "month-of-year", year = year, number = number)
    }

    /// How much of a block leaves.
    pub fn form(&self, form: &Form) -> String {
        match form {
            Form::Token => fl!(self.messages, "form-token"),
            Form::Predicate => fl!(self.messages, "form-predicate"),
            Form::Value => fl!(self.messages, "form-value"),
        }
    }

    /// What happened.
    pub fn kind(&self, kind: &Kind) -> String {
        match kind {
            Kind::AuthorizationGivenBack => fl!(self.messages, "kind-given-back"),
            Kind::Breach => fl!(self.messages, "kind-breach-notified"),
            Kind::Case => fl!(self.messages, "kind-case"),
            Kind::Use => fl!(self.messages, "kind-use"),
            Kind::Deposit => fl!(self.messages, "kind-deposit"),
            Kind::Conversion => fl!(self.messages, "kind-conversion"),
            Kind::Refusal => fl!(self.messages, "kind-refusal"),
            Kind::SignIn => fl!(self.messages, "kind-sign-in"),
            Kind::Consent => fl!(self.messages, "kind-consent"),
            Kind::Withdrawal => fl!(self.messages, "kind-withdrawal"),
            Kind::Grant => fl!(self.messages, "kind-grant"),
            Kind::Objection => fl!(self.messages, "kind-objection"),
            Kind::Correction => fl!(self.messages, "kind-correction"),
            Kind::Delegation => fl!(self.messages, "kind-delegation"),
            Kind::Status => fl!(self.messages, "kind-status"),
            Kind::Erasure => fl!(self.messages, "kind-erasure"),
        }
    }

    /// Why a grant ended that she did not end herself.
    pub fn end_of_grant(&self, reason: &str) -> Option<String> {
        match reason {
            "case" => Some(fl!(self.messages, "case-deleted")),
            "order" => Some(fl!(self.messages, "grant-ended-by-order")),
            _ => None,
        }
    }

    /// What became of a grant.
    pub fn grant_reason(&self, reason: &str) -> String {
        match reason {
            "paused" => fl!(self.messages, "grant-paused"),
            "resumed" => fl!(self.messages, "grant-resumed"),
            "reaffirmed" => fl!(self.messages, "grant-reaffirmed"),
            "refused" => fl!(self.messages, "grant-refused"),
            "deferred" => fl!(self.messages, "grant-deferred"),
            "asked-again" => fl!(self.messages, "grant-asked-again"),
            _ => String::new(),
        }
    }

    /// What a status line says beyond that there is one.
    pub fn status_reason(&self, reason: &str) -> String {
        match reason {
            "active" => fl!(self.messages, "status-active"),
            "deactivated" => fl!(self.messages, "status-deactivated"),
            "frozen" => fl!(self.messages, "status-frozen"),
            "lifted" => fl!(self.messages, "status-lifted"),
            "passkey-added" => fl!(self.messages, "status-passkey-added"),
            "passkey-removed" => fl!(self.messages, "status-passkey-removed"),
            "footprint-key-kept" => fl!(self.messages, "status-key-kept"),
            "footprint-key-dropped" => fl!(self.messages, "status-key-dropped"),
            "recovery-codes-made" => fl!(self.messages, "status-codes-made"),
            "recovery-code-used" => fl!(self.messages, "status-code-used"),
            "ways-in-removed" => fl!(self.messages, "status-ways-in-removed"),
            "counter-case" => fl!(self.messages, "status-counter-case"),
            "counter-recovery" => fl!(self.messages, "status-counter"),
            "card-issued" => fl!(self.messages, "status-card-issued"),
            "card-revoked" => fl!(self.messages, "status-card-revoked"),
            "certificate-card-added" => fl!(self.messages, "status-certificate-card-added"),
            "certificate-card-used" => fl!(self.messages, "status-certificate-card-used"),
            "certificate-card-removed" => fl!(self.messages, "status-certificate-card-removed"),
            "certificate-card-revoked" => fl!(self.messages, "status-certificate-card-revoked"),
            "pseudonym-replaced" => fl!(self.messages, "status-pseudonym-replaced"),
            "counter-list" => fl!(self.messages, "status-counter-list"),
            "list-ended" => fl!(self.messages, "status-list-ended"),
            "list-ordered" => fl!(self.messages, "status-list-ordered"),
            "list-posted" => fl!(self.messages, "status-list-posted"),
            "messages-changed" => fl!(self.messages, "status-messages-changed"),
            "use-failed" => fl!(self.messages, "status-use-failed"),
            "wishes-changed" => fl!(self.messages, "status-wishes-changed"),
            "certificate-card-expired" => fl!(self.messages, "status-certificate-card-expired"),
            _ => String::new(),
        }
    }

    /// How often a resident gets her list by post.
    pub fn posting(&self, posting: &Posting) -> String {
        match posting {
            Posting::Monthly => fl!(self.messages, "posting-monthly"),
            Posting::Never => fl!(self.messages, "post-never"),
            Posting::Once => fl!(self.messages, "posting-once"),
        }
    }

    /// What an oversight body commands.
    pub fn order_kind(&self, kind: &OrderKind) -> String {
        match kind {
            OrderKind::Audit => fl!(self.messages, "order-audit"),
            OrderKind::Compensate => fl!(self.messages, "order-compensate"),
            OrderKind::Correct => fl!(self.messages, "order-correct"),
            OrderKind::Delete => fl!(self.messages, "order-delete"),
            OrderKind::DiscloseActor => fl!(self.messages, "order-disclose-actor"),
            OrderKind::Lift => fl!(self.messages, "order-lift"),
            OrderKind::Notify => fl!(self.messages, "order-notify"),
            OrderKind::Publish => fl!(self.messages, "order-publish"),
            OrderKind::Release => fl!(self.messages, "order-release"),
            OrderKind::Restrict => fl!(self.messages, "order-restrict"),
            OrderKind::Suspend => fl!(self.messages, "order-suspend"),
        }
    }

    /// What is wrong with the record of a source.
    pub fn record_fault(&self, fault: &RecordFault) -> String {
        match fault {
            RecordFault::Miscounted => fl!(self.messages, "record-miscounted"),
            RecordFault::Missing => fl!(self.messages, "record-missing"),
            RecordFault::Silent => fl!(self.messages, "record-silent"),
        }
    }

    /// Where an order stands.
    pub fn order_standing(&self, standing: &Standing) -> String {
        match standing {
            Standing::Issued => fl!(self.messages, "standing-issued"),
            Standing::InForce => fl!(self.messages, "standing-in-force"),
            Standing::Appealed => fl!(self.messages, "standing-appealed"),
            Standing::Overdue => fl!(self.messages, "standing-overdue"),
            Standing::Enforced => fl!(self.messages, "standing-enforced"),
            Standing::Complied => fl!(self.messages, "standing-complied"),
            Standing::Lifted => fl!(self.messages, "standing-lifted"),
        }
    }

    /// In which part an office attended a meeting.
    pub fn meeting_part(&self, part: &Part) -> String {
        match part {
            Part::Absent => fl!(self.messages, "part-absent"),
            Part::Chair => fl!(self.messages, "part-chair"),
            Part::Guest => fl!(self.messages, "part-guest"),
            Part::Member => fl!(self.messages, "part-member"),
            Part::Recorder => fl!(self.messages, "part-recorder"),
        }
    }

    /// What may be given to a delegate.
    pub fn power(&self, power: &Power) -> String {
        match power {
            Power::Footprint => fl!(self.messages, "power-footprint"),
            Power::Consents => fl!(self.messages, "power-consents"),
            Power::Cases => fl!(self.messages, "power-cases"),
            Power::SignIn => fl!(self.messages, "power-sign-in"),
        }
    }

    /// What a line says about a delegation. `detail` is why it ended, what was looked at, or what was done.
    pub fn delegation_reason(&self, reason: &str, detail: &str) -> String {
        let what = match reason {
            "helper-given" => fl!(self.messages, "delegation-helper-given"),
            "helper-taken-up" => fl!(self.messages, "delegation-helper-taken-up"),
            "helper-renewed" => fl!(self.messages, "delegation-helper-renewed"),
            "helper-ended" => fl!(self.messages, "delegation-helper-ended"),
            "helping-taken-up" => fl!(self.messages, "delegation-helping-taken-up"),
            "helping-renewed" => fl!(self.messages, "delegation-helping-renewed"),
            "helping-ended" => fl!(self.messages, "delegation-helping-ended"),
            "guardian-set-up" => fl!(self.messages, "delegation-guardian-set-up"),
            "guardian-taken-up" => fl!(self.messages, "delegation-guardian-taken-up"),
            "guardian-ended" => fl!(self.messages, "delegation-guardian-ended"),
            "guarding-set-up" => fl!(self.messages, "delegation-guarding-set-up"),
            "guarding-taken-up" => fl!(self.messages, "delegation-guarding-taken-up"),
            "guarding-ended" => fl!(self.messages, "delegation-guarding-ended"),
            "looked" | "did" => String::new(),
            _ => return String::new(),
        };
        let more = match detail {
            "counter" => fl!(self.messages, "ended-counter"),
            "date" => fl!(self.messages, "ended-date"),
            "delegate" => fl!(self.messages, "ended-delegate"),
            "erasure" if reason != "did" => fl!(self.messages, "ended-erasure"),
            "freeze" => fl!(self.messages, "ended-freeze"),
            "passkey" => fl!(self.messages, "ended-passkey"),
            "person" => fl!(self.messages, "ended-person"),
            "footprint" if what.is_empty() => fl!(self.messages, "did-footprint"),
            "consents" if what.is_empty() => fl!(self.messages, "did-consents"),
            "cases" if what.is_empty() => fl!(self.messages, "did-cases"),
            "consent" => fl!(self.messages, "did-consent"),
            "withdrawal" => fl!(self.messages, "did-withdrawal"),
            "objection" => fl!(self.messages, "did-objection"),
            "case" => fl!(self.messages, "did-case"),
            "sign-in" if reason == "did" => fl!(self.messages, "did-sign-in"),
            codes if !what.is_empty() => {
                let powers = codes.split(' ').filter_map(Power::from_code).map(|power| self.power(&power));
                powers.collect::<Vec<_>>().join(&fl!(self.messages, "list-comma"))
            }
            _ => String::new(),
        };
        [what, more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// How a resident proved herself.
    pub fn means(&self, means: &Means) -> String {
        match means {
            Means::Delegate => fl!(self.messages, "means-delegate"),
            Means::Card => fl!(self.messages, "means-card"),
            Means::Certificate => fl!(self.messages, "means-certificate"),
            Means::Passkey => fl!(self.messages, "means-passkey"),
        }
    }

    /// Where an object of the register stands.
    pub fn stage(&self, state: &State) -> String {
        match state {
            State::Draft => fl!(self.messages, "stage-draft"),
            State::Consulted => fl!(self.messages, "stage-consulted"),
            State::Approved => fl!(self.messages, "stage-approved"),
            State::Published => fl!(self.messages, "stage-published"),
            State::CheckedAgency => fl!(self.messages, "stage-checked-agency"),
            State::CheckedCity => fl!(self.messages, "stage-checked-city"),
            State::Signed => fl!(self.messages, "stage-signed"),
            State::Active => fl!(self.messages, "stage-active"),
            State::Suspended => fl!(self.messages, "stage-suspended"),
            State::Sunset => fl!(self.messages, "stage-sunset"),
            State::Revoked => fl!(self.messages, "stage-revoked"),
            State::Erasing => fl!(self.messages, "stage-erasing"),
            State::Erased => fl!(self.messages, "stage-erased"),
            State::Ending => fl!(self.messages, "stage-ending"),
            State::Breached => fl!(self.messages, "stage-breached"),
            State::Closed => fl!(self.messages, "stage-closed"),
            State::Proposed => fl!(self.messages, "stage-proposed"),
            State::Permitted => fl!(self.messages, "stage-permitted"),
            State::Withheld => fl!(self.messages, "stage-withheld"),
            State::PermitExpired => fl!(self.messages, "stage-permit-expired"),
            State::Removed => fl!(self.messages, "stage-removed"),
        }
    }

    /// When a vendor calls and reports after a breach.
    pub fn breach_hours(&self, contract: &Contract) -> String {
        let (ping, report) = (contract.breach_first_ping_hours, contract.breach_report_hours);
        fl!(self.messages, "processors-breach-hours", ping = ping, report = report)
    }

    /// How long a vendor has to delete everything.
    pub fn delete_days(&self, contract: &Contract) -> String {
        fl!(self.messages, "processors-delete-days", days = contract.delete_within_days)
    }

    /// Which look at a vendor it was.
    pub fn check_kind(&self, kind: &CheckKind) -> String {
        match kind {
            CheckKind::Agency => fl!(self.messages, "check-agency"),
            CheckKind::City => fl!(self.messages, "check-city"),
            CheckKind::Deletion => fl!(self.messages, "check-deletion"),
            CheckKind::Objection => fl!(self.messages, "check-objection"),
            CheckKind::Periodic => fl!(self.messages, "check-periodic"),
        }
    }

    /// How it came out.
    pub fn check_outcome(&self, outcome: &CheckOutcome) -> String {
        match outcome {
            CheckOutcome::Failed => fl!(self.messages, "check-failed"),
            CheckOutcome::Passed => fl!(self.messages, "check-passed"),
        }
    }

    /// How a breach came about.
    pub fn breach_cause(&self, cause: &BreachCause) -> String {
        match cause {
            BreachCause::Attack => fl!(self.messages, "breach-cause-attack"),
            BreachCause::Counters => fl!(self.messages, "breach-cause-counters"),
            BreachCause::Failure => fl!(self.messages, "breach-cause-failure"),
            BreachCause::Insider => fl!(self.messages, "breach-cause-insider"),
            BreachCause::Loss => fl!(self.messages, "breach-cause-loss"),
            BreachCause::Mistake => fl!(self.messages, "breach-cause-mistake"),
            BreachCause::UnansweredDeletion => fl!(self.messages, "breach-cause-unanswered-deletion"),
        }
    }

    /// How far a breach has come.
    pub fn breach_state(&self, state: &BreachState) -> String {
        match state {
            BreachState::Suspected => fl!(self.messages, "breach-state-suspected"),
            BreachState::Detected => fl!(self.messages, "breach-state-detected"),
            BreachState::Ongoing => fl!(self.messages, "breach-state-ongoing"),
            BreachState::Halted => fl!(self.messages, "breach-state-halted"),
            BreachState::Contained => fl!(self.messages, "breach-state-contained"),
            BreachState::Mitigated => fl!(self.messages, "breach-state-mitigated"),
            BreachState::Closed => fl!(self.messages, "breach-state-closed"),
            BreachState::NearMiss => fl!(self.messages, "breach-state-near-miss"),
        }
    }

    /// How grave a breach is.
    pub fn breach_level(&self, level: &i64) -> String {
        let level = *level;
        fl!(self.messages, "breach-level", level = level)
    }

    /// What a breach took from the data.
    pub fn breach_kind(&self, kind: &BreachKind) -> String {
        match kind {
            BreachKind::Availability => fl!(self.messages, "breach-kind-availability"),
            BreachKind::Confidentiality => fl!(self.messages, "breach-kind-confidentiality"),
            BreachKind::Integrity => fl!(self.messages, "breach-kind-integrity"),
        }
    }

    /// From whom a breach came.
    pub fn threat_actor(&self, actor: &ThreatActor) -> String {
        match actor {
            ThreatActor::Criminal => fl!(self.messages, "threat-actor-criminal"),
            ThreatActor::Insider => fl!(self.messages, "threat-actor-insider"),
            ThreatActor::Nobody => fl!(self.messages, "threat-actor-nobody"),
            ThreatActor::State => fl!(self.messages, "threat-actor-state"),
            ThreatActor::Unknown => fl!(self.messages, "threat-actor-unknown"),
            ThreatActor::Vendor => fl!(self.messages, "threat-actor-vendor"),
        }
    }

    /// Who saw a breach first.
    pub fn reporter(&self, reporter: &Reporter) -> String {
        match reporter {
            Reporter::Machine => fl!(self.messages, "reporter-machine"),
            Reporter::Outside => fl!(self.messages, "reporter-outside"),
            Reporter::Resident => fl!(self.messages, "reporter-resident"),
            Reporter::Staff => fl!(self.messages, "reporter-staff"),
            Reporter::Vendor => fl!(self.messages, "reporter-vendor"),
        }
    }

    /// To whom a notice of a breach went.
    pub fn audience(&self, audience: &Audience) -> String {
        match audience {
            Audience::Authority => fl!(self.messages, "audience-authority"),
            Audience::Body => fl!(self.messages, "audience-body"),
            Audience::Police => fl!(self.messages, "audience-police"),
            Audience::Press => fl!(self.messages, "audience-press"),
            Audience::Public => fl!(self.messages, "audience-public"),
            Audience::Vendor => fl!(self.messages, "audience-vendor"),
        }
    }

    /// By which way a notice of a breach went.
    pub fn notice_channel(&self, channel: &NoticeChannel) -> String {
        match channel {
            NoticeChannel::Form => fl!(self.messages, "notice-channel-form"),
            NoticeChannel::Letter => fl!(self.messages, "notice-channel-letter"),
            NoticeChannel::Mail => fl!(self.messages, "notice-channel-mail"),
            NoticeChannel::Phone => fl!(self.messages, "notice-channel-phone"),
            NoticeChannel::Press => fl!(self.messages, "notice-channel-press"),
            NoticeChannel::Web => fl!(self.messages, "notice-channel-web"),
        }
    }

    /// What a law or a contract demands of a breach.
    pub fn breach_duty(&self, duty: &Duty) -> String {
        match duty {
            Duty::ContainIncident => fl!(self.messages, "breach-duty-contain"),
            Duty::FinalReport => fl!(self.messages, "breach-duty-final"),
            Duty::ReportBreach => fl!(self.messages, "breach-duty-report"),
            Duty::ReportIncident => fl!(self.messages, "breach-duty-incident"),
            Duty::TellPersons => fl!(self.messages, "breach-duty-tell"),
            Duty::VendorCall => fl!(self.messages, "breach-duty-vendor-call"),
            Duty::VendorReport => fl!(self.messages, "breach-duty-vendor-report"),
            other => other.code().to_owned(),
        }
    }

    /// How a clock of a breach stands.
    pub fn clock_standing(&self, standing: &ClockStanding) -> String {
        match standing {
            ClockStanding::Excused => fl!(self.messages, "clock-excused"),
            ClockStanding::Late => fl!(self.messages, "clock-late"),
            ClockStanding::Met => fl!(self.messages, "clock-met"),
            ClockStanding::MetLate => fl!(self.messages, "clock-met-late"),
            ClockStanding::Running => fl!(self.messages, "clock-running"),
        }
    }

    /// Whose law it is.
    pub fn jurisdiction(&self, code: &str) -> String {
        if code == GENERIC { fl!(self.messages, "law-generic") } else { code.to_owned() }
    }

    /// How far an erasure has come.
    pub fn erasure_state(&self, state: &ErasureState) -> String {
        match state {
            ErasureState::Scheduled => fl!(self.messages, "erasure-scheduled"),
            ErasureState::KeysDestroyed => fl!(self.messages, "erasure-keys-destroyed"),
            ErasureState::ReplicasConfirmed => fl!(self.messages, "erasure-replicas-confirmed"),
            ErasureState::Certified => fl!(self.messages, "erasure-certified"),
            ErasureState::EscrowFinal => fl!(self.messages, "erasure-escrow-final"),
        }
    }

    /// What is owed.
    pub fn late_duty(&self, duty: &LateDuty) -> String {
        match duty {
            LateDuty::Acknowledgement => fl!(self.messages, "late-acknowledgement"),
            LateDuty::Answer => fl!(self.messages, "late-answer"),
            LateDuty::Assessment => fl!(self.messages, "late-assessment"),
            LateDuty::Breach(duty) => self.breach_duty(duty),
            LateDuty::CameraCheck => fl!(self.messages, "late-camera-check"),
            LateDuty::CaseTally => fl!(self.messages, "late-case-tally"),
            LateDuty::Certificate => fl!(self.messages, "late-certificate"),
            LateDuty::Check => fl!(self.messages, "late-check"),
            LateDuty::Consultation => fl!(self.messages, "late-consultation"),
            LateDuty::Decision => fl!(self.messages, "late-decision"),
            LateDuty::Deletion => fl!(self.messages, "late-deletion"),
            LateDuty::DisparityAudit => fl!(self.messages, "late-disparity-audit"),
            LateDuty::Evidence => fl!(self.messages, "late-evidence"),
            LateDuty::Finding => fl!(self.messages, "late-finding"),
            LateDuty::Measure => fl!(self.messages, "late-measure"),
            LateDuty::NextAudit => fl!(self.messages, "late-next-audit"),
            LateDuty::Order => fl!(self.messages, "late-order"),
            LateDuty::Remedy => fl!(self.messages, "late-remedy"),
            LateDuty::Review => fl!(self.messages, "late-review"),
            LateDuty::Waiver => fl!(self.messages, "late-waiver"),
        }
    }

    pub fn basis(&self, basis: &Basis) -> String {
        match basis {
            Basis::Consent => fl!(self.messages, "basis-consent"),
            Basis::LegalObligation => fl!(self.messages, "basis-legal-obligation"),
            Basis::PublicTask => fl!(self.messages, "basis-public-task"),
            Basis::VitalInterest => fl!(self.messages, "basis-vital-interest"),
        }
    }

    pub fn sort(&self, kind: &MandateKind) -> String {
        match kind {
            MandateKind::Covert => fl!(self.messages, "sort-covert"),
            MandateKind::Emergency => fl!(self.messages, "sort-emergency"),
            MandateKind::Ordinary => fl!(self.messages, "sort-ordinary"),
            MandateKind::Research => fl!(self.messages, "sort-research"),
        }
    }

    pub fn operation(&self, operation: &Operation) -> String {
        match operation {
            Operation::Collect => fl!(self.messages, "operation-collect"),
            Operation::Decide => fl!(self.messages, "operation-decide"),
            Operation::Deposit => fl!(self.messages, "operation-deposit"),
            Operation::Disclose => fl!(self.messages, "operation-disclose"),
            Operation::Match => fl!(self.messages, "operation-match"),
            Operation::Statistics => fl!(self.messages, "operation-statistics"),
            Operation::Store => fl!(self.messages, "operation-store"),
        }
    }

    pub fn mode(&self, mode: &Mode) -> String {
        match mode {
            Mode::Query => fl!(self.messages, "mode-query"),
            Mode::Store => fl!(self.messages, "mode-store"),
            Mode::Stream => fl!(self.messages, "mode-stream"),
            Mode::View => fl!(self.messages, "mode-view"),
        }
    }

    /// For whom somebody speaks who looked at an emergency mandate.
    pub fn speaks_for(&self, side: &SpeaksFor) -> String {
        match side {
            SpeaksFor::Marginalised => fl!(self.messages, "speaks-marginalised"),
            SpeaksFor::PublicHealth => fl!(self.messages, "speaks-public-health"),
        }
    }

    /// About how many people a mandate is, and whether children or pictures of cameras are among it.
    pub fn concerns(&self, concerns: &Concerns) -> String {
        let persons = concerns.persons.map(|persons| fl!(self.messages, "concerns-persons", persons = persons));
        let children = concerns.children.then(|| fl!(self.messages, "concerns-children"));
        let cameras = concerns.cameras.then(|| fl!(self.messages, "concerns-cameras"));
        let parts: Vec<String> = [persons, children, cameras].into_iter().flatten().collect();
        parts.join(&fl!(self.messages, "list-comma"))
    }

    /// Who ordered a use, under which number and when.
    pub fn order(&self, order: &Ordered) -> String {
        let (by, day) = (self.text(&order.by), self.day(&order.at));
        fl!(self.messages, "order-of", by = by, reference = order.reference.as_str(), day = day)
    }

    /// How far back a mandate reaches.
    pub fn data_range(&self, range: &DataRange) -> String {
        let back = range.back.as_ref().map(|back| fl!(self.messages, "range-back", length = self.length(back)));
        let from = range.from.map(|from| fl!(self.messages, "range-from", day = self.day(&from)));
        let until = range.until.map(|until| fl!(self.messages, "range-until", day = self.day(&until)));
        let parts: Vec<String> = [back, from, until].into_iter().flatten().collect();
        parts.join(&fl!(self.messages, "list-comma"))
    }

    /// When data may be fetched.
    pub fn fetch(&self, fetch: &Fetch) -> String {
        match fetch {
            Fetch::Once => fl!(self.messages, "fetch-once"),
            Fetch::OnceAfter { after } => fl!(self.messages, "fetch-once-after", day = self.day(after)),
            Fetch::Periodic => fl!(self.messages, "fetch-periodic"),
        }
    }

    pub fn gate(&self, gate: &GateLevel) -> String {
        match gate {
            GateLevel::Durable => fl!(self.messages, "gate-durable"),
            GateLevel::Published => fl!(self.messages, "gate-published"),
            GateLevel::Witnessed => fl!(self.messages, "gate-witnessed"),
        }
    }

    pub fn automated(&self, decision: &AutomatedDecision) -> String {
        match decision {
            AutomatedDecision::None => fl!(self.messages, "automated-none"),
            AutomatedDecision::Sole => fl!(self.messages, "automated-sole"),
            AutomatedDecision::Support => fl!(self.messages, "automated-support"),
        }
    }

    /// A way in.
    pub fn channel(&self, channel: &Channel) -> String {
        match channel {
            Channel::App => fl!(self.messages, "channel-app"),
            Channel::Card => fl!(self.messages, "channel-card"),
            Channel::Counter => fl!(self.messages, "channel-counter"),
            Channel::Paper => fl!(self.messages, "channel-paper"),
            Channel::Web => fl!(self.messages, "channel-web"),
        }
    }

    pub fn body_kind(&self, kind: &AgencyKind) -> String {
        match kind {
            AgencyKind::Agency => fl!(self.messages, "body-agency"),
            AgencyKind::Auditor => fl!(self.messages, "body-auditor"),
            AgencyKind::HealthAuthority => fl!(self.messages, "body-health-authority"),
            AgencyKind::Operator => fl!(self.messages, "body-operator"),
            AgencyKind::Oversight => fl!(self.messages, "body-oversight"),
            AgencyKind::SecurityOrIntelligence => fl!(self.messages, "body-security"),
            AgencyKind::Vendor => fl!(self.messages, "body-vendor"),
        }
    }

    /// Why keys were destroyed.
    pub fn cause(&self, cause: &Cause) -> String {
        match cause {
            Cause::Drill => fl!(self.messages, "cause-drill"),
            Cause::Request => fl!(self.messages, "cause-request"),
            Cause::Retention => fl!(self.messages, "cause-retention"),
            Cause::Revocation => fl!(self.messages, "cause-revocation"),
            Cause::Order => fl!(self.messages, "cause-order"),
            Cause::Rotation => fl!(self.messages, "cause-rotation"),
            Cause::Sector => fl!(self.messages, "cause-sector"),
            Cause::Sunset => fl!(self.messages, "cause-sunset"),
            Cause::Withdrawal => fl!(self.messages, "cause-withdrawal"),
        }
    }

    /// What sort of reason a step has.
    pub fn reason_code(&self, code: &ReasonCode) -> String {
        match code {
            ReasonCode::Breach => fl!(self.messages, "reason-breach"),
            ReasonCode::CheckFailed => fl!(self.messages, "reason-check-failed"),
            ReasonCode::Decision => fl!(self.messages, "reason-decision"),
            ReasonCode::Error => fl!(self.messages, "reason-error"),
            ReasonCode::LawChanged => fl!(self.messages, "reason-law-changed"),
            ReasonCode::PurposeGone => fl!(self.messages, "reason-purpose-gone"),
            ReasonCode::Ready => fl!(self.messages, "reason-ready"),
            ReasonCode::TermOver => fl!(self.messages, "reason-term-over"),
        }
    }

    /// What a service said that it did with data it had to delete.
    pub fn answer(&self, answer: &Answer) -> String {
        match answer {
            Answer::Deleted => fl!(self.messages, "answer-deleted"),
            Answer::Kept => fl!(self.messages, "answer-kept"),
            Answer::Nothing => fl!(self.messages, "answer-nothing"),
        }
    }

    /// A country by its code; codes without a name here stay codes.
    pub fn place(&self, code: &str) -> String {
        if code == "TW" { fl!(self.messages, "place-tw") } else { code.to_owned() }
    }

    /// What the page of devices says about the footprint key, by the names its script has for it.
    pub fn key_words(&self) -> [(&'static str, String); 9] {
        let messages = self.messages;
        [
            ("working", fl!(messages, "sign-in-working")),
            ("failed", fl!(messages, "key-failed")),
            ("stale", fl!(messages, "key-stale")),
            ("no-prf", fl!(messages, "key-no-prf")),
            ("no-wrap", fl!(messages, "key-no-wrap")),
            ("changed", fl!(messages, "key-changed")),
            ("verified", fl!(messages, "key-verified")),
            ("pending", fl!(messages, "key-pending")),
            ("broken", fl!(messages, "key-broken")),
        ]
    }

    /// What the verifier in the browser says about a line or the whole footprint, by its codes.
    pub fn proof_reasons(&self) -> [(&'static str, String); 29] {
        let messages = self.messages;
        [
            ("unpublished", fl!(messages, "proof-reason-unpublished")),
            ("unreachable", fl!(messages, "proof-reason-unreachable")),
            ("unsearched", fl!(messages, "proof-reason-unsearched")),
            ("unsupported", fl!(messages, "proof-reason-unsupported")),
            ("newer", fl!(messages, "proof-reason-newer")),
            ("quorum", fl!(messages, "proof-reason-quorum")),
            ("weeks", fl!(messages, "proof-reason-weeks")),
            ("anchor", fl!(messages, "proof-reason-anchor")),
            ("chain", fl!(messages, "proof-reason-chain")),
            ("checkpoint", fl!(messages, "proof-reason-checkpoint")),
            ("duplicate", fl!(messages, "proof-reason-duplicate")),
            ("forked", fl!(messages, "proof-reason-forked")),
            ("gap", fl!(messages, "proof-reason-gap")),
            ("hidden", fl!(messages, "proof-reason-hidden")),
            ("index", fl!(messages, "proof-reason-index")),
            ("malformed", fl!(messages, "proof-reason-malformed")),
            ("matter", fl!(messages, "proof-reason-matter")),
            ("note", fl!(messages, "proof-reason-note")),
            ("number", fl!(messages, "proof-reason-number")),
            ("overdue", fl!(messages, "proof-reason-overdue")),
            ("policy", fl!(messages, "proof-reason-policy")),
            ("rewound", fl!(messages, "proof-reason-rewound")),
            ("shown", fl!(messages, "proof-reason-shown")),
            ("signature", fl!(messages, "proof-reason-signature")),
            ("tile", fl!(messages, "proof-reason-tile")),
            ("unlogged", fl!(messages, "proof-reason-unlogged")),
            ("unopened", fl!(messages, "proof-reason-unopened")),
            ("vkey", fl!(messages, "proof-reason-vkey")),
            ("withheld", fl!(messages, "proof-reason-withheld")),
        ]
    }
}
