//! The shared memory extensions: status, register and unregister of regions.

use hippocamp_backend::{Error, Result};
use hippocamp_http_content::{
    Unread,
    json::{JsonWriter, Scalar},
};
use hippocamp_net::Source;
use hippocamp_shm::{CudaRegion, SharedMemory, SystemRegion};
use hyper::{Response, StatusCode};

use crate::front::HttpFront;
use crate::repository::{from_base64, members, read};
use crate::response::{self, ResponseBody};
use crate::router::{MemoryAction, MemoryKind};

/// The size of what CUDA calls an IPC memory handle.
const CUDA_HANDLE: usize = 64;

pub(crate) async fn respond<B>(
    front: &HttpFront,
    kind: MemoryKind,
    action: MemoryAction,
    region: &str,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let done = async {
        let memory = front.server.shared_memory();
        if action == MemoryAction::Register
            && let Err(nameless) = memory.require_name(region, kind.name())
        {
            body.discard().await;
            return Err(nameless);
        }
        let json = read(front, body).await?;
        match (action, kind) {
            (MemoryAction::Status, MemoryKind::System) => return Ok(Some(written(&memory.status(region)?))),
            (MemoryAction::Status, MemoryKind::Cuda) => {
                return Ok(Some(cuda_written(&memory.cuda_status(region)?)));
            }
            (MemoryAction::Register, MemoryKind::System) => register(memory, region, &json)?,
            (MemoryAction::Register, MemoryKind::Cuda) => register_cuda(memory, region, &json)?,
            (MemoryAction::Unregister, MemoryKind::System) => memory.unregister(region)?,
            (MemoryAction::Unregister, MemoryKind::Cuda) => memory.unregister_cuda(region)?,
        }
        Ok(None)
    };
    match done.await {
        Ok(Some(content)) => response::json(content),
        Ok(None) => response::empty(StatusCode::OK),
        Err(error) => response::error(&error),
    }
}

fn written(regions: &[SystemRegion]) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_array();
    for region in regions {
        writer.open_object();
        writer.name("name");
        writer.string(region.name.as_bytes());
        writer.name("key");
        writer.string(region.key.as_bytes());
        writer.name("offset");
        writer.integer(region.offset);
        writer.name("byte_size");
        writer.integer(region.byte_size);
        writer.close_object();
    }
    writer.close_array();
    writer.into_bytes()
}

fn cuda_written(regions: &[CudaRegion]) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_array();
    for region in regions {
        writer.open_object();
        writer.name("name");
        writer.string(region.name.as_bytes());
        writer.name("device_id");
        writer.integer(region.device_id);
        writer.name("byte_size");
        writer.integer(region.byte_size);
        writer.close_object();
    }
    writer.close_array();
    writer.into_bytes()
}

fn register(memory: &SharedMemory, name: &str, json: &[u8]) -> Result<()> {
    let (mut key, mut offset, mut byte_size) = (None, None, None);
    fields(json, |field, value| match field {
        b"key" => first(&mut key, value),
        b"offset" => first(&mut offset, value),
        b"byte_size" => first(&mut byte_size, value),
        _ => {}
    })?;
    let key = key.ok_or_else(|| missing("key"))?.into_bytes()?;
    let offset = offset.map_or(Ok(0), |offset| offset.as_u64())?;
    let byte_size = byte_size.ok_or_else(|| missing("byte_size"))?.as_u64()?;
    memory.register(name, &String::from_utf8_lossy(&key), offset, byte_size)
}

fn register_cuda(memory: &SharedMemory, name: &str, json: &[u8]) -> Result<()> {
    let (mut handle, mut device, mut byte_size) = (None, None, None);
    if json.is_empty() {
        return Err(empty());
    }
    members(json, |cursor, field| {
        match field {
            b"raw_handle" if handle.is_none() && cursor.is_object() => {
                cursor.object(|cursor, field| {
                    let value = cursor.scalar()?;
                    if &*field == b"b64" {
                        first(&mut handle, value);
                    }
                    Ok(())
                })?;
            }
            b"device_id" => first(&mut device, cursor.scalar()?),
            b"byte_size" => first(&mut byte_size, cursor.scalar()?),
            _ => cursor.skip_value()?,
        }
        Ok(())
    })?;
    let handle = handle.ok_or_else(|| missing("raw_handle"))?.into_bytes()?;
    let device = device.ok_or_else(|| missing("device_id"))?.as_u64()?;
    let byte_size = byte_size.ok_or_else(|| missing("byte_size"))?.as_u64()?;
    if let Ok(handle) = from_base64(&handle)
        && handle.len() == CUDA_HANDLE
    {
        return memory.register_cuda(name, &handle, device, byte_size);
    }
    let text = "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t";
    Err(Error::invalid_arg(text))
}

/// Reads the members of the object that a request is. All of them are plain values.
fn fields<'a>(json: &'a [u8], mut field: impl FnMut(&[u8], Scalar<'a>)) -> Result<()> {
    if json.is_empty() {
        return Err(empty());
    }
    members(json, |cursor, name| {
        let value = cursor.scalar()?;
        field(name, value);
        Ok(())
    })
}

/// Of members with the same name the first counts.
fn first<'a>(place: &mut Option<Scalar<'a>>, value: Scalar<'a>) {
    place.get_or_insert(value);
}

#[cold]
fn empty() -> Error {
    Error::invalid_arg("failed to parse the request JSON buffer: The document is empty. at 0")
}

#[cold]
fn missing(field: &str) -> Error {
    Error::invalid_arg(format!("Shared memory register request has no '{field}' field"))
}
