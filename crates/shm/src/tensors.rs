//! The tensors of a request that are in shared memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{Place, PlacedBuffer, PlacedBufferMut, PlacedSlice, TensorData};
use smallvec::SmallVec;

use crate::{Lease, Part, SharedMemory};

/// The largest input in bytes, the same as in a message. An object can claim any size at no cost to the client.
const LARGEST_INPUT: u64 = i32::MAX as u64;

/// The tensors of one request that are in shared memory. Kept until the response is encoded: outputs are written then,
/// and only then is it certain whether the inputs kept their memory.
#[derive(Debug, Default)]
pub struct SharedTensors {
    inputs: SmallVec<[Arc<Lease>; 2]>,
    /// Parts of regions by the output's name.
    outputs: BTreeMap<Box<str>, Target>,
}

/// Where an output is written.
#[derive(Debug)]
struct Target {
    part: Part,
    /// Whether the output of the response that is being delivered is there already.
    is_written: bool,
}

impl SharedTensors {
    /// Makes an input tensor of a region. Its bytes are copied when a batch is assembled.
    pub fn input(
        &mut self,
        of: &SharedMemory,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<TensorData> {
        let part = of.lease(region, offset, byte_size)?;
        if byte_size > LARGEST_INPUT {
            return Err(Error::invalid_arg(format!(
                "an input in shared memory region '{region}' was expected to have {LARGEST_INPUT} bytes at most, got \
                 {byte_size}"
            )));
        }
        let buffer = match part {
            Part::System(lease) => {
                let lease = Arc::new(lease);
                self.inputs.push(Arc::clone(&lease));
                lease as Arc<dyn PlacedBuffer>
            }
            // The driver's own buffer, so that what runs on the device reads it where it is.
            Part::Cuda(buffer) => Arc::<dyn PlacedBufferMut>::from(buffer),
        };
        Ok(TensorData::from(buffer))
    }

    /// Declares where an output is to be written. `byte_size` is the most that it may have.
    pub fn output(
        &mut self,
        of: &SharedMemory,
        output: &str,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<()> {
        let part = of.lease(region, offset, byte_size)?;
        // The first one counts: a request that lists an output twice is refused when its names are checked.
        self.outputs.entry(output.into()).or_insert(Target { part, is_written: false });
        Ok(())
    }

    /// Whether an output is to be written to shared memory.
    pub fn has_output(&self, output: &str) -> bool {
        self.outputs.contains_key(output)
    }

    /// The outputs that are to be written to the memory of a device, and which device that is.
    pub fn outputs_on_devices(&self) -> impl Iterator<Item = (&str, Place)> {
        self.outputs.iter().filter_map(|(name, target)| match &target.part {
            Part::System(_) => None,
            Part::Cuda(buffer) => Some((&**name, buffer.place())),
        })
    }

    /// Writes those of the outputs that are on a device, and are wanted there, to the regions that the request names, by one operation
    /// where the driver can do that, and waits for it. They are left out by the next [`SharedTensors::write`].
    pub fn write_on_devices(&mut self, outputs: &[(&str, &TensorData)]) -> Result<()> {
        let mut copies = SmallVec::<[(&mut dyn PlacedBufferMut, PlacedSlice<'_>); 8]>::new();
        for (name, Target { part, is_written }) in &mut self.outputs {
            let Part::Cuda(buffer) = part else { continue };
            let found = outputs.iter().find(|(output, _)| *output == &**name);
            let Some(source @ PlacedSlice::Placed { .. }) = found.and_then(|(_, data)| data.as_placed())
            else {
                continue;
            };
            check_room(name, buffer.len(), source.len())?;
            *is_written = true;
            copies.push((&mut **buffer, source));
        }
        let Some(((first, source), others)) = copies.split_first_mut() else { return Ok(()) };
        first.copy_with(*source, others)?;
        // The client reads them once it has the response.
        copies.iter_mut().try_for_each(|(target, _)| target.finish())?;
        Ok(())
    }

    /// Writes an output to the region that the request names, in one copy, and waits for that. False if the output belongs into the
    /// response.
    pub fn write(&mut self, output: &str, data: &TensorData) -> Result<bool> {
        let Some(Target { part, is_written }) = self.outputs.get_mut(output) else { return Ok(false) };
        if std::mem::take(is_written) {
            return Ok(true);
        }
        let buffer: &mut dyn PlacedBufferMut = match part {
            Part::System(lease) => lease,
            Part::Cuda(buffer) => &mut **buffer,
        };
        check_room(output, buffer.len(), data.len())?;
        data.copy_into(buffer, 0)?;
        // The client reads it once it has the response.
        buffer.finish()?;
        if let Part::System(lease) = part {
            lease.check()?;
        }
        Ok(true)
    }

    /// An error if an input lost its memory, so that the response was computed from zeros. To be called after
    /// everything is encoded, because an output may share the buffer of an input.
    pub fn check_inputs(&self) -> Result<()> {
        self.inputs.iter().try_for_each(|lease| lease.check())
    }
}

fn check_room(output: &str, room: usize, size: usize) -> Result<()> {
    if size <= room {
        return Ok(());
    }
    Err(Error::internal(format!(
        "shared memory size specified with the request for output '{output}' ({room} bytes) should be at least {size} bytes \
         to hold the results"
    )))
}
