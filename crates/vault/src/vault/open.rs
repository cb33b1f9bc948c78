//! Lending: seal a block so that a mandate opens it, and open it for a use that is in the log.

use usufruct_core::Digest;
use usufruct_core::event::{Form, Kind};
use usufruct_core::hash::equal;
use usufruct_core::id::BlockId;
use usufruct_core::logged::Logged;
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::Vault;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::seal::Shared;
use crate::tree::{Key, KeyId};

impl Vault {
    /// Seals a block so that uses under `mandate` can open it. The keyring must lend under that mandate.
    pub fn lend_block(
        &self,
        keyring: &Keyring,
        resident: u64,
        mandate: u64,
        block: &BlockId,
        plain: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>> {
        self.current_key(keyring)?;
        let loan = loan(keyring, resident, mandate)?;
        let key = match self.tree.get(KeyId::NextMandate(mandate))? {
            // The present key is about to go, and what is sealed now must not go with it.
            Some(next) => next,
            None => self.key(KeyId::Mandate(mandate))?,
        };
        Ok(Shared::of(loan, &key).seal(resident, mandate, block, plain, rng))
    }

    /// Opens a lent block for a use that is in the log (design.md section 3, identity-provider.md 6.5).
    ///
    /// No other function opens one. The use must be a use, rest on the mandate revision `mandate_hash`, name the block, and be
    /// about the resident of the keyring: its tag is recomputed. The mandate must not be suspended ([`Vault::withhold`]). Deposits have doors of their own,
    /// [`Vault::open_deposit`] for uses and [`Vault::open_own_deposit`] for the resident.
    ///
    /// Without a logged use the call does not type-check:
    ///
    /// ```compile_fail,E0308
    /// # use usufruct_core::{Digest, event::Event, id::BlockId};
    /// # use usufruct_vault::{Keyring, Vault};
    /// fn release(vault: &Vault, event: &Event, keyring: &Keyring, mandate: Digest, block: &BlockId, sealed: &[u8]) {
    ///     let _ = vault.open(event, keyring, 1, 7, mandate, block, sealed);
    /// }
    /// ```
    ///
    /// With one it does:
    ///
    /// ```
    /// # use usufruct_core::{Digest, id::BlockId, logged::Logged};
    /// # use usufruct_vault::{Keyring, Vault};
    /// fn release(vault: &Vault, logged: &Logged, keyring: &Keyring, mandate: Digest, block: &BlockId, sealed: &[u8]) {
    ///     let _ = vault.open(logged, keyring, 1, 7, mandate, block, sealed);
    /// }
    /// ```
    ///
    /// And the parts it is made of cannot be reached:
    ///
    /// ```compile_fail,E0603
    /// use usufruct_vault::seal::Shared;
    /// ```
    #[expect(clippy::too_many_arguments, reason = "each is compared with the logged use or goes into the data key")]
    pub fn open(
        &self,
        logged: &Logged,
        keyring: &Keyring,
        resident: u64,
        mandate: u64,
        mandate_hash: Digest,
        block: &BlockId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.admit(logged, keyring, (mandate, mandate_hash), |(named, _)| named == block)?;
        self.open_lent(keyring, resident, mandate, block, sealed)
    }

    /// Whether a logged use is about this resident, under this mandate, which is not suspended, and names what `is_named` looks for.
    pub(super) fn admit(
        &self,
        logged: &Logged,
        keyring: &Keyring,
        (mandate, mandate_hash): (u64, Digest),
        is_named: impl Fn(&(BlockId, Form)) -> bool,
    ) -> Result<()> {
        let event = self.gate.admit(logged)?;
        if event.kind != Kind::Use {
            return Err(Error::NotUse);
        }
        if event.mandate != Some(mandate_hash) {
            return Err(Error::OtherMandate);
        }
        self.refuse_withheld(mandate, event.at)?;
        if !event.blocks.iter().any(is_named) {
            return Err(Error::OtherBlock);
        }
        if !equal(&keyring.tag(event.n), logged.tag()) {
            return Err(Error::OtherResident);
        }
        self.current_key(keyring).map(drop)
    }

    /// Whether a copy on loan opens under this keyring and today's key of its mandate. For drills: nobody gets to see what is in it.
    pub fn opens_lent(&self, keyring: &Keyring, mandate: u64, block: &BlockId, sealed: &[u8]) -> bool {
        self.open_lent(keyring, keyring.resident(), mandate, block, sealed).is_ok()
    }

    /// While the key of the mandate is being replaced, a copy opens under the old one or the new one.
    fn open_lent(
        &self,
        keyring: &Keyring,
        resident: u64,
        mandate: u64,
        block: &BlockId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let loan = loan(keyring, resident, mandate)?;
        // In this order: if the new key takes the place of the old one in between, it is found there.
        let next = self.tree.get(KeyId::NextMandate(mandate))?;
        let own = self.key(KeyId::Mandate(mandate))?;
        let open = |key: &Key| Shared::of(loan, key).open(resident, mandate, block, sealed);
        match (open(&own), next) {
            (Err(Error::Unreadable), Some(next)) => open(&next),
            (opened, _) => opened,
        }
    }
}

/// The half of the data keys that the resident holds, if the keyring is hers.
fn loan(keyring: &Keyring, resident: u64, mandate: u64) -> Result<&Key> {
    if keyring.resident() == resident { keyring.loan(mandate) } else { Err(Error::OtherResident) }
}
