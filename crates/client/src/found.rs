//! Recognises detections among a model's outputs by their names and shapes.

use std::fmt;

use hippocamp_tensor::DataType;
use serde_json::Value;

use crate::answer::{Answer, Tensor};
use crate::elements::{bytes, floats};

/// A detection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) score: f32,
    pub(crate) category: Option<i32>,
    pub(crate) label: Option<String>,
    /// Left, top, right, bottom.
    pub(crate) corners: [f32; 4],
    /// x and y alternate.
    pub(crate) landmarks: Vec<f32>,
    /// Whether coordinates are relative to the image's size (0 to 1) instead of pixels.
    pub(crate) is_ratio: bool,
}

/// The detections of each image of the batch; `None` if the outputs are no detections.
pub(crate) fn found(answer: &Answer) -> Option<Vec<Vec<Found>>> {
    from_tensors(answer).or_else(|| from_text(answer))
}

/// Whether [`found`] uses the output; other outputs are shown as they are.
pub(crate) fn is_part(tensor: &Tensor) -> bool {
    let names = [SCORE, BOX, CATEGORY, LANDMARK];
    names.iter().any(|names| names.contains(&tensor.name.to_ascii_lowercase().as_str()))
        || objects(tensor).is_some()
}

const SCORE: &[&str] = &["score", "scores", "confidence", "conf"];
const BOX: &[&str] = &["bbox", "bboxes", "box", "boxes"];
const CATEGORY: &[&str] = &["category", "categories", "class", "classes", "label", "labels"];
const LANDMARK: &[&str] = &["landmark", "landmarks", "keypoints", "kps"];

/// The most images that are shown for an answer which has no detections for most of them.
const MOST_EMPTY: usize = 1000;

fn from_tensors(answer: &Answer) -> Option<Vec<Vec<Found>>> {
    let named = |names: &[&str]| {
        answer.outputs.iter().find(|tensor| names.contains(&tensor.name.to_ascii_lowercase().as_str()))
    };
    let numbers = |names: &[&str]| named(names).and_then(floats);
    let (scores, boxes) = (numbers(SCORE)?, numbers(BOX)?);
    let boxes = boxes.as_chunks::<4>().0;
    if boxes.len() != scores.len() || named(BOX)?.shape.last() != Some(&4) {
        return None;
    }
    let of_count = |list: &Vec<f32>| !scores.is_empty() && list.len().is_multiple_of(scores.len());
    let categories = numbers(CATEGORY).filter(|list| list.len() == scores.len());
    let landmarks = numbers(LANDMARK).filter(of_count);
    let each = landmarks.as_ref().map_or(0, |list| list.len() / scores.len());
    let one = |row: usize| Found {
        score: scores[row],
        category: categories.as_ref().map(|list| list[row] as i32),
        label: None,
        corners: boxes[row],
        landmarks: landmarks
            .as_ref()
            .map_or_else(Vec::new, |list| list[row * each..(row + 1) * each].to_vec()),
        is_ratio: false,
    };
    let all: Vec<Found> = (0..scores.len()).map(one).collect();
    // The shape is [images, rows, 4], or [rows, 4] for a single image.
    let pictures = match named(BOX)?.shape[..] {
        [pictures, _, 4] => usize::try_from(pictures).unwrap_or(1).max(1),
        _ => 1,
    };
    let rows = all.len().div_ceil(pictures).max(1);
    let mut batches: Vec<Vec<Found>> = all.chunks(rows).map(<[Found]>::to_vec).collect();
    // Those without rows are there by the word of the server alone.
    batches.resize(pictures.min(batches.len().max(MOST_EMPTY)), Vec::new());
    Some(batches)
}

/// Parses JSON lists of objects with `box` and `score`, or with `xywh_ratio` and `conf`.
fn from_text(answer: &Answer) -> Option<Vec<Vec<Found>>> {
    answer.outputs.iter().find_map(objects)
}

fn objects(tensor: &Tensor) -> Option<Vec<Vec<Found>>> {
    if tensor.data_type != DataType::Bytes {
        return None;
    }
    let mut pictures = Vec::new();
    for text in bytes(tensor) {
        let list: Vec<Value> = serde_json::from_slice(text).ok()?;
        pictures.push(list.iter().map(object).collect::<Option<Vec<_>>>()?);
    }
    Some(pictures)
}

fn object(json: &Value) -> Option<Found> {
    let numbers = |key: &str| -> Option<Vec<f32>> {
        json.get(key)?.as_array()?.iter().map(|number| Some(number.as_f64()? as f32)).collect()
    };
    let ratio: Option<[f32; 4]> = numbers("xywh_ratio").and_then(|list| list.try_into().ok());
    if let Some([x, y, width, height]) = ratio {
        return Some(Found {
            score: json.get("conf")?.as_f64()? as f32,
            corners: [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0],
            landmarks: numbers("landmarks_ratio").unwrap_or_default(),
            is_ratio: true,
            ..Found::default()
        });
    }
    Some(Found {
        score: json.get("score")?.as_f64()? as f32,
        category: json.get("category").and_then(Value::as_i64).map(|category| category as i32),
        label: json.get("label").and_then(Value::as_str).map(str::to_owned),
        corners: numbers("box")?.try_into().ok()?,
        landmarks: numbers("landmarks").unwrap_or_default(),
        is_ratio: false,
    })
}

