//! The law of the register, without a store. One program, so that it is linked once.

mod common;

mod agreements;
mod approvals;
mod assessments;
mod basis;
mod bodies;
mod body_audits;
mod brake;
mod breach;
mod cameras;
mod consultation;
mod contracts;
mod conversion;
mod covert;
mod demanded;
mod emergency;
mod event;
mod foreign;
mod lawpack;
mod mandate;
mod manner;
mod measures;
mod notice_life;
mod notices;
mod oversight;
mod recount;
mod statement;
mod vendors;
