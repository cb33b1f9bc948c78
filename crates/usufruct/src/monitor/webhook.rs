//! The webhook: posts each finding as JSON, again until it is taken, without ever holding up the watching.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use usufruct_app::log::Transport;

use super::finding::Report;
use crate::failure::Failure;

/// A queue of reports and the thread that posts them, one after the other.
pub struct Webhook {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Report>,
    /// How often in a row the first of them was not taken, and why the last time.
    failures: u32,
    why: String,
    /// No more waiting between attempts: the process is about to end.
    closing: bool,
}

impl Webhook {
    /// Posts to `url` from now on, beginning with what an earlier run did not get rid of.
    pub fn start(
        url: String,
        transport: Arc<dyn Transport>,
        outbox: Vec<Report>,
        first_pause: Duration,
    ) -> Result<Self, Failure> {
        let queue = Queue { waiting: outbox.into(), ..Queue::default() };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let posting = Arc::clone(&shared);
        let run = move || posting.run(&url, transport.as_ref(), first_pause);
        let thread = thread::Builder::new().name("webhook".to_owned()).spawn(run).map_err(|error| {
            Failure::impossible(format!("No thread could be started: {error}."), "Check the limits of the system.")
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Queues a report. When too many wait the oldest is dropped; it stands in the output.
    pub fn post(&self, report: Report) {
        let mut queue = self.shared.lock();
        if queue.waiting.len() >= MOST_WAITING {
            queue.waiting.pop_front();
        }
        queue.waiting.push_back(report);
        self.shared.changed.notify_all();
    }

    /// What still waits.
    pub fn outbox(&self) -> Vec<Report> {
        self.shared.lock().waiting.iter().cloned().collect()
    }

    /// Why it has not taken reports for several attempts in a row.
    pub fn trouble(&self) -> Option<String> {
        let queue = self.shared.lock();
        (queue.failures >= TROUBLE).then(|| queue.why.clone())
    }

    /// Tries once more what waits, without waiting between attempts, and answers what is left.
    pub fn close(mut self) -> Vec<Report> {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.outbox()
    }
}

impl Shared {
    fn run(&self, url: &str, transport: &dyn Transport, first_pause: Duration) {
        let mut pause = first_pause;
        loop {
            let Some(report) = self.next() else { return };
            let body = serde_json::to_vec(&report).unwrap_or_default();
            let outcome = match transport.post(url, "application/json", &body) {
                Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
                Ok(answer) => Err(format!("it answers {}", answer.status)),
                Err(error) => Err(error.to_string()),
            };
            let mut queue = self.lock();
            match outcome {
                Ok(()) => {
                    // Another one may have been dropped from the front meanwhile.
                    queue.waiting.retain(|waiting| waiting.id != report.id);
                    (queue.failures, pause) = (0, first_pause);
                }
                Err(why) => {
                    queue.failures = queue.failures.saturating_add(1);
                    queue.why = why;
                    if queue.closing {
                        return;
                    }
                    let waited = self.changed.wait_timeout_while(queue, pause, |queue| !queue.closing);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The report that is next, once there is one; `None` when there will be no more.
    fn next(&self) -> Option<Report> {
        let queue = self.lock();
        let waited = self.changed.wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closing);
        waited.unwrap_or_else(PoisonError::into_inner).waiting.front().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const MOST_WAITING: usize = 1_000;
/// Failures in a row that are worth a word.
const TROUBLE: u32 = 3;

#[cfg(test)]
mod tests {
    use usufruct_app::log::{self, Response};
    use usufruct_core::Time;

    use super::super::finding::{Code, Finding};
    use super::*;

    /// Takes every `nth` report and keeps what it took.
    struct Taker {
        nth: usize,
        calls: Mutex<(usize, Vec<String>)>,
    }

    impl Transport for Taker {
        fn post(&self, _: &str, content_type: &str, body: &[u8]) -> log::Result<Response> {
            assert_eq!(content_type, "application/json");
            let mut calls = self.calls.lock().unwrap();
            calls.0 += 1;
            let status = if calls.0.is_multiple_of(self.nth) { 204 } else { 503 };
            if status == 204 {
                let report: Report = serde_json::from_slice(body).unwrap();
                calls.1.push(report.finding.object.unwrap());
            }
            Ok(Response { status, content_type: String::new(), body: Vec::new() })
        }

        fn get(&self, _: &str) -> log::Result<Response> {
            unreachable!("a webhook only posts")
        }
    }

    fn report(n: usize) -> Report {
        let finding = Finding::broken(Code::LeafUnknown, "It is wrong. Ask.").about(n.to_string());
        Report::new(Time::default(), "city.test/log", finding, Time::default(), false)
    }

    #[test]
    fn every_report_is_taken_once_and_in_order() {
        let taker = Arc::new(Taker { nth: 3, calls: Mutex::default() });
        let transport: Arc<dyn Transport> = Arc::<Taker>::clone(&taker);
        let webhook = Webhook::start("http://hook".to_owned(), transport, vec![report(0)], Duration::from_millis(1)).unwrap();
        (1..5).for_each(|n| webhook.post(report(n)));
        for _ in 0..1_000 {
            if webhook.outbox().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert!(webhook.close().is_empty());
        assert_eq!(taker.calls.lock().unwrap().1, ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn what_nobody_takes_is_kept_for_the_next_run() {
        let taker: Arc<dyn Transport> = Arc::new(Taker { nth: usize::MAX, calls: Mutex::default() });
        let webhook = Webhook::start("http://hook".to_owned(), taker, Vec::new(), Duration::from_secs(60)).unwrap();
        (0..MOST_WAITING + 1).for_each(|n| webhook.post(report(n)));
        let left = webhook.close();
        assert_eq!(left.len(), MOST_WAITING);
        assert_eq!(left[0].finding.object.as_deref(), Some("1"), "the oldest went");
    }
}
