//! Messages: once a week each resident is told what happened to her data, also that nothing did, unless she wants none.
//!
//! The machine notes only that a week is over. What a message says is counted in her lines when she reads it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Time;
use usufruct_core::case::STEPS_OF_OTHERS;
use usufruct_core::event::{Event, Kind};
use usufruct_core::hash::equal;
use usufruct_core::id::BlockId;
use usufruct_core::week::Week;
use usufruct_store::messages::{self, Message, MessageWalk, StoredMessageWish};
use usufruct_store::residents;
use usufruct_vault::{Error as VaultError, Vault};

use crate::courier::Mail;
use crate::erase::plain_event;
use crate::failed_use::USE_FAILED;
use crate::ledger::place;
use crate::row_mark::of_message_wish;
use crate::{Actor, App, Error};

/// What a resident wishes about her messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWish {
    /// Whether she gets one each week.
    pub is_weekly: bool,
    /// Where a letter goes that says that there is one.
    pub address: Option<String>,
}

/// A weekly message, as it reads now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeeklyMessage {
    /// What it is about: from then, and until just before `ends_at`. Longer than a week where none was written for a while.
    pub begins_at: Time,
    pub ends_at: Time,
    /// How often her data was used, or something put in or asked for.
    pub uses: usize,
    /// How often it was refused, or failed.
    pub refusals: usize,
    /// Steps that an office, the overseer or the clock took in cases of hers, and ends of what she lends that were ordered.
    pub steps: usize,
    /// Breaches of which she was told.
    pub breaches: usize,
    /// What she did herself, or somebody for her.
    pub own: usize,
}

/// Reason of the status line of a change of what she wishes.
const CHANGED: &str = "messages-changed";
/// Residents looked at in one transaction.
const PART: usize = 500;
/// Parts in one go, so that nothing else of the clock waits for long.
const PARTS: usize = 20;
/// Letters handed over in one go.
const LETTERS: usize = 200;
/// Reasons of ends of what she lends that she did not say herself.
const BY_OTHERS: [&str; 2] = [crate::carry_out::BY_ORDER, crate::withdraw::BY_ORDER];
/// Weeks for which a message is kept: half a year.
const KEPT: i64 = 26;
/// Characters of an address at most (RFC 5321, 4.5.3.1.3).
const LONGEST: usize = 254;

impl Default for MessageWish {
    /// Whoever has said nothing gets her messages, in the pass alone.
    fn default() -> Self {
        Self { is_weekly: true, address: None }
    }
}

impl WeeklyMessage {
    /// Whether there is no line at all of that time.
    pub fn is_quiet(&self) -> bool {
        self.uses + self.refusals + self.steps + self.breaches + self.own == 0
    }

    fn of(message: &Message, events: &[&Event]) -> Self {
        let mut counted =
            Self { begins_at: message.begins_at, ends_at: message.ends_at, uses: 0, refusals: 0, steps: 0, breaches: 0, own: 0 };
        for event in events.iter().filter(|event| message.begins_at <= event.at && event.at < message.ends_at) {
            *counted.place(event) += 1;
        }
        counted
    }

    fn place(&mut self, event: &Event) -> &mut usize {
        match event.kind {
            Kind::Use | Kind::Deposit | Kind::Conversion => &mut self.uses,
            Kind::Refusal => &mut self.refusals,
            Kind::Case if STEPS_OF_OTHERS.contains(&event.reason.as_str()) => &mut self.steps,
            Kind::Withdrawal if BY_OTHERS.contains(&event.reason.as_str()) => &mut self.steps,
            Kind::Status if event.reason == USE_FAILED => &mut self.refusals,
            Kind::Breach => &mut self.breaches,
            _ => &mut self.own,
        }
    }
}

impl App {
    /// The messages to a resident, the newest first, counted now in her lines.
    pub fn messages(&self, resident: u64) -> Result<Vec<WeeklyMessage>, Error> {
        let kept = usize::try_from(KEPT).unwrap_or_default();
        let messages = self.db.read(|conn| messages::of_resident(conn, resident, kept))?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let lines = self.footprint(resident)?.lines;
        let events: Vec<&Event> = lines.iter().filter_map(|line| line.event.as_ref()).collect();
        Ok(messages.iter().map(|message| WeeklyMessage::of(message, &events)).collect())
    }

    /// What a resident wishes about her messages.
    pub fn message_wish(&self, resident: u64) -> Result<MessageWish, Error> {
        let Some(stored) = self.db.read(|conn| messages::wish(conn, resident))? else { return Ok(MessageWish::default()) };
        require_true(&self.vault, &stored)?;
        let address = stored.address.as_ref().map(|sealed| self.open_address(resident, sealed)).transpose()?;
        Ok(MessageWish { is_weekly: !stored.is_off, address })
    }