impl Found {
    /// This detection in pixels of an image of that size.
    pub(crate) fn in_pixels(&self, width: f32, height: f32) -> Found {
        let mut found = self.clone();
        if self.is_ratio {
            for numbers in [&mut found.corners[..], &mut found.landmarks] {
                for [x, y] in numbers.as_chunks_mut().0 {
                    (*x, *y) = (*x * width, *y * height);
                }
            }
            found.is_ratio = false;
        }
        found
    }
}

impl fmt::Display for Found {
    /// Formats the text at the box.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "{label} ")?;
        }
        write!(f, "{:.2}", self.score)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the numbers of these tests are exact")]
mod tests {
    use bytes::Bytes;
    use hippocamp_tensor::push_element;

    use super::*;

    fn floats_tensor(name: &str, shape: &[i64], numbers: &[f32]) -> Tensor {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Tensor { name: name.to_owned(), data_type: DataType::Fp32, shape: shape.to_vec(), data: data.into() }
    }

    fn text_tensor(texts: &[&str]) -> Tensor {
        let mut data = Vec::new();
        for text in texts {
            push_element(&mut data, text.as_bytes());
        }
        Tensor {
            name: "faces".to_owned(),
            data_type: DataType::Bytes,
            shape: vec![1],
            data: Bytes::from(data),
        }
    }

    fn answer(outputs: Vec<Tensor>) -> Answer {
        Answer { outputs, ..Answer::default() }
    }

    #[test]
    fn rows_of_tensors_by_picture() {
        let boxes: Vec<f32> = (0..16u8).map(f32::from).collect();
        let outputs = vec![
            floats_tensor("score", &[2, 2], &[0.9, 0.1, 0.8, 0.2]),
            floats_tensor("bbox", &[2, 2, 4], &boxes),
            floats_tensor("landmarks", &[2, 2, 2], &boxes[..8]),
        ];
        assert!(outputs.iter().all(is_part));
        let pictures = found(&answer(outputs)).unwrap();
        assert_eq!(pictures.len(), 2);
        let second = &pictures[1][0];
        assert_eq!(
            (second.score, second.corners, &second.landmarks[..]),
            (0.8, [8.0, 9.0, 10.0, 11.0], &[4.0, 5.0][..])
        );
        assert_eq!(second.category, None);
        assert_eq!(second.to_string(), "0.80");
    }

    #[test]
    fn no_detections() {
        assert_eq!(found(&answer(vec![floats_tensor("score", &[1], &[0.5])])), None);
        let uneven = vec![floats_tensor("score", &[1], &[0.5]), floats_tensor("bbox", &[2, 4], &[0.0; 8])];
        assert_eq!(found(&answer(uneven)), None);
        assert_eq!(found(&answer(vec![text_tensor(&["hello"])])), None);
        assert_eq!(found(&answer(vec![text_tensor(&["[1]"])])), None);
        let nothing = vec![floats_tensor("scores", &[1, 0], &[]), floats_tensor("boxes", &[1, 0, 4], &[])];
        assert_eq!(found(&answer(nothing)), Some(vec![vec![]]));
        let endless = vec![
            floats_tensor("scores", &[i64::MAX, 0], &[]),
            floats_tensor("boxes", &[i64::MAX, 0, 4], &[]),
        ];
        assert_eq!(found(&answer(endless)).unwrap().len(), MOST_EMPTY);
    }

    #[test]
    fn text_in_both_forms() {
        let ratio = r#"[{"xywh_ratio":[0.5,0.5,0.25,0.5],"conf":0.9,"landmarks_ratio":[0.5,0.25]}]"#;
        let pictures = found(&answer(vec![text_tensor(&[ratio])])).unwrap();
        let face = pictures[0][0].in_pixels(100.0, 200.0);
        assert_eq!((face.score, face.corners), (0.9, [37.5, 50.0, 62.5, 150.0]));
        assert_eq!(face.landmarks, [50.0, 50.0]);
        let pixels = r#"[{"score":0.5,"category":3,"label":"dog","box":[1,2,3,4]}]"#;
        let pictures = found(&answer(vec![text_tensor(&[pixels, "[]"])])).unwrap();
        assert_eq!(pictures[0][0].corners, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!((pictures[0][0].category, pictures[0][0].to_string()), (Some(3), "dog 0.50".to_owned()));
        assert!(pictures[1].is_empty());
    }
}
