//! The requests of a warm-up, made from the config and from files.

use std::path::Path;

use bytes::Bytes;
use hippocamp_backend::{Code, Error, InputTensor, Result};
use hippocamp_files as files;
use hippocamp_model_config::{FaultKind, FileUse, Interface, ModelConfig, TensorSpec, data_type};
use hippocamp_proto::inference::ModelWarmup;
use hippocamp_proto::inference::model_warmup::{Input, input::InputDataType};
use hippocamp_tensor::{DataType, LENGTH_PREFIX, Shape, count_elements};
use smallvec::SmallVec;

use crate::faults::{Collected, about};

/// The folder of data files, in the model's folder.
const FOLDER: &str = "warmup";

/// The data of one input of one request; a larger file is something else.
const LIMIT: u64 = 1 << 30;

/// One sample of a config.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    /// How often it runs.
    pub(super) count: u32,
    /// Requests that run together, all alike.
    pub(super) size: usize,
    /// Of each request, in the model's order, with a batch of one.
    pub(super) inputs: SmallVec<[Option<InputTensor>; 4]>,
}

/// All samples that ask for an execution.
pub(super) fn read(config: &ModelConfig, interface: &Interface, folder: &Path) -> Result<Vec<Sample>> {
    let maker = Maker { config, interface, folder };
    let asked = config.model_warmup.iter().enumerate().filter(|(_, warmup)| warmup.batch_size > 0);
    let mut faults = Collected::default();
    let samples = asked.filter_map(|(index, warmup)| faults.take(maker.sample(index, warmup))).collect();
    faults.into_result().map(|()| samples)
}

/// Whether the file of warm-up data can be read as far as opening it tells.
pub(super) fn open(model: &str, folder: &Path, file: &str) -> Result<()> {
    let path = files::named_from(&folder.join(FOLDER), file);
    files::open(&path).map(drop).map_err(|e| unreadable(model, &path, &e))
}

#[cold]
fn unreadable(model: &str, path: &Path, why: &std::io::Error) -> Error {
    Error::internal(format!("failed to read warmup data '{}' of model '{model}': {why}", path.display()))
}

struct Maker<'a> {
    config: &'a ModelConfig,
    interface: &'a Interface,
    folder: &'a Path,
}

