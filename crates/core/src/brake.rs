//! The burst brake: how often two officials act for one reason, and when that is so unlike their past that they are stopped.
//!
//! For every stratum the uses of each day are counted. The day's count is held against the 28 days before it with the exact predictive test
//! of the Gamma-Poisson model: the first use that would bring the day to a count of probability below 1 in 10,000 is refused, and so is
//! everything after it, until the oversight body releases the stratum. A CUSUM beside it finds the slow drift that no single day shows; it
//! is a sign for the public and for the oversight body and refuses nothing, because it errs about once in a year and stratum.
//!
//! What is written about residents and names no official counts for a stratum of its own, that of nobody, so that leaving the name out
//! lifts no limit. Whether a mandate as a whole is used far more than before is told by the same test ([`burst`]), and stops nothing.
//!
//! A use costs a look-up and an addition. The limit of a day is computed once, with additions, products and quotients only, so that every
//! machine finds the same. Days come in as numbers, counted by the calendar of the city.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Digest;
use crate::hash::sha256;
use crate::id::AgencyId;

/// Days that a day is held against.
pub const WINDOW: usize = 28;
/// How unlikely a day's count must be to stop.
pub const PROBABILITY: f64 = 1e-4;
/// Days of history before a drift, or a burst of a whole mandate, is looked for, as the EARS methods have it.
pub const HISTORY: u32 = 7;
/// What of a day's excess the CUSUM forgives, in standard deviations.
const DRIFT_SLACK: f64 = 0.5;
/// The sum above which there is drift, in standard deviations.
const DRIFT_LIMIT: f64 = 5.0;

/// Who acts, for which reason, for which body: what is counted by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stratum {
    body: AgencyId,
    reason: String,
    /// The commitments to the two officials, the smaller one first: who asked and who approved may change places.
    officials: [Digest; 2],
}

/// Why a stratum is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// The day on which it was stopped.
    pub day: i64,
    /// The count that was refused, the first too many since the day began or since the last release on it.
    pub count: u32,
}

/// One day of a stratum, as it is kept and made public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DayCount {
    pub day: i64,
    pub uses: u32,
    /// Uses and approvals that the brake refused.
    pub refused: u32,
    /// The uses of the day when it was last released, if it was.
    pub released: Option<u32>,
    /// Set when it was stopped on this day and not released on it.
    pub stop: Option<Stop>,
}

/// The counts of one stratum.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    first: i64,
    today: DayCount,
    /// Uses of the last days, that of day `d` at `d` modulo [`WINDOW`].
    days: [u32; WINDOW],
    sum: u64,
    /// The first count that is too many today.
    limit: u32,
    drift: f64,
    drifted: Option<i64>,
    stop: Option<Stop>,
}

/// All strata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brake {
    strata: BTreeMap<Stratum, Gauge>,
}

impl Stratum {
    pub fn new(body: AgencyId, reason: &str, officials: [Digest; 2]) -> Self {
        let [one, other] = officials;
        Self { body, reason: reason.to_owned(), officials: [one.min(other), one.max(other)] }
    }

    /// The stratum of all decisions for which no official is named, under the mandate in `reason`.
    pub fn of_nobody(body: AgencyId, reason: &str) -> Self {
        let nobody = sha256(b"usufruct/nobody/v1");
        Self::new(body, reason, [nobody, nobody])
    }

    pub fn body(&self) -> &AgencyId {
        &self.body
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The commitments to the two officials, the smaller one first.
    pub fn officials(&self) -> &[Digest; 2] {
        &self.officials
    }

    /// The name by which it is shown and released: it tells nobody who the officials are.
    pub fn mark(&self) -> Digest {
        let [one, other] = &self.officials;
        let (body, reason) = (self.body.as_str().as_bytes(), self.reason.as_bytes());
        sha256(&[b"usufruct/stratum/v1\n", &one.0[..], &other.0[..], body, b"\n", reason].concat())
    }
}

impl Brake {
    /// Takes one use or approval of `stratum` on `day`, or refuses it before it has any effect. What is refused is counted too.
    pub fn take(&mut self, stratum: &Stratum, day: i64) -> Result<(), Stop> {
        match self.strata.get_mut(stratum) {
            Some(gauge) => gauge.take(day),
            None => self.strata.entry(stratum.clone()).or_insert_with(|| Gauge::new(day)).take(day),
        }
    }

