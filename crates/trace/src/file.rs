//! Triton's trace file: a thread of its own collects traces and writes them.
//!
//! Traces of a setting with a log frequency, or with a count, are kept until so many are there, or the count is used up; then
//! they make a file `FILE.0`, `FILE.1` and so on. Others go to `FILE` as they come. The content is as Triton's, which writes
//! `FILE` only when it ends.

mod json;
mod open_file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, warn};

use self::open_file::OpenFile;
use crate::{FinishedTrace, TraceSink};

/// How many bytes of traces may wait for the thread. Beyond that they are dropped: the disk is slower than the requests.
const WAITING: usize = 64 << 20;

/// How many bytes of text are kept for files, of all settings together. Beyond that the largest file is written in parts.
const KEPT: usize = 64 << 20;

/// The sink of Triton's mode.
pub struct TraceFile {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    dropped: AtomicU64,
    failed: Arc<AtomicU64>,
    /// Ends when the thread has; `None` once somebody has waited for it.
    ended: Mutex<Option<Receiver<()>>>,
}

impl fmt::Debug for TraceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceFile").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

enum Message {
    Trace(Box<FinishedTrace>),
    Release { setting: u64 },
    Close,
}

impl TraceFile {
    /// Starts the thread. The file is opened when there is something to write; what goes wrong with it is logged.
    pub fn start(path: PathBuf) -> std::io::Result<TraceFile> {
        let (sender, messages) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let failed = Arc::<AtomicU64>::default();
        let writer = Writer {
            path: path.clone(),
            whole: OpenFile::new(path, Arc::clone(&failed)),
            index: 0,
            kept: BTreeMap::new(),
            failed: Arc::clone(&failed),
        };
        let of_thread = Arc::clone(&waiting);
        std::thread::Builder::new().name("trace-file".to_owned()).spawn(move || {
            writer.run(&messages, &of_thread);
            drop(ending);
        })?;
        Ok(TraceFile { sender, waiting, dropped: AtomicU64::new(0), failed, ended: Mutex::new(Some(ended)) })
    }
}

impl TraceSink for TraceFile {
    fn collect(&self, trace: FinishedTrace) {
        let size = trace.size();
        let was = self.waiting.fetch_add(size, Relaxed);
        if was.saturating_add(size) > WAITING || self.sender.send(Message::Trace(Box::new(trace))).is_err() {
            self.waiting.fetch_sub(size, Relaxed);
            if self.dropped.fetch_add(1, Relaxed) == 0 {
                warn!(
                    "traces are dropped: more than {WAITING} bytes wait to be written, or the file is closed"
                );
            }
        }
    }

    fn release(&self, setting: u64) {
        // The thread is only gone when the server ends.
        let _ = self.sender.send(Message::Release { setting });
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    fn close(&self, within: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        if self.sender.send(Message::Close).is_ok()
            && ended.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            error!("the trace file was not written to its end within {within:?}");
        }
    }
}

/// The thread's own.
struct Writer {
    path: PathBuf,
    /// The file without an index.
    whole: OpenFile,
    /// That of the next file with one. It lives as long as the server.
    index: u64,
    /// By the number of the setting, so that the oldest makes the first file at the end.
    kept: BTreeMap<u64, Kept>,
    /// Traces that could not be written.
    failed: Arc<AtomicU64>,
}

/// Traces of a setting that wait to make a file.
#[derive(Default)]
struct Kept {
    traces: u32,
    has_frequency: bool,
    /// Objects with commas between them.
    text: String,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>, waiting: &AtomicUsize) {
        loop {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => {
                    self.whole.flush();
                    let Ok(message) = messages.recv() else { return };
                    message
                }
                Err(TryRecvError::Disconnected) => break,
            };
            match message {
                Message::Trace(trace) => {
                    let size = trace.size();
                    self.add(&trace);
                    drop(trace);
                    waiting.fetch_sub(size, Relaxed);
                }
                Message::Release { setting } => {
                    if let Some(kept) = self.kept.remove(&setting) {
                        self.write_rest(&kept);
                    }
                }
                Message::Close => break,
            }
        }
        for kept in std::mem::take(&mut self.kept).into_values() {
            self.write_rest(&kept);
        }
        self.whole.close();
    }

    fn add(&mut self, trace: &FinishedTrace) {
        let setting = &trace.setting;
        let is_last = setting.collect_one();
        let frequency = setting.log_frequency();
        if frequency == 0 && !setting.is_counted() {
            let mut text = String::new();
            json::write(&mut text, trace);
            self.whole.append(&text, 1);
            return;
        }
        let kept = self.kept.entry(setting.number()).or_default();
        json::write(&mut kept.text, trace);
        kept.traces += 1;
        kept.has_frequency = frequency > 0;
        if is_last || frequency > 0 && kept.traces >= frequency {
            let kept = std::mem::take(kept);
            self.write_next(&kept);
        } else if self.kept.values().map(|kept| kept.text.len()).sum::<usize>() >= KEPT
            && let Some(largest) = self.kept.values_mut().max_by_key(|kept| kept.text.len())
        {
            let largest = std::mem::take(largest);
            self.write_next(&largest);
        }
    }

    /// Writes what a setting leaves.
    fn write_rest(&mut self, kept: &Kept) {
        if kept.has_frequency {
            self.write_next(kept);
        } else {
            self.whole.append(&kept.text, u64::from(kept.traces));
        }
    }

    /// Writes a complete file with the next index, or none.
    fn write_next(&mut self, kept: &Kept) {
        let objects = &kept.text;
        if objects.is_empty() {
            return;
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{}", self.index));
        self.index += 1;
        let path = PathBuf::from(path);
        if let Err(why) = std::fs::write(&path, format!("[{objects}]")) {
            error!("failed to write trace file '{}': {why}", path.display());
            self.failed.fetch_add(u64::from(kept.traces), Relaxed);
            // A part of an array helps nobody.
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests;
