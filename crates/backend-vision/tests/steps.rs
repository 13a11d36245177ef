//! The result of each step for a small image, and the faults of its invalid parameters.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(dead_code, reason = "each test uses a part of the kit")]

mod kit;

use bytes::Bytes;
use half::f16;
use hippocamp_backend::InputTensor;
use hippocamp_tensor::{DataType, Shape};
use kit::{bmp, encoded, floats, load, refused, strings};

const DECODE: &str = "[[step]]\nop = \"decode\"\ninput = \"raw\"\noutput = \"picture\"\n";

/// A pipeline of `decode` and the given steps.
fn pipeline(steps: &[&str]) -> String {
    steps.iter().fold(DECODE.to_owned(), |text, step| format!("{text}\n[[step]]\n{step}\n"))
}

/// Two pixels: red with a little blue, and white.
fn two_pixels() -> Vec<u8> {
    let pixels = [[200, 0, 10], [255, 255, 255]];
    encoded(image::RgbImage::from_fn(2, 1, |x, _| image::Rgb(pixels[x as usize])), image::ImageFormat::Bmp)
}

fn tensor(parameters: &str) -> (DataType, Shape, Vec<u8>) {
    let step = format!("op = \"tensor\"\ninput = \"picture\"\noutput = \"t\"\n{parameters}");
    let model = load("", &pipeline(&[&step])).unwrap();
    let outputs = model.outputs(vec![strings(&[1, 1], &[two_pixels()])]);
    (model.interface.outputs[0].data_type, outputs[0].0.clone(), outputs[0].1.to_vec())
}

#[test]
fn numbers_are_scaled_normalised_and_laid_out() {
    let (data_type, shape, data) = tensor("");
    assert_eq!((data_type, shape), (DataType::Fp32, Shape::from([1, 3, 1, 2])));
    assert_eq!(floats(&data), [200.0, 255.0, 0.0, 255.0, 10.0, 255.0]);
    let (_, shape, data) =
        tensor("layout = \"NHWC\"\ncolor = \"bgr\"\nscale = \"1/255\"\nmean = [0, 0.5, 1]\nstd = 2.0");
    assert_eq!(shape, Shape::from([1, 1, 2, 3]));
    let want = [10.0, 0.0, 200.0, 255.0, 255.0, 255.0].map(|sample| sample / 255.0);
    let means = [0.0, 0.5, 1.0].into_iter().cycle();
    for ((got, sample), mean) in floats(&data).into_iter().zip(want).zip(means) {
        assert!((f64::from(got) - (sample - mean) / 2.0).abs() < 1e-6, "{got} {sample} {mean}");
    }
}

#[test]
fn every_type_of_number() {
    let (data_type, _, data) = tensor("data_type = \"FP16\"\nscale = 0.5");
    assert_eq!(data_type, DataType::Fp16);
    let halves: Vec<f16> = data.as_chunks::<2>().0.iter().map(|n| f16::from_le_bytes(*n)).collect();
    assert_eq!(halves, [100.0, 127.5, 0.0, 127.5, 5.0, 127.5].map(f16::from_f32));
    let (data_type, _, data) = tensor("data_type = \"INT8\"\nmean = [128]");
    assert_eq!((data_type, data), (DataType::Int8, vec![72, 127, 128, 127, 138, 127]));
    let (data_type, _, data) = tensor("data_type = \"UINT8\"\nscale = 2");
    assert_eq!((data_type, data), (DataType::Uint8, vec![255, 255, 0, 255, 20, 255]));
}

/// The size to which `resize` resizes an image of 9x5.
fn resized(parameters: &str) -> [i64; 2] {
    let step = format!("op = \"resize\"\ninput = \"picture\"\noutput = \"small\"\n{parameters}");
    let model = load("", &pipeline(&[&step])).unwrap();
    let outputs = model.outputs(vec![strings(&[1, 1], &[bmp(0, 9, 5)])]);
    [outputs[0].0[2], outputs[0].0[1]]
}

