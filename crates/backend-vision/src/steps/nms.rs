//! `nms`: non-maximum suppression of overlapping detections.

use hippocamp_backend::Result;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, Value, Values};
use hippocamp_detection::Nms;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NmsFile {
    input: String,
    output: String,
    #[serde(default = "iou")]
    iou: f32,
    threshold: Option<f32>,
    #[serde(default = "yes")]
    by_category: bool,
    #[serde(default = "candidates")]
    candidates: usize,
    #[serde(default = "limit")]
    limit: usize,
}

fn iou() -> f32 {
    0.5
}

fn yes() -> bool {
    true
}

/// The default, as in YOLO.
fn candidates() -> usize {
    30_000
}

fn limit() -> usize {
    300
}

#[derive(Clone, Debug)]
struct NmsStep {
    input: Slot,
    output: Slot,
    nms: Nms,
}

impl StepFile for NmsFile {
    const OP: &'static str = "nms";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        if !(0.0..=1.0).contains(&self.iou) {
            ports.fault("iou", format!("it was expected to be from 0 to 1, got {}", self.iou));
        }
        let (input, kind) = ports.read_detections("input", &self.input);
        Box::new(NmsStep {
            input,
            output: ports.write("output", &self.output, Kind::Detections(kind)),
            nms: Nms {
                iou: self.iou,
                score: self.threshold.unwrap_or(f32::NEG_INFINITY),
                by_category: self.by_category,
                candidates: self.candidates,
                limit: self.limit,
            },
        })
    }
}

impl Step for NmsStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let kept = self.nms.apply(values.detections(self.input)?);
        values.set(self.output, Value::Detections(kept));
        Ok(())
    }
}
