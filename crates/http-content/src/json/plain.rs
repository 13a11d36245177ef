//! Which bytes of a string stand for themselves, eight at a time.

const WORD: usize = size_of::<u64>();
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * LOW_BITS;

/// How many bytes from the first on need no escape: all before a quotation mark, a backslash or a control character.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<WORD>();
    for (at, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at * WORD + special.trailing_zeros() as usize / 8;
        }
    }
    let rest = words.len() * WORD;
    if let Some(last) = bytes.last_chunk::<WORD>() {
        // Bytes that were looked at before are not special.
        let special = special(u64::from_le_bytes(*last));
        return bytes.len() - WORD + special.trailing_zeros() as usize / 8;
    }
    let special = bytes[rest..].iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    special.map_or(bytes.len(), |at| rest + at)
}

/// The high bit of each byte that is special. The lowest one is right; above it a carry may set more.
fn special(word: u64) -> u64 {
    let below = |word: u64, limit: u64| word.wrapping_sub(limit * LOW_BITS) & !word & HIGH_BITS;
    let equal = |byte: u8| below(word ^ (u64::from(byte) * LOW_BITS), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_byte_by_byte(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1Eu8..0x24, 0x5Au8..0x5E, 0x80u8..0x82], 0..40)) {
            let slowly = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(plain_length(&bytes), slowly.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(plain_length(&bytes), if special { place } else { 20 }, "{byte} at {place}");
            }
        }
    }
}
