//! Splits the outputs of a batch into one response for each request.

use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{BytesElements, DataType, LENGTH_PREFIX, Shape, TensorData};
use smallvec::SmallVec;

use crate::padded::Lengths;
use hippocamp_backend::{Error, InputTensor, OutputTensor, Request, Response, Result};

/// Collects the outputs of a batch, by their index in the model's list.
#[derive(Debug)]
pub struct Outputs {
    wanted: SmallVec<[bool; 4]>,
    tensors: SmallVec<[Option<(Shape, TensorData)>; 4]>,
}

impl Outputs {
    /// Empty outputs for a batch; an output is wanted if any request asks for it.
    pub(crate) fn for_batch(interface: &Interface, requests: &[Request]) -> Outputs {
        let count = interface.all_outputs().len();
        let wanted = (0..count).map(|i| requests.iter().any(|r| r.outputs.contains(i)));
        Outputs { wanted: wanted.collect(), tensors: SmallVec::from_elem(None, count) }
    }

    /// Whether a request asked for this output. Other outputs may be left out.
    pub fn is_wanted(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// Sets an output of the whole batch, in the shape that the model gave it. It may be in the memory of a device.
    pub fn set(&mut self, index: usize, shape: Shape, data: impl Into<TensorData>) {
        if let Some(place) = self.tensors.get_mut(index) {
            *place = Some((shape, data.into()));
        }
    }

    /// The responses, in the order of the requests. Slices the tensors along the first dimension, wherever they are; copies
    /// only where padding is cut off, and transfers none but BYTES, whose elements have to be walked.
    pub(crate) fn scatter(self, interface: &Interface, requests: &[Request]) -> Result<Vec<Response>> {
        let mut responses = vec![Response::default(); requests.len()];
        let lengths = interface.padding.as_ref().map(|padding| (padding, Lengths::of(padding, requests)));
        let outputs = interface.all_outputs().zip(self.tensors).zip(self.wanted).enumerate();
        for (index, ((spec, tensor), wanted)) in outputs {
            if !wanted {
                continue;
            }
            let (shape, data) = tensor.ok_or_else(|| {
                Error::internal(format!("the backend gave no tensor for output '{}'", spec.name))
            })?;
            let data = if spec.data_type == DataType::Bytes {
                data.to_host().map_err(|error| Error::of_memory(&interface.model, error))?.into()
            } else {
                data
            };
            let mut whole = if let Some(source) = interface.scatter_source(index) {
                Whole::ByShape(ByShape::new(interface, spec, source, shape, data))
            } else {
                let shape = client_shape(spec, shape, interface.max_batch_size > 0);
                Whole::Rows(Rows::new(interface, spec, shape, data, requests)?)
            };
            for (n, (request, response)) in requests.iter().zip(&mut responses).enumerate() {
                let mut part = whole.take(request)?;
                if let Some((padding, lengths)) = &lengths
                    && let Some(output) = padding.output(index)
                {
                    part = lengths.cut(n, output.dim, (&interface.model, spec), part)?;
                }
                let (shape, data) = part;
                if request.outputs.contains(index) {
                    response.outputs.push(OutputTensor { index, shape, data });
                }
            }
            whole.all_taken()?;
        }
        Ok(responses)
    }
}

/// An output of a batch, of which each request in turn takes its share.
enum Whole<'a> {
    Rows(Rows<'a>),
    ByShape(ByShape<'a>),
}

impl Whole<'_> {
    fn take(&mut self, request: &Request) -> Result<(Shape, TensorData)> {
        match self {
            Whole::Rows(rows) => rows.take(request.batch_size),
            Whole::ByShape(shares) => shares.take(request),
        }
    }

    /// Rows are counted before they are given out; other shares have to come to the whole.
    fn all_taken(self) -> Result<()> {
        match self {
            Whole::ByShape(ByShape { name, given, data, .. }) if !data.is_empty() => {
                Err(Error::internal(format!(
                    "output '{name}' was expected to have what the requests' inputs ask for, the model gave shape \
                     {given}, which leaves {} bytes",
                    data.len()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// An output of which a request's share is as large as one of its inputs says.
struct ByShape<'a> {
    name: &'a str,
    data_type: DataType,
    /// The output's dims, with the batch dimension; each -1 stands for the input's size in the same dimension.
    dims: Shape,
    source: usize,
    source_name: &'a str,
    /// The shape that the model gave, for error messages.
    given: Shape,
    /// The data that no request has taken yet.
    data: TensorData,
}

impl<'a> ByShape<'a> {
    fn new(
        interface: &'a Interface,
        spec: &'a TensorSpec,
        source: usize,
        given: Shape,
        data: TensorData,
    ) -> Self {
        let batched = interface.max_batch_size > 0;
        let dims = if batched { spec.dims.with_batch(-1) } else { spec.dims.clone() };
        let source_name = interface.inputs.get(source).map_or("", |input| &*input.name);
        ByShape { name: &spec.name, data_type: spec.data_type, dims, source, source_name, given, data }
    }

    fn take(&mut self, request: &Request) -> Result<(Shape, TensorData)> {
        let source = request.inputs.get(self.source).and_then(Option::as_ref);
        let shape = source.and_then(|source| self.share(source)).ok_or_else(|| {
            Error::internal(format!(
                "the share of output '{}' follows the shape of input '{}', which has too few dimensions",
                self.name, self.source_name
            ))
        })?;
        let size = match shape.byte_size(self.data_type) {
            Some(size) => size,
            None => elements_size(self.name, &self.data, &shape)?,
        };
        if size > self.data.len() {
            return Err(Error::internal(format!(
                "output '{}' was expected to have what the requests' inputs ask for, the model gave shape {}, which is \
                 too little",
                self.name, self.given
            )));
        }
        Ok((shape, self.data.split_to(size)))
    }

    fn share(&self, source: &InputTensor) -> Option<Shape> {
        let sizes = self.dims.iter().enumerate();
        sizes
            .map(|(dim, size)| if *size == -1 { source.shape.get(dim).copied() } else { Some(*size) })
            .collect()
    }
}

/// An output of which each request takes as many rows as it has.
struct Rows<'a> {
    name: &'a str,
    shape: Shape,
    data: TensorData,
    /// Rows in the whole batch; `None` for a model without a batch dimension: its one request takes it all.
    count: Option<usize>,
    data_type: DataType,
}

impl<'a> Rows<'a> {
    fn new(
        interface: &Interface,
        spec: &'a TensorSpec,
        shape: Shape,
        data: TensorData,
        requests: &[Request],
    ) -> Result<Rows<'a>> {
        let count = (interface.max_batch_size > 0 && !spec.is_shape_tensor)
            .then(|| requests.iter().map(|r| r.batch_size).sum::<usize>());
        if let Some(count) = count
            && shape.first() != Some(&(count as i64))
        {
            let name = &spec.name;
            return Err(Error::internal(format!(
                "output '{name}' was expected to begin with a batch dimension of {count}, the model gave shape {shape}"
            )));
        }
        if shape.byte_size(spec.data_type).is_some_and(|size| size != data.len()) {
            let (name, got) = (&spec.name, data.len());
            return Err(Error::internal(format!(
                "output '{name}' has shape {shape}, which {got} bytes do not fill"
            )));
        }
        Ok(Rows { name: &spec.name, shape, data, count, data_type: spec.data_type })
    }

    fn take(&mut self, rows: usize) -> Result<(Shape, TensorData)> {
        let Some(count) = self.count else {
            return Ok((self.shape.clone(), self.data.clone()));
        };
        if rows == count {
            return Ok((self.shape.clone(), std::mem::take(&mut self.data)));
        }
        let mut shape = self.shape.clone();
        shape.set_batch(rows as i64);
        let size = match shape.byte_size(self.data_type) {
            Some(size) => size,
            None => elements_size(self.name, &self.data, &shape)?,
        };
        if size > self.data.len() {
            return Err(Error::internal(format!("output '{}' is shorter than its shape says", self.name)));
        }
        Ok((shape, self.data.split_to(size)))
    }
}

/// The bytes of as many BYTES elements as `shape` holds, lengths included.
fn elements_size(output: &str, data: &TensorData, shape: &Shape) -> Result<usize> {
    let data = data.as_contiguous().unwrap_or_default();
    let count = shape.element_count().unwrap_or(usize::MAX);
    BytesElements::new(data).take(count).try_fold(0, |size, element| match element {
        Ok(element) => Ok(size + LENGTH_PREFIX + element.len()),
        Err(fault) => Err(Error::internal(format!("output '{output}': {fault}"))),
    })
}

/// The shape that the client sees where the config reshapes an output: each -1 of the config takes the next size that
/// the model left open.
pub fn client_shape(spec: &TensorSpec, shape: Shape, batched: bool) -> Shape {
    let Some(model_dims) = &spec.reshape else { return shape };
    let skip = usize::from(batched);
    let given = shape.get(skip..).unwrap_or_default();
    let mut open = model_dims.iter().zip(given).filter(|(want, _)| **want == -1).map(|(_, got)| *got);
    let inner = spec.dims.iter().map(|&d| if d == -1 { open.next().unwrap_or(1) } else { d });
    shape.iter().copied().take(skip).chain(inner).collect()
}
