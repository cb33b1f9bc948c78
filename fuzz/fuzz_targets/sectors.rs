//! What a second keeper does for the bytes of a request, and what it is asked by the other side for the same, are one: the request
//! comes out as it went in. And the answer, or any other bytes in its place, is taken only if it has the right length.
//!
//! Half of the inputs ask for the key tree that is kept here, or nothing else would be tried.
#![no_main]

use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use usufruct_vault::second_hand::{Call, Remote, SecondHand, serve};
use usufruct_vault::{Error, Result};

/// Notes what it is asked, and turns every bit of the blocks.
#[derive(Default)]
struct Noting(Mutex<Vec<(Act, u64, usize)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Create,
    Permute,
    Reverse,
    Destroy,
}

impl Noting {
    fn note(&self, act: Act, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        self.0.lock().unwrap().push((act, sector, blocks.len()));
        blocks.as_flattened_mut().iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }
}

impl SecondHand for Noting {
    fn create(&self, sector: u64) -> Result<()> {
        self.note(Act::Create, sector, &mut [])
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        self.note(Act::Permute, sector, blocks)
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<()> {
        self.note(Act::Reverse, sector, blocks)
    }

    fn destroy(&self, sector: u64) -> Result<()> {
        self.note(Act::Destroy, sector, &mut [])
    }
}

/// A wire that expects one request and has one answer.
struct Wire<'a> {
    expected: Option<&'a [u8]>,
    answer: &'a [u8],
}

impl Call for Wire<'_> {
    fn call(&self, request: &[u8]) -> Result<Vec<u8>> {
        if let Some(expected) = self.expected {
            assert_eq!(request, expected);
        }
        Ok(self.answer.to_vec())
    }
}

fuzz_target!(|data: &[u8]| {
    try_serve("city.test", data);
    if let [act, rest @ ..] = data {
        try_serve("t", &[&[*act, 1, b't'][..], rest].concat());
    }
    let mut blocks = [[7; 16]; 3];
    let taken = Remote::new("t", Wire { expected: None, answer: data }).unwrap().permute(1, &mut blocks);
    assert_eq!(taken.is_ok(), data.len() == 48);
    assert_eq!(blocks.as_flattened() == data, taken.is_ok());
});

fn try_serve(vault: &str, request: &[u8]) {
    let hand = Noting::default();
    let answer = match serve(&hand, vault, request) {
        Ok(answer) => answer,
        Err(Error::Malformed { .. } | Error::Keeper { .. }) => return assert!(hand.0.lock().unwrap().is_empty()),
        Err(other) => panic!("{other}"),
    };
    let notes = hand.0.into_inner().unwrap();
    let [(act, sector, count)] = notes[..] else { panic!("{notes:?}") };
    assert_eq!(answer.len(), 16 * count);
    let asked = &request[request.len() - answer.len()..];
    assert!(answer.iter().zip(asked).all(|(answer, asked)| *answer == !*asked));
    let mut blocks = asked.as_chunks::<16>().0.to_vec();
    let remote = Remote::new(vault, Wire { expected: Some(request), answer: &answer }).unwrap();
    match act {
        Act::Create => remote.create(sector),
        Act::Permute if count > 0 => remote.permute(sector, &mut blocks),
        Act::Reverse if count > 0 => remote.reverse(sector, &mut blocks),
        // Nobody asks about no blocks.
        Act::Permute | Act::Reverse => Ok(()),
        Act::Destroy => remote.destroy(sector),
    }
    .unwrap();
    assert_eq!(blocks.as_flattened(), answer);
}
