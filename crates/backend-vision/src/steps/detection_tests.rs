//! Tests of the post-processing steps, written as in a file.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{DataType, Shape};

use crate::pipeline::Pipeline;
use crate::value::{Affine, Color, Image, Size, Slot, Tensor, Value, Values};

/// A pipeline whose values a test sets and reads by name.
struct Run {
    pipeline: Pipeline,
    values: Values,
}

impl Run {
    fn new(text: &str) -> Run {
        let pipeline = Pipeline::read("p", text).unwrap_or_else(|faults| panic!("{faults}"));
        let values = Values::new(pipeline.values.len());
        Run { pipeline, values }
    }

    fn slot(&self, name: &str) -> Slot {
        let place = self.pipeline.values.iter().position(|value| value.name == name);
        Slot(place.unwrap_or_else(|| panic!("there is no value '{name}'")))
    }

    fn set(mut self, name: &str, value: Value) -> Run {
        self.values.set(self.slot(name), value);
        self
    }

    fn floats(self, name: &str, dims: &[i64], numbers: &[f32]) -> Run {
        let bytes = Bytes::from(bytemuck::cast_slice(numbers).to_vec());
        self.set(name, Value::Tensor(Tensor::from_wire(DataType::Fp32, Shape::from(dims), bytes)))
    }

    fn try_run(&mut self) -> Result<()> {
        self.pipeline.steps.iter_mut().try_for_each(|bound| bound.step.run(&mut self.values))
    }

    fn run(mut self) -> Run {
        self.try_run().unwrap();
        self
    }

    fn refused(mut self) -> Error {
        self.try_run().unwrap_err()
    }

    fn tensor(&self, name: &str) -> (&[i64], &[f32]) {
        let tensor = self.values.tensor(self.slot(name)).unwrap();
        (tensor.dims(), tensor.elements().unwrap())
    }

    fn integers(&self, name: &str) -> &[i32] {
        self.values.tensor(self.slot(name)).unwrap().elements().unwrap()
    }

    fn bytes(&self, name: &str) -> &Bytes {
        self.values.encoded(self.slot(name)).unwrap()
    }
}

fn faults(text: &str) -> String {
    Pipeline::read("p", text).unwrap_err().to_string()
}

/// Two boxes that overlap, and one far off.
const BOXES: [f32; 12] = [0.0, 0.0, 10.0, 10.0, 0.0, 0.0, 10.0, 9.0, 20.0, 20.0, 30.0, 40.0];

const READ: &str = "[[step]]\nop = 'read_detections'\nscore = 's'\nbbox = 'b'\noutput = 'found'\n";

fn read(more: &str) -> Run {
    Run::new(&format!("{READ}{more}")).floats("s", &[3], &[0.9, 0.8, 0.7]).floats("b", &[3, 4], &BOXES)
}

