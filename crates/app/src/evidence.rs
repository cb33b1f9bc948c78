//! Evidence: the proofs that keys lived, noted while they do, with marks of this house over them and over the dates of their end. The note lies
//! in the database for as long as the destruction takes, and what somebody else wrote into it proves nothing and dates nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::handles::HandleProof;
use usufruct_core::{Digest, Time};
use usufruct_store::erasures::{self, Erasure};

use crate::carry_out::Carried;
use crate::row_mark::{is_equal, optional, row_mark, time};
use crate::{App, Error};

/// What shows that keys lived.
#[derive(Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub epoch: u64,
    pub root: Digest,
    pub proofs: Vec<HandleProof>,
    /// The order that is carried out, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// Over whose keys go and why, and over all of the above.
    mark: Option<Digest>,
    /// Over when it was asked for, and when the keys went as far as that is noted.
    dates: Option<Digest>,
}

/// The part of it that is looked at more often.
#[derive(Deserialize)]
struct Dates {
    dates: Option<Digest>,
}

impl App {
    /// The note with the proofs that its keys live now.
    pub(crate) fn with_evidence(&self, erasure: Erasure) -> Result<Erasure, Error> {
        self.proven(erasure, None)
    }

    /// The same, for an order that is carried out.
    pub(crate) fn with_evidence_of(&self, erasure: Erasure, carried: Carried) -> Result<Erasure, Error> {
        self.proven(erasure, Some(carried))
    }

    fn proven(&self, erasure: Erasure, carried: Option<Carried>) -> Result<Erasure, Error> {
        let (state, proofs) = self.vault.proofs(&erasure.commitments);
        let evidence = Evidence { epoch: state.epoch.0, root: state.root, proofs, carried, mark: None, dates: None };
        self.mark_note(erasure, evidence)
    }

    /// What shows that the keys of an erasure lived. `None` where its note is not as this house wrote it.
    pub(crate) fn evidence(&self, erasure: &Erasure) -> Result<Option<Evidence>, Error> {
        let Ok(evidence) = serde_json::from_str::<Evidence>(&erasure.evidence) else { return Ok(None) };
        let is_ours = is_equal(evidence.mark, self.proofs_mark(erasure, &evidence)?);
        Ok(is_ours.then_some(evidence))
    }

    /// The note without the dates in it that this house did not write.
    pub(crate) fn with_true_dates(&self, erasure: &Erasure) -> Result<Erasure, Error> {
        let dates = serde_json::from_str::<Dates>(&erasure.evidence).ok().and_then(|evidence| evidence.dates);
        if is_equal(dates, self.dates_mark(erasure)?) {
            return Ok(erasure.clone());
        }
        // Nothing is known of the request then, and the keys go, or go again, after this.
        Ok(Erasure { requested_at: Time::default(), live_at: None, root_at: None, ..erasure.clone() })
    }

    /// The note with marks over the dates that stand in it now. One that cannot be read stays as it is.
    pub(crate) fn with_marked_dates(&self, erasure: Erasure) -> Result<Erasure, Error> {
        match serde_json::from_str::<Evidence>(&erasure.evidence) {
            Ok(evidence) => {
                let dates = Some(self.dates_mark(&erasure)?);
                Ok(Erasure { evidence: json!(Evidence { dates, ..evidence }).to_string(), ..erasure })
            }
            Err(_) => Ok(erasure),
        }
    }

    /// Marks the notes of destructions that were under way when there were no marks yet.
    pub(crate) fn mark_old_evidence(&self) -> Result<(), Error> {
        let mut marked = Vec::new();
        for erasure in self.db.read(|conn| erasures::waiting(conn, usize::MAX))? {
            if let Ok(evidence) = serde_json::from_str::<Evidence>(&erasure.evidence) {
                marked.push(self.mark_note(erasure, evidence)?);
            }
        }
        self.db.transaction("mark evidence", move |tx| {
            marked.iter().try_for_each(|erasure| erasures::note_steps(tx, erasure))?;
            Ok::<_, Error>(())
        })
    }

    fn mark_note(&self, erasure: Erasure, evidence: Evidence) -> Result<Erasure, Error> {
        let (mark, dates) = (Some(self.proofs_mark(&erasure, &evidence)?), Some(self.dates_mark(&erasure)?));
        Ok(Erasure { evidence: json!(Evidence { mark, dates, ..evidence }).to_string(), ..erasure })
    }

    fn proofs_mark(&self, erasure: &Erasure, evidence: &Evidence) -> Result<Digest, Error> {
        let Erasure {
            certificate,
            cause,
            resident,
            mandate,
            sector,
            months,
            commitments,
            evidence: _,
            requested_at: _,
            live_at: _,
            root_at: _,
        } = erasure;
        let Evidence { epoch, root, proofs, carried, mark: _, dates: _ } = evidence;
        let carried = carried.as_ref().map(|carried| json!(carried).to_string());
        let months: Vec<u8> = months.iter().flat_map(|month| month.0.to_be_bytes()).collect();
        let proofs = json!(proofs).to_string();
        let commitments: Vec<u8> = commitments.iter().flat_map(|commitment| commitment.0).collect();
        let [resident, mandate, sector] = [resident, mandate, sector].map(|number| optional(number.map(u64::to_be_bytes)));
        let epoch = epoch.to_be_bytes();
        let mut columns = vec![
            certificate.as_str().as_bytes(),
            cause.as_bytes(),
            &resident,
            &mandate,
            &sector,
            &months,
            &commitments,
            &epoch,
            &root.0,
            proofs.as_bytes(),
        ];
        // Notes of other causes have no such column.
        columns.extend(carried.as_ref().map(String::as_bytes));
        row_mark(&self.vault, b"usufruct/row/erasure/v1", &columns)
    }

    fn dates_mark(&self, erasure: &Erasure) -> Result<Digest, Error> {
        let columns = [
            erasure.certificate.as_str().as_bytes(),
            &time(erasure.requested_at),
            &optional(erasure.live_at.map(time)),
            &optional(erasure.root_at.map(time)),
        ];
        row_mark(&self.vault, b"usufruct/row/erasure-dates/v1", &columns)
    }
}
