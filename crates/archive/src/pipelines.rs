//! The pipelines that stand for the handlers that are known: what comes before and behind the network.

use crate::handler::Handler;

/// The pipelines around a network, and the names by which they are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pipelines {
    pub(crate) before: Option<Pipeline>,
    pub(crate) behind: Option<Pipeline>,
    /// The names of the classes, for the file `labels.txt`.
    pub(crate) labels: Option<String>,
}

/// One pipeline: its text, and its inputs and outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) text: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
}

/// What is known of a network when its pipelines are chosen.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The size of the picture that it takes, where its file fixes that.
    pub(crate) height: Option<i64>,
    pub(crate) width: Option<i64>,
    /// How many classes it tells apart, where its file fixes that.
    pub(crate) classes: Option<i64>,
    /// The names of the classes, one in each line.
    pub(crate) labels: Option<String>,
}

fn pipeline(text: String, inputs: &[&str], outputs: &[&str]) -> Pipeline {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Pipeline { text, inputs: list(inputs), outputs: list(outputs) }
}

/// The pipelines of a handler that is known by its name.
pub(crate) fn shipped(handler: Handler, known: Known) -> Pipelines {
    match handler {
        Handler::Base | Handler::Pipelines => Pipelines::default(),
        Handler::ImageClassifier => classifier(known),
        Handler::ObjectDetector => detector(known),
        Handler::Yolov5Face => yolov5_face(&known),
        Handler::CenterFace => centerface(&known),
    }
}

fn classifier(known: Known) -> Pipelines {
    let (height, width) = (known.height.unwrap_or(224), known.width.unwrap_or(224));
    let classes = known.classes.unwrap_or(i64::MAX);
    let best = classes.clamp(1, 5);
    let before = format!(
        r#"# As TorchServe's image_classifier prepares a picture: the shorter side to 256 pixels, the middle, the numbers of ImageNet.

[[step]]
op = "decode"
input = "data"
output = "picture"

[[step]]
op = "resize"
input = "picture"
output = "small"
shortest = {shortest}
rounding = "floor"
antialias = true

[[step]]
op = "crop"
input = "small"
output = "middle"
width = {width}
height = {height}
rounding = "nearest"

[[step]]
op = "tensor"
input = "middle"
output = "image"
scale = "1/255"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"#,
        shortest = height.max(width).max(256)
    );
    let labels = if known.labels.is_some() { "labels = \"labels.txt\"\n" } else { "" };
    let behind = format!(
        r#"# The best classes, as TorchServe's image_classifier answers them.

[[step]]
op = "softmax"
input = "scores"
output = "probabilities"

[[step]]
op = "topk"
input = "probabilities"
k = {best}
text = "result"
form = "named"
{labels}"#
    );
    Pipelines {
        before: Some(pipeline(before, &["data"], &["image"])),
        behind: Some(pipeline(behind, &["scores"], &["result"])),
        labels: known.labels,
    }
}

fn detector(known: Known) -> Pipelines {
    let fitted = match (known.height, known.width) {
        (Some(height), Some(width)) => format!(
            "\n[[step]]\nop = \"resize\"\ninput = \"picture\"\noutput = \"fitted\"\nwidth = {width}\nheight = {height}\n\
             matrix = {{ output = \"way_back\" }}\n"
        ),
        _ => String::new(),
    };
    let source = if fitted.is_empty() { "picture" } else { "fitted" };
    let before = format!(
        r#"# As TorchServe's object_detector prepares a picture: its numbers from 0 to 1.

[[step]]
op = "decode"
input = "data"
output = "picture"
{fitted}
[[step]]
op = "tensor"
input = "{source}"
output = "image"
scale = "1/255"
"#
    );
    let labels = if known.labels.is_some() { "labels = \"labels.txt\"\n" } else { "" };
    let (mapped, found) = if fitted.is_empty() {
        ("", "found")
    } else {
        (
            "\n[[step]]\nop = \"apply_matrix\"\ninput = \"found\"\nmatrix = \"way_back\"\noutput = \"placed\"\n",
            "placed",
        )
    };
    let behind = format!(
        r#"# What was found with a score above 0.5, as TorchServe's object_detector answers it.

[[step]]
op = "read_detections"
bbox = "boxes"
category = "labels"
category_type = "INT64"
score = "scores"
threshold = 0.5
output = "found"
{mapped}
[[step]]
op = "json"
input = "{found}"
form = "named"
output = "result"
{labels}"#
    );
    let (outputs, inputs): (&[&str], &[&str]) = if fitted.is_empty() {
        (&["image"], &["boxes", "labels", "scores"])
    } else {
        (&["image", "way_back"], &["boxes", "labels", "scores", "way_back"])
    };
    Pipelines {
        before: Some(pipeline(before, &["data"], outputs)),
        behind: Some(pipeline(behind, inputs, &["result"])),
        labels: known.labels,
    }
}

