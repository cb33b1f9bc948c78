//! Publish statements: the only way the register changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::id::{AgencyId, MandateId, NoticeId, StatusChangeId};
use usufruct_core::lifecycle::State;
use usufruct_core::publication;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::{PseudonymMode, Service};
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::status::{Grounds, StatusChange};
use usufruct_core::time::MINUTE;
use usufruct_core::{Digest, Text, Time};
use usufruct_vault::Error as VaultError;

use crate::ledger::place_leaf;
use crate::{App, Error};

/// What is published together: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    pub statements: Vec<Statement>,
}

/// A step of an object through its states.
#[derive(Clone, Debug)]
pub struct LifecycleStep<'a> {
    pub object: &'a str,
    pub revision: Digest,
    pub from: State,
    pub to: State,
    pub reason: Text,
    pub grounds: Grounds,
}

impl App {
    /// Publishes statements in order, in one transaction. Nothing is published when one of them is unlawful. Answers the
    /// leaf numbers.
    pub fn publish(&self, publication: &Publication) -> Result<Vec<u64>, Error> {
        let latest = self.now().plus(MINUTE);
        if publication.statements.iter().any(|statement| statement.at > latest) {
            // A statement dated far ahead would keep every later one out.
            let message = "The statement is dated in the future. Date it with the present time.".to_owned();
            return Err(Error::Unlawful(vec![Problem { field: "at".to_owned(), rule: "future", message }]));
        }
        for statement in &publication.statements {
            self.check_fitting(statement)?;
        }
        self.check_draws(&publication.statements)?;
        let _guard = self.publishing();
        let indices = self.place_statements(publication.statements.clone())?;
        self.publish_new_keys()?;
        Ok(indices)
    }

    /// Puts statements into the log and the register, and makes the keys that what they say needs. For who holds the publishing lock.
    pub(crate) fn place_statements(&self, statements: Vec<Statement>) -> Result<Vec<u64>, Error> {
        let base = self.register();
        let version = Arc::clone(&self.register_version);
        let orders = statements.iter().any(|statement| statement.kind == StatementKind::Order);
        let outcome = self.db.transaction("publish statements", move |tx| {
            version.fetch_add(1, Ordering::SeqCst);
            let mut register: Register = (*base).clone();
            let mut indices = Vec::with_capacity(statements.len());
            for statement in &statements {
                let wrong = publication::problems(&register, statement);
                if !wrong.is_empty() {
                    return Err(Error::Unlawful(wrong));
                }
                let index = place_leaf(tx, &statement.leaf()?)?;
                register.apply(statement, index).map_err(Error::Unlawful)?;
                indices.push(index);
            }
            Ok((register, indices))
        });
        match outcome {
            Ok((register, indices)) => {
                self.make_keys(&register)?;
                self.set_register(register);
                if orders {
                    self.release_brakes()?;
                }
                Ok(indices)
            }
            Err(error) => {
                self.keep_register();
                Err(error)
            }
        }
    }

    /// The body of the next revision of an object, ready to be approved.
    pub fn statement(&self, kind: StatementKind, id: &str, by: &AgencyId, body: Value, at: Time) -> Statement {
        let (rev, prev) = self.register().next_revision(kind, id);
        Statement { kind, id: id.to_owned(), rev, prev, at, by: by.clone(), body, approvals: Vec::new() }
    }

    /// The statement of one step, approved by `signers`.
    pub fn step(&self, step: &LifecycleStep<'_>, by: &AgencyId, signers: &[&Signer], at: Time) -> Result<Statement, Error> {
        let id = StatusChangeId::fresh(at, self.rng());
        let change = StatusChange {
            object: step.object.to_owned(),
            revision: step.revision,
            from: step.from,
            to: step.to,
            reason: step.reason.clone(),
            grounds: step.grounds.clone(),
        };
        let mut statement = Statement {
            kind: StatementKind::StatusChange,
            id: id.to_string(),
            rev: 1,
            prev: None,
            at,
            by: by.clone(),
            body: json!(change),
            approvals: vec![],
        };
        for signer in signers {
            statement.approve(signer)?;
        }
        Ok(statement)
    }

