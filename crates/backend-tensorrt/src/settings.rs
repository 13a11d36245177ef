//! The options of the backend.

use std::path::PathBuf;

use hippocamp_backend::Result;
use hippocamp_backend_options::BackendOption;

/// The settings of the backend, which are those of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The library, if it is named.
    pub(crate) library: Option<PathBuf>,
    /// The folders in which libraries are searched otherwise, in their order.
    pub(crate) folders: Vec<PathBuf>,
    /// Libraries with plugins, which are opened before the first plan is read.
    pub(crate) plugins: Vec<PathBuf>,
    /// Whether plans may bring code for the host.
    pub(crate) version_compatible: bool,
}

/// Options of Triton's backend that change nothing here.
const NOT_OURS: [&str; 3] = ["coalesce_request_input", "execution_policy", "lazy_loading"];

impl Settings {
    /// Settings that search the library in these folders.
    pub fn new(folders: Vec<PathBuf>) -> Settings {
        Settings { folders, ..Settings::default() }
    }

    /// Applies options of the command line. Words in a key may be joined by `-` or `_`.
    ///
    /// # Errors
    /// There is no such option, or its value is not one.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settings> {
        let mut settings = self;
        for option in options.into_iter().map(|each| BackendOption::new("tensorrt", each)) {
            let value = option.value();
            match option.key() {
                "library" => settings.library = Some(value.into()),
                "plugins" => {
                    let paths = value.split(';').map(str::trim).filter(|path| !path.is_empty());
                    settings.plugins.extend(paths.map(PathBuf::from));
                }
                "version_compatible" => settings.version_compatible = option.flag()?,
                _ => option.pass_over(&NOT_OURS, "library, plugins and version-compatible")?,
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tritons_options_and_its_own() {
        let options = [
            ("plugins", "/a.so;/b.so;"),
            ("version-compatible", "true"),
            ("coalesce-request-input", "1"),
            ("library", "/l.so"),
        ];
        let settings = Settings::new(vec!["/f".into()]).with_options(options).unwrap();
        assert_eq!(settings.plugins, [PathBuf::from("/a.so"), PathBuf::from("/b.so")]);
        assert_eq!((settings.library, settings.version_compatible), (Some("/l.so".into()), true));
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |key, value| Settings::default().with_options([(key, value)]).unwrap_err();
        assert_eq!(
            error("version-compatible", "maybe").message(),
            "option 'version-compatible' of backend 'tensorrt' was expected to be true or false, got 'maybe'"
        );
        assert_eq!(
            error("plugin", "").message(),
            "backend 'tensorrt' has no option 'plugin'; it has library, plugins and version-compatible"
        );
    }
}
