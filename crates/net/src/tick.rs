//! The clock of the network: checks the time limits of every connection a few times a second.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::network::Network;

/// The interval of the clock, and so the resolution of connections' time limits.
const TICK: Duration = Duration::from_millis(200);

/// Runs the clock until the network is dropped.
pub(crate) async fn tick(network: Weak<Network>) {
    let begin = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(network) = network.upgrade() else { return };
        network.set_now(1 + begin.elapsed().as_millis() as u64);
        network.registry.for_each(crate::connection::Connection::look);
        network.registry.measure(&network.threads);
    }
}
