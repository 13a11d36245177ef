//! Non-maximum suppression: of overlapping boxes only the best one stays.

use super::best::Best;
use super::detections::Detections;

/// The settings of a suppression.
#[derive(Clone, Copy, Debug)]
pub struct Nms {
    /// A box is dropped if its intersection over union with a better box exceeds this.
    pub iou: f32,
    /// Only boxes with a score above this are considered.
    pub score: f32,
    /// Whether boxes of different categories never suppress each other.
    pub by_category: bool,
    /// How many of the best boxes are considered.
    pub candidates: usize,
    /// The largest number of boxes that stay.
    pub limit: usize,
}

impl Nms {
    /// The detections that stay, best first.
    pub fn apply(&self, found: &Detections) -> Detections {
        found.select(&self.indices(found))
    }

    /// The indices of the detections that stay, best first.
    pub fn indices(&self, found: &Detections) -> Vec<usize> {
        let mut best = Best::new(self.candidates, self.score);
        for (index, &score) in found.scores.iter().enumerate() {
            best.push(score, index as u32);
        }
        let order: Vec<usize> = best.finish().iter().map(|c| c.index as usize).collect();
        let mut columns = Columns::new(found, &order, self.by_category);
        let mut kept = Vec::new();
        for (place, &index) in order.iter().enumerate() {
            if kept.len() == self.limit {
                break;
            }
            if !columns.suppressed[place] {
                kept.push(index);
                columns.suppress(place, self.iou);
            }
        }
        kept
    }
}

/// The boxes as columns, best first, so that one box can be compared with many by vector instructions.
struct Columns {
    x1: Vec<f32>,
    y1: Vec<f32>,
    x2: Vec<f32>,
    y2: Vec<f32>,
    area: Vec<f32>,
    /// The category of each box; all the same if categories are ignored.
    category: Vec<i32>,
    suppressed: Vec<bool>,
}

impl Columns {
    fn new(found: &Detections, order: &[usize], by_category: bool) -> Columns {
        let column = |side: usize| order.iter().map(|&i| found.boxes[i][side]).collect();
        let area =
            |&i: &usize| (found.boxes[i][2] - found.boxes[i][0]) * (found.boxes[i][3] - found.boxes[i][1]);
        Columns {
            x1: column(0),
            y1: column(1),
            x2: column(2),
            y2: column(3),
            area: order.iter().map(area).collect(),
            category: order.iter().map(|&i| if by_category { found.categories[i] } else { 0 }).collect(),
            suppressed: vec![false; order.len()],
        }
    }

