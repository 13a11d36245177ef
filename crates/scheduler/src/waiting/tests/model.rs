//! The queue against a model of it that is too simple to be wrong: everything is looked through all the time.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push {
        batch: usize,
        width: Option<i64>,
        priority: u64,
        timeout: u32,
    },
    Cancel(Index),
    Pull,
    /// The timekeeper looks.
    Look,
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (1usize..5, prop::option::weighted(0.9, 1i64..3), 0u64..5, 0u32..20)
        .prop_map(|(batch, width, priority, timeout)| Step::Push { batch, width, priority, timeout });
    let step = prop_oneof![
        6 => push,
        1 => any::<Index>().prop_map(Step::Cancel),
        3 => Just(Step::Pull),
        1 => Just(Step::Look),
        2 => (1u32..8).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..120)
}

fn level_policy() -> impl Strategy<Value = LevelPolicy> {
    let overdue = prop_oneof![Just(Overdue::Reject), Just(Overdue::Delay)];
    (overdue, prop::option::of(1u32..15), any::<bool>(), prop::option::of(1usize..8)).prop_map(
        |(overdue, timeout, allow_timeout_override, max_queue_size)| LevelPolicy {
            overdue,
            default_timeout: timeout.map(|timeout| timeout * MS),
            allow_timeout_override,
            max_queue_size,
        },
    )
}

fn policies() -> impl Strategy<Value = QueuePolicies> {
    let by_level = prop::collection::btree_map(1u64..4, level_policy(), 0..3);
    (0u64..4, level_policy(), by_level).prop_map(|(levels, default, by_level)| QueuePolicies {
        levels,
        default_level: levels.min(2),
        default,
        by_level,
    })
}

#[derive(Clone, Debug)]
struct Entry {
    like: Like,
    level: u64,
    deadline: Option<Instant>,
    /// When it was moved behind the others, and how many were before.
    late: Option<(Instant, usize)>,
}

/// What the queue should do.
struct Model {
    max: usize,
    preferred: Vec<usize>,
    delay: Duration,
    policies: QueuePolicies,
    waiting: Vec<Entry>,
    moved: usize,
}

impl Model {
    /// Whether the request is taken in.
    fn push(&mut self, like: Like) -> bool {
        let request = like.make().0;
        let level = self.policies.level(&request);
        let policy = self.policies.of(level);
        let there = self.waiting.iter().filter(|entry| entry.level == level).count();
        if policy.max_queue_size.is_some_and(|max| there >= max) {
            return false;
        }
        let deadline = policy.timeout(&request).map(|timeout| like.queued + timeout);
        self.waiting.push(Entry { like, level, deadline, late: None });
        true
    }

    /// The ids of those that are rejected now.
    fn expire(&mut self, now: Instant) -> Vec<usize> {
        let mut due: Vec<(Instant, usize)> = Vec::new();
        for entry in &self.waiting {
            due.extend(entry.deadline.filter(|at| *at <= now).map(|at| (at, entry.like.id)));
        }
        due.sort_unstable();
        let mut rejected = Vec::new();
        for (at, id) in due {
            let index = self.waiting.iter().position(|entry| entry.like.id == id).unwrap();
            let entry = &mut self.waiting[index];
            entry.deadline = None;
            if self.policies.of(entry.level).overdue == Overdue::Delay {
                entry.late = Some((at, self.moved));
                self.moved += 1;
            } else {
                rejected.push(id);
                self.waiting.remove(index);
            }
        }
        rejected
    }

    /// The ids of the next batch, if there is one.
    fn pull(&mut self, now: Instant) -> Vec<usize> {
        self.waiting.sort_by_key(|e| (e.level, e.late.is_some(), e.late.map(|(_, n)| n), e.like.id));
        let size = |count: usize| self.waiting[..count].iter().map(|e| e.like.batch).sum::<usize>();
        let alike = self.waiting.iter().take_while(|e| e.like.width == self.waiting[0].like.width).count();
        let Some(fit) = (1..=alike).rev().find(|&count| count == 1 || size(count) <= self.max) else {
            return Vec::new();
        };
        let largest = self.preferred.iter().copied().max().unwrap_or(0);
        let best = (1..=fit).rev().find(|&count| self.preferred.contains(&size(count)));
        let passed = (1..=fit.min(self.waiting.len() - 1)).find(|&count| size(count + 1) > largest);
        let oldest = self.waiting[..fit].iter().map(|e| e.like.queued).min().unwrap();
        let late = !self.delay.is_zero() && now >= oldest + self.delay;
        let ends = fit < self.waiting.len() || size(fit) >= largest;
        let count = match best.or(passed).filter(|_| !late) {
            Some(count) => count,
            None if ends || late || self.delay.is_zero() => fit,
            None => 0,
        };
        self.waiting.drain(..count).map(|e| e.like.id).collect()
    }
}

