//! The one number that the engine does not divide: the smallest of its type, whose quotient by -1 has no place in the type.
//! (It answers a division by zero with an error.)

use std::collections::{BTreeSet, HashMap, HashSet};

use hippocamp_tensor::DataType;

use crate::model_file::ModelFile;

const DIVISIONS: [&str; 2] = ["Div", "Mod"];

/// Operators that hand numbers on as they are.
const PASS: [&str; 14] = [
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// The inputs of the graph whose numbers the model divides, as they are, by what requests decide. A division of what the
/// graph computed is not seen.
pub(super) fn divided(file: &ModelFile, fixed: &HashSet<&str>) -> BTreeSet<String> {
    let inputs = file.inputs.iter().map(|name| (name.as_str(), BTreeSet::from([name.as_str()])));
    let mut sources: HashMap<&str, BTreeSet<&str>> = inputs.collect();
    let mut divided = BTreeSet::new();
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    for node in file.nodes.iter().filter(|node| !node.is_opaque && standard(&node.domain)) {
        let of = |name: &String| sources.get(name.as_str()).cloned().unwrap_or_default();
        if DIVISIONS.contains(&node.operator.as_str()) {
            if let [dividend, divisor] = node.inputs.as_slice()
                && !fixed.contains(divisor.as_str())
            {
                divided.extend(of(dividend).into_iter().map(str::to_owned));
            }
        } else if PASS.contains(&node.operator.as_str()) {
            let passed: BTreeSet<&str> = node.inputs.iter().flat_map(of).collect();
            sources.extend(node.outputs.iter().map(|output| (output.as_str(), passed.clone())));
        }
    }
    divided
}

/// Whether a tensor has the smallest number of its type, if that is one whose division is not safe.
pub(super) fn has_smallest(data_type: DataType, data: &[u8]) -> bool {
    match data_type {
        DataType::Int32 => has(data, i32::MIN.to_le_bytes()),
        DataType::Int64 => has(data, i64::MIN.to_le_bytes()),
        _ => false,
    }
}

fn has<const N: usize>(data: &[u8], number: [u8; N]) -> bool {
    data.as_chunks::<N>().0.contains(&number)
}