    /// Sets what a resident wishes about her messages, and says in her footprint that it changed: whoever turns them off for her is seen.
    pub fn wish_messages(&self, actor: impl Into<Actor>, wished: &MessageWish) -> Result<(), Error> {
        let (actor, now) = (actor.into(), self.now());
        let resident = actor.resident;
        let address = wished.address.as_deref().map(checked).transpose()?;
        let keyring = Arc::new(self.keyring(resident)?);
        let seal =
            |address: &str| self.vault.seal_own(&keyring, &address_block()?, address.as_bytes(), self.rng()).map_err(Error::from);
        let address = address.map(seal).transpose()?;
        let is_off = !wished.is_weekly;
        let mut stored = StoredMessageWish { resident, is_off, address, said_at: now, mark: usufruct_core::Digest([0; 32]) };
        stored.mark = of_message_wish(&self.vault, &stored)?;
        let event = plain_event(Kind::Status, CHANGED, None, now);
        let (rng, vault) = (Arc::clone(&self.rng), Arc::clone(&self.vault));
        self.db.transaction("set message wishes", move |tx| {
            actor.permit(tx, &vault, now)?;
            messages::put_wish(tx, &stored)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }

    /// Writes the messages of the week that is over to everybody who has none of it, and wants some. After a stop of weeks there is one message
    /// about all of them. Answers how many were written; where there are many residents it goes on the next time.
    pub fn write_messages(&self) -> Result<u64, Error> {
        let (now, mut written) = (self.now(), 0);
        let week = Week::of(now).before();
        let known = self.db.read(|conn| messages::walk(conn))?;
        let began_at = known.map_or(week.begins(), |walk| walk.began_at);
        let goes_on = known.filter(|walk| walk.week >= week);
        let mut walk = goes_on.unwrap_or(MessageWalk { week, after: None, is_done: false, began_at });
        for _ in 0..PARTS {
            if walk.is_done {
                break;
            }
            let (done, count) = self.write_part(walk, now)?;
            written += count;
            walk = done;
        }
        Ok(written)
    }

    /// Writes the messages to the next residents, and moves on, in one transaction: after a crash it is as if it had not begun, or done.
    fn write_part(&self, walk: MessageWalk, now: Time) -> Result<(MessageWalk, u64), Error> {
        let vault = Arc::clone(&self.vault);
        self.db.transaction("write messages", move |tx| {
            // Another process may have come further meanwhile.
            if messages::walk(tx)?.is_some_and(|known| known.week > walk.week) {
                return Ok((MessageWalk { is_done: true, ..walk }, 0));
            }
            let part = residents::list(tx, walk.after, PART)?;
            let (mut next, mut count) = (MessageWalk { is_done: part.len() < PART, ..walk }, 0);
            if let Some(last) = part.last().copied() {
                next.after = Some(last);
                count += messages::write(tx, &walk, last, now)?;
                for stored in messages::off(tx, walk.after, last)? {
                    // Whoever wrote that she wants none, it was not this house.
                    if require_true(&vault, &stored).is_err() {
                        count += messages::write_to(tx, &walk, stored.resident, now)?;
                    }
                }
                messages::forget(tx, walk.after, last, Week(walk.week.0 - KEPT))?;
            }
            messages::put_walk(tx, &next)?;
            Ok::<_, Error>((next, count))
        })
    }

    /// Hands letters to the courier that say that a message waits, one for each resident however many wait. Answers how many. A crash after one
    /// is handed over and before that is noted hands over the same letter again, under the same name.
    pub fn send_mail(&self) -> Result<usize, Error> {
        let Some(courier) = self.courier.load_full() else { return Ok(0) };
        let (mut sent, mut after) = (0, None);
        loop {
            let due = self.db.read(|conn| messages::mail_due(conn, after, LETTERS))?;
            let Some((last, _)) = due.last().copied() else { return Ok(sent) };
            after = Some(last);
            for (resident, week) in due {
                if let Some(to) = self.mail_address(resident)? {
                    let mark = self.vault.session_mark(&[b"usufruct/mail/v1", &resident.to_be_bytes(), &week.0.to_be_bytes()])?;
                    courier.hand_over(&Mail { name: URL_SAFE_NO_PAD.encode(&mark[..16]), to })?;
                    sent += 1;
                }
                self.db.transaction("note mail", move |tx| Ok::<_, Error>(messages::mailed(tx, resident, week)?))?;
            }
        }
    }

    /// Where letters to a resident go; `None` where none go any more, or the row was changed behind the back of the house.
    fn mail_address(&self, resident: u64) -> Result<Option<String>, Error> {
        match self.message_wish(resident) {
            Ok(wish) => Ok(wish.address.filter(|_| wish.is_weekly)),
            Err(Error::Altered | Error::Vault(VaultError::NoKey { .. } | VaultError::Unreadable)) => {
                tracing::warn!("an address for letters does not open, and no letter was sent to it");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn open_address(&self, resident: u64, sealed: &[u8]) -> Result<String, Error> {
        let opened = self.vault.open_own(&self.keyring(resident)?, &address_block()?, sealed)?;
        Ok(String::from_utf8_lossy(&opened).into_owned())
    }
}

/// An address that can stand in the head of a letter: ASCII without spaces and control characters, something on both sides of one `@`.
fn checked(address: &str) -> Result<&str, Error> {
    let address = address.trim();
    let is_plain = address.chars().all(|it| it.is_ascii_graphic() && !"<>()[],;:\\\"".contains(it));
    let is_split = matches!(address.split('@').collect::<Vec<_>>()[..], [name, host] if !name.is_empty() && host.contains('.'));
    if is_plain && is_split && address.len() <= LONGEST {
        return Ok(address);
    }
    Err(Error::refused("This is no address for mail.", "Write it like name@example.org, or leave it empty."))
}

fn require_true(vault: &Vault, stored: &StoredMessageWish) -> Result<(), Error> {
    if equal(&stored.mark.0, &of_message_wish(vault, stored)?.0) { Ok(()) } else { Err(Error::Altered) }
}

/// Name under which an address is sealed. No data block of the register has it: it lies in a reserved form.
fn address_block() -> Result<BlockId, Error> {
    "blk_message-address".parse().map_err(|_| Error::Unknown { what: "block" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_stand_in_the_head_of_a_letter() {
        assert_eq!(checked(" lin.mei@example.org\n").unwrap(), "lin.mei@example.org");
        let long = format!("{}@example.org", "a".repeat(LONGEST));
        for bad in [
            "",
            "lin",
            "@example.org",
            "lin@",
            "a@b@example.org",
            "a@b.org\nBcc: c@d.org",
            "a b@c.org",
            "林@example.org",
            "<a@b.org>",
            &long,
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
