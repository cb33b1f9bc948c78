//! Marks of the rows that let somebody in, under a key of the house that is in no database: whoever can write to the tables still
//! opens no session, adds no way in, and lets no service know anybody.

use usufruct_core::case::{Finding, Remedy};
use usufruct_core::hash::equal;
use usufruct_core::{Digest, Time};
use usufruct_store::authorizations::{self, Authorization};
use usufruct_store::cards::{self, Card};
use usufruct_store::cases::StoredCase;
use usufruct_store::certificate_cards::{self, CertificateCard};
use usufruct_store::codes::Code;
use usufruct_store::counter_requests::{self, CounterRequest};
use usufruct_store::db::Connection;
use usufruct_store::delegations::{self, Delegation};
use usufruct_store::invitations::{self, Invitation};
use usufruct_store::recovery_codes;
use usufruct_store::refresh_tokens::RefreshToken;
use usufruct_store::sessions::{self, Session};
use usufruct_store::tokens::Token;
use usufruct_store::wishes::StoredWishes;
use usufruct_vault::Vault;

use crate::Error;

/// The session with this token hash, if this house opened it as it stands there.
pub(crate) fn find_session(conn: &mut dyn Connection, vault: &Vault, token_hash: &Digest) -> Result<Option<Session>, Error> {
    let Some(session) = sessions::find(conn, token_hash)? else { return Ok(None) };
    let is_ours = is_equal(session.mark, of_session(vault, &session)?);
    Ok(is_ours.then_some(session))
}

/// The mark of a session: over whose it is, how and when she proved herself, and what it hangs on. When it was last used is not in it.
pub(crate) fn of_session(vault: &Vault, session: &Session) -> Result<Digest, Error> {
    let (acts, card) = (session.acts.as_ref(), session.card.as_ref());
    row_mark(
        vault,
        b"usufruct/row/session/v1",
        &[
            &session.token_hash.0,
            &session.resident.to_be_bytes(),
            &time(session.opened_at),
            &time(session.proved_at),
            session.means.code().as_bytes(),
            acts.map_or(&[][..], |acts| &acts.parent.0[..]),
            acts.map_or(&[][..], |acts| acts.delegation.as_bytes()),
            card.map_or(&[][..], |card| &card.mark.0[..]),
            card.map(|card| time(card.ends_at)).as_ref().map_or(&[][..], |ends_at| &ends_at[..]),
        ],
    )
}

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

/// The delegation with this id, if this house wrote it as it stands there.
pub(crate) fn find_delegation(conn: &mut dyn Connection, vault: &Vault, id: &str) -> Result<Option<Delegation>, Error> {
    let Some(found) = delegations::find(conn, id)? else { return Ok(None) };
    Ok(is_ours(vault, &found)?.then_some(found))
}

/// Adds a delegation, or replaces the one with its id.
pub(crate) fn put_delegation(conn: &mut dyn Connection, vault: &Vault, delegation: &Delegation) -> Result<(), Error> {
    let mark = Some(of_delegation(vault, delegation)?);
    Ok(delegations::put(conn, &Delegation { mark, ..delegation.clone() })?)
}

/// Whether this house wrote a delegation as it stands there.
pub(crate) fn is_ours(vault: &Vault, delegation: &Delegation) -> Result<bool, Error> {
    Ok(is_equal(delegation.mark, of_delegation(vault, delegation)?))
}

