//! The terminal: one screen that is written over, and keys without a line end.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::Sort;

/// Another screen, without the cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Quit,
    Sort(Sort),
    /// So many models further down, and so many pages of them.
    Scroll {
        lines: isize,
        pages: isize,
    },
    Other,
}

/// A terminal whose keys come one by one, until it is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    before: Termios,
}

impl Terminal {
    pub(crate) fn enter(out: &mut impl Write) -> io::Result<Terminal> {
        let before = tcgetattr(io::stdin())?;
        tcgetwinsize(io::stdout())?;
        let mut quiet = before.clone();
        // No echo, no lines, and Ctrl+C is a key, so that the screen is left in order.
        quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
        let terminal = Terminal { before };
        out.write_all(ENTER.as_bytes())?;
        Ok(terminal)
    }

    /// Writes over what was shown, so that nothing flickers.
    pub(crate) fn show(out: &mut impl Write, text: &str) -> io::Result<()> {
        let lines: Vec<&str> = text.lines().take(height()).collect();
        write!(out, "\x1b[H{}\x1b[K\r\n\x1b[J", lines.join("\x1b[K\r\n"))?;
        out.flush()
    }

    /// The next key, or `None` when the time is up.
    pub(crate) fn key(within: Duration) -> Option<Key> {
        let input = io::stdin();
        let time = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: i64::from(within.subsec_nanos()) };
        let ready = poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&time));
        if !matches!(ready, Ok(1..)) {
            // A signal, such as one that tells another size of the window, is no key.
            return ready.is_err().then_some(Key::Other);
        }
        let mut bytes = [0; 256];
        match rustix::io::read(input.as_fd(), &mut bytes) {
            // Ctrl+C, Ctrl+D, or nobody is there any more.
            Ok(0) | Err(_) => Some(Key::Quit),
            Ok(read) => Some(Key::of(&bytes[..read])),
        }
    }
}

impl Key {
    /// What was typed since the last look: quitting, the last order of rows, or how far to scroll. Keys such as the arrows are several
    /// bytes behind an escape.
    fn of(mut typed: &[u8]) -> Key {
        let mut last = Key::Other;
        while let [first, rest @ ..] = typed {
            typed = rest;
            let key = match first {
                0x1b => {
                    let (key, length) = Key::of_sequence(rest);
                    typed = &rest[length..];
                    key
                }
                b'q' | b'Q' | 3 | 4 => return Key::Quit,
                b'r' => Key::Sort(Sort::Requests),
                b'l' => Key::Sort(Sort::Latency),
                b'w' => Key::Sort(Sort::Pending),
                b'n' => Key::Sort(Sort::Name),
                b'j' => Key::Scroll { lines: 1, pages: 0 },
                b'k' => Key::Scroll { lines: -1, pages: 0 },
                b' ' => Key::Scroll { lines: 0, pages: 1 },
                b'g' => Key::Scroll { lines: -FAR, pages: 0 },
                b'G' => Key::Scroll { lines: FAR, pages: 0 },
                _ => Key::Other,
            };
            last = match (last, key) {
                (last, Key::Other) => last,
                (Key::Scroll { lines, pages }, Key::Scroll { lines: more, pages: others }) => {
                    Key::Scroll { lines: lines.saturating_add(more), pages: pages + others }
                }
                (_, key) => key,
            };
        }
        last
    }

    /// The key of the bytes behind an escape, and how many of them are its own.
    fn of_sequence(bytes: &[u8]) -> (Key, usize) {
        let [b'[' | b'O', rest @ ..] = bytes else { return (Key::Other, 0) };
        let numbers = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        let key = match (&rest[..numbers], rest.get(numbers)) {
            (b"", Some(b'A')) => Key::Scroll { lines: -1, pages: 0 },
            (b"", Some(b'B')) => Key::Scroll { lines: 1, pages: 0 },
            (b"5", Some(b'~')) => Key::Scroll { lines: 0, pages: -1 },
            (b"6", Some(b'~')) => Key::Scroll { lines: 0, pages: 1 },
            (b"", Some(b'H')) | (b"1" | b"7", Some(b'~')) => Key::Scroll { lines: -FAR, pages: 0 },
            (b"", Some(b'F')) | (b"4" | b"8", Some(b'~')) => Key::Scroll { lines: FAR, pages: 0 },
            _ => Key::Other,
        };
        (key, bytes.len().min(numbers + 2))
    }
}

/// More models than there are.
const FAR: isize = isize::MAX / 4;

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let mut out = io::stdout();
        let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Columns of the terminal; plenty where there is none.
pub(crate) fn width() -> usize {
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 200 } else { columns }
}

/// Lines of the terminal that are written; the cursor stays in the last one.
pub(crate) fn height() -> usize {
    let lines = tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row));
    lines.max(2) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_come_in_one_piece_are_all_seen() {
        assert_eq!(Key::of(b"lw"), Key::Sort(Sort::Pending));
        assert_eq!(Key::of(b"n?"), Key::Sort(Sort::Name));
        assert_eq!(Key::of(b"lq"), Key::Quit);
        assert_eq!(Key::of(b"?"), Key::Other);
        assert_eq!(Key::of(b"\x1bOQ"), Key::Other, "a function key does not quit");
        assert_eq!(Key::of(b"\x1b[1;5Q?"), Key::Other, "nor does one with Ctrl");
        assert_eq!(Key::of(b"\x1b"), Key::Other);
        assert_eq!(Key::of(b"\x1b[Bq"), Key::Quit);
    }

    #[test]
    fn keys_that_scroll_add_up() {
        let scroll = |lines, pages| Key::Scroll { lines, pages };
        assert_eq!(Key::of(b"\x1b[B\x1b[B\x1bOBk"), scroll(2, 0));
        assert_eq!(Key::of(b"\x1b[6~ \x1b[5~\x1b[A"), scroll(-1, 1));
        for (first, last) in [(&b"\x1b[H"[..], &b"\x1b[F"[..]), (b"\x1b[1~", b"\x1b[4~"), (b"g", b"G")] {
            assert_eq!((Key::of(first), Key::of(last)), (scroll(-FAR, 0), scroll(FAR, 0)));
        }
        assert_eq!(Key::of(b"\x1b[Bn"), Key::Sort(Sort::Name));
    }
}
