//! Dry run: what would this service get about me?

use usufruct_core::decide::{Clause, Outcome, Request, decide};
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::mandate::Necessity;
use usufruct_store::grants;

use crate::delayed::is_covert;
use crate::release::predicate;
use crate::{App, Error, OwnDeposit};

/// What one service would get under one mandate.
pub struct Preview {
    pub mandate: MandateId,
    pub blocks: Vec<PreviewBlock>,
    /// Empty when a release would be permitted now; else the clauses that refuse.
    pub clauses: Vec<Clause>,
}

/// One block as the service would see it.
pub struct PreviewBlock {
    pub block: BlockId,
    pub form: Form,
    pub necessity: Necessity,
    /// The value she would hand over; `None` when only a token leaves or she has no such data.
    pub value: Option<String>,
    /// What services deposited of it under the mandate, which a release of the value gives too. Newest first.
    pub deposits: Vec<OwnDeposit>,
}

impl App {
    /// What `service` would get about the resident under each of its mandates. Nothing is released and nothing is logged:
    /// she looks at her own data.
    pub fn preview(&self, resident: u64, service: &ServiceId) -> Result<Vec<Preview>, Error> {
        let register = self.register();
        let now = self.now();
        let entry = register.services.get(service).ok_or(Error::Unknown { what: "service" })?;
        let own = self.own_blocks(resident)?;
        let deposits = self.own_deposits(resident)?;
        let mut previews = Vec::new();
        for id in &entry.body.mandates {
            let Some(mandate) = register.mandates.get(id) else { continue };
            // How often she was asked for under a covert mandate would show in what it still permits.
            let stored =
                if is_covert(mandate) { None } else { self.db.read(|conn| grants::find(conn, resident, mandate.number))? };
            // Where she only said no, nobody has chosen anything.
            let stored = stored.filter(|stored| stored.grant.was_given());
            let chosen = |block: &BlockId| stored.as_ref().is_none_or(|stored| stored.grant.blocks.contains(block));
            let asked: Vec<_> = mandate.body.blocks.iter().filter(|asked| chosen(&asked.block)).collect();
            let request = Request {
                service: service.clone(),
                mandate: id.clone(),
                blocks: asked.iter().map(|asked| (asked.block.clone(), asked.form)).collect(),
                reason: mandate.body.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default(),
                subjects: 1,
                sign_in: None,
                third_party: false,
                since: None,
                // She sees what the service would get once it says why.
                written_reason: true,
            };
            let decision = decide(&register, &request, stored.as_ref().map(|stored| &stored.grant), now);
            let blocks = asked
                .iter()
                .map(|asked| PreviewBlock {
                    block: asked.block.clone(),
                    form: asked.form,
                    necessity: asked.necessity,
                    deposits: {
                        let is_given = asked.form == Form::Value && mandate.body.lets_deposit();
                        let under = deposits.iter().filter(|deposit| deposit.mandate == *id && deposit.block == asked.block);
                        under.filter(|_| is_given).cloned().collect()
                    },
                    value: {
                        let value = own.iter().find(|own| own.block == asked.block).map(|own| own.value.clone());
                        match asked.form {
                            Form::Token => None,
                            Form::Predicate => Some(predicate(value.as_deref().unwrap_or_default()).to_owned()),
                            Form::Value => value,
                        }
                    },
                })
                .collect();
            let clauses = if decision.outcome == Outcome::Refuse { decision.because } else { Vec::new() };
            previews.push(Preview { mandate: id.clone(), blocks, clauses });
        }
        Ok(previews)
    }
}
