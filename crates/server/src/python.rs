//! Finds the package folders of Python by the names of folders, which is a hundred times faster than starting Python.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The environment variables that determine the active Python.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pythons {
    /// The path of the executable, with links resolved: `pip install hippocamp` puts it beside a Python.
    pub(crate) executable: Option<PathBuf>,
    /// Activated environments, the innermost first.
    pub(crate) environments: Vec<PathBuf>,
    /// The folders of `PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// The version that pyenv is set to use.
    pub(crate) pyenv_version: Option<String>,
    /// The user's home folder.
    pub(crate) home: Option<PathBuf>,
}

impl Pythons {
    /// Reads the variables of this process.
    pub(crate) fn of_process() -> Pythons {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Pythons {
            executable: env::current_exe().and_then(|path| path.canonicalize()).ok(),
            environments: ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder).collect(),
            path: env::var_os("PATH").iter().flat_map(env::split_paths).collect(),
            pyenv_version: env::var("PYENV_VERSION").ok(),
            home: folder("HOME"),
        }
    }

    /// The package folders that exist, in the order of the search.
    pub(crate) fn package_folders(&self) -> Vec<PathBuf> {
        let active =
            self.path.iter().filter(|folder| folder.is_absolute() && folder.join("python3").is_file());
        let active = active.flat_map(|folder| self.prefixes(folder));
        let user = self.home.iter().map(|home| home.join(".local"));
        let prefixes = self.environments.iter().cloned().chain(active).chain(user);
        let mut all = Vec::new();
        for folder in
            self.own_package_folders().chain(prefixes.flat_map(|prefix| package_folders_under(&prefix)))
        {
            if !all.contains(&folder) {
                all.push(folder);
            }
        }
        all
    }

    /// The package folders that say that the executable was installed with them: by pip into `bin` of an environment, of a user or
    /// of the folder named by `--target`. Its dependencies are there, whichever Python is active.
    fn own_package_folders(&self) -> impl Iterator<Item = PathBuf> {
        let prefix = self.executable.as_deref().and_then(|path| path.parent()?.parent());
        let folders = prefix.into_iter().flat_map(|prefix| {
            package_folders_under(prefix).into_iter().chain(std::iter::once(prefix.to_owned()))
        });
        folders.filter(|folder| {
            let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.any(|entry| {
                let name = entry.file_name();
                let name = name.to_str().and_then(|name| name.strip_prefix("hippocamp-"));
                name.is_some_and(|version| version.ends_with(".dist-info"))
            })
        })
    }

    /// The installation prefixes of the Python whose command is in the folder `commands`.
    fn prefixes(&self, commands: &Path) -> Vec<PathBuf> {
        let Some(prefix) = commands.parent() else { return Vec::new() };
        if commands.ends_with("shims") {
            // The command is pyenv's, which starts the selected version of Python.
            let chosen =
                self.pyenv_version.clone().or_else(|| fs::read_to_string(prefix.join("version")).ok());
            let first = chosen.as_deref().and_then(|text| text.split([':', '\n']).next()).map(str::trim);
            return first.map(|version| prefix.join("versions").join(version)).into_iter().collect();
        }
        // The link of a virtual environment leads to its base Python, whose packages it may use.
        let behind = fs::canonicalize(commands.join("python3")).ok();
        let behind = behind.as_deref().and_then(|path| path.parent()?.parent()).map(Path::to_owned);
        let local = prefix.join("local");
        [Some(prefix.to_owned()), Some(local).filter(|local| local.is_dir()), behind]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Folders such as `lib/python3.12/site-packages`, the highest version first.
fn package_folders_under(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        for entry in fs::read_dir(prefix.join(lib)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(version) = name.to_str().and_then(|name| name.strip_prefix("python3")) else { continue };
            // Debian has one folder without a minor version for all versions.
            let minor = version.strip_prefix('.').and_then(|minor| minor.parse::<u32>().ok());
            let packages = ["site-packages", "dist-packages"].map(|packages| entry.path().join(packages));
            found.extend(packages.into_iter().filter(|path| path.is_dir()).map(|path| (minor, path)));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}
