//! How the instances of a model run on a GPU.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::model_file::ModelFile;

/// The operators whose kernels are chosen, or whose memory is laid out, for one shape of their inputs.
const PREPARED: [&str; 9] = [
    "Conv",
    "ConvTranspose",
    "FusedConv",
    "NhwcConv",
    "NhwcFusedConv",
    "CausalConvWithState",
    "GRU",
    "LSTM",
    "RNN",
];

/// Whether the engine prepares operators of the model anew when the shape of its inputs changes.
pub(crate) fn needs_preparation(file: &ModelFile) -> bool {
    file.nodes.iter().any(|node| PREPARED.contains(&node.operator.as_str()))
}

/// Whether the runs of a model can be captured, as far as it is known. Its instances share this.
#[derive(Debug)]
pub(crate) struct Capturing(AtomicBool);

impl Capturing {
    pub(crate) fn new(possible: bool) -> Capturing {
        Capturing(possible.into())
    }

    pub(crate) fn is_possible(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Notes that a capture failed. True for the first who does.
    pub(super) fn give_up(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::Node;

    #[test]
    fn convolutions_need_preparation_wherever_they_are() {
        let file = |operators: &[&str]| ModelFile {
            nodes: operators
                .iter()
                .map(|operator| Node { operator: (*operator).to_owned(), ..Node::default() })
                .collect(),
            ..ModelFile::default()
        };
        assert!(needs_preparation(&file(&["Relu", "Conv"])));
        assert!(needs_preparation(&file(&["LSTM"])));
        assert!(!needs_preparation(&file(&["MatMul", "Softmax", "LayerNormalization"])));
    }

    #[test]
    fn one_instance_reports_that_a_capture_failed() {
        let capturing = Capturing::new(true);
        assert!(capturing.is_possible() && capturing.give_up());
        assert!(!capturing.is_possible() && !capturing.give_up());
    }
}
