//! Courier: the port through which letters leave the house.

use std::sync::Arc;

use crate::{App, Error};

/// A letter that says that a message waits in the pass. It says nothing of what is in it, and the same to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Names the letter and nobody: handing over the same one twice makes one of the same name.
    pub name: String,
    pub to: String,
}

/// Brings letters out of the house. What is handed over must be durable when it returns.
pub trait Courier: Send + Sync {
    /// Hands over a letter.
    fn hand_over(&self, mail: &Mail) -> Result<(), Error>;
}

impl App {
    /// From now on letters are handed to this courier. Without one they wait.
    pub fn set_courier(&self, courier: Box<dyn Courier>) {
        self.courier.store(Some(Arc::new(courier)));
    }

    /// Whether there is a courier to whom addresses are of any use.
    pub fn has_courier(&self) -> bool {
        self.courier.load().is_some()
    }
}
