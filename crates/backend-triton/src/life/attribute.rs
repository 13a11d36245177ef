//! The attributes that a backend states of itself after it was initialized.

use hippocamp_backend::Result;
use parking_lot::Mutex;

use crate::border::{InstanceKind, Kind, Object, Ref, Registry, Returned, call, list};

/// What a backend says of itself.
#[derive(Debug, Default)]
pub(crate) struct AttributeObject(Mutex<Attributes>);

/// The attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    /// The kinds of instance groups that it likes, the best first.
    pub(crate) preferred_groups: Vec<PreferredGroup>,
    /// Whether several instances of a model may be initialized at once.
    pub(crate) parallel_instance_loading: bool,
}

/// An instance group that a backend likes for models whose configs name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreferredGroup {
    pub(crate) kind: InstanceKind,
    /// 0 leaves it to the host.
    pub(crate) count: u64,
}

impl Object for AttributeObject {
    const KIND: Kind = Kind::BackendAttribute;

    fn registry() -> &'static Registry<Self> {
        static ATTRIBUTES: Registry<AttributeObject> = Registry::new(Kind::BackendAttribute);
        &ATTRIBUTES
    }
}

impl AttributeObject {
    pub(crate) fn attributes(&self) -> Attributes {
        self.0.lock().clone()
    }

    fn add_group(&self, kind: u32, count: u64) -> Result<()> {
        let kind = InstanceKind::from_number(kind, "kind")?;
        self.0.lock().preferred_groups.push(PreferredGroup { kind, count });
        Ok(())
    }
}

pub(crate) extern "C" fn add_preferred_instance_group(
    attribute: Ref<AttributeObject>,
    kind: u32,
    count: u64,
    device_ids: *const u64,
    id_count: u64,
) -> Returned {
    call("TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup", || {
        // Which devices there are, the host knows itself.
        list(device_ids, id_count, "device_ids")?;
        attribute.get()?.add_group(kind, count)
    })
}

pub(crate) extern "C" fn set_parallel_model_instance_loading(
    attribute: Ref<AttributeObject>,
    enabled: u8,
) -> Returned {
    call("TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading", || {
        attribute.get()?.0.lock().parallel_instance_loading = enabled != 0;
        Ok(())
    })
}
