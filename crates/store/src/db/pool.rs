//! The connections for reading, lent out one at a time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Connected, Connection, Error};

/// How long a reader waits for a connection before it is told that the database is busy.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Pool {
    idle: Mutex<Vec<Connected>>,
    freed: Condvar,
}

/// A connection on loan; it goes back when dropped, also by a panic.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connected>,
    held: bool,
}

impl Pool {
    pub(super) fn new(connections: Vec<Connected>) -> Self {
        Self { idle: Mutex::new(connections), freed: Condvar::new() }
    }

    pub(super) fn take(&self) -> Result<Lease<'_>, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut idle, _) =
            self.freed.wait_timeout_while(idle, PATIENCE, |idle| idle.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let connection = idle.pop().ok_or(Error::Busy {})?;
        drop(idle);
        let mut lease = Lease { pool: self, connection: Some(connection), held: false };
        if let Some(connection) = &mut lease.connection {
            connection.ready()?;
        }
        Ok(lease)
    }
}

impl Lease<'_> {
    pub(super) fn connection(&mut self) -> &mut dyn Connection {
        // INVARIANT: only `drop` takes the connection out.
        self.connection.as_deref_mut().expect("a lease holds its connection until it is dropped")
    }

    /// Keeps one state of the database in view until the lease ends.
    pub(super) fn hold(&mut self) -> Result<(), Error> {
        if let Some(connection) = &mut self.connection {
            connection.begin_snapshot()?;
            self.held = true;
        }
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            if self.held {
                connection.rollback();
            }
            let _ = connection.failure();
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            self.pool.freed.notify_one();
        }
    }
}
