//! Restore the log from a copy elsewhere, after its files or its rows were lost or deleted.

use std::sync::Arc;

use usufruct_core::event;
use usufruct_core::ports::Rng;
use usufruct_log::{
    Checkpoint, Cosigner as _, Ed25519Signer, Error as LogError, Head as _, MlDsaCosigner, Note, Objects, Part, Reader, Source,
    Verifier, VerifierKey, checkpoint, cosignature, rebuild_tiles,
};
use usufruct_store::db::{Db, Options};
use usufruct_store::log_head::{self, Published};
use usufruct_store::{MIGRATIONS, leaves, lines};

use crate::log_publisher::{CommittedLeaves, HeadRow};
use crate::{Config, Error, House};

/// Leaves compared and stored at once.
const BATCH: usize = 5_000;

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Leaves under the checkpoint of the copy.
    pub copied: u64,
    /// Leaves that were missing here.
    pub leaves: u64,
    /// Files that were missing or damaged here.
    pub files: u64,
    /// Leaves there are now.
    pub size: u64,
    /// Sealed leaves under the checkpoint of the copy, filler among them.
    pub sealed: u64,
    /// Footprint lines that are here for all sealed leaves. The log holds none, so missing ones stay missing.
    pub lines: u64,
}

/// Brings back what is missing here from `copy`, such as a mirror, everything verified under this log's own key. What is
/// here already is compared with it, and nothing is ever overwritten that differs.
///
/// Run it while no server holds the data directory. With `key`, the log must be the one that this key belongs to. The log
/// holds no sealed lines; those must come from a backup of the database, or they are lost.
pub fn restore_log(
    config: &Config,
    house: &House,
    objects: &Arc<dyn Objects>,
    copy: &dyn Source,
    key: Option<&VerifierKey>,
    rng: &dyn Rng,
) -> Result<Restored, Error> {
    let (signer, post_quantum) = keys(config, house, rng)?;
    if key.is_some_and(|key| key != signer.verifier_key() && key != post_quantum.verifier_key()) {
        return Err(Error::refused(
            "The keys of this data directory do not belong to the log with that key.",
            "Restore into the data directory of that log, with its folder `keys`.",
        ));
    }
    let verifiers: [&dyn Verifier; 2] = [&signer, &post_quantum];
    let (public, note) = checkpoint::fetch(copy, &config.origin, &verifiers)?;

    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default())?;
    db.migrate(MIGRATIONS)?;
    db.transaction("ensure log head", |tx| log_head::ensure(tx))?;
    let mut restored = Restored { copied: public.size(), ..Restored::default() };
    let mut waiting: Vec<(u64, Vec<u8>)> = Vec::with_capacity(BATCH);
    let mut failed = None;
    Reader::new(copy, public.clone())
        .entries(0, |index, entry| {
            restored.sealed += u64::from(entry.starts_with(&event::LEAF_PREFIX));
            waiting.push((index, entry.to_vec()));
            if waiting.len() == BATCH {
                match take(&db, std::mem::take(&mut waiting)) {
                    Ok(added) => restored.leaves += added,
                    Err(error) => {
                        failed = Some(error);
                        return Err(LogError::Stopped);
                    }
                }
            }
            Ok(())
        })
        .or_else(|error| failed.take().map_or(Err(Error::Log(error)), Err))?;
    restored.leaves += take(&db, waiting)?;
    restored.lines = db.read(lines::count)?;
    restored.size = set_head(&db, &public, &signed_by_the_log(&note, &verifiers)?)?;
    let leaves = CommittedLeaves::new(&db)?;
    let head = HeadRow::new(&db);
    restored.files = rebuild_tiles(objects, &head, &verifiers, &config.origin, &leaves)?;
    if Objects::fetch(objects, checkpoint::PATH)?.is_none()
        && let Some(head) = head.load()?
        && head.size == public.size()
    {
        objects.replace(checkpoint::PATH, note.to_string().as_bytes())?;
        restored.files += 1;
    }
    Ok(restored)
}

