use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::Poll;
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// A waker for a task of that runtime; wakes are counted.
fn waker_of(runtime: &Runtime, count: &Arc<Count>) -> TaskWaker {
    let _in = runtime.enter();
    TaskWaker::new(&Waker::from(Arc::clone(count)))
}

/// Lets the runtime do what it has to do.
fn turn(runtime: &Runtime) {
    runtime.block_on(async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    });
}

fn on_another_thread(act: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(act).join()).unwrap();
}

#[test]
fn those_of_a_batch_are_woken_by_their_own_runtimes_when_all_are_answered() {
    let (ours, others) = (runtime(), runtime());
    let (count, other) = (Arc::<Count>::default(), Arc::<Count>::default());
    on_another_thread(|| {
        wake_together(5, || {
            for _ in 0..2 {
                waker_of(&ours, &count).wake();
                Waker::from(waker_of(&others, &other)).wake();
            }
            waker_of(&ours, &count).wake();
            turn(&ours);
            turn(&others);
            assert_eq!((count.woken(), other.woken()), (0, 0), "they are held");
        });
    });
    turn(&ours);
    turn(&others);
    assert_eq!((count.woken(), other.woken()), (3, 2));
}

#[test]
fn what_comes_from_another_thread_is_woken_by_the_runtime() {
    let (ours, count) = (runtime(), Arc::<Count>::default());
    let (first, second, third) = (waker_of(&ours, &count), waker_of(&ours, &count), waker_of(&ours, &count));
    on_another_thread(|| {
        first.wake();
        wake_together(2, || second.wake());
        assert_eq!(count.woken(), 0, "the runtime had no turn");
    });
    turn(&ours);
    assert_eq!(count.woken(), 2);
    on_another_thread(|| third.wake());
    turn(&ours);
    assert_eq!(count.woken(), 3);
}

#[test]
fn whoever_is_alone_is_woken_at_once_in_its_own_runtime_or_outside_of_one() {
    let (runtime, count) = (runtime(), Arc::<Count>::default());
    wake_together(1, || {
        waker_of(&runtime, &count).wake();
        assert_eq!(count.woken(), 1, "a batch of one");
    });
    wake_together(2, || waker_of(&runtime, &count).wake());
    assert_eq!(count.woken(), 2, "one of two has gone");
    waker_of(&runtime, &count).wake();
    assert_eq!(count.woken(), 3, "no batch");
    TaskWaker::new(&Waker::from(Arc::clone(&count))).wake();
    assert_eq!(count.woken(), 4, "no runtime");
}

#[test]
fn nobody_is_held_while_something_takes_long() {
    let (runtime, count) = (runtime(), Arc::<Count>::default());
    wake_together(3, || {
        waker_of(&runtime, &count).wake();
        wake_at_once(|| {
            assert_eq!(count.woken(), 1);
            waker_of(&runtime, &count).wake();
            assert_eq!(count.woken(), 2);
            wake_together(2, || {
                waker_of(&runtime, &count).wake();
                assert_eq!(count.woken(), 2, "another batch");
            });
            assert_eq!(count.woken(), 3);
        });
        waker_of(&runtime, &count).wake();
        wake_together(2, || waker_of(&runtime, &count).wake());
        assert_eq!(count.woken(), 3, "held again");
    });
    assert_eq!(count.woken(), 5);
}

#[test]
fn a_panic_leaves_nobody_asleep() {
    let (runtime, count) = (runtime(), Arc::<Count>::default());
    let answer = || {
        waker_of(&runtime, &count).wake();
        panic!("told to");
    };
    catch_unwind(AssertUnwindSafe(|| wake_together(2, answer))).unwrap_err();
    assert_eq!(count.woken(), 1);
    waker_of(&runtime, &count).wake();
    assert_eq!(count.woken(), 2, "nothing is held any more");
}

#[test]
fn the_end_of_a_runtime_leaves_nobody_asleep() {
    let (ours, count) = (runtime(), Arc::<Count>::default());
    let (before, after) = (waker_of(&ours, &count), waker_of(&ours, &count));
    on_another_thread(|| before.wake());
    drop(ours);
    assert_eq!(count.woken(), 1);
    on_another_thread(|| after.wake());
    assert_eq!(count.woken(), 2);
}

/// A place where one thread leaves a number for a task.
#[derive(Default)]
struct Place(Mutex<(Option<usize>, Option<TaskWaker>)>);

impl Place {
    fn put(&self, number: usize) {
        let waiting = {
            let (content, waiting) = &mut *self.0.lock().unwrap();
            *content = Some(number);
            waiting.take()
        };
        waiting.into_iter().for_each(TaskWaker::wake);
    }

    async fn take(&self) -> usize {
        poll_fn(|context| {
            let (content, waiting) = &mut *self.0.lock().unwrap();
            if let Some(number) = content.take() {
                return Poll::Ready(number);
            }
            *waiting = Some(TaskWaker::new(context.waker()));
            Poll::Pending
        })
        .await
    }
}

/// Tasks of several runtimes ask threads, which answer some alone and some together: none may wait for ever.
#[test]
fn no_wake_is_lost_between_many_runtimes_and_threads() {
    const RUNTIMES: usize = 4;
    const THREADS: usize = 3;
    const TASKS: usize = 24;
    const ROUNDS: usize = 300;
    let answering: Vec<mpsc::Sender<(usize, Arc<Place>)>> = (0..THREADS).map(|_| answer()).collect();
    let asking = |number: usize| {
        let answering = answering.clone();
        move || {
            let runtime = match number {
                0 => Builder::new_multi_thread().worker_threads(2).build().unwrap(),
                _ => runtime(),
            };
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let (place, to) = (Arc::<Place>::default(), answering[task % THREADS].clone());
                    runtime.spawn(async move {
                        for round in 0..ROUNDS {
                            to.send((round, Arc::clone(&place))).unwrap();
                            assert_eq!(place.take().await, round);
                        }
                    })
                })
                .collect();
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    };
    let threads: Vec<_> = (0..RUNTIMES).map(|number| thread::spawn(asking(number))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A thread that answers what has come in the meantime, all of it together.
fn answer() -> mpsc::Sender<(usize, Arc<Place>)> {
    let (sender, asked) = mpsc::channel::<(usize, Arc<Place>)>();
    thread::spawn(move || {
        while let Ok(first) = asked.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
            wake_together(batch.len(), || batch.into_iter().for_each(|(number, place)| place.put(number)));
        }
    });
    sender
}
