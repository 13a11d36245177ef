//! Mends the authority that clients of gRPC's C core send over unix sockets.
//!
//! They send the path of the socket with each slash as `%2F`. The HTTP library takes no percent sign in an authority and
//! resets the call. Nothing here depends on the authority, so each percent sign becomes a hyphen. The text stays as long as it
//! was, so the tables of header compression on both sides stay the same size.

/// The name of the field, as it stands in a block of headers that is not compressed further.
const NAME: &[u8] = b":authority";

/// Looks for the field in blocks of headers, whatever pieces they come in.
#[derive(Debug, Default)]
pub(crate) struct AuthorityMender {
    /// How many bytes of the name have been found.
    matched: usize,
    /// How many bytes of the value are still to come.
    left: usize,
}

impl AuthorityMender {
    pub(crate) fn mend(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                if *byte == b'%' {
                    *byte = b'-';
                }
            } else if self.matched == NAME.len() {
                self.matched = 0;
                // The length of a text that is not in Huffman's code, and short enough for one byte.
                self.left = if *byte < 0x7f { usize::from(*byte) } else { 0 };
            } else if *byte == NAME[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(*byte == NAME[0]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_of_the_authority_become_hyphens_whatever_pieces_it_comes_in() {
        let block = b"@\x05:path\x04/a%b@\n:authority\x0etmp%2Fx%2Fsock@\x01k\x03a%b";
        let mended = b"@\x05:path\x04/a%b@\n:authority\x0etmp-2Fx-2Fsock@\x01k\x03a%b";
        assert_eq!(b"tmp%2Fx%2Fsock".len(), 0x0e);
        for size in 1..block.len() {
            let mut bytes = block.to_vec();
            let mut finder = AuthorityMender::default();
            bytes.chunks_mut(size).for_each(|piece| finder.mend(piece));
            assert_eq!(bytes, mended, "in pieces of {size}");
        }
    }
}
