//! The handlers that are known by their names.

use crate::Archive;
use crate::fault::Result;

/// The pipelines of an archive of its own, among its extra files.
pub(crate) const PREPROCESS: &str = "preprocess.toml";
pub(crate) const POSTPROCESS: &str = "postprocess.toml";

/// What stands before and behind the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// Nothing: tensors in, tensors out.
    Base,
    /// The pipelines that are in the archive.
    Pipelines,
    ImageClassifier,
    ObjectDetector,
    Yolov5Face,
    CenterFace,
}

const KNOWN: &str = "base_handler, image_classifier, object_detector, yolov5_face, centerface";

impl Handler {
    /// Finds the handler of an archive; `given` is the one of a registration, which wins.
    pub(crate) fn find(archive: &Archive, given: Option<&str>) -> Result<Handler> {
        if archive.text(PREPROCESS).is_some() || archive.text(POSTPROCESS).is_some() {
            return Ok(Handler::Pipelines);
        }
        let Some(written) = given.or(archive.manifest().handler.as_deref()) else {
            return Err(archive.fault(format!("its manifest names no handler; expected one of {KNOWN}")));
        };
        let path = written.split(':').next().unwrap_or_default();
        // A handler may lie in a folder, in the archive or where it was made.
        let file = path.rsplit('/').next().unwrap_or_default();
        let stem = file.strip_suffix(".py").unwrap_or(file);
        let code = archive.text(path).or_else(|| archive.text(file)).unwrap_or_default();
        match stem {
            "base_handler" => Ok(Handler::Base),
            "image_classifier" => Ok(Handler::ImageClassifier),
            "object_detector" => Ok(Handler::ObjectDetector),
            "yolov5_face" | "yolov5face" => Ok(Handler::Yolov5Face),
            "centerface" => Ok(Handler::CenterFace),
            _ if code.contains("class Yolov5FaceHandler") => Ok(Handler::Yolov5Face),
            _ if file.len() > stem.len() => Err(archive.fault(format!(
                "its handler '{written}' is Python of its own, which is not executed here. Describe what it does by \
                 pipelines, {PREPROCESS} and {POSTPROCESS} among the archive's extra files (docs/from-torchserve.md), \
                 name one of the handlers {KNOWN}, or serve it by the Python backend of Triton"
            ))),
            _ => Err(archive.fault(format!(
                "its handler '{written}' has no counterpart here; expected one of {KNOWN}, or pipelines among the \
                 archive's extra files (docs/from-torchserve.md)"
            ))),
        }
    }
}
