//! Ceremonies under way, by their random ids: each is finished once. Where there is no room for another one, the network that has most under
//! way loses its oldest, so nobody shuts the door for others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_app::ProvenCertificate;
use usufruct_core::Time;
use usufruct_core::ports::random;
use usufruct_core::time::MINUTE;

use crate::Site;
use crate::passkey::Ceremony;

/// How long a ceremony may take, and how many may be under way at once.
const CEREMONY_LIFE: i64 = 5 * MINUTE;
const MOST_CEREMONIES: usize = 20_000;

/// Ceremonies under way.
pub(crate) struct Ceremonies(Mutex<Table<Ceremony>>);

impl Default for Ceremonies {
    fn default() -> Self {
        Self(Mutex::new(Table::new(MOST_CEREMONIES)))
    }
}

impl Ceremonies {
    /// Begins a ceremony for a browser in this network, and answers its id.
    pub fn begin(&self, site: &Site, network: Option<IpAddr>, ceremony: Ceremony) -> String {
        let id = URL_SAFE_NO_PAD.encode(random::<24>(site.app.rng()));
        self.table().put(id.clone(), network, site.app.now(), ceremony);
        id
    }

    /// Notes the certificate card that was shown for a ceremony, once, and answers the ticket with which it is finished.
    pub fn note_card(&self, site: &Site, id: &str, proven: Arc<ProvenCertificate>) -> Option<String> {
        let ticket = URL_SAFE_NO_PAD.encode(random::<24>(site.app.rng()));
        let mut table = self.table();
        match table.under_way.get_mut(id) {
            Some(UnderWay { ends_at, what: Ceremony::Card(card), .. }) if *ends_at > site.app.now() && card.shown.is_none() => {
                card.shown = Some((ticket.clone(), proven));
                Some(ticket)
            }
            _ => None,
        }
    }

    /// Each ceremony can be finished once.
    pub fn take(&self, site: &Site, id: &str) -> Option<Ceremony> {
        self.table().take(id, site.app.now())
    }

    fn table(&self) -> MutexGuard<'_, Table<Ceremony>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is under way, and the order in which each network began it.
struct Table<C> {
    most: usize,
    begun: u64,
    under_way: HashMap<String, UnderWay<C>>,
    networks: HashMap<Option<IpAddr>, BTreeMap<u64, String>>,
}

struct UnderWay<C> {
    ends_at: Time,
    network: Option<IpAddr>,
    number: u64,
    what: C,
}

impl<C> Table<C> {
    fn new(most: usize) -> Self {
        Self { most, begun: 0, under_way: HashMap::new(), networks: HashMap::new() }
    }

    fn put(&mut self, id: String, network: Option<IpAddr>, now: Time, what: C) {
        if self.under_way.len() >= self.most {
            self.drop_ended(now);
        }
        while self.under_way.len() >= self.most {
            // Of networks that have equally many, the one that began first.
            let largest = self.networks.values().max_by_key(|begun| (begun.len(), Reverse(begun.keys().next().copied())));
            let Some(oldest) = largest.and_then(|begun| begun.values().next().cloned()) else { break };
            self.remove(&oldest);
        }
        self.begun += 1;
        self.networks.entry(network).or_default().insert(self.begun, id.clone());
        self.under_way.insert(id, UnderWay { ends_at: now.plus(CEREMONY_LIFE), network, number: self.begun, what });
    }

    fn take(&mut self, id: &str, now: Time) -> Option<C> {
        self.remove(id).filter(|found| found.ends_at > now).map(|found| found.what)
    }

    fn drop_ended(&mut self, now: Time) {
        let ended = |(id, found): (&String, &UnderWay<C>)| (found.ends_at <= now).then(|| id.clone());
        let ended: Vec<String> = self.under_way.iter().filter_map(ended).collect();
        for id in ended {
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &str) -> Option<UnderWay<C>> {
        let found = self.under_way.remove(id)?;
        if let Some(begun) = self.networks.get_mut(&found.network) {
            begun.remove(&found.number);
            if begun.is_empty() {
                self.networks.remove(&found.network);
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        Time::from_micros(1)
    }

    fn network(n: u16) -> Option<IpAddr> {
        Some(IpAddr::from([0x2001, 0xdb8, n, 0, 0, 0, 0, 0]))
    }

    #[test]
    fn a_network_that_floods_loses_its_own_and_nobody_elses() {
        let mut table = Table::new(100);
        table.put("resident".into(), network(1), now(), ());
        for n in 0..1_000 {
            table.put(format!("flood {n}"), network(2), now(), ());
        }
        assert_eq!(table.under_way.len(), 100);
        table.put("neighbour".into(), network(3), now(), ());
        assert!(table.take("resident", now()).is_some() && table.take("neighbour", now()).is_some());
        assert!(table.take("resident", now()).is_none(), "once");
        assert!(table.take("flood 0", now()).is_none() && table.take("flood 999", now()).is_some());
        let listed: usize = table.networks.values().map(BTreeMap::len).sum();
        assert_eq!((listed, table.under_way.len(), table.networks.len()), (97, 97, 1));
    }

    #[test]
    fn many_networks_with_one_each_lose_the_oldest() {
        let mut table = Table::new(100);
        for n in 0..101 {
            table.put(n.to_string(), network(n), now(), ());
        }
        assert!(table.take("0", now()).is_none() && table.take("1", now()).is_some() && table.take("100", now()).is_some());
    }

    #[test]
    fn what_has_ended_makes_room_first() {
        let mut table = Table::new(2);
        table.put("old".into(), network(1), now(), ());
        let later = now().plus(CEREMONY_LIFE);
        table.put("flood".into(), network(2), later, ());
        table.put("flood too".into(), network(2), later, ());
        assert!(table.take("old", later).is_none());
        assert!(table.take("flood", later).is_some() && table.take("flood too", later).is_some());
    }
}
