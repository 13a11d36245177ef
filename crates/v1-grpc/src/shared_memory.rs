//! `SharedMemoryControl`, which is four calls in one.

use hippocamp_backend::{Code, Error, Result};
use hippocamp_proto::v1::SharedMemoryControlRequest;
use hippocamp_proto::v1::shared_memory_control_request::SharedMemoryControl as Asked;
use hippocamp_proto::v1::shared_memory_control_request::register::SharedMemoryTypes;
use hippocamp_proto::v1::shared_memory_control_response::{SharedMemoryControl as Answered, Status};
use hippocamp_v1::V1;

/// Does what is asked for. Only a status has an answer.
pub(crate) fn control(v1: &V1, request: SharedMemoryControlRequest) -> Result<Option<Answered>> {
    let unspecified = |what: &str| Error::new(Code::Unknown, format!("{what} is not specified"));
    match request.shared_memory_control.ok_or_else(|| unspecified("request type"))? {
        Asked::Register(register) => match register.shared_memory_types {
            Some(SharedMemoryTypes::SystemSharedMemory(object)) => {
                v1.register(&register.name, &object.shared_memory_key, object.offset, register.byte_size)?;
            }
            Some(SharedMemoryTypes::CudaSharedMemory(memory)) => {
                // A device id that is negative is of no device.
                let device = u64::try_from(memory.device_id).unwrap_or(u64::MAX);
                v1.register_cuda(&register.name, &memory.raw_handle, device, register.byte_size)?;
            }
            None => return Err(unspecified("shared memory type")),
        },
        Asked::Unregister(unregister) => v1.unregister(&unregister.name)?,
        Asked::UnregisterAll(_) => v1.unregister_all()?,
        Asked::Status(_) => {
            let regions = v1.regions()?;
            let status = Status { shared_memory_region: regions.clone(), as_clients_read: regions };
            return Ok(Some(Answered::SharedMemoryStatus(status)));
        }
    }
    Ok(None)
}