/// What the face handlers have in common: bytes that are no picture stand for a picture without faces.
const DECODE: &str = r#"[[step]]
op = "decode"
input = "data"
output = "picture"
size = "image_size"
on_error = "black"
"#;

const BEFORE: [&str; 3] = ["image", "way_back", "image_size"];

fn yolov5_face(known: &Known) -> Pipelines {
    let (height, width) = (known.height.unwrap_or(320), known.width.unwrap_or(320));
    let before = format!(
        r#"# As the handler of yolov5-face for TorchServe: a picture is made smaller if it has to be, and padded by grey.

{DECODE}
[[step]]
op = "letterbox"
input = "picture"
output = "fitted"
width = {width}
height = {height}
pad = 128
scale_up = false
matrix = {{ output = "way_back" }}

[[step]]
op = "tensor"
input = "fitted"
output = "image"
scale = "1/255"
"#
    );
    let behind = r#"# The faces as JSON, in parts of the picture.

[[step]]
op = "yolo_decode"
form = "v5_grids"
grids = ["stride_8", "stride_16", "stride_32"]
strides = [8, 16, 32]
anchors = [
    [[4, 5], [8, 10], [13, 16]],
    [[23, 29], [43, 55], [73, 105]],
    [[146, 217], [231, 300], [335, 433]],
]
points = 5
threshold = 0.3
matrix = "way_back"
output = "rows"

[[step]]
op = "nms"
input = "rows"
iou = 0.5
output = "found"

[[step]]
op = "json"
input = "found"
form = "ratio"
size = "image_size"
output = "result"
"#;
    let inputs = ["stride_8", "stride_16", "stride_32", "way_back", "image_size"];
    Pipelines {
        before: Some(pipeline(before, &["data"], &BEFORE)),
        behind: Some(pipeline(behind.to_owned(), &inputs, &["result"])),
        labels: None,
    }
}

fn centerface(known: &Known) -> Pipelines {
    let (height, width) = (known.height.unwrap_or(640), known.width.unwrap_or(640));
    // The map about the middle has one factor, by the width.
    let op = if height == width { "warp" } else { "letterbox" };
    let before = format!(
        r#"# The longer side fills the network's picture, the middle stays the middle, black around it.

{DECODE}
[[step]]
op = "{op}"
input = "picture"
output = "fitted"
width = {width}
height = {height}
matrix = {{ output = "way_back" }}

[[step]]
op = "tensor"
input = "fitted"
output = "image"
"#
    );
    let behind = r#"# CenterFace has CenterNet's heads with conventions of its own: y before x, logarithms of sizes, the middle of a cell.

[[step]]
op = "centernet_decode"
heatmap = "heatmap"
size = "box_scale"
offset = "center_shift"
landmarks = "landmark_raw"
matrix = "way_back"
output = "peaks"
threshold = 0.5
stride = 4
center = 0.5
offset_axes = "yx"
size_axes = "yx"
size_exp = true
landmark_axes = "yx"
landmark_origin = "box"

[[step]]
op = "nms"
input = "peaks"
iou = 0.3
output = "found"

[[step]]
op = "json"
input = "found"
form = "ratio"
size = "image_size"
output = "result"
"#;
    let inputs = ["heatmap", "box_scale", "center_shift", "landmark_raw", "way_back", "image_size"];
    Pipelines {
        before: Some(pipeline(before, &["data"], &BEFORE)),
        behind: Some(pipeline(behind.to_owned(), &inputs, &["result"])),
        labels: None,
    }
}
