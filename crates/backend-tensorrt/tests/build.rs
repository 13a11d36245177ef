//! `hippocamp plan` by the builder of the double, and the plans that it builds.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::ffi::OsString;
use std::path::Path;

use hippocamp_tensorrt_plan::{PlanArgs, build_plan};
use kit::{Setup, VERSIONS, floats, input, output};

/// What stands for an ONNX model.
const MODEL: &str = "
    input x FLOAT -1,2 device data
    output y FLOAT x.0,2 device data
    affine x y 2 0";

const PARSERS: [&str; 3] =
    ["libnvonnxparser.so.10", "libnvonnxparser.so.11", "libtensorrt_onnxparser_rtx.so.1"];

/// A setup with the library that reads models beside the other, and a model in its folder.
fn setup(version: usize, model: &str) -> Setup {
    let setup = Setup::new(version);
    let folder = setup.libraries.path();
    std::fs::copy(folder.join(VERSIONS[version].0), folder.join(PARSERS[version])).unwrap();
    std::fs::write(folder.join("m.onnx"), model).unwrap();
    setup
}

/// Builds a plan where the setup's model has it, and returns its text.
fn build(setup: &Setup, flags: &str) -> Result<String, String> {
    let folder = setup.libraries.path().to_owned();
    let plan = setup.folder.path("model.plan");
    let mut line: Vec<OsString> =
        vec!["plan".into(), folder.join("m.onnx").into(), "-o".into(), plan.clone().into()];
    line.extend(flags.split_whitespace().map(OsString::from));
    let args = PlanArgs::read(line).map_err(|e| e.to_string())?;
    build_plan(&args, &[folder], &setup.devices).map_err(|e| format!("{e:#}"))?;
    Ok(String::from_utf8_lossy(&std::fs::read(plan).unwrap()).into_owned())
}

#[test]
fn what_is_built_is_served() {
    for version in 0..VERSIONS.len() {
        let setup = setup(version, MODEL);
        let text = build(&setup, "--shapes x:1x2..2x2..4x2 --shapes x:5x2..8x2..16x2").unwrap();
        assert!(text.contains("profiles 2") && text.contains(" 1,2:2,2:4,2 5,2:8,2:16,2"), "{text}");
        let model = setup.load("").unwrap();
        assert_eq!(model.config.max_batch_size, 16);
        let responses = model.run(vec![vec![input(&[9, 2], floats([1.0; 18]))]]);
        assert_eq!(output(responses[0].as_ref().unwrap(), 0), (vec![9, 2], floats([2.0; 18])));
    }
}

#[test]
fn flags_are_those_of_the_version() {
    let common = "--max-batch 8 --workspace 64 --optimization-level 5 --no-tf32 --version-compatible --exclude-lean-runtime \
                  --hardware-compatible";
    for (version, flags, expected) in [
        (0, "--fp16", &["# network 1", "# flag 0", "# flag 13", "# flag 14"][..]),
        (1, "", &["# network 0", "# flag 12", "# flag 13"][..]),
        (2, "--compute-capability 8.9,12.0", &["# flag 12", "# capabilities 2", "# capability 1 120"][..]),
    ] {
        let text = build(&setup(version, MODEL), &format!("{common} {flags}")).unwrap();
        let all = ["# no flag 6", "# pool 0 67108864", "# level 5", "# hardware 1", " 1,2:4,2:8,2"];
        for line in expected.iter().chain(&all) {
            assert!(text.contains(line), "version {version}: {line} is not in {text}");
        }
    }
}

#[test]
fn values_of_shape_tensors_are_set_as_such() {
    for version in 0..VERSIONS.len() {
        let model = "
            input x FLOAT 4 device data
            input s INT32 1 host shape
            output y FLOAT s#0 device data
            affine x y 1 0";
        let text = build(&setup(version, model), "--shapes s:1..2..4").unwrap();
        assert!(text.contains("input s INT32 1 host shape 1:2:4"), "{text}");
    }
}

#[test]
fn a_timing_cache_goes_from_build_to_build() {
    let setup = setup(1, MODEL);
    let file = setup.libraries.path().join("times");
    for expected in ["times", "timestimes"] {
        build(&setup, &format!("--max-batch 4 --timing-cache {}", file.display())).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }
}

