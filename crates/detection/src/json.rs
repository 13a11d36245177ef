//! Formats detections as JSON.

use std::fmt::{self, Display, Write};

use serde::Deserialize;

use super::best::Candidate;
use super::detections::Detections;

/// The members of a JSON object for a detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `score`, `category`, `label` if there are labels, `box` (left, top, right, bottom) and `landmarks` in pixels.
    #[default]
    Pixels,
    /// `xywh_ratio` (centre and size), `conf` and `landmarks_ratio`, relative to the image's size (0 to 1) with three
    /// decimals, as face detection services for TorchServe return them.
    Ratio,
    /// The box (left, top, right, bottom, in pixels) under the label, or under the category where it has none, and
    /// `score`: as the object detector of TorchServe returns them.
    Named,
}

/// The detections of one image as a JSON list, `[]` if there are none. `size` is the image's width and height in
/// pixels. Numbers that are not finite become `null`.
pub fn text(found: &Detections, form: Form, labels: &[String], size: (f32, f32)) -> String {
    let mut text = String::from("[");
    for detection in 0..found.len() {
        if detection > 0 {
            text.push(',');
        }
        let written = match form {
            Form::Pixels => pixels(&mut text, found, detection, labels),
            Form::Ratio => ratio(&mut text, found, detection, size),
            Form::Named => named(&mut text, found, detection, labels),
        };
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
    }
    text.push(']');
    text
}

/// The best classes of one image as a JSON list of objects with `score`, `category` and, if there are labels, `label`.
pub fn classes_text(best: &[Candidate], labels: &[String]) -> String {
    let mut text = String::from("[");
    for (place, class) in best.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        let written = write_class(&mut text, class.score, i64::from(class.index), labels)
            .and_then(|()| text.write_char('}'));
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
    }
    text.push(']');
    text
}

/// The best classes of one image as one JSON object, the score under the label, or under the index of a class without a label: as
/// the image classifier of TorchServe returns them.
pub fn named_classes_text(best: &[Candidate], labels: &[String]) -> String {
    let mut text = String::from("{");
    for (place, class) in best.iter().enumerate() {
        let separator = if place > 0 { "," } else { "" };
        let label = Label(i64::from(class.index), labels);
        let written = write!(text, "{separator}\n  {label}: {}", Number(class.score));
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
    }
    text.push_str(if best.is_empty() { "}" } else { "\n}" });
    text
}

/// The quoted label of a category, or its number where it has none.
struct Label<'a>(i64, &'a [String]);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|category| self.1.get(category)) {
            Some(label) if !label.is_empty() => Quoted(label).fmt(f),
            _ => write!(f, "\"{}\"", self.0),
        }
    }
}

fn named(text: &mut String, found: &Detections, detection: usize, labels: &[String]) -> fmt::Result {
    let place = found.boxes[detection].iter().map(|&value| Number(value));
    let label = Label(found.categories[detection].into(), labels);
    write!(text, "{{{label}:{},\"score\":{}}}", List(place), Number(found.scores[detection]))
}

/// Writes the first members of an object.
fn write_class(text: &mut String, score: f32, category: i64, labels: &[String]) -> fmt::Result {
    write!(text, "{{\"score\":{},\"category\":{category}", Number(score))?;
    match usize::try_from(category).ok().and_then(|category| labels.get(category)) {
        Some(label) => write!(text, ",\"label\":{}", Quoted(label)),
        None => Ok(()),
    }
}

fn pixels(text: &mut String, found: &Detections, detection: usize, labels: &[String]) -> fmt::Result {
    write_class(text, found.scores[detection], found.categories[detection].into(), labels)?;
    let place = |value: f32| Number((value * 100.0).round() / 100.0);
    write!(text, ",\"box\":{}", List(found.boxes[detection].iter().map(|&value| place(value))))?;
    if found.points > 0 {
        let landmarks = found.landmarks_of(detection);
        write!(text, ",\"landmarks\":{}", List(landmarks.iter().map(|&value| place(value))))?;
    }
    text.write_char('}')
}

fn ratio(
    text: &mut String,
    found: &Detections,
    detection: usize,
    (width, height): (f32, f32),
) -> fmt::Result {
    let [x1, y1, x2, y2] = found.boxes[detection];
    let rounded =
        |value: f32, side: f32| Number64((f64::from(value) / f64::from(side) * 1000.0).round() / 1000.0);
    let middle = |a: f32, b: f32| f32::midpoint(a, b);
    let numbers = [
        rounded(middle(x1, x2), width),
        rounded(middle(y1, y2), height),
        rounded(x2 - x1, width),
        rounded(y2 - y1, height),
    ];
    write!(text, "{{\"xywh_ratio\":{}", List(numbers.into_iter()))?;
    write!(text, ",\"conf\":{}", Number(found.scores[detection]))?;
    let landmarks = found.landmarks_of(detection).iter().enumerate();
    let landmarks = landmarks.map(|(i, &value)| rounded(value, if i % 2 == 0 { width } else { height }));
    write!(text, ",\"landmarks_ratio\":{}}}", List(landmarks))
}