#[test]
fn sides_follow_each_other() {
    assert_eq!(resized("width = 3\nheight = 20"), [3, 20]);
    assert_eq!(resized("shortest = 10"), [18, 10]);
    assert_eq!(resized("longest = 3"), [3, 2]);
    assert_eq!(resized("longest = 3\nmultiple_of = 4"), [4, 4]);
    assert_eq!(resized("multiple_of = 32"), [32, 32]);
    // 9 * 3 / 5 = 5.4, 9 * 6 / 5 = 10.8
    assert_eq!([resized("shortest = 3"), resized("shortest = 6")], [[5, 3], [11, 6]]);
    let floor = ["shortest = 3\nrounding = \"floor\"", "shortest = 6\nrounding = \"floor\""];
    assert_eq!(floor.map(resized), [[5, 3], [10, 6]]);
}

#[test]
fn a_narrow_picture_does_not_become_a_huge_one() {
    let error = |step: &str| {
        let model = load(
            "",
            &pipeline(&[&format!("op = \"resize\"\ninput = \"picture\"\noutput = \"large\"\n{step}")]),
        );
        model.unwrap().error(vec![strings(&[1, 1], &[bmp(0, 30, 1)])])
    };
    let refusal = error("shortest = 2000");
    assert!(refusal.contains("30x1 would become 60000x2000, it may have 67108864 pixels"), "{refusal}");
    assert!(error("shortest = 2200").contains("sides may have 65535 pixels"));
}

/// The red of the upper left corner is seven times its column.
#[test]
fn the_middle_between_two_pixels_is_rounded_as_asked() {
    let corner = |rounding: &str, width: i64| {
        let step = format!(
            "op = \"crop\"\ninput = \"picture\"\noutput = \"part\"\nwidth = {width}\nheight = 5\n{rounding}"
        );
        let model = load("", &pipeline(&[&step])).unwrap();
        model.outputs(vec![strings(&[1, 1], &[bmp(0, 9, 5)])])[0].1[0] / 7
    };
    assert_eq!([corner("", 6), corner("", 8)], [1, 0]);
    // 1.5 and 0.5 are rounded to even.
    assert_eq!([corner("rounding = \"nearest\"", 6), corner("rounding = \"nearest\"", 8)], [2, 0]);
}

#[test]
fn filters_that_cannot_be_are_refused() {
    let refusal = |parameters: &str| {
        let step = format!(
            "op = \"resize\"\ninput = \"picture\"\noutput = \"a\"\nwidth = 3\nheight = 3\n{parameters}"
        );
        refused("", &pipeline(&[&step]))
    };
    for (parameters, fault) in [
        ("method = \"lanczos\"\nantialias = false", "bicubic and Lanczos are always antialiased"),
        ("method = \"area\"\nantialias = true", "expected with the method bilinear, bicubic or lanczos"),
        (
            "antialias = true\ncoordinates = \"tf_legacy\"",
            "'tf_legacy' was expected with the method bilinear",
        ),
    ] {
        assert!(refusal(parameters).contains(fault), "{}", refusal(parameters));
    }
}

#[test]
fn steps_one_after_the_other_lead_back_to_the_raw_picture() {
    let text = pipeline(&[
        "op = \"crop\"\ninput = \"picture\"\noutput = \"part\"\nwidth = 4\nheight = 4\nleft = 3\ntop = 1",
        "op = \"resize\"\ninput = \"part\"\noutput = \"half\"\nwidth = 2\nheight = 2\nmethod = \"area\"",
        "op = \"letterbox\"\ninput = \"half\"\noutput = \"boxed\"\nwidth = 4\nheight = 2\n\
         matrix = { output = \"back\" }",
        "op = \"letterbox\"\ninput = \"half\"\noutput = \"again\"\nwidth = 4\nheight = 2\n\
         matrix = { output = \"there\", direction = \"from_raw\", stride = 2 }",
    ]);
    let model = load("output { name: \"back\" } output { name: \"there\" }", &text).unwrap();
    let outputs = model.outputs(vec![strings(&[1, 1], &[bmp(0, 9, 7)])]);
    assert_eq!(floats(&outputs[0].1), [2.0, 0.0, 1.0, 0.0, 2.0, 1.0]);
    assert_eq!(floats(&outputs[1].1), [0.25, 0.0, -0.25, 0.0, 0.25, -0.25]);
}

