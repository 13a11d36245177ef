//! TorchScript models out of their code: a zip file with the text, and a pickled object of its class.

#![allow(clippy::format_push_string, reason = "reads as the text that it writes")]

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};

/// A module `M` with attributes and methods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    before: String,
    attributes: String,
    values: Vec<u8>,
    methods: String,
}

impl Script {
    /// A module whose `forward` has this signature and body, in the dialect in which PyTorch saves code.
    pub(crate) fn new(signature: &str, body: &str) -> Script {
        Script::default().method("forward", signature, body)
    }

    pub(crate) fn method(mut self, name: &str, signature: &str, body: &str) -> Script {
        let (arguments, result) = signature.split_once("->").unwrap();
        self.methods
            .push_str(&format!("  def {name}(self: __torch__.M,\n    {}) ->{result}:\n", arguments.trim()));
        body.lines().for_each(|line| self.methods.push_str(&format!("    {line}\n")));
        self
    }

    /// A class or a named tuple that the code uses, as `__torch__.NAME`.
    pub(crate) fn class(mut self, code: &str) -> Script {
        self.before.push_str(code);
        self
    }

    /// An attribute, with its pickled value.
    pub(crate) fn attribute(mut self, name: &str, type_name: &str, value: &[u8]) -> Script {
        self.attributes.push_str(&format!("  {name} : {type_name}\n"));
        self.values.extend([b'X']);
        self.values.extend((name.len() as u32).to_le_bytes());
        self.values.extend(name.as_bytes());
        self.values.extend(value);
        self
    }

    pub(crate) fn training(self) -> Script {
        self.attribute("training", "bool", b"\x88")
    }

    /// The file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let code = format!(
            "{}class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n{}{}",
            self.before, self.attributes, self.methods
        );
        // An object of that class, whose state is a dictionary.
        let object = [b"\x80\x02c__torch__\nM\n)\x81}(".as_slice(), &self.values, b"ub."].concat();
        archive(&[
            ("m/data.pkl", &object),
            ("m/code/__torch__.py", code.as_bytes()),
            ("m/constants.pkl", b"\x80\x02)."),
            ("m/version", b"3\n"),
        ])
    }
}

/// A zip file whose entries are not packed, which is how PyTorch writes them.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .with_alignment(64);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