#[test]
fn centernet_s_maps_become_rows() {
    let text = "
        [[step]]
        op = 'centernet_decode'
        heatmap = 'heat'
        size = 'wh'
        offset = 'shift'
        landmarks = 'points'
        matrix = 'm'
        k = 5
        threshold = 0.1
        stride = 4
        output = 'found'
        [[step]]
        op = 'write_detections'
        input = 'found'
        rows = 2
        score = 'score'
        category = 'category'
        bbox = 'bbox'
        landmark = 'landmark'
        count = 'count'";
    let run = Run::new(text)
        .floats("heat", &[2, 1, 3], &[0.0, 0.0, 0.0, 0.0, 0.5, 0.2])
        .floats("wh", &[2, 1, 3], &[2.0; 6])
        .floats("shift", &[2, 1, 3], &[0.5; 6])
        .floats("points", &[2, 1, 3], &[0.0; 6])
        .set("m", Value::Matrix(Affine([10.0, 0.0, 1.0, 0.0, 10.0, 0.0])))
        .run();
    assert_eq!(run.tensor("score"), (&[2][..], &[0.5, 0.0][..]));
    assert_eq!(run.integers("category"), [1, 0]);
    assert_eq!(run.integers("count"), [1]);
    // Centre (1.5, .5) * 4, size 8, then ten times as large and shifted to the right by one.
    let boxes = [21.0, -20.0, 101.0, 60.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(run.tensor("bbox"), (&[2, 4][..], &boxes[..]));
    assert_eq!(run.tensor("landmark"), (&[2, 2][..], &[41.0, 0.0, 0.0, 0.0][..]));
}

#[test]
fn maps_that_do_not_fit_are_the_request_s_fault() {
    let text = "[[step]]\nop = 'centernet_decode'\nheatmap = 'heat'\nsize = 'wh'\noutput = 'found'";
    let error =
        Run::new(text).floats("heat", &[1, 1, 2], &[0.0; 2]).floats("wh", &[2, 1, 1], &[0.0; 2]).refused();
    assert_eq!(error.code(), hippocamp_backend::Code::InvalidArg);
    assert!(error.message().starts_with("the size map was expected to have 4 values"), "{error}");
}

#[test]
fn suppression_keeps_the_best_and_places_are_mapped() {
    let run = read(
        "[[step]]\nop = 'nms'\ninput = 'found'\noutput = 'kept'\n\
         [[step]]\nop = 'apply_matrix'\ninput = 'kept'\nmatrix = 'm'\noutput = 'mapped'\n\
         [[step]]\nop = 'clip'\ninput = 'mapped'\nsize = 'hw'\noutput = 'clipped'\n\
         [[step]]\nop = 'to_ratio'\ninput = 'clipped'\nsize = 'hw'\noutput = 'ratios'\n\
         [[step]]\nop = 'write_detections'\ninput = 'ratios'\nscore = 'score'\nbbox = 'bbox'\n",
    )
    .set("m", Value::Matrix(Affine([1.0, 0.0, -5.0, 0.0, 1.0, 0.0])))
    .set("hw", Value::Size(Size::new(50, 20)))
    .run();
    assert_eq!(run.tensor("score"), (&[2][..], &[0.9, 0.7][..]));
    assert_eq!(run.tensor("bbox"), (&[2, 4][..], &[0.0, 0.0, 0.1, 0.5, 0.3, 1.0, 0.5, 1.0][..]));
}

#[test]
fn points_in_a_tensor_are_mapped_alike() {
    let text = "[[step]]\nop = 'apply_matrix'\ninput = 'b'\nmatrix = 'm'\noutput = 'mapped'\n";
    let run = |numbers: &[f32]| {
        let matrix = Value::Matrix(Affine([0.0, 1.0, 0.0, 2.0, 0.0, 1.0]));
        Run::new(text).floats("b", &[1, numbers.len() as i64], numbers).set("m", matrix)
    };
    assert_eq!(run(&[1.0, 2.0, 3.0, 4.0]).run().tensor("mapped").1, [2.0, 3.0, 4.0, 7.0]);
    assert!(run(&[1.0, 2.0, 3.0]).refused().message().starts_with("rows of x and y in turn were expected"));
}

#[test]
fn yolo_in_its_forms() {
    let row = [10.0f32, 20.0, 4.0, 6.0, 0.5, 0.1, 0.8];
    let behind = "threshold = 0.3\noutput = 'found'\n[[step]]\nop = 'write_detections'\ninput = 'found'\n\
                  score = 'score'\ncategory = 'category'\nbbox = 'bbox'\n";
    let decoded = |form: &str| {
        Run::new(&format!("[[step]]\nop = 'yolo_decode'\nform = '{form}'\ninput = 'x'\n{behind}"))
    };
    let run = decoded("v5_rows").floats("x", &[1, 7], &row).run();
    assert_eq!(run.tensor("score").1, [0.4]);
    assert_eq!(run.tensor("bbox").1, [8.0, 17.0, 12.0, 23.0]);
    for (form, dims) in [("v8", [7, 1]), ("v8_rows", [1, 7])] {
        let run = decoded(form).floats("x", &dims, &row).run();
        assert_eq!((run.tensor("score").1, run.integers("category")), (&[0.8][..], &[2][..]));
    }
    let grids = "[[step]]\nop = 'yolo_decode'\nform = 'v5_grids'\ngrids = ['g']\nstrides = [8]\nanchors = [[[4, 5], [8, 10]]]\n";
    let mut numbers = vec![-9.0f32; 2 * 6];
    numbers[6..].copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 3.0, 3.0]);
    let run = Run::new(&format!("{grids}{behind}")).floats("g", &[2, 1, 1, 6], &numbers).run();
    assert_eq!(run.tensor("bbox").1, [0.0, -1.0, 8.0, 9.0]);
    let error = Run::new(&format!("{grids}{behind}")).floats("g", &[3, 1, 1, 4], &numbers).refused();
    assert_eq!(error.message(), "grid 1 was expected to have 2 anchors, its shape is [3,1,1,4]");
}

