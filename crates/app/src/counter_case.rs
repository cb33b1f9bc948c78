//! At the counter: clerks file a case for a resident who is there and does not use the pass herself. Two of them look at her and sign what she says.

use usufruct_core::Digest;
use usufruct_core::case::{Ground, Relief};
use usufruct_core::hash::{hex, sha256};
use usufruct_core::statement::Approval;

use crate::case::About;
use crate::counter::{lapsed, note_clerk};
use crate::row_mark::find_counter_request;
use crate::{App, Approved, CaseRequest, Error};

/// Word of these requests among those at a counter; the hash of what is filed comes after it.
const WAY: &str = "case";

impl App {
    /// Begins a request to file a case for a resident who is at the counter. It does nothing until two clerks approve it. Answers its id.
    pub fn begin_counter_case(&self, resident: u64, asked: &CaseRequest) -> Result<String, Error> {
        self.begin_request(resident, way(asked))
    }

    /// A clerk approves the filing of exactly this; with the second one the case is filed.
    pub fn approve_counter_case(&self, id: &str, asked: &CaseRequest, approval: &Approval) -> Result<Approved, Error> {
        let (now, id) = (self.now(), id.to_owned());
        let request = self.db.read(|conn| find_counter_request(conn, &self.vault, &id, now))?.ok_or_else(lapsed)?;
        if request.way != way(asked) {
            return Err(lapsed());
        }
        let message = counter_case_message(&self.config.origin, &id, request.resident, asked);
        let clerk = self.clerk(&self.register(), approval, &message)?;
        let (desk, noted) = (self.desk(), id.clone());
        let approved = self.db.transaction("approve counter case", move |tx| note_clerk(tx, &desk, &noted, &clerk, now))?;
        let approved = approved.map_or_else(|| Err(self.braked()?), Ok)?;
        if approved == Approved::Twice {
            self.file_at_counter(request.resident, asked, &id)?;
        }
        Ok(approved)
    }
}

/// What a clerk signs. It is made from what the clerk knows, so that nobody gets a signature for something else.
pub fn counter_case_message(origin: &str, id: &str, resident: u64, asked: &CaseRequest) -> Digest {
    sha256(format!("usufruct/counter-case/v1\n{origin}\n{id}\n{resident}\n{}\n", hex(&content(asked).0)).as_bytes())
}

/// What stands in the row: which case it is, but none of its words.
fn way(asked: &CaseRequest) -> String {
    format!("{WAY} {}", hex(&content(asked).0))
}

/// The hash of what is filed. The words come last, so that none of them is taken for anything else.
fn content(asked: &CaseRequest) -> Digest {
    let about = match &asked.about {
        About::Line(n) => format!("line {n}"),
        About::Service(service) => service.to_string(),
        About::Pass => "pass".to_owned(),
    };
    let (ground, relief) = (asked.ground.map_or("-", Ground::code), asked.relief.map_or("-", Relief::code));
    sha256(format!("{} {ground} {relief}\n{about}\n{}", asked.kind.code(), asked.words.trim()).as_bytes())
}
