//! A log that belongs to no city, and a client that speaks HTTP for it.

use tokio::runtime::Runtime;
use usufruct_app::log::witness::AddCheckpoint;
use usufruct_app::log::{
    self, Ed25519Signer, Memory, MemoryHead, Note, Publisher, Reader, Response, TileHashes, Transport, VerifierKey, checkpoint,
    proof,
};

/// A log of noise, which grows.
pub struct Noise {
    pub objects: Memory,
    head: MemoryHead,
    pub key: VerifierKey,
    /// Logs of one key and different histories differ in this from the first leaf on.
    history: u64,
}

impl Noise {
    pub fn new() -> Self {
        Self::of_history(0)
    }

    pub fn of_history(history: u64) -> Self {
        let key = Self::signer().verifier_key().clone();
        Self { objects: Memory::default(), head: MemoryHead::default(), key, history }
    }

    fn signer() -> Ed25519Signer {
        Ed25519Signer::from_seed("noise.example/log", &[7; 32]).unwrap()
    }

    fn leaf(&self, index: u64) -> Vec<u8> {
        (0..9).flat_map(|part| (index * 31 + part + (self.history << 32)).to_be_bytes()).collect()
    }

    /// Its checkpoint at a larger size.
    pub fn grow(&self, size: u64) -> Note {
        let signers: Vec<Box<dyn log::Signer + Send + Sync>> = vec![Box::new(Self::signer())];
        let mut publisher = Publisher::open(&self.objects, &self.head, signers, self.key.name(), None).unwrap();
        let from = publisher.size().unwrap();
        Note::parse(&publisher.publish((from..size).map(|index| (index, self.leaf(index))), 1).unwrap().note).unwrap()
    }

    /// The copy in a folder is complete under the checkpoint there. Answers its size.
    pub fn check(&self, folder: &str) -> u64 {
        let copy = log::Folder::open(folder).unwrap();
        let Ok((public, _)) = checkpoint::fetch(&copy, self.key.name(), &[&self.key.verifier().unwrap()]) else { return 0 };
        let (size, mut next) = (public.size(), 0);
        Reader::new(&copy, public)
            .entries(0, |index, entry| {
                assert_eq!((index, entry), (next, self.leaf(index).as_slice()));
                next += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(next, size);
        size
    }

    /// The body that asks a witness which has cosigned `old` entries for a cosignature on `note`.
    pub fn request(&self, old: u64, size: u64, note: &Note) -> Vec<u8> {
        let proof = match (1..size).contains(&old) {
            true => proof::consistency(&TileHashes::new(&self.objects, size), old, size).unwrap(),
            false => Vec::new(),
        };
        AddCheckpoint { old, proof, checkpoint: note.clone() }.to_string().into_bytes()
    }
}

pub struct Http(Runtime, reqwest::Client);

impl Http {
    pub fn new() -> Self {
        Self(Runtime::new().unwrap(), reqwest::Client::new())
    }

    fn send(&self, request: reqwest::RequestBuilder) -> log::Result<Response> {
        let answer = self.0.block_on(async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>(Response { status, content_type: String::new(), body: answer.bytes().await?.to_vec() })
        });
        answer.map_err(|error| log::Error::outside("the network", error))
    }
}

impl Transport for Http {
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> log::Result<Response> {
        self.send(self.1.post(url).header("content-type", content_type).body(body.to_vec()))
    }

    fn get(&self, url: &str) -> log::Result<Response> {
        self.send(self.1.get(url))
    }
}
