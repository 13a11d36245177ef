//! Back pressure of a stream: how many bytes it may have under way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is counted in pieces of this size.
const PIECE: usize = 1 << 10;

/// Room for a number of bytes. What is larger than all of it takes all of it.
#[derive(Clone, Debug)]
pub struct Room {
    pieces: Arc<Semaphore>,
    all: usize,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Room {
        let all = bytes / PIECE;
        Room { pieces: Arc::new(Semaphore::new(all)), all }
    }

    /// Waits until there is room. It is given back when what is returned is dropped.
    pub async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let pieces = (1 + bytes / PIECE).min(self.all) as u32;
        Arc::clone(&self.pieces).acquire_many_owned(pieces).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn what_is_too_large_waits_for_all_of_it() {
        let room = Room::new(4 << 10);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = |take: &mut std::pin::Pin<&mut dyn Future<Output = Option<OwnedSemaphorePermit>>>| {
            take.as_mut().poll(&mut cx)
        };
        let Poll::Ready(small) = poll(&mut (std::pin::pin!(room.take(100)) as _)) else {
            panic!("there is room")
        };
        let mut large: std::pin::Pin<&mut dyn Future<Output = _>> = std::pin::pin!(room.take(1 << 30));
        assert!(poll(&mut large).is_pending());
        drop(small);
        assert!(poll(&mut large).is_ready());
    }
}
