//! Proposal: statements that wait until everybody has approved whose approval they need, and are published at their date.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use usufruct_core::draft::Problem;
use usufruct_core::id::AgencyId;
use usufruct_core::ports::random;
use usufruct_core::publication;
use usufruct_core::register::Register;
use usufruct_core::statement::{Approval, MOST_AT_ONCE, Statement};
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::leaves;
use usufruct_store::proposals::{self, StoredProposal};

use crate::{App, Error, Publication};

/// One statement of a proposal, with the approvals that it has so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    pub statement: Statement,
    /// The bodies that have to approve it, the speaker among them.
    pub bodies: Vec<AgencyId>,
}

/// Statements that are published together, once they are approved and their date has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    pub id: String,
    /// The latest date in it: from then on it is published.
    pub due_at: Time,
    pub statements: Vec<Proposed>,
}

/// How far a proposal has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All approvals are there; it is published at its date.
    Approved,
    /// It cannot be published any more, or never could, for these reasons.
    Unlawful(Vec<Problem>),
    /// Approvals are missing.
    Waiting(Vec<Problem>),
}

/// A proposal as it is shown to who may approve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalView {
    pub id: String,
    pub due_at: Time,
    pub statements: Vec<Proposed>,
    /// `approved`, `unlawful` or `waiting`.
    pub standing: String,
    /// Why it cannot be published now, or what is missing.
    pub reasons: Vec<String>,
}

