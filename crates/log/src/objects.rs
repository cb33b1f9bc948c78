//! Where the public files of a log are kept: tiles, bundles and the checkpoint.

mod folder;
mod memory;

pub use folder::Folder;
pub use memory::Memory;

use crate::error::{Error, Result};

/// A store of files by path. When a call returns `Ok`, its effect survives a loss of power.
pub trait Objects: Send + Sync {
    /// Stores an immutable object. Storing the same bytes again is fine, other bytes are an [`Error::Conflict`].
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Stores immutable objects, all of them durable when it returns.
    fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
        objects.iter().try_for_each(|(path, bytes)| self.put(path, bytes))
    }

    /// Stores or overwrites an object in one step. Only for the `checkpoint`, and for a tile that was proven to be
    /// damaged.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Reads an object.
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// At most `limit` objects below a path, in an order that the store always keeps to, beginning after the object
    /// `after` (which need not be there any more). Fewer than `limit` mean that there are no others.
    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>>;

    /// Removes an object, or does nothing if it is not there. Only for partial tiles that nobody needs any more.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes objects, as [`Objects::remove`] does.
    fn remove_all(&self, paths: &[String]) -> Result<()> {
        paths.iter().try_for_each(|path| self.remove(path))
    }
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Its path.
    pub path: String,
    /// When it was stored, in seconds since 1970 UTC.
    pub time: u64,
}

/// Only plain relative paths: nothing hidden, nothing that leads out of the store. For implementations of [`Objects`].
pub fn check_path(path: &str) -> Result<()> {
    let plain = |component: &str| {
        !component.is_empty()
            && !component.starts_with('.')
            && component.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    if path.len() <= MAX_PATH_BYTES && path.split('/').all(plain) {
        Ok(())
    } else {
        Err(Error::malformed("object path", "it is not a plain relative path"))
    }
}

const MAX_PATH_BYTES: usize = 256;

/// Whoever points to objects has them.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<O: Objects + ?Sized> Objects for $pointer {
            fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
                (**self).put(path, bytes)
            }

            fn put_all(&self, objects: &[(String, Vec<u8>)]) -> Result<()> {
                (**self).put_all(objects)
            }

            fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
                (**self).replace(path, bytes)
            }

            fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
                (**self).fetch(path)
            }

            fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
                (**self).list(below, after, limit)
            }

            fn remove(&self, path: &str) -> Result<()> {
                (**self).remove(path)
            }

            fn remove_all(&self, paths: &[String]) -> Result<()> {
                (**self).remove_all(paths)
            }
        }
    )*};
}

forward!(&O, std::sync::Arc<O>);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn behaves_like_objects(objects: &dyn Objects) {
        assert_eq!(objects.fetch("tile/0/000.p/1").unwrap(), None);
        objects.put("tile/0/000.p/1", b"one").unwrap();
        objects.put("tile/0/000.p/1", b"one").unwrap();
        assert!(matches!(objects.put("tile/0/000.p/1", b"two"), Err(Error::Conflict { .. })));
        assert_eq!(objects.fetch("tile/0/000.p/1").unwrap().as_deref(), Some(b"one".as_slice()));
        objects.put("tile/0/000", b"full").unwrap();
        let many = [("tile/1/000", b"a"), ("tile/1/001", b"b")].map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
        objects.put_all(&many).unwrap();
        objects.put_all(&many).unwrap();
        let other = [("tile/1/002".to_owned(), b"c".to_vec()), ("tile/1/001".to_owned(), b"x".to_vec())];
        assert!(matches!(objects.put_all(&other), Err(Error::Conflict { .. })));
        let mut paths: Vec<_> = objects.list("tile/1", None, 9).unwrap().into_iter().map(|stored| stored.path).collect();
        paths.retain(|path| path != "tile/1/002");
        paths.sort();
        assert_eq!(paths, ["tile/1/000", "tile/1/001"]);
        objects.remove("tile/1/000").unwrap();
        objects.remove("tile/1/000").unwrap();
        assert_eq!(objects.fetch("tile/1/000").unwrap(), None);
        assert!(objects.list("nothing", None, 9).unwrap().is_empty());
        lists_in_pages(objects);
        objects.replace("checkpoint", b"1").unwrap();
        objects.replace("checkpoint", b"2").unwrap();
        assert_eq!(objects.fetch("checkpoint").unwrap().as_deref(), Some(b"2".as_slice()));
        assert_eq!(objects.fetch("checkpoint/below").unwrap(), None);
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", ".", "a/.hidden", "a\\b", "a\0b", "ä", &"a".repeat(300)] {
            assert!(objects.put(bad, b"").is_err(), "{bad:?}");
            assert!(objects.put_all(&[(bad.to_owned(), Vec::new())]).is_err(), "{bad:?}");
            assert!(objects.replace(bad, b"").is_err(), "{bad:?}");
            assert!(objects.fetch(bad).is_err(), "{bad:?}");
            assert!(objects.remove(bad).is_err(), "{bad:?}");
        }
    }

    /// Whatever the size of a page, the pages together are everything, once; what goes meanwhile disturbs nothing.
    fn lists_in_pages(objects: &dyn Objects) {
        let many: Vec<_> = ["000", "000.p/1", "000.p/17", "000.p/2", "001.p/9", "x001/000", "x001/000.p/3", "x001/001"]
            .iter()
            .flat_map(|path| [format!("pages/0/{path}"), format!("pages/entries/{path}")])
            .map(|path| (path, b"page".to_vec()))
            .collect();
        objects.put_all(&many).unwrap();
        let mut meant: Vec<_> = many.iter().map(|(path, _)| path.clone()).collect();
        meant.sort();
        for limit in 1..=many.len() + 1 {
            let (mut found, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = objects.list("pages", after.as_deref(), limit).unwrap();
                assert!(page.len() <= limit);
                let is_last = page.len() < limit;
                after = page.last().map(|stored| stored.path.clone()).or(after);
                found.extend(page.into_iter().map(|stored| stored.path));
                assert!(found.len() <= many.len(), "the pages do not end");
                if is_last {
                    break;
                }
            }
            found.sort();
            assert_eq!(found, meant, "{limit}");
        }
        let first = objects.list("pages", None, 5).unwrap();
        let rest = objects.list("pages", Some(&first[4].path), 99).unwrap();
        objects.remove_all(&first.iter().map(|stored| stored.path.clone()).collect::<Vec<_>>()).unwrap();
        assert_eq!(objects.list("pages", Some(&first[4].path), 99).unwrap(), rest);
        assert_eq!(objects.list("pages", None, 99).unwrap(), rest);
    }

    #[test]
    fn memory_behaves() {
        behaves_like_objects(&Memory::default());
    }

    #[test]
    fn a_folder_behaves_and_survives_reopening() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        behaves_like_objects(&Folder::open(root).unwrap());
        let again = Folder::open(root).unwrap();
        assert_eq!(again.fetch("tile/0/000").unwrap().as_deref(), Some(b"full".as_slice()));
        assert!(fs::metadata(root.join("tile/0/000")).unwrap().permissions().readonly());
        fs::write(root.join(".temporary/1-1"), "left behind").unwrap();
        let held = Folder::hold(root).unwrap();
        assert_eq!(fs::read_dir(root.join(".temporary")).unwrap().count(), 1, "the lock");
        assert!(matches!(Folder::hold(root), Err(Error::Held { .. })));
        drop(held);
        Folder::hold(root).unwrap();
    }
}
