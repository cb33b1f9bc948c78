//! The release API over HTTP on loopback, single and in batches.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use usufruct_web::{Limits, Settings, Site};

use crate::city::{City, mandate, service};
use crate::now;
use crate::table::Row;

const CLIENTS: usize = 64;

/// Serves the city on a free port and measures from the same process.
pub fn rows(city: &City, subjects: &[String], span: Duration) -> Vec<Row> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let site =
            Site::new(Arc::clone(&city.app), Settings { issuer: "http://localhost:8080".into(), allows_oidc: false, demo: None })
                .expect("a site")
                .with_limits(&Limits::wide());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, usufruct_web::router(Arc::new(site))).await });
        // One each, for a token to data lives two minutes.
        let token = || city.app.client_token(&service(), "release", None, Vec::new()).wait().expect("a token").access_token;
        let client = reqwest::Client::new();
        vec![
            single(city, &client, &base, &token(), subjects, span).await,
            batch(city, &client, &base, &token(), subjects, span).await,
        ]
    })
}

async fn single(city: &City, client: &reqwest::Client, base: &str, token: &str, subjects: &[String], span: Duration) -> Row {
    let before = city.app.db().counters();
    let begin = now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (client, url, token, subjects) = (client.clone(), format!("{base}/api/releases"), token.to_owned(), subjects.to_vec());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut i = n;
                while begin.elapsed() < span {
                    let start = now();
                    let body = json!({"subject": subjects[i % subjects.len()], "mandate": mandate(), "blocks": blocks(), "reason": "lending"});
                    send(&client, &url, &token, &body).await;
                    latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
                    i += CLIENTS;
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await.expect("a client"));
    }
    Row::new("release, over HTTP", latencies, begin.elapsed(), 1, before, city.app.db().counters())
}

async fn batch(city: &City, client: &reqwest::Client, base: &str, token: &str, subjects: &[String], span: Duration) -> Row {
    let before = city.app.db().counters();
    let begin = now();
    let mut latencies = Vec::new();
    let body = json!({"subjects": subjects, "mandate": mandate(), "blocks": blocks(), "reason": "lending"});
    while begin.elapsed() < span {
        let start = now();
        send(client, &format!("{base}/api/releases/batch"), token, &body).await;
        latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Row::new("batch of 10,000, over HTTP", latencies, begin.elapsed(), subjects.len() as u64, before, city.app.db().counters())
}

fn blocks() -> Value {
    json!([{"block": "blk_name", "form": "value"}])
}

async fn send(client: &reqwest::Client, url: &str, token: &str, body: &Value) {
    let answer = client.post(url).bearer_auth(token).json(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await.unwrap_or_default());
}
