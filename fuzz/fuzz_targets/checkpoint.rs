//! A checkpoint that parses prints as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::Checkpoint;

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
    }
});