/// The mark of a delegation: over all of it.
pub(crate) fn of_delegation(vault: &Vault, delegation: &Delegation) -> Result<Digest, Error> {
    let Delegation {
        id,
        role,
        person,
        delegate,
        powers,
        code,
        given_at,
        taken_at,
        ends_at,
        delegate_called,
        person_called,
        mark: _,
    } = delegation;
    let powers = powers.to_string();
    let columns = [
        id.as_bytes(),
        role.code().as_bytes(),
        &person.to_be_bytes(),
        &optional(delegate.map(u64::to_be_bytes)),
        powers.as_bytes(),
        &optional(code.map(|(hash, ends_at)| [&hash.0[..], &time(ends_at)].concat())),
        &time(*given_at),
        &optional(taken_at.map(time)),
        &time(*ends_at),
        &optional(delegate_called.as_ref()),
        &optional(person_called.as_ref()),
    ];
    row_mark(vault, b"usufruct/row/delegation/v1", &columns)
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

/// The authorization with this id, if this house wrote it as it stands there.
pub(crate) fn find_authorization(conn: &mut dyn Connection, vault: &Vault, id: &str) -> Result<Option<Authorization>, Error> {
    let Some(found) = authorizations::find(conn, id)? else { return Ok(None) };
    Ok(is_true_authorization(vault, &found)?.then_some(found))
}

/// Those of the authorizations that this house wrote as they stand there; not for inside a read.
pub(crate) fn true_authorizations(vault: &Vault, found: Vec<Authorization>) -> Result<Vec<Authorization>, Error> {
    let mut ours = Vec::with_capacity(found.len());
    for found in found {
        if is_true_authorization(vault, &found)? {
            ours.push(found);
        }
    }
    Ok(ours)
}

/// The authorization that was found, if this house wrote it as it stands there; not for inside a read.
pub(crate) fn true_authorization(vault: &Vault, found: Option<Authorization>) -> Result<Option<Authorization>, Error> {
    let Some(found) = found else { return Ok(None) };
    Ok(is_true_authorization(vault, &found)?.then_some(found))
}

/// Whether this house wrote an authorization as it stands there.
pub(crate) fn is_true_authorization(vault: &Vault, found: &Authorization) -> Result<bool, Error> {
    Ok(is_equal(found.mark, of_authorization(vault, found)?))
}

/// The mark of an authorization: over all of it.
pub(crate) fn of_authorization(vault: &Vault, authorization: &Authorization) -> Result<Digest, Error> {
    let Authorization { id, service, resident, scope, created_at, updated_at, ends_at, mark: _ } = authorization;
    let columns = [
        id.as_bytes(),
        service.as_str().as_bytes(),
        &resident.to_be_bytes(),
        scope.as_bytes(),
        &time(*created_at),
        &time(*updated_at),
        &time(*ends_at),
    ];
    row_mark(vault, b"usufruct/row/authorization/v1", &columns)
}

/// Whether this house wrote a case as it stands there.
pub(crate) fn is_true_case(vault: &Vault, stored: &StoredCase) -> Result<bool, Error> {
    Ok(is_equal(stored.mark, of_case(vault, stored)?))
}

/// The mark of a case: over all of it.
pub(crate) fn of_case(vault: &Vault, stored: &StoredCase) -> Result<Digest, Error> {
    let StoredCase { resident, id, line, mandate, service, agency, overseer, case, sealed, mark: _ } = stored;
    let columns = [
        &resident.to_be_bytes()[..],
        id.as_str().as_bytes(),
        &optional(line.map(u64::to_be_bytes)),
        &optional(mandate.map(u64::to_be_bytes)),
        &optional(service.as_ref().map(|id| id.as_str())),
        &optional(agency.as_ref().map(|id| id.as_str())),
        &optional(overseer.as_ref().map(|id| id.as_str())),
        case.kind.code().as_bytes(),
        case.state.code().as_bytes(),
        &time(case.filed_at),
        &time(case.due_at),
        &optional(case.extended_at.map(time)),
        &optional(case.answered_at.map(time)),
        case.finding.map_or("", Finding::code).as_bytes(),
        &optional(case.escalated_at.map(time)),
        &optional(case.decided_at.map(time)),
        case.decision.map_or("", Finding::code).as_bytes(),
        case.remedy.map_or("", Remedy::code).as_bytes(),
        &optional(case.remedy_due_at.map(time)),
        &optional(case.remedied_at.map(time)),
        &[u8::from(case.suspends)],
        sealed,
    ];
    row_mark(vault, b"usufruct/row/case/v1", &columns)
}

/// The mark of what a resident wishes: over all of it.
pub(crate) fn of_wishes(vault: &Vault, wishes: &StoredWishes) -> Result<Digest, Error> {
    let StoredWishes { resident, said_at, sealed, mark: _ } = wishes;
    row_mark(vault, b"usufruct/row/wishes/v1", &[&resident.to_be_bytes(), &time(*said_at), sealed])
}

/// What was found, if this house made it as it stands there. Reading the key of the marks may need a connection of its own, so it is not for
/// inside a read.
pub(crate) fn true_code(vault: &Vault, found: Option<Code>) -> Result<Option<Code>, Error> {
    let Some(found) = found else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_code(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of a code: over all that it was made for. Whether it was used is not in it.
pub(crate) fn of_code(vault: &Vault, code: &Code) -> Result<Digest, Error> {
    let Code {
        code_hash,
        service,
        resident,
        redirect_uri,
        challenge,
        nonce,
        scope,
        jkt,
        authorization,
        sid,
        means,
        card,
        auth_time,
        expires_at,
        used_at: _,
        mark: _,
    } = code;
    let columns = [
        &code_hash.0[..],
        service.as_str().as_bytes(),
        &resident.to_be_bytes(),
        redirect_uri.as_bytes(),
        challenge.as_bytes(),
        &optional(nonce.as_ref()),
        scope.as_bytes(),
        &optional(jkt.as_ref()),
        &optional(authorization.as_ref()),
        sid.as_bytes(),
        means.code().as_bytes(),
        &optional(card.map(|card| card.0)),
        &time(*auth_time),
        &time(*expires_at),
    ];
    row_mark(vault, b"usufruct/row/code/v1", &columns)
}

/// What was found, if this house made it as it stands there. Reading the key of the marks may need a connection of its own, so it is not for
/// inside a read.
pub(crate) fn true_token(vault: &Vault, found: Option<Token>) -> Result<Option<Token>, Error> {
    let Some(found) = found else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_token(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// An access token with its mark.
pub(crate) fn marked_token(vault: &Vault, token: Token) -> Result<Token, Error> {
    let mark = Some(of_token(vault, &token)?);
    Ok(Token { mark, ..token })
}

/// The mark of an access token: over all of it.
pub(crate) fn of_token(vault: &Vault, token: &Token) -> Result<Digest, Error> {
    let Token {
        token_hash,
        service,
        resident,
        scope,
        auth_time,
        code_hash,
        jkt,
        authorization,
        means,
        issued_at,
        expires_at,
        mark: _,
    } = token;
    let columns = [
        &token_hash.0[..],
        service.as_str().as_bytes(),
        &optional(resident.map(u64::to_be_bytes)),
        scope.as_bytes(),
        &optional(auth_time.map(time)),
        &optional(code_hash.map(|hash| hash.0)),
        &optional(jkt.as_ref()),
        &optional(authorization.as_ref()),
        means.code().as_bytes(),
        &time(*issued_at),
        &time(*expires_at),
    ];
    row_mark(vault, b"usufruct/row/token/v1", &columns)
}

/// What was found, if this house made it as it stands there. Reading the key of the marks may need a connection of its own, so it is not for
/// inside a read.
pub(crate) fn true_refresh_token(vault: &Vault, found: Option<RefreshToken>) -> Result<Option<RefreshToken>, Error> {
    let Some(found) = found else { return Ok(None) };
    let is_ours = is_equal(found.mark, of_refresh_token(vault, &found)?);
    Ok(is_ours.then_some(found))
}

/// The mark of a refresh token: over all of it.
pub(crate) fn of_refresh_token(vault: &Vault, token: &RefreshToken) -> Result<Digest, Error> {
    let RefreshToken {
        token_hash,
        service,
        resident,
        authorization,
        jkt,
        scope,
        auth_time,
        means,
        card,
        sid,
        code_hash,
        issued_at,
        expires_at,
        mark: _,
    } = token;
    let columns = [
        &token_hash.0[..],
        service.as_str().as_bytes(),
        &resident.to_be_bytes(),
        authorization.as_bytes(),
        jkt.as_bytes(),
        scope.as_bytes(),
        &time(*auth_time),
        means.code().as_bytes(),
        &optional(card.map(|card| card.0)),
        sid.as_bytes(),
        &code_hash.0,
        &time(*issued_at),
        &time(*expires_at),
    ];
    row_mark(vault, b"usufruct/row/refresh-token/v1", &columns)
}

/// Whether a stored mark is this one. A row without a mark is nobody's.
pub(crate) fn is_equal(stored: Option<Digest>, expected: Digest) -> bool {
    stored.is_some_and(|stored| equal(&stored.0, &expected.0))
}

fn row_mark(vault: &Vault, table: &[u8], columns: &[&[u8]]) -> Result<Digest, Error> {
    let mut row = Vec::new();
    for column in columns {
        row.extend_from_slice(&(column.len() as u64).to_be_bytes());
        row.extend_from_slice(column);
    }
    Ok(Digest(vault.session_mark(&[table, &row])?))
}

fn time(time: Time) -> [u8; 8] {
    time.micros().to_be_bytes()
}

/// A column that may be null: nothing, or a byte and the value.
fn optional(value: Option<impl AsRef<[u8]>>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [&[1], value.as_ref()].concat())
}
