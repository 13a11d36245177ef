//! The digest that is the key of a cached value.

/// A 256-bit digest of a key's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// Computes a digest from the parts of a key. Parts of variable length have to be preceded by their length, so that the
/// same bytes divided differently give another digest.
#[derive(Debug, Default)]
pub struct Digester(blake3::Hasher);

impl Digester {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    /// Adds a text, preceded by its length.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
