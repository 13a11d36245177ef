//! Checks that file names stay inside of the model's folder.

use std::path::{Component, Path};

/// Whether `file`, taken from a folder that lies `depth` levels below the model directory, is outside of it.
pub(super) fn leaves_model(file: &str, depth: usize) -> bool {
    let mut depth = depth;
    for component in Path::new(file).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    file.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_nobody_out() {
        for inside in ["", "model.onnx", "../shared/model.onnx", "a/../../b", "./x", "a..b"] {
            assert!(!leaves_model(inside, 1), "{inside}");
        }
        for outside in ["/etc/passwd", "../../other/1/model.onnx", "a/../../../b", "a\0b"] {
            assert!(leaves_model(outside, 1), "{outside}");
        }
        assert!(leaves_model("../labels.txt", 0));
    }
}
