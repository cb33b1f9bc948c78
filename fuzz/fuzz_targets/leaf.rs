//! A leaf that parses encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::Leaf;

fuzz_target!(|data: &[u8]| {
    if let Ok(leaf) = Leaf::parse(data) {
        assert_eq!(leaf.encode(), data);
    }
});