    /// The counts of a stratum.
    pub fn gauge(&self, stratum: &Stratum) -> Option<&Gauge> {
        self.strata.get(stratum)
    }

    /// Puts counts back as they were before something that did not happen after all.
    pub fn put_back(&mut self, stratum: &Stratum, gauge: Option<Gauge>) {
        match gauge {
            Some(gauge) => self.strata.insert(stratum.clone(), gauge),
            None => self.strata.remove(stratum),
        };
    }

    /// The stratum with this mark.
    pub fn find(&self, mark: &Digest) -> Option<&Stratum> {
        self.strata.keys().find(|stratum| stratum.mark() == *mark)
    }

    /// The oversight body lets `stratum` go on. Answers whether it was stopped.
    pub fn release(&mut self, stratum: &Stratum, day: i64) -> bool {
        self.strata.get_mut(stratum).is_some_and(|gauge| gauge.release(day))
    }

    /// Stops `stratum` on `day` where it is not stopped: the register says that it has been since another, and what was counted is lost.
    pub fn hold(&mut self, stratum: &Stratum, day: i64, since: i64) {
        self.strata.entry(stratum.clone()).or_insert_with(|| Gauge::new(day)).hold(day, since);
    }

    /// Takes over what was kept of one stratum. See [`Gauge::restore`].
    pub fn restore(&mut self, stratum: Stratum, days: &[DayCount]) {
        if let Some(gauge) = Gauge::restore(days) {
            self.strata.insert(stratum, gauge);
        }
    }

    /// The strata with their counts, in the order of bodies and reasons.
    pub fn strata(&self) -> impl Iterator<Item = (&Stratum, &Gauge)> {
        self.strata.iter()
    }
}

impl Gauge {
    /// A stratum that begins on `day`. It is taken to follow one day without uses, so that nobody begins with a burst.
    pub fn new(day: i64) -> Self {
        let today = DayCount::begin(day);
        Self { first: day, today, days: [0; WINDOW], sum: 0, limit: limit(0, 1), drift: 0.0, drifted: None, stop: None }
    }

    /// The same gauge from all its days with anything in them, in order. `None` when there are none.
    pub fn restore(days: &[DayCount]) -> Option<Self> {
        let mut gauge = Self::new(days.first()?.day);
        for day in days {
            gauge.turn(day.day);
            gauge.today = *day;
            if day.released.is_some() {
                (gauge.stop, gauge.drift, gauge.drifted) = (None, 0.0, None);
            }
            gauge.stop = gauge.stop.or(day.stop);
        }
        Some(gauge)
    }

    /// Takes one use on `day`, or says since when there are none. A day before the last one counts as the last one.
    pub fn take(&mut self, day: i64) -> Result<(), Stop> {
        self.turn(day);
        let count = self.today.uses - self.today.released.unwrap_or(0) + 1;
        if self.stop.is_none() && count >= self.limit {
            let stop = Stop { day: self.today.day, count };
            (self.stop, self.today.stop) = (Some(stop), Some(stop));
        }
        if let Some(stop) = self.stop {
            self.today.refused = self.today.refused.saturating_add(1);
            return Err(stop);
        }
        self.today.uses += 1;
        Ok(())
    }

    /// Has it stopped since another day where it is not stopped.
    pub fn hold(&mut self, day: i64, since: i64) {
        self.turn(day);
        if self.stop.is_none() {
            let stop = Stop { day: since, count: self.limit };
            (self.stop, self.today.stop) = (Some(stop), Some(stop));
        }
    }

