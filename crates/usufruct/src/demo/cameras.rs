//! Cameras in the past of the demo city: proposed, permitted, looked at, and withheld or gone as their files say.

use serde_json::{Value, json};
use usufruct_core::document::Document;
use usufruct_core::hash::sha256;
use usufruct_core::id::AgencyId;
use usufruct_core::lifecycle::State;
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::status::{Grounds, ReasonCode};
use usufruct_core::time::{DAY, HOUR, MINUTE};
use usufruct_core::{Digest, Text, Time};

use super::past::{Happening, Offices, agency_of, take_day};
use crate::compose;
use crate::failure::Failure;

/// Who takes part in the past of the cameras, and when it ends.
pub struct Past<'a> {
    pub offices: &'a Offices,
    pub rng: &'a dyn Rng,
    pub operator: &'a AgencyId,
    pub now: Time,
}

impl Past<'_> {
    /// Proposed on `proposed_at`; permitted a week later if it has the number of a permit, and begun two days after that if somebody has
    /// looked at it. `withheld_at` and `removed_at` are the days of these steps; a permit ends by itself.
    pub fn tell(&self, id: &str, mut body: Value, told: &mut Vec<(Time, Happening)>) -> Result<(), Failure> {
        let [proposed, withheld, removed] = ["proposed_at", "withheld_at", "removed_at"].map(|day| take_day(&mut body, day));
        let proposed = proposed.unwrap_or(self.now.plus(-DAY)).plus(9 * HOUR);
        let authority = self.offices.of(&agency_of(id, &body["authority"])?)?;
        let applicant = self.offices.of(&agency_of(id, &body["applicant"])?)?;
        let moment = |field: &str| body[field].as_str().and_then(|day| day.parse::<Time>().ok());
        let (checked, until) = (moment("last_check"), moment("permit_until").filter(|until| *until < self.now));
        let mut say = |statement: Statement| told.push((statement.at, Happening::Publish(vec![statement])));

        let mut unchecked = body.clone();
        if let Some(members) = unchecked.as_object_mut() {
            members.remove("last_check");
        }
        let first = compose::object(&Register::default(), StatementKind::Camera, id, unchecked.clone(), &applicant, proposed)?;
        let mut revision = first.clone();
        say(first);
        let mut state = State::Proposed;
        if body.get("permit_no").is_some() {
            let reason = Text::new("The authority found it necessary.", "經主管機關認有必要。");
            say(self.step(id, revision.hash()?, (state, State::Permitted), reason, &authority, proposed.plus(7 * DAY))?);
            state = State::Permitted;
        }
        if let Some(checked) = checked {
            unchecked["last_check"] = json!(proposed.plus(8 * DAY));
            revision = compose::revision(&revision, unchecked, &authority, proposed.plus(8 * DAY + HOUR))?;
            say(revision.clone());
            let reason = Text::new("It is as it was permitted.", "檢查結果與許可相符。");
            say(self.step(id, revision.hash()?, (state, State::Active), reason, &authority, proposed.plus(9 * DAY))?);
            state = State::Active;
            if checked > proposed.plus(9 * DAY) {
                revision = compose::revision(&revision, body.clone(), &authority, checked.plus(10 * HOUR))?;
                say(revision.clone());
            }
        }
        if let Some(at) = withheld {
            let reason =
                Text::new("A storm has turned it; nothing is shown until it is set right.", "颱風吹偏鏡頭，調整前不提供影像。");
            let title = Text::new("Picture of the turned camera", "鏡頭偏移照片");
            let seen = Document { sha256: sha256(title.en.as_bytes()), title, url: None };
            let grounds = Grounds { evidence: vec![seen], ..Grounds::of(ReasonCode::CheckFailed) };
            let (revision, from) = (revision.hash()?, state);
            let step = compose::Step { object: id, revision, from, to: State::Withheld, reason, grounds };
            say(compose::step(&step, &authority[..1], at.plus(8 * HOUR), self.rng)?);
            state = State::Withheld;
        }
        if let Some(until) = until.filter(|_| state != State::Proposed) {
            let (operator, reason) = (self.offices.of(self.operator)?, Text::new("Its permit has ended.", "許可期限屆滿。"));
            say(self.step(
                id,
                revision.hash()?,
                (state, State::PermitExpired),
                reason,
                &operator[..1],
                until.plus(5 * MINUTE),
            )?);
            state = State::PermitExpired;
        }
        if let Some(at) = removed {
            let reason = Text::new("It was taken down.", "已拆除。");
            say(self.step(id, revision.hash()?, (state, State::Removed), reason, &authority[..1], at.plus(15 * HOUR))?);
        }
        Ok(())
    }

    fn step(
        &self,
        object: &str,
        revision: Digest,
        (from, to): (State, State),
        reason: Text,
        signers: &[&Signer],
        at: Time,
    ) -> Result<Statement, Failure> {
        compose::step(&compose::Step { object, revision, from, to, reason, grounds: Grounds::default() }, signers, at, self.rng)
    }
}
