//! Pages in one file, each at a multiple of its length. A page is written to room that is free, never over one that counts.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use super::page::{PAGE, Page, PageId};
use super::pages::Pages;
use crate::error::{Error, Result};

/// A file of pages, held open and locked against other processes.
pub struct PageFile {
    file: File,
    room: RwLock<Room>,
}

/// Which page lies where, in pages from the beginning of the file.
#[derive(Default)]
struct Room {
    places: HashMap<PageId, u64>,
    /// Room that is free, the first to be used last.
    free: Vec<u64>,
    end: u64,
}

impl PageFile {
    /// Opens the file of pages in `folder`; makes both if they are not there.
    pub fn open(folder: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("make its folder"))?;
        let path = folder.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(Error::io("open the file of pages"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => return Err(Error::Io { action: "lock the file of pages", source }),
        }
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("make its folder durable"))?;
        let room = Room::of(&file)?;
        Ok(Self { file, room: RwLock::new(room) })
    }
}

impl Room {
    fn of(file: &File) -> Result<Self> {
        let io = || Error::io("read the file of pages");
        let mut room = Self { end: file.metadata().map_err(io())?.len() / PAGE as u64, ..Self::default() };
        for place in (0..room.end).rev() {
            let mut page = [0; PAGE];
            file.read_exact_at(&mut page[..16], place * PAGE as u64).map_err(io())?;
            // What a crash made of room that was never written is zeros.
            if page[..16] == [0; 16] || room.places.insert(PageId::of(&page), place).is_some() {
                room.free.push(place);
            }
        }
        Ok(room)
    }

    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }
}

impl Pages for PageFile {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        let room = self.room.read().unwrap_or_else(PoisonError::into_inner);
        let mut places: Vec<u64> = room.places.values().copied().collect();
        places.sort_unstable();
        let mut buffer = vec![0; READ_PAGES * PAGE];
        let mut places = places.into_iter().peekable();
        while let Some(first) = places.next() {
            let mut count = 1;
            while count < READ_PAGES as u64 && places.next_if_eq(&(first + count)).is_some() {
                count += 1;
            }
            let bytes = &mut buffer[..count as usize * PAGE];
            self.file.read_exact_at(bytes, first * PAGE as u64).map_err(Error::io("read the file of pages"))?;
            for page in bytes.as_chunks::<PAGE>().0 {
                show(PageId::of(page), page)?;
            }
        }
        Ok(())
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        let place = self.room.read().unwrap_or_else(PoisonError::into_inner).places.get(&id).copied();
        let Some(place) = place else { return Ok(None) };
        let mut page = Box::new([0; PAGE]);
        self.file.read_exact_at(&mut *page, place * PAGE as u64).map_err(Error::io("read a page"))?;
        Ok(Some(page))
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        let mut placed: Vec<(u64, &(PageId, Box<Page>))> = {
            let mut room = self.room.write().unwrap_or_else(PoisonError::into_inner);
            pages.iter().map(|page| (room.take(), page)).collect()
        };
        placed.sort_unstable_by_key(|(place, _)| *place);
        let mut run: Vec<u8> = Vec::new();
        for (at, (place, (_, page))) in placed.iter().enumerate() {
            run.extend_from_slice(&**page);
            let goes_on = placed.get(at + 1).is_some_and(|(next, _)| *next == place + 1) && run.len() < WRITE_BYTES;
            if !goes_on {
                let begin = (place + 1) * PAGE as u64 - run.len() as u64;
                self.file.write_all_at(&run, begin).map_err(Error::io("write pages"))?;
                run.clear();
            }
        }
        self.file.sync_data().map_err(Error::io("make pages durable"))?;
        let mut room = self.room.write().unwrap_or_else(PoisonError::into_inner);
        room.places.extend(placed.iter().map(|(place, (id, _))| (*id, *place)));
        Ok(())
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        let mut room = self.room.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            let Some(place) = room.places.remove(id) else { continue };
            room.free.push(place);
            // Without its front it is no page any more, so that a root that was put back finds nothing.
            self.file.write_all_at(&[0; 16], place * PAGE as u64).map_err(Error::io("remove a page"))?;
        }
        Ok(())
    }
}

/// Name of the file.
const NAME: &str = "pages";
/// Pages read at once.
const READ_PAGES: usize = 256;
/// Bytes written at once.
const WRITE_BYTES: usize = 1 << 20;
