//! Where the key of an id stands in the tree.

use super::page::FANOUT;
use crate::tree::{HouseKey, KeyId};

/// A part of the tree with a height of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Segment {
    Residents,
    Mandates,
    Months,
    Sectors,
    House,
}

impl Segment {
    pub(super) const ALL: [Self; 5] = [Self::Residents, Self::Mandates, Self::Months, Self::Sectors, Self::House];

    /// The level of a page of this segment, `height` steps above the keys.
    pub(super) fn level(self, height: u8) -> u32 {
        ((self as u32) << 8) | u32::from(height)
    }
}

/// The segment and the number of a key in it.
pub(super) fn place(id: KeyId) -> (Segment, u64) {
    match id {
        KeyId::Resident(number) => (Segment::Residents, number),
        KeyId::Mandate(number) => (Segment::Mandates, number),
        // A mandate has room for the months of nearly a hundred years, of which the pages that are used come into being.
        KeyId::Month { mandate, month } => (Segment::Months, mandate * MONTHS + u64::from(month) % NEXT),
        KeyId::NextMandate(number) => (Segment::Months, number * MONTHS + NEXT),
        KeyId::Sector(number) => (Segment::Sectors, number),
        KeyId::House(HouseKey::SeedIndex) => (Segment::House, 0),
        KeyId::House(HouseKey::Session) => (Segment::House, 1),
        KeyId::Second(number) => (Segment::House, HOUSE_KEYS + number),
    }
}

/// The id whose key stands at this place. The other way round from [`place`].
pub(super) fn id_at(segment: Segment, number: u64) -> Option<KeyId> {
    Some(match segment {
        Segment::Residents => KeyId::Resident(number),
        Segment::Mandates => KeyId::Mandate(number),
        Segment::Months if number % MONTHS == NEXT => KeyId::NextMandate(number / MONTHS),
        Segment::Months => KeyId::Month { mandate: number / MONTHS, month: (number % MONTHS) as u16 },
        Segment::Sectors => KeyId::Sector(number),
        Segment::House if number == 0 => KeyId::House(HouseKey::SeedIndex),
        Segment::House if number == 1 => KeyId::House(HouseKey::Session),
        Segment::House => KeyId::Second(number.checked_sub(HOUSE_KEYS)?),
    })
}

/// How many levels a tree needs so that there is room for this number.
pub(super) fn height_for(number: u64) -> u8 {
    let (mut height, mut room) = (1, FANOUT as u64);
    while number >= room {
        room = room.saturating_mul(FANOUT as u64);
        height += 1;
    }
    height
}

/// The index of the page at `height` above this number.
pub(super) fn page_of(number: u64, height: u8) -> u64 {
    (0..=height).fold(number, |number, _| number / FANOUT as u64)
}

/// The cell in its page of the child with this number, a key or a page.
pub(super) fn cell_of(number: u64) -> usize {
    (number % FANOUT as u64) as usize
}

/// Places of a mandate among the months.
const MONTHS: u64 = 1_200;
/// The last of them, that of the key which is to follow its own.
const NEXT: u64 = MONTHS - 1;
/// Room for the house's own keys; what is noted of second keepers stands behind.
const HOUSE_KEYS: u64 = 16;
