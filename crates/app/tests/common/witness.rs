//! One witness of the city's log, in memory.

use std::sync::{Arc, Mutex};

use serde_json::json;
use usufruct_app::log::{
    self, Checkpoint, Cosigner, Ed25519Cosigner, Error as LogError, Hash, Note, Response, Transport, merkle,
};
use usufruct_core::statement::StatementKind;

use crate::common::{City, OPERATOR};

/// Its key, and the tree it stands at.
pub struct Witness {
    cosigner: Ed25519Cosigner,
    seen: Mutex<(u64, Hash)>,
}

impl Witness {
    pub fn new() -> Arc<Self> {
        let cosigner = Ed25519Cosigner::from_seed("one.test", &[7; 32]).unwrap();
        Arc::new(Self { cosigner, seen: Mutex::new((0, log::empty_root())) })
    }

    /// Says in the terms of the log that nothing counts without it.
    pub fn name_in(&self, city: &City) {
        let policy = format!("witness one {} http://one.test\nquorum one", self.cosigner.verifier_key());
        let terms = json!({"origin": "city.test/log", "vkeys": city.app.log_vkeys(), "receipt_vkey": city.app.receipt_vkey(),
            "policy": policy, "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": {"events": 0, "seconds": 2},
            "fail_open": false});
        city.publish(StatementKind::Log, "log_city", OPERATOR, terms);
    }
}

impl Transport for Witness {
    fn post(&self, _: &str, _: &str, body: &[u8]) -> log::Result<Response> {
        let (head, note) = std::str::from_utf8(body).unwrap().split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<Hash> = lines.map(|line| Hash::from_base64(line).unwrap()).collect();
        let checkpoint: Checkpoint = Note::parse(note.as_bytes()).unwrap().text().parse().unwrap();
        let answer = |status, body: String| Ok(Response { status, content_type: "text/plain".into(), body: body.into_bytes() });
        let mut seen = self.seen.lock().unwrap();
        if old != seen.0 {
            return answer(409, format!("{}\n", seen.0));
        }
        if old > 0 && merkle::verify_consistency(old, checkpoint.size(), &proof, &seen.1, checkpoint.root()).is_err() {
            return answer(422, String::new());
        }
        *seen = (checkpoint.size(), *checkpoint.root());
        answer(200, format!("{}\n", self.cosigner.cosign(&checkpoint, 1_767_225_600).unwrap()))
    }

    fn get(&self, _: &str) -> log::Result<Response> {
        Err(LogError::outside("the network", "it shows nothing"))
    }
}
