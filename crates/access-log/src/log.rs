//! The thread that writes the lines.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info};

use crate::{Format, Line};

/// How many lines may wait to be written. Beyond that they are dropped: the disk, or whoever reads the output, is slower than
/// the requests.
const WAITING: usize = 1 << 16;

/// How many bytes of lines are written at once.
const BATCH: usize = 64 << 10;

/// How often it is said that lines cannot be written.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The standard output.
    Output,
    /// A file, to which they are added.
    File(PathBuf),
}

/// The access log of a server.
#[derive(Debug)]
pub struct AccessLog {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    dropped: AtomicU64,
    /// Ends when the thread has; `None` once somebody has waited for it.
    ended: Mutex<Option<Receiver<()>>>,
}

enum Message {
    Line(Box<Line>),
    Reopen,
    Close,
}

impl AccessLog {
    /// Opens the destination and starts the thread.
    pub fn start(format: Format, destination: Destination) -> io::Result<Arc<AccessLog>> {
        let output: Box<dyn Write + Send> = match &destination {
            Destination::Output => Box::new(io::stdout()),
            Destination::File(path) => Box::new(append_to(path)?),
        };
        let (sender, messages) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let of_thread = Arc::clone(&waiting);
        let writer = Writer { format, destination, output, text: String::new(), said: None };
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run(&messages, &of_thread);
            drop(ending);
        })?;
        let (dropped, ended) = (AtomicU64::new(0), Mutex::new(Some(ended)));
        Ok(Arc::new(AccessLog { sender, waiting, dropped, ended }))
    }

    /// Adds a line, unless too many wait.
    pub(crate) fn add(&self, line: Line) {
        let was = self.waiting.fetch_add(1, Relaxed);
        if was >= WAITING || self.sender.send(Message::Line(Box::new(line))).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Opens the file anew, after it was renamed.
    pub fn reopen(&self) {
        let _ = self.sender.send(Message::Reopen);
    }

    /// The number of lines that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Writes all that was added, within that time. What is added later is dropped.
    pub fn close(&self, within: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        if self.sender.send(Message::Close).is_ok()
            && ended.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            error!("the access log was not written to its end within {within:?}");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// The thread's own.
struct Writer {
    format: Format,
    destination: Destination,
    output: Box<dyn Write + Send>,
    /// Lines that are written together.
    text: String,
    /// When it was last said that lines cannot be written.
    said: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>, waiting: &AtomicUsize) {
        loop {
            let message = match messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    let Ok(message) = messages.recv() else { return };
                    message
                }
                Err(TryRecvError::Disconnected) => break,
            };
            match message {
                Message::Line(line) => {
                    waiting.fetch_sub(1, Relaxed);
                    self.format.write(&mut self.text, &line);
                    if self.text.len() >= BATCH {
                        self.flush();
                    }
                }
                Message::Reopen => self.reopen(),
                Message::Close => break,
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        let written = self.output.write_all(self.text.as_bytes()).and_then(|()| self.output.flush());
        self.text.clear();
        if let Err(why) = written
            && self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY)
        {
            self.said = Some(Instant::now());
            error!("failed to write the access log: {why}");
        }
    }

    fn reopen(&mut self) {
        let Destination::File(path) = &self.destination else { return };
        let (opened, path) = (append_to(path), path.display().to_string());
        self.flush();
        match opened {
            Ok(file) => {
                self.output = Box::new(file);
                info!("SIGHUP: access log '{path}' was opened anew");
            }
            Err(why) => {
                error!("SIGHUP: failed to open access log '{path}', the former is written to still: {why}");
            }
        }
    }
}
