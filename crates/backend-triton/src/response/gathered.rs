//! Answers that are sent together.
//!
//! An answer wakes the runtime of its client, which writes it and goes back to sleep: for a request of a hundred microseconds that
//! costs a good part of the processor time. While further requests wait, an instance therefore keeps its answers for the few of
//! its next executions and sends them together, which is one wake-up and often one write. An execution may take longer than it was
//! expected to, so a thread looks every few milliseconds whether an instance still executes what it did before, and sends
//! what that keeps.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_backend::{ExecutionTimes, Response, ResponseSender, wake_together};
use parking_lot::{Condvar, Mutex};
use tracing::warn;

/// How often the thread looks, while anything is kept.
const PERIOD: Duration = Duration::from_millis(5);

/// An answer that is ready.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) sender: ResponseSender,
    pub(super) response: Response,
    pub(super) queued: Instant,
    pub(super) times: ExecutionTimes,
}

impl Answer {
    pub(super) fn send(self) {
        self.sender.succeed(self.response, self.queued, &self.times);
    }
}

/// The answers of an instance that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    state: Mutex<State>,
    /// Counts executions, so that a long one can be told from several.
    turns: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Whether answers are kept: during an execution, and from there to the next one.
    is_open: bool,
    /// Whether the thread looks at it.
    is_watched: bool,
    answers: Vec<Answer>,
}

impl Gathered {
    /// Keeps the answers of the execution that begins now.
    pub(crate) fn open(self: &Arc<Self>) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        // Without the thread nobody would send what a long execution keeps waiting.
        state.is_watched = state.is_watched || watch(self);
        state.is_open = state.is_watched;
    }

    /// How many answers are kept.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().answers.len()
    }

    /// Sends what is kept, and keeps nothing more.
    pub(crate) fn send(&self) {
        let mut state = self.state.lock();
        state.is_open = false;
        let answers = mem::take(&mut state.answers);
        drop(state);
        send(answers);
    }

    /// Keeps an answer, or sends it at once.
    pub(super) fn offer(&self, answer: Answer) {
        let mut state = self.state.lock();
        if state.is_open {
            state.answers.push(answer);
        } else {
            drop(state);
            answer.send();
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        send(mem::take(&mut self.state.get_mut().answers));
    }
}

fn send(answers: Vec<Answer>) {
    wake_together(answers.len(), || answers.into_iter().for_each(Answer::send));
}

/// What the thread looks at.
struct Watched {
    all: Vec<Entry>,
    has_thread: bool,
}

struct Entry {
    gathered: Weak<Gathered>,
    turns: u64,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched { all: Vec::new(), has_thread: false });
static MORE: Condvar = Condvar::new();

/// Has the thread look until nothing is kept. False if there can be no thread.
fn watch(gathered: &Arc<Gathered>) -> bool {
    let mut watched = WATCHED.lock();
    if !watched.has_thread {
        if let Err(error) = thread::Builder::new().name("answers".to_owned()).spawn(run) {
            warn!("no thread could be started that looks after kept answers: {error}");
            return false;
        }
        watched.has_thread = true;
    }
    let turns = gathered.turns.load(Ordering::Relaxed);
    watched.all.push(Entry { gathered: Arc::downgrade(gathered), turns });
    MORE.notify_one();
    true
}

fn run() {
    loop {
        let mut watched = WATCHED.lock();
        while watched.all.is_empty() {
            MORE.wait(&mut watched);
        }
        drop(watched);
        thread::sleep(PERIOD);
        // The lock of an instance is never taken under that of the list, as it is the other way about in `open`.
        let entries = mem::take(&mut WATCHED.lock().all);
        let left: Vec<Entry> = entries.into_iter().filter_map(Entry::look).collect();
        WATCHED.lock().all.extend(left);
    }
}

impl Entry {
    /// Sends what was kept at the last look and is still. Returns itself if it has to look again.
    fn look(mut self) -> Option<Entry> {
        let gathered = self.gathered.upgrade()?;
        let turns = gathered.turns.load(Ordering::Relaxed);
        if turns != self.turns {
            self.turns = turns;
            return Some(self);
        }
        let mut state = gathered.state.lock();
        state.is_open = false;
        state.is_watched = false;
        let answers = mem::take(&mut state.answers);
        drop(state);
        send(answers);
        None
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::{Delivery, Event, Observers, ResponseReceiver, channel};

    use super::*;

    fn answer() -> (Answer, ResponseReceiver) {
        let (sender, receiver) = channel(Delivery::Once, Instant::now(), Arc::<Observers>::default());
        let (queued, times) = (Instant::now(), ExecutionTimes::now());
        (Answer { sender, response: Response::default(), queued, times }, receiver)
    }

    fn has_come(receiver: &mut ResponseReceiver) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let next = std::pin::pin!(receiver.next());
        matches!(next.poll(&mut context), std::task::Poll::Ready(Some(Event::Response { .. })))
    }

    /// The thread may be about to send it.
    async fn comes(mut receiver: ResponseReceiver) -> bool {
        let waited = tokio::time::timeout(Duration::from_secs(10), receiver.next()).await;
        matches!(waited, Ok(Some(Event::Response { .. })))
    }

    #[tokio::test]
    async fn answers_wait_for_each_other_while_they_are_gathered_and_not_otherwise() {
        let gathered = Arc::new(Gathered::default());
        let (first, mut came) = answer();
        gathered.offer(first);
        assert!(has_come(&mut came), "nothing is gathered yet");
        let kept: Vec<_> = (0..2)
            .map(|_| {
                let (kept, came) = answer();
                gathered.open();
                gathered.offer(kept);
                came
            })
            .collect();
        gathered.send();
        assert_eq!(gathered.len(), 0);
        for came in kept {
            assert!(comes(came).await);
        }
        let (last, mut came) = answer();
        gathered.offer(last);
        assert!(has_come(&mut came), "nothing is gathered any more");
        let (left, came) = answer();
        gathered.open();
        gathered.offer(left);
        drop(gathered);
        assert!(comes(came).await, "whoever kept it is gone");
    }

    #[tokio::test]
    async fn what_is_kept_is_sent_if_the_next_execution_takes_long() {
        let gathered = Arc::new(Gathered::default());
        for _ in 0..2 {
            let (kept, came) = answer();
            gathered.open();
            gathered.offer(kept);
            assert!(comes(came).await);
            let (late, mut came) = answer();
            gathered.offer(late);
            assert!(has_come(&mut came), "the execution has taken too long to keep its answers");
        }
    }
}
