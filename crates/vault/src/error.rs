//! What can go wrong in the vault: what happened, and what to do. No variant carries a key, a number of a resident or data.

use std::io;

use usufruct_core::logged::NotLogged;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the vault did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is overwritten there is not gone.
    #[error(
        "The file is on {name}, and of that it is not known that it keeps no old copies of what is overwritten. Put it on \
         ext4 without data=journal or on xfs, or keep the root in a token or with keepers."
    )]
    CopyOnWrite { name: String },
    /// The files of the key store contradict each other.
    #[error(
        "The key store contradicts itself: {what}. Keep a copy of its folder as it is and start from a live replica; an old \
         backup opens nothing that was erased since."
    )]
    Damaged { what: &'static str },
    /// An escrow, a share from it or an officer's key cannot be what it should.
    #[error("The escrow cannot be used: {what}. Look at it with `usufruct escrow status`, and give what belongs together.")]
    Escrow { what: &'static str },
    /// A counter in a keyring is used up.
    #[error("All 65,536 generations of this {noun} are used. Erase the resident's keys and enrol again.")]
    Exhausted { noun: &'static str },
    /// A key would replace another one silently.
    #[error("There is already a key for this {noun}. Keys are replaced by an erasure only.")]
    Exists { noun: &'static str },
    /// A folder for a new key store holds one already.
    #[error("There is already a key store in this folder. Open it, or choose an empty folder.")]
    FolderTaken,
    /// The operating system refused.
    #[error("The key store could not {action}: {source}. Check the disk and the rights of the folder, then start again.")]
    Io { action: &'static str, source: io::Error },
    /// A keeper of the root said no, or nothing.
    #[error("The keeper {name} did not do it: {why}. See its messages, and `usufruct keeper status`.")]
    Keeper { name: String, why: String },
    /// A keeper is at an epoch that this city never began.
    #[error(
        "The keeper {name} says that it is at epoch {epoch}, which this process never began: it lies, or somebody else has the key by which \
         keepers know the city. Do not stop this server, which has the root in memory; close the keepers' port to everybody else, \
         and follow `The city's key` in docs/operations.md."
    )]
    Ahead { name: String, epoch: u64 },
    /// A name that leads somewhere else.
    #[error("{path} is a symbolic link, and what is overwritten must be the file itself. Put the file there in its place.")]
    Link { path: String },
    /// Another process has the key store open.
    #[error("The key store is in use by another process. Stop that process first; two writers would lose keys.")]
    Locked,
    /// Bytes that were sealed properly do not hold what they should.
    #[error("The content is not in the form this version writes: {what}. Use the version that wrote it.")]
    Malformed { what: &'static str },
    /// No key, so nothing to open or to replace.
    #[error("There is no key for this {noun}. It was destroyed, or it was never made.")]
    NoKey { noun: &'static str },
    /// A sector is set up for two keepers.
    #[error(
        "The pseudonyms of this sector need a second keeper, and none is set up. Name it as `pseudonym_keeper` in the set-up, under \
         `[vault]`."
    )]
    NoSecondHand,
    /// The resident lent nothing under this mandate.
    #[error("The resident lends nothing under this mandate. The grant was withdrawn, or it was never given.")]
    NoLoan,
    /// The use was not recorded by the recorder that belongs to this vault.
    #[error(transparent)]
    NotLogged(#[from] NotLogged),
    /// The token is not there, or there are two of that name.
    #[error("There are {found} tokens called {token}, and one is needed. Connect it, or correct the name in the set-up.")]
    NoToken { token: String, found: usize },
    /// The event is in the log but is no conversion.
    #[error("The logged event is not a conversion. Record a conversion; no other event turns pseudonyms into others.")]
    NotConversion,
    /// The text is no pseudonym.
    #[error("This is not a pseudonym. A pseudonym has 22 characters of base64url.")]
    NotSubject,
    /// The event is in the log but is no use.
    #[error("The logged event is not a use. Record a use; no other event opens data.")]
    NotUse,
    /// The logged use does not name the block.
    #[error("The logged use does not name this block. Record a use that does.")]
    OtherBlock,
    /// The logged use rests on another mandate.
    #[error("The logged use rests on another mandate. Record a use under this one.")]
    OtherMandate,
    /// The keyring or the logged use belongs to someone else.
    #[error("The logged use or the keyring is about another resident. Record a use about this one and load her keyring.")]
    OtherResident,
    /// The file or variable with the PIN of a token.
    #[error("The PIN of the token cannot be had from {place}: {why}. Put it there alone, where only the server can read it.")]
    Pin { place: String, why: String },
    /// An old copy of the slots.
    #[error(
        "The newest root there is belongs to epoch {epoch}, and epoch {reached} was reached before: it was set back to an old copy. Bring \
         the newest one from a live replica, or let the keepers bring it back."
    )]
    SetBack { epoch: u64, reached: u64 },
    /// The resident's key was replaced after the keyring was opened.
    #[error("The resident's key was replaced in the meantime. Load the keyring again and repeat.")]
    Stale,
    /// An earlier write failed, so the state on disk is unknown until the next start.
    #[error("An earlier write to the key store failed, so it writes no more. Check the disk and start again.")]
    Stopped,
    /// The token did not do something.
    #[error("The token {token} did not {action}: {why}. See that it is connected and working, then start again.")]
    Token { token: String, action: &'static str, why: String },
    /// Keys came back, or were never destroyed.
    #[error(
        "The token {token} still lists keys that were to be destroyed, {count} of them: {why}. Make it writable, or remove them with \
         its own tool; nothing is written until they are gone."
    )]
    TokenKept { token: String, count: usize, why: String },
    /// A key of which others may have a copy.
    #[error(
        "The key on the token {token} was not made there, or may leave it, so others may have it. Find out who put it there, and \
         found the root anew."
    )]
    TokenOpen { token: String },
    /// The logged conversion is between other services.
    #[error("The logged conversion is between other services. Record one between these.")]
    OtherServices,
    /// The PIN was refused, or it was better not to try it.
    #[error(
        "The PIN of the token {token} does not open it: {why}. Correct it, and log in once with the token's own tool, which sets the \
         count of wrong tries back."
    )]
    TokenPin { token: String, why: &'static str },
    /// A new vault would stand on keys of another.
    #[error(
        "The token {token} has keys of the vault {vault} already. Open that vault in its own folder; if it never came to be, remove \
         them with the token's own tool."
    )]
    TokenTaken { token: String, vault: String },
    /// Fewer keepers of the root than are needed did what was asked.
    #[error("Only {done} of {needed} keepers that are needed {what}; the others: {others}. Bring them back, then try again.")]
    TooFewKeepers { done: usize, needed: usize, what: &'static str, others: String },
    /// Fewer officers than the escrow asks for.
    #[error("There are {given} officers, and {needed} are needed. Ask more of them.")]
    TooFewOfficers { given: usize, needed: usize },
    /// The mandate is suspended, so its key opens nothing.
    #[error("The key of the mandate is withheld while the mandate is suspended. Nothing opens until the suspension is lifted.")]
    Withheld,
    /// The seal does not open under the keys there are.
    #[error("The seal does not open. The keys were destroyed, or the bytes were changed or belong elsewhere.")]
    Unreadable,
}

impl Error {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
