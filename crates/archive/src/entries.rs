//! The index of an archive, and its limits.

use std::collections::BTreeMap;
use std::io::Read;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 10_000;

/// The most bytes of all entries together, unpacked.
const MAX_TOTAL: u64 = 256 << 30;

/// Up to so many bytes an entry may be packed as tightly as it likes: zeros compress a thousandfold.
const FREE: u64 = 256 << 20;

/// Beyond [`FREE`], how many times larger than its packed form an entry may be. Weights compress by less than ten.
const MAX_RATIO: u64 = 100;

/// The most bytes of a text of the archive: its manifest, a config, a pipeline, labels, or the code of its handler.
pub(crate) const MAX_TEXT: u64 = 4 << 20;

/// The most bytes of all texts together.
const MAX_TEXTS: u64 = 32 << 20;

/// What an archive holds: the entries with their sizes, and the texts.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// The size of each entry in bytes, unpacked.
    pub(crate) sizes: BTreeMap<String, u64>,
    /// The content of each text.
    pub(crate) texts: BTreeMap<String, String>,
    total: u64,
    in_texts: u64,
}

impl Entries {
    /// Adds an entry. `packed` is its size in the archive, if that is known. The error says which limit it exceeds.
    pub(crate) fn add(&mut self, name: &str, size: u64, packed: Option<u64>) -> Result<(), String> {
        if self.sizes.len() == MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        if let Some(packed) = packed
            && size > FREE
            && size / MAX_RATIO > packed
        {
            return Err(format!(
                "entry '{name}' would grow from {packed} to {size} bytes, more than {MAX_RATIO} times: that is no model"
            ));
        }
        self.total = self.total.saturating_add(size);
        if self.total > MAX_TOTAL {
            return Err(format!("its entries have more than {MAX_TOTAL} bytes together"));
        }
        if self.sizes.insert(name.to_owned(), size).is_some() {
            return Err(format!("it has two entries '{name}'"));
        }
        Ok(())
    }

    /// Reads the entry if it is a text. The error says what is wrong with it.
    pub(crate) fn read_text(&mut self, name: &str, reader: impl Read) -> Result<(), String> {
        if !is_text(name) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let read = reader.take(MAX_TEXT + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("entry '{name}' cannot be read: {error}"))?;
        if bytes.len() as u64 > MAX_TEXT {
            // Large lists and the like are data; what has to be a text is missed when it is looked for.
            return Ok(());
        }
        self.in_texts += bytes.len() as u64;
        if self.in_texts > MAX_TEXTS {
            return Err(format!("its texts have more than {MAX_TEXTS} bytes together"));
        }
        if let Ok(text) = String::from_utf8(bytes) {
            self.texts.insert(name.to_owned(), text);
        }
        Ok(())
    }
}

/// Whether an entry is a text that says what the archive becomes, by its name.
pub(crate) fn is_text(name: &str) -> bool {
    let endings = [".json", ".yaml", ".yml", ".toml", ".pbtxt", ".py", ".txt"];
    endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept() {
        let mut entries = Entries::default();
        entries.add("zeros", FREE, Some(1)).unwrap();
        assert!(entries.add("zeros", 1, None).unwrap_err().contains("two entries"));
        let fault = entries.add("bomb", 10 << 30, Some(10 << 20)).unwrap_err();
        assert!(fault.contains("from 10485760 to 10737418240 bytes"), "{fault}");
        assert!(entries.add("huge", MAX_TOTAL, None).unwrap_err().contains("together"));
        let mut entries = Entries::default();
        for number in 0..MAX_ENTRIES {
            entries.add(&number.to_string(), 0, None).unwrap();
        }
        assert!(entries.add("one more", 0, None).unwrap_err().contains("entries"));
    }

    #[test]
    fn only_texts_are_read() {
        let mut entries = Entries::default();
        entries.read_text("a.json", &b"{}"[..]).unwrap();
        entries.read_text("a.onnx", &b"{}"[..]).unwrap();
        entries.read_text("b.json", &b"\xff"[..]).unwrap();
        entries.read_text("c.json", std::io::repeat(b' ')).unwrap();
        assert_eq!(entries.texts.keys().collect::<Vec<_>>(), ["a.json"]);
    }
}
