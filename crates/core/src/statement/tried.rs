//! Signatures tried before a statement is applied: most of the work of a replay, and it needs nothing but the keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::{LEAF_PREFIX, LONGEST, Malformed, Statement, read};
use crate::Digest;
use crate::agency::{Agency, SigningKey};
use crate::id::AgencyId;
use crate::register::Register;

/// The signing keys that stand in a register at one moment. The fold can go on while signatures are tried under them.
#[derive(Default)]
pub struct SigningKeys {
    /// By the names of the keys, by body.
    bodies: HashMap<AgencyId, HashMap<String, Arc<SigningKey>>>,
}

/// A statement with the result of trying its signatures. Many can be tried at a time before they are applied one after the other.
pub struct Tried {
    statement: Statement,
    hash: Digest,
    /// For each approval the key under which it was found valid.
    valid: Vec<Option<Arc<SigningKey>>>,
}

impl SigningKeys {
    /// The keys of `register` as it stands.
    pub fn of(register: &Register) -> Self {
        let keys = |body: &Agency| body.signing_keys.iter().map(|key| (key.id.clone(), Arc::new(key.clone()))).collect();
        Self { bodies: register.agencies.iter().map(|(id, entry)| (id.clone(), keys(&entry.body))).collect() }
    }

    fn key(&self, agency: &AgencyId, key: &str) -> Option<&Arc<SigningKey>> {
        self.bodies.get(agency)?.get(key)
    }
}

impl Tried {
    /// Tries the approvals under these keys. An approval that does not hold, or that names a key which comes only later, is tried again
    /// when the statement is applied.
    pub fn new(statement: Statement, keys: &SigningKeys) -> Result<Self, Malformed> {
        let hash = statement.hash()?;
        Ok(Self::with_hash(statement, hash, keys))
    }

    /// The same from the leaf of the log that the statement stands in, whose bytes are hashed as they are.
    pub fn from_leaf(leaf: &[u8], keys: &SigningKeys) -> Result<Self, Malformed> {
        let json = leaf.strip_prefix(&LEAF_PREFIX).ok_or(Malformed::Prefix)?;
        match read::in_one_pass(json).filter(|_| json.len() <= LONGEST) {
            Some((statement, rest)) => Ok(Self::with_hash(statement, read::hash(&json[rest..]), keys)),
            None => Self::new(Statement::parse(json)?, keys),
        }
    }

    fn with_hash(statement: Statement, hash: Digest, keys: &SigningKeys) -> Self {
        let approvals = statement.approvals.iter();
        let valid = approvals.map(|approval| {
            let key = keys.key(&approval.agency, &approval.key)?;
            approval.verifies(&hash, key).then(|| Arc::clone(key))
        });
        Self { valid: valid.collect(), statement, hash }
    }

    /// What was read.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    pub(crate) fn parts(&self) -> (&Statement, Digest, &[Option<Arc<SigningKey>>]) {
        (&self.statement, self.hash, &self.valid)
    }
}
