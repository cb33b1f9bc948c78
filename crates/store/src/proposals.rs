//! Statements that wait for approvals of officials.

use usufruct_core::Time;

use crate::db::{Connection, Error, Row};

/// Statements that are published together, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProposal {
    pub id: String,
    /// The body that speaks in the first statement.
    pub agency: String,
    pub due_at: Time,
    /// JSON of the statements, their approvals so far, and who has to approve.
    pub content: String,
}

/// Adds a proposal.
pub fn insert(conn: &mut dyn Connection, proposal: &StoredProposal) -> Result<(), Error> {
    let sql = "-- proposal_insert\nINSERT INTO proposals (proposal_id, agency, due_at, content) VALUES ($1, $2, $3, $4)";
    let StoredProposal { id, agency, due_at, content } = proposal;
    conn.execute(sql, &[id.as_str().into(), agency.as_str().into(), due_at.micros().into(), content.as_str().into()])?;
    Ok(())
}

/// The proposal with this id.
pub fn find(conn: &mut dyn Connection, id: &str) -> Result<Option<StoredProposal>, Error> {
    let sql = "-- proposal_find\nSELECT proposal_id, agency, due_at, content FROM proposals WHERE proposal_id = $1";
    conn.query_one(sql, &[id.into()])?.map(|row| stored(&row)).transpose()
}

/// The first `limit` proposals by their dates.
pub fn list(conn: &mut dyn Connection, limit: i64) -> Result<Vec<StoredProposal>, Error> {
    let sql =
        "-- proposal_list\nSELECT proposal_id, agency, due_at, content FROM proposals ORDER BY due_at, proposal_id LIMIT $1";
    conn.query(sql, &[limit.into()])?.iter().map(stored).collect()
}

/// How many proposals of a body wait.
pub fn count(conn: &mut dyn Connection, agency: &str) -> Result<i64, Error> {
    let row = conn.query_one("-- proposal_count\nSELECT COUNT(*) FROM proposals WHERE agency = $1", &[agency.into()])?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Notes the approvals of a proposal.
pub fn set_content(conn: &mut dyn Connection, id: &str, content: &str) -> Result<(), Error> {
    conn.execute("-- proposal_set\nUPDATE proposals SET content = $2 WHERE proposal_id = $1", &[id.into(), content.into()])?;
    Ok(())
}

/// Deletes a proposal. False when it is not there any more.
pub fn delete(conn: &mut dyn Connection, id: &str) -> Result<bool, Error> {
    Ok(conn.execute("-- proposal_delete\nDELETE FROM proposals WHERE proposal_id = $1", &[id.into()])? == 1)
}

/// Deletes proposals that were due before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- proposal_delete_expired\nDELETE FROM proposals WHERE due_at < $1", &[before.micros().into()])
}

fn stored(row: &Row) -> Result<StoredProposal, Error> {
    Ok(StoredProposal {
        id: row.text(0)?.to_owned(),
        agency: row.text(1)?.to_owned(),
        due_at: Time::from_micros(row.integer(2)?),
        content: row.text(3)?.to_owned(),
    })
}
