//! Warmup samples: whether a request can be made of each.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{
    ModelWarmup, model_config::SchedulingChoice, model_warmup::Input, model_warmup::input::InputDataType,
};
use hippocamp_tensor::Shape;

use super::{Check, paths};
use crate::data_type;

impl<'a> Check<'a> {
    pub(super) fn warmup(&mut self) {
        let inputs = self.all_inputs();
        for (index, warmup) in self.config.model_warmup.iter().enumerate() {
            let path = format!("model_warmup[{index}]");
            self.warmup_batch(&path, warmup);
            for (name, input) in &warmup.inputs {
                let path = format!("{path}.inputs[\"{name}\"]");
                if self.complete && !inputs.contains(name.as_str()) {
                    let message = format!("warmup setting has unknown input '{name}'");
                    self.fault_for(&path, &message);
                }
                self.warmup_input(&path, name, input);
            }
        }
    }

    fn warmup_batch(&mut self, path: &str, warmup: &ModelWarmup) {
        let max = self.config.max_batch_size;
        if max > 0 && i64::from(warmup.batch_size) > i64::from(max) {
            let message = format!(
                "warmup sample '{}' has batch size {}, must be <= max batch size {max}",
                warmup.name, warmup.batch_size
            );
            self.fault_for(&format!("{path}.batch_size"), &message);
        }
    }

    fn warmup_input(&mut self, path: &str, name: &str, input: &Input) {
        let Some(data_type) = data_type(input.data_type) else {
            let message = format!("warmup setting must specify 'data_type' for input '{name}'");
            self.fault_for(&format!("{path}.data_type"), &message);
            return;
        };
        let shape = Shape::from(input.dims.as_slice());
        // Strings are made of zeros too: of as many length prefixes as there are elements.
        let bytes = data_type.byte_size().unwrap_or(hippocamp_tensor::LENGTH_PREFIX);
        if shape.iter().any(|dim| *dim < 0) {
            let message = format!(
                "warmup setting expects all variable-size dimensions are specified for input '{name}'"
            );
            self.fault_for(&format!("{path}.dims"), &message);
        } else if shape.element_count().and_then(|count| count.checked_mul(bytes)).is_none() {
            let message = format!("warmup setting for input '{name}' has more elements than can be counted");
            self.fault_for(&format!("{path}.dims"), &message);
        }
        match &input.input_data_type {
            None => {
                let message = format!("warmup setting expects input '{name}' to have input_data_type set");
                self.fault_for(path, &message);
            }
            Some(InputDataType::InputDataFile(file)) if paths::leaves_model(file, 1) => {
                self.outside(&format!("{path}.input_data_file"), file);
            }
            Some(_) => {}
        }
    }

    /// Every input of the model, those included that the server usually fills.
    fn all_inputs(&self) -> BTreeSet<&'a str> {
        let config = self.config;
        let mut names: BTreeSet<&str> = config.input.iter().map(|input| input.name.as_str()).collect();
        let targets = config.batch_input.iter().flat_map(|batch_input| &batch_input.target_name);
        names.extend(targets.map(String::as_str));
        if let Some(SchedulingChoice::SequenceBatching(batching)) = &config.scheduling_choice {
            names.extend(batching.control_input.iter().map(|control| control.name.as_str()));
            names.extend(batching.state.iter().map(|state| state.input_name.as_str()));
        }
        names
    }
}
