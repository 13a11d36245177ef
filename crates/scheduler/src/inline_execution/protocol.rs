//! The protocol by which no request is forgotten, as a model: every order in which threads can take their steps is tried.
//!
//! The steps are those of `execute`, `serve` and `Queue::pull_with`. Each is atomic and seen by all at once, which is
//! what the fences are for.

use std::collections::HashSet;

/// What a thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// An I/O thread tries to take the instance for its request.
    Take,
    /// It holds the instance, and executes its request if nobody waits.
    PassOrPush,
    /// It does not hold it, and queues its request.
    Push,
    /// It tries once more.
    TakeAgain,
    /// It holds the instance, and may execute so many more waiting requests.
    Serve(u8),
    /// It releases the instance; `true` if what waits is for the instance's own thread.
    Release(bool),
    Look(bool),
    Call,
    /// The instance's own thread takes the lock of the queue.
    Lock,
    /// It looks for a request and tries to take the instance.
    Pull,
    /// It goes to sleep, which releases the lock of the queue.
    Sleep,
    Asleep,
    Execute,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    waiting: u8,
    /// Requests that were executed.
    executed: u8,
    instance_is_taken: bool,
    /// The own thread holds the lock of the queue.
    queue_is_locked: bool,
    asleep: bool,
    io: Vec<(Step, u8)>,
    own: Step,
}

/// How many requests of others an I/O thread executes.
const TURN: u8 = 1;

impl World {
    /// After the next step of that I/O thread. `None` if it waits.
    fn io_step(&self, thread: usize) -> Option<World> {
        let mut next = self.clone();
        let (step, requests) = self.io[thread];
        let needs_queue = matches!(step, Step::PassOrPush | Step::Push | Step::Serve(_) | Step::Call);
        if needs_queue && self.queue_is_locked {
            return None;
        }
        let mut left = requests;
        let after = match step {
            Step::Take | Step::TakeAgain if !self.instance_is_taken => {
                next.instance_is_taken = true;
                if step == Step::Take { Step::PassOrPush } else { Step::Serve(TURN) }
            }
            Step::Take => Step::Push,
            Step::TakeAgain => Step::Done,
            Step::PassOrPush if self.waiting == 0 => {
                next.executed += 1;
                Step::Serve(TURN)
            }
            Step::PassOrPush => {
                next.waiting += 1;
                Step::Serve(TURN)
            }
            Step::Push => {
                next.waiting += 1;
                Step::TakeAgain
            }
            Step::Serve(more) if self.waiting > 0 && more > 0 => {
                next.waiting -= 1;
                next.executed += 1;
                Step::Serve(more - 1)
            }
            Step::Serve(more) => Step::Release(more == 0),
            Step::Release(is_rest) => {
                next.instance_is_taken = false;
                Step::Look(is_rest)
            }
            Step::Look(_) if self.waiting == 0 => Step::Done,
            Step::Look(true) => Step::Call,
            Step::Look(false) => Step::TakeAgain,
            Step::Call => {
                if self.asleep {
                    next.asleep = false;
                }
                Step::Done
            }
            _ => return None,
        };
        let mut after = after;
        if after == Step::Done && left > 1 {
            left -= 1;
            after = Step::Take;
        }
        next.io[thread] = (after, left);
        Some(next)
    }

    /// After the next step of the instance's own thread. `None` if it sleeps.
    fn own_step(&self) -> Option<World> {
        let mut next = self.clone();
        next.own = match self.own {
            Step::Lock => {
                next.queue_is_locked = true;
                Step::Pull
            }
            Step::Pull if self.waiting > 0 && !self.instance_is_taken => {
                next.instance_is_taken = true;
                next.waiting -= 1;
                next.queue_is_locked = false;
                Step::Execute
            }
            Step::Pull => Step::Sleep,
            Step::Sleep => {
                next.queue_is_locked = false;
                next.asleep = true;
                Step::Asleep
            }
            Step::Asleep if !self.asleep => Step::Lock,
            Step::Execute => {
                next.executed += 1;
                next.instance_is_taken = false;
                Step::Lock
            }
            _ => return None,
        };
        Some(next)
    }
}

/// Tries all orders, and returns how many states there are.
fn explore(threads: usize, requests: u8) -> usize {
    let begin = World {
        waiting: 0,
        executed: 0,
        instance_is_taken: false,
        queue_is_locked: false,
        asleep: false,
        io: vec![(Step::Take, requests); threads],
        own: Step::Lock,
    };
    let mut seen = HashSet::from([begin.clone()]);
    let mut open = vec![begin];
    while let Some(world) = open.pop() {
        let io = (0..threads).filter_map(|thread| world.io_step(thread));
        let next: Vec<World> = io.chain(world.own_step()).collect();
        if next.is_empty() {
            assert_eq!(usize::from(world.executed), threads * usize::from(requests), "{world:?}");
            assert_eq!(world.waiting, 0, "{world:?}");
        }
        open.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
    }
    seen.len()
}

#[test]
fn in_no_order_of_steps_a_request_is_forgotten() {
    for (threads, requests) in [(1, 3), (2, 2), (3, 1), (3, 2)] {
        assert!(explore(threads, requests) > 10);
    }
}
