//! The verbs of the command line, one file each.

pub mod audit;
pub mod backup;
pub mod card;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod enrol;
pub mod escrow;
pub mod footprint;
pub mod init;
pub mod invite;
pub mod keeper;
pub mod key;
pub mod mandate;
pub mod migrate;
pub mod mirror;
pub mod publish;
pub mod recover;
pub mod refound;
pub mod restore;
pub mod restore_log;
pub mod serve;
pub mod service;
pub mod verify;
pub mod witness;
