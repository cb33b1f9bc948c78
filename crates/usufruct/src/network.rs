//! The network as the log uses it: short requests to witnesses and mirrors.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use tokio::runtime::Runtime;
use usufruct_app::log::{self, Response, Transport};

use crate::failure::Failure;

/// A client with connections that stay open. Calls block; many threads may call at once.
pub struct Network {
    client: Client,
    runtime: Runtime,
}

impl Network {
    /// A client with the time limits that a checkpoint can wait for.
    pub fn new() -> Result<Self, Failure> {
        Self::within(TOTAL)
    }

    /// A client for uploads, which nobody waits for.
    pub fn patient() -> Result<Self, Failure> {
        Self::within(UPLOAD)
    }

    fn within(total: Duration) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::impossible(format!("No connection can be made: {error}."), "Check the limits of the system.")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(total)
            .redirect(Policy::none())
            .user_agent(concat!("usufruct/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { client: client.map_err(|error| failed(&error))?, runtime: runtime.map_err(|error| failed(&error))? })
    }

    fn send(&self, request: RequestBuilder) -> log::Result<Response> {
        self.runtime.block_on(answer(request)).map_err(|error| log::Error::outside("the network", error.without_url()))
    }
}

impl Transport for Network {
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> log::Result<Response> {
        self.send(self.client.post(url).header(reqwest::header::CONTENT_TYPE, content_type).body(body.to_vec()))
    }

    fn get(&self, url: &str) -> log::Result<Response> {
        self.send(self.client.get(url))
    }
}

async fn answer(request: RequestBuilder) -> reqwest::Result<Response> {
    let mut answer = request.send().await?;
    let content_type = answer.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while body.len() < LARGEST_ANSWER
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(LARGEST_ANSWER);
    Ok(Response { status: answer.status().as_u16(), content_type, body })
}

const CONNECT: Duration = Duration::from_secs(1);
const LARGEST_ANSWER: usize = 1_000_000;
const TOTAL: Duration = Duration::from_secs(5);
const UPLOAD: Duration = Duration::from_secs(120);
