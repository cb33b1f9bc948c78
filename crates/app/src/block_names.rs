//! From block ids to the numbers the store uses, and back.

use usufruct_core::id::BlockId;
use usufruct_core::register::Register;

use crate::Error;

/// The number of a block.
pub(crate) fn number(register: &Register, block: &BlockId) -> Result<u64, Error> {
    register.blocks.get(block).map(|entry| entry.number).ok_or(Error::Unknown { what: "data block" })
}

/// The block with a number.
pub(crate) fn id(register: &Register, number: u64) -> Option<&BlockId> {
    register.blocks.iter().find(|(_, entry)| entry.number == number).map(|(id, _)| id)
}
