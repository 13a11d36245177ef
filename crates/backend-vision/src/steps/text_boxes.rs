//! `text_boxes` and `line_widths`: rotated boxes of text lines, and how wide the lines are for a network.

use hippocamp_backend::Result;
use hippocamp_detection::{LineWidths, Quad, TextBoxes};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use super::moved::MAX_SIDE;
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, TensorKind, Value, Values};

/// The kind of a tensor of boxes.
fn boxes() -> TensorKind {
    TensorKind::new(DataType::Fp32, [-1, 4, 2])
}

/// Boxes in the probability map of a network with differentiable binarization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextBoxesFile {
    input: String,
    /// The size of the picture in whose pixels boxes are.
    size: String,
    output: String,
    #[serde(default = "threshold")]
    threshold: f32,
    #[serde(default = "box_threshold")]
    box_threshold: f64,
    #[serde(default = "grow")]
    grow: f64,
    #[serde(default)]
    dilate: bool,
    #[serde(default = "limit")]
    limit: usize,
}

fn threshold() -> f32 {
    0.3
}

fn box_threshold() -> f64 {
    0.5
}

fn grow() -> f64 {
    1.6
}

fn limit() -> usize {
    1000
}

#[derive(Clone, Debug)]
struct TextBoxesStep {
    input: Slot,
    size: Slot,
    output: Slot,
    boxes: TextBoxes,
}

impl StepFile for TextBoxesFile {
    const OP: &'static str = "text_boxes";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let TextBoxesFile { threshold, box_threshold, grow, dilate, limit, .. } = self;
        if !(grow.is_finite() && grow > 0.0) {
            ports.fault("grow", format!("it was expected to be above 0, got {grow}"));
        }
        let map = TensorKind::new(DataType::Fp32, [1, -1, -1]);
        Box::new(TextBoxesStep {
            input: ports.read_tensor("input", &self.input, map).0,
            size: ports.read_size("size", &self.size),
            output: ports.write("output", &self.output, Kind::Tensor(boxes())),
            boxes: TextBoxes { threshold, box_threshold, grow, dilate, limit },
        })
    }
}

impl Step for TextBoxesStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut output = values.take_tensor(self.output);
        let (map, size) = (values.tensor(self.input)?, values.size(self.size)?);
        let width = map.dims().last().map_or(0, |&width| usize::try_from(width).unwrap_or(0));
        let quads = self.boxes.find(map.elements()?, width, (size.width, size.height))?;
        let numbers = output.begin::<f32>(&[quads.len() as i64, 4, 2])?;
        numbers.copy_from_slice(quads.as_flattened().as_flattened());
        values.set(self.output, Value::Tensor(output));
        Ok(())
    }
}

/// The widths that lines are padded to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineWidthsFile {
    input: String,
    output: String,
    height: usize,
    /// The least width.
    least: usize,
    /// So many lines of similar shapes get the same width.
    #[serde(default = "one")]
    group: usize,
}

fn one() -> usize {
    1
}

#[derive(Clone, Debug)]
struct LineWidthsStep {
    input: Slot,
    output: Slot,
    widths: LineWidths,
}

impl StepFile for LineWidthsFile {
    const OP: &'static str = "line_widths";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let LineWidthsFile { height, least, group, .. } = self;
        if !(1..=MAX_SIDE).contains(&height) || least > MAX_SIDE || group == 0 {
            let text = format!(
                "'height' and 'least' were expected to be up to {MAX_SIDE}, and 'group' to be 1 or more"
            );
            ports.fault("height", text);
        }
        let widths = Kind::Tensor(TensorKind::new(DataType::Int32, [-1]));
        Box::new(LineWidthsStep {
            input: ports.read_tensor("input", &self.input, boxes()).0,
            output: ports.write("output", &self.output, widths),
            widths: LineWidths { height: height.max(1), least, group },
        })
    }
}

impl Step for LineWidthsStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut output = values.take_tensor(self.output);
        let numbers = values.tensor(self.input)?.elements::<f32>()?;
        let widths = self.widths.of(quads(numbers));
        output.begin::<i32>(&[widths.len() as i64])?.copy_from_slice(&widths);
        values.set(self.output, Value::Tensor(output));
        Ok(())
    }
}

/// The boxes in a tensor of them.
pub(super) fn quads(numbers: &[f32]) -> &[Quad] {
    numbers.as_chunks::<2>().0.as_chunks::<4>().0
}
