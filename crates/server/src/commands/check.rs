//! `hippocamp check`: validates repositories without serving them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser, ValueEnum};
use hippocamp_check::{CheckOptions, fix, fixes_to_text, to_json, to_json_with_fixes, to_text};

use super::{model_args, named, print};
use crate::args::{BackendConfig, switch};
use crate::{backends, logging, run};

/// Tells all that is wrong with the models of repositories, without serving them: every config is parsed and validated, and
/// then the steps of a start are taken, without its ports: models are loaded, warmed up and let go. It passes what would
/// start, and nothing else. Prints each fault once, with its place and the likely fix.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp check",
    max_term_width = 110,
    after_help = "Exit status: 0 if the server would start, 1 if it would not, 2 if the check itself could not run, for instance\n\
        because the library of an engine is missing.\n\n\
        Examples:\n  \
        hippocamp check /models\n  \
        hippocamp check s3://bucket/models --format=json\n  \
        hippocamp check /models --configs-only     (needs no ONNX Runtime)\n  \
        hippocamp check /models --fix --dry-run    (what it would write, as a diff)"
)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct CheckArgs {
    /// A folder of models, or a place in an object store, as for --model-repository of the server.
    #[arg(value_name = "REPOSITORY", required_unless_present = "model_repository")]
    repositories: Vec<PathBuf>,

    /// The same by the server's flag. Of the server's other flags only those below are taken.
    #[arg(long, alias = "model-store", value_name = "FOLDER")]
    model_repository: Vec<PathBuf>,

    /// How to print: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// Write what makes models load that do not: only faults whose cure is certain are mended, in the text of their configs, which
    /// keeps its comments and its form. What does not make the model load is not written. Shows each change as a diff.
    #[arg(long, conflicts_with = "configs_only")]
    fix: bool,

    /// With --fix: show what would be written, and write nothing.
    #[arg(long, requires = "fix")]
    dry_run: bool,

    /// Read configs alone: open no model file, load nothing.
    #[arg(long)]
    configs_only: bool,

    /// Prefer configs/NAME.pbtxt of a model's folder to its config.pbtxt.
    #[arg(long, value_name = "NAME")]
    model_config_name: Option<String>,

    /// Let models of the same name be in several repositories.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "false", action = clap::ArgAction::Set)]
    model_namespacing: bool,

    /// Take configs as they are written, without filling in what the model file tells.
    #[arg(long)]
    disable_auto_complete_config: bool,

    /// Only warn of instances on GPUs that cannot be used, as the server does with this flag.
    #[arg(long)]
    cpu_fallback: bool,

    /// A setting of a backend, as for the server: onnxruntime,library=PATH.
    #[arg(long, value_name = "[BACKEND,]KEY=VALUE")]
    backend_config: Vec<BackendConfig>,

    /// Where Triton's own backends are, as for the server.
    #[arg(long, value_name = "DIR")]
    backend_directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The command for completions and the manual.
pub(super) fn command() -> Command {
    CheckArgs::command()
}

pub(super) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = CheckArgs::parse_from(named("hippocamp check", args));
    let repositories: Vec<PathBuf> = given.model_repository.into_iter().chain(given.repositories).collect();
    let mut args = model_args(&repositories);
    args.models.model_config_name = given.model_config_name;
    args.models.model_namespacing = given.model_namespacing;
    args.models.disable_auto_complete_config = given.disable_auto_complete_config;
    args.models.backend_config = given.backend_config;
    if let Some(directory) = given.backend_directory {
        args.models.backend_directory = directory;
    }
    args.instances.cpu_fallback = given.cpu_fallback;
    // The report contains what a start would log.
    (args.logging.log_warning, args.logging.log_error) = (false, false);
    logging::init(&args.logging)?;
    let options = CheckOptions { model_files: !given.configs_only };
    let settings = run::settings(&args)?;
    let backends = backends::all(&args, &settings.devices)?;
    let report = if given.fix {
        let (fixes, report) = fix(&settings, &backends, options, given.dry_run);
        print(&match given.format {
            Format::Text => fixes_to_text(&fixes) + &to_text(&report),
            Format::Json => to_json_with_fixes(&report, &fixes),
        })?;
        report
    } else {
        let report = hippocamp_check::check(&settings, &backends, options);
        print(&match given.format {
            Format::Text => to_text(&report),
            Format::Json => to_json(&report),
        })?;
        report
    };
    let (errors, _) = report.counts();
    Ok(match (report.engines.is_empty(), errors) {
        (false, _) => ExitCode::from(2),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CheckArgs::command().debug_assert();
        assert!(CheckArgs::try_parse_from(["check"]).is_err(), "a repository is required");
        CheckArgs::try_parse_from(["check", "/a", "/b", "--format=json"]).unwrap();
        CheckArgs::try_parse_from(["check", "--model-store=/a"]).unwrap();
    }
}