#[test]
fn grey_and_back() {
    let text = pipeline(&[
        "op = \"color\"\ninput = \"picture\"\noutput = \"grey\"\ncolor = \"grey\"",
        "op = \"warp\"\ninput = \"grey\"\noutput = \"moved\"\nwidth = 2\nheight = 1\npad = 7",
        "op = \"color\"\ninput = \"moved\"\noutput = \"three\"\ncolor = \"bgr\"",
    ]);
    let outputs = load("", &text.replace("pad = 7", "pad = [7]"))
        .unwrap()
        .outputs(vec![strings(&[1, 1], &[two_pixels()])]);
    // 0.299 * 200 + 0.114 * 10
    assert_eq!(outputs[0].1[..], [61, 61, 61, 255, 255, 255]);
}

#[test]
fn parameters_that_cannot_be_are_refused_together() {
    let text = pipeline(&[
        "op = \"resize\"\ninput = \"picture\"\noutput = \"a\"\nwidth = 3",
        "op = \"letterbox\"\ninput = \"a\"\noutput = \"b\"\nwidth = 0\nheight = 4\npad = [1, 2]\n\
         matrix = { output = \"m\", stride = 0 }",
        "op = \"warp\"\ninput = \"b\"\noutput = \"c\"\nwidth = 4\nheight = 4\ntransform = \"t\"\nscale = 3",
        "op = \"crop\"\ninput = \"c\"\noutput = \"d\"\nwidth = 4\nheight = 4\nleft = 3",
        "op = \"tensor\"\ninput = \"d\"\noutput = \"e\"\nmean = [1, 2]\nstd = [0]",
        "op = \"tensor\"\ninput = \"d\"\noutput = \"f\"\nscale = \"1/0\"",
    ]);
    let text = refused("", &text);
    for fault in [
        "step 2 'resize': the size was expected as 'width' and 'height', 'shortest', 'shortest_at_least', 'longest', or 'multiple_of' alone",
        "step 3 'letterbox': 'width' was expected to be from 1 to 65535, got 0",
        "step 3 'letterbox': 'pad' was expected to have 1 or 3 numbers, got 2",
        "step 3 'letterbox': 'stride' was expected to be above 0, got 0",
        "step 4 'warp': 'transform' was expected alone, without 'center', 'scale' and 'rotation'",
        "step 5 'crop': the corner was expected as 'left' and 'top', or neither for the middle",
        "step 6 'tensor': 'mean' was expected to have 1 or 3 numbers, got 2",
        "step 6 'tensor': 'mean' was expected to be finite, and 'std' not to be 0",
        "step 7 'tensor': a scale was expected that is neither 0 nor infinite",
    ] {
        assert!(text.contains(fault), "{fault}\n{text}");
    }
    assert_eq!(text.lines().count(), 9, "{text}");
}

/// The border is filled separately from the content, so that both have to meet exactly on each side.
#[test]
fn a_border_is_the_same_in_every_layout() {
    for (width, height) in [(9, 5), (5, 9), (8, 8)] {
        let text = |layout: &str| {
            pipeline(&[
                "op = \"letterbox\"\ninput = \"picture\"\noutput = \"boxed\"\nwidth = 7\nheight = 7\n\
                 pad = [10.4, 20, 30]",
                &format!(
                    "op = \"tensor\"\ninput = \"boxed\"\noutput = \"t\"\nlayout = \"{layout}\"\ncolor = \"bgr\"\nmean = [1, 2, 3]"
                ),
            ])
        };
        let numbers = |layout: &str| {
            let model = load("", &text(layout)).unwrap();
            floats(&model.outputs(vec![strings(&[1, 1], &[bmp(5, width, height)])])[0].1)
        };
        let (planes, pixels) = (numbers("NCHW"), numbers("NHWC"));
        let in_planes: Vec<f32> = (0..3 * 49).map(|place| planes[place % 3 * 49 + place / 3]).collect();
        assert_eq!(pixels, in_planes, "{width}x{height}");
        if width != height {
            assert_eq!(pixels[..3], [29.0, 18.0, 7.0]);
        }
    }
}