/// A number in the shortest form that parses to the same value, always with a decimal point; `null` if not finite.
#[derive(Clone)]
struct Number(f32);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:?}", self.0) } else { f.write_str("null") }
    }
}

#[derive(Clone)]
struct Number64(f64);

impl Display for Number64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding zero turns -0.0 into 0.0.
        if self.0.is_finite() { write!(f, "{:?}", self.0 + 0.0) } else { f.write_str("null") }
    }
}

struct List<I>(I);

impl<I: Iterator<Item: Display> + Clone> Display for List<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            item.fmt(f)?;
        }
        f.write_char(']')
    }
}

/// A quoted and escaped JSON string.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one(points: usize, landmarks: Vec<f32>) -> Detections {
        Detections {
            scores: vec![0.864_714],
            categories: vec![1],
            boxes: vec![[910.0, 91.0, 1058.0, 279.005]],
            landmarks,
            points,
        }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn nothing_found_is_an_empty_list() {
        assert_eq!(text(&Detections::new(5), Form::Ratio, &[], (1.0, 1.0)), "[]");
        assert_eq!(text(&Detections::new(0), Form::Pixels, &[], (1.0, 1.0)), "[]");
    }

    #[test]
    fn ratios_have_three_decimals() {
        let got = text(&one(1, vec![640.0, 360.5]), Form::Ratio, &[], (1280.0, 720.0));
        let want = json!([{
            "xywh_ratio": [0.769, 0.257, 0.116, 0.261], "conf": 0.864_714, "landmarks_ratio": [0.5, 0.501]
        }]);
        assert_eq!(read(&got), want);
    }

    #[test]
    fn pixels_with_and_without_labels() {
        let labels = ["bus".to_owned(), "a \"dog\"\n".to_owned()];
        let got = text(&one(1, vec![1.0, 2.0]), Form::Pixels, &labels, (0.0, 0.0));
        let want = json!([{
            "score": 0.864_714, "category": 1, "label": "a \"dog\"\n",
            "box": [910.0, 91.0, 1058.0, 279.01], "landmarks": [1.0, 2.0]
        }]);
        assert_eq!(read(&got), want);
        let plain = read(&text(&one(0, vec![]), Form::Pixels, &labels[..1], (0.0, 0.0)));
        assert_eq!(plain[0].get("label"), None);
        assert_eq!(plain[0].get("landmarks"), None);
    }

    #[test]
    fn classes_with_and_without_labels() {
        let best = [Candidate { score: 0.5, index: 1 }, Candidate { score: 0.25, index: 7 }];
        let want = json!([{"score": 0.5, "category": 1, "label": "b"}, {"score": 0.25, "category": 7}]);
        assert_eq!(read(&classes_text(&best, &["a".to_owned(), "b".to_owned()])), want);
        assert_eq!(classes_text(&[], &[]), "[]");
        assert_eq!(named_classes_text(&[], &[]), "{}");
        let named = named_classes_text(&best, &["a".to_owned()]);
        assert!(read(&named).as_object().unwrap().keys().any(|key| key.parse::<u32>().is_ok()), "{named}");
    }

    #[test]
    fn a_box_is_under_its_label() {
        let mut found = one(0, vec![]);
        found.boxes[0] = [1.0, 2.5, 3.0, 4.0];
        found.categories[0] = 0;
        let got = read(&text(&found, Form::Named, &["cat".to_owned()], (0.0, 0.0)));
        assert_eq!(got[0]["cat"], json!([1.0, 2.5, 3.0, 4.0]));
        found.categories[0] = 7;
        assert!(read(&text(&found, Form::Named, &["cat".to_owned()], (0.0, 0.0)))[0]["7"].is_array());
    }

    #[test]
    fn what_is_no_number_is_null() {
        let mut found = one(0, vec![]);
        found.boxes[0][0] = f32::NAN;
        found.scores[0] = f32::INFINITY;
        found.categories[0] = -3;
        let got = read(&text(&found, Form::Pixels, &["x".to_owned()], (0.0, 0.0)));
        assert_eq!(got[0]["score"], Value::Null);
        assert_eq!(got[0]["box"][0], Value::Null);
        let got = read(&text(&found, Form::Ratio, &[], (0.0, 0.0)));
        assert_eq!(got[0]["xywh_ratio"], json!([null, null, null, null]));
    }
}
