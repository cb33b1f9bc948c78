//! Marks: what this house said to a browser and wants back unchanged.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::session::OpenSession;
use crate::{App, Error};

impl App {
    /// A mark over `parts` for one purpose, bound to the session when there is one. Only this house can make it: its key
    /// is in no page.
    pub fn mark(&self, purpose: &str, session: Option<&OpenSession>, parts: &[&str]) -> Result<String, Error> {
        let bound = session.map_or([0; 32], |session| session.bound_to().0);
        let mut message = bound.to_vec();
        for part in std::iter::once(&purpose).chain(parts) {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        Ok(URL_SAFE_NO_PAD.encode(self.vault.session_mark(&[b"usufruct/mark/v1", &message])?))
    }
}
