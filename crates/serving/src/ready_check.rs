//! Models that have a word of their own in whether they are ready.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::Model;
use std::sync::{Mutex, PoisonError};
use tracing::warn;

/// How long an answer may take. A model that takes longer is not ready until it has answered.
const LONGEST: Duration = Duration::from_secs(10);

/// Asks a model whether it is ready: one question at a time, as an answer may take seconds, and those who ask come again.
pub struct ReadyCheck {
    model: Arc<dyn Model>,
    name: Arc<str>,
    asked: Mutex<()>,
    /// Since when somebody waits for an answer.
    since: Mutex<Option<Instant>>,
    longest: Duration,
    last: AtomicBool,
}

impl ReadyCheck {
    /// The check of a model; `None` if it has none.
    pub fn of(model: &Arc<dyn Model>, name: &Arc<str>) -> Option<Arc<ReadyCheck>> {
        ReadyCheck::within(LONGEST, model, name)
    }

    fn within(longest: Duration, model: &Arc<dyn Model>, name: &Arc<str>) -> Option<Arc<ReadyCheck>> {
        model.has_ready_check().then(|| {
            let (model, name) = (Arc::clone(model), Arc::clone(name));
            let (asked, since, last) = (Mutex::default(), Mutex::default(), AtomicBool::new(true));
            Arc::new(ReadyCheck { model, name, asked, since, longest, last })
        })
    }

    /// Asks, and waits for the answer. While somebody else does, the last answer is returned, unless the model has been taking
    /// longer than an answer may.
    pub fn ask(&self) -> bool {
        let Ok(_asked) = self.asked.try_lock() else { return self.meanwhile() };
        self.set_since(Some(Instant::now()));
        let ready = self.model.check_ready();
        self.set_since(None);
        let before = self.last.swap(ready.is_ok(), Ordering::Relaxed);
        if let Err(error) = &ready
            && before
        {
            warn!(model = &*self.name, "the model says that it is not ready: {}", error.message());
        }
        ready.is_ok()
    }

    fn set_since(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn meanwhile(&self) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none_or(|since| since.elapsed() < self.longest) {
            return self.last.load(Ordering::Relaxed);
        }
        if self.last.swap(false, Ordering::Relaxed) {
            let longest = self.longest;
            warn!(
                model = &*self.name,
                "the model has not said within {longest:?} whether it is ready: it is not"
            );
        }
        false
    }
}

impl fmt::Debug for ReadyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadyCheck of {}, last {}", self.name, self.last.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use hippocamp_backend::{InstanceSpec, NewInstance, Result};
    use hippocamp_model_config::ModelConfig;

    use super::*;

    /// Says when it is asked, and answers when it is told to.
    struct Slow(Sender<()>, Mutex<Receiver<()>>);

    impl Model for Slow {
        fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
            Ok(())
        }

        fn check_config(&self, _: &ModelConfig) -> Result<()> {
            Ok(())
        }

        fn has_ready_check(&self) -> bool {
            true
        }

        fn check_ready(&self) -> Result<()> {
            self.0.send(()).unwrap();
            self.1.lock().unwrap().recv().unwrap();
            Ok(())
        }

        fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
            unreachable!("it is only asked")
        }
    }

    /// What is told to those who ask while the model is asked, if an answer may take so long; and what to the first.
    fn told(longest: Duration) -> (bool, bool) {
        let ((asked, is_asked), (answer, answers)) = (channel(), channel());
        let model: Arc<dyn Model> = Arc::new(Slow(asked, Mutex::new(answers)));
        let check = ReadyCheck::within(longest, &model, &"m".into()).unwrap();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| check.ask());
            is_asked.recv().unwrap();
            let meanwhile = check.ask();
            answer.send(()).unwrap();
            (meanwhile, first.join().unwrap())
        })
    }

    #[test]
    fn a_model_that_does_not_answer_is_not_ready_until_it_does() {
        assert_eq!(told(Duration::MAX), (true, true));
        assert_eq!(told(Duration::ZERO), (false, true));
    }
}