#[test]
fn half_the_size_is_the_mean_of_four() {
    for method in ["bilinear", "area"] {
        let step = format!(
            "op = \"resize\"\ninput = \"picture\"\noutput = \"small\"\nwidth = 1\nheight = 1\nmethod = \"{method}\""
        );
        let outputs = load("", &pipeline(&[&step])).unwrap().outputs(vec![strings(&[1, 1], &[bmp(9, 2, 2)])]);
        // 0 and 7 to the right, 0 and 11 down.
        assert_eq!(outputs[0].1[..], [4, 6, 9]);
    }
}

/// A tensor of FP32.
fn numbers(shape: &[i64], numbers: &[f32]) -> InputTensor {
    let bytes: Bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    InputTensor { shape: shape.into(), data: bytes.into() }
}

#[test]
fn a_box_is_cut_out_unless_it_is_larger_than_the_picture() {
    let step = "[[step]]\nop = \"perspective\"\ninput = \"seen\"\nbox = \"corners\"\noutput = \"part\"\n";
    let model = load("max_batch_size: 1", step).unwrap();
    let samples: Vec<u8> = (0..18).collect();
    let picture = InputTensor { shape: Shape::from([1, 2, 3, 3]), data: Bytes::from(samples).into() };
    let corners = |side: f32| numbers(&[1, 4, 2], &[0.0, 0.0, side, 0.0, side, side, 0.0, side]);
    let outputs = model.outputs(vec![picture.clone(), corners(2.0)]);
    assert_eq!(outputs[0].0, Shape::from([1, 2, 2, 3]));
    assert_eq!(outputs[0].1, [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14][..]);
    let refusal = model.error(vec![picture, corners(65_000.0)]);
    assert!(refusal.contains("from 1 to 4 pixels in a picture of 3x2, got 65000x65000"), "{refusal}");
    // No longer than the picture, but as wide as it is long.
    let narrow = InputTensor { shape: Shape::from([1, 1, 2000, 3]), data: Bytes::from(vec![0; 6000]).into() };
    let refusal = model.error(vec![narrow, corners(2000.0)]);
    assert!(refusal.contains("at most 8000 pixels in a picture of 2000x1, got 2000x2000"), "{refusal}");
}

#[test]
fn a_line_is_turned_resized_and_padded() {
    let steps = "[[step]]\nop = \"turn\"\ninput = \"seen\"\nscores = \"scores\"\noutput = \"upright\"\nthreshold = 0.9\n\
                 [[step]]\nop = \"line\"\ninput = \"upright\"\noutput = \"pixels\"\nheight = 1\nwidth = \"width\"\n";
    let model = load("max_batch_size: 1", steps).unwrap();
    let pixel = |red: u8| [red, 0, 255];
    let samples: Vec<u8> = [pixel(0), pixel(255)].concat();
    let picture = InputTensor { shape: Shape::from([1, 1, 2, 3]), data: Bytes::from(samples).into() };
    let width = InputTensor { shape: Shape::from([1, 1]), data: Bytes::from_static(&[3, 0, 0, 0]).into() };
    let red = |scores: [f32; 2]| {
        let outputs = model.outputs(vec![picture.clone(), numbers(&[1, 2], &scores), width.clone()]);
        assert_eq!(outputs[0].0, Shape::from([1, 3, 1, 3]));
        let all = floats(&outputs[0].1);
        assert_eq!(all[3..], [-1.0, -1.0, 0.0, 1.0, 1.0, 0.0]);
        all[..3].to_vec()
    };
    assert_eq!(red([0.2, 0.8]), [-1.0, 1.0, 0.0]);
    assert_eq!(red([0.05, 0.95]), [1.0, -1.0, 0.0]);
}

#[test]
fn letters_are_read() {
    let step = "[[step]]\nop = \"ctc_decode\"\ninput = \"rows\"\noutput = \"text\"\nscore = \"score\"\nletters = [\"a\", \"\u{3000}\"]\n";
    let model = load("max_batch_size: 1", step).unwrap();
    let rows = numbers(&[1, 3, 4], &[0.0, 0.8, 0.2, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.9]);
    let outputs = model.outputs(vec![rows]);
    assert_eq!(outputs[0].1, "\u{5}\0\0\0a\u{3000} ");
    assert!((floats(&outputs[1].1)[0] - 0.7).abs() < 1e-6);
}
