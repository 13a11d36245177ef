//! Guards integer division: the smallest number of a type divided by -1 overflows, which ends the process. (Division by
//! zero is an error of the engine.)

use std::collections::{BTreeSet, HashMap, HashSet};

use hippocamp_tensor::DataType;

use crate::model_file::ModelFile;

const DIVISIONS: [&str; 2] = ["Div", "Mod"];

/// Operators that pass numbers on unchanged.
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

/// The inputs of the graph that the model divides, unchanged, by something that depends on requests. Divisions of
/// computed tensors are not detected.
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

/// Whether a tensor of a type with unsafe division contains the smallest number of the type.
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
