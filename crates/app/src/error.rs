//! What can go wrong in a use case, in two sentences.

use usufruct_core::decide::Clause;
use usufruct_core::draft::Problem;
use usufruct_store::db;

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The data could not be opened. {0}")]
    Vault(#[from] usufruct_vault::Error),

    #[error("The log could not be written or read. {0}")]
    Log(#[from] usufruct_log::Error),

    #[error(transparent)]
    Store(#[from] db::Error),

    #[error("The statement is not lawful: {} problems. {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Unlawful(Vec<Problem>),

    #[error("The statement cannot be written. {0}")]
    Statement(#[from] usufruct_core::statement::Malformed),

    #[error(
        "The pseudonyms of this service are being replaced, and the old ones lead to nobody any more. Try again in a minute with the new one."
    )]
    Rotating,

    #[error("The register changed while the request was decided. Send the request again.")]
    Stale,

    #[error(
        "The log has not published this use in time, so nothing was released. Try again; the operator is told when witnesses are late."
    )]
    Unpublished,

    #[error(
        "The use is in the log as number {index}, but what it rested on ended before anything was opened, so nothing was released. Send \
         the request again to learn why."
    )]
    Unopened { index: u64 },

    #[error(
        "What is kept of the resident's permission does not fit what she lent, so nothing was released. Tell the operator; the resident can \
         withdraw and agree again."
    )]
    Altered,

    #[error("There is no such {what}. Check the name and try again.")]
    Unknown { what: &'static str },

    #[error("The access token has ended, so nothing was done by it. Get a new one and send the request again.")]
    Unborne,

    #[error("This {what} was used before. Make a new one for each request.")]
    Replayed { what: &'static str },

    #[error("There is no such authorization of this resident for the service. Leave grant_id out, or ask for another one.")]
    NoAuthorization,

    #[error("This step needs a passkey that has just been used. Show your passkey and come back to this step.")]
    NotFresh,

    #[error("This was not given to you, or it has ended. Act for yourself, or ask the person to give it to you.")]
    NotGiven,

    #[error("The scope is wider than what was granted. Ask for less, or send the resident to agree to more.")]
    WiderScope,

    #[error("Nothing is sent to this address. Give the one that stands in the register as the service's signals_uri.")]
    ForeignAddress,

    #[error("This was asked a moment ago. Wait {seconds} seconds between two times.")]
    TooSoon { seconds: i64 },

    #[error("{what} {remedy}")]
    Refused { what: String, remedy: String },

    #[error("The use is not lawful now. It was refused under: {}.", .0.iter().map(|clause| clause.code()).collect::<Vec<_>>().join(", "))]
    Unpermitted(Vec<Clause>),

    #[error(
        "The log holds something this program cannot read ({what}). Run `usufruct doctor` and restore the log from a mirror."
    )]
    Corrupt { what: String },

    #[error("A file of the data directory cannot be used: {what}. Check the directory and its permissions.")]
    House { what: String },
}

impl Error {
    /// Whether the same request may be granted in a moment: somebody who is needed is away, or was busy.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Rotating | Self::Stale | Self::Unpublished | Self::Log(usufruct_log::Error::Outside { .. }) => true,
            Self::Store(error) => matches!(error, db::Error::Busy {} | db::Error::Contended { .. }),
            Self::Vault(error) => {
                matches!(error, usufruct_vault::Error::Keeper { .. } | usufruct_vault::Error::TooFewKeepers { .. })
            }
            _ => false,
        }
    }

    pub(crate) fn refused(what: &str, remedy: &str) -> Self {
        Self::Refused { what: what.to_owned(), remedy: remedy.to_owned() }
    }
}
