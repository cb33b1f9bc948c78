//! The demo city: its content, its invented residents, and its past.

mod audits;
mod cameras;
mod cases;
pub mod city;
pub mod load;
pub mod official;
mod oversight;
pub mod past;
pub mod people;
pub mod sandbox;
pub mod witnesses;
