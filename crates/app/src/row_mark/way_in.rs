//! Marks of what opens a pass: passkeys, recovery codes, invitations, cards, and requests at counters for one of them.

use usufruct_core::{Digest, Time};
use usufruct_store::cards::{self, Card};
use usufruct_store::certificate_cards::{self, CertificateCard};
use usufruct_store::counter_requests::{self, CounterRequest};
use usufruct_store::db::Connection;
use usufruct_store::invitations::{self, Invitation};
use usufruct_store::recovery_codes;
use usufruct_vault::Vault;

use super::{is_equal, optional, row_mark, time};
use crate::Error;

/// The mark of a passkey: over the credential, its resident, and its public key with counter and flags, as they are stored.
pub(crate) fn of_passkey(vault: &Vault, credential: &[u8], resident: u64, passkey: &str) -> Result<Digest, Error> {
    row_mark(vault, b"usufruct/row/passkey/v1", &[credential, &resident.to_be_bytes(), passkey.as_bytes()])
}

/// The resident of an unused recovery code that this house made.
pub(crate) fn find_recovery_code(conn: &mut dyn Connection, vault: &Vault, code_hash: &Digest) -> Result<Option<u64>, Error> {
    let Some((resident, mark)) = recovery_codes::find(conn, code_hash)? else { return Ok(None) };
    let is_ours = is_equal(mark, of_recovery_code(vault, code_hash, resident)?);
    Ok(is_ours.then_some(resident))
}

/// The mark of a recovery code: over its hash and its resident.
pub(crate) fn of_recovery_code(vault: &Vault, code_hash: &Digest, resident: u64) -> Result<Digest, Error> {
    row_mark(vault, b"usufruct/row/recovery-code/v1", &[&code_hash.0, &resident.to_be_bytes()])
}

/// The invitation with this code that still works, if this house made it as it stands there.
pub(crate) fn find_invitation(
    conn: &mut dyn Connection,
    vault: &Vault,
    code_hash: &Digest,
    now: Time,
) -> Result<Option<Invitation>, Error> {
    let Some(found) = invitations::find(conn, code_hash, now)? else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_invitation(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of an invitation: over its hash, its resident and its end.
pub(crate) fn of_invitation(vault: &Vault, invitation: &Invitation) -> Result<Digest, Error> {
    let Invitation { code_hash, resident, expires_at, mark: _ } = invitation;
    row_mark(vault, b"usufruct/row/invitation/v1", &[&code_hash.0, &resident.to_be_bytes(), &time(*expires_at)])
}

/// The printed card with this secret, if this house issued it as it stands there.
pub(crate) fn find_card(conn: &mut dyn Connection, vault: &Vault, secret_hash: &Digest) -> Result<Option<Card>, Error> {
    let Some(found) = cards::find(conn, secret_hash)? else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_card(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of a printed card: over its secret, its resident, its PIN, and when it was issued. When it was last used is not in it.
pub(crate) fn of_card(vault: &Vault, card: &Card) -> Result<Digest, Error> {
    let Card { secret_hash, resident, pin, issued_at, used_at: _, mark: _ } = card;
    let columns = [&secret_hash.0[..], &resident.to_be_bytes(), pin.as_bytes(), &time(*issued_at)];
    row_mark(vault, b"usufruct/row/card/v1", &columns)
}

/// The certificate card with this mark, if this house registered it as it stands there.
pub(crate) fn find_certificate_card(
    conn: &mut dyn Connection,
    vault: &Vault,
    card: &Digest,
) -> Result<Option<CertificateCard>, Error> {
    let Some(found) = certificate_cards::find(conn, card)? else { return Ok(None) };
    let is_ours = is_equal(found.row_mark, of_certificate_card(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of the row of a certificate card: over the card, its resident and its certificate. Its name and its use are not in it.
pub(crate) fn of_certificate_card(vault: &Vault, card: &CertificateCard) -> Result<Digest, Error> {
    let CertificateCard { mark, resident, label: _, issuer, serial, ends_at, added_at, used_at: _, row_mark: _ } = card;
    let columns = [&mark.0[..], &resident.to_be_bytes(), &issuer.0, &serial.0, &time(*ends_at), &time(*added_at)];
    row_mark(vault, b"usufruct/row/certificate-card/v1", &columns)
}

/// The request at a counter with this id that still waits, if this house wrote it as it stands there.
pub(crate) fn find_counter_request(
    conn: &mut dyn Connection,
    vault: &Vault,
    id: &str,
    now: Time,
) -> Result<Option<CounterRequest>, Error> {
    let Some(found) = counter_requests::find(conn, id, now)? else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_counter_request(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of a request at a counter: over what is asked for and who approved.
pub(crate) fn of_counter_request(vault: &Vault, request: &CounterRequest) -> Result<Digest, Error> {
    let CounterRequest { id, resident, way, guardian, expires_at, clerks, mark: _ } = request;
    let guardian = guardian.map(|(guardian, ends_at)| [&guardian.to_be_bytes()[..], &optional(ends_at.map(time))].concat());
    let mut columns = vec![
        id.as_bytes().to_vec(),
        resident.to_be_bytes().to_vec(),
        way.as_bytes().to_vec(),
        optional(guardian),
        time(*expires_at).to_vec(),
    ];
    columns.extend(clerks.iter().map(|clerk| clerk.as_bytes().to_vec()));
    row_mark(vault, b"usufruct/row/counter-request/v1", &columns.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
