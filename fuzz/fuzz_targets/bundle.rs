//! A bundle that parses encodes to the same bytes. The first byte chooses the width.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::tile::{Kind, Tile, encode_bundle, encode_hashes, parse_bundle};

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let width = u16::from(*first) + 1;
    if let Ok(entries) = parse_bundle(bytes, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_bundle(&entries).expect("it was a bundle"), bytes);
    }
    let tile = Tile::new(Kind::Hashes(0), 0, width).expect("the width is in range");
    if let Ok(hashes) = tile.parse_hashes(bytes) {
        assert_eq!(encode_hashes(&hashes), bytes);
    }
});
