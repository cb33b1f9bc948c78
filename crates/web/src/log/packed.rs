//! Bundles as they travel: compressed once, and kept while there is room.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What has been compressed, newest first, by the SHA-256 of the plain bytes. One for all logs of the process.
static PACKED: Mutex<Packed> = Mutex::new(Packed { kept: VecDeque::new(), size: 0 });

struct Packed {
    kept: VecDeque<(Vec<u8>, Gzip)>,
    size: usize,
}

/// Bytes in the gzip format; `None` where they are better sent as they are.
pub(super) type Gzip = Option<Arc<[u8]>>;

/// The bytes compressed, or `None` if that saves next to nothing, as with bundles of sealed events. `hash` is their
/// SHA-256.
pub(super) fn gzip(hash: &[u8], bytes: &[u8]) -> Gzip {
    let known = lock().kept.iter().find(|(known, _)| known == hash).map(|(_, packed)| packed.clone());
    known.unwrap_or_else(|| {
        let packed = compress(bytes).filter(|packed| packed.len() + packed.len() / 16 < bytes.len());
        lock().keep(hash, packed.clone());
        packed
    })
}

impl Packed {
    fn keep(&mut self, hash: &[u8], packed: Gzip) {
        let room = |packed: &Gzip| packed.as_ref().map_or(0, |packed| packed.len());
        self.size += room(&packed);
        self.kept.push_front((hash.to_vec(), packed));
        while self.size > MOST_BYTES || self.kept.len() > MOST_BUNDLES {
            let Some((_, oldest)) = self.kept.pop_back() else { break };
            self.size -= room(&oldest);
        }
    }
}

fn compress(bytes: &[u8]) -> Gzip {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok().map(Arc::from)
}

fn lock() -> std::sync::MutexGuard<'static, Packed> {
    PACKED.lock().unwrap_or_else(PoisonError::into_inner)
}

const MOST_BUNDLES: usize = 4_096;
const MOST_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_cannot_be_compressed_is_remembered() {
        let mut packed = Packed { kept: VecDeque::new(), size: 0 };
        for number in 0..10_000_u32 {
            packed.keep(&number.to_be_bytes(), Some(vec![0; 20_000].into()));
            assert!(packed.size <= MOST_BYTES && packed.kept.len() <= MOST_BUNDLES);
        }
        assert_eq!(packed.size, packed.kept.iter().map(|(_, one)| one.as_ref().map_or(0, |one| one.len())).sum::<usize>());
        assert_eq!(packed.kept[0].0, 9_999_u32.to_be_bytes());
        let noise: Vec<u8> = (0..100_u8).flat_map(|number| digest(&SHA256, &[number]).as_ref().to_vec()).collect();
        assert!(gzip(b"words", &b"statement ".repeat(400)).is_some_and(|packed| packed.len() < 400));
        assert!(gzip(b"noise", &noise).is_none());
        assert!(lock().kept.iter().any(|(hash, one)| hash == b"noise" && one.is_none()));
    }
}
