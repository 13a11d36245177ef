//! The list of all steps.

mod centernet_decode;
mod classify;
mod color;
mod crop;
mod ctc_decode;
mod decode;
mod detections;
mod draw;
mod encode;
mod json;
mod labels;
mod letterbox;
mod line;
mod moved;
mod nms;
mod per_channel;
mod perspective;
mod places;
mod resize;
mod tensor;
mod text_boxes;
mod turn;
mod warp;
mod yolo_decode;

#[cfg(test)]
mod detection_tests;

#[cfg(feature = "fuzzing")]
pub(crate) use decode::decode_alone;
pub(crate) use decode::decode_rgb;
use toml::Spanned;

use crate::pipeline::{Ports, Table, parameters};
use crate::step::{Step, StepFile};

/// A kind of step.
pub(crate) struct StepKind {
    pub(crate) op: &'static str,
    pub(crate) bind: Bind,
}

type Bind = fn(Spanned<Table<'_>>, &mut Ports<'_, '_>) -> Option<Box<dyn Step>>;

/// All kinds of steps. New ones are added here.
pub(crate) const STEPS: &[StepKind] = &[
    kind::<decode::Decode>(),
    kind::<resize::Resize>(),
    kind::<letterbox::Letterbox>(),
    kind::<warp::Warp>(),
    kind::<crop::Crop>(),
    kind::<color::Recolor>(),
    kind::<tensor::ToTensor>(),
    kind::<centernet_decode::CenterNetDecode>(),
    kind::<yolo_decode::YoloDecode>(),
    kind::<nms::NmsFile>(),
    kind::<places::ApplyMatrix>(),
    kind::<places::Clip>(),
    kind::<places::ToRatio>(),
    kind::<detections::WriteDetections>(),
    kind::<detections::ReadDetections>(),
    kind::<classify::Softmax>(),
    kind::<classify::TopK>(),
    kind::<draw::Draw>(),
    kind::<encode::Encode>(),
    kind::<json::Json>(),
    kind::<text_boxes::TextBoxesFile>(),
    kind::<text_boxes::LineWidthsFile>(),
    kind::<perspective::PerspectiveFile>(),
    kind::<turn::Turn>(),
    kind::<line::Line>(),
    kind::<ctc_decode::CtcDecode>(),
];

const fn kind<S: StepFile>() -> StepKind {
    StepKind { op: S::OP, bind: |table, ports| parameters::<S>(table, ports).map(|step| step.bind(ports)) }
}
