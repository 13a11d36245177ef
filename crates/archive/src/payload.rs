//! The model file of an archive: which backend executes it, and what it takes and returns.

use std::io::Read;

use hippocamp_proto::inference::DataType;

use crate::fault::Result;
use crate::{Archive, Signature, read_signature};

/// The kind of a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Onnx,
    TorchScript,
    Plan,
    GraphDef,
}

/// The model file of an archive.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) entry: String,
    pub(crate) kind: Kind,
    /// `None` where only the engine can tell.
    pub(crate) signature: Option<Signature>,
}

impl Kind {
    /// The backend's name, by which it is asked for.
    pub(crate) fn backend(self) -> &'static str {
        match self {
            Kind::Onnx => "onnxruntime",
            Kind::TorchScript => "pytorch",
            Kind::Plan => "tensorrt",
            Kind::GraphDef => "tensorflow",
        }
    }

    /// The platform of its config.
    pub(crate) fn platform(self) -> &'static str {
        match self {
            Kind::Onnx => "onnxruntime_onnx",
            Kind::TorchScript => "pytorch_libtorch",
            Kind::Plan => "tensorrt_plan",
            Kind::GraphDef => "tensorflow_graphdef",
        }
    }

    /// The file in the folder of a version.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Kind::Onnx => "model.onnx",
            Kind::TorchScript => "model.pt",
            Kind::Plan => "model.plan",
            Kind::GraphDef => "model.graphdef",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Onnx => "an ONNX model",
            Kind::TorchScript => "a TorchScript model",
            Kind::Plan => "a TensorRT plan",
            Kind::GraphDef => "a TensorFlow graph",
        }
    }
}

const KNOWN: &str =
    ".onnx (ONNX), .pt (TorchScript), .plan or .engine (TensorRT), .graphdef or .pb (TensorFlow)";

impl Payload {
    /// Finds the model file and looks at it. `supports` says whether there is a backend of that name.
    pub(crate) fn find(archive: &Archive, supports: &dyn Fn(&str) -> bool) -> Result<Payload> {
        let manifest = archive.manifest();
        let Some(entry) = manifest.serialized_file.clone() else {
            return Err(archive.fault(format!(
                "its manifest names no serialized file, so that its model is made by Python; archive the model itself, \
                 as {KNOWN}"
            )));
        };
        let Some(size) = archive.size(&entry) else {
            return Err(archive.fault(format!("its serialized file '{entry}' is not in it")));
        };
        let kind = kind(archive, &entry)?;
        let mut head = [0; 64];
        let count = archive.read(&entry, |reader| fill(reader, &mut head))?.map_err(|error| {
            archive.fault(format!("its serialized file '{entry}' cannot be read: {error}"))
        })?;
        check_head(archive, &entry, kind, &head[..count])?;
        let backend = kind.backend();
        if !supports(backend) {
            return Err(archive.fault(format!(
                "'{entry}' is {}, which needs the backend '{backend}', and this server has none of that name; {}",
                kind.name(),
                way_out(kind)
            )));
        }
        let signature = match kind {
            Kind::Onnx => {
                let read = archive.read(&entry, |reader| read_signature(reader, size))?;
                let fault =
                    |error| archive.fault(format!("'{entry}' was expected to be an ONNX model: {error}"));
                Some(read.map_err(fault)?)
            }
            Kind::TorchScript | Kind::Plan | Kind::GraphDef => None,
        };
        if let Some(unknown) = signature
            .iter()
            .flat_map(|s| s.inputs.iter().chain(&s.outputs))
            .find(|p| p.data_type == DataType::TypeInvalid)
        {
            return Err(archive
                .fault(format!("tensor '{}' of '{entry}' has a type that cannot be served", unknown.name)));
        }
        Ok(Payload { entry, kind, signature })
    }
}

fn kind(archive: &Archive, entry: &str) -> Result<Kind> {
    let ending = entry.rsplit_once('.').map_or("", |(_, ending)| ending);
    let kind = match ending.to_ascii_lowercase().as_str() {
        "onnx" => Kind::Onnx,
        "pt" | "pth" | "jit" | "ts" | "torchscript" => Kind::TorchScript,
        "plan" | "engine" | "trt" => Kind::Plan,
        "graphdef" | "pb" => Kind::GraphDef,
        "torch2trt" => {
            return Err(archive.fault(format!(
                "'{entry}' is a pickled TRTModule, which only Python can read; write its engine to a .plan file \
                 (open(\"model.plan\", \"wb\").write(trt_module.engine.serialize())) and archive that"
            )));
        }
        _ => return Err(archive.fault(format!("'{entry}' is no model file that is known; expected {KNOWN}"))),
    };
    if kind == Kind::TorchScript
        && let Some(code) = &archive.manifest().model_file
    {
        return Err(archive.fault(format!(
            "'{entry}' holds weights only, and '{code}' makes the model of them in Python; archive the model itself: \
             torch.jit.script(model).save(\"model.pt\"), or torch.onnx.export(model, ...)"
        )));
    }
    Ok(kind)
}

fn check_head(archive: &Archive, entry: &str, kind: Kind, head: &[u8]) -> Result<()> {
    let is_zip = head.starts_with(b"PK");
    let found = if head.is_empty() {
        "it is empty"
    } else if head.starts_with(b"version https://git-lfs") {
        "it is a pointer of Git LFS, whose file was not fetched"
    } else if is_zip && kind != Kind::TorchScript {
        "it is a zip file"
    } else if !is_zip && kind == Kind::TorchScript {
        "it is no zip file, as torch.jit.save writes them"
    } else {
        return Ok(());
    };
    Err(archive.fault(format!("'{entry}' was expected to be {}: {found}", kind.name())))
}

fn way_out(kind: Kind) -> &'static str {
    match kind {
        Kind::TorchScript => {
            "use a build with the backend 'pytorch', or archive the model as ONNX (torch.onnx.export)"
        }
        Kind::Plan => "serve it on a machine with TensorRT, or archive the ONNX model that it was built from",
        Kind::GraphDef => "convert it to ONNX (tf2onnx) and archive that",
        Kind::Onnx => "use a build with the backend 'onnxruntime'",
    }
}

/// Fills the buffer as far as there is something.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}
