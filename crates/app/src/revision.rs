//! Revision: a mandate as it read when somebody agreed to it, which may be long ago.

use usufruct_core::Digest;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Entry;
use usufruct_core::statement::Statement;
use usufruct_store::leaves;

use crate::{App, Error};

impl App {
    /// The revision of a mandate with this hash; `None` where there never was one. Its state is that of the mandate now. What an earlier revision
    /// said is read from its statement in the log, whose hash has to be this one.
    pub fn mandate_revision(&self, hash: &Digest) -> Result<Option<Entry<Mandate>>, Error> {
        let register = self.register();
        let Some((present, rev)) = register.revision(hash) else { return Ok(None) };
        if present.hash == *hash {
            return Ok(Some(present.clone()));
        }
        let Some(index) = register.revision_leaf(hash) else { return Ok(None) };
        let corrupt = |what: &str| Error::Corrupt { what: format!("leaf {index}, a mandate: {what}") };
        let leaf = self.db.read(|conn| leaves::range(conn, index, 1))?.into_iter().find(|(found, _)| *found == index);
        let (_, leaf) = leaf.ok_or_else(|| corrupt("it is not there"))?;
        let statement = Statement::from_leaf(&leaf).map_err(|error| corrupt(&error.to_string()))?;
        if statement.hash().ok() != Some(*hash) {
            return Err(corrupt("it is another one"));
        }
        let body = Mandate::read(&statement.body).map_err(|_| corrupt("it does not read"))?;
        Ok(Some(Entry { rev, hash: *hash, index, body, ..present.clone() }))
    }
}
