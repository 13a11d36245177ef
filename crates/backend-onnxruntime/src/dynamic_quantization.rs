//! Models that quantize by the largest and the smallest number of a whole batch, so that the results for a request depend on those
//! that it is batched with.

use hippocamp_model_config::ModelConfig;
use tracing::warn;

use crate::model_file::ModelFile;

/// The operators that measure a whole tensor.
const OPERATORS: [&str; 3] = ["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"];

/// The operator of the file that does it.
pub(crate) fn operator(file: &ModelFile) -> Option<&'static str> {
    OPERATORS.into_iter().find(|known| file.nodes.iter().any(|node| node.operator == *known))
}

/// Says so where requests may share a batch.
pub(crate) fn warn_of_shared_batches(model: &str, operator: &str, config: &ModelConfig) {
    if config.max_batch_size > 1 && config.scheduling_choice.is_some() {
        warn!(
            model,
            "requests that share a batch change each other's results: its {operator} measures the whole batch. \
             'max_batch_size: 1' or static quantization avoids it"
        );
    }
}
