//! Operation: what a system of an agency calls the action that it reports, so that the agency can be asked about it in its own words.

use crate::cbor::{Malformed, read};

/// Longest name of a system, in bytes.
pub const ENTITY_MOST: usize = 200;

/// An action in the log of a system outside the pass (W3C Trace Context; *Logboek Dataverwerkingen* calls it an operation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOperation {
    /// Never all zeros.
    pub trace_id: [u8; 16],
    /// Never all zeros.
    pub operation_id: [u8; 8],
    /// The operation within the same trace that called it.
    pub parent_operation_id: Option<[u8; 8]>,
    /// What the system calls itself, or the id of its service in the register.
    pub entity: String,
}

impl ForeignOperation {
    /// `None` where one of the ids is no id, because all of it is zero or it has another length, or where the name is empty or too long.
    pub fn new(trace_id: &[u8], operation_id: &[u8], parent: &[u8], entity: &str) -> Option<Self> {
        let (trace_id, operation_id) = (trace_id.try_into().ok()?, operation_id.try_into().ok()?);
        let parent_operation_id = if parent.is_empty() { None } else { Some(parent.try_into().ok()?) };
        let is_id = trace_id != [0; 16] && operation_id != [0; 8] && parent_operation_id != Some([0; 8]);
        let is_named = !entity.is_empty() && entity.len() <= ENTITY_MOST;
        (is_id && is_named).then(|| Self { trace_id, operation_id, parent_operation_id, entity: entity.to_owned() })
    }

    /// What tells it from every other operation of its source.
    pub fn key(&self) -> [u8; 24] {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&self.trace_id);
        key[16..].copy_from_slice(&self.operation_id);
        key
    }

    pub(crate) fn decode(d: &mut minicbor::Decoder<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "operation";
        if read(d.array(), WHAT)? != Some(4) {
            return Err(Malformed { what: WHAT });
        }
        let (trace, operation, parent) = (read(d.bytes(), WHAT)?, read(d.bytes(), WHAT)?, read(d.bytes(), WHAT)?);
        Self::new(trace, operation, parent, read(d.str(), WHAT)?).ok_or(Malformed { what: WHAT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trace, operation, calling operation, and name.
    type Parts = (&'static [u8], &'static [u8], &'static [u8], &'static str);

    #[test]
    fn zeros_and_other_lengths_are_no_ids() {
        let whole = ForeignOperation::new(&[1; 16], &[2; 8], &[3; 8], "loans").unwrap();
        assert_eq!((whole.key()[..16].to_vec(), whole.key()[16..].to_vec()), (vec![1; 16], vec![2; 8]));
        assert_eq!(ForeignOperation::new(&[1; 16], &[2; 8], &[], "loans").unwrap().parent_operation_id, None);
        let none: [Parts; 7] = [
            (&[0; 16], &[2; 8], &[], "loans"),
            (&[1; 16], &[0; 8], &[], "loans"),
            (&[1; 16], &[2; 8], &[0; 8], "loans"),
            (&[1; 15], &[2; 8], &[], "loans"),
            (&[], &[], &[], "loans"),
            (&[1; 16], &[2; 8], &[3; 7], "loans"),
            (&[1; 16], &[2; 8], &[], ""),
        ];
        for (trace, operation, parent, entity) in none {
            assert_eq!(ForeignOperation::new(trace, operation, parent, entity), None);
        }
        assert_eq!(ForeignOperation::new(&[1; 16], &[2; 8], &[], &"x".repeat(ENTITY_MOST + 1)), None);
    }
}
