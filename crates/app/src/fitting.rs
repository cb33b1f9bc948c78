//! Fitting: whether a statement says of this house what is the case. The register has statements and no keys, keepers or disks, so it cannot see that.

use usufruct_core::draft::Problem;
use usufruct_core::log_terms::LogTerms;
use usufruct_core::service::{PseudonymMode, Service};
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::vault_terms::VaultTerms;
use usufruct_log::Error as LogError;

use crate::{App, Error};

impl App {
    /// Refuses terms and modes that are not what this server does. What cannot be read the register explains.
    pub(crate) fn check_fitting(&self, statement: &Statement) -> Result<(), Error> {
        match statement.kind {
            StatementKind::Log => LogTerms::read(&statement.body).map_or(Ok(()), |terms| self.check_terms(&terms)),
            StatementKind::Service => self.check_pseudonym_mode(statement),
            StatementKind::Vault => VaultTerms::read(&statement.body).map_or(Ok(()), |terms| self.check_vault_terms(&terms)),
            _ => Ok(()),
        }
    }

    /// Why this house would not publish a statement of which approvals are missing at most. Whether the log can be read just now is another
    /// matter, which publication tells.
    pub(crate) fn unfit(&self, statement: &Statement) -> Option<Vec<Problem>> {
        match self.check_fitting(statement).and_then(|()| self.check_drawn(statement)) {
            Err(Error::Unlawful(problems)) => Some(problems),
            Err(error @ (Error::Refused { .. } | Error::Log(LogError::Malformed { .. }))) => {
                Some(vec![Problem { field: "body".to_owned(), rule: "other-setup", message: error.to_string() }])
            }
            Ok(()) | Err(_) => None,
        }
    }

    /// A service of two keepers cannot begin where there is no second one.
    fn check_pseudonym_mode(&self, statement: &Statement) -> Result<(), Error> {
        let mode = Service::read(&statement.body).map(|body| body.pseudonym_mode).unwrap_or_default();
        if mode == PseudonymMode::Single || self.vault.has_second_hand() {
            return Ok(());
        }
        let message =
            "The pseudonyms need a second keeper, and this city has none. Set one up, or choose the mode `single`.".to_owned();
        Err(Error::Unlawful(vec![Problem { field: "pseudonym_mode".to_owned(), rule: "no-second-keeper", message }]))
    }

    /// Refuses terms of the vault that are not what this server does: its certificates would not fit them.
    fn check_vault_terms(&self, terms: &VaultTerms) -> Result<(), Error> {
        let class = self.vault.class().to_string();
        let setup = self.config.vault.keepers.as_ref();
        let mut stated: Vec<_> = terms.keepers.iter().map(|keeper| (keeper.name.as_str(), keeper.public.as_str())).collect();
        let mut own: Vec<_> =
            setup.into_iter().flat_map(|setup| &setup.keepers).map(|(name, public)| (&**name, &**public)).collect();
        stated.sort_unstable();
        own.sort_unstable();
        let threshold = setup.map_or(0, |setup| setup.threshold);
        let checks = [
            ("vault", terms.vault == self.config.origin, format!("The key tree is called {}.", self.config.origin)),
            ("slot_class", terms.slot_class == class, format!("The root lies in a slot of class {class}.")),
            (
                "threshold",
                i64::try_from(threshold) == Ok(terms.threshold),
                format!("By the set-up {threshold} keepers bring the root back."),
            ),
            ("keepers", stated == own, "These are not the names and keys of the keepers in the set-up.".to_owned()),
        ];
        let problem = |(field, _, what): (&str, bool, String)| Problem {
            field: field.to_owned(),
            rule: "other-setup",
            message: format!("{what} Publish what is the case."),
        };
        let problems: Vec<Problem> = checks.into_iter().filter(|(_, is_right, _)| !is_right).map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Unlawful(problems)) }
    }
}
