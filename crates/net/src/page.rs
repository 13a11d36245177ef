//! Writes the metrics of connections to the Prometheus page.

use std::sync::atomic::Ordering::Relaxed;

use hippocamp_metrics::{Kind, Page};

use crate::network::{End, Network};

impl Network {
    /// Writes the metric families of connections and of the bytes held for them.
    pub fn write_metrics(&self, page: &mut Page) {
        let help = "Connections that are open";
        let mut family = page.family("nv_server_connections", help, Kind::Gauge);
        for port in self.ports() {
            family.sample(&[("port", port)], self.registry.len(port));
        }
        if !self.threads.is_empty() {
            let help = "Connections that are open, by the I/O thread that serves them";
            let mut family = page.family("nv_server_io_thread_connections", help, Kind::Gauge);
            for (thread, connections) in self.threads.connections().enumerate() {
                family.sample(&[("thread", &*thread.to_string())], connections);
            }
        }
        let requests = self.registry.fold(0, |sum, connection| {
            if connection.counts() { sum + u64::from(connection.requests()) } else { sum }
        });
        let help = "Requests to the ports of the protocols that are not answered to the end";
        page.family("nv_server_open_requests", help, Kind::Gauge).sample(&[], requests);
        let help = "Bytes of requests and answers that the server holds for clients";
        page.family("nv_server_inflight_bytes", help, Kind::Gauge).sample(&[], self.held.get());
        self.counters(page);
    }

    fn counters(&self, page: &mut Page) {
        let counts = &self.counts;
        let counters = [
            ("nv_server_connections_accepted", "Connections that were taken", &counts.accepted),
            (
                "nv_server_connections_refused",
                "Connections beyond a limit, or while the server stopped, that could only ask for the health",
                &counts.late,
            ),
            (
                "nv_server_requests_refused",
                "Requests refused because the server held as many bytes as it may",
                &counts.no_room,
            ),
        ];
        for (name, help, count) in counters {
            page.family(name, help, Kind::Counter).sample(&[], count.load(Relaxed));
        }
        let help = "Connections that the server ended, by what took too long; evicted ones were idle";
        let mut family = page.family("nv_server_connections_ended", help, Kind::Counter);
        for (why, reason) in End::ALL {
            family.sample(&[("reason", reason)], counts.ended(why));
        }
    }
}
