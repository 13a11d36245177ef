//! Delivers the outputs of a request: classified, written to shared memory, or returned unchanged.

use hippocamp_backend::{Error, OutputTensor, Response, Result};
use hippocamp_model_config::TensorSpec;
use hippocamp_shm::{SharedMemory, SharedTensors};
use hippocamp_tensor::{DataType, Place, Shape, TensorData};
use smallvec::SmallVec;

use crate::LoadedModel;
use crate::classification::classify;

/// The form in which a request wants its outputs, and its references to shared memory. It is made when the request is
/// decoded, and kept until its last response is encoded.
#[derive(Debug, Default)]
pub struct OutputPlan {
    /// The outputs to be classified, each with the number of classes to return. Sorted by [`OutputPlan::seal`].
    classes: SmallVec<[(String, usize); 1]>,
    shared: SharedTensors,
}

/// An output in the form in which the client gets it.
#[derive(Debug)]
pub struct Delivered<'m> {
    /// The index in the model's list of outputs.
    pub index: usize,
    /// The specification of the model's output.
    pub spec: &'m TensorSpec,
    /// The data type; BYTES if the output was classified.
    pub data_type: DataType,
    /// The shape, with the batch dimension if the model has one.
    pub shape: Shape,
    /// The elements, in host memory; `None` if they were written to shared memory.
    pub data: Option<TensorData>,
}

impl OutputPlan {
    /// The content of an input in shared memory: `byte_size` bytes of a registered region, from `offset` on. They are copied
    /// when a batch is assembled.
    pub fn shared_input(
        &mut self,
        memory: &SharedMemory,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<TensorData> {
        self.shared.input(memory, region, offset, byte_size)
    }

    /// Requests that an output is written to shared memory: at most `byte_size` bytes of a registered region, from `offset`
    /// on.
    pub fn shared_output(
        &mut self,
        memory: &SharedMemory,
        output: &str,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<()> {
        self.shared.output(memory, output, region, offset, byte_size)
    }

    /// Requests the `count` best classes of an output instead of its values.
    pub fn classify(&mut self, output: &str, count: usize) {
        self.classes.push((output.to_owned(), count));
    }

    /// Completes the plan after the request is decoded. Nothing may be added afterwards.
    pub(crate) fn seal(&mut self) {
        self.classes.sort_unstable();
    }

    /// Whether the values of an output are returned unchanged in the response.
    pub fn returns_values(&self, output: &str) -> bool {
        self.classes_of(output).is_none() && !self.shared.has_output(output)
    }

    /// The outputs whose values are written to the memory of a device, and which device that is.
    pub(crate) fn on_devices(&self) -> SmallVec<[(Box<str>, Place); 1]> {
        let outputs = self.shared.outputs_on_devices().filter(|(name, _)| self.classes_of(name).is_none());
        outputs.map(|(name, place)| (name.into(), place)).collect()
    }

    /// Whether an output is written to shared memory.
    pub fn is_shared(&self, output: &str) -> bool {
        self.shared.has_output(output)
    }

    /// The number of bytes of a response that are read or copied to deliver it, on the thread that delivers.
    pub fn copied_bytes(&self, model: &LoadedModel, response: &Response) -> usize {
        let is_copied = |output: &&OutputTensor| {
            let spec = model.interface.outputs.get(output.index);
            spec.is_some_and(|spec| !self.returns_values(&spec.name)) || output.data.as_segments().is_none()
        };
        response.outputs.iter().filter(is_copied).map(|output| output.data.len()).sum()
    }

    fn classes_of(&self, output: &str) -> Option<usize> {
        if self.classes.is_empty() {
            return None;
        }
        let found = self.classes.binary_search_by(|(name, _)| (**name).cmp(output)).ok()?;
        Some(self.classes[found].1)
    }

    /// Calls `encode` with each output of a response in the form in which the client gets it. Outputs for shared memory are
    /// written there; those in a device's or a client's memory are copied to host memory; others are not copied. Returns an
    /// error if a shared-memory region of the request has disappeared: then the response was computed from zeros and must
    /// not be sent.
    pub fn deliver<'m>(
        &mut self,
        model: &'m LoadedModel,
        outputs: impl IntoIterator<Item = OutputTensor>,
        encode: impl FnMut(Delivered<'m>) -> Result<()>,
    ) -> Result<()> {
        if self.shared.outputs_on_devices().next().is_none() {
            return self.deliver_each(model, outputs, encode);
        }
        let outputs: SmallVec<[OutputTensor; 4]> = outputs.into_iter().collect();
        let named = outputs.iter().filter_map(|output| {
            let name = &*model.output(output.index).ok()?.name;
            self.classes_of(name).is_none().then_some((name, &output.data))
        });
        let named: SmallVec<[(&str, &TensorData); 4]> = named.collect();
        self.shared.write_on_devices(&named)?;
        drop(named);
        self.deliver_each(model, outputs, encode)
    }

    fn deliver_each<'m>(
        &mut self,
        model: &'m LoadedModel,
        outputs: impl IntoIterator<Item = OutputTensor>,
        mut encode: impl FnMut(Delivered<'m>) -> Result<()>,
    ) -> Result<()> {
        for output in outputs {
            let delivered = self.delivered(model, output)?;
            encode(delivered)?;
        }
        self.shared.check_inputs()
    }

    fn delivered<'m>(&mut self, model: &'m LoadedModel, output: OutputTensor) -> Result<Delivered<'m>> {
        let index = output.index;
        let spec = model.output(index)?;
        if let Some(count) = self.classes_of(&spec.name) {
            output.of_expected_type(&model.name, &spec.name, spec.data_type)?;
            let (shape, data) = classify(model, &output, count)?;
            return Ok(Delivered { index, spec, data_type: DataType::Bytes, shape, data: Some(data.into()) });
        }
        let data_type = output.data_type.unwrap_or(spec.data_type);
        let data = if self.shared.write(&spec.name, &output.data)? {
            None
        } else {
            let host = output.data.into_host().map_err(|error| Error::of_memory(&model.name, error))?;
            Some(host.into())
        };
        Ok(Delivered { index, spec, data_type, shape: output.shape, data })
    }
}
