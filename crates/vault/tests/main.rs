//! The key tree, its keepers and its pseudonyms. One program, so that it is linked once.

mod town;

mod keeper_faults;
mod keeper_thief;
mod keepers;
mod places;
mod pseudonyms;
mod token;
mod vault;
