//! `hippocamp completions` and `hippocamp man`: what shells and `man` want to know of the command line.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{ALL, named, print};
use crate::args;

/// Prints what a shell needs to complete the flags of hippocamp.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp completions",
    max_term_width = 110,
    after_help = "Examples:\n  \
        source <(hippocamp completions bash)\n  \
        hippocamp completions zsh > ~/.zfunc/_hippocamp\n  \
        hippocamp completions fish > ~/.config/fish/completions/hippocamp.fish"
)]
struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the manual page of hippocamp, or writes it with those of its commands.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp man",
    max_term_width = 110,
    after_help = "Examples:\n  \
        hippocamp man | man -l -\n  \
        hippocamp man --output /usr/local/share/man/man1"
)]
struct ManArgs {
    /// Write hippocamp.1 and a page for each command, such as hippocamp-check.1, into this folder.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// The commands for completions and the manual, themselves among them.
pub(super) fn command() -> Command {
    CompletionsArgs::command()
}

pub(super) fn manual_command() -> Command {
    ManArgs::command()
}

pub(super) fn completions(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = CompletionsArgs::parse_from(named("hippocamp completions", args));
    print(&script(given.shell)?)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn manual(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = ManArgs::parse_from(named("hippocamp man", args));
    let mut tree = tree();
    tree.build();
    match given.output {
        None => print(&page(tree)?)?,
        Some(folder) => {
            for command in tree.get_subcommands().filter(|command| command.get_name() != "help") {
                let name = format!("hippocamp-{}", command.get_name());
                write(&folder, &name, &page(command.clone())?)?;
            }
            write(&folder, "hippocamp", &page(tree)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Behind clap's script for bash, which looks at the word before alone: bash parts words at equals signs.
const BASH_VALUES: &str = r#"
# --flag=value is three words for bash, or one where COMP_WORDBREAKS has no equals sign.
_hippocamp_values() {
    local flag="" value="$2" front=""
    if [[ "$2" == --*=* ]]; then
        flag="${2%%=*}"
        value="${2#*=}"
        front="${flag}="
    elif [[ "${COMP_WORDS[COMP_CWORD]}" == "=" ]]; then
        flag="${COMP_WORDS[COMP_CWORD-1]}"
        value=""
    elif (( COMP_CWORD > 2 )) && [[ "${COMP_WORDS[COMP_CWORD-1]}" == "=" ]]; then
        flag="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    if [[ "${flag}" != --* ]]; then
        _hippocamp "$@"
        return
    fi
    # No value is the first word, for which commands are offered.
    local COMP_CWORD=$((COMP_CWORD + 2))
    _hippocamp "$1" "${value}" "${flag}"
    COMPREPLY=("${COMPREPLY[@]/#/${front}}")
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _hippocamp_values -o nosort -o bashdefault -o default hippocamp
else
    complete -F _hippocamp_values -o bashdefault -o default hippocamp
fi
"#;

/// What a shell reads.
fn script(shell: Shell) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut tree(), "hippocamp", &mut text);
    let mut text = String::from_utf8(text)?;
    if shell == Shell::Bash {
        text.push_str(BASH_VALUES);
    }
    Ok(text)
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, text).with_context(|| format!("{} could not be written", path.display()))
}

fn page(command: Command) -> anyhow::Result<String> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    // What follows the flags is broken into lines and columns as it is to be read; `man` would fill the lines anew.
    Ok(String::from_utf8(text)?
        .replace(".SH EXTRA\n", ".SH NOTES\n.nf\n")
        .replace("\n.SH VERSION\n", "\n.fi\n.SH VERSION\n"))
}

/// The server's command line, and that of each command, as one.
fn tree() -> Command {
    let server = args::command().subcommand_negates_reqs(true).disable_help_subcommand(true);
    server.subcommands(ALL.iter().map(|command| (command.command_line)().name(command.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Subcommand;

    #[test]
    fn every_command_and_flag_is_completed_and_described() {
        let text = script(Shell::Bash).unwrap();
        for word in ["--model-repository", "--dry-run"] {
            assert!(text.contains(word), "{word}");
        }
        let help = args::command().render_long_help().to_string();
        for Subcommand { name, .. } in ALL {
            assert!(text.contains(&format!("hippocamp,{name})")), "{name} is not completed");
            assert!(help.contains(&format!("\n  hippocamp {name} ")), "--help does not name {name}");
        }
        for shell in [Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            assert!(script(shell).unwrap().contains("model-control-mode"), "{shell}");
        }
    }

    #[test]
    fn the_manual_has_a_page_a_command() {
        let folder = tempfile::tempdir().unwrap();
        manual(&["--output".into(), folder.path().into()]).unwrap();
        let pages = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(pages, 1 + tree().get_subcommands().count());
        let server = fs::read_to_string(folder.path().join("hippocamp.1")).unwrap();
        assert!(server.contains(".TH hippocamp 1") && server.contains("strict\\-readiness"), "{server}");
        // As it is to be read, without lines that a terminal of 80 columns breaks.
        let notes = server.split_once(".SH NOTES\n.nf\n").unwrap().1.split_once("\n.fi\n").unwrap().0;
        let long = notes.lines().find(|line| line.replace("\\*(Aq", "'").replace('\\', "").len() > 79);
        assert_eq!(long, None);
        let check = fs::read_to_string(folder.path().join("hippocamp-check.1")).unwrap();
        assert!(check.contains("configs\\-only"), "{check}");
    }
}