#[test]
fn scores_of_classes() {
    let text = "[[step]]\nop = 'softmax'\ninput = 'x'\noutput = 'parts'\n\
                [[step]]\nop = 'topk'\ninput = 'parts'\nk = 2\nscore = 'score'\ncategory = 'category'\ntext = 'text'\n\
                labels = ['a', 'b']\n";
    let run = Run::new(text).floats("x", &[3], &[0.0, f32::NEG_INFINITY, 0.0]).run();
    assert_eq!(run.tensor("score").1, [0.5, 0.5]);
    assert_eq!(run.integers("category"), [0, 2]);
    assert_eq!(run.bytes("text"), r#"[{"score":0.5,"category":0,"label":"a"},{"score":0.5,"category":2}]"#);
    let error = Run::new(text).floats("x", &[1], &[0.0]).refused();
    assert_eq!(error.message(), "the best 2 of 1 scores were expected to be numbers");
}

#[test]
fn text_in_both_forms() {
    let run = read(
        "[[step]]\nop = 'json'\ninput = 'found'\noutput = 'pixels'\nlabels = ['face']\n\
         [[step]]\nop = 'json'\ninput = 'found'\nform = 'ratio'\nsize = 'hw'\noutput = 'ratio'\n",
    )
    .set("hw", Value::Size(Size::new(100, 50)))
    .run();
    let first = r#"[{"score":0.9,"category":0,"label":"face","box":[0.0,0.0,10.0,10.0]},"#;
    assert!(run.bytes("pixels").starts_with(first.as_bytes()), "{:?}", run.bytes("pixels"));
    let first = r#"[{"xywh_ratio":[0.05,0.1,0.1,0.2],"conf":0.9,"landmarks_ratio":[]},"#;
    assert!(run.bytes("ratio").starts_with(first.as_bytes()), "{:?}", run.bytes("ratio"));
}

#[test]
fn a_picture_is_drawn_on_and_encoded() {
    let mut picture = Image::default();
    picture.begin_u8(Size::new(60, 50), Color::Rgb).unwrap().fill(200);
    let run = read(
        "[[step]]\nop = 'draw'\ninput = 'picture'\ndetections = 'found'\nthreshold = 0.75\noutput = 'drawn'\n\
         [[step]]\nop = 'encode'\ninput = 'drawn'\nformat = 'png'\noutput = 'png'\n\
         [[step]]\nop = 'encode'\ninput = 'drawn'\nquality = 95\noutput = 'jpeg'\n",
    )
    .set("picture", Value::Image(picture))
    .run();
    let png = image::load_from_memory(run.bytes("png")).unwrap().to_rgb8();
    assert_eq!(png.dimensions(), (60, 50));
    assert_ne!(png.get_pixel(10, 9).0, [200; 3], "the right side of the first two boxes");
    assert_eq!(png.get_pixel(30, 30).0, [200; 3], "below the threshold");
    assert_eq!(run.bytes("jpeg")[..3], [0xff, 0xd8, 0xff]);
}

#[test]
fn lists_of_different_lengths_are_refused() {
    let run = Run::new(READ).floats("s", &[2], &[0.9, 0.8]).floats("b", &[3, 4], &BOXES);
    assert_eq!(
        run.refused().message(),
        "as many boxes, categories and landmarks as scores were expected, got 2 scores, 3 boxes, 2 categories and 0 \
         numbers of 0 landmarks each"
    );
}

#[test]
fn detections_stay_inside() {
    // Detections cannot be an input ...
    let text = faults("[[step]]\nop = 'nms'\ninput = 'nowhere'\noutput = 'kept'\n");
    assert_eq!(
        text,
        "p:3: step 1 'nms': 'nowhere' was expected to be detections, which a step before writes"
    );
    let text = faults(&format!("{READ}[[step]]\nop = 'nms'\ninput = 's'\noutput = 'kept'\n"));
    assert!(text.ends_with("'s' was expected to be detections, it is a tensor FP32 [-1]"), "{text}");
    // ... nor an output, even if the config names them.
    assert!(Pipeline::read("p", READ).unwrap().outputs.is_empty());
    assert!(Pipeline::read("p", READ).unwrap().written("found").is_none());
    assert!(faults(&format!("outputs = ['found']\n{READ}")).ends_with("no step writes the output 'found'"));
}

#[test]
fn parameters_that_make_no_sense_are_told_by_line() {
    let cases = [
        (
            "op = 'nms'\ninput = 'found'\noutput = 'o'\niou = 2",
            "p:10: step 2 'nms': it was expected to be from 0 to 1, got 2",
        ),
        (
            "op = 'topk'\ninput = 's'\nk = 0",
            "p:9: step 2 'topk': it was expected to be from 1 to the number of classes, got 0",
        ),
        (
            "op = 'json'\ninput = 'found'\noutput = 'o'\nform = 'ratio'",
            "p:7: step 2 'json': the form 'ratio' needs the 'size' of the picture, and no other form does",
        ),
        (
            "op = 'encode'\ninput = 'i'\noutput = 'o'\nquality = 101",
            "p:10: step 2 'encode': it was expected to be from 1 to 100, got 101",
        ),
        (
            "op = 'centernet_decode'\nheatmap = 'h'\nsize = 'z'\noutput = 'o'\nk = 0",
            "p:11: step 2 'centernet_decode': it was expected to be from 1 to 1048576, got 0",
        ),
        (
            "op = 'yolo_decode'\nform = 'v5_maps'\ngrids = ['g']\noutput = 'o'",
            "p:9: step 2 'yolo_decode': each grid has a stride and anchors, there are 1 grids, 0 strides and 0 lists of \
             anchors",
        ),
        (
            "op = 'yolo_decode'\nform = 'v8'\noutput = 'o'",
            "p:7: step 2 'yolo_decode': one 'input' is for the decoded forms, 'grids' are for v5_grids and v5_maps",
        ),
        (
            "op = 'apply_matrix'\ninput = 'odd'\nmatrix = 'm'\noutput = 'o'\n[[step]]\nop = 'x'",
            "p:12: step 3: there is no op 'x'",
        ),
    ];
    for (step, want) in cases {
        let got = faults(&format!("{READ}[[step]]\n{step}\n"));
        assert!(got.starts_with(want), "{got}\nis not\n{want}");
    }
}

#[test]
fn labels_may_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("names.txt"), "cat\r\ndog\n").unwrap();
    let nowhere = folder.path().join("1");
    let text =
        |file: &str| format!("[[step]]\nop = 'topk'\ninput = 'x'\nk = 1\ntext = 'text'\nlabels = '{file}'\n");
    let read =
        |file| Pipeline::read_beside(&[&nowhere, folder.path()], "p", &text(file)).map_err(|e| e.to_string());
    let pipeline = read("names.txt").unwrap();
    let values = Values::new(pipeline.values.len());
    let run = Run { pipeline, values }.floats("x", &[2], &[0.0, 1.0]).run();
    assert_eq!(run.bytes("text"), r#"[{"score":1.0,"category":1,"label":"dog"}]"#);
    assert!(read("none.txt").unwrap_err().starts_with("p:6: step 1 'topk': 'none.txt' cannot be read: "));
    let outside = "p:6: step 1 'topk': '../x' was expected to be the name of a file beside the pipeline";
    assert_eq!(read("../x").unwrap_err(), outside);
}
