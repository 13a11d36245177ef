//! `apply_matrix`, `clip` and `to_ratio`: transform coordinates of boxes and landmarks.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, TensorKind, Value, Values};
use hippocamp_detection::{Matrix, clip, map_detections, map_points, to_ratio};

/// Maps detections, or a tensor whose rows are alternating x and y (points, or the corners of boxes).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyMatrix {
    input: String,
    matrix: String,
    output: String,
}

#[derive(Clone, Debug)]
struct ApplyMatrixStep {
    input: Slot,
    is_tensor: bool,
    matrix: Slot,
    output: Slot,
}

impl StepFile for ApplyMatrix {
    const OP: &'static str = "apply_matrix";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let is_tensor = !matches!(ports.kind_of(&self.input), Some(Kind::Detections(_)));
        let (input, kind) = if is_tensor {
            let wanted = TensorKind::new(DataType::Fp32, [-1, -1]);
            let (slot, dims) = ports.read_tensor("input", &self.input, wanted);
            if dims.get(1).is_some_and(|&numbers| numbers % 2 != 0 && numbers != -1) {
                ports.fault("input", format!("rows of x and y in turn were expected, its shape is {dims}"));
            }
            (slot, Kind::Tensor(TensorKind { data_type: DataType::Fp32, dims }))
        } else {
            let (slot, kind) = ports.read_detections("input", &self.input);
            (slot, Kind::Detections(kind))
        };
        Box::new(ApplyMatrixStep {
            input,
            is_tensor,
            matrix: ports.read_matrix("matrix", &self.matrix),
            output: ports.write("output", &self.output, kind),
        })
    }
}

impl Step for ApplyMatrixStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let matrix: Matrix = values.matrix(self.matrix)?.0.map(|number| number as f32);
        if !self.is_tensor {
            let mut found = values.detections(self.input)?.clone();
            map_detections(&mut found, &matrix);
            values.set(self.output, Value::Detections(found));
            return Ok(());
        }
        let mut output = values.take_tensor(self.output);
        let input = values.tensor(self.input)?;
        let dims = input.dims();
        if dims.get(1).is_none_or(|numbers| numbers % 2 != 0) {
            return Err(Error::invalid_arg(format!(
                "rows of x and y in turn were expected, got shape {dims}"
            )));
        }
        let points = output.begin::<f32>(dims)?;
        points.copy_from_slice(input.elements()?);
        map_points(points, &matrix);
        values.set(self.output, Value::Tensor(output));
        Ok(())
    }
}

macro_rules! by_size {
    ($(#[$doc:meta])* $file:ident, $step:ident, $op:literal, $apply:path) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $file {
            input: String,
            size: String,
            output: String,
        }

        #[derive(Clone, Debug)]
        struct $step {
            input: Slot,
            size: Slot,
            output: Slot,
        }

        impl StepFile for $file {
            const OP: &'static str = $op;

            fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
                let (input, kind) = ports.read_detections("input", &self.input);
                Box::new($step {
                    input,
                    size: ports.read_size("size", &self.size),
                    output: ports.write("output", &self.output, Kind::Detections(kind)),
                })
            }
        }

        impl Step for $step {
            fn run(&mut self, values: &mut Values) -> Result<()> {
                let mut found = values.detections(self.input)?.clone();
                let size = values.size(self.size)?;
                $apply(&mut found, size.width as f32, size.height as f32);
                values.set(self.output, Value::Detections(found));
                Ok(())
            }
        }
    };
}

by_size!(
    /// Clamps the corners of boxes to an image of that size.
    Clip,
    ClipStep,
    "clip",
    clip
);
by_size!(
    /// Converts pixels to coordinates relative to the size (0 to 1).
    ToRatio,
    ToRatioStep,
    "to_ratio",
    to_ratio
);
