//! The answer to a job: the writer puts it there once; whoever asked waits for it on a thread or as a future.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A place for one answer, from both sides.
pub(super) fn place<T>() -> (Answer<T>, Awaited<T>) {
    let place = Arc::new(Place { state: Mutex::new(State::Open(None)), arrived: Condvar::new() });
    (Answer(Arc::clone(&place)), Awaited(place))
}

/// The side that answers. Dropped without an answer, it says that there will be none.
pub(super) struct Answer<T>(Arc<Place<T>>);

/// The side that waits.
pub(super) struct Awaited<T>(Arc<Place<T>>);

struct Place<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

enum State<T> {
    /// Nothing yet; a future that waits left its waker.
    Open(Option<Waker>),
    There(T),
    Closed,
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves `next` and wakes who waits, unless something was left before.
    fn leave(&self, next: State<T>) {
        let mut state = self.lock();
        let State::Open(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = next;
        drop(state);
        match waker {
            Some(waker) => waker.wake(),
            None => self.arrived.notify_one(),
        }
    }
}

impl<T> Answer<T> {
    pub(super) fn send(self, answer: T) {
        self.0.leave(State::There(answer));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.leave(State::Closed);
    }
}

impl<T> Awaited<T> {
    /// Blocks until the answer is there; `None` when there will be none.
    pub(super) fn wait(self) -> Option<T> {
        let mut state = self.0.lock();
        while matches!(*state, State::Open(_)) {
            state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match std::mem::replace(&mut *state, State::Closed) {
            State::There(answer) => Some(answer),
            State::Open(_) | State::Closed => None,
        }
    }

    /// As [`Awaited::wait`], for a future. The answer is taken by the first poll that finds it.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Open(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => match std::mem::replace(&mut *state, State::Closed) {
                State::There(answer) => Poll::Ready(Some(answer)),
                _ => Poll::Ready(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::thread;
    use std::time::Duration;

    use super::place;

    #[test]
    fn an_answer_reaches_a_thread_that_waits_and_one_that_comes_late() {
        for delay in [0, 20] {
            let (answer, awaited) = place();
            let asker = thread::spawn(move || {
                thread::sleep(Duration::from_millis(10));
                awaited.wait()
            });
            thread::sleep(Duration::from_millis(delay));
            answer.send(7);
            assert_eq!(asker.join().unwrap(), Some(7));
        }
    }

    #[tokio::test]
    async fn an_answer_wakes_a_future() {
        for delay in [0, 20] {
            let (answer, awaited) = place();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(delay));
                answer.send(7);
            });
            assert_eq!(poll_fn(|context| awaited.poll(context)).await, Some(7));
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_when_there_is_no_answer() {
        let (answer, awaited) = place::<i32>();
        thread::spawn(move || drop(answer));
        assert_eq!(poll_fn(|context| awaited.poll(context)).await, None);
        let (answer, awaited) = place::<i32>();
        thread::spawn(move || drop(answer));
        assert_eq!(awaited.wait(), None);
    }
}
