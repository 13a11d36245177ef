//! The memory of a tensor: words of the pool, or pinned memory, from which a device reads without another copy.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_tensor::{Allocator, PlacedBuffer, PlacedBufferMut, TensorData};

use super::pool::{self, Words};

const WORD: usize = size_of::<u64>();

/// Memory for elements of any type, aligned to the largest.
#[derive(Debug)]
pub(super) enum Store {
    Words(Vec<u64>),
    Pinned(Box<dyn PlacedBufferMut>),
}

impl Default for Store {
    fn default() -> Self {
        Store::Words(Vec::new())
    }
}

impl Store {
    /// A copy of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Store {
        let mut words = vec![0u64; bytes.len().div_ceil(WORD)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Store::Words(words)
    }

    /// At least `size` bytes with undefined content: pinned if an allocator is given and has some, otherwise of the pool.
    /// `None` if there is no memory.
    pub(super) fn take(size: usize, pinned: Option<&dyn Allocator>) -> Option<Store> {
        if let Some(Ok(mut memory)) = pinned.map(|pinned| pinned.allocate(size))
            && memory.as_host_mut().is_some()
        {
            return Some(Store::Pinned(memory));
        }
        pool::take(size.div_ceil(WORD)).map(Store::Words)
    }

    /// Returns the memory to where it came from.
    pub(super) fn give(self) {
        match self {
            Store::Words(words) => pool::give(words),
            Store::Pinned(memory) => drop(memory),
        }
    }

    /// Copies to new words which have room for `size` bytes. `None` if there is no memory.
    pub(super) fn grown(self, size: usize) -> Option<Store> {
        let mut words = match self {
            Store::Words(words) => words,
            Store::Pinned(memory) => match Store::of(memory.as_host().unwrap_or_default()) {
                Store::Words(words) => words,
                Store::Pinned(_) => return None,
            },
        };
        let count = size.div_ceil(WORD);
        words.try_reserve_exact(count.saturating_sub(words.len())).ok()?;
        words.resize(count, 0);
        Some(Store::Words(words))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Store::Words(words) => bytemuck::cast_slice(words),
            Store::Pinned(memory) => memory.as_host().unwrap_or_default(),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Store::Words(words) => bytemuck::cast_slice_mut(words),
            Store::Pinned(memory) => memory.as_host_mut().unwrap_or_default(),
        }
    }

    /// The first `len` bytes as the content of a response. The memory goes back when that is dropped.
    pub(super) fn into_data(self, len: usize) -> TensorData {
        match self {
            Store::Words(words) => Bytes::from_owner(Words(words)).slice(..len).into(),
            Store::Pinned(memory) => {
                let memory: Arc<dyn PlacedBufferMut> = memory.into();
                TensorData::part_of(memory as Arc<dyn PlacedBuffer>, 0, len)
            }
        }
    }
}
