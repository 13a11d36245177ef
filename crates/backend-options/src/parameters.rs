//! The parameters of a model's config.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{ModelConfig, parameter};

use crate::values::{COUNT, FLAG, parse_count, parse_flag};

/// Reads the parameters of a model's config by type. `None` is for one that the config does not have.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    model: &'a str,
    config: &'a ModelConfig,
}

impl<'a> Parameters<'a> {
    /// The parameters of the model of this name.
    pub fn new(model: &'a str, config: &'a ModelConfig) -> Parameters<'a> {
        Parameters { model, config }
    }

    /// The whole config.
    pub fn config(&self) -> &'a ModelConfig {
        self.config
    }

    /// The text as it is, which may be empty.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        parameter(self.config, key)
    }

    /// A text that says something; `None` if it is empty.
    pub fn filled(&self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let parse = |text| parse_flag(text).ok_or_else(|| self.wrong(key, FLAG, text));
        self.text(key).map(parse).transpose()
    }

    /// True or false, also in the words that some of Triton's backends take: on, off, yes and no. `None` if it is empty.
    pub fn switch(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.filled(key) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "on" | "yes" => Ok(Some(true)),
            "off" | "no" => Ok(Some(false)),
            _ => self.flag(key),
        }
    }

    /// A number of threads; `None` for 0, -1 and nothing, which leave the choice to the backend.
    pub fn threads(&self, key: &str) -> Result<Option<usize>> {
        let Some(text) = self.filled(key) else { return Ok(None) };
        let count = parse_count(text).ok_or_else(|| self.wrong(key, COUNT, text))?;
        Ok((count > 0).then_some(count))
    }

    /// A number from 1 on, such as of instances; `None` if it is empty. `of` says of what, in the error.
    pub fn positive(&self, key: &str, of: &str) -> Result<Option<usize>> {
        let Some(text) = self.filled(key) else { return Ok(None) };
        let count = text.trim().parse().ok().filter(|count: &usize| *count > 0);
        count.map(Some).ok_or_else(|| self.wrong(key, &format!("a number of {of} from 1 on"), text))
    }

    /// The error of a value that is not what was expected, which is the end of a sentence.
    #[cold]
    pub fn wrong(&self, key: &str, expected: &str, got: &str) -> Error {
        let model = self.model;
        Error::invalid_arg(format!(
            "unable to load model '{model}', parameter '{key}' was expected to be {expected}, got '{got}'"
        ))
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;

    use super::*;

    fn config() -> ModelConfig {
        let each = |key: &str, value: &str| {
            format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
        };
        let text = [
            each("yes", "yes"),
            each("one", "1"),
            each("empty", ""),
            each("threads", "3"),
            each("open", "-1"),
            each("zero", "0"),
            each("word", "many"),
        ];
        parse(&text.concat(), "config.pbtxt").unwrap().config
    }

    #[test]
    fn reads_values_by_type() {
        let config = config();
        let parameters = Parameters::new("m", &config);
        assert_eq!((parameters.text("empty"), parameters.filled("empty")), (Some(""), None));
        assert_eq!(
            ["one", "zero", "none"].map(|key| parameters.flag(key).unwrap()),
            [Some(true), Some(false), None]
        );
        assert_eq!(
            ["yes", "one", "empty"].map(|key| parameters.switch(key).unwrap()),
            [Some(true), Some(true), None]
        );
        let threads =
            ["threads", "open", "zero", "empty", "none"].map(|key| parameters.threads(key).unwrap());
        assert_eq!(threads, [Some(3), None, None, None, None]);
        assert_eq!(parameters.positive("threads", "instances").unwrap(), Some(3));
        assert_eq!(parameters.config(), &config);
    }

    #[test]
    fn says_what_is_wrong() {
        let config = config();
        let parameters = Parameters::new("m", &config);
        let start = "unable to load model 'm', parameter";
        assert_eq!(
            parameters.flag("yes").unwrap_err().message(),
            format!("{start} 'yes' was expected to be true or false, got 'yes'")
        );
        assert_eq!(
            parameters.threads("word").unwrap_err().message(),
            format!("{start} 'word' was expected to be a number of threads, got 'many'")
        );
        assert_eq!(
            parameters.positive("zero", "instances").unwrap_err().message(),
            format!("{start} 'zero' was expected to be a number of instances from 1 on, got '0'")
        );
        assert!(parameters.switch("word").is_err());
        assert!(parameters.flag("empty").is_err());
    }
}
