//! `json`: formats detections as JSON text.

use bytes::Bytes;
use hippocamp_backend::Result;
use serde::Deserialize;

use super::labels::Labels;
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, Value, Values};
use hippocamp_detection::{Form, text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Json {
    input: String,
    output: String,
    #[serde(default)]
    form: Form,
    /// The name of the image's size, for the form with relative coordinates.
    size: Option<String>,
    #[serde(default)]
    labels: Labels,
}

#[derive(Clone, Debug)]
struct JsonStep {
    input: Slot,
    output: Slot,
    form: Form,
    size: Option<Slot>,
    labels: Vec<String>,
}

impl StepFile for Json {
    const OP: &'static str = "json";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        if (self.form == Form::Ratio) != self.size.is_some() {
            ports.fault("size", "the form 'ratio' needs the 'size' of the picture, and no other form does");
        }
        Box::new(JsonStep {
            input: ports.read_detections("input", &self.input).0,
            output: ports.write("output", &self.output, Kind::Encoded),
            form: self.form,
            size: self.size.as_ref().map(|name| ports.read_size("size", name)),
            labels: self.labels.bind(ports),
        })
    }
}

impl Step for JsonStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let size = match self.size {
            Some(slot) => values.size(slot).map(|size| (size.width as f32, size.height as f32))?,
            None => (1.0, 1.0),
        };
        let text = text(values.detections(self.input)?, self.form, &self.labels, size);
        values.set(self.output, Value::Encoded(Bytes::from(text)));
        Ok(())
    }
}
