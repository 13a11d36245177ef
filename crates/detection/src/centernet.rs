//! Decodes CenterNet's heads to detections: each peak of a heat map is the centre of an object.
//!
//! The algorithm is that of `ctdet_decode`: cells that are the largest of their 3x3 neighbourhood are peaks; the best
//! `k` of all classes become detections, with the offset and size that the other maps have at the peak's cell. No
//! non-maximum suppression is needed. CenterFace has the same heads with other conventions, which are parameters here.

mod peaks;

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::best::Candidate;
use super::detections::Detections;
use super::sigmoid;
use peaks::Peaks;

/// The order of the two channels for x and y.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axes {
    /// x or width first.
    #[default]
    Xy,
    /// y or height first.
    Yx,
}

impl Axes {
    fn xy(self, first: f32, second: f32) -> (f32, f32) {
        match self {
            Axes::Xy => (first, second),
            Axes::Yx => (second, first),
        }
    }
}

/// What landmark coordinates are relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The upper left corner of the box, in units of its size.
    Box,
    /// The cell of the peak, in units of cells.
    #[default]
    Cell,
}

/// The conventions of a network's maps.
#[derive(Clone, Copy, Debug)]
pub struct CenterNet {
    /// The largest number of detections.
    pub k: usize,
    /// Only scores above this one become detections.
    pub threshold: f32,
    /// Whether the heat map still needs the sigmoid.
    pub sigmoid: bool,
    /// Whether only the best class of a cell counts, as when the network takes the maximum over classes first.
    pub one_class_per_cell: bool,
    /// The size of a cell in pixels.
    pub stride: f32,
    /// Added to a cell's coordinates in addition to the offset, in cells; by default 0.5 if there are no offsets, else
    /// 0.
    pub center: Option<f32>,
    pub offset_axes: Axes,
    pub size_axes: Axes,
    /// Whether sizes are logarithms.
    pub size_exp: bool,
    /// The factor of sizes; by default the stride.
    pub size_scale: Option<f32>,
    pub landmark_axes: Axes,
    pub landmark_origin: Origin,
}

impl Default for CenterNet {
    /// The conventions of CenterNet itself.
    fn default() -> Self {
        CenterNet {
            k: 100,
            threshold: f32::NEG_INFINITY,
            sigmoid: false,
            one_class_per_cell: false,
            stride: 1.0,
            center: None,
            offset_axes: Axes::Xy,
            size_axes: Axes::Xy,
            size_exp: false,
            size_scale: None,
            landmark_axes: Axes::Xy,
            landmark_origin: Origin::Cell,
        }
    }
}

/// The maps of one image, channel by channel.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    heat: &'a [f32],
    size: &'a [f32],
    offset: Option<&'a [f32]>,
    landmarks: Option<&'a [f32]>,
    width: usize,
    /// The number of cells of a channel.
    cells: usize,
    /// The number of landmarks of a detection.
    points: usize,
}

impl<'a> Maps<'a> {
    /// `heat` is [classes, height, width], `size` and `offset` [2, height, width], `landmarks` [2 points, height, width].
    pub fn new(
        [classes, height, width]: [usize; 3],
        heat: &'a [f32],
        size: &'a [f32],
        offset: Option<&'a [f32]>,
        landmarks: Option<&'a [f32]>,
    ) -> Result<Maps<'a>> {
        let cells = height.checked_mul(width).filter(|&cells| cells > 0);
        let values = cells.and_then(|cells| cells.checked_mul(classes)).filter(|&values| values > 0);
        let (Some(cells), Some(values)) = (cells, values) else {
            return Err(Error::invalid_arg(format!(
                "the heat map was expected to have classes and cells, it is [{classes},{height},{width}]"
            )));
        };
        if u32::try_from(values).is_err() {
            return Err(Error::invalid_arg(format!("the heat map has {values} values, more than 2^32")));
        }
        let expect = |name: &str, got: usize, want: usize| {
            if got == want {
                return Ok(());
            }
            Err(Error::invalid_arg(format!(
                "{name} was expected to have {want} values for a heat map of {height} x {width} cells, got {got}"
            )))
        };
        expect("the heat map", heat.len(), values)?;
        expect("the size map", size.len(), 2 * cells)?;
        expect("the offset map", offset.map_or(2 * cells, <[f32]>::len), 2 * cells)?;
        let points = landmarks.map_or(0, |l| l.len() / cells / 2);
        expect("the landmark map", landmarks.map_or(0, <[f32]>::len), points * 2 * cells)?;
        Ok(Maps { heat, size, offset, landmarks, width, cells, points })
    }
}

impl CenterNet {
    /// The detections of one image, best first, at most `k`. Coordinates are in pixels of the network's input.
    pub fn decode(&self, maps: &Maps<'_>) -> Detections {
        let peaks = Peaks { sigmoid: self.sigmoid, one_class_per_cell: self.one_class_per_cell };
        let mut found = Detections::new(maps.points);
        for peak in peaks.best(maps.heat, maps.cells, maps.width, self.k, self.threshold) {
            self.push(maps, peak, &mut found);
        }
        found
    }

    fn push(&self, maps: &Maps<'_>, peak: Candidate, found: &mut Detections) {
        let (category, cell) = (peak.index as usize / maps.cells, peak.index as usize % maps.cells);
        let pair = |map: &[f32], axes: Axes| axes.xy(map[cell], map[maps.cells + cell]);
        let (dx, dy) = maps.offset.map_or((0.0, 0.0), |map| pair(map, self.offset_axes));
        let center = self.center.unwrap_or(if maps.offset.is_some() { 0.0 } else { 0.5 });
        let (column, row) = ((cell % maps.width) as f32, (cell / maps.width) as f32);
        let (x, y) = ((column + dx + center) * self.stride, (row + dy + center) * self.stride);
        let (width, height) = pair(maps.size, self.size_axes);
        let scale = self.size_scale.unwrap_or(self.stride);
        let sized = |size: f32| scale * if self.size_exp { size.exp() } else { size };
        let (width, height) = (sized(width), sized(height));
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        let score = if self.sigmoid { sigmoid(peak.score) } else { peak.score };
        found.push(score, category as i32, [left, top, x + width / 2.0, y + height / 2.0]);
        let landmarks = maps.landmarks.unwrap_or_default();
        for point in landmarks.chunks_exact(2 * maps.cells) {
            let (px, py) = pair(point, self.landmark_axes);
            found.landmarks.extend(match self.landmark_origin {
                Origin::Box => [left + px * width, top + py * height],
                Origin::Cell => [(column + px) * self.stride, (row + py) * self.stride],
            });
        }
    }
}

#[cfg(test)]
mod tests;
