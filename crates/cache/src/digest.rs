//! The digest of a question.

/// 256 bits that stand for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// Takes in a question, part by part. Parts of variable length are to be preceded by their length, so that the same
/// bytes cut differently are another question.
#[derive(Debug, Default)]
pub struct Digester(blake3::Hasher);

impl Digester {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    /// A text with its length in front.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
