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
    dropped: Arc<AtomicU64>,
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
        let dropped = Arc::<AtomicU64>::default();
        let writer = Writer {
            format,
            destination,
            output,
            text: String::new(),
            is_broken: false,
            said: None,
            dropped: Arc::clone(&dropped),
        };
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run(&messages, &of_thread);
            drop(ending);
        })?;
        Ok(Arc::new(AccessLog { sender, waiting, dropped, ended: Mutex::new(Some(ended)) }))
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

    /// The number of lines that were dropped, or could not be written.
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

/// Writes the bytes. Returns how many were, whatever happened then.
fn write(output: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut count = 0;
    while count < bytes.len() {
        match output.write(&bytes[count..]) {
            Ok(0) => return (count, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => count += written,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return (count, Err(why)),
        }
    }
    (count, output.flush())
}

/// The thread's own.
struct Writer {
    format: Format,
    destination: Destination,
    output: Box<dyn Write + Send>,
    /// Lines that are written together.
    text: String,
    /// Whether what was written last is a part of a line.
    is_broken: bool,
    /// When it was last said that lines cannot be written.
    said: Option<Instant>,
    dropped: Arc<AtomicU64>,
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
        if self.is_broken {
            // The rest of that line was lost: it is ended, so that the next one is a line of its own.
            self.text.insert(0, '\n');
        }
        let (count, written) = write(&mut self.output, self.text.as_bytes());
        let lost = self.text.bytes().skip(count).filter(|&byte| byte == b'\n').count() as u64;
        let lost = lost - u64::from(self.is_broken && count == 0);
        self.dropped.fetch_add(lost, Relaxed);
        self.is_broken = self.text.as_bytes()[..count].last().map_or(self.is_broken, |&byte| byte != b'\n');
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
                self.is_broken = false;
                info!("SIGHUP: access log '{path}' was opened anew");
            }
            Err(why) => {
                error!("SIGHUP: failed to open access log '{path}', the former is written to still: {why}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (room, content) = &mut *self.0.lock().unwrap();
            if *room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(*room);
            *room -= count;
            content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_loses_is_counted_and_the_next_line_is_one_of_its_own() {
        let disk = Disk::default();
        let dropped = Arc::<AtomicU64>::default();
        let mut writer = Writer {
            format: Format::Text,
            destination: Destination::Output,
            output: Box::new(disk.clone()),
            text: String::new(),
            is_broken: false,
            said: None,
            dropped: Arc::clone(&dropped),
        };
        for (room, text) in [(5, "one\ntwo\nthree\n"), (0, "four\n"), (9, "five\n"), (9, "six\n")] {
            disk.0.lock().unwrap().0 = room;
            writer.text.push_str(text);
            writer.flush();
        }
        assert_eq!(String::from_utf8_lossy(&disk.0.lock().unwrap().1), "one\nt\nfive\nsix\n");
        assert_eq!(dropped.load(Relaxed), 3);
    }
}
