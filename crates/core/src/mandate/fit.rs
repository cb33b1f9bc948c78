//! What a mandate says has to fit together. Each problem names its field, so that an author mends all of them at once.

use super::{AutomatedDecision, Basis, Fetch, GateLevel, Mandate, MandateKind, Mode, Operation, Visibility};
use crate::draft::Draft;
use crate::event::Form;

impl Mandate {
    pub(super) fn check(&self, draft: &mut Draft<'_>) {
        let length = self.sunset_at.micros() - self.starts_at.micros();
        if length <= 0 {
            draft.note("sunset_at", "before-start", "The mandate ends before it begins. Correct one of the days.".into());
        }
        if self.consultation.to < self.consultation.from {
            draft.note(
                "consultation.to",
                "before-start",
                "The comment period ends before it begins. Correct one of the days.".into(),
            );
        }
        if self.consultation.to > self.starts_at && self.kind != MandateKind::Emergency {
            draft.note(
                "starts_at",
                "before-consultation",
                "The mandate begins before people could finish commenting. Let it begin later.".into(),
            );
        }
        if self.kind == MandateKind::Emergency && self.purpose.commercial {
            draft.note(
                "purpose.commercial",
                "commercial-emergency",
                "An emergency mandate may not serve business. Set this to `false`.".into(),
            );
        }
        self.check_visibility(draft);
        self.check_emergency(draft);
        self.check_manner(draft);
        let mut blocks: Vec<_> = self.blocks.iter().map(|asked| &asked.block).collect();
        blocks.sort_unstable();
        if blocks.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("blocks", "duplicate", "A block stands in the list twice. Take one out.".into());
        }
        if self.conversions.iter().any(|conversion| conversion.from == conversion.to) {
            draft.note("conversions", "same-service", "A service would convert into its own pseudonyms. Take this out.".into());
        }
        let mut ways: Vec<_> = self.conversions.iter().map(|conversion| (&conversion.from, &conversion.to)).collect();
        ways.sort_unstable();
        if ways.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("conversions", "duplicate", "A conversion stands in the list twice. Take one out.".into());
        }
        let mut codes: Vec<_> = self.reasons.iter().map(|reason| &reason.code).collect();
        codes.sort_unstable();
        if codes.windows(2).any(|pair| pair[0] == pair[1]) {
            draft.note("reasons", "duplicate", "Two reasons have the same code. Give each its own.".into());
        }
        if self.third_party.is_some() && codes.len() < 2 {
            let message = "There is one reason only, so everybody knows the matter that `third_party` closes. Give two or more, or take it out.";
            draft.note("third_party", "one-reason", message.into());
        }
    }

    /// What a delay asks of a mandate: nobody is kept from knowing by a consent, by a machine alone, in an emergency, or before a witness saw the log.
    fn check_visibility(&self, draft: &mut Draft<'_>) {
        let is_covert = self.kind == MandateKind::Covert;
        match (is_covert, &self.visibility) {
            (false, Visibility::Immediate) => return,
            (true, Visibility::Immediate) => {
                draft.note(
                    "visibility",
                    "missing",
                    "A covert mandate says how long it keeps lines back, and who answers for that. Give `visibility.delayed`."
                        .into(),
                );
            }
            (false, Visibility::Delayed(_)) => {
                draft.note(
                    "visibility",
                    "not-covert",
                    "Only a covert mandate may show lines later. Publish one of its own for what has to be delayed.".into(),
                );
            }
            (true, Visibility::Delayed(_)) => {}
        }
        if self.legal_basis.code == Basis::Consent {
            draft.note(
                "legal_basis.code",
                "covert-consent",
                "Nobody agrees to what is kept from her. Name the law that allows it.".into(),
            );
        }
        if self.automated_decision == AutomatedDecision::Sole {
            draft.note(
                "automated_decision",
                "covert-machine",
                "A machine alone would decide what is kept from people. Let an official decide.".into(),
            );
        }
        if self.gate != GateLevel::Witnessed {
            draft.note(
                "gate",
                "covert-gate",
                "Data under a covert mandate leaves once witnesses have seen the log. Set this to `witnessed`.".into(),
            );
        }
        if self.lets_deposit() {
            draft.note(
                "operations",
                "covert-deposit",
                "What is deposited about somebody she sees among her data at once. Take `deposit` out.".into(),
            );
        }
        if !self.conversions.is_empty() {
            draft.note(
                "conversions",
                "covert-conversion",
                "Pseudonyms are not joined under a covert mandate. Take the conversions out.".into(),
            );
        }
        if self.eight_conditions.is_some() {
            draft.note(
                "eight_conditions",
                "covert-conditions",
                "The eight conditions are those of an emergency, which cannot be covert. Take them out.".into(),
            );
        }
    }

    fn check_emergency(&self, draft: &mut Draft<'_>) {
        let Some(emergency) = &self.emergency else { return };
        if self.kind != MandateKind::Emergency {
            let message = "Only an emergency mandate rests on an emergency. Take this out, or change the kind.";
            draft.note("emergency", "ordinary", message.into());
        }
        if emergency.disparity_audit_due > self.sunset_at {
            let message = "The audit would come after the mandate has ended. Give a day before its last.";
            draft.note("emergency.disparity_audit_due", "too-late", message.into());
        }
        if emergency.declared_at > self.starts_at {
            let message = "The mandate begins before the emergency was declared. Correct one of the days.";
            draft.note("emergency.declared_at", "after-start", message.into());
        }
    }

    /// The mode, the operations and the machine that decides fit together.
    fn check_manner(&self, draft: &mut Draft<'_>) {
        let does = |operation| self.operations.contains(&operation);
        for (i, _) in self.blocks.iter().enumerate().filter(|(_, asked)| self.mode == Mode::Query && asked.form == Form::Value) {
            let message = "A mandate that only queries gets answers, no values. Ask for a predicate or a token, or choose the mode `view` or `store`.";
            draft.note(&format!("blocks[{i}].form"), "value-in-query", message.into());
        }
        let keeps = matches!(self.mode, Mode::Store | Mode::Stream);
        if does(Operation::Store) && !keeps {
            let message =
                "The mode does not let recipients keep anything. Take `store` out, or choose the mode `store` or `stream`.";
            draft.note("operations", "not-kept", message.into());
        }
        if self.mode == Mode::Store && !does(Operation::Store) && !does(Operation::Deposit) {
            let message =
                "The mode lets data be kept, and no operation keeps any. Add `store`, or choose the mode `view` or `query`.";
            draft.note("mode", "nothing-kept", message.into());
        }
        if self.mode == Mode::Stream && self.fetch != Fetch::Periodic {
            let message = "What streams is fetched again and again. Let `fetch` be periodic, or choose another mode.";
            draft.note("fetch", "not-periodic", message.into());
        }
        if !self.conversions.is_empty() && !does(Operation::Match) {
            let message = "The mandate joins pseudonyms and does not say so. Add the operation `match`.";
            draft.note("operations", "no-match", message.into());
        }
        if self.automated_decision != AutomatedDecision::None {
            if self.algorithm_url.is_none() {
                let message =
                    "A machine decides, or helps to, and nobody can read how. Say in `algorithm_url` where it is described.";
                draft.note("algorithm_url", "missing", message.into());
            }
            if !does(Operation::Decide) {
                let message = "A machine decides, or helps to, and the operations do not say so. Add `decide`.";
                draft.note("operations", "no-decide", message.into());
            }
        }
        for (i, transfer) in self.transfers.iter().enumerate().filter(|(_, transfer)| !self.locations.contains(&transfer.country))
        {
            let message = format!(
                "`{}` is none of the countries where the data is used. Add it to `locations` or take it out.",
                transfer.country
            );
            draft.note(&format!("transfers[{i}].country"), "not-a-location", message);
        }
        if self.purpose.incompatible_with.contains(&self.purpose.local_code) {
            let message = "The purpose excludes itself. Take its own code out.";
            draft.note("purpose.incompatible_with", "own-purpose", message.into());
        }
    }
}
