//! The shared memory extensions: registering regions, and the parameters by which tensors name them.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_core::InferenceServer;
use hippocamp_proto::inference as pb;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_shm::CudaRegion;
use pb::cuda_shared_memory_status_response::RegionStatus as CudaRegionStatus;
use pb::system_shared_memory_status_response::RegionStatus;

/// Where in shared memory a tensor is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) region: &'a str,
    pub(crate) offset: u64,
    pub(crate) byte_size: u64,
}

impl<'a> Place<'a> {
    /// What the parameters of a tensor say of it.
    pub(crate) fn of(
        tensor: &str,
        parameters: &'a BTreeMap<String, pb::InferParameter>,
    ) -> Result<Option<Place<'a>>> {
        if parameters.is_empty() {
            return Ok(None);
        }
        let value = |name: &str| parameters.get(name).map(|parameter| &parameter.parameter_choice);
        let region = match value("shared_memory_region") {
            None => None,
            Some(Some(ParameterChoice::StringParam(region))) => Some(region.as_str()),
            Some(_) => return Err(wrong_type("shared_memory_region", tensor, "string_param")),
        };
        let number = |name: &str| match value(name) {
            None => Ok(None),
            Some(_) if region.is_none() => Err(Error::invalid_arg(format!(
                "'{name}' can not be specified without 'shared_memory_region' parameter for tensor '{tensor}'"
            ))),
            // A negative number is one that lies in no region.
            Some(Some(ParameterChoice::Int64Param(number))) => Ok(Some(number.cast_unsigned())),
            Some(_) => Err(wrong_type(name, tensor, "int64_param")),
        };
        let offset = number("shared_memory_offset")?.unwrap_or(0);
        let byte_size = number("shared_memory_byte_size")?;
        let Some(region) = region else { return Ok(None) };
        let byte_size = byte_size.ok_or_else(|| {
            Error::invalid_arg(format!(
                "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor \
                 '{tensor}'"
            ))
        })?;
        Ok(Some(Place { region, offset, byte_size }))
    }
}

#[cold]
fn wrong_type(name: &str, tensor: &str, expected: &str) -> Error {
    Error::invalid_arg(format!(
        "invalid value type for '{name}' parameter for tensor '{tensor}', expected {expected}."
    ))
}

pub(crate) fn register(
    server: &InferenceServer,
    request: &pb::SystemSharedMemoryRegisterRequest,
) -> Result<pb::SystemSharedMemoryRegisterResponse> {
    let memory = server.shared_memory();
    memory.register(&request.name, &request.key, request.offset, request.byte_size)?;
    Ok(pb::SystemSharedMemoryRegisterResponse {})
}

pub(crate) fn unregister(
    server: &InferenceServer,
    request: &pb::SystemSharedMemoryUnregisterRequest,
) -> Result<pb::SystemSharedMemoryUnregisterResponse> {
    server.shared_memory().unregister(&request.name)?;
    Ok(pb::SystemSharedMemoryUnregisterResponse {})
}

pub(crate) fn status(
    server: &InferenceServer,
    request: &pb::SystemSharedMemoryStatusRequest,
) -> Result<pb::SystemSharedMemoryStatusResponse> {
    let regions = server.shared_memory().status(&request.name)?.into_iter().map(|region| {
        let name = region.name.clone();
        let (key, offset, byte_size) = (region.key, region.offset, region.byte_size);
        (name, RegionStatus { name: region.name, key, offset, byte_size })
    });
    Ok(pb::SystemSharedMemoryStatusResponse { regions: regions.collect() })
}

pub(crate) fn cuda_register(
    server: &InferenceServer,
    request: &pb::CudaSharedMemoryRegisterRequest,
) -> Result<pb::CudaSharedMemoryRegisterResponse> {
    // A device id that is negative is of no device.
    let device = u64::try_from(request.device_id).unwrap_or(u64::MAX);
    server.shared_memory().register_cuda(&request.name, &request.raw_handle, device, request.byte_size)?;
    Ok(pb::CudaSharedMemoryRegisterResponse {})
}

pub(crate) fn cuda_unregister(
    server: &InferenceServer,
    request: &pb::CudaSharedMemoryUnregisterRequest,
) -> Result<pb::CudaSharedMemoryUnregisterResponse> {
    server.shared_memory().unregister_cuda(&request.name)?;
    Ok(pb::CudaSharedMemoryUnregisterResponse {})
}

pub(crate) fn cuda_status(
    server: &InferenceServer,
    request: &pb::CudaSharedMemoryStatusRequest,
) -> Result<pb::CudaSharedMemoryStatusResponse> {
    let regions = server.shared_memory().cuda_status(&request.name)?.into_iter().map(|region| {
        let CudaRegion { name, device_id, byte_size } = region;
        (name.clone(), CudaRegionStatus { name, device_id, byte_size })
    });
    Ok(pb::CudaSharedMemoryStatusResponse { regions: regions.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(parameters: &[(&str, ParameterChoice)]) -> Result<Option<(String, u64, u64)>> {
        let parameter =
            |choice: &ParameterChoice| pb::InferParameter { parameter_choice: Some(choice.clone()) };
        let parameters =
            parameters.iter().map(|(name, choice)| ((*name).to_owned(), parameter(choice))).collect();
        Place::of("T", &parameters).map(|p| p.map(|p| (p.region.to_owned(), p.offset, p.byte_size)))
    }

    #[test]
    fn a_place_is_a_region_an_offset_and_a_size() {
        use ParameterChoice::{Int64Param, StringParam, Uint64Param};
        let region = || ("shared_memory_region", StringParam("r".into()));
        let size = |size| ("shared_memory_byte_size", Int64Param(size));
        assert_eq!(place(&[]).unwrap(), None);
        assert_eq!(place(&[("other", Int64Param(1))]).unwrap(), None);
        assert_eq!(place(&[region(), size(8)]).unwrap(), Some(("r".to_owned(), 0, 8)));
        let far = ("shared_memory_offset", Int64Param(-1));
        assert_eq!(place(&[region(), size(8), far.clone()]).unwrap(), Some(("r".to_owned(), u64::MAX, 8)));
        let text = |parameters: &[_]| place(parameters).unwrap_err().message().to_owned();
        assert_eq!(
            text(&[region()]),
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor 'T'"
        );
        assert_eq!(
            text(&[far]),
            "'shared_memory_offset' can not be specified without 'shared_memory_region' parameter for tensor 'T'"
        );
        assert_eq!(
            text(&[region(), ("shared_memory_byte_size", Uint64Param(8))]),
            "invalid value type for 'shared_memory_byte_size' parameter for tensor 'T', expected int64_param."
        );
        assert_eq!(
            text(&[("shared_memory_region", Int64Param(3)), size(8)]),
            "invalid value type for 'shared_memory_region' parameter for tensor 'T', expected string_param."
        );
    }
}
