//! What statements said, read again from the log: the register keeps the hash of an old revision, and its leaf keeps the words.

use usufruct_core::Digest;
use usufruct_core::mandate::Mandate;
use usufruct_core::register::{Entry, Outline};
use usufruct_core::statement::{LEAF_PREFIX, Statement};
use usufruct_store::leaves;

use crate::app::App;
use crate::error::Error;

/// A statement as it stands in the log.
pub struct Said {
    /// Number of its leaf.
    pub index: u64,
    pub statement: Statement,
    /// Its canonical JSON, byte for byte.
    pub json: Vec<u8>,
}

impl App {
    /// The statement in leaf `index`. `None` where there is no such leaf, or it is the line of somebody's footprint.
    pub fn said(&self, index: u64) -> Result<Option<Said>, Error> {
        let found = self.db().read(|conn| leaves::range(conn, index, 1))?;
        let leaf = found.into_iter().find(|(found, leaf)| *found == index && leaf.starts_with(&LEAF_PREFIX));
        let read = |(index, leaf): (u64, Vec<u8>)| {
            let statement =
                Statement::from_leaf(&leaf).map_err(|error| Error::Corrupt { what: format!("leaf {index}: {error}") })?;
            Ok(Said { index, statement, json: leaf[LEAF_PREFIX.len()..].to_vec() })
        };
        leaf.map(read).transpose()
    }

    /// The revision of an object before the one in leaf `before`. `None` where that one is the first.
    pub fn said_before(&self, object: &Outline<'_>, before: u64) -> Result<Option<Said>, Error> {
        // Between two revisions stand only status changes, and those of other kinds than the object's are passed over.
        for step in object.history.iter().rev().filter(|step| step.index < before) {
            if let Some(said) = self.said(step.index)?.filter(|said| said.statement.kind == object.kind) {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }
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
        let said = self.said(index)?.ok_or_else(|| corrupt("it is not there"))?;
        if said.statement.hash().ok() != Some(*hash) {
            return Err(corrupt("it is another one"));
        }
        let body = Mandate::read(&said.statement.body).map_err(|_| corrupt("it does not read"))?;
        Ok(Some(Entry { rev, hash: *hash, index, body, ..present.clone() }))
    }
}
