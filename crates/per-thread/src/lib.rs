//! For state that is divided among threads, so that their cores do not fight for its cache lines.
//!
//! A thread picks its part by its [number](thread_number), and parts that are written often are [`Padded`].

use std::cell::Cell;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;

/// The number of the calling thread. Threads get numbers from 0 on, in the order in which they first ask.
#[inline]
pub fn thread_number() -> usize {
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    match NUMBER.get() {
        usize::MAX => {
            let number = next_number();
            NUMBER.set(number);
            number
        }
        number => number,
    }
}

#[cold]
fn next_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed)
}

thread_local! {
    /// `usize::MAX` before the thread has met another one.
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Where the calling thread begins to look for a part of divided state that no other thread is using. At first that is
/// its number.
#[inline]
pub fn place() -> usize {
    match PLACE.get() {
        usize::MAX => thread_number(),
        place => place,
    }
}

/// Has the calling thread begin at another place from now on, because it has met another thread at that before.
pub fn move_to(place: usize) {
    PLACE.set(place);
}

/// How many parts state is divided into that every core may be using: one a core, 2 to 16, and a power of two.
pub fn parts() -> usize {
    static PARTS: OnceLock<usize> = OnceLock::new();
    *PARTS.get_or_init(|| available_parallelism().map_or(2, usize::from).next_power_of_two().clamp(2, 16))
}

/// A value on cache lines of its own. Two lines of 64 bytes, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_number_and_others_have_other_ones() {
        let number = thread_number();
        let others: Vec<usize> =
            (0..3).map(|_| thread::spawn(thread_number).join().expect("it does not panic")).collect();
        assert_eq!(thread_number(), number);
        let mut all = [vec![number], others].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_thread_begins_where_it_has_moved_to() {
        assert_eq!(place(), thread_number());
        move_to(77);
        assert_eq!(place(), 77);
        let other = thread::spawn(|| (place(), thread_number())).join().expect("it does not panic");
        assert_eq!(other.0, other.1);
        assert!(parts().is_power_of_two() && (2..=16).contains(&parts()));
    }

    #[test]
    fn neighbours_are_on_other_cache_lines() {
        let values = [Padded(1_u8), Padded(2)];
        let [first, second] = [&raw const values[0], &raw const values[1]].map(|value| value as usize);
        assert_eq!((second - first, first % 128, *values[1]), (128, 0, 2));
    }
}
