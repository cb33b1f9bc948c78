//! An event that decodes encodes to the same bytes, and so does what opens the matter of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::event::Event;
use usufruct_core::matter::OpenedMatter;

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = Event::decode(data) {
        assert_eq!(event.encode(), data);
    }
    if let Ok(opened) = OpenedMatter::decode(data) {
        assert_eq!(opened.encode(), data);
    }
});
