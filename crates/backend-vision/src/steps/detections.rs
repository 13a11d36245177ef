//! `write_detections` and `read_detections`: converts detections to tensors and back.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{DetectionsKind, Element, Kind, Slot, TensorKind, Value, Values};
use hippocamp_detection::Detections;

/// The largest `rows`.
const MAX_ROWS: usize = 1 << 20;

/// Writes the tensors that have a name. With `rows` each has that many rows, padded by zeros or truncated; without it,
/// one row for each detection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteDetections {
    input: String,
    rows: Option<usize>,
    score: Option<String>,
    category: Option<String>,
    bbox: Option<String>,
    landmark: Option<String>,
    count: Option<String>,
}

#[derive(Clone, Debug)]
struct WriteStep {
    input: Slot,
    rows: Option<usize>,
    score: Option<Slot>,
    category: Option<Slot>,
    bbox: Option<Slot>,
    landmark: Option<Slot>,
    count: Option<Slot>,
}

impl StepFile for WriteDetections {
    const OP: &'static str = "write_detections";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, DetectionsKind { points }) = ports.read_detections("input", &self.input);
        if self.rows.is_some_and(|rows| rows > MAX_ROWS) {
            ports.fault("rows", format!("it was expected to be at most {MAX_ROWS}"));
        }
        let rows = self.rows.map_or(-1, |rows| rows as i64);
        let numbers = points.map_or(-1, |points| points as i64 * 2);
        let mut write = |key, name: &Option<String>, data_type, dims: &[i64]| {
            ports.write_if_named(key, name.as_deref(), Kind::Tensor(TensorKind::new(data_type, dims)))
        };
        Box::new(WriteStep {
            input,
            rows: self.rows,
            score: write("score", &self.score, DataType::Fp32, &[rows]),
            category: write("category", &self.category, DataType::Int32, &[rows]),
            bbox: write("bbox", &self.bbox, DataType::Fp32, &[rows, 4]),
            landmark: write("landmark", &self.landmark, DataType::Fp32, &[rows, numbers]),
            count: write("count", &self.count, DataType::Int32, &[1]),
        })
    }
}

impl Step for WriteStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let found = values.detections(self.input)?;
        let (count, numbers) = (found.len(), found.points as i64 * 2);
        let rows = self.rows.unwrap_or(count);
        let (input, dim) = (self.input, rows as i64);
        write(values, input, self.score, &[dim], |found| &found.scores)?;
        write(values, input, self.category, &[dim], |found| &found.categories)?;
        write(values, input, self.bbox, &[dim, 4], |found| found.boxes.as_flattened())?;
        write(values, input, self.landmark, &[dim, numbers], |found| &found.landmarks)?;
        if let Some(slot) = self.count {
            let mut tensor = values.take_tensor(slot);
            tensor.begin::<i32>(&[1])?.fill(count.min(rows) as i32);
            values.set(slot, Value::Tensor(tensor));
        }
        Ok(())
    }
}

/// Writes one list to its tensor, truncated or padded by zeros.
fn write<T: Element>(
    values: &mut Values,
    from: Slot,
    to: Option<Slot>,
    dims: &[i64],
    list: impl FnOnce(&Detections) -> &[T],
) -> Result<()> {
    let Some(to) = to else { return Ok(()) };
    let mut tensor = values.take_tensor(to);
    let list = list(values.detections(from)?);
    let place = tensor.begin::<T>(dims)?;
    let (filled, rest) = place.split_at_mut(list.len().min(place.len()));
    filled.copy_from_slice(&list[..filled.len()]);
    rest.fill(T::zeroed());
    values.set(to, Value::Tensor(tensor));
    Ok(())
}

/// Reads detections from the rows of tensors; without categories all have category 0.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadDetections {
    score: String,
    bbox: String,
    category: Option<String>,
    #[serde(default)]
    category_type: CategoryType,
    landmark: Option<String>,
    /// Only scores above it.
    threshold: Option<f32>,
    output: String,
}

