//! The clock of the network: a few times a second it looks at every connection for a time that is over.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::network::Network;

/// How exact times of connections are.
const TICK: Duration = Duration::from_millis(200);

/// Ticks until the network is gone.
pub(crate) async fn tick(network: Weak<Network>) {
    let begin = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(network) = network.upgrade() else { return };
        network.set_now(1 + begin.elapsed().as_millis() as u64);
        network.registry.for_each(crate::connection::Connection::look);
    }
}
