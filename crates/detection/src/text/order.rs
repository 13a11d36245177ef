//! The order of boxes, and how large their lines are.

use super::Quad;

/// Boxes whose tops are nearer to each other, in pixels, are on one line.
const SAME_LINE: f32 = 10.0;

/// A line is turned if it is that many times as tall as it is wide.
const TALL: f64 = 1.5;

/// The corners of a box again as upper left, upper right, lower right, lower left, by their places.
pub(super) fn upright_first(quad: &Quad) -> Quad {
    let mut corners = *quad;
    corners.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [a, b, c, d] = corners;
    let by_height = |a: [f32; 2], b: [f32; 2]| if b[1] < a[1] { (b, a) } else { (a, b) };
    let ((upper_left, lower_left), (upper_right, lower_right)) = (by_height(a, b), by_height(c, d));
    [upper_left, upper_right, lower_right, lower_left]
}

/// From top to bottom, and from left to right within a line.
pub(super) fn in_reading_order(quads: &mut [Quad]) {
    let key = |quad: &Quad| (quad[0][1], quad[0][0]);
    quads.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
    for end in 1..quads.len() {
        for at in (0..end).rev() {
            let ([first, ..], [second, ..]) = (quads[at], quads[at + 1]);
            if (second[1] - first[1]).abs() >= SAME_LINE || second[0] >= first[0] {
                break;
            }
            quads.swap(at, at + 1);
        }
    }
}

/// Width and height of the picture of a box, in pixels, before a tall one is turned, and whether it is.
pub fn line_size(quad: &Quad) -> (usize, usize, bool) {
    let length = |a: [f32; 2], b: [f32; 2]| {
        let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
        (dx * dx + dy * dy).sqrt()
    };
    let width = length(quad[0], quad[1]).max(length(quad[2], quad[3])) as usize;
    let height = length(quad[0], quad[3]).max(length(quad[1], quad[2])) as usize;
    (width, height, height as f64 / width as f64 >= TALL)
}

/// The widths that lines are padded to, so that similar ones share a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineWidths {
    /// The height of all lines for the network.
    pub height: usize,
    /// The least width.
    pub least: usize,
    /// So many lines, sorted by their shapes, get the width of the widest.
    pub group: usize,
}

impl LineWidths {
    /// The width of each box's line.
    pub fn of(&self, quads: &[Quad]) -> Vec<i32> {
        let shapes: Vec<f64> = quads
            .iter()
            .map(|quad| match line_size(quad) {
                (width, height, true) => height as f64 / width.max(1) as f64,
                (width, height, false) => width as f64 / height.max(1) as f64,
            })
            .collect();
        let mut order: Vec<usize> = (0..quads.len()).collect();
        order.sort_by(|&a, &b| shapes[a].total_cmp(&shapes[b]));
        let mut widths = vec![0; quads.len()];
        for group in order.chunks(self.group.max(1)) {
            let least = self.least as f64 / self.height as f64;
            let widest = group.iter().fold(least, |widest, &at| widest.max(shapes[at]));
            for &at in group {
                widths[at] = (self.height as f64 * widest) as i32;
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upright(left: f32, top: f32, width: f32, height: f32) -> Quad {
        [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
    }

    #[test]
    fn a_line_is_read_from_the_left() {
        let mut quads =
            [upright(300.0, 10.0, 50.0, 20.0), upright(10.0, 15.0, 50.0, 20.0), upright(0.0, 40.0, 9.0, 9.0)];
        in_reading_order(&mut quads);
        assert_eq!(quads.map(|quad| quad[0][0]), [10.0, 300.0, 0.0]);
    }

    #[test]
    fn groups_have_the_width_of_the_widest() {
        let quads = [100.0, 900.0, 480.0, 960.0].map(|width| upright(0.0, 0.0, width, 48.0));
        let widths = LineWidths { height: 48, least: 320, group: 2 };
        assert_eq!(widths.of(&quads), [480, 960, 480, 960]);
        assert_eq!(widths.of(&[upright(0.0, 0.0, 20.0, 100.0)]), [320], "it is turned");
        assert_eq!(line_size(&upright(0.0, 0.0, 20.0, 30.0)), (20, 30, true));
        assert_eq!(widths.of(&[]), [0; 0]);
    }
}
