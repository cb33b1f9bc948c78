//! Cosigns checkpoints and verifies cosignatures, on standard input and output.
//!
//! ```text
//! cosign key    ed25519|ml-dsa NAME SEED                 prints the public key
//! cosign sign   ed25519|ml-dsa NAME SEED TIME < NOTE     prints the note with one more line
//! cosign verify VKEY < NOTE                              fails unless this key has signed the note
//! ```
//!
//! SEED is 32 bytes in hex and TIME seconds since 1970. A checkpoint without any signature yet is taken, too.

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};

use usufruct_log::{Checkpoint, Cosigner, Ed25519Cosigner, MlDsaCosigner, Note, VerifierKey, cosignature};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["key", kind, name, seed] => writeln!(stdout(), "{}", cosigner(kind, name, seed)?.verifier_key())?,
        ["sign", kind, name, seed, time] => {
            let (checkpoint, lines) = read()?;
            let line = cosigner(kind, name, seed)?.cosign(&checkpoint, time.parse()?)?;
            write!(stdout(), "{checkpoint}\n{lines}{line}\n")?;
        }
        ["verify", vkey] => {
            let verifier = vkey.parse::<VerifierKey>()?.any_verifier()?;
            let mut note = Vec::new();
            stdin().read_to_end(&mut note)?;
            let note = Note::open(&note, &[&*verifier])?;
            let own = note.signatures().iter().find(|line| (line.name(), line.id()) == (verifier.name(), verifier.id()));
            writeln!(stdout(), "{}", own.map_or(Ok(0), cosignature::timestamp)?)?;
        }
        _ => return Err("Say key, sign or verify. The first lines of this example show how.".into()),
    }
    Ok(())
}

fn cosigner(kind: &str, name: &str, seed: &str) -> Result<Box<dyn Cosigner>, Box<dyn Error>> {
    let digits = (0..seed.len()).step_by(2).map(|at| seed.get(at..at + 2).unwrap_or_default());
    let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16)).collect::<Result<_, _>>()?;
    let seed = bytes.try_into().map_err(|_| "The seed does not have 32 bytes. Write 64 hex digits.")?;
    match kind {
        "ed25519" => Ok(Box::new(Ed25519Cosigner::from_seed(name, &seed)?)),
        "ml-dsa" => Ok(Box::new(MlDsaCosigner::from_seed(name, &seed)?)),
        _ => Err("The type of the key is unknown. Say ed25519 or ml-dsa.".into()),
    }
}

/// The checkpoint, and the signature lines that it has.
fn read() -> Result<(Checkpoint, String), Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    match Note::parse(text.as_bytes()) {
        Ok(note) => {
            let lines = note.signatures().iter().map(|line| format!("{line}\n")).collect();
            Ok((note.text().parse()?, lines))
        }
        Err(_) => Ok((text.parse()?, String::new())),
    }
}
