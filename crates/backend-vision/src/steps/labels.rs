//! The names of categories as a step's parameter: a list in the pipeline, or a file with one name a line.

use serde::Deserialize;

use crate::pipeline::Ports;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Labels {
    List(Vec<String>),
    /// The name of a file beside the pipeline or in the model's folder.
    File(String),
}

impl Default for Labels {
    fn default() -> Self {
        Labels::List(Vec::new())
    }
}

impl Labels {
    /// The names that the parameter `labels` lists, without blanks behind them in a file.
    pub(crate) fn bind(self, ports: &mut Ports<'_, '_>) -> Vec<String> {
        let is_file = matches!(self, Labels::File(_));
        let names = self.bind_exactly("labels", ports);
        if is_file { names.iter().map(|name| name.trim_end().to_owned()).collect() } else { names }
    }

    /// The names that the parameter `key` lists; each line of a file as it is, because a letter may be a blank.
    pub(crate) fn bind_exactly(self, key: &str, ports: &mut Ports<'_, '_>) -> Vec<String> {
        match self {
            Labels::List(names) => names,
            Labels::File(file) => match ports.read_beside(&file) {
                Ok(text) => text.lines().map(str::to_owned).collect(),
                Err(why) => {
                    ports.fault(key, why);
                    Vec::new()
                }
            },
        }
    }
}
