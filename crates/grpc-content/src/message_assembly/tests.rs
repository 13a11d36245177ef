use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http_body_util::BodyExt;
use proptest::prelude::*;

use super::*;

fn message(flag: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![flag];
    message.extend_from_slice(&(content.len() as u32).to_be_bytes());
    message.extend_from_slice(content);
    message
}

/// A body in the pieces that it came in.
struct Pieces(VecDeque<http_body::Frame<Bytes>>);

impl Source for Pieces {}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// What comes out when `bytes` go in, cut at `cuts`, and whether it ended with an error.
fn read(bytes: &[u8], cuts: &[usize], encoding: Option<Encoding>) -> (Vec<Bytes>, bool) {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut frames = Vec::new();
    for cut in cuts {
        frames.push(rest.split_to((*cut).min(rest.len())));
    }
    frames.push(rest);
    let frames = frames.into_iter().map(http_body::Frame::data);
    let mut body = AssembledMessages::new(Pieces(frames.collect()), encoding, false, i32::MAX as usize);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => out.push(frame.into_data().unwrap()),
                Err(_) => return (out, true),
            }
        }
        (out, false)
    })
}

#[test]
fn nothing_is_passed_on_before_the_message_is_whole() {
    let mut whole = AssembledMessages::new((), None, false, i32::MAX as usize);
    let bytes = Bytes::from(message(0, b"hello"));
    whole.push(bytes.slice(..7)).unwrap();
    assert!(whole.whole.is_empty());
    whole.push(bytes.slice(7..)).unwrap();
    assert_eq!(whole.whole.iter().map(Bytes::len).collect::<Vec<_>>(), [7, 3]);
    assert_eq!(whole.whole[0].as_ptr(), bytes.as_ptr(), "frames are passed on, not copied");
}

#[test]
fn a_message_that_never_comes_costs_what_was_sent_of_it() {
    let mut announced = vec![0];
    announced.extend_from_slice(&(i32::MAX as u32).to_be_bytes());
    let mut whole = AssembledMessages::new((), None, false, i32::MAX as usize);
    whole.push(Bytes::from(announced)).unwrap();
    assert!(whole.whole.is_empty());
    assert_eq!(whole.held.length, HEADER);
}

#[test]
fn a_message_beyond_the_limit_is_left_to_the_codec_at_once() {
    let (out, failed) = read(&[0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2], &[], None);
    assert!(!failed);
    assert_eq!(out.concat(), [0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2]);
}

#[test]
fn packed_messages_come_out_unpacked() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"hello").unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(b"hello").unwrap();
    for (encoding, packed) in
        [(Encoding::Gzip, gzip.finish().unwrap()), (Encoding::Deflate, zlib.finish().unwrap())]
    {
        let bytes = [message(1, &packed), message(0, b"plain")].concat();
        let (out, failed) = read(&bytes, &[3, 4], Some(encoding));
        assert!(!failed);
        assert_eq!(out.concat(), [message(0, b"hello"), message(0, b"plain")].concat());
    }
}

#[test]
fn gzip_streams_one_behind_the_other_are_one_message() {
    let packed = ["hel", "", "lo"].map(|part| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(part.as_bytes()).unwrap();
        gzip.finish().unwrap()
    });
    let (out, failed) = read(&message(1, &packed.concat()), &[], Some(Encoding::Gzip));
    assert!(!failed);
    assert_eq!(out.concat(), message(0, b"hello"));
    let followed = [&packed.concat()[..], b"something else"].concat();
    assert!(read(&message(1, &followed), &[], Some(Encoding::Gzip)).1);
}

#[test]
fn empty_frames_are_not_kept() {
    let mut whole = AssembledMessages::new((), None, false, i32::MAX as usize);
    for _ in 0..1000 {
        whole.push(Bytes::new()).unwrap();
    }
    whole.push(Bytes::from_static(&[0, 0, 0, 0, 9])).unwrap();
    assert_eq!(whole.held.frames.len(), 1, "each of them would be looked over with every frame that follows");
}

#[test]
fn a_call_without_tensors_takes_small_messages_only() {
    let mut small = AssembledMessages::new((), None, false, 5);
    small.push(message(0, b"hello").into()).unwrap();
    // Refused by what it announces: none of it is held.
    let refused = small.push(Bytes::copy_from_slice(&message(0, b"hello!")[..HEADER])).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(refused.message(), "expected a message of at most 5 bytes for this call, got 6");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0; 1000]).unwrap();
    let packed = message(1, &encoder.finish().unwrap());
    let mut small = AssembledMessages::new((), Some(Encoding::Gzip), false, 999);
    assert_eq!(small.push(packed.into()).unwrap_err().code(), tonic::Code::ResourceExhausted);
}

#[test]
fn a_bomb_is_refused() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..80 {
        gzip.write_all(&zeros).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100 << 10, "80 MiB pack into {} bytes", bomb.len());
    let (out, failed) = read(&message(1, &bomb), &[], Some(Encoding::Gzip));
    assert!(failed && out.is_empty());
}

/// Its one blocking thread is busy until the test says so: what has to be done elsewhere waits.
#[test]
fn only_the_beginning_of_a_message_is_unpacked_at_once() {
    let packed = |content: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(content).unwrap();
        message(1, &gzip.finish().unwrap())
    };
    let (small, large) = (vec![1; 64 << 10], vec![2; 1 << 20]);
    let bytes = [packed(&small), packed(&large), packed(&small)].concat();
    let frames = VecDeque::from([http_body::Frame::data(Bytes::from(bytes))]);
    let mut body = AssembledMessages::new(Pieces(frames), Some(Encoding::Gzip), true, i32::MAX as usize);
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        let mut out = Vec::new();
        for _ in 0..2 {
            out.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(out.concat(), message(0, &small));
        let waits = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending()));
        assert!(waits.await, "it is unpacked on the thread of the connection");
        let_go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            out.push(frame.unwrap().into_data().unwrap());
        }
        assert!(out.concat() == [message(0, &large), message(0, &small)].concat());
    });
}

#[test]
fn what_does_not_unpack_is_refused() {
    let (out, failed) = read(&message(1, b"not gzip at all"), &[], Some(Encoding::Gzip));
    assert!(failed && out.is_empty());
}

proptest! {
    #[test]
    fn uncompressed_bytes_come_out_as_they_went_in(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
        tail in prop::collection::vec(any::<u8>(), 0..4),
        cuts in prop::collection::vec(0usize..40, 0..8),
    ) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(|m| message(0, m)).collect();
        bytes.extend(tail);
        let (out, failed) = read(&bytes, &cuts, None);
        prop_assert!(!failed);
        prop_assert_eq!(out.concat(), bytes);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [None, Some(Encoding::Gzip), Some(Encoding::Deflate)] {
            read(&bytes, &[1, 2, 3], encoding);
        }
    }
}
