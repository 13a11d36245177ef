use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::*;

/// A peer that takes what it is told to: so many bytes at each call, and none at 0.
#[derive(Debug, Default)]
struct Peer {
    writes: Vec<Vec<u8>>,
    takes: Vec<usize>,
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let takes = self.takes.pop().unwrap_or(usize::MAX);
        if takes == 0 {
            return Poll::Pending;
        }
        bytes.truncate(takes);
        let count = bytes.len();
        self.writes.push(bytes);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[derive(Default)]
struct Turns(AtomicUsize);

impl Wake for Turns {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Does as h2 does with such a connection.
struct Bench {
    connection: WriteCoalescing<Peer>,
    turns: Arc<Turns>,
    waker: Waker,
}

impl Bench {
    fn new(takes: Vec<usize>) -> Bench {
        let turns = Arc::<Turns>::default();
        let connection = WriteCoalescing::new(Peer { takes, ..Peer::default() });
        Bench { connection, waker: Waker::from(Arc::clone(&turns)), turns }
    }

    /// Writes one slice, or the frames before a data frame and the frame, and flushes. Tries again for as long as the
    /// peer takes nothing.
    fn write(&mut self, slices: &[&[u8]]) {
        let mut left: Vec<&[u8]> = slices.to_vec();
        while left.iter().any(|slice| !slice.is_empty()) {
            let slices: Vec<IoSlice<'_>> = left.iter().map(|slice| IoSlice::new(slice)).collect();
            let mut cx = Context::from_waker(&self.waker);
            let written = Pin::new(&mut self.connection).poll_write_vectored(&mut cx, &slices);
            if let Poll::Ready(count) = written {
                let mut count = count.unwrap();
                for slice in &mut left {
                    let of_it = count.min(slice.len());
                    *slice = &slice[of_it..];
                    count -= of_it;
                }
            }
        }
        let mut cx = Context::from_waker(&self.waker);
        while Pin::new(&mut self.connection).poll_flush(&mut cx).is_pending() {}
    }

    /// The next turn of the task.
    fn turn(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        let read = Pin::new(&mut self.connection).poll_read(&mut cx, &mut ReadBuf::new(&mut []));
        assert!(read.is_pending());
    }

    fn writes(&self) -> Vec<usize> {
        self.connection.inner.writes.iter().map(Vec::len).collect()
    }

    fn turns(&self) -> usize {
        self.turns.0.load(Ordering::SeqCst)
    }
}

const DATA: &[u8] = &[1; 1000];

#[test]
fn answers_leave_with_their_trailers_in_one_write() {
    let mut bench = Bench::new(vec![]);
    for head in [&[0; 40][..], &[0; 9], &[0; 9]] {
        bench.write(&[head, DATA]);
    }
    assert_eq!(bench.writes(), [0; 0]);
    bench.write(&[&[2; 30]]);
    assert_eq!(bench.writes(), [40 + 9 + 9 + 3 * 1000 + 30]);
    assert_eq!(bench.turns(), 1);
}

#[test]
fn a_message_of_a_stream_leaves_in_the_next_turn() {
    let mut bench = Bench::new(vec![]);
    bench.write(&[&[0; 9], DATA]);
    assert_eq!((bench.writes(), bench.turns()), (vec![], 1));
    bench.turn();
    assert_eq!(bench.writes(), [1009]);
    bench.write(&[&[0; 9], DATA]);
    assert_eq!(bench.turns(), 2);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut bench.connection).poll_shutdown(&mut cx).is_ready());
    assert_eq!(bench.writes(), [1009, 1009]);
}

#[test]
fn large_frames_are_not_held_and_nothing_is_kept_of_many() {
    let mut bench = Bench::new(vec![]);
    let large = vec![3; MAX_HELD_FRAME];
    bench.write(&[&[0; 9], DATA]);
    bench.write(&[&[0; 9], &large]);
    assert_eq!(bench.writes(), [9 + 1000 + 9 + MAX_HELD_FRAME]);
    assert_eq!(bench.turns(), 1);
    for _ in 0..100 {
        bench.write(&[&[0; 9], DATA]);
    }
    assert!(bench.writes().len() > 1, "only so much is held");
    bench.turn();
    assert!(bench.connection.held.capacity() <= KEPT);
    assert_eq!(bench.writes().iter().sum::<usize>(), 9 + MAX_HELD_FRAME + 101 * 1009);
}

proptest! {
    #[test]
    fn what_is_written_arrives_as_it_was_whatever_the_peer_takes(
        steps in prop::collection::vec((1..600usize, prop::option::of(1..20_000usize), any::<bool>()), 1..40),
        takes in prop::collection::vec(0..3000usize, 0..60),
    ) {
        let mut bench = Bench::new(takes);
        let (mut expected, mut next) = (Vec::<u8>::new(), 0u8);
        let mut some = |size: usize| -> Vec<u8> {
            std::iter::repeat_with(|| { next = next.wrapping_add(1); next }).take(size).collect()
        };
        for (head, data, turn) in steps {
            let (head, data) = (some(head), data.map(&mut some));
            expected.extend(head.iter().chain(data.iter().flatten()));
            match &data {
                Some(data) => bench.write(&[&head, data]),
                None => bench.write(&[&head]),
            }
            if turn {
                bench.turn();
            }
        }
        while !bench.connection.held.is_empty() {
            bench.turn();
        }
        prop_assert_eq!(bench.connection.inner.writes.concat(), expected);
    }
}
