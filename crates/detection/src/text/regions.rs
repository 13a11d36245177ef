//! The regions of a mask, and the holes in them.

/// A piece of a row: columns from `start` to `end`, exclusive.
#[derive(Clone, Copy, Debug)]
struct Run {
    row: usize,
    start: usize,
    end: usize,
}

/// The points of each region whose hull is the region's, in the order of their first pixels: first all regions, which are connected
/// by sides or corners, then all holes, which are connected by sides. The points of a hole are those of the region around it.
pub(super) fn outlines(mask: &[bool], width: usize) -> Vec<Vec<(i32, i32)>> {
    let mut outlines = Vec::new();
    for (is_set, is_hole) in [(true, false), (false, true)] {
        for runs in regions(mask, width, is_set) {
            let height = mask.len().checked_div(width).unwrap_or(0);
            let touches_rim =
                |run: &Run| run.start == 0 || run.end == width || run.row == 0 || run.row + 1 == height;
            if is_hole && runs.iter().any(touches_rim) {
                continue;
            }
            let mut points = Vec::with_capacity(runs.len() * 2);
            for Run { row, start, end } in runs {
                let (row, first, last) = (row as i32, start as i32, end as i32 - 1);
                if is_hole {
                    points.extend([(first - 1, row), (last + 1, row)]);
                    points.extend([(first, row - 1), (last, row - 1), (first, row + 1), (last, row + 1)]);
                } else {
                    points.extend([(first, row), (last, row)]);
                }
            }
            outlines.push(points);
        }
    }
    outlines
}

/// The runs of each region of pixels that are set, or not.
fn regions(mask: &[bool], width: usize, is_set: bool) -> Vec<Vec<Run>> {
    // Pixels that are set touch at their corners, too.
    let reach = usize::from(is_set);
    let mut runs: Vec<Run> = Vec::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut above = 0..0;
    for (row, pixels) in mask.chunks_exact(width.max(1)).enumerate() {
        let first = runs.len();
        let mut start = 0;
        for piece in pixels.chunk_by(|a, b| a == b) {
            let end = start + piece.len();
            if piece[0] == is_set {
                runs.push(Run { row, start, end });
                parents.push(parents.len());
            }
            start = end;
        }
        let mut other = above.start;
        for run in first..runs.len() {
            while other < above.end && runs[other].end + reach <= runs[run].start {
                other += 1;
            }
            let mut next = other;
            while next < above.end && runs[next].start < runs[run].end + reach {
                join(&mut parents, next, run);
                next += 1;
            }
            // The last one may reach the next run of this row, too.
            other = next.saturating_sub(1).max(other);
        }
        above = first..runs.len();
    }
    let mut places = vec![usize::MAX; runs.len()];
    let mut regions: Vec<Vec<Run>> = Vec::new();
    for (index, run) in runs.into_iter().enumerate() {
        let root = root(&mut parents, index);
        if places[root] == usize::MAX {
            places[root] = regions.len();
            regions.push(Vec::new());
        }
        regions[places[root]].push(run);
    }
    regions
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    let (first, second) = (a.min(b), a.max(b));
    parents[second] = first;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(picture: &[&str]) -> Vec<BTreeSet<(i32, i32)>> {
        let mask: Vec<bool> = picture.iter().flat_map(|row| row.bytes().map(|pixel| pixel == b'#')).collect();
        outlines(&mask, picture[0].len()).into_iter().map(|points| points.into_iter().collect()).collect()
    }

    #[test]
    fn regions_touch_at_corners_and_holes_do_not() {
        let got = found(&["#..#", ".#.#", "#..#"]);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0], [(0, 0), (1, 1), (0, 2)].into());
        assert_eq!(got[1], [(3, 0), (3, 1), (3, 2)].into());
        let got = found(&["####", "#.##", "##.#", "####"]);
        assert_eq!(got.len(), 3, "two holes");
        assert_eq!(got[1], [(0, 1), (2, 1), (1, 0), (1, 2)].into());
    }

    #[test]
    fn what_reaches_the_rim_is_no_hole() {
        assert_eq!(found(&["###", "#..", "###"]).len(), 1);
        assert_eq!(found(&["#.#", "#.#", "###"]).len(), 1);
        assert_eq!(found(&["..", ".."]).len(), 0);
        assert_eq!(outlines(&[], 0).len(), 0);
    }

    #[test]
    fn branches_join_below() {
        assert_eq!(found(&["#.#.#", "#.#.#", "#####"]).len(), 1);
        assert_eq!(found(&["#####", "#.#.#", "#.#.#"]).len(), 1);
        assert_eq!(found(&["#.#.#.#", ".#.....", "###.###"]).len(), 4);
    }
}
