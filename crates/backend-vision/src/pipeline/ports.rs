//! The names in a pipeline: which step writes them, which steps read them, and their kinds.

use std::collections::BTreeMap;
use std::ops::Range;

use hippocamp_tensor::Shape;

use super::{Named, Slot};
use crate::file::File;
use crate::value::{DetectionsKind, ImageKind, Kind, TensorKind};

/// All names of a pipeline so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) values: Vec<Named>,
    /// The index of the step that writes each value; `None` for an input of the model.
    writers: Vec<Option<usize>>,
    pub(super) is_read: Vec<bool>,
    /// The names that may be inputs; `None` for any.
    pub(super) allowed_inputs: Option<Vec<String>>,
}

/// Binds the names of a step to slots, and collects the faults of its parameters.
#[derive(Debug)]
pub(crate) struct Ports<'a, 'f> {
    pub(super) names: &'a mut Names,
    pub(super) file: &'a mut File<'f>,
    /// The index of the step, from 0.
    pub(super) number: usize,
    pub(super) op: &'static str,
    /// The place of the step in the text.
    pub(super) place: Range<usize>,
    pub(super) keys: BTreeMap<String, Range<usize>>,
    pub(super) reads: Vec<Slot>,
    pub(super) writes: Vec<Slot>,
    /// The index of the last step that writes each name, to recognise values that are read too early.
    pub(super) later: &'a BTreeMap<String, usize>,
}

impl Ports<'_, '_> {
    /// Adds a fault of the parameter `key`.
    pub(crate) fn fault(&mut self, key: &str, message: impl AsRef<str>) {
        let place = self.keys.get(key).unwrap_or(&self.place);
        let text = format!("step {} '{}': {}", self.number + 1, self.op, message.as_ref());
        self.file.fault(place, text);
    }

    /// Reads a file that a parameter names.
    pub(crate) fn read_beside(&self, name: &str) -> Result<String, String> {
        self.file.read_beside(name)
    }

    /// Binds an encoded value: an input of the model, unless a step writes it.
    pub(crate) fn read_encoded(&mut self, key: &str, name: &str) -> Slot {
        self.read(key, name, Kind::Encoded).0
    }

    /// Binds an image. As an input of the model it is a UINT8 tensor `[height, width, 3]` in RGB.
    pub(crate) fn read_image(&mut self, key: &str, name: &str) -> (Slot, ImageKind) {
        match self.read(key, name, Kind::Image(ImageKind::default())) {
            (slot, Kind::Image(kind)) => (slot, kind),
            (slot, _) => (slot, ImageKind::default()),
        }
    }

    /// Binds a tensor of that type and shape, in which -1 stands for any size. Returns the dims as far as they are
    /// known.
    pub(crate) fn read_tensor(&mut self, key: &str, name: &str, wanted: TensorKind) -> (Slot, Shape) {
        match self.read(key, name, Kind::Tensor(wanted)) {
            (slot, Kind::Tensor(kind)) => (slot, kind.dims),
            (slot, _) => (slot, Shape::default()),
        }
    }

    /// Binds a 2x3 matrix.
    pub(crate) fn read_matrix(&mut self, key: &str, name: &str) -> Slot {
        self.read(key, name, Kind::Matrix).0
    }

    /// Binds an image size.
    pub(crate) fn read_size(&mut self, key: &str, name: &str) -> Slot {
        self.read(key, name, Kind::Size).0
    }

    /// Binds detections, which an earlier step has to write: they cannot be inputs of the model.
    pub(crate) fn read_detections(&mut self, key: &str, name: &str) -> (Slot, DetectionsKind) {
        let unknown = DetectionsKind::default();
        if self.find(name).is_none() && !self.later.contains_key(name) {
            self.fault(key, format!("'{name}' was expected to be detections, which a step before writes"));
            return (self.add(name, Kind::Detections(unknown), Some(self.number)), unknown);
        }
        match self.read(key, name, Kind::Detections(unknown)) {
            (slot, Kind::Detections(kind)) => (slot, kind),
            (slot, _) => (slot, unknown),
        }
    }

    /// The kind of a name so far.
    pub(crate) fn kind_of(&self, name: &str) -> Option<&Kind> {
        self.names.values.get(self.find(name)?.0).map(|value| &value.kind)
    }

