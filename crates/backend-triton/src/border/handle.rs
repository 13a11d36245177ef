//! Handles: what backends hold instead of pointers to objects.
//!
//! To a backend a handle is an opaque pointer that only the host makes and reads. So it needs no address: it is the number
//! of a slot, the generation of that slot, and the kind of the object, packed into a word. A handle that is stale, of
//! another kind or made up is told from a good one without reading memory that may be gone.

use std::fmt;

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Error = 1,
    Message,
    Parameter,
    BufferAttributes,
    MemoryManager,
    Backend,
    BackendAttribute,
    Model,
    ModelInstance,
    Server,
    Request,
    Input,
    State,
    ResponseFactory,
    Response,
    Output,
    ResponseStatistics,
    MetricFamily,
    Metric,
    MetricArgs,
    InferenceTrace,
    InferenceRequest,
    InferenceResponse,
    ResponseAllocator,
}

impl Kind {
    const ALL: [(Kind, &'static str); 24] = [
        (Kind::Error, "TRITONSERVER_Error"),
        (Kind::Message, "TRITONSERVER_Message"),
        (Kind::Parameter, "TRITONSERVER_Parameter"),
        (Kind::BufferAttributes, "TRITONSERVER_BufferAttributes"),
        (Kind::MemoryManager, "TRITONBACKEND_MemoryManager"),
        (Kind::Backend, "TRITONBACKEND_Backend"),
        (Kind::BackendAttribute, "TRITONBACKEND_BackendAttribute"),
        (Kind::Model, "TRITONBACKEND_Model"),
        (Kind::ModelInstance, "TRITONBACKEND_ModelInstance"),
        (Kind::Server, "TRITONSERVER_Server"),
        (Kind::Request, "TRITONBACKEND_Request"),
        (Kind::Input, "TRITONBACKEND_Input"),
        (Kind::State, "TRITONBACKEND_State"),
        (Kind::ResponseFactory, "TRITONBACKEND_ResponseFactory"),
        (Kind::Response, "TRITONBACKEND_Response"),
        (Kind::Output, "TRITONBACKEND_Output"),
        (Kind::ResponseStatistics, "TRITONBACKEND_ModelInstanceResponseStatistics"),
        (Kind::MetricFamily, "TRITONSERVER_MetricFamily"),
        (Kind::Metric, "TRITONSERVER_Metric"),
        (Kind::MetricArgs, "TRITONSERVER_MetricArgs"),
        (Kind::InferenceTrace, "TRITONSERVER_InferenceTrace"),
        (Kind::InferenceRequest, "TRITONSERVER_InferenceRequest"),
        (Kind::InferenceResponse, "TRITONSERVER_InferenceResponse"),
        (Kind::ResponseAllocator, "TRITONSERVER_ResponseAllocator"),
    ];

    /// The name of the type in Triton's headers.
    pub(crate) fn name(self) -> &'static str {
        Kind::ALL[self as usize - 1].1
    }

    fn of(number: u64) -> Option<Kind> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Kind::ALL.get(index).map(|(kind, _)| *kind)
    }
}

/// How many bits each part has; together 64. From the lowest on: slot, generation, part, kind.
const SLOT_BITS: u32 = 22;
const GENERATION_BITS: u32 = 24;
const PART_BITS: u32 = 12;

/// The largest number of slots of a kind.
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;
/// The number of different generations of a slot.
pub(crate) const GENERATIONS: u64 = 1 << GENERATION_BITS;
/// The largest number of parts, such as inputs, that an object can have.
pub(crate) const MAX_PARTS: usize = 1 << PART_BITS;

/// A word that names an object, or a part of one. 0 is NULL.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct Handle(u64);

const _: () = assert!(size_of::<Handle>() == size_of::<*mut ()>(), "handles take the place of pointers");

impl Handle {
    pub(crate) const NULL: Handle = Handle(0);

    pub(crate) fn new(kind: Kind, slot: usize, generation: u64, part: usize) -> Handle {
        debug_assert!(slot < MAX_SLOTS && generation < GENERATIONS && part < MAX_PARTS);
        let (kind, slot, part) = (kind as u64, slot as u64, part as u64);
        Handle(
            slot | generation << SLOT_BITS
                | part << (SLOT_BITS + GENERATION_BITS)
                | kind << (SLOT_BITS + GENERATION_BITS + PART_BITS),
        )
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        Kind::of(self.0 >> (SLOT_BITS + GENERATION_BITS + PART_BITS))
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & (MAX_SLOTS as u64 - 1)) as usize
    }

    pub(crate) fn generation(self) -> u64 {
        (self.0 >> SLOT_BITS) & (GENERATIONS - 1)
    }

    pub(crate) fn part(self) -> usize {
        ((self.0 >> (SLOT_BITS + GENERATION_BITS)) & (MAX_PARTS as u64 - 1)) as usize
    }

    /// The handle of a part of this object.
    pub(crate) fn part_of(self, kind: Kind, part: usize) -> Handle {
        Handle::new(kind, self.slot(), self.generation(), part)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            _ if self.is_null() => f.write_str("NULL"),
            Some(kind) => {
                write!(f, "{} {}.{}.{}", kind.name(), self.slot(), self.part(), self.generation())
            }
            None => write!(f, "{:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_keeps_all_its_parts() {
        for (index, (kind, name)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.name()), (index + 1, name));
            let handle = Handle::new(kind, MAX_SLOTS - 1, GENERATIONS - 1, MAX_PARTS - 1);
            assert_eq!(handle.kind(), Some(kind));
            assert_eq!(
                (handle.slot(), handle.generation(), handle.part()),
                (MAX_SLOTS - 1, GENERATIONS - 1, MAX_PARTS - 1)
            );
            let handle = Handle::new(kind, 3, 2, 1).part_of(Kind::Input, 7);
            assert_eq!((handle.slot(), handle.generation(), handle.part()), (3, 2, 7));
        }
        assert!(Handle::NULL.is_null() && Handle::NULL.kind().is_none());
    }
}
