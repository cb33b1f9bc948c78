//! Rotate: a key is replaced while what it opens lives on. A copy of the old one opens what was copied with it, and nothing that is
//! stored from then on.

use std::collections::BTreeMap;

use usufruct_store::keyrings;

use crate::{App, Error};

impl App {
    /// Puts a fresh root in the place of the present one: what anybody holds of the old one fits nothing any more.
    pub fn rotate_root(&self) -> Result<(), Error> {
        Ok(self.vault.rotate_root(self.rng()).map(drop)?)
    }

    /// Gives a resident another key, under which her keyring is sealed anew; the keys in it stay, and so does everything she has and
    /// lends. Her old key is destroyed with the old root. After a crash the one or the other key opens, and it can be run again.
    ///
    /// A backup from before opens for her no more, unless the live database is there when it is put back.
    pub fn rotate_resident(&self, resident: u64) -> Result<(), Error> {
        let _guard = self.lock_resident(resident);
        let staged = self.stage(resident, &[])?.ok_or(Error::Unknown { what: "resident" })?;
        let (withdrawals, kept) = self.store_staged(BTreeMap::from([(resident, staged)]))?;
        self.vault.commit_many(withdrawals, self.rng())?;
        let kept = kept.get(&resident).copied();
        self.db.transaction("forget old keyring", move |tx| Ok::<_, Error>(keyrings::delete_others(tx, resident, kept)?))
    }
}
