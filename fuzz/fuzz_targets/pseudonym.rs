//! A pseudonym that parses prints as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_vault::Subject;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(subject.to_string(), text);
    }
});