impl Maker<'_> {
    fn sample(&self, index: usize, warmup: &ModelWarmup) -> Result<Sample> {
        let field = format!("model_warmup[{index}]");
        let requested = self.interface.all_inputs().len() - self.interface.batch_inputs.len();
        let specs = self.interface.all_inputs().take(requested).enumerate();
        let inputs = specs.map(|(index, spec)| {
            let is_added = index >= self.interface.inputs.len();
            match warmup.inputs.get(&*spec.name) {
                Some(input) => self.given(spec, input).map(Some).map_err(|error| {
                    let path = format!("{field}.inputs[\"{}\"]", spec.name);
                    match &input.input_data_type {
                        Some(InputDataType::InputDataFile(_)) if error.code() == Code::Internal => {
                            about(error, &format!("{path}.input_data_file"), FaultKind::File(FileUse::WarmUp))
                        }
                        _ => about(error, &path, FaultKind::Other),
                    }
                }),
                // Controls and states of sequences have a value in every request.
                None if is_added => self.zeros(spec, &self.one_entry(spec)).map(Some),
                None if spec.optional => Ok(None),
                None => {
                    let error = Error::invalid_arg(format!(
                        "warmup sample '{}' has no data for input '{}' of model '{}'",
                        warmup.name, spec.name, self.config.name
                    ));
                    Err(about(error, &field, FaultKind::Other))
                }
            }
        });
        let mut faults = Collected::default();
        let inputs = inputs.filter_map(|input| faults.take(input)).collect();
        faults.into_result()?;
        Ok(Sample {
            name: warmup.name.clone(),
            count: warmup.count.max(1),
            size: warmup.batch_size as usize,
            inputs,
        })
    }

    fn given(&self, spec: &TensorSpec, input: &Input) -> Result<InputTensor> {
        let (name, model) = (&spec.name, &self.config.name);
        if data_type(input.data_type) != Some(spec.data_type) {
            let got = data_type(input.data_type).map_or("TYPE_INVALID", DataType::config_name);
            let expected = spec.data_type.config_name();
            return Err(Error::invalid_arg(format!(
                "warmup setting expects data type {expected} for input '{name}' of model '{model}', got {got}"
            )));
        }
        let dims = Shape::from(input.dims.as_slice());
        if !spec.dims.admits(&dims) {
            return Err(Error::invalid_arg(format!(
                "warmup setting expects shape {} for input '{name}' of model '{model}', got {dims}",
                spec.dims
            )));
        }
        let shape = if self.is_batched(spec) { dims.with_batch(1) } else { dims };
        match &input.input_data_type {
            Some(InputDataType::RandomData(_)) if spec.data_type != DataType::Bytes => {
                let mut data = self.room(spec, &shape)?;
                fill_randomly(&mut data, spec.data_type);
                Ok(InputTensor { shape, data: Bytes::from(data).into() })
            }
            Some(InputDataType::InputDataFile(file)) => self.read_file(spec, shape, file),
            _ => self.zeros(spec, &shape),
        }
    }

    fn read_file(&self, spec: &TensorSpec, shape: Shape, file: &str) -> Result<InputTensor> {
        let path = files::named_from(&self.folder.join(FOLDER), file);
        let content = files::read(&path, LIMIT).map_err(|e| unreadable(&self.config.name, &path, &e))?;
        let mut data = Bytes::from(content);
        let Some(size) = shape.byte_size(spec.data_type) else {
            let (count, expected) = (count_elements(&data).ok(), shape.element_count());
            if count == expected {
                return Ok(InputTensor { shape, data: data.into() });
            }
            return Err(Error::invalid_arg(format!(
                "warmup setting expects {} string elements for input '{}', but the data provided from {file} has {}",
                expected.unwrap_or_default(),
                spec.name,
                count.map_or_else(|| "an incomplete one".to_owned(), |count| count.to_string())
            )));
        };
        if data.len() < size {
            return Err(Error::invalid_arg(format!(
                "[request id: <id_unknown>] warmup setting expects {size} bytes, but the data provided from \
                 {file} only has {} bytes",
                data.len()
            )));
        }
        data.truncate(size);
        Ok(InputTensor { shape, data: data.into() })
    }

    fn zeros(&self, spec: &TensorSpec, shape: &Shape) -> Result<InputTensor> {
        let data = self.room(spec, shape)?;
        Ok(InputTensor { shape: shape.clone(), data: Bytes::from(data).into() })
    }

    /// Zeros for a tensor of that shape. For strings, that many empty ones.
    fn room(&self, spec: &TensorSpec, shape: &Shape) -> Result<Vec<u8>> {
        let element = spec.data_type.byte_size().unwrap_or(LENGTH_PREFIX);
        let size = shape.element_count().and_then(|count| count.checked_mul(element));
        let mut data = Vec::new();
        match size {
            Some(size) if data.try_reserve_exact(size).is_ok() => data.resize(size, 0),
            _ => {
                return Err(Error::invalid_arg(format!(
                    "there is no memory for the warmup data of input '{}' of model '{}', of shape {shape}",
                    spec.name, self.config.name
                )));
            }
        }
        Ok(data)
    }

    /// The shape of one batch entry; what the config leaves open is 1.
    fn one_entry(&self, spec: &TensorSpec) -> Shape {
        let dims: Shape = spec.dims.iter().map(|size| if *size == -1 { 1 } else { *size }).collect();
        if self.is_batched(spec) { dims.with_batch(1) } else { dims }
    }

    fn is_batched(&self, spec: &TensorSpec) -> bool {
        self.interface.max_batch_size > 0 && !spec.is_shape_tensor
    }
}

/// Numbers that look random and are the same at every start. Floating-point ones are between 1 and 2, so that none of
/// them is slow or no number.
fn fill_randomly(data: &mut [u8], data_type: DataType) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let size = data_type.byte_size().unwrap_or(1);
    for element in data.chunks_exact_mut(size) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bits = match data_type {
            DataType::Bool => state & 1,
            DataType::Fp16 => 0x3c00 | state & 0x03ff,
            DataType::Bf16 => 0x3f80 | state & 0x007f,
            DataType::Fp32 => 0x3f80_0000 | state & 0x007f_ffff,
            DataType::Fp64 => 0x3ff0_0000_0000_0000 | state & 0x000f_ffff_ffff_ffff,
            _ => state,
        };
        element.copy_from_slice(&bits.to_le_bytes()[..size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_numbers() {
        let mut data = vec![0; 4 * 1000];
        fill_randomly(&mut data, DataType::Fp32);
        let numbers: Vec<f32> = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert!(numbers.iter().all(|number| (1.0..2.0).contains(number)));
        assert!(numbers.windows(2).any(|pair| pair[0] < pair[1]));
        let mut flags = vec![7; 100];
        fill_randomly(&mut flags, DataType::Bool);
        assert!(flags.contains(&0) && flags.contains(&1) && flags.iter().all(|flag| *flag < 2));
        let mut halves = vec![0; 2 * 100];
        fill_randomly(&mut halves, DataType::Fp16);
        assert!(halves.as_chunks::<2>().0.iter().all(|half| half[1] >> 2 == 0x3c >> 2));
    }
}
