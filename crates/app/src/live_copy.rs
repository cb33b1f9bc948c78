//! A copy of the database that is said to be the live one is held against the log and the key tree, before a restored
//! database takes anything from it. An old copy that passed for the live one would bring back what ended since.

use std::collections::HashSet;

use usufruct_core::event::LEAF_PREFIX;
use usufruct_core::id::CertificateId;
use usufruct_core::ports::Rng;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_log::{Checkpoint, Reader, Source, Verifier, checkpoint};
use usufruct_store::db::Db;
use usufruct_store::log_head::Published;
use usufruct_store::residents::ResidentState;
use usufruct_store::{erasures, keyrings, lines, log_head, residents};
use usufruct_vault::{Error as VaultError, Vault};

use crate::app::replay;
use crate::key_tree::look;
use crate::restore_log::keys;
use crate::{Config, Error, House, RootPlace};

/// Why a copy is not the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("The copy belongs to another pass, or to another history of this one. Name the replica of this pass.")]
    Foreign,

    #[error(
        "The copy is older than the backup: it has {copy} leaves, and the backup {backup}. Leave it out, and use --without-live."
    )]
    OlderThanBackup { copy: u64, backup: u64 },

    #[error(
        "The pages of the key tree in the copy open under no root there is. Without the newest pages nothing opens; find the replica, or \
         found the pass anew with `usufruct refound`."
    )]
    OldPages,

    #[error(
        "The copy is behind the log: it has {copy} leaves, and the log {log}. It is an old copy and no replica; find the replica, or \
         go on with it on the safe side with --live-is-old."
    )]
    Behind { copy: u64, log: u64 },

    #[error(
        "The copy does not know {count} erasures that published certificates prove. It was made before them; find the replica, or go \
         on with it on the safe side with --live-is-old."
    )]
    LacksErasure { count: u64 },

    #[error(
        "The copy shows {count} residents as living whose keys are gone from the key tree. It was made before they were erased; find \
         the replica, or go on with it on the safe side with --live-is-old."
    )]
    KeyGone { count: u64 },

    #[error(
        "The copy holds keyrings of {count} residents that are older than their keys. It was made before they withdrew something; \
         find the replica, or go on with it on the safe side with --live-is-old."
    )]
    OldKeyring { count: u64 },

    #[error(
        "The copy ends before events of {count} residents that are in the log. Their numbers would be used twice; find the replica, or \
         go on with it on the safe side with --live-is-old."
    )]
    LacksLine { count: u64 },
}

impl Doubt {
    /// Whether the copy is of no use at all, not even as an old one.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Foreign | Self::OlderThanBackup { .. } | Self::OldPages)
    }
}

/// What a copy is compared with.
pub struct Comparison<'a> {
    pub config: &'a Config,
    pub house: &'a House,
    /// Where the root of the key tree lies; `None` for the file in the data directory.
    pub root: Option<Box<dyn RootPlace>>,
    /// The newest copy of the log there is; `None` when only the database has it.
    pub log: Option<&'a dyn Source>,
    /// Leaves that the backup holds at least.
    pub backup: u64,
}

impl Comparison<'_> {
    /// Every reason why `live` is not the live copy; none when it may be taken for it. Changes nothing.
    pub fn doubts(self, live: &Db, rng: &dyn Rng) -> Result<Vec<Doubt>, Error> {
        let (signer, post_quantum) = keys(self.config, self.house, rng)?;
        let verifiers: [&dyn Verifier; 2] = [&signer, &post_quantum];
        let origin = &self.config.origin;
        let (size, head) = live.snapshot(|conn| Ok::<_, Error>((log_head::size(conn)?, log_head::published(conn)?)))?;
        let public = self.log.map(|log| checkpoint::fetch(log, origin, &verifiers)).transpose()?.map(|(public, _)| public);
        if !is_of_this_pass(head.as_ref(), origin, &verifiers, self.log.zip(public.as_ref())) {
            return Ok(vec![Doubt::Foreign]);
        }
        let mut doubts = Vec::new();
        if size < self.backup {
            doubts.push(Doubt::OlderThanBackup { copy: size, backup: self.backup });
        }
        let longest = public.as_ref().map_or(0, Checkpoint::size);
        if size < longest {
            doubts.push(Doubt::Behind { copy: size, log: longest });
        }
        let known = live.read(|conn| lines::last_index(conn))?.map_or(0, |index| index + 1);
        let said = match self.log.zip(public) {
            Some((log, public)) => Said::in_log(log, public, known)?,
            None => Said { certificates: replay(live)?.certificates.into_keys().collect(), tags: HashSet::new() },
        };
        doubts.extend(lacks_erasures(live, &said.certificates)?);
        let vault = match look(&self.config.vault, self.root, self.house, live, rng) {
            Err(Error::Vault(VaultError::Damaged { .. })) if self.config.vault.pages_in_database => {
                doubts.push(Doubt::OldPages);
                return Ok(doubts);
            }
            vault => vault?,
        };
        doubts.extend(of_residents(live, &vault, &said.tags)?);
        Ok(doubts)
    }
}

