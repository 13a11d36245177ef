//! Splits the outputs of a batch into one response for each request.

mod copies;

use std::ops::Range;

use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{
    Allocator, BytesElements, DataType, LENGTH_PREFIX, MemoryError, PlacedSlice, Shape, TensorData,
};
use smallvec::SmallVec;

use crate::gather::RowCount;
use crate::host_copy::{Copy, HostPart, is_on_device};
use crate::padded::Lengths;
use hippocamp_backend::{Error, InputTensor, OutputTensor, Request, Response, Result};

/// Collects the outputs of a batch, by their index in the model's list.
#[derive(Debug)]
pub struct Outputs {
    wanted: SmallVec<[WantedPlaces; 4]>,
    tensors: SmallVec<[Option<Given>; 4]>,
    rows: RowCount,
}

/// Where the requests of a batch want one of its outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedPlaces {
    /// Some request wants it in host memory, pinned or not.
    pub host: bool,
    /// Some request wants it in the memory of a device.
    pub device: bool,
}

impl WantedPlaces {
    /// Whether any request wants it.
    pub fn any(self) -> bool {
        self.host || self.device
    }
}

/// An output of the whole batch, in the shape that the model gave it.
#[derive(Debug)]
struct Given {
    shape: Shape,
    data: Copy,
    /// The data in host memory, where they are on a device as well.
    host: Option<Copy>,
    /// Whether the rows that fill up the batch were cut off.
    is_cut: bool,
}

impl Outputs {
    /// Empty outputs for a batch that is executed with `rows` rows.
    pub(crate) fn for_batch(interface: &Interface, requests: &[Request], rows: usize) -> Outputs {
        let count = interface.all_outputs().len();
        let wanted = (0..count).map(|index| {
            let mut places = WantedPlaces::default();
            for place in requests.iter().filter_map(|request| request.outputs.place(index)) {
                let place = if is_on_device(place) { &mut places.device } else { &mut places.host };
                *place = true;
            }
            places
        });
        let rows = RowCount::of(interface, requests, rows);
        Outputs { wanted: wanted.collect(), tensors: (0..count).map(|_| None).collect(), rows }
    }

    /// Whether a request asked for this output. Other outputs may be left out.
    pub fn is_wanted(&self, index: usize) -> bool {
        self.places(index).any()
    }

    /// Where the requests want this output. A backend that makes it elsewhere is right, too: one that is made on a device and
    /// wanted in host memory is copied there when it was [set](Outputs::set).
    pub fn places(&self, index: usize) -> WantedPlaces {
        self.wanted.get(index).copied().unwrap_or_default()
    }

    /// Sets an output of the whole batch, in the shape that the model gave it. It may be in the memory of a device, where
    /// everything that writes to it is complete or comes first in the order of its driver.
    pub fn set(&mut self, index: usize, shape: Shape, data: impl Into<TensorData>) {
        if let Some(place) = self.tensors.get_mut(index) {
            *place = Some(Given { shape, data: Copy::Done(data.into()), host: None, is_cut: false });
        }
    }

