//! What the pass does, one file per verb. Owns the order of steps and the boundaries of transactions.
//!
//! Every verb is a method of [`App`]. Calls block on the store, so async callers run them on threads that may block.

mod app;
mod authorize;
mod batch;
mod block_names;
mod case;
mod consent;
mod correct;
mod enrol;
mod erase;
mod error;
mod footprint;
mod house;
mod ledger;
mod log_publisher;
mod mark;
mod preview;
mod publish;
mod publish_verifier;
mod receipt;
mod release;
mod restore_log;
mod session;
mod sign_in;
mod sunset;
mod tag_index;
mod token;
mod withdraw;

pub use app::{App, Config, Open};
pub use authorize::{Authorization, AuthorizeRequest};
pub use batch::{BatchAnswer, BatchLine, BatchRequest};
pub use case::{FiledCase, ObjectionRequest};
pub use consent::ConsentOutcome;
pub use correct::OwnBlock;
pub use enrol::{Enrolled, NewResident};
pub use error::Error;
pub use footprint::{Footprint, FootprintLine};
pub use house::House;
pub use log_publisher::Announced;
pub use log_publisher::HeadRow;
pub use preview::{Preview, PreviewBlock};
pub use publish::{LifecycleStep, Publication};
pub use release::{ReleaseRequest, Released};
pub use restore_log::{Restored, rebuild_log, restore_log};
pub use session::OpenSession;
pub use sunset::SunsetReport;
pub use tag_index::TagSegment;
pub use token::{ClientGrant, Exchange, Introspection, Tokens};
pub use usufruct_core as core;
pub use usufruct_log as log;
pub use usufruct_store as store;
pub use usufruct_vault as vault;
pub use withdraw::Withdrawn;
