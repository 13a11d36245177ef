//! The console: a page that shows a server's models and their traffic, and what the page asks.
//!
//! [`ConsoleFront`] is mounted in front of another protocol of a port, by path: `/` is the page, `/console/` what belongs to it.
//! The page infers, loads and unloads by KServe v2, which the binary mounts beside it where it may.
//!
//! [`Console`] keeps the last quarter of an hour: every few seconds a sample of counters that exist anyway, with an entry for each
//! model that did something. A server that does nothing costs a comparison a model and sample.

mod assets;
mod faults;
mod front;
mod gpus;
mod history;
mod host;
mod model;
mod percentiles;
mod query;
mod sample;
mod series;
mod site;
mod state;
mod steps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_access::Access;
use hippocamp_core::InferenceServer;
use parking_lot::Mutex;

use faults::Faults;
pub use front::ConsoleFront;
use history::History;
use sample::Sampler;

/// How often the counters are looked at.
pub const INTERVAL: Duration = Duration::from_secs(3);

/// What the console knows, for all ports that have it.
#[derive(Debug)]
pub struct Console {
    server: Arc<InferenceServer>,
    /// Who may see what.
    access: Access,
    /// Whether v2 is served beside the page, so that it can infer, load and unload.
    acts: bool,
    began: Instant,
    history: Mutex<History>,
    sampler: Mutex<Sampler>,
    faults: Mutex<Faults>,
}

impl Console {
    /// Of that server, for clients that `access` admits. `acts` says that v2 is mounted beside it.
    pub fn new(server: Arc<InferenceServer>, access: Access, acts: bool) -> Arc<Console> {
        let sampler = Mutex::new(Sampler::new(&server));
        let history = Mutex::new(History::default());
        let (began, faults) = (Instant::now(), Mutex::default());
        Arc::new(Console { server, access, acts, began, history, sampler, faults })
    }

    pub fn server(&self) -> &Arc<InferenceServer> {
        &self.server
    }

    /// Whether v2 is to be mounted beside it.
    pub fn acts(&self) -> bool {
        self.acts
    }

    /// Takes a sample every [`INTERVAL`], on a thread that no request needs. Never ends.
    pub async fn follow(self: Arc<Console>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let console = Arc::clone(&self);
            // A panic was logged, and the next sample is another one.
            drop(hippocamp_net::off_thread(true, move || console.sample()).await);
        }
    }

    /// Takes a sample now.
    pub fn sample(&self) {
        let sample = self.sampler.lock().take(&self.server);
        self.history.lock().push(sample);
    }
}
