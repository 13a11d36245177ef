//! `yolo_decode`: decodes the outputs of YOLOv5 or YOLOv8 to detections.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{DataType, Shape};
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{DetectionsKind, Kind, Slot, TensorKind, Value, Values};
use hippocamp_detection::{Detections, Level, Yolo5, Yolo8, map_detections};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct YoloDecode {
    form: Form,
    /// The name of the tensor in the decoded forms.
    input: Option<String>,
    /// The names of the raw tensors, one for each stride.
    #[serde(default)]
    grids: Vec<String>,
    #[serde(default)]
    strides: Vec<f32>,
    /// Width and height of each anchor, for each grid.
    #[serde(default)]
    anchors: Vec<Vec<[f32; 2]>>,
    #[serde(default = "quarter")]
    threshold: f32,
    /// The number of landmarks of a detection.
    #[serde(default)]
    points: usize,
    #[serde(default = "two")]
    point_size: usize,
    matrix: Option<String>,
    output: String,
}

/// The form of the network's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// YOLOv5 before any activation, `[anchors, height, width, row]` for each stride.
    V5Grids,
    /// YOLOv5 as the last convolution returns it, `[anchors * row, height, width]`.
    V5Maps,
    /// YOLOv5 decoded, `[anchors, row]`.
    V5Rows,
    /// YOLOv8, `[channels, anchors]`.
    V8,
    /// YOLOv8 transposed, `[anchors, channels]`.
    V8Rows,
}

fn quarter() -> f32 {
    0.25
}

fn two() -> usize {
    2
}

#[derive(Clone, Debug)]
struct YoloStep {
    form: Form,
    inputs: Vec<Slot>,
    strides: Vec<f32>,
    anchors: Vec<Vec<[f32; 2]>>,
    five: Yolo5,
    eight: Yolo8,
    matrix: Option<Slot>,
    output: Slot,
}

impl YoloDecode {
    fn check(&self, ports: &mut Ports<'_, '_>) {
        let form_has_grids = matches!(self.form, Form::V5Grids | Form::V5Maps);
        if form_has_grids != self.input.is_none() {
            ports
                .fault("input", "one 'input' is for the decoded forms, 'grids' are for v5_grids and v5_maps");
        }
        let count = self.grids.len();
        if form_has_grids != (count > 0) {
            ports.fault("grids", "'grids' are for v5_grids and v5_maps, one for each stride");
        }
        if count != self.strides.len() || count != self.anchors.len() {
            let (strides, anchors) = (self.strides.len(), self.anchors.len());
            ports.fault(
                "grids",
                format!(
                    "each grid has a stride and anchors, there are {count} grids, {strides} strides and {anchors} \
                     lists of anchors"
                ),
            );
        }
        if self.anchors.iter().any(Vec::is_empty) {
            ports.fault("anchors", "each grid was expected to have an anchor at least");
        }
        if !matches!(self.point_size, 2 | 3) {
            ports.fault("point_size", "a landmark was expected to have 2 numbers, or 3 with its visibility");
        }
    }
}

impl StepFile for YoloDecode {
    const OP: &'static str = "yolo_decode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        self.check(ports);
        let dims: &[i64] = match self.form {
            Form::V5Grids => &[-1; 4],
            Form::V5Maps => &[-1; 3],
            Form::V5Rows | Form::V8 | Form::V8Rows => &[-1; 2],
        };
        let kind = || TensorKind::new(DataType::Fp32, Shape::from(dims));
        let mut inputs = Vec::new();
        for (key, name) in
            self.input.iter().map(|n| ("input", n)).chain(self.grids.iter().map(|n| ("grids", n)))
        {
            inputs.push(ports.read_tensor(key, name, kind()).0);
        }
        let Self { threshold, points, point_size, .. } = self;
        Box::new(YoloStep {
            form: self.form,
            inputs,
            strides: self.strides,
            anchors: self.anchors,
            five: Yolo5 { threshold, points },
            eight: Yolo8 { threshold, points, point_size },
            matrix: self.matrix.as_ref().map(|name| ports.read_matrix("matrix", name)),
            output: ports.write(
                "output",
                &self.output,
                Kind::Detections(DetectionsKind { points: Some(points) }),
            ),
        })
    }
}

impl YoloStep {
    fn decode(&self, values: &Values) -> Result<Detections> {
        let tensors: Vec<(&[f32], Vec<usize>)> =
            self.inputs.iter().map(|slot| numbers(values, *slot)).collect::<Result<_>>()?;
        let (numbers, dims) = tensors.first().ok_or_else(|| Error::internal("there is no tensor"))?;
        let &[first, .., last] = dims.as_slice() else {
            return Err(Error::invalid_arg("a tensor of two dimensions or more was expected"));
        };
        match self.form {
            Form::V5Rows => self.five.decode_rows(numbers, last),
            Form::V8 => self.eight.decode(numbers, first),
            Form::V8Rows => self.eight.decode_rows(numbers, last),
            Form::V5Grids | Form::V5Maps => {
                let levels =
                    tensors.iter().enumerate().map(|(place, (values, dims))| self.level(place, values, dims));
                self.five.decode_raw(&levels.collect::<Result<Vec<_>>>()?)
            }
        }
    }

    fn level<'a>(&'a self, place: usize, values: &'a [f32], dims: &[usize]) -> Result<Level<'a>> {
        let (stride, anchors) = (self.strides[place], self.anchors[place].as_slice());
        let count = anchors.len();
        let refused = || {
            let shape: Shape = dims.iter().map(|&d| d as i64).collect();
            Error::invalid_arg(format!(
                "grid {} was expected to have {count} anchors, its shape is {shape}",
                place + 1
            ))
        };
        match *dims {
            [found, height, width, row] if found == count => {
                Ok(Level { values, height, width, row, stride, anchors, channels_first: false })
            }
            [channels, height, width] if channels.is_multiple_of(count) => Ok(Level {
                values,
                height,
                width,
                row: channels / count,
                stride,
                anchors,
                channels_first: true,
            }),
            _ => Err(refused()),
        }
    }
}

fn numbers(values: &Values, slot: Slot) -> Result<(&[f32], Vec<usize>)> {
    let tensor = values.tensor(slot)?;
    let dims = tensor.dims().iter().map(|&side| usize::try_from(side).unwrap_or(0));
    Ok((tensor.elements()?, dims.collect()))
}

impl Step for YoloStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut found = self.decode(values)?;
        if let Some(matrix) = self.matrix {
            map_detections(&mut found, &values.matrix(matrix)?.0.map(|number| number as f32));
        }
        values.set(self.output, Value::Detections(found));
        Ok(())
    }
}
