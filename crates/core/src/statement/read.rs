//! Reading a statement in one pass over its bytes, which is what a replay does a million times.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use super::{Approval, Statement, StatementKind};
use crate::Digest;
use crate::hash::Sha256;
use crate::jcs::Reader;

/// The statement that these bytes are the canonical form of, and where in them begins what its approvals sign: all members after the
/// approvals, which come first. `None` for all else, and never anything that reading the long way would refuse or read otherwise.
pub(super) fn in_one_pass(bytes: &[u8]) -> Option<(Statement, usize)> {
    let mut reader = Reader::new(bytes)?;
    reader.literal("{\"approvals\":[")?;
    let approvals = approvals(&mut reader)?;
    reader.literal(",")?;
    let rest = reader.at();
    reader.literal("\"at\":")?;
    let time = reader.string()?;
    // A moment can be written in several ways, of which one is canonical.
    let at = time.parse().ok().filter(|at: &crate::Time| at.to_string() == *time)?;
    reader.literal(",\"body\":")?;
    let body = reader.value()?;
    reader.literal(",\"by\":")?;
    let by = reader.string()?.parse().ok()?;
    reader.literal(",\"id\":")?;
    let id = reader.string()?.into_owned();
    let prev = if reader.is_next(",\"prev\":") { Some(digest(&reader.string()?)?) } else { None };
    reader.literal(",\"rev\":")?;
    let rev = reader.integer()?.try_into().ok()?;
    reader.literal(",\"type\":")?;
    let kind = StatementKind::deserialize(IntoDeserializer::<Error>::into_deserializer(&*reader.string()?)).ok()?;
    reader.literal("}")?;
    reader.is_over().then_some((Statement { kind, id, rev, prev, at, by, body, approvals }, rest))
}

/// The hash of a statement whose members after the approvals are these bytes.
pub(super) fn hash(rest: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"{");
    hash.update(rest);
    hash.finish()
}

/// The list after its opening bracket.
fn approvals(reader: &mut Reader<'_>) -> Option<Vec<Approval>> {
    let mut approvals = Vec::new();
    if reader.is_next("]") {
        return Some(approvals);
    }
    loop {
        reader.literal("{\"agency\":")?;
        let agency = reader.string()?.parse().ok()?;
        reader.literal(",\"algorithm\":")?;
        let algorithm = reader.string()?.into_owned();
        reader.literal(",\"key\":")?;
        let key = reader.string()?.into_owned();
        reader.literal(",\"signature\":")?;
        let signature = reader.string()?.into_owned();
        reader.literal("}")?;
        let (authenticator_data, client_data, among) = (None, None, Vec::new());
        approvals.push(Approval { agency, key, algorithm, signature, authenticator_data, client_data, among });
        if reader.is_next("]") {
            return Some(approvals);
        }
        reader.literal(",")?;
    }
}

/// A hash in lower-case digits, which is how it is written.
fn digest(text: &str) -> Option<Digest> {
    text.parse().ok().filter(|_| !text.bytes().any(|digit| digit.is_ascii_uppercase()))
}
