//! The index of an archive, and its limits.

use std::collections::BTreeMap;
use std::io::Read;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 10_000;

/// The most bytes of all entries together, unpacked.
const MAX_TOTAL: u64 = 256 << 30;

/// Up to so many bytes an archive may be packed as tightly as it likes: zeros compress a thousandfold.
const FREE: u64 = 256 << 20;

/// Beyond [`FREE`], how many times larger than its file an archive may be when unpacked. Weights compress by less than ten.
pub(crate) const MAX_RATIO: u64 = 100;

/// The most bytes that a file of so many bytes may unpack to. It goes by the length of the file, as the sizes in it are the
/// word of whoever made it.
pub(crate) fn max_unpacked(file_len: u64) -> u64 {
    file_len.saturating_mul(MAX_RATIO).max(FREE)
}

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
    /// The length of the file, if the entries are packed in one.
    file_len: Option<u64>,
    total: u64,
    in_texts: u64,
}

impl Entries {
    /// No entries yet of a packed file of so many bytes.
    pub(crate) fn of_file(file_len: u64) -> Entries {
        Entries { file_len: Some(file_len), ..Entries::default() }
    }

    /// Adds an entry. The error says which limit it exceeds.
    pub(crate) fn add(&mut self, name: &str, size: u64) -> Result<(), String> {
        if self.sizes.len() == MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        self.total = self.total.saturating_add(size);
        if let Some(file_len) = self.file_len
            && self.total > max_unpacked(file_len)
        {
            return Err(format!(
                "with entry '{name}' it would grow from {file_len} to {} bytes, more than {MAX_RATIO} times: that is no model",
                self.total
            ));
        }
        if self.total > MAX_TOTAL {
            return Err(format!("its entries have more than {MAX_TOTAL} bytes together"));
        }
        if self.sizes.insert(name.to_owned(), size).is_some() {
            return Err(format!("it has two entries '{name}'"));
        }
        Ok(())
    }

    /// Reads an entry that was added, if it is a text. The error says what is wrong with it.
    pub(crate) fn read_text(&mut self, name: &str, reader: impl Read) -> Result<(), String> {
        let size = self.sizes.get(name).copied().unwrap_or_default();
        if !is_text(name) || size > MAX_TEXT {
            // Large lists and the like are data; what has to be a text is missed when it is looked for.
            return Ok(());
        }
        let mut bytes = Vec::new();
        // The sizes together have a limit, so what is read has it, too.
        let read = reader.take(size + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("entry '{name}' cannot be read: {error}"))?;
        if bytes.len() as u64 > size {
            return Err(format!("entry '{name}' has more than the {size} bytes that the archive says"));
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
        let mut entries = Entries::of_file(1);
        entries.add("zeros", FREE).unwrap();
        assert!(entries.add("zeros", 0).unwrap_err().contains("two entries"));
        let fault = entries.add("one more", 1).unwrap_err();
        assert!(fault.contains("from 1 to 268435457 bytes"), "several small bombs are a large one: {fault}");
        let mut entries = Entries::of_file(10 << 20);
        entries.add("weights", 1000 << 20).unwrap();
        let fault = entries.add("bomb", 10 << 30).unwrap_err();
        assert!(fault.contains("from 10485760 to 11785994240 bytes"), "{fault}");
        assert!(Entries::default().add("huge", MAX_TOTAL + 1).unwrap_err().contains("together"));
        let mut entries = Entries::default();
        for number in 0..MAX_ENTRIES {
            entries.add(&number.to_string(), 0).unwrap();
        }
        assert!(entries.add("one more", 0).unwrap_err().contains("entries"));
    }

    #[test]
    fn only_texts_are_read() {
        let mut entries = Entries::default();
        let sizes = [("a.json", 2), ("a.onnx", 2), ("b.json", 1), ("c.json", MAX_TEXT + 1), ("d.json", 3)];
        for (name, size) in sizes {
            entries.add(name, size).unwrap();
        }
        entries.read_text("a.json", &b"{}"[..]).unwrap();
        entries.read_text("a.onnx", &b"{}"[..]).unwrap();
        entries.read_text("b.json", &b"\xff"[..]).unwrap();
        entries.read_text("c.json", std::io::repeat(b' ')).unwrap();
        let fault = entries.read_text("d.json", std::io::repeat(b' ')).unwrap_err();
        assert!(fault.contains("more than the 3 bytes"), "{fault}");
        assert_eq!(entries.texts.keys().collect::<Vec<_>>(), ["a.json"]);
    }
}