    /// The responses, in the order of the requests. Slices the tensors along the first dimension, wherever they are. Copies
    /// only where padding is cut off, and what is on a device and wanted in host memory: once for the batch, to
    /// `pinned` memory if that is given. BYTES are transferred always, as their elements have to be walked.
    pub(crate) fn scatter(
        self,
        interface: &Interface,
        requests: &[Request],
        pinned: Option<&dyn Allocator>,
    ) -> Result<Vec<Response>> {
        let mut responses = vec![Response::default(); requests.len()];
        let lengths = interface.padding.as_ref().map(|padding| (padding, Lengths::of(padding, requests)));
        let failed = |error| Error::of_memory(&interface.model, error);
        let outputs = interface.all_outputs().zip(self.tensors).zip(self.wanted).enumerate();
        for (index, ((spec, tensor), places)) in outputs {
            if !places.any() {
                continue;
            }
            let Given { shape, data, host, is_cut } = tensor.ok_or_else(|| {
                Error::internal(format!("the backend gave no tensor for output '{}'", spec.name))
            })?;
            let mut data = data.finish().map_err(failed)?;
            if spec.data_type == DataType::Bytes {
                data = data.to_host().map_err(failed)?.into();
            }
            let source = interface.scatter_source(index);
            let (shape, data) = match source {
                None if !is_cut => self.rows.cut(spec, shape, data)?,
                _ => (shape, data),
            };
            let mut host = match host {
                Some(host) => Some(HostPart::new(0, host.finish().map_err(failed)?)),
                None if places.host && is_on_device(data.place()) => {
                    let range =
                        if source.is_some() { 0..data.len() } else { range_for_host(index, requests, &data) };
                    Some(host_part(&data, range, pinned).map_err(failed)?)
                }
                None => None,
            };
            let mut whole = if let Some(source) = source {
                Whole::ByShape(ByShape::new(interface, spec, source, shape, data))
            } else {
                let shape = client_shape(spec, shape, interface.max_batch_size > 0);
                Whole::Rows(Rows::new(interface, spec, shape, data, requests)?)
            };
            let mut start = 0;
            for (n, (request, response)) in requests.iter().zip(&mut responses).enumerate() {
                let mut part = whole.take(request)?;
                let place = request.outputs.place(index);
                if let Some(host) = &mut host {
                    let len = part.1.len();
                    if place.is_some_and(|place| !is_on_device(place)) {
                        part.1 = host.take(start, len);
                    }
                    start += len;
                }
                if let Some((padding, lengths)) = &lengths
                    && let Some(output) = padding.output(index)
                {
                    part = lengths.cut(n, output.dim, (&interface.model, spec), part)?;
                }
                let (shape, data) = part;
                if place.is_some() {
                    response.outputs.push(OutputTensor { index, shape, data, data_type: None });
                }
            }
            whole.all_taken()?;
        }
        Ok(responses)
    }
}

impl RowCount {
    /// Cuts off the rows of an output that come of those that fill up the batch.
    fn cut(self, spec: &TensorSpec, mut shape: Shape, mut data: TensorData) -> Result<(Shape, TensorData)> {
        if self.missing() == 0 || spec.is_shape_tensor || shape.first() != Some(&(self.padded as i64)) {
            return Ok((shape, data));
        }
        let size = shape.byte_size(spec.data_type);
        shape.set_batch(self.given as i64);
        let kept = match (size, shape.byte_size(spec.data_type)) {
            (Some(all), Some(kept)) if all == data.len() => kept,
            // `Rows` says that shape and size do not fit.
            (Some(_), _) => return Ok((shape, data)),
            (None, _) => elements_size(&spec.name, &data, &shape)?,
        };
        if kept > data.len() {
            return Err(Error::internal(format!("output '{}' is shorter than its shape says", spec.name)));
        }
        let kept = data.split_to(kept);
        Ok((shape, kept))
    }
}

/// The bytes of an output from the first request that wants it in host memory to the last one.
fn range_for_host(index: usize, requests: &[Request], data: &TensorData) -> Range<usize> {
    let rows: usize = requests.iter().map(|request| request.batch_size).sum();
    let mut end = 0;
    let mut wanted: Option<Range<usize>> = None;
    for request in requests {
        let start = end;
        end += request.batch_size;
        if request.outputs.place(index).is_some_and(|place| !is_on_device(place)) {
            wanted = Some(wanted.map_or(start, |range| range.start)..end);
        }
    }
    let row = data.len().checked_div(rows).unwrap_or(0);
    match wanted {
        Some(range) if requests.len() > 1 => range.start * row..range.end * row,
        _ => 0..data.len(),
    }
}

fn host_part(
    data: &TensorData,
    range: Range<usize>,
    pinned: Option<&dyn Allocator>,
) -> Result<HostPart, MemoryError> {
    let all = data.as_placed().unwrap_or(PlacedSlice::Host(&[]));
    let copy = Copy::to_host(all.part(range.start, range.len()), pinned)?;
    Ok(HostPart::new(range.start, copy.finish()?))
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