/// The type of the tensor of categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum CategoryType {
    #[default]
    Int32,
    Int64,
}

#[derive(Clone, Debug)]
struct ReadStep {
    score: Slot,
    bbox: Slot,
    category: Option<Slot>,
    category_type: CategoryType,
    landmark: Option<Slot>,
    threshold: Option<f32>,
    output: Slot,
}

impl StepFile for ReadDetections {
    const OP: &'static str = "read_detections";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let mut read = |key, name: &str, data_type, dims: &[i64]| {
            ports.read_tensor(key, name, TensorKind::new(data_type, dims))
        };
        let (score, _) = read("score", &self.score, DataType::Fp32, &[-1]);
        let (bbox, _) = read("bbox", &self.bbox, DataType::Fp32, &[-1, 4]);
        let category_type = match self.category_type {
            CategoryType::Int32 => DataType::Int32,
            CategoryType::Int64 => DataType::Int64,
        };
        let category = self.category.as_ref().map(|name| read("category", name, category_type, &[-1]).0);
        let landmark = self.landmark.as_ref().map(|name| read("landmark", name, DataType::Fp32, &[-1, -1]));
        let points = match landmark.as_ref().map(|(_, dims)| dims.get(1).copied()) {
            None => Some(0),
            Some(numbers) => numbers.and_then(|numbers| usize::try_from(numbers).ok()).map(|n| n / 2),
        };
        Box::new(ReadStep {
            score,
            bbox,
            category,
            category_type: self.category_type,
            threshold: self.threshold,
            landmark: landmark.map(|(slot, _)| slot),
            output: ports.write("output", &self.output, Kind::Detections(DetectionsKind { points })),
        })
    }
}

impl Step for ReadStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let scores = values.tensor(self.score)?.elements::<f32>()?.to_vec();
        let count = scores.len();
        let boxes = values.tensor(self.bbox)?.elements::<f32>()?.as_chunks().0.to_vec();
        let categories = match self.category {
            Some(slot) if self.category_type == CategoryType::Int64 => {
                let wide = values.tensor(slot)?.elements::<i64>()?;
                wide.iter().map(|&category| i32::try_from(category).unwrap_or(-1)).collect()
            }
            Some(slot) => values.tensor(slot)?.elements::<i32>()?.to_vec(),
            None => vec![0; count],
        };
        let (points, landmarks) = match self.landmark {
            Some(slot) => {
                let tensor = values.tensor(slot)?;
                let numbers = tensor.dims().get(1).copied().unwrap_or(0);
                (usize::try_from(numbers).unwrap_or(0) / 2, tensor.elements::<f32>()?.to_vec())
            }
            None => (0, Vec::new()),
        };
        let expected =
            [boxes.len() == count, categories.len() == count, landmarks.len() == count * points * 2];
        if expected.contains(&false) {
            return Err(Error::invalid_arg(format!(
                "as many boxes, categories and landmarks as scores were expected, got {count} scores, {} boxes, {} \
                 categories and {} numbers of {points} landmarks each",
                boxes.len(),
                categories.len(),
                landmarks.len()
            )));
        }
        let mut found = Detections { scores, categories, boxes, landmarks, points };
        if let Some(threshold) = self.threshold {
            keep_above(&mut found, threshold);
        }
        values.set(self.output, Value::Detections(found));
        Ok(())
    }
}

/// Drops the detections whose score is not above the threshold.
fn keep_above(found: &mut Detections, threshold: f32) {
    let numbers = found.points * 2;
    let mut kept = Detections { points: found.points, ..Detections::default() };
    for detection in (0..found.scores.len()).filter(|&detection| found.scores[detection] > threshold) {
        kept.scores.push(found.scores[detection]);
        kept.categories.push(found.categories[detection]);
        kept.boxes.push(found.boxes[detection]);
        kept.landmarks.extend_from_slice(&found.landmarks[detection * numbers..][..numbers]);
    }
    *found = kept;
}
