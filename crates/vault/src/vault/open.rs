//! Lending: seal a block so that a mandate opens it, and open it for a use that is in the log.

use usufruct_core::Digest;
use usufruct_core::event::{Form, Kind, tag};
use usufruct_core::hash::equal;
use usufruct_core::id::BlockId;
use usufruct_core::logged::Logged;
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::Vault;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::seal::Shared;
use crate::tree::KeyId;

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
        Ok(self.shared(keyring, resident, mandate)?.seal(resident, mandate, block, plain, rng))
    }

    /// Opens a lent block for a use that is in the log (design.md section 3, identity-provider.md 6.5).
    ///
    /// No other function opens one. The use must be a use, rest on the mandate revision `mandate_hash`, name the block, and be
    /// about the resident of the keyring: its tag is recomputed. Deposits have doors of their own,
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
        self.admit(logged, keyring, mandate_hash, |(named, _)| named == block)?;
        self.shared(keyring, resident, mandate)?.open(resident, mandate, block, sealed)
    }

    /// Whether a logged use is about this resident, under this mandate, and names what `is_named` looks for.
    pub(super) fn admit(
        &self,
        logged: &Logged,
        keyring: &Keyring,
        mandate_hash: Digest,
        is_named: impl Fn(&(BlockId, Form)) -> bool,
    ) -> Result<()> {
        let event = self.gate.admit(logged)?;
        if event.kind != Kind::Use {
            return Err(Error::NotUse);
        }
        if event.mandate != Some(mandate_hash) {
            return Err(Error::OtherMandate);
        }
        if !event.blocks.iter().any(is_named) {
            return Err(Error::OtherBlock);
        }
        if !equal(&tag(keyring.tag_key(), event.n), logged.tag()) {
            return Err(Error::OtherResident);
        }
        self.current_key(keyring).map(drop)
    }

    /// Whether a copy on loan opens under this keyring and today's key of its mandate. For drills: nobody gets to see what is in it.
    pub fn opens_lent(&self, keyring: &Keyring, mandate: u64, block: &BlockId, sealed: &[u8]) -> bool {
        self.shared(keyring, keyring.resident(), mandate)
            .and_then(|shared| shared.open(keyring.resident(), mandate, block, sealed))
            .is_ok()
    }

    fn shared(&self, keyring: &Keyring, resident: u64, mandate: u64) -> Result<Shared> {
        if keyring.resident() != resident {
            return Err(Error::OtherResident);
        }
        Ok(Shared::of(keyring.loan(mandate)?, &self.key(KeyId::Mandate(mandate))?))
    }
}
