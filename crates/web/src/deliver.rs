//! Bring what is in the outbox to the services: signed here, posted through the guard, settled by what they answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use usufruct_app::store::outbox::Channel;
use usufruct_app::{Error, Outgoing};
use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::time::SECOND;

use crate::Site;
use crate::outbound::{Outbound, Unsent};
use crate::site::attempt;
use crate::ssf::token;

/// Sends what is due now, and answers how many messages were tried. Each service is sent one message after the other; none waits for
/// another service.
pub async fn deliver(site: &Arc<Site>, outbound: &Outbound) -> Result<usize, Error> {
    let until = site.app.now().plus(LONGEST_ROUND);
    let due = attempt(site, |app| app.due_messages(AT_ONCE)).await?;
    let count = due.len();
    let mut lines: BTreeMap<(ServiceId, &'static str), Vec<Outgoing>> = BTreeMap::new();
    for message in due {
        lines.entry((message.event.service.clone(), message.channel.code())).or_default().push(message);
    }
    let mut running = JoinSet::new();
    for line in lines.into_values() {
        running.spawn(send_all(Arc::clone(site), outbound.clone(), line, until));
    }
    let mut failed = None;
    while let Some(joined) = running.join_next().await {
        if let Ok(Err(error)) = joined {
            failed = Some(error);
        }
    }
    failed.map_or(Ok(count), Err)
}

/// What a service made of a message.
enum Outcome {
    Taken,
    /// It does not want this one.
    Refused,
    /// It is in trouble, or is not there.
    Failed,
}

/// Sends messages to one service, until one fails or the time is over; those that are left come again.
async fn send_all(site: Arc<Site>, outbound: Outbound, line: Vec<Outgoing>, until: Time) -> Result<(), Error> {
    for (place, message) in line.iter().enumerate() {
        if site.app.now() >= until {
            break;
        }
        let outcome = send(&site, &outbound, message).await?;
        let (sent, untried) = (message.clone(), line[place + 1..].to_vec());
        let has_failed = matches!(outcome, Outcome::Failed);
        attempt(&site, move |app| match outcome {
            Outcome::Taken => app.message_taken(&sent),
            Outcome::Refused => app.message_refused(&sent),
            Outcome::Failed => app.receiver_failed(&sent, &untried),
        })
        .await?;
        if has_failed {
            break;
        }
    }
    Ok(())
}

async fn send(site: &Arc<Site>, outbound: &Outbound, message: &Outgoing) -> Result<Outcome, Error> {
    let unsigned = || Error::House { what: "a message could not be signed with the provider key".to_owned() };
    let answered = match message.channel {
        Channel::Logout => {
            let token = token::logout(site, &message.event).ok_or_else(unsigned)?;
            let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
            outbound.post(&message.url, "application/x-www-form-urlencoded", None, body).await
        }
        Channel::Signal => {
            let token = token::security_event(site, &message.event).ok_or_else(unsigned)?;
            let service = message.event.service.clone();
            let authorization = attempt(site, move |app| app.push_authorization(&service)).await?;
            outbound.post(&message.url, "application/secevent+jwt", authorization.as_deref(), token).await
        }
    };
    let outcome = outcome(message.channel, &answered);
    if !matches!(outcome, Outcome::Taken) {
        let (service, channel) = (&message.event.service, message.channel.code());
        match answered {
            Ok(status) => tracing::warn!(%service, channel, status, message.attempts, "a service did not take a message"),
            Err(error) => tracing::warn!(%service, channel, %error, message.attempts, "a service was not told"),
        }
    }
    Ok(outcome)
}

/// 200 and 204 mean that a logout token was taken (OpenID Connect Back-Channel Logout 1.0, 2.8); 202 that a signal was (RFC 8935, 2.2),
/// where 200 and 204 count as well. 400 is about the message, everything else about the service.
fn outcome(channel: Channel, answered: &Result<u16, Unsent>) -> Outcome {
    match (channel, answered) {
        (_, Ok(200 | 204)) | (Channel::Signal, Ok(202)) => Outcome::Taken,
        (_, Ok(400)) => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

/// Messages taken in one round.
const AT_ONCE: usize = 256;
/// How long a round may send to one service: well inside the lease of its messages.
const LONGEST_ROUND: i64 = 45 * SECOND;
