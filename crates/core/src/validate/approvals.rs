//! Who speaks, and who approved: every approval is a signature by a present key of a body that may speak.

use std::collections::BTreeSet;

use super::Check;
use crate::agency::{AUTOMATION, SigningKey};
use crate::id::AgencyId;

impl<'a> Check<'a> {
    /// The operator must be the one who speaks, with `needed` roles.
    pub(super) fn operator_speaks(&mut self, needed: usize) {
        match self.register.operator().and_then(|operator| operator.id.parse().ok()) {
            Some(operator) => self.speaker(&operator, needed),
            None => {
                self.note("by", "no-operator", "There is no operator yet. Publish the operator's statement first.".into());
            }
        }
    }

    /// `owner` must be the one who speaks, and `needed` of its people in as many roles must have approved.
    pub(super) fn speaker(&mut self, owner: &AgencyId, needed: usize) {
        self.speaker_with(owner, needed, None);
    }

    /// The same, and two people of another body in two roles must have approved with them where there is one.
    pub(super) fn speaker_with(&mut self, owner: &AgencyId, needed: usize, other: Option<&AgencyId>) {
        if self.statement.by != *owner {
            let by = &self.statement.by;
            self.note("by", "not-the-owner", format!("`{by}` cannot speak for `{owner}`. Let the owner publish it."));
            return;
        }
        if !self.register.agencies.contains_key(owner) {
            self.unknown("by", owner, "agency");
            return;
        }
        let allowed: Vec<&AgencyId> = [owner].into_iter().chain(other).collect();
        let roles = self.approving_roles(&allowed);
        self.enough(&roles, owner, needed);
        if let Some(other) = other {
            self.enough(&roles, other, 2);
        }
    }

    /// The roles that approved, by agency. Every approval must be a valid signature by a present key of one of `allowed`.
    pub(super) fn approving_roles(&mut self, allowed: &[&AgencyId]) -> BTreeSet<(AgencyId, &'a str)> {
        let mut roles = BTreeSet::new();
        for (i, approval) in self.statement.approvals.iter().enumerate() {
            let is_allowed = allowed.contains(&&approval.agency);
            let agency = self.register.agencies.get(&approval.agency).filter(|_| is_allowed);
            match agency.and_then(|agency| agency.body.key(&approval.key)) {
                Some(key) if self.is_valid(i, key) => match self.register.refuses_key(&approval.agency, key, self.statement.at) {
                    Some(since) => {
                        let message = format!(
                            "This is the approval of a person by a key file, and since {since} the city takes passkeys alone of people of `{}`. \
                             Let her approve with her passkey.",
                            approval.agency
                        );
                        self.note(&format!("approvals[{i}]"), "key-file", message);
                    }
                    None => {
                        roles.insert((approval.agency.clone(), key.role.as_str()));
                    }
                },
                _ => self.note(
                    &format!("approvals[{i}]"),
                    "not-valid",
                    "This approval is not a valid signature by a key of the speaking body. Sign again with a key it names."
                        .into(),
                ),
            }
        }
        roles
    }

    /// Whether approval `i` is a signature by this key.
    fn is_valid(&self, i: usize, key: &SigningKey) -> bool {
        let known = self.valid.get(i).and_then(Option::as_deref) == Some(key);
        known || self.statement.approvals.get(i).is_some_and(|approval| approval.verifies(&self.hash, key))
    }

    /// Whether a person approved, and not automata alone.
    pub(super) fn has_person(&self) -> bool {
        let role = |agency: &AgencyId, key: &str| Some(&self.register.agencies.get(agency)?.body.key(key)?.role);
        let mut approvals = self.statement.approvals.iter();
        approvals.any(|approval| role(&approval.agency, &approval.key).is_some_and(|role| role != AUTOMATION))
    }

    /// Where two people are needed, an automaton is not one of them.
    pub(super) fn enough(&mut self, roles: &BTreeSet<(AgencyId, &str)>, owner: &AgencyId, needed: usize) {
        let count = roles.iter().filter(|(agency, role)| agency == owner && (needed == 1 || *role != AUTOMATION)).count();
        if count < needed {
            let message = format!("{count} of {needed} roles of `{owner}` approved. Let people in different roles sign.");
            self.note("approvals", "too-few", message);
        }
    }
}
