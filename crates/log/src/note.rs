//! Signed notes: a text, an empty line, and signature lines (C2SP signed-note v1.0.0).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::error::{Error, Result};

/// The largest note that is read.
pub const MAX_NOTE_BYTES: usize = 1_000_000;

/// The largest number of signature lines that is read. The specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 100;

/// A note that has been parsed; nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

/// Checks signatures of one key.
pub trait Verifier {
    /// The name of the key.
    fn name(&self) -> &str;
    /// The key id: it tells keys of one name apart.
    fn id(&self) -> u32;
    /// Whether `signature`, without its key id, is right for the text.
    fn verify(&self, text: &str, signature: &[u8]) -> bool;
}

/// Makes signatures of one key. Whoever can sign can also verify.
pub trait Signer: Verifier {
    /// The signature of the text, without its key id. `time`, in seconds since 1970 UTC, goes into the signatures that
    /// carry one (tlog-cosignature); the others leave it alone.
    fn sign(&self, text: &str, time: u64) -> Result<Vec<u8>>;
}

impl Note {
    /// Signs a text at `time`, in seconds since 1970 UTC.
    pub fn sign(text: impl Into<String>, signers: &[&dyn Signer], time: u64) -> Result<Self> {
        let text = text.into();
        check_text(&text)?;
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            signatures.push(NoteSignature { name: signer.name().to_owned(), id: signer.id(), bytes: signer.sign(&text, time)? });
        }
        if signatures.is_empty() {
            return Err(Error::Unsigned);
        }
        Ok(Self { text, signatures })
    }

    /// A text that is about to gain its signatures.
    pub(crate) fn unsigned(text: &str) -> Result<Self> {
        check_text(text)?;
        Ok(Self { text: text.to_owned(), signatures: Vec::new() })
    }

    /// Parses a note without verifying it.
    pub fn parse(note: &[u8]) -> Result<Self> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(Error::TooLarge { what: "note", limit: MAX_NOTE_BYTES });
        }
        let note = std::str::from_utf8(note).map_err(|_| malformed("it is not UTF-8"))?;
        let gap = note.rfind("\n\n").ok_or_else(|| malformed("no empty line stands before the signatures"))?;
        let (text, lines) = (&note[..gap + 1], &note[gap + 2..]);
        check_text(text)?;
        let lines = lines.strip_suffix('\n').ok_or_else(|| malformed("the last line has no newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(Error::TooLarge { what: "number of signatures", limit: MAX_SIGNATURES });
            }
            signatures.push(NoteSignature::parse(line)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Parses a note and verifies it by the keys that are known. Signatures of unknown keys are ignored, a wrong
    /// signature of a known key refuses the whole note, and so does the absence of any known one.
    pub fn open(note: &[u8], verifiers: &[&dyn Verifier]) -> Result<Self> {
        let note = Self::parse(note)?;
        let known = note.verified_by(verifiers)?;
        if known.is_empty() { Err(Error::Unsigned) } else { Ok(note) }
    }

    /// The positions in `verifiers` of the keys that have signed the note, each once.
    pub fn verified_by(&self, verifiers: &[&dyn Verifier]) -> Result<Vec<usize>> {
        let mut known = Vec::new();
        for signature in &self.signatures {
            for (position, verifier) in verifiers.iter().enumerate() {
                if verifier.name() != signature.name || verifier.id() != signature.id {
                    continue;
                }
                if !verifier.verify(&self.text, &signature.bytes) {
                    return Err(Error::WrongSignature { name: signature.name.clone() });
                }
                if !known.contains(&position) {
                    known.push(position);
                }
            }
        }
        Ok(known)
    }

    /// Adds a signature line, for example a cosignature.
    pub fn add(&mut self, signature: NoteSignature) -> Result<()> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(Error::TooLarge { what: "number of signatures", limit: MAX_SIGNATURES });
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The signed text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// A signature line from its parts.
    pub fn new(name: &str, id: u32, bytes: Vec<u8>) -> Result<Self> {
        check_name(name)?;
        if bytes.is_empty() {
            return Err(malformed("a signature is empty"));
        }
        Ok(Self { name: name.to_owned(), id, bytes })
    }

    /// Reads one signature line, without its newline.
    pub fn parse(line: &str) -> Result<Self> {
        let rest = line.strip_prefix("\u{2014} ").ok_or_else(|| malformed("a signature line does not begin with a dash"))?;
        let (name, encoded) = rest.split_once(' ').ok_or_else(|| malformed("a signature line has no signature"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature is not base64"))?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or_else(|| malformed("a signature has no key id"))?;
        Self::new(name, u32::from_be_bytes(*id), signature.to_vec())
    }

    /// The name of the key that is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that is said to have signed.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The signature, without the key id.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes(), self.bytes.as_slice()].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

fn check_text(text: &str) -> Result<()> {
    if !text.ends_with('\n') {
        return Err(malformed("the text does not end in a newline"));
    }
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(malformed("the text holds a control character"));
    }
    Ok(())
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let wrong = |character: char| character.is_whitespace() || character == '+' || character < ' ';
    if name.is_empty() || name.contains(wrong) {
        Err(malformed("a key name is empty or holds a space or a plus"))
    } else {
        Ok(())
    }
}

fn malformed(why: &str) -> Error {
    Error::malformed("note", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ed25519Signer;

    fn signer(name: &str, seed: u8) -> Ed25519Signer {
        Ed25519Signer::from_seed(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn notes_round_trip() {
        let (one, two) = (signer("one.example/log", 1), signer("two.example", 2));
        let text = "a text\n\nwith an empty line\n";
        let note = Note::sign(text, &[&one, &two], 0).unwrap().to_string();
        let opened = Note::open(note.as_bytes(), &[&two]).unwrap();
        assert_eq!(opened.text(), text);
        assert_eq!(opened.to_string(), note);
        assert_eq!(opened.verified_by(&[&two, &one]).unwrap(), [1, 0]);
    }

    #[test]
    fn unknown_keys_are_ignored_and_known_ones_must_be_right() {
        let (known, stranger) = (signer("known.example", 1), signer("stranger.example", 2));
        let mut note = Note::sign("text\n", &[&stranger], 0).unwrap();
        assert!(matches!(Note::open(note.to_string().as_bytes(), &[&known]), Err(Error::Unsigned)));
        note.add(NoteSignature::new("known.example", 7, vec![0; 64]).unwrap()).unwrap();
        assert!(matches!(Note::open(note.to_string().as_bytes(), &[&known]), Err(Error::Unsigned)));
        note.add(NoteSignature::new("known.example", known.id(), known.sign("text\n", 0).unwrap()).unwrap()).unwrap();
        assert!(Note::open(note.to_string().as_bytes(), &[&known]).is_ok());
        note.add(NoteSignature::new("known.example", known.id(), vec![0; 64]).unwrap()).unwrap();
        assert!(matches!(Note::open(note.to_string().as_bytes(), &[&known]), Err(Error::WrongSignature { .. })));
    }

    #[test]
    fn malformed_notes_are_refused() {
        let line = "\u{2014} a AAAAAAE=\n";
        for good in [format!("t\n\n{line}"), format!("t\n\n{line}{line}"), format!("\n\n{line}")] {
            assert!(Note::parse(good.as_bytes()).is_ok(), "{good:?}");
        }
        for bad in [
            String::new(),
            "t\n".to_owned(),
            "t\n\n".to_owned(),
            format!("t\n{line}"),
            format!("t\n\n{}", line.trim_end()),
            format!("t\n\n{line}\n"),
            format!("t\t\n\n{line}"),
            format!("t\r\n\n{line}"),
            "t\n\n\u{2014} a+b AAAAAAE=\n".to_owned(),
            "t\n\n\u{2014} a\u{a0}b AAAAAAE=\n".to_owned(),
            "t\n\n\u{2014}  AAAAAAE=\n".to_owned(),
            "t\n\n\u{2014} a AAAAAA==\n".to_owned(),
            "t\n\n\u{2014} a AAAAAAE\n".to_owned(),
            "t\n\n\u{2014} a AAAAAAE= \n".to_owned(),
            "t\n\n- a AAAAAAE=\n".to_owned(),
            format!("t\n\n{}", line.repeat(MAX_SIGNATURES + 1)),
            format!("{}\n\n{line}", "t".repeat(MAX_NOTE_BYTES)),
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:.60?}");
        }
        assert!(Note::parse(b"\xff\n\n").is_err());
    }
}
