//! A receipt that parses prints as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Promise, ReceiptFile};

fuzz_target!(|text: &str| {
    if let Ok(receipt) = text.parse::<ReceiptFile>() {
        assert_eq!(receipt.to_string(), text);
        let _ = receipt.promise.text().parse::<Promise>();
    }
});