    /// Marks the boxes after `place` that overlap it too much. Free of branches, so that the compiler vectorises it.
    #[allow(
        clippy::needless_bitwise_bool,
        reason = "a branch would keep the compiler from making vectors of it"
    )]
    fn suppress(&mut self, place: usize, iou: f32) {
        let (left, top, right, bottom) = (self.x1[place], self.y1[place], self.x2[place], self.y2[place]);
        let (area, category) = (self.area[place], self.category[place]);
        let count = self.suppressed.len();
        let (x1, y1) = (&self.x1[..count], &self.y1[..count]);
        let (x2, y2) = (&self.x2[..count], &self.y2[..count]);
        let (areas, categories) = (&self.area[..count], &self.category[..count]);
        for i in place + 1..count {
            let width = right.min(x2[i]) - left.max(x1[i]);
            let height = bottom.min(y2[i]) - top.max(y1[i]);
            let shared = width.max(0.0) * height.max(0.0);
            let part = shared / (area + areas[i] - shared);
            self.suppressed[i] |= (part > iou) & (categories[i] == category);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Nms = Nms { iou: 0.5, score: 0.0, by_category: false, candidates: 1000, limit: 1000 };

    fn found(entries: &[(f32, i32, [f32; 4])]) -> Detections {
        let mut found = Detections::new(0);
        for &(score, category, at) in entries {
            found.push(score, category, at);
        }
        found
    }

    #[test]
    fn the_better_of_two_that_cover_each_other_stays() {
        let boxes = found(&[
            (0.6, 0, [0.0, 0.0, 10.0, 10.0]),
            (0.9, 1, [0.0, 0.0, 10.0, 9.0]),
            (0.7, 0, [20.0, 0.0, 30.0, 10.0]),
            (0.1, 0, [50.0, 0.0, 60.0, 10.0]),
        ]);
        assert_eq!(ALL.indices(&boxes), [1, 2, 3]);
        assert_eq!(Nms { by_category: true, ..ALL }.indices(&boxes), [1, 2, 0, 3]);
        assert_eq!(Nms { iou: 0.95, ..ALL }.indices(&boxes), [1, 2, 0, 3]);
        assert_eq!(Nms { score: 0.1, ..ALL }.indices(&boxes), [1, 2]);
        assert_eq!(Nms { limit: 1, ..ALL }.indices(&boxes), [1]);
        assert_eq!(Nms { candidates: 2, ..ALL }.indices(&boxes), [1, 2]);
        assert_eq!(ALL.apply(&boxes).scores, [0.9, 0.7, 0.1]);
    }

    #[test]
    fn exactly_the_limit_is_not_above_it() {
        let boxes = found(&[(0.9, 0, [0.0, 0.0, 2.0, 1.0]), (0.8, 0, [0.0, 0.0, 1.0, 1.0])]);
        assert_eq!(ALL.indices(&boxes), [0, 1]);
    }

    #[test]
    fn boxes_without_area_or_of_no_numbers_stay() {
        let nan = f32::NAN;
        let boxes = found(&[
            (0.9, 0, [1.0, 1.0, 1.0, 1.0]),
            (0.8, 0, [1.0, 1.0, 1.0, 1.0]),
            (0.7, 0, [nan, nan, nan, nan]),
            (nan, 0, [0.0, 0.0, 1.0, 1.0]),
        ]);
        assert_eq!(ALL.indices(&boxes), [0, 1, 2]);
    }

    /// The reference implementation: take the best, drop all that overlap it, repeat.
    fn naive(found: &Detections, nms: &Nms) -> Vec<usize> {
        let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
        let iou = |a: &[f32; 4], b: &[f32; 4]| {
            let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            width * height / (area(a) + area(b) - width * height)
        };
        let mut rest: Vec<usize> = (0..found.len()).filter(|&i| found.scores[i] > nms.score).collect();
        rest.sort_by(|&a, &b| found.scores[b].total_cmp(&found.scores[a]));
        rest.truncate(nms.candidates);
        let mut kept = Vec::new();
        while !rest.is_empty() && kept.len() < nms.limit {
            let best = rest.remove(0);
            kept.push(best);
            rest.retain(|&i| {
                let alike = !nms.by_category || found.categories[i] == found.categories[best];
                !(alike && iou(&found.boxes[best], &found.boxes[i]) > nms.iou)
            });
        }
        kept
    }

    fn any_box() -> impl Strategy<Value = (f32, i32, [f32; 4])> {
        let side = || 0u8..20;
        (0u8..50, 0..3, side(), side(), side(), side()).prop_map(|(score, category, x, y, w, h)| {
            let [x, y, w, h] = [x, y, w, h].map(f32::from);
            (f32::from(score) / 50.0, category, [x, y, x + w, y + h])
        })
    }

    proptest! {
        #[test]
        fn it_keeps_what_the_textbook_keeps(
            entries in prop::collection::vec(any_box(), 0..80),
            iou in 0f32..1.0,
            score in 0f32..0.5,
            by_category: bool,
            candidates in 0usize..100,
            limit in 0usize..100,
        ) {
            let nms = Nms { iou, score, by_category, candidates, limit };
            let found = found(&entries);
            prop_assert_eq!(nms.indices(&found), naive(&found, &nms));
        }
    }
}
