//! What an instance can be asked about itself.

use std::ffi::c_char;

use hippocamp_backend::Device;

use super::InstanceObject;
use crate::border::{Out, Ref, Returned, address, call, misuse};
use crate::objects::{BufferAttributesObject, MessageObject};

type Instance = Ref<InstanceObject>;

pub(crate) extern "C" fn name(instance: Instance, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_ModelInstanceName", || name.set("name", address(&instance.get()?.name)))
}

pub(crate) extern "C" fn kind(instance: Instance, kind: Out<u32>) -> Returned {
    call("TRITONBACKEND_ModelInstanceKind", || kind.set("kind", instance.get()?.kind.number()))
}

pub(crate) extern "C" fn device_id(instance: Instance, id: Out<i32>) -> Returned {
    call("TRITONBACKEND_ModelInstanceDeviceId", || {
        let device = instance.get()?.device;
        id.set("device_id", if let Device::Gpu(id) = device { id } else { 0 })
    })
}

/// No instance is made of a passive group.
pub(crate) extern "C" fn is_passive(instance: Instance, passive: Out<bool>) -> Returned {
    call("TRITONBACKEND_ModelInstanceIsPassive", || {
        instance.get()?;
        passive.set("is_passive", false)
    })
}

pub(crate) extern "C" fn host_policy(instance: Instance, policy: Out<Ref<MessageObject>>) -> Returned {
    call("TRITONBACKEND_ModelInstanceHostPolicy", || {
        policy.set("host_policy", instance.get()?.host_policy.as_ref())
    })
}

pub(crate) extern "C" fn profile_count(instance: Instance, count: Out<u32>) -> Returned {
    call("TRITONBACKEND_ModelInstanceProfileCount", || {
        count.set("count", instance.get()?.profiles.len() as u32)
    })
}

pub(crate) extern "C" fn profile_name(instance: Instance, index: u32, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_ModelInstanceProfileName", || {
        let instance = instance.get()?;
        let count = instance.profiles.len();
        let profile = instance.profiles.get(index as usize);
        let profile = profile.ok_or_else(|| misuse(format!("there is no profile {index} of {count}")))?;
        name.set("profile_name", address(profile))
    })
}

pub(crate) extern "C" fn secondary_device_count(instance: Instance, count: Out<u32>) -> Returned {
    call("TRITONBACKEND_ModelInstanceSecondaryDeviceCount", || {
        count.set("count", instance.get()?.secondary_devices.len() as u32)
    })
}

pub(crate) extern "C" fn secondary_device_properties(
    instance: Instance,
    index: u32,
    kind: Out<*const c_char>,
    id: Out<i64>,
) -> Returned {
    call("TRITONBACKEND_ModelInstanceSecondaryDeviceProperties", || {
        let instance = instance.get()?;
        let count = instance.secondary_devices.len();
        let device = instance.secondary_devices.get(index as usize);
        let (name, number) =
            device.ok_or_else(|| misuse(format!("there is no secondary device {index} of {count}")))?;
        id.check("id")?;
        kind.set("kind", address(name))?;
        id.set("id", *number)
    })
}

/// The server measures itself what models take.
pub(crate) extern "C" fn report_memory_usage(
    instance: Instance,
    _usage: *const Ref<BufferAttributesObject>,
    _count: u32,
) -> Returned {
    call("TRITONBACKEND_ModelInstanceReportMemoryUsage", || instance.get().map(drop))
}