impl ProposalView {
    /// A proposal, by the register as it is.
    pub fn of(app: &App, proposal: &Proposal) -> Self {
        let (standing, problems) = match app.standing(proposal) {
            Standing::Approved => ("approved", Vec::new()),
            Standing::Unlawful(problems) => ("unlawful", problems),
            Standing::Waiting(problems) => ("waiting", problems),
        };
        Self {
            id: proposal.id.clone(),
            due_at: proposal.due_at,
            statements: proposal.statements.clone(),
            standing: standing.to_owned(),
            reasons: problems.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Proposals of one body that wait at the same time.
const MOST_OF_A_BODY: i64 = 100;
/// Proposals looked at together.
const MOST: i64 = 1_000;
/// How far ahead a proposal is dated at most. The three are the house's own, so that working papers do not gather; what law sets is checked when
/// the statement is published.
const FARTHEST: i64 = 60 * DAY;
/// How long after its date a proposal can still be approved, if nothing newer stands in the register.
const LATEST: i64 = DAY;
/// How long a proposal that was never published is still shown, so that those who waited for it see why.
pub(crate) const PROPOSALS_KEPT: i64 = 14 * DAY;
/// A leaf behind every leaf that there is.
pub(crate) const BEHIND: u64 = 1 << 52;

impl App {
    /// Keeps statements until they are approved. Answers the id under which they are found.
    ///
    /// Approvals that are there already must be valid; what else is wrong with them is said by [`App::standing`] as well as by publication.
    pub fn propose(&self, statements: Vec<Proposed>) -> Result<String, Error> {
        let (now, register) = (self.now(), self.register());
        let Some((first, due_at)) = statements.first().zip(statements.iter().map(|one| one.statement.at).max()) else {
            return Err(Error::refused("The proposal holds no statement.", "Send at least one."));
        };
        if statements.len() > MOST_AT_ONCE {
            return Err(Error::refused("The proposal holds more than 32 statements.", "Divide it."));
        }
        if due_at > now.plus(FARTHEST) {
            return Err(Error::refused(
                "The proposal is dated more than 60 days ahead.",
                "Date it earlier, or propose it later.",
            ));
        }
        for Proposed { statement, bodies } in &statements {
            statement.leaf()?;
            let hash = statement.hash()?;
            if !bodies.contains(&statement.by) || bodies.iter().any(|body| !register.agencies.contains_key(body)) {
                return Err(Error::refused(
                    "A statement does not name the bodies that have to approve it.",
                    "Name bodies of the register, and the one that speaks among them.",
                ));
            }
            let is_valid = |approval: &Approval| {
                let key = register.agencies.get(&approval.agency).and_then(|entry| entry.body.key(&approval.key));
                bodies.contains(&approval.agency) && key.is_some_and(|key| approval.verifies(&hash, key))
            };
            if !statement.approvals.iter().all(is_valid) {
                return Err(Error::refused("An approval in the proposal is not valid.", "Leave it out, or sign again."));
            }
        }
        let proposal = Proposal { id: URL_SAFE_NO_PAD.encode(random::<16>(self.rng())), due_at, statements: Vec::new() };
        let stored = StoredProposal {
            id: proposal.id.clone(),
            agency: first.statement.by.to_string(),
            due_at,
            content: content(&statements)?,
        };
        if let Standing::Unlawful(problems) = self.standing(&Proposal { statements, ..proposal.clone() }) {
            return Err(Error::Unlawful(problems));
        }
        self.db.transaction("keep proposal", move |tx| {
            if proposals::count(tx, &stored.agency)? >= MOST_OF_A_BODY {
                return Err(Error::refused("A hundred proposals of this body wait already.", "Approve some, or take them back."));
            }
            Ok(proposals::insert(tx, &stored)?)
        })?;
        Ok(proposal.id)
    }

    /// The proposals that concern a body, or all of them, by their dates.
    pub fn proposals(&self, body: Option<&AgencyId>) -> Result<Vec<Proposal>, Error> {
        let stored = self.db.read(|conn| proposals::list(conn, MOST))?;
        let mut read = stored.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        read.retain(|proposal| body.is_none_or(|body| proposal.concerns(body)));
        Ok(read)
    }

    /// The proposal with this id.
    pub fn proposal(&self, id: &str) -> Result<Option<Proposal>, Error> {
        self.db.read(|conn| proposals::find(conn, id))?.map(read).transpose()
    }

    /// How far a proposal has come, by the register as it is.
    pub fn standing(&self, proposal: &Proposal) -> Standing {
        let (mut register, mut missing) = ((*self.register()).clone(), None);
        for (Proposed { statement, .. }, index) in proposal.statements.iter().zip(BEHIND..) {
            let wrong = publication::problems(&register, statement);
            if !wrong.is_empty() {
                return Standing::Unlawful(wrong);
            }
            // What comes behind one that waits rests on it, so the register cannot tell of it yet.
            if missing.is_none() {
                missing = register.apply(statement, index).err();
            }
            if let Some(problems) = &missing
                && problems.iter().any(|problem| problem.field != "approvals")
            {
                return Standing::Unlawful(problems.clone());
            }
            if let Some(problems) = self.unfit(statement) {
                return Standing::Unlawful(problems);
            }
        }
        missing.map_or(Standing::Approved, Standing::Waiting)
    }

    /// Adds approvals of a key of `body` to every statement of a proposal that the body has to approve: all of them or none. Where the
    /// proposal is complete and its date has come it is published. Answers whether it was.
    pub fn approve_proposal(&self, id: &str, body: &AgencyId, key: &str, approvals: Vec<Approval>) -> Result<bool, Error> {
        let (register, wanted, body, key) = (self.register(), id.to_owned(), body.clone(), key.to_owned());
        self.db.transaction("approve proposal", move |tx| {
            let mut proposal = proposals::find(tx, &wanted)?.map(read).transpose()?.ok_or_else(gone)?;
            add_approvals(&mut proposal, &register, &body, &key, &approvals)?;
            Ok::<_, Error>(proposals::set_content(tx, &wanted, &content(&proposal.statements)?)?)
        })?;
        self.publish_proposals()?;
        Ok(self.proposal(id)?.is_none())
    }

    /// Takes a proposal back. Any official of a body that has to approve it can.
    pub fn withdraw_proposal(&self, id: &str, body: &AgencyId) -> Result<(), Error> {
        let (id, body) = (id.to_owned(), body.clone());
        self.db.transaction("withdraw proposal", move |tx| {
            let proposal = proposals::find(tx, &id)?.map(read).transpose()?.filter(|proposal| proposal.concerns(&body));
            proposal.ok_or_else(gone)?;
            delete(tx, &id)
        })
    }

    /// Publishes every proposal that is approved and whose date has come, in the way of all statements.
    pub fn publish_proposals(&self) -> Result<(), Error> {
        let now = self.now();
        for proposal in self.proposals(None)?.into_iter().take_while(|proposal| proposal.due_at <= now) {
            let id = proposal.id.clone();
            if self.is_published(&proposal)? {
                // The process ended between the two steps below.
                self.db.transaction("end proposal", move |tx| delete(tx, &id))?;
                continue;
            }
            if self.standing(&proposal) != Standing::Approved || now > proposal.due_at.plus(LATEST) {
                continue;
            }
            let statements = proposal.statements.into_iter().map(|one| one.statement).collect();
            match self.publish(&Publication { statements }) {
                Ok(_) => self.db.transaction("end proposal", move |tx| delete(tx, &id))?,
                // Something came in between. Its page says what.
                Err(Error::Unlawful(_) | Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the revision before said, where a statement is about something that is there already. Nothing once that is not the last one.
    pub fn revision_before(&self, statement: &Statement) -> Result<Option<Value>, Error> {
        let present = self.register().present_revision(statement.kind, &statement.id);
        let Some((_, _, index)) = present.filter(|(_, hash, _)| statement.prev == Some(*hash)) else { return Ok(None) };
        let read = self.db.read(|conn| leaves::range(conn, index, 1))?;
        Ok(read.first().map(|(_, leaf)| Statement::from_leaf(leaf)).transpose()?.map(|before| before.body))
    }

    fn is_published(&self, proposal: &Proposal) -> Result<bool, Error> {
        let Some(Proposed { statement, .. }) = proposal.statements.first() else { return Ok(false) };
        let hash: Digest = statement.hash()?;
        Ok(self.register().present_revision(statement.kind, &statement.id).is_some_and(|(_, present, _)| present == hash))
    }
}

impl Proposal {
    /// Whether a body has to approve something in it.
    pub fn concerns(&self, body: &AgencyId) -> bool {
        self.statements.iter().any(|one| one.bodies.contains(body))
    }
}

fn add_approvals(
    proposal: &mut Proposal,
    register: &Register,
    body: &AgencyId,
    key: &str,
    approvals: &[Approval],
) -> Result<(), Error> {
    let keys = &register.agencies.get(body).ok_or_else(gone)?.body;
    let entry = keys.key(key).ok_or_else(gone)?;
    let mut count = 0;
    for Proposed { statement, .. } in proposal.statements.iter_mut().filter(|one| one.bodies.contains(body)) {
        let hash = statement.hash()?;
        let is_same = |other: &Approval| {
            other.agency == *body
                && keys.key(&other.key).is_some_and(|other| other.role == entry.role || other.person() == entry.person())
        };
        if statement.approvals.iter().any(is_same) {
            return Err(Error::refused(
                "This office has approved the proposal already.",
                "Let an official of another office approve it.",
            ));
        }
        let fits = |approval: &&Approval| approval.agency == *body && approval.key == key && approval.verifies(&hash, entry);
        let approval = approvals.iter().find(fits).ok_or_else(|| {
            Error::refused(
                "The approval does not fit what is proposed now, so nothing was noted.",
                "Open the page again, read what it shows, and approve that.",
            )
        })?;
        statement.approvals.push(approval.clone());
        count += 1;
    }
    if count == 0 { Err(gone()) } else { Ok(()) }
}

fn delete(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    if proposals::delete(tx, id)? { Ok(()) } else { Err(gone()) }
}

fn content(statements: &[Proposed]) -> Result<String, Error> {
    serde_json::to_string(statements).map_err(|error| Error::Corrupt { what: format!("a proposal: {error}") })
}

fn read(stored: StoredProposal) -> Result<Proposal, Error> {
    let statements =
        serde_json::from_str(&stored.content).map_err(|error| Error::Corrupt { what: format!("a proposal: {error}") })?;
    Ok(Proposal { id: stored.id, due_at: stored.due_at, statements })
}

fn gone() -> Error {
    Error::Unknown { what: "proposal" }
}
