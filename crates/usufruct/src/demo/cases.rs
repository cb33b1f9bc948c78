//! Cases in the past of the demo city: a resident asks about a line of hers, and the office that has to say something says it.

use usufruct_app::{About, Act, App, CaseRequest, DeskAct, desk_message};
use usufruct_core::id::MandateId;

use super::city::{PastAnswer, PastCase};
use super::past::Offices;
use crate::failure::Failure;

/// Files a case about the resident's latest line under the mandate.
pub fn file(app: &App, resident: u64, past: &PastCase) -> Result<(), Failure> {
    let (register, lines) = (app.register(), app.footprint(resident)?.lines);
    let is_under = |hash| register.revision(&hash).is_some_and(|(entry, _)| entry.id == past.mandate.as_str());
    let line = lines.iter().rev().find(|line| line.event.as_ref().and_then(|event| event.mandate).is_some_and(is_under));
    let line = line.ok_or_else(|| unknown(&past.mandate))?.n;
    app.file_case(resident, &CaseRequest::new(About::Line(line), past.kind, past.words.clone()))?;
    Ok(())
}

/// The controller of the mandate answers the resident's latest case under it.
pub fn answer(
    app: &App,
    (offices, origin): (&Offices, &str),
    resident: u64,
    mandate: &MandateId,
    past: &PastAnswer,
) -> Result<(), Failure> {
    let register = app.register();
    let agency = &register.mandates.get(mandate).ok_or_else(|| unknown(mandate))?.body.controller;
    let cases = app.cases(resident)?;
    let case =
        cases.iter().find(|case| case.agency.as_ref() == Some(agency) && case.case.is_open()).ok_or_else(|| unknown(mandate))?;
    let act = Act::Answer { case: case.id.clone(), finding: past.finding, remedy: None, reasons: past.reasons.clone() };
    let said = DeskAct { agency: agency.clone(), at: app.now(), act };
    let said = serde_json::to_string(&said)
        .map_err(|_| Failure::impossible("The answer cannot be written.", "Report this as a defect."))?;
    let message = desk_message(origin, &said);
    let approvals: Vec<_> = offices.of(agency)?.iter().take(1).map(|signer| signer.approve(&message)).collect();
    app.act_at_desk(&said, &approvals)?;
    Ok(())
}

fn unknown(mandate: &MandateId) -> Failure {
    Failure::refused(
        format!("Nobody has a line or a case under `{mandate}` to speak of."),
        "Correct `cases` in people/personas.toml.",
    )
}