    /// Everything that publishes a mandate and makes it active: the mandate, its notice and the steps, each approved by
    /// `signers` (two people of the controller in two roles). `body` and `notice` are the tables of the mandate file.
    pub fn mandate_publication(
        &self,
        id: &MandateId,
        body: Value,
        notice: &Value,
        signers: &[&Signer],
        at: Time,
    ) -> Result<Publication, Error> {
        let Some(by) = signers.first().map(|signer| signer.agency().clone()) else {
            return Err(Error::refused("Nobody signs this mandate.", "Name two keys of the controller with --key."));
        };
        // Who waives a condition signs the activation alone; all else is the controller's to say.
        let own: Vec<&Signer> = signers.iter().copied().filter(|signer| *signer.agency() == by).collect();
        let mut mandate = self.statement(StatementKind::Mandate, id.as_str(), &by, body, at);
        for signer in &own {
            mandate.approve(signer)?;
        }
        let hash = mandate.hash()?;
        let mut words: BTreeMap<String, Value> = serde_json::from_value(notice.clone()).map_err(|_| {
            Error::refused("The [notice] table is missing or no table.", "Write the layers of the notice under [notice].")
        })?;
        words.insert("mandate".into(), json!(id));
        words.insert("mandate_hash".into(), json!(hash));
        let notice_id = NoticeId::fresh(at, self.rng());
        let mut notice = self.statement(StatementKind::Notice, notice_id.as_str(), &by, json!(words), at);
        for signer in &own {
            notice.approve(signer)?;
        }
        let mut statements = vec![mandate, notice];
        let steps = [
            (State::Draft, State::Consulted, Text::new("The comment period is over.", "意見徵詢期滿。")),
            (State::Consulted, State::Approved, Text::new("Two offices approved it.", "經兩個單位核可。")),
            (State::Approved, State::Published, Text::new("The mandate and its notice are public.", "授權令與告知書已公開。")),
            (State::Published, State::Active, Text::new("Two offices activated it.", "經兩個單位啟用。")),
        ];
        for (from, to, reason) in steps {
            let step = LifecycleStep { object: id.as_str(), revision: hash, from, to, reason, grounds: Grounds::default() };
            let signers = if to == State::Active { signers } else { &own };
            statements.push(self.step(&step, &by, signers, at)?);
        }
        Ok(Publication { statements })
    }

    /// Makes the keys that public mandates and services need. Never before publication, and again at start-up, so that a
    /// crash in between only delays them.
    pub(crate) fn make_keys(&self, register: &Register) -> Result<(), Error> {
        for mandate in register.mandates.values().filter(|mandate| mandate.has_key()) {
            self.vault.create_mandate_key(mandate.number, self.rng())?;
        }
        for service in register.services.values().filter(|service| !service.state.is_over()) {
            self.make_sector_key(register, service)?;
        }
        self.make_month_keys(register)
    }

    /// Makes the keys of sectors whose second keeper was away when they began, or was never heard of since, and those of a month that
    /// has begun, and publishes what is not published yet.
    pub(crate) fn make_late_keys(&self) -> Result<(), Error> {
        let _guard = self.publishing();
        let register = self.register();
        let shared = |service: &&Entry<Service>| service.body.pseudonym_mode == PseudonymMode::TwoKeeper;
        for service in register.services.values().filter(|service| !service.state.is_over()).filter(shared) {
            if !self.vault.is_sector_made(register.sector(service), service.body.pseudonym_mode)? {
                self.make_sector_key(&register, service)?;
            }
        }
        self.make_month_keys(&register)?;
        self.publish_new_keys()
    }

    fn make_sector_key(&self, register: &Register, service: &Entry<Service>) -> Result<(), Error> {
        match self.vault.create_sector_key(register.sector(service), service.body.pseudonym_mode, self.rng()) {
            // The second keeper is away. Nobody is known in this sector until it is back, and all else goes on.
            Err(VaultError::Keeper { .. } | VaultError::NoSecondHand | VaultError::NoKey { .. }) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}
