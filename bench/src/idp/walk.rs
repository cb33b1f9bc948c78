//! Walks the pages of the other provider as a browser does: signs somebody in, agrees, and keeps the session.

use std::collections::BTreeMap;

use crate::client::{Client, REDIRECT};
use crate::server::Server;

/// Signs a person in who agrees to what the client asks. Answers her cookies.
pub async fn sign_in(client: &Client, server: &Server, person: usize) -> String {
    let (mut jar, mut next) = (BTreeMap::new(), client.begun(server).await);
    for _ in 0..MOST_STEPS {
        if next.starts_with(REDIRECT) {
            return header(&jar);
        }
        let (answer, page) = step(client, &mut jar, client.http.get(&next)).await;
        next = match answer {
            Some(location) => absolute(server, &location),
            None => {
                let prompt = ["login", "consent"].into_iter().find(|prompt| page.contains(&format!("value=\"{prompt}\"")));
                let prompt = prompt.expect("a page that asks for a sign-in or for consent");
                let form = [("prompt", prompt.to_owned()), ("login", format!("person-{person}")), ("password", "any".to_owned())];
                let (answer, page) = step(client, &mut jar, client.http.post(&next).form(&form)).await;
                absolute(server, &answer.unwrap_or_else(|| panic!("the form leads on: {page}")))
            }
        };
    }
    panic!("the pages of the other provider lead nowhere")
}

/// Sends a request with the cookies so far and keeps those that come. Answers where it leads, and what it shows.
async fn step(client: &Client, jar: &mut BTreeMap<String, String>, request: reqwest::RequestBuilder) -> (Option<String>, String) {
    let built = request.header("cookie", header(jar)).build().expect("a request");
    let answer = client.http.execute(built).await.expect("an answer");
    for set in answer.headers().get_all("set-cookie") {
        let pair = set.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
    (location, answer.text().await.unwrap_or_default())
}

fn header(jar: &BTreeMap<String, String>) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn absolute(server: &Server, location: &str) -> String {
    if location.starts_with('/') { format!("{}{location}", server.issuer) } else { location.to_owned() }
}

/// Requests until somebody is back at the client: the request, two pages with their forms, and what lies between.
const MOST_STEPS: usize = 12;
