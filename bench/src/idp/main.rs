//! Measures the provider beside npm `oidc-provider` in one run: `cargo run --release -p usufruct-bench --bin idp [-- SECONDS]`.
//!
//! Each server is a process of its own, so that its memory and its processor time are its own. Requests are signed before the clock
//! starts, as FAPI asks for fresh signatures in each. The other provider keeps everything in memory; ours is durable before it answers.
//! `npm ci` in `bench/idp` brings the other one; without it only ours is measured.

mod client;
mod serve;
mod server;
mod walk;

#[path = "../../../crates/app/tests/common/mod.rs"]
mod city;

use std::time::{Duration, Instant};

use client::{Client, Measured};
use server::Server;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, dir, port] = &arguments[..]
        && verb == "serve"
    {
        serve::run(dir.as_ref(), port.parse().expect("a port"));
        return;
    }
    let seconds = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("# The provider\n\n{cores} cores shared with the generator, {CONNECTIONS} connections.\n");
    println!("| provider | what | answers/s | p50 ms | p95 ms | p99 ms | answers per second of its processor time | memory MB |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ours = runtime.block_on(measure(Server::ours(), span));
    let theirs = Server::theirs().map(|server| runtime.block_on(measure(server, span)));
    match theirs {
        Some(theirs) => {
            println!();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                println!(
                    "- {}: {:.2} times as many answers a second, {:.2} times as many per processor second",
                    ours.what,
                    ours.per_second() / theirs.per_second(),
                    ours.per_cpu_second() / theirs.per_cpu_second()
                );
            }
        }
        None => println!("\nnpm oidc-provider is not installed: run `npm ci` in bench/idp to have it measured too."),
    }
}

/// Token, pushed request, and the whole sign-in of people who are signed in at the provider and have agreed: on both sides the request is pushed, the
/// browser led to the provider and back with a code, and the code exchanged.
async fn measure(mut server: Server, span: Duration) -> Vec<Measured> {
    let client = Client::new(&server);
    let mut all = Vec::new();
    for what in [client::What::Token, client::What::Push, client::What::SignIn] {
        if what == client::What::SignIn && server.cookies.is_empty() {
            // Not sooner: the other provider's memory keeps its last 1,000 entries, and sessions that nobody uses go first.
            for person in 0..CONNECTIONS {
                server.cookies.push(walk::sign_in(&client, &server, person).await);
            }
        }
        // Once without looking, so that neither starts cold.
        client.run(&server, what, span / 4).await;
        let measured = client.run(&server, what, span).await;
        println!(
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} |",
            server.name,
            measured.what,
            measured.per_second(),
            measured.millis(0.5),
            measured.millis(0.95),
            measured.millis(0.99),
            measured.per_cpu_second(),
            server.memory_mb(),
        );
        all.push(measured);
    }
    all
}

/// Requests in flight.
const CONNECTIONS: usize = 16;

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}