    /// Binds a name to write, which no other step may write.
    pub(crate) fn write(&mut self, key: &str, name: &str, kind: Kind) -> Slot {
        if let Some(slot) = self.find(name) {
            let message = match self.names.writers.get(slot.0).copied().flatten() {
                Some(step) => {
                    format!("'{name}' is written by step {} already; give it a name of its own", step + 1)
                }
                None => format!("'{name}' is an input of the model; what is written needs a name of its own"),
            };
            self.fault(key, message);
            return slot;
        }
        let slot = self.add(name, kind, Some(self.number));
        self.writes.push(slot);
        slot
    }

    /// Binds an optional value to write, if it has a name.
    pub(crate) fn write_if_named(&mut self, key: &str, name: Option<&str>, kind: Kind) -> Option<Slot> {
        name.map(|name| self.write(key, name, kind))
    }

    fn read(&mut self, key: &str, name: &str, wanted: Kind) -> (Slot, Kind) {
        let slot = match self.find(name) {
            Some(slot) => slot,
            None => self.new_input(key, name, wanted.clone()),
        };
        self.reads.push(slot);
        if let Some(flag) = self.names.is_read.get_mut(slot.0) {
            *flag = true;
        }
        let is_input = self.names.writers.get(slot.0).is_some_and(Option::is_none);
        let Some(value) = self.names.values.get_mut(slot.0) else { return (slot, wanted) };
        let Some(kind) = agree(&value.kind, &wanted) else {
            let message = format!("'{name}' was expected to be {wanted}, it is {}", value.kind);
            self.fault(key, message);
            return (slot, wanted);
        };
        if is_input {
            value.kind = kind.clone();
        }
        (slot, kind)
    }

    /// Adds a name that no step wrote as an input of the model, if its kind permits that.
    fn new_input(&mut self, key: &str, name: &str, kind: Kind) -> Slot {
        if let Some(writer) = self.later.get(name) {
            let message = format!("'{name}' is written by step {}, which comes later", writer + 1);
            self.fault(key, message);
        } else if let Some(allowed) = &self.names.allowed_inputs
            && !allowed.iter().any(|input| input == name)
        {
            let message = format!(
                "there is no value '{name}': no step before writes it, and the inputs are: {}",
                allowed.join(", ")
            );
            self.fault(key, message);
        }
        self.add(name, kind, None)
    }

    fn find(&self, name: &str) -> Option<Slot> {
        self.names.values.iter().position(|value| value.name == name).map(Slot)
    }

    fn add(&mut self, name: &str, kind: Kind, writer: Option<usize>) -> Slot {
        let slot = Slot(self.names.values.len());
        self.names.values.push(Named { name: name.to_owned(), kind });
        self.names.writers.push(writer);
        self.names.is_read.push(false);
        slot
    }
}

impl Names {
    /// The inputs of the model, in the order of first use.
    pub(super) fn inputs(&self) -> Vec<Slot> {
        let writers = self.writers.iter().enumerate();
        writers.filter(|(_, writer)| writer.is_none()).map(|(index, _)| Slot(index)).collect()
    }
}

/// The kind of a value that satisfies both; `None` if there is none.
fn agree(there: &Kind, wanted: &Kind) -> Option<Kind> {
    match (there, wanted) {
        // The reader gets what is known of the value that was written.
        (Kind::Image(_), Kind::Image(_)) | (Kind::Detections(_), Kind::Detections(_)) => Some(there.clone()),
        (Kind::Tensor(there), Kind::Tensor(wanted)) => {
            if there.data_type != wanted.data_type || there.dims.len() != wanted.dims.len() {
                return None;
            }
            let pairs = there.dims.iter().zip(wanted.dims.iter());
            let dims: Option<Shape> = pairs
                .map(|(&a, &b)| match (a, b) {
                    (-1, known) | (known, -1) => Some(known),
                    (a, b) => (a == b).then_some(a),
                })
                .collect();
            Some(Kind::Tensor(TensorKind { data_type: there.data_type, dims: dims? }))
        }
        _ => (there == wanted).then(|| there.clone()),
    }
}
