//! Which parts of a range of addresses are in use. Pure.

use std::collections::{BTreeMap, HashMap};

/// The size of a page in bytes, of which all parts are multiples.
const PAGE: usize = 4096;

/// The parts of a range that begins at 0.
#[derive(Debug)]
pub(crate) struct Extents {
    /// The lengths of free parts by their beginnings. No two touch each other.
    free: BTreeMap<usize, usize>,
    /// The lengths of blocks by their beginnings.
    used: HashMap<usize, usize>,
    /// Pages from here on have never been used, or were returned since.
    touched: usize,
    /// The end of what was used since the last look.
    high: usize,
    /// Whether a block was taken since the last look.
    taken: bool,
}

impl Extents {
    /// A range of so many bytes, all of it free.
    pub(crate) fn new(size: usize) -> Extents {
        let free = [(0, size / PAGE * PAGE)].into();
        Extents { free, used: HashMap::new(), touched: 0, high: 0, taken: false }
    }

    /// Takes a block at the lowest place where there is room. `None` if there is none.
    pub(crate) fn take(&mut self, size: usize) -> Option<usize> {
        let size = size.checked_next_multiple_of(PAGE)?.max(PAGE);
        let (at, length) = self.free.iter().find(|(_, length)| **length >= size).map(|(at, l)| (*at, *l))?;
        self.free.remove(&at);
        if length > size {
            self.free.insert(at + size, length - size);
        }
        self.used.insert(at, size);
        self.high = self.high.max(at + size);
        self.touched = self.touched.max(self.high);
        self.taken = true;
        Some(at)
    }

    /// Takes back the block that begins there.
    pub(crate) fn put_back(&mut self, at: usize) {
        if let Some(size) = self.used.remove(&at) {
            self.join(at, size);
        }
    }

    /// Whether a block was taken since the last look, and the free parts whose pages are not needed any more: those above what was used
    /// since then, or all if nothing was. They count as used until they are [restored](Self::restore).
    pub(crate) fn look(&mut self) -> (bool, Vec<(usize, usize)>) {
        let from = if self.taken { self.high } else { 0 };
        let parts = self.idle_from(from);
        let taken = std::mem::take(&mut self.taken);
        self.high = self.end_of_used();
        (taken, parts)
    }

    /// All free parts that may have pages, to be [restored](Self::restore).
    pub(crate) fn idle(&mut self) -> Vec<(usize, usize)> {
        self.idle_from(0)
    }

    /// Makes parts free whose pages were returned.
    pub(crate) fn restore(&mut self, parts: Vec<(usize, usize)>) {
        for (at, size) in parts {
            self.join(at, size);
        }
    }

    fn idle_from(&mut self, from: usize) -> Vec<(usize, usize)> {
        let to = self.touched;
        let mut parts = Vec::new();
        for (&at, &length) in &self.free {
            let (begin, end) = (at.max(from), (at + length).min(to));
            if begin < end {
                parts.push((at, length, begin, end));
            }
        }
        for &(at, length, begin, end) in &parts {
            self.free.remove(&at);
            for (at, end) in [(at, begin), (end, at + length)] {
                if at < end {
                    self.free.insert(at, end - at);
                }
            }
        }
        self.touched = from.max(self.end_of_used()).min(to);
        parts.into_iter().map(|(_, _, begin, end)| (begin, end - begin)).collect()
    }

    fn end_of_used(&self) -> usize {
        self.used.iter().map(|(at, size)| at + size).max().unwrap_or(0)
    }

    /// Adds a free part, and joins it with those that it touches.
    fn join(&mut self, at: usize, size: usize) {
        let (mut begin, mut end) = (at, at + size);
        if let Some((&before, &length)) = self.free.range(..at).next_back()
            && before + length == at
        {
            self.free.remove(&before);
            begin = before;
        }
        if let Some(length) = self.free.remove(&end) {
            end += length;
        }
        self.free.insert(begin, end - begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 16 * PAGE;

    #[test]
    fn blocks_lie_at_the_lowest_place_and_free_ones_are_joined() {
        let mut extents = Extents::new(ROOM + 5);
        let [a, b, c] = [1, 2 * PAGE, PAGE + 1].map(|size| extents.take(size).unwrap());
        assert_eq!([a, b, c], [0, PAGE, 3 * PAGE]);
        extents.put_back(a);
        extents.put_back(b);
        assert_eq!(extents.take(3 * PAGE), Some(0), "two that touch are one place");
        extents.put_back(0);
        extents.put_back(c);
        assert_eq!(extents.free, [(0, ROOM)].into());
        assert_eq!(extents.take(ROOM + 1), None);
        assert_eq!(extents.take(usize::MAX), None);
        assert_eq!(extents.take(ROOM), Some(0));
        assert_eq!(extents.take(1), None);
        extents.put_back(77);
        assert_eq!(extents.free, [].into(), "nothing is known there");
    }

    #[test]
    fn what_lies_above_all_that_was_used_is_returned() {
        let mut extents = Extents::new(ROOM);
        let [a, b] = [4 * PAGE, 4 * PAGE].map(|size| extents.take(size).unwrap());
        extents.put_back(b);
        assert_eq!(extents.look(), (true, vec![]), "it was used since");
        extents.put_back(a);
        assert_eq!(extents.take(PAGE), Some(0));
        extents.put_back(0);
        let (taken, parts) = extents.look();
        assert_eq!(
            (taken, &*parts),
            (true, &[(4 * PAGE, 4 * PAGE)][..]),
            "its place was in use at the last look"
        );
        assert_eq!(extents.take(8 * PAGE), Some(8 * PAGE), "they are not free meanwhile");
        extents.put_back(8 * PAGE);
        extents.restore(parts);
        assert_eq!(extents.take(ROOM), Some(0));
        extents.put_back(0);
        assert!(extents.look().0);
        let (taken, parts) = extents.look();
        assert_eq!((taken, &*parts), (false, &[(0, ROOM)][..]), "nothing was used");
        extents.restore(parts);
        assert_eq!(extents.look(), (false, vec![]), "all is returned already");
    }

    #[test]
    fn any_order_leaves_the_whole_range() {
        let mut extents = Extents::new(1 << 30);
        let mut blocks = Vec::new();
        let mut state = 7_u64;
        for step in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = (state >> 33) as usize;
            if random.is_multiple_of(2) || blocks.is_empty() {
                let size = 1 + random % (1 << 20);
                let at = extents.take(size).unwrap();
                let end = at + size;
                assert!(
                    blocks.iter().all(|&(other, size): &(usize, usize)| end <= other || other + size <= at)
                );
                blocks.push((at, size));
            } else {
                let (at, _) = blocks.swap_remove(random % blocks.len());
                extents.put_back(at);
            }
            if step % 50 == 0 {
                let (_, parts) = extents.look();
                for &(at, size) in &parts {
                    assert!(blocks.iter().all(|&(other, used)| at + size <= other || other + used <= at));
                }
                extents.restore(parts);
            }
        }
        for (at, _) in blocks {
            extents.put_back(at);
        }
        assert_eq!(extents.free, [(0, 1 << 30)].into());
    }
}
