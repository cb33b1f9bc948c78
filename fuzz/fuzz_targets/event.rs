//! An event that decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::event::Event;

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = Event::decode(data) {
        assert_eq!(event.encode(), data);
    }
});
