//! `draw`: draws detections on the image.

use hippocamp_backend::{Error, Result};
use hippocamp_drawing::{Canvas, Mark};
use serde::Deserialize;

use super::labels::Labels;
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Color, ImageKind, Kind, Pixels, Sample, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draw {
    input: String,
    /// The name of the detections, which are in pixels of the image.
    detections: String,
    output: String,
    /// The thickness of lines in pixels; by default it depends on the image's size.
    thickness: Option<u32>,
    /// Only detections with a higher score are drawn.
    threshold: Option<f32>,
    /// Whether to write the score at each box.
    #[serde(default = "yes")]
    scores: bool,
    /// The names of categories, written at each box.
    #[serde(default)]
    labels: Labels,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug)]
struct DrawStep {
    input: Slot,
    detections: Slot,
    output: Slot,
    thickness: Option<u32>,
    threshold: f32,
    scores: bool,
    labels: Vec<String>,
}

impl StepFile for Draw {
    const OP: &'static str = "draw";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        if kind.color != Color::Rgb || kind.sample != Sample::Uint8 {
            ports.fault("input", "a picture in RGB with UINT8 samples was expected");
        }
        let kind = ImageKind { color: Color::Rgb, sample: Sample::Uint8, ..kind };
        Box::new(DrawStep {
            input,
            detections: ports.read_detections("detections", &self.detections).0,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            thickness: self.thickness,
            threshold: self.threshold.unwrap_or(f32::NEG_INFINITY),
            scores: self.scores,
            labels: self.labels.bind(ports),
        })
    }
}

impl DrawStep {
    /// The text at a box.
    fn caption(&self, category: i32, score: f32) -> String {
        let label = usize::try_from(category).ok().and_then(|category| self.labels.get(category));
        match (label, self.scores) {
            (Some(label), true) => format!("{label} {score:.2}"),
            (Some(label), false) => label.clone(),
            (None, true) => format!("{score:.2}"),
            (None, false) => String::new(),
        }
    }
}

impl Step for DrawStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut drawn = values.take_image(self.output);
        let image = values.image(self.input)?;
        let Pixels::U8(samples) = &image.pixels else {
            return Err(Error::internal("a picture was promised to have UINT8 samples"));
        };
        let (size, raw_size, to_raw) = (image.size, image.raw_size, image.to_raw);
        let copy = drawn.begin_u8(size, image.color)?;
        copy.copy_from_slice(samples);
        let mut canvas = Canvas::new(copy, size.width, size.height)
            .ok_or_else(|| Error::internal("a picture was promised to have three channels"))?;
        let found = values.detections(self.detections)?;
        let shown = || (0..found.len()).filter(|&i| found.scores[i] > self.threshold);
        let captions: Vec<String> =
            shown().map(|i| self.caption(found.categories[i], found.scores[i])).collect();
        let marks = shown().zip(&captions).map(|(i, text)| Mark {
            corners: found.boxes[i],
            category: found.categories[i],
            text,
            landmarks: found.landmarks_of(i),
        });
        hippocamp_drawing::draw(&mut canvas, marks, self.thickness);
        drawn.came_from(raw_size, to_raw);
        values.set(self.output, Value::Image(drawn));
        Ok(())
    }
}
