//! A part of an image to write to.

use crate::value::Size;

/// A rectangle in the samples of an image.
#[derive(Debug)]
pub(crate) struct Window<'a, T> {
    samples: &'a mut [T],
    whole: Size,
    channels: usize,
    left: usize,
    top: usize,
    size: Size,
}

impl<'a, T: Copy + PartialEq> Window<'a, T> {
    /// The window that covers a whole image.
    pub(crate) fn whole_of(samples: &'a mut [T], size: Size, channels: usize) -> Window<'a, T> {
        Window { samples, whole: size, channels, left: 0, top: 0, size }
    }

    /// The part at `(left, top)` with that size, which must lie within the window.
    pub(crate) fn part(self, (left, top): (usize, usize), size: Size) -> Window<'a, T> {
        debug_assert!(left + size.width <= self.whole.width && top + size.height <= self.whole.height);
        Window { left, top, size, ..self }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn whole(&self) -> Size {
        self.whole
    }

    pub(super) fn corner(&self) -> (usize, usize) {
        (self.left, self.top)
    }

    /// The samples of the whole image.
    pub(super) fn samples(&mut self) -> &mut [T] {
        self.samples
    }

    pub(crate) fn row(&mut self, y: usize) -> &mut [T] {
        let start = ((self.top + y) * self.whole.width + self.left) * self.channels;
        &mut self.samples[start..start + self.size.width * self.channels]
    }

    /// Fills everything outside of the window with one colour.
    pub(crate) fn fill_around(&mut self, color: &[T]) {
        let stride = self.whole.width * self.channels;
        let bottom = self.top + self.size.height;
        fill(&mut self.samples[..self.top * stride], color);
        fill(&mut self.samples[bottom * stride..], color);
        let (left, right) = (self.left * self.channels, (self.left + self.size.width) * self.channels);
        for row in self.samples[self.top * stride..bottom * stride].chunks_exact_mut(stride.max(1)) {
            fill(&mut row[..left], color);
            fill(&mut row[right..], color);
        }
    }
}

/// Fills by chunks of constant size (1 or 3): chunks of unknown size would be copied by calls of memcpy.
fn fill<T: Copy + PartialEq>(samples: &mut [T], color: &[T]) {
    match color {
        [grey] => samples.fill(*grey),
        [a, b, c] if a == b && b == c => samples.fill(*a),
        [a, b, c] => samples.as_chunks_mut::<3>().0.fill([*a, *b, *c]),
        _ => {}
    }
}
