//! What is deposited under a mandate over time: each month has a key, and what was deposited in it ends with that key, in one commit of the
//! tree, whatever old copies hold.
//!
//! The key of a month takes the place of the mandate's own, so the other parent is the loan as ever: what was deposited about a
//! resident ends with her withdrawal too.

use usufruct_core::Digest;
use usufruct_core::event::Form;
use usufruct_core::id::{AgencyId, BlockId};
use usufruct_core::logged::Logged;
use usufruct_core::ports::Rng;
use zeroize::Zeroizing;

use super::Vault;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::seal::Shared;
use crate::tree::{Erased, KeyId};

impl Vault {
    /// Makes the key of one month of a mandate, unless there is one. Months are counted from January 2020.
    pub fn create_month_key(&self, mandate: u64, month: u16, rng: &dyn Rng) -> Result<Digest> {
        self.ensure(KeyId::Month { mandate, month }, rng)
    }

    /// The public commitment of the key of a month, or `None` when there is none.
    pub fn month_commitment(&self, mandate: u64, month: u16) -> Result<Option<Digest>> {
        self.commitment(KeyId::Month { mandate, month })
    }

    /// Seals something that was deposited so that it opens until the end of its month's retention, and no longer than the loan, and only
    /// as what the body `depositor` put in.
    #[expect(clippy::too_many_arguments, reason = "each goes into the data key or is bound to what it seals")]
    pub fn seal_deposit(
        &self,
        keyring: &Keyring,
        mandate: u64,
        month: u16,
        block: &BlockId,
        depositor: &AgencyId,
        plain: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>> {
        self.current_key(keyring)?;
        let shared = self.shared_of_month(keyring, mandate, month)?;
        Ok(shared.seal_by(name(Some(depositor)), keyring.resident(), mandate, block, plain, rng))
    }

    /// As [`Vault::open`], for a deposit: the use must name the block as a value, for a poorer form tells nothing of deposits. `depositor` is
    /// `None` for what was put in before it was kept who did.
    #[expect(clippy::too_many_arguments, reason = "each is compared with the logged use or goes into the data key")]
    pub fn open_deposit(
        &self,
        logged: &Logged,
        keyring: &Keyring,
        mandate: u64,
        month: u16,
        mandate_hash: Digest,
        block: &BlockId,
        depositor: Option<&AgencyId>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.admit(logged, keyring, (mandate, mandate_hash), |(named, form)| named == block && *form == Form::Value)?;
        self.shared_of_month(keyring, mandate, month)?.open_by(name(depositor), keyring.resident(), mandate, block, sealed)
    }

    /// Opens what was deposited about the resident, for her and nobody else.
    pub fn open_own_deposit(
        &self,
        keyring: &Keyring,
        mandate: u64,
        month: u16,
        block: &BlockId,
        depositor: Option<&AgencyId>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.shared_of_month(keyring, mandate, month)?.open_by(name(depositor), keyring.resident(), mandate, block, sealed)
    }

    /// Destroys the keys of months whose time is over, all in one epoch. Months without a key are no mistake.
    pub fn end_months(&self, mandate: u64, months: &[u16], rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        self.destroy(&months_of(mandate, months).collect::<Vec<_>>(), &[], rng)
    }

    /// Destroys a mandate's key, the one that was to follow it and those of its months, all in one epoch, and with them everything lent
    /// under the mandate.
    pub fn sunset(&self, mandate: u64, months: &[u16], rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let own = [KeyId::Mandate(mandate), KeyId::NextMandate(mandate)];
        let ids: Vec<KeyId> = own.into_iter().chain(months_of(mandate, months)).collect();
        self.destroy(&ids, &[], rng)
    }

    fn shared_of_month(&self, keyring: &Keyring, mandate: u64, month: u16) -> Result<Shared> {
        Ok(Shared::of(keyring.loan(mandate)?, &self.key(KeyId::Month { mandate, month })?))
    }
}

/// What a deposit is bound to.
fn name(depositor: Option<&AgencyId>) -> &[u8] {
    depositor.map_or(&[], |depositor| depositor.as_str().as_bytes())
}

pub(super) fn months_of(mandate: u64, months: &[u16]) -> impl Iterator<Item = KeyId> {
    months.iter().map(move |month| KeyId::Month { mandate, month: *month })
}
