//! `centernet_decode`: decodes the maps of a CenterNet or CenterFace to detections.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{DetectionsKind, Kind, Slot, TensorKind, Value, Values};
use hippocamp_detection::{Axes, CenterNet, Maps, Origin, map_detections};

/// The largest `k`.
const MAX_K: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CenterNetDecode {
    heatmap: String,
    size: String,
    offset: Option<String>,
    landmarks: Option<String>,
    /// The name of a matrix that is applied to boxes and landmarks.
    matrix: Option<String>,
    output: String,
    #[serde(default = "hundred")]
    k: usize,
    threshold: Option<f32>,
    #[serde(default)]
    sigmoid: bool,
    #[serde(default)]
    classes: Classes,
    #[serde(default = "one")]
    stride: f32,
    center: Option<f32>,
    #[serde(default)]
    offset_axes: Axes,
    #[serde(default)]
    size_axes: Axes,
    #[serde(default)]
    size_exp: bool,
    size_scale: Option<f32>,
    #[serde(default)]
    landmark_axes: Axes,
    #[serde(default)]
    landmark_origin: Origin,
}

/// Which classes a cell may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Classes {
    #[default]
    All,
    Best,
}

fn hundred() -> usize {
    100
}

fn one() -> f32 {
    1.0
}

#[derive(Clone, Debug)]
struct CenterNetStep {
    heatmap: Slot,
    size: Slot,
    offset: Option<Slot>,
    landmarks: Option<Slot>,
    matrix: Option<Slot>,
    output: Slot,
    decoder: CenterNet,
}

impl StepFile for CenterNetDecode {
    const OP: &'static str = "centernet_decode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let map = |channels: i64| TensorKind::new(DataType::Fp32, [channels, -1, -1]);
        let (heatmap, _) = ports.read_tensor("heatmap", &self.heatmap, map(-1));
        let (size, _) = ports.read_tensor("size", &self.size, map(2));
        let offset = self.offset.as_ref().map(|name| ports.read_tensor("offset", name, map(2)).0);
        let landmarks = self.landmarks.as_ref().map(|name| ports.read_tensor("landmarks", name, map(-1)));
        let points = match landmarks.as_ref().map(|(_, dims)| dims.first().copied()) {
            None => Some(0),
            Some(channels) => channels.and_then(|channels| usize::try_from(channels).ok()).map(|c| c / 2),
        };
        if !(1..=MAX_K).contains(&self.k) {
            ports.fault("k", format!("it was expected to be from 1 to {MAX_K}, got {}", self.k));
        }
        Box::new(CenterNetStep {
            heatmap,
            size,
            offset,
            landmarks: landmarks.map(|(slot, _)| slot),
            matrix: self.matrix.as_ref().map(|name| ports.read_matrix("matrix", name)),
            output: ports.write("output", &self.output, Kind::Detections(DetectionsKind { points })),
            decoder: CenterNet {
                k: self.k,
                threshold: self.threshold.unwrap_or(f32::NEG_INFINITY),
                sigmoid: self.sigmoid,
                one_class_per_cell: self.classes == Classes::Best,
                stride: self.stride,
                center: self.center,
                offset_axes: self.offset_axes,
                size_axes: self.size_axes,
                size_exp: self.size_exp,
                size_scale: self.size_scale,
                landmark_axes: self.landmark_axes,
                landmark_origin: self.landmark_origin,
            },
        })
    }
}

impl Step for CenterNetStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let numbers =
            |slot: Option<Slot>| slot.map(|slot| values.tensor(slot)?.elements::<f32>()).transpose();
        let heatmap = values.tensor(self.heatmap)?;
        let sides: Vec<usize> = heatmap.dims().iter().filter_map(|&d| usize::try_from(d).ok()).collect();
        let Ok(sides) = <[usize; 3]>::try_from(sides) else {
            let dims = heatmap.dims();
            return Err(Error::invalid_arg(format!(
                "a heat map of three dimensions was expected, got {dims}"
            )));
        };
        let size = values.tensor(self.size)?.elements()?;
        let maps =
            Maps::new(sides, heatmap.elements()?, size, numbers(self.offset)?, numbers(self.landmarks)?)?;
        let mut found = self.decoder.decode(&maps);
        if let Some(matrix) = self.matrix {
            map_detections(&mut found, &values.matrix(matrix)?.0.map(|number| number as f32));
        }
        values.set(self.output, Value::Detections(found));
        Ok(())
    }
}
