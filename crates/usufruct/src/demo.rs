//! The demo city: its content, its invented residents, and its past.

mod audits;
mod cameras;
pub mod city;
pub mod load;
pub mod official;
pub mod past;
pub mod people;
pub mod sandbox;
pub mod witnesses;