/// Writes the files of the log anew from the leaves in the database, where they are missing or damaged, and says how many
/// that were. For a log that lost its files and has no mirror.
pub fn rebuild_log(config: &Config, house: &House, objects: &Arc<dyn Objects>, rng: &dyn Rng) -> Result<u64, Error> {
    let (signer, post_quantum) = keys(config, house, rng)?;
    let url = config.database.clone().unwrap_or_else(|| house.database_url());
    let db = Db::open(&url, &Options::default())?;
    db.migrate(MIGRATIONS)?;
    let leaves = CommittedLeaves::new(&db)?;
    Ok(rebuild_tiles(objects, &HeadRow::new(&db), &[&signer, &post_quantum], &config.origin, &leaves)?)
}

/// The keys of the log. Ones made anew would belong to another log, so they must be there.
pub(crate) fn keys(config: &Config, house: &House, rng: &dyn Rng) -> Result<(Ed25519Signer, MlDsaCosigner), Error> {
    house.require_seeds(&["log", "log-ml-dsa"])?;
    let signer = Ed25519Signer::from_seed(&config.origin, &*house.seed("log", rng)?)?;
    Ok((signer, MlDsaCosigner::from_seed(&config.origin, &*house.seed("log-ml-dsa", rng)?)?))
}

/// Compares leaves of the copy with those here and stores the ones that are missing. Answers how many those were.
fn take(db: &Db, copied: Vec<(u64, Vec<u8>)>) -> Result<u64, Error> {
    let Some(from) = copied.first().map(|(index, _)| *index) else { return Ok(0) };
    let here = db.read(|conn| leaves::range(conn, from, copied.len()))?;
    let mut missing = Vec::new();
    let mut here = here.into_iter().peekable();
    for (index, leaf) in copied {
        match here.next_if(|(known, _)| *known == index) {
            Some((_, known)) if known == leaf => {}
            Some(_) => {
                return Err(LogError::Contradiction {
                    one: Part::Leaves,
                    other: Part::Checkpoint,
                    detail: format!("leaf {index} here is another one than in the copy"),
                }
                .into());
            }
            None => missing.push((index, leaf)),
        }
    }
    let count = missing.len() as u64;
    if count > 0 {
        db.transaction("restore leaves", move |tx| {
            missing.iter().try_for_each(|(index, leaf)| leaves::insert(tx, *index, leaf))?;
            Ok::<_, Error>(())
        })?;
    }
    Ok(count)
}

/// Sets how many leaves there are, and the signed head where the one here is older or gone.
fn set_head(db: &Db, public: &Checkpoint, note: &Note) -> Result<u64, Error> {
    let (size, signed) = db.read(|conn| Ok::<_, Error>((log_head::size(conn)?, log_head::published(conn)?)))?;
    // Rows beyond the copy count as long as there is no gap.
    let mut end = public.size();
    loop {
        let rows = db.read(|conn| leaves::range(conn, end, BATCH))?;
        let contiguous = rows.iter().zip(end..).take_while(|((index, _), expected)| index == expected).count() as u64;
        end += contiguous;
        if contiguous < BATCH as u64 {
            break;
        }
    }
    if let Some(signed) = signed.as_ref().filter(|signed| signed.size > end) {
        return Err(Error::refused(
            &format!("This log has signed {} leaves, but only {end} are here or in the copy.", signed.size),
            "Look for a copy that has seen more before anything is signed again.",
        ));
    }
    let time =
        note.signatures().iter().filter(|line| line.bytes().len() > 64).filter_map(|line| cosignature::timestamp(line).ok());
    let published = Published {
        size: public.size(),
        root: public.root().0,
        time: time.max().unwrap_or(0),
        note: note.to_string().into_bytes(),
    };
    db.transaction("restore log head", move |tx| {
        let mut is_ours = log_head::advance(tx, size, end)?;
        if signed.as_ref().is_none_or(|signed| signed.size < published.size) {
            is_ours &= log_head::publish(tx, signed.as_ref().map(|signed| signed.size), &published)?;
        }
        if is_ours { Ok(()) } else { Err(Error::Log(LogError::Moved)) }
    })?;
    Ok(end)
}

/// The checkpoint with the log's own signatures alone, as the head is kept.
fn signed_by_the_log(note: &Note, verifiers: &[&dyn Verifier]) -> Result<Note, Error> {
    let own =
        |line: &&usufruct_log::NoteSignature| verifiers.iter().any(|key| (key.name(), key.id()) == (line.name(), line.id()));
    let lines: String = note.signatures().iter().filter(own).map(|line| format!("{line}\n")).collect();
    Ok(Note::parse(format!("{}\n{lines}", note.text()).as_bytes())?)
}
