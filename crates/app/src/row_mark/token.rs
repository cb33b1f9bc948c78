//! Marks of codes, and of the tokens that come of them.

use usufruct_core::Digest;
use usufruct_store::codes::Code;
use usufruct_store::refresh_tokens::RefreshToken;
use usufruct_store::tokens::Token;
use usufruct_vault::Vault;

use super::{is_equal, optional, row_mark, time};
use crate::Error;

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
