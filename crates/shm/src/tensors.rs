//! What a request has in shared memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{PlacedBuffer, TensorData};
use smallvec::SmallVec;

use crate::{Lease, SharedMemory};

/// The largest input. As a message may be no larger, neither may what costs the client nothing: an object can claim
/// to be of any size.
const LARGEST_INPUT: u64 = i32::MAX as u64;

/// The tensors of one request that lie in shared memory. Kept until its answer is encoded: outputs are written then,
/// and only then it shows whether the inputs were there all the time.
#[derive(Debug, Default)]
pub struct SharedTensors {
    inputs: SmallVec<[Arc<Lease>; 2]>,
    /// By the output's name.
    outputs: BTreeMap<Box<str>, Lease>,
}

impl SharedTensors {
    /// An input. Its bytes stay where they are until a batch is assembled.
    pub fn input(
        &mut self,
        of: &SharedMemory,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<TensorData> {
        let lease = Arc::new(of.lease(region, offset, byte_size)?);
        if byte_size > LARGEST_INPUT {
            return Err(Error::invalid_arg(format!(
                "an input in shared memory region '{region}' was expected to have {LARGEST_INPUT} bytes at most, got \
                 {byte_size}"
            )));
        }
        self.inputs.push(Arc::clone(&lease));
        Ok(TensorData::from(lease as Arc<dyn PlacedBuffer>))
    }

    /// Where an output shall be written to. Its size is the most that it may have.
    pub fn output(
        &mut self,
        of: &SharedMemory,
        output: &str,
        region: &str,
        offset: u64,
        byte_size: u64,
    ) -> Result<()> {
        let lease = of.lease(region, offset, byte_size)?;
        // A request that lists an output twice is refused when its names are checked.
        self.outputs.entry(output.into()).or_insert(lease);
        Ok(())
    }

    /// Whether an output is to be written to shared memory.
    pub fn has_output(&self, output: &str) -> bool {
        self.outputs.contains_key(output)
    }

    /// Writes an output to where the request wants it, in one copy, wherever it is. False if it wants it in the answer.
    pub fn write(&mut self, output: &str, data: &TensorData) -> Result<bool> {
        let Some(lease) = self.outputs.get_mut(output) else { return Ok(false) };
        let (room, size) = (lease.len(), data.len());
        if size > room {
            return Err(Error::internal(format!(
                "shared memory size specified with the request for output '{output}' ({room} bytes) should be at least \
                 {size} bytes to hold the results"
            )));
        }
        data.copy_into(lease, 0)?;
        lease.check()?;
        Ok(true)
    }

    /// An error if an input's memory went away: then the answer was made of zeros. To be asked when everything is encoded,
    /// as an output may be an input that was handed on.
    pub fn check_inputs(&self) -> Result<()> {
        self.inputs.iter().try_for_each(|lease| lease.check())
    }
}