#[test]
fn pictures_calibrate_by_batches() {
    let model = "
        input x FLOAT -1,3,2,2 device data
        output y FLOAT x.0,3,2,2 device data
        affine x y 1 0";
    let setup = setup(0, model);
    let pictures = setup.libraries.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for n in 0..5_u8 {
        let picture = image::RgbImage::from_pixel(3, 3, image::Rgb([10 * n, 0, 0]));
        picture.save(pictures.join(format!("{n}.png"))).unwrap();
    }
    let cache = setup.libraries.path().join("ranges");
    let flags = format!(
        "--int8 {} --max-batch 4 --scale 0.5 --mean 1 --calibration-cache {}",
        pictures.display(),
        cache.display()
    );
    let text = build(&setup, &flags).unwrap();
    // Batches of two pictures: the fifth is left over.
    for line in ["# flag 1", "# calibration profile", "# 2 batches of 2: [-0.5, 9.5]"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let found = std::fs::read_to_string(&cache).unwrap();
    assert_eq!(found, "2 batches of 2: [-0.5, 9.5]");
    let again = build(&setup, &flags).unwrap();
    assert!(again.contains(&format!("# ranges of {} bytes were there", found.len())), "{again}");
    std::fs::remove_file(&cache).unwrap();
    std::fs::write(pictures.join("3.png"), "no picture").unwrap();
    let fault = build(&setup, &flags).unwrap_err();
    assert!(fault.contains("3.png' cannot be read"), "{fault}");
    assert!(!cache.is_file(), "ranges of a part of the pictures are not kept");
}

#[test]
fn says_what_is_missing_and_what_has_no_meaning() {
    let fault = |version: usize, model: &str, flags: &str| build(&setup(version, model), flags).unwrap_err();
    assert!(
        fault(1, MODEL, "--fp16 --max-batch 4")
            .contains("TensorRT 11.4.0 takes the types of layers from the model")
    );
    assert!(fault(2, MODEL, "--int8 /tmp --max-batch 4").contains("QuantizeLinear"));
    assert!(fault(0, MODEL, "--max-batch 4 --compute-capability 8.9").contains("is for TensorRT for RTX"));
    assert!(fault(2, MODEL, "--max-batch 4 --compute-capability 9.0").contains("does not build for one of"));
    assert!(fault(0, MODEL, "").contains("or --max-batch N"));
    let broken = fault(0, "nonsense", "--max-batch 4");
    assert!(
        broken.contains("does not read") && broken.contains("node 7 'the_node' (TheOperator)"),
        "{broken}"
    );
    assert!(fault(0, "", "--max-batch 4").contains("it is no ONNX model, or has no outputs"));
    let without_parser = setup(0, MODEL);
    std::fs::remove_file(without_parser.libraries.path().join(PARSERS[0])).unwrap();
    let fault = build(&without_parser, "--max-batch 4").unwrap_err();
    assert!(
        fault.contains("'libnvonnxparser.so.10', which reads ONNX for TensorRT 10.16.1, was not found"),
        "{fault}"
    );
    let empty = tempfile::tempdir().unwrap();
    let args = PlanArgs::read(["plan", "/nowhere.onnx"].map(OsString::from)).unwrap();
    let fault = build_plan(&args, &[empty.path().to_owned()], &without_parser.devices).unwrap_err();
    assert!(format!("{fault:#}").starts_with("'/nowhere.onnx' cannot be read"));
    let lean = empty.path().join("libnvinfer_lean.so.10");
    std::fs::copy(without_parser.libraries.path().join(VERSIONS[0].0), &lean).unwrap();
    let args =
        PlanArgs::read(["plan".into(), without_parser.libraries.path().join("m.onnx").into()]).unwrap();
    let fault = build_plan(&args, &[empty.path().to_owned()], &without_parser.devices).unwrap_err();
    assert!(
        format!("{fault:#}").contains("only runs plans; for one that builds, install TensorRT"),
        "{fault:#}"
    );
    assert!(Path::new(&lean).is_file());
}
