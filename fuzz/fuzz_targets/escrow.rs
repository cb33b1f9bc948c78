//! An escrow or a share that is read prints as it was. Half of the inputs get a right checksum, or nothing else would be tried.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::hash::sha256;
use usufruct_vault::escrow::{HALF, HandedShare, Sealed, sealed_roots};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(share) = HandedShare::parse(text)
    {
        assert_eq!(share.encode(), text.trim());
    }
    let mut half = data.to_vec();
    half.resize(HALF, 0);
    try_parse(&half);
    let sum = sha256(&half[..HALF - 32]);
    half[HALF - 32..].copy_from_slice(&sum.0);
    try_parse(&half);
    let _ = sealed_roots(data);
    if let Ok(roots) = sealed_roots(&[&half[..], &[0; HALF]].concat()) {
        assert_eq!(roots.len(), 1);
    }
});

fn try_parse(half: &[u8]) {
    if let Ok(Some(sealed)) = Sealed::parse(half) {
        assert_eq!(sealed.encode()[..], *half);
    }
}