/// What the log says that a live copy must know.
struct Said {
    certificates: Vec<CertificateId>,
    /// Marks of the events after the last line of the copy.
    tags: HashSet<[u8; 32]>,
}

impl Said {
    fn in_log(log: &dyn Source, public: Checkpoint, known: u64) -> Result<Self, Error> {
        let mut said = Self { certificates: Vec::new(), tags: HashSet::new() };
        Reader::new(log, public).entries(0, |index, entry| {
            if let Some((_, tag)) = event_of(entry) {
                if index >= known {
                    said.tags.insert(tag);
                }
            } else if let Ok(statement) = Statement::from_leaf(entry)
                && statement.kind == StatementKind::Certificate
            {
                said.certificates.extend(statement.id.parse::<CertificateId>());
            }
            Ok(())
        })?;
        said.certificates.sort_unstable();
        said.certificates.dedup();
        Ok(said)
    }
}

/// The commitment and the mark of a sealed leaf; `None` of any other one.
pub(crate) fn event_of(leaf: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let (commitment, tag) = leaf.strip_prefix(&LEAF_PREFIX)?.split_first_chunk::<32>()?;
    Some((*commitment, tag.try_into().ok()?))
}

/// Whether the copy is signed by the keys of this pass, and its head lies on the history of the log.
fn is_of_this_pass(
    head: Option<&Published>,
    origin: &str,
    verifiers: &[&dyn Verifier],
    log: Option<(&dyn Source, &Checkpoint)>,
) -> bool {
    let signed = head.and_then(|head| checkpoint::open(&head.note, origin, verifiers).ok());
    let Some((signed, _)) = signed else { return false };
    match log {
        // A copy of the log that has not seen so much says nothing about it.
        Some((log, public)) if signed.size() <= public.size() => Reader::new(log, public.clone()).consistency(&signed).is_ok(),
        _ => true,
    }
}

fn lacks_erasures(live: &Db, certificates: &[CertificateId]) -> Result<Option<Doubt>, Error> {
    let mut count = 0;
    for certificate in certificates {
        count += u64::from(!live.read(|conn| erasures::is_known(conn, certificate))?);
    }
    Ok((count > 0).then_some(Doubt::LacksErasure { count }))
}

fn of_residents(live: &Db, vault: &Vault, tags: &HashSet<[u8; 32]>) -> Result<Vec<Doubt>, Error> {
    let (mut gone, mut old, mut lacking) = (0, 0, 0);
    let mut after = None;
    loop {
        let batch = live.read(|conn| residents::list(conn, after, BATCH))?;
        let Some(last) = batch.last() else { break };
        after = Some(*last);
        for resident in batch {
            let (state, sealed, last) = live.snapshot(|conn| {
                let state = residents::state(conn, resident)?;
                Ok::<_, Error>((state, keyrings::candidates(conn, resident)?, lines::last(conn, resident)?))
            })?;
            if state.is_none_or(|state| state == ResidentState::Erased) {
                continue;
            }
            if vault.resident_commitment(resident)?.is_none() {
                gone += 1;
                continue;
            }
            let sealed: Vec<&[u8]> = sealed.iter().map(|(_, sealed)| sealed.as_slice()).collect();
            match vault.keyring(resident, &sealed) {
                Ok(keyring) => lacking += u64::from(tags.contains(&keyring.tag(last.map_or(0, |(n, _)| n + 1)))),
                Err(_) => old += 1,
            }
        }
    }
    let doubts = [Doubt::KeyGone { count: gone }, Doubt::OldKeyring { count: old }, Doubt::LacksLine { count: lacking }];
    Ok(doubts.into_iter().zip([gone, old, lacking]).filter(|(_, count)| *count > 0).map(|(doubt, _)| doubt).collect())
}

/// Residents looked at in one go.
const BATCH: usize = 500;
