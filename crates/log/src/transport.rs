//! How a log reaches witnesses and mirrors. The crate itself knows no network.

use crate::error::Result;

/// A client of HTTP. It has time limits of its own, follows no redirects, and reads at most a megabyte of an answer.
pub trait Transport: Send + Sync {
    /// Sends a body and reads the answer, whatever its status. An error means that there was no whole answer.
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response>;

    /// Asks for a resource and reads the answer, whatever its status. An error means that there was no whole answer.
    fn get(&self, url: &str) -> Result<Response>;
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The media type as it was sent; empty if none was.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response> {
        (**self).post(url, content_type, body)
    }

    fn get(&self, url: &str) -> Result<Response> {
        (**self).get(url)
    }
}
