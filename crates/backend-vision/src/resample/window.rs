//! A part of a picture that is being written.

use crate::value::Size;

/// A rectangle in the samples of a picture.
#[derive(Debug)]
pub(crate) struct Window<'a, T> {
    samples: &'a mut [T],
    whole: Size,
    channels: usize,
    left: usize,
    top: usize,
    size: Size,
}

impl<'a, T: Copy> Window<'a, T> {
    /// All of a picture.
    pub(crate) fn whole_of(samples: &'a mut [T], size: Size, channels: usize) -> Window<'a, T> {
        Window { samples, whole: size, channels, left: 0, top: 0, size }
    }

    /// The part of it at `(left, top)` with that size, which must lie within it.
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

    /// Of the whole picture.
    pub(super) fn samples(&mut self) -> &mut [T] {
        self.samples
    }

    pub(crate) fn row(&mut self, y: usize) -> &mut [T] {
        let start = ((self.top + y) * self.whole.width + self.left) * self.channels;
        &mut self.samples[start..start + self.size.width * self.channels]
    }

    /// Sets all that is around the window to one colour.
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

/// Three samples or one at a time: a loop over pieces of unknown length copies them by calls.
fn fill<T: Copy>(samples: &mut [T], color: &[T]) {
    match color {
        [grey] => samples.fill(*grey),
        [a, b, c] => samples.as_chunks_mut::<3>().0.fill([*a, *b, *c]),
        _ => {}
    }
}
