//! The program, started as its operators start it. One program, so that it is linked once.

#[path = "../../app/tests/common/authority.rs"]
mod authority;
mod common;
#[path = "../../app/tests/common/mod.rs"]
mod house;
mod insider;
mod town;
mod visitor;

mod architecture;
mod assessment;
mod backup;
mod breach;
mod bucket;
mod certificate;
mod certificate_card;
mod city;
mod connections;
mod contract;
mod deletions;
mod demo;
mod drafts;
mod drills;
mod escrow;
mod footprint;
mod help;
mod keeper;
mod keeper_lines;
mod keeper_memory;
mod lawpack;
mod memory;
mod mirror;
mod monitor;
mod nights;
mod nodes;
mod overtaken;
mod proposal;
mod receipts;
mod recount;
mod refound;
mod roster;
mod rotate;
mod safe_side;
mod service;
mod token;
mod witness;
