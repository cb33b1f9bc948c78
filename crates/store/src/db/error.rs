//! What can go wrong between the store and its database.

/// Why the database did not do what it was asked. Every text has two sentences: what happened, what to do.
///
/// No variant ever carries a parameter or a column value: they may be personal data, and errors end up in logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("The database has as much work waiting as it accepts. Try again in a moment.")]
    Busy {},

    #[error("The database has been closed. Open it again before using it.")]
    Closed {},

    #[error("A row that must be unique exists already ({constraint}). Read the existing row or choose another key.")]
    Conflict {
        /// The constraint (PostgreSQL) or the columns (SQLite) that must be unique.
        constraint: String,
    },

    #[error("Other transactions kept changing the same rows, and {attempts} attempts failed. Try again in a moment.")]
    Contended { attempts: u32 },

    #[error(
        "The database could not be written or read safely ({detail}). Stop the server and check the disk before starting it again."
    )]
    Fatal { detail: String },

    #[error("{column} should be {expected} but is {found}. Check that the query and the schema agree.")]
    Inconsistent { column: String, expected: &'static str, found: String },

    #[error(
        "Migration {number} differs from the one this database was made with. Run the release that made the database, or restore the migration."
    )]
    MigrationAltered { number: i64 },

    #[error("The database has migration {number}, which is newer than this program. Run a newer release.")]
    MigrationNewer { number: i64 },

    #[error("Migration {number} does not come after those already applied. Give it the next free number.")]
    MigrationUnordered { number: i64 },

    #[error(
        "Transaction {name} was started by the database's writer itself, which would wait for itself for ever. Use the transaction that is already open."
    )]
    Nested { name: &'static str },

    #[error("Transaction {name} panicked and was rolled back. Report this as a defect.")]
    Panicked { name: &'static str },

    #[error("The statement {statement} writes on a connection for reading. Use a transaction.")]
    ReadOnly { statement: String },

    #[error("The database refused the statement {statement} ({detail}). Check the statement and the schema.")]
    Refused { statement: String, detail: String },

    #[error("Another process has opened this pass and writes now, so this one stops. See that only one of them runs.")]
    Superseded {},

    #[error("The database cannot be reached or used ({detail}), and nothing was changed. Check that it runs, then try again.")]
    Unavailable { detail: String },

    #[error(
        "The connection to the database broke during a commit, so the change may or may not have been made. Read the data again before repeating the change."
    )]
    Unknown {},

    #[error("Deleted rows are still in the files of the database: {why}. {what_to_do}")]
    Unpurged { why: String, what_to_do: &'static str },

    #[error("The database address is not understood. Give sqlite:/path/to/file or postgres://user@host/name.")]
    Url {},
}

impl Error {
    /// For a column whose value does not parse, named as `table.column`.
    pub fn inconsistent(column: &str) -> Self {
        Self::Inconsistent { column: column.to_owned(), expected: "a value this release can read", found: "another".to_owned() }
    }
}

/// The name a statement gives itself in its first line, `-- noun_verb`.
pub(super) fn statement_name(sql: &str) -> String {
    let first = sql.trim_start().lines().next().unwrap_or_default();
    first.strip_prefix("--").map_or("without a name", str::trim).to_owned()
}
