//! Where the frames of HTTP/2 begin and end in a stream of bytes.

/// The bytes before the first frame.
const PREFACE: usize = 24;

const HEAD: usize = 9;

const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The kinds of frames that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    /// HEADERS and CONTINUATION.
    Headers,
    /// PING that asks for an answer.
    Ping,
    Other,
}

/// Follows the frames of a stream, whatever pieces it comes in.
#[derive(Debug)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    /// How many bytes of a frame's head have come.
    head_bytes: usize,
    /// How many bytes of the frame's content are still to come.
    left: usize,
    kind: Kind,
    /// Whether a block of headers goes on in the next frame.
    in_block: bool,
    ends_block: bool,
}

impl Default for Frames {
    fn default() -> Frames {
        let (head, head_bytes, kind) = ([0; HEAD], 0, Kind::Other);
        Frames { head, head_bytes, left: PREFACE, kind, in_block: false, ends_block: false }
    }
}

impl Frames {
    /// Takes the next bytes. `found` is called with each piece of a frame's content, and with an empty one when its head has
    /// come.
    #[inline]
    pub(crate) fn feed(&mut self, mut bytes: &mut [u8], mut found: impl FnMut(Kind, &mut [u8])) {
        loop {
            if self.left > 0 {
                let (content, rest) = bytes.split_at_mut(self.left.min(bytes.len()));
                if content.is_empty() {
                    return;
                }
                self.left -= content.len();
                found(self.kind, content);
                bytes = rest;
                if self.left > 0 {
                    return;
                }
                self.ended();
            }
            let (head, rest) = bytes.split_at_mut((HEAD - self.head_bytes).min(bytes.len()));
            self.head[self.head_bytes..][..head.len()].copy_from_slice(head);
            self.head_bytes += head.len();
            bytes = rest;
            if self.head_bytes < HEAD {
                return;
            }
            self.begun();
            found(self.kind, &mut []);
        }
    }

    fn begun(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.head_bytes = 0;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        (self.kind, self.ends_block) = match kind {
            0 => (Kind::Data, false),
            1 | 9 => (Kind::Headers, flags & END_HEADERS != 0),
            6 if flags & ACK == 0 => (Kind::Ping, false),
            _ => (Kind::Other, false),
        };
        if self.left == 0 {
            self.ended();
        }
    }

    fn ended(&mut self) {
        if self.kind == Kind::Headers {
            self.in_block = !self.ends_block;
        }
    }

    /// Whether a frame has come in part, or a block of headers. Content of requests does not count, which has a limit of its
    /// own.
    pub(crate) fn is_partial(&self) -> bool {
        self.head_bytes > 0 || self.in_block || self.left > 0 && self.kind != Kind::Data
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &[0, 0, 0, 1], content].concat()
    }

    #[test]
    fn a_frame_is_partial_until_its_block_of_headers_ends() {
        let mut frames = Frames::default();
        let mut feed = |bytes: &[u8]| {
            frames.feed(&mut bytes.to_vec(), |_, _| {});
            frames.is_partial()
        };
        assert!(feed(&[b'x'; 23]) && !feed(b"x"), "the preface");
        assert!(!feed(&frame(4, 0, b"settings")));
        assert!(feed(&frame(1, 0, b"abc")), "more of it has to come");
        assert!(feed(&frame(9, 0, b"")) && !feed(&frame(9, 4, b"")));
        assert!(!feed(&frame(1, 4, b"abc")));
        let data = frame(0, 0, b"abcdef");
        assert!(feed(&data[..8]) && !feed(&data[8..11]) && !feed(&data[11..]));
        assert!(feed(&frame(6, 0, b"12345678")[..12]));
    }

    proptest! {
        #[test]
        fn frames_are_found_whatever_pieces_they_come_in(
            sent in prop::collection::vec((0..12u8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            pieces in prop::collection::vec(1..30usize, 1..20),
        ) {
            let mut bytes = vec![0; PREFACE];
            let mut expected: Vec<(Kind, Vec<u8>)> = vec![(Kind::Other, vec![0; PREFACE])];
            for (kind, flags, content) in &sent {
                bytes.extend(frame(*kind, *flags, content));
                let kind = match kind {
                    0 => Kind::Data,
                    1 | 9 => Kind::Headers,
                    6 if flags & 1 == 0 => Kind::Ping,
                    _ => Kind::Other,
                };
                expected.push((kind, content.clone()));
            }
            let mut frames = Frames::default();
            let mut found: Vec<(Kind, Vec<u8>)> = vec![(Kind::Other, vec![])];
            let mut sizes = pieces.iter().cycle();
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let (piece, others) = rest.split_at_mut((*sizes.next().unwrap()).min(rest.len()));
                frames.feed(piece, |kind, content| match content {
                    [] => found.push((kind, vec![])),
                    content => found.last_mut().unwrap().1.extend_from_slice(content),
                });
                rest = others;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
