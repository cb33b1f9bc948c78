//! Keys of one algorithm that follow each other.
//!
//! A key is published a day before it first signs and stays published a day after it last did, so that nobody who keeps the key
//! set for a while meets a signature by a key unknown to it. Hints of people who sign out are checked with older keys too.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use serde_json::Value;
use usufruct_app::{App, Error};
use usufruct_core::Time;
use usufruct_core::jwk::Algorithm;
use usufruct_core::time::DAY;

use super::key::{Key, prefix};

pub(super) struct Line {
    app: Arc<App>,
    algorithm: Algorithm,
    /// Oldest first, never empty.
    keys: RwLock<Vec<Arc<Key>>>,
}

impl Line {
    /// Opens the keys of an algorithm, making the first one if there is none.
    pub fn open(app: &Arc<App>, algorithm: Algorithm) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for name in app.house().secrets(prefix(algorithm))? {
            keys.push(Arc::new(Key::open(app, algorithm, name)?));
        }
        if keys.is_empty() {
            keys.push(Arc::new(Key::make(app, algorithm)?));
        }
        keys.sort_by_key(|key| key.made_at);
        Ok(Self { app: Arc::clone(app), algorithm, keys: RwLock::new(keys) })
    }

    /// Whether there are keys of an algorithm already.
    pub fn exists(app: &App, algorithm: Algorithm) -> Result<bool, Error> {
        Ok(!app.house().secrets(prefix(algorithm))?.is_empty())
    }

    /// A token of this type over the claims, signed with the key of now.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Option<String> {
        let keys = self.all();
        keys[signing(&keys, self.app.now())].sign(typ, claims)
    }

    /// The key of this name, however old.
    pub fn find(&self, kid: &str) -> Option<Arc<Key>> {
        self.all().into_iter().find(|key| key.kid == kid)
    }

    /// The public parts of the keys that others have to know now.
    pub fn published(&self) -> Vec<Value> {
        let now = self.app.now();
        let keys = self.all();
        let signing = signing(&keys, now);
        let is_published = |place: usize| {
            // The end of a key is the begin of the next one.
            place >= signing || keys.get(place + 1).is_some_and(|next| now <= next.made_at.plus(LEAD + KEPT))
        };
        keys.iter().enumerate().filter(|(place, _)| is_published(*place)).map(|(_, key)| key.jwk.clone()).collect()
    }

    /// The keys, after a new one was made where it is time. Where that fails the old ones go on.
    fn all(&self) -> Vec<Arc<Key>> {
        let now = self.app.now();
        let is_due = |keys: &[Arc<Key>]| keys.last().is_none_or(|newest| now >= newest.made_at.plus(LIFE));
        {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            if !is_due(&keys) {
                return keys.clone();
            }
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if is_due(&keys) {
            match Key::make(&self.app, self.algorithm) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(error) => tracing::error!(%error, "no new signing key could be made, the old one goes on"),
            }
            while keys.len() > MOST {
                let gone = keys.remove(0);
                if let Err(error) = self.app.house().forget_secret(&gone.name) {
                    tracing::error!(%error, "an old signing key could not be removed");
                }
            }
        }
        keys.clone()
    }
}

/// The place of the key that signs now: the newest that was public for a day, or the first one there ever was.
fn signing(keys: &[Arc<Key>], now: Time) -> usize {
    keys.iter().rposition(|key| key.made_at.plus(LEAD) <= now).unwrap_or(0)
}

/// A key is replaced after this long.
const LIFE: i64 = 90 * DAY;
/// A key is public for this long before it signs.
const LEAD: i64 = DAY;
/// A key is public for this long after it last signed; longer than any token and any cache.
const KEPT: i64 = DAY;
/// Keys kept for checking hints, the newest ones.
const MOST: usize = 4;