    /// Lets it go on, and counts afresh against the day's limit, so that a release is not a licence for the rest of the day. Answers whether
    /// it was stopped.
    pub fn release(&mut self, day: i64) -> bool {
        self.turn(day);
        let was_stopped = self.stop.take().is_some();
        self.today.released = Some(self.today.uses);
        self.today.stop = None;
        (self.drift, self.drifted) = (0.0, None);
        was_stopped
    }

    /// The present day, as it is kept.
    pub fn today(&self) -> &DayCount {
        &self.today
    }

    /// Since when nothing is taken.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The first count that is too many on the present day.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The day whose count brought the CUSUM over its limit, until a release.
    pub fn drifted(&self) -> Option<i64> {
        self.drifted
    }

    /// Days of history, at most [`WINDOW`].
    fn seen(&self, day: i64) -> u32 {
        day.saturating_sub(self.first).clamp(1, WINDOW as i64) as u32
    }

    /// Ends the days before `day`.
    fn turn(&mut self, day: i64) {
        if day <= self.today.day {
            return;
        }
        self.end(self.today.day, self.today.uses);
        // After as many silent days as the window has, nothing of the past is left: the drift falls by its slack every day.
        let silent = (self.today.day + 1..day).take(WINDOW);
        for silent in silent {
            self.end(silent, 0);
        }
        self.today = DayCount::begin(day);
        self.limit = limit(self.sum, self.seen(day));
    }

    fn end(&mut self, day: i64, uses: u32) {
        let seen = self.seen(day);
        if seen >= HISTORY {
            let mean = (self.sum as f64 + 0.5) / f64::from(seen);
            let deviation = (mean * (1.0 + 1.0 / f64::from(seen))).sqrt();
            self.drift = (self.drift + (f64::from(uses) - mean) / deviation - DRIFT_SLACK).max(0.0);
            if self.drift > DRIFT_LIMIT {
                (self.drift, self.drifted) = (0.0, Some(day));
            }
        }
        let place = &mut self.days[day.rem_euclid(WINDOW as i64) as usize];
        self.sum = self.sum - u64::from(*place) + u64::from(uses);
        *place = uses;
    }
}

impl DayCount {
    fn begin(day: i64) -> Self {
        Self { day, uses: 0, refused: 0, released: None, stop: None }
    }
}

/// The smallest count whose probability to be reached is below [`PROBABILITY`], after `sum` uses in `days` days.
///
/// With the prior of Jeffreys, Gamma(1/2, 0), the rate has the distribution Gamma(sum + 1/2, days), and the next day's count is negative
/// binomial: each count is as likely as the one below it times (sum + 1/2 + count) / (count + 1) / (days + 1). The weights are summed
/// from the likeliest count outwards, because that of zero is too small for a number once there are many uses.
pub fn limit(sum: u64, days: u32) -> u32 {
    const NEGLIGIBLE: f64 = 1e-18;
    let (shape, next) = (sum as f64 + 0.5, 1.0 / (f64::from(days.max(1)) + 1.0));
    let ratio = |count: u64| (shape + count as f64) / (count as f64 + 1.0) * next;
    let mode = sum.saturating_sub(1) / u64::from(days.max(1));
    let mut total = 1.0;
    let mut weight = 1.0;
    for count in (0..mode).rev() {
        weight /= ratio(count);
        total += weight;
        if weight < NEGLIGIBLE {
            break;
        }
    }
    let mut above = vec![1.0];
    weight = 1.0;
    for count in mode.. {
        weight *= ratio(count);
        if weight < NEGLIGIBLE {
            break;
        }
        above.push(weight);
        total += weight;
    }
    let mut tail = 0.0;
    let too_many = above.iter().rposition(|weight| {
        tail += weight;
        tail >= PROBABILITY * total
    });
    u32::try_from(mode + too_many.map_or(0, |place| place as u64) + 1).unwrap_or(u32::MAX)
}

/// Whether `uses` on a day are far more than the days before make likely: `sum` uses in `days` days. With less than [`HISTORY`] days
/// nothing is known yet, and a mandate that has just begun is no burst.
pub fn burst(uses: u64, sum: u64, days: u32) -> bool {
    days >= HISTORY && uses >= u64::from(limit(sum, days))
}
