//! Signals: SIGTERM and SIGINT stop the server, SIGHUP reopens the log file.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_access_log::AccessLog;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::logging::Log;

/// Receives SIGTERM and SIGINT.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    presses: Presses,
}

/// A signal that stops the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Terminate,
    Interrupt,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopSignal::Terminate => "SIGTERM",
            StopSignal::Interrupt => "SIGINT",
        })
    }
}

impl Signals {
    /// Registers for the signals, which from here on do not end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            presses: Presses::default(),
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> StopSignal {
        let signal = tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        };
        self.presses.count(signal, Instant::now());
        signal
    }

    /// Waits for the second Ctrl-C (SIGINT), which ends the drain early. Repeated SIGTERM does not: `timeout` sends it
    /// twice, and supervisors send it to the group as well as to the process.
    pub(crate) async fn second_interrupt(&mut self) {
        while self.presses.number < 2 {
            let signal = self.next().await;
            if self.presses.number < 2 {
                info!("{signal} again: it is stopping already");
            }
        }
    }
}

/// Counts presses of Ctrl-C.
#[derive(Debug, Default)]
struct Presses {
    number: usize,
    last: Option<Instant>,
}

/// Two SIGINTs closer together than this are one press: the terminal sends one, and a parent process passes on another.
const APART: Duration = Duration::from_millis(200);

impl Presses {
    fn count(&mut self, signal: StopSignal, now: Instant) {
        if signal == StopSignal::Interrupt {
            if self.last.is_none_or(|last| now.duration_since(last) >= APART) {
                self.number += 1;
            }
            self.last = Some(now);
        }
    }
}

/// Reopens the log files at each SIGHUP, which does not end the process any more. Never returns.
pub(crate) async fn reopen_log(log: Log, access_log: Option<Arc<AccessLog>>) -> std::io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    loop {
        hangups.recv().await;
        log.reopen();
        if let Some(access_log) = &access_log {
            access_log.reopen();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_press_hurries() {
        use StopSignal::{Interrupt, Terminate};

        let begin = Instant::now();
        let number = |signals: &[(StopSignal, u64)]| {
            let mut presses = Presses::default();
            for &(signal, ms) in signals {
                presses.count(signal, begin + Duration::from_millis(ms));
            }
            presses.number
        };
        assert_eq!(number(&[(Terminate, 0), (Terminate, 500), (Terminate, 2_000)]), 0);
        assert_eq!(number(&[(Interrupt, 0), (Interrupt, 3), (Interrupt, 100)]), 1, "one press, handed on");
        assert_eq!(number(&[(Terminate, 0), (Interrupt, 1_000)]), 1);
        assert_eq!(number(&[(Interrupt, 0), (Terminate, 300), (Interrupt, 400)]), 2);
    }
}
