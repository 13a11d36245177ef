//! `hippocamp archive`: shows what an archive of TorchServe becomes.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser};
use hippocamp_archive::{Archive, Content, Options, convert};
use hippocamp_device::Devices;

use super::{model_args, named, print};
use crate::backends;

/// Shows the models that an archive of TorchServe becomes: their configs and pipelines, and which of its files they are made of.
/// With --output they are written, as a model repository.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp archive",
    max_term_width = 110,
    after_help = "Examples:\n  \
        hippocamp archive fd1.mar\n  \
        hippocamp archive fd1.mar --output model_repository"
)]
struct ArchiveArgs {
    /// The archive: a .mar, a .tar.gz, or a folder with MAR-INF.
    #[arg(value_name = "FILE.mar")]
    archive: PathBuf,

    /// The model's name instead of the archive's.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The largest batch, as a registration asks for it.
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,

    /// The number of instances of the network.
    #[arg(long, value_name = "N")]
    workers: Option<u32>,

    /// Write the models into this folder. A model that is there already is left as it is, which is an error.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// The command for completions and the manual.
pub(super) fn command() -> Command {
    ArchiveArgs::command()
}

pub(super) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = ArchiveArgs::parse_from(named("hippocamp archive", args));
    let backends = backends::all(&model_args(&[]), &Devices::none())?;
    let supports = |name: &str| backends.iter().any(|backend| backend.name() == name);
    let archive = Archive::open(&given.archive)?;
    let options = Options {
        name: given.name,
        batch_size: given.batch_size,
        workers: given.workers,
        ..Options::default()
    };
    let conversion = convert(&archive, &options, &supports)?;
    let mut text = String::new();
    let manifest = archive.manifest();
    writeln!(
        text,
        "# {}: model '{}' version {}",
        archive.file_name(),
        conversion.name,
        manifest.model_version
    )?;
    for told in &conversion.without_effect {
        writeln!(text, "# warning: {told}")?;
    }
    for (name, model) in &conversion.models {
        writeln!(text, "\n# {name}/config.pbtxt\n{}", model.config_text().trim_end())?;
        for (path, content) in &model.files {
            match content {
                Content::Text(content) => writeln!(text, "\n# {name}/{path}\n{}", content.trim_end())?,
                Content::Entry(entry) => {
                    let size = archive.size(entry).unwrap_or_default();
                    writeln!(text, "\n# {name}/{path}: '{entry}' of the archive, {size} bytes")?;
                }
            }
        }
    }
    if let Some(output) = &given.output {
        for (name, model) in &conversion.models {
            let folder = output.join(name);
            std::fs::create_dir_all(output)?;
            std::fs::create_dir(&folder)
                .map_err(|error| anyhow::anyhow!("'{}' cannot be made: {error}", folder.display()))?;
            std::fs::create_dir(folder.join("1"))?;
            std::fs::write(folder.join("config.pbtxt"), model.config_text())?;
            for (path, content) in &model.files {
                match content {
                    Content::Text(content) => std::fs::write(folder.join(path), content)?,
                    Content::Entry(entry) => archive.copy(entry, &folder.join(path))?,
                }
            }
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        ArchiveArgs::command().debug_assert();
    }
}
