//! Ids, times, lengths of time and hashes: what parses prints as it was, or in its one form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::time::parse_duration;
use usufruct_core::{Digest, Time};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<MandateId>() {
        assert_eq!(id.to_string(), text);
    }
    let _ = text.parse::<ServiceId>();
    if let Ok(time) = text.parse::<Time>() {
        assert_eq!(time.to_string().parse::<Time>().expect("a printed time reads"), time);
        let _ = (time.day(), time.minute(), time.minguo_year());
    }
    assert!(parse_duration(text).is_none_or(|micros| micros > 0));
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
});
