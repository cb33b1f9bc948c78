//! Publish the hashes of the verifier that browsers are served.

use serde_json::json;
use usufruct_core::id::VerifierId;
use usufruct_core::statement::StatementKind;
use usufruct_core::verifier::VerifierFile;

use crate::{App, Error, Publication};

impl App {
    /// States in public which verifier is served, if that is not what the register says already. Before the operator has
    /// joined the register there is nobody to say it.
    pub fn publish_verifier(&self, files: &[VerifierFile]) -> Result<(), Error> {
        let register = self.register();
        let is_known = register.verifier.as_ref().is_some_and(|entry| entry.body.files == files);
        if is_known || register.operator().is_none() {
            return Ok(());
        }
        let now = self.now();
        let id = match &register.verifier {
            Some(entry) => entry.id.clone(),
            None => VerifierId::fresh(now, self.rng()).to_string(),
        };
        let by = self.automation.agency();
        let mut statement = self.statement(StatementKind::Verifier, &id, by, json!({ "files": files }), now);
        statement.approve(&self.automation)?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }
}
