//! The outputs that a request asks for, and what is to become of each.

use hippocamp_backend::{Error, Response, Result};
use hippocamp_core::{LoadedModel, OutputPlan, can_be_classified, check_tensor_count, class_count};
use hippocamp_model_config::TensorLookup;
use hippocamp_proto::v1::InferRequestHeader;
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::DataType;
use smallvec::SmallVec;

/// What the response to a request says and contains. Outputs that are not listed are not returned: without a list, none is.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) id: u64,
    pub(crate) batch_size: u32,
    /// In the request's order.
    pub(crate) outputs: SmallVec<[WantedOutput; 4]>,
}

/// An output that a request lists.
#[derive(Debug)]
pub(crate) struct WantedOutput {
    /// Its place in the model's list.
    pub(crate) index: usize,
    pub(crate) form: Form,
}

/// The form in which an output is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    /// At most this number of classes of each batch entry.
    Classes(usize),
    /// In a part of shared memory of so many bytes.
    Shared(u64),
}

impl Wanted {
    /// Reads the list of outputs, and tells `plan` of those in shared memory. An unknown name is left to the checks of all
    /// protocols.
    pub(crate) fn of(
        header: &InferRequestHeader,
        model: &LoadedModel,
        memory: &SharedMemory,
        plan: &mut OutputPlan,
    ) -> Result<Wanted> {
        check_tensor_count(header.output.len(), "outputs")?;
        let mut lookup = TensorLookup::new(&model.interface.outputs);
        let mut outputs = SmallVec::with_capacity(header.output.len());
        for output in &header.output {
            let Some(index) = lookup.find(&output.name) else { continue };
            let form = match (output.cls, &output.shared_memory) {
                // Zero classes stand for the raw values, as in the original.
                (Some(cls), _) if cls.count > 0 => {
                    check_classified(&output.name, model.interface.outputs[index].data_type)?;
                    Form::Classes(class_count(&output.name, u64::from(cls.count))?)
                }
                (_, Some(part)) => {
                    plan.shared_output(memory, &output.name, &part.name, part.offset, part.byte_size)?;
                    Form::Shared(part.byte_size)
                }
                (_, None) => Form::Raw,
            };
            outputs.push(WantedOutput { index, form });
        }
        Ok(Wanted { id: header.id, batch_size: header.batch_size, outputs })
    }

    /// The bytes of a response that are looked at one by one.
    pub(crate) fn classified_bytes(&self, response: &Response) -> usize {
        let is_classified = |index: usize| {
            self.outputs.iter().any(|output| output.index == index && matches!(output.form, Form::Classes(_)))
        };
        let outputs = response.outputs.iter().filter(|output| is_classified(output.index));
        outputs.map(|output| output.data.len()).sum()
    }
}

fn check_classified(output: &str, data_type: DataType) -> Result<()> {
    if can_be_classified(data_type) {
        return Ok(());
    }
    let name = match data_type {
        DataType::Bytes => "STRING",
        other => other.protocol_name(),
    };
    Err(Error::invalid_arg(format!(
        "class result not available for output '{output}' due to unsupported type 'TYPE_{name}'"
    )))
}
