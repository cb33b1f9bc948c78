//! What calls leave behind on the stack: a value that moves is copied, and the copy is overwritten by whatever comes next, which on a
//! thread that waits may be nothing for a long time.

use std::mem::MaybeUninit;

use zeroize::Zeroize as _;

/// Overwrites the part of this thread's stack that calls of the caller have used. To be called when secrets are done with, by whoever
/// called what had them in hand. The heap is not touched.
#[inline(never)]
pub fn scrub() {
    // Written once, and in pieces that a processor writes in one go.
    let mut room = [const { MaybeUninit::<[u8; PIECE]>::uninit() }; PIECES];
    for piece in &mut room {
        piece.zeroize();
    }
    std::hint::black_box(&room);
}

/// 128 KiB, a sixteenth of a thread's stack.
const PIECES: usize = 32;
const PIECE: usize = 4_096;
