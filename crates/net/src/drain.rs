//! Draining at shutdown: open requests are finished, then ports and connections are closed.

use std::time::Duration;

use crate::connection::Order;
use crate::network::{Network, Phase};

/// The interval at which running requests are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The bytes that an incomplete request has to receive in each interval to delay the shutdown.
const PROGRESS: u64 = 4096;
const PROGRESS_LOOKS: u32 = 50;

impl Network {
    /// Begins draining: HTTP/2 clients are told to go elsewhere at once, HTTP/1.1 clients with their next response. New
    /// connections may only request the server's health.
    pub fn begin_drain(&self) {
        self.reach(Phase::Draining);
        self.registry.for_each(|connection| {
            if connection.is_http2() {
                connection.tell(Order::Finish);
            }
        });
    }

    /// Waits until no request is open, except those whose bodies make no progress.
    pub async fn drained(&self) {
        self.registry.for_each(|connection| {
            connection.is_slow(0);
        });
        let mut looks = 0;
        loop {
            looks += 1;
            let measures = looks % PROGRESS_LOOKS == 0;
            let open = self.registry.fold(0, |open, connection| {
                let slow = measures && connection.is_slow(PROGRESS);
                open + if slow { connection.running_requests() } else { connection.requests() }
            });
            if open == 0 {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Closes the ports, and each connection when its responses are written.
    pub fn close(&self) {
        self.reach(Phase::Closing);
        self.registry.for_each(|connection| {
            let is_given_up = connection.requests() > 0 && connection.running_requests() == 0;
            connection.tell(if is_given_up { Order::End } else { Order::Finish });
        });
    }

    /// Waits until a port has no connection.
    pub(crate) async fn all_gone(&self, port: &str) {
        loop {
            let gone = self.registry.gone.notified();
            if self.registry.len(port) == 0 {
                return;
            }
            gone.await;
        }
    }
}
