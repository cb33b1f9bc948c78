//! Objects in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Objects, Stored, check_path};
use crate::error::{Error, Result};

/// Objects in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    /// The paths of all objects.
    pub fn paths(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for Memory {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        match self.lock().entry(path.to_owned()).or_insert_with(|| bytes.to_vec()) == bytes {
            true => Ok(()),
            false => Err(Error::Conflict { path: path.to_owned() }),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        self.lock().insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        check_path(path)?;
        Ok(self.lock().get(path).cloned())
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        check_path(below)?;
        let prefix = format!("{below}/");
        let start = match after {
            Some(after) if *after > *prefix => Bound::Excluded(after.to_owned()),
            _ => Bound::Included(prefix.clone()),
        };
        let objects = self.lock();
        let found = objects.range((start, Bound::Unbounded)).take_while(|(path, _)| path.starts_with(&prefix)).take(limit);
        Ok(found.map(|(path, _)| Stored { path: path.clone(), time: 0 }).collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.lock().remove(path);
        Ok(())
    }
}
