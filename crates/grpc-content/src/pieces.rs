//! An encoded message in pieces, with its large tensors sent from where they are.

use std::collections::VecDeque;

use bytes::Bytes;
use hippocamp_tensor::HostSegments;
use prost::Message;
use smallvec::SmallVec;
use tonic::Status;

use crate::frame_decode::push_varint;
use crate::{HEADER, MESSAGE_SIZE};

/// Smaller tensors are copied behind the text: a frame of their own would cost more.
const SMALL: usize = 16 << 10;

/// The encoded message behind its header, in pieces that are to be sent one after the other. Behind the fields of `message`
/// come the tensors, each as an entry of the repeated field of bytes with the number `field`, which is below 16. Copies no
/// large tensor.
// Inlined into the one call of each protocol, which `scripts/bench instructions` looks at.
#[inline]
pub fn pieces<M: Message>(
    message: &M,
    field: u8,
    raw: SmallVec<[HostSegments; 4]>,
) -> Result<VecDeque<Bytes>, Status> {
    let small: usize = raw.iter().map(|data| if data.len() < SMALL { data.len() } else { 0 }).sum();
    // A key and a length take at most six bytes.
    let room = HEADER + message.encoded_len() + small + 6 * raw.len();
    let mut text = Vec::with_capacity(room);
    text.resize(HEADER, 0);
    if message.encode(&mut text).is_err() {
        return Err(Status::internal("failed to encode the reply"));
    }
    let mut ends = SmallVec::<[(usize, HostSegments); 4]>::new();
    let mut large = 0;
    for data in raw {
        text.push(field << 3 | 2);
        push_varint(&mut text, data.len() as u64);
        if data.len() < SMALL {
            data.as_slice().iter().for_each(|segment| text.extend_from_slice(segment));
        } else {
            large += data.len();
            ends.push((text.len(), data));
        }
    }
    let length = text.len() - HEADER + large;
    if length > MESSAGE_SIZE {
        return Err(Status::out_of_range(format!(
            "Error, encoded message length too large: found {length} bytes, the limit is: {MESSAGE_SIZE} bytes"
        )));
    }
    // It is no larger than 32 bits have room for.
    text[HEADER - 4..HEADER].copy_from_slice(&(length as u32).to_be_bytes());
    let mut text = Bytes::from(text);
    let (mut pieces, mut begin) = (VecDeque::with_capacity(2 * ends.len() + 1), 0);
    for (end, data) in ends {
        pieces.push_back(text.split_to(end - begin));
        begin = end;
        pieces.extend(data);
    }
    if !text.is_empty() {
        pieces.push_back(text);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
