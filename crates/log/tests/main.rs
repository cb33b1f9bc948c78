//! The log against golden files, other implementations and a disk that fails. One program, so that it is linked once.

mod support;

mod faults;
mod formats;
mod golden;
mod mirror;
mod mirror_faults;
mod oracles;
mod policies;
mod publishing;
mod vectors;
mod witness;