/// One run of both.
struct Run {
    waiting: Waiting,
    model: Model,
    now: Instant,
    receivers: BTreeMap<usize, ResponseReceiver>,
    /// What became of each request, so that none is lost or answered twice.
    fates: Vec<Option<&'static str>>,
}

impl Run {
    fn settle(&mut self, id: usize, fate: &'static str) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.fates[id], None, "request {} is settled once", id);
        self.fates[id] = Some(fate);
        Ok(())
    }

    /// Compares what was dropped with what should have been. Cancelled requests may go at any time.
    fn dropped(&mut self, dropped: Dropped, mut expected: Vec<usize>) -> Result<(), TestCaseError> {
        for (request, why) in dropped.0 {
            let id = id(&request);
            let cancelled = request.is_cancelled();
            self.settle(id, "dropped")?;
            match why {
                Why::Cancelled => prop_assert!(cancelled),
                Why::Late if cancelled => {}
                Why::Late | Why::Full => {
                    let at = expected.iter().position(|expected| *expected == id);
                    prop_assert!(at.is_some(), "request {} is not to be dropped: {:?}", id, why);
                    expected.remove(at.unwrap());
                }
            }
        }
        prop_assert_eq!(expected, [0usize; 0], "are to be dropped");
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let mut dropped = Dropped::default();
        match step {
            Step::Push { batch, width, priority, timeout } => {
                let timeout = Some(timeout * MS);
                let id = self.fates.len();
                let batch = batch.min(self.model.max);
                let like = Like { id, batch, width, priority, timeout, queued: self.now, ..Like::default() };
                let (request, receiver) = like.make();
                self.fates.push(None);
                self.receivers.insert(id, receiver);
                self.waiting.push(Box::new(request), &mut dropped);
                let refused = if self.model.push(like) { vec![] } else { vec![id] };
                self.dropped(dropped, refused)
            }
            Step::Cancel(index) => {
                let ids: Vec<usize> = self.receivers.keys().copied().collect();
                if !ids.is_empty() {
                    let id = *index.get(&ids);
                    self.receivers.remove(&id);
                    self.model.waiting.retain(|entry| entry.like.id != id);
                }
                Ok(())
            }
            Step::Pull => {
                let mut batch = Batch::new();
                let pulled = self.waiting.pull(self.now, false, &mut batch, &mut dropped);
                let late = self.model.expire(self.now);
                let expected = self.model.pull(self.now);
                self.dropped(dropped, late)?;
                prop_assert_eq!(batch.iter().map(id).collect::<Vec<_>>(), expected);
                prop_assert_eq!(matches!(pulled, Look::Batch(_)), !batch.is_empty());
                if let Look::Incomplete(incomplete) = pulled {
                    prop_assert!(incomplete.until > self.now, "an instance would not sleep");
                }
                batch.iter().map(id).try_for_each(|id| self.settle(id, "executed"))
            }
            Step::Look => {
                self.waiting.expire(self.now, &mut dropped);
                let late = self.model.expire(self.now);
                self.dropped(dropped, late)
            }
            Step::Pass(ms) => {
                self.now += ms * MS;
                Ok(())
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn the_queue_does_what_its_model_does(
        max in 1usize..9,
        preferred in prop::collection::vec(1usize..9, 0..3),
        delay in 0u32..12,
        policies in policies(),
        steps in steps(),
    ) {
        let delay = delay * MS;
        let model = Model {
            max, preferred: preferred.clone(), delay, policies: policies.clone(), waiting: Vec::new(), moved: 0,
        };
        let mut run = Run {
            waiting: Waiting::new(dynamic(max, &preferred, delay), policies, 0),
            model,
            now: Instant::now(),
            receivers: BTreeMap::new(),
            fates: Vec::new(),
        };
        for step in steps {
            run.step(step)?;
        }
        // Closing: everything that is left comes out, and nothing is lost.
        loop {
            let (mut batch, mut dropped) = (Batch::new(), Dropped::default());
            let pulled = run.waiting.pull(run.now, true, &mut batch, &mut dropped);
            for request in dropped.0.into_iter().map(|(request, _)| *request).chain(batch) {
                run.settle(id(&request), "at the end")?;
            }
            if pulled == Look::Nothing {
                break;
            }
        }
        prop_assert!(run.waiting.is_empty() && run.waiting.size() == 0);
        prop_assert!(run.fates.iter().all(Option::is_some), "{:?}", run.fates);
    }
}
