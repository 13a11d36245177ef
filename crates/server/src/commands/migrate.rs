//! `hippocamp migrate`: reads how a tritonserver is started, and says what becomes of each part.

mod former;

use std::ffi::OsString;
use std::fmt::Write;
use std::io::Read;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Arg, Command, CommandFactory, Parser};
use hippocamp_migrate::{Finding, Form, Order, Verdict, plain, read};

use self::former::{Former, Switches, former};
use super::{named, print};
use crate::args::{self, other_flags};

/// The largest file that is read.
const MAX_FILE: u64 = 4 << 20;

/// Reads how a tritonserver is started, and says of every flag, option and variable whether it is kept, differs, is dropped or has no
/// counterpart, and prints the new command. Nothing is started or changed.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp migrate",
    max_term_width = 110,
    after_help = "Exit status: 0 if all of it has a counterpart, 1 if something has none, 2 if no server was found.\n\n\
        Examples:\n  \
        hippocamp migrate tritonserver --model-repository=/models --http-thread-count=8\n  \
        hippocamp migrate docker run --gpus=all -p8000:8000 -v /m:/models IMAGE tritonserver --model-repository=/models\n  \
        hippocamp migrate compose.yaml\n  \
        kubectl get deployment triton -o yaml | hippocamp migrate -"
)]
struct MigrateArgs {
    /// The command line as it is, or the name of a file with it, of a Compose file or of manifests of Kubernetes; - reads standard input.
    #[arg(value_name = "COMMAND|FILE", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// The command for completions and the manual.
pub(super) fn command() -> Command {
    MigrateArgs::command()
}

pub(super) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = MigrateArgs::parse_from(named("hippocamp migrate", args));
    let orders = read(&given.command, open).map_err(|why| anyhow!(why))?;
    let (text, complete) = report(&orders);
    print(&text)?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The content of a file, or of standard input.
fn open(name: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = if name == "-" {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(name).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
    };
    match read {
        Err(error) => Err(format!(
            "{name} was expected to be a file with a command line or manifests, or the word tritonserver: {error}"
        )),
        Ok(size) if size as u64 > MAX_FILE => Err(format!("{name} has more than {MAX_FILE} bytes")),
        Ok(_) => Ok(text),
    }
}

/// The report, and whether everything has a counterpart.
fn report(orders: &[Order]) -> (String, bool) {
    let (mut text, mut complete) = (String::new(), true);
    for order in orders {
        let (mut flags, kept) = sort(&order.flags);
        flags.extend(together(order, &kept));
        let findings = || order.around.iter().chain(&flags);
        complete &= findings().all(|finding| finding.verdict != Verdict::Unsupported);
        let width = findings()
            .map(|finding| finding.what.chars().count())
            .filter(|width| *width <= 44)
            .max()
            .unwrap_or(0);
        table(&mut text, &order.place, &order.around, width);
        table(&mut text, "flags of tritonserver", &flags, width);
        let _ = writeln!(text, "the new command\n");
        for line in order.rewritten(&kept, env!("CARGO_PKG_VERSION")).lines() {
            visible(&mut text, line);
        }
        text.push('\n');
    }
    text.push_str("hippocamp check REPOSITORY tells what is wrong with the models, docs/from-triton.md what else differs.\n");
    (text, complete)
}

fn table(text: &mut String, title: &str, findings: &[Finding], width: usize) {
    if findings.is_empty() {
        return;
    }
    visible(text, title);
    for finding in findings {
        let line = format!("  {:<11}  {:<width$}  {}", finding.verdict.word(), finding.what, finding.why);
        visible(text, line.trim_end());
    }
    text.push('\n');
}

/// Adds a line in which nothing that was read can act on a terminal.
fn visible(text: &mut String, line: &str) {
    let _ = hippocamp_log_text::Visible(text).write_str(line);
    text.push('\n');
}

/// What becomes of each flag, and those of the new command.
fn sort(flags: &[String]) -> (Vec<Finding>, Vec<String>) {
    let mut command = args::command();
    command.build();
    let (mut findings, mut kept, mut switches) = (Vec::new(), Vec::new(), Switches::default());
    let mut rest = flags;
    while let [flag, others @ ..] = rest {
        rest = others;
        let Some(long) = flag.strip_prefix("--") else {
            let why = if flag.contains(['$', '`']) {
                "stands for flags that are not here to be read: give them to hippocamp migrate by themselves"
            } else {
                "no flag: flags begin with --"
            };
            findings.push(Finding::new(Verdict::Unsupported, flag.as_str(), why));
            continue;
        };
        let (name, inside) =
            long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        let argument = command.get_arguments().find(|argument| is_named(argument, name));
        // The value may be the next word, as getopt takes it.
        let other = || other_flags::takes(name) || former(name).is_some();
        let apart = inside.is_none() && argument.map_or_else(other, |argument| takes_next(argument, others));
        let value = if apart { others.first().cloned() } else { inside };
        if apart {
            rest = others.get(1..).unwrap_or_default();
        }
        let shown =
            if apart { format!("{flag} {}", value.as_deref().unwrap_or_default()) } else { flag.clone() };
        let text = value.as_deref().unwrap_or_default();
        if apart && value.is_none() {
            findings.push(Finding::new(Verdict::Unsupported, flag.as_str(), "lacks its value"));
            continue;
        }
        let finding = match (argument, former(name)) {
            (Some(argument), _) => {
                switches.beside(argument.get_long().unwrap_or(name), text);
                known(argument, name, value.as_deref(), &shown)
            }
            (None, Some(Former::Switch)) => {
                switches.given(name, text, findings.len(), kept.len());
                // What is said of it comes when all flags were read.
                Finding::new(Verdict::Dropped, shown, "")
            }
            (None, Some(Former::Dropped(why))) => Finding::new(Verdict::Dropped, shown, why),
            (None, None) => unknown(&command, name, text, &shown),
        };
        if matches!(finding.verdict, Verdict::Kept | Verdict::Different) {
            kept.push(value.map_or_else(|| flag.clone(), |value| format!("--{name}={value}")));
        }
        findings.push(finding);
    }
    switches.conclude(&mut findings, &mut kept);
    (findings, kept)
}

fn is_named(argument: &Arg, name: &str) -> bool {
    argument.get_long() == Some(name)
        || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

/// Whether the flag's value is the next word, if it is not behind an equals sign.
fn takes_next(argument: &Arg, others: &[String]) -> bool {
    let Some(count) = argument.get_num_args() else { return false };
    let follows = others.first().is_some_and(|next| !next.starts_with("--"));
    !argument.is_require_equals_set() && count.takes_values() && (count.min_values() > 0 || follows)
}

/// A flag that this server has, too.
fn known(argument: &Arg, name: &str, value: Option<&str>, shown: &str) -> Finding {
    let fault =
        value.filter(|value| !value.contains(['$', '`'])).and_then(|value| fault(name, &plain(value)));
    if let Some(fault) = fault {
        return Finding::new(Verdict::Unsupported, shown, fault);
    }
    match difference(argument.get_long().unwrap_or(name), value.unwrap_or_default()) {
        "" => Finding::new(Verdict::Kept, shown, ""),
        why => Finding::new(Verdict::Different, shown, why),
    }
}

/// Why this server does not take a value that tritonserver may.
fn fault(name: &str, value: &str) -> Option<String> {
    args::fault(&["--model-repository=.".to_owned(), format!("--{name}={value}")], false)
}

/// What keeps this server from starting with all flags of the new command, each of which is fine by itself.
fn together(order: &Order, kept: &[String]) -> Option<Finding> {
    let is_expanded = |flag: &String| flag.contains(['$', '`']);
    let names_one = |flag: &String| {
        let name = flag.split('=').next().unwrap_or_default();
        matches!(name, "--model-repository" | "--model-store" | "--ts-config")
    };
    // KServe's runtime has a flag of its own for the repository.
    let given = matches!(order.form, Form::InferenceService { .. });
    if !given && !kept.iter().any(names_one) {
        // It may be among flags that a variable stands for, which is told already, or one that was told to be wrong.
        let told = |flag: &String| names_one(flag) || (is_expanded(flag) && !flag.starts_with("--"));
        let why = "is missing: neither server starts without a repository";
        return (!order.flags.iter().any(told))
            .then(|| Finding::new(Verdict::Unsupported, "--model-repository", why));
    }
    // What a shell puts there is not known.
    if kept.iter().any(is_expanded) {
        return None;
    }
    let mut flags: Vec<String> = kept.iter().map(|flag| plain(flag)).collect();
    if given {
        flags.insert(0, "--model-repository=.".to_owned());
    }
    args::fault(&flags, true).map(|fault| Finding::new(Verdict::Unsupported, "all flags together", fault))
}

/// What a flag does otherwise than in tritonserver; empty if it does the same.
fn difference(name: &str, value: &str) -> &'static str {
    match name {
        "model-control-mode" if value == "poll" => {
            "changes are loaded when they have settled, half a second later, not every 15 s"
        }
        "repository-poll-secs" => "for repositories in stores; folders are watched",
        "backend-directory" => {
            "for Triton's own backends; ONNX Runtime, TensorRT, TensorFlow, PyTorch and ensembles need none"
        }
        "strict-readiness" if value == "true" || value == "1" => {
            "in poll mode --strict-readiness=served is what a load balancer wants to know"
        }
        "exit-on-error" => {
            "false: with a repository that cannot be read the server is neither live nor ready"
        }
        "strict-model-config" => "the opposite of --disable-auto-complete-config",
        "response-cache-byte-size" => "the same as --cache-config=local,size=BYTES",
        _ => "",
    }
}

/// A flag that this server does not have.
fn unknown(command: &Command, name: &str, value: &str, shown: &str) -> Finding {
    match other_flags::outcome(name, value) {
        Some(Ok(why)) => Finding::new(Verdict::Dropped, shown, why),
        Some(Err(why)) => Finding::new(Verdict::Unsupported, shown, why),
        None => {
            let names = command.get_arguments().filter_map(Arg::get_long);
            let near =
                names.map(|other| (strsim::jaro(name, other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
            let hint =
                near.filter(|(score, _)| *score > 0.8).map(|(_, other)| format!("; there is --{other}"));
            Finding::new(Verdict::Unsupported, shown, format!("no such flag{}", hint.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn verdict(text: &str) -> (Verdict, String, Vec<String>) {
        let (mut findings, kept) = sort(&flags(text));
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let finding = findings.remove(0);
        (finding.verdict, finding.why, kept)
    }

    #[test]
    fn each_kind_of_flag() {
        assert_eq!(
            verdict("--model-repository=/m"),
            (Verdict::Kept, String::new(), flags("--model-repository=/m"))
        );
        // The word behind is the value.
        assert_eq!(verdict("--http-port 80").2, ["--http-port=80"]);
        assert_eq!(verdict("--model-store /m").2, ["--model-store=/m"]);
        assert_eq!(verdict("--http-thread-count 8").0, Verdict::Dropped);
        assert_eq!(verdict("--allow-sagemaker=true").0, Verdict::Unsupported);
        assert_eq!(verdict("--allow-sagemaker=false").0, Verdict::Dropped);
        assert_eq!(verdict("--model-control-mode=poll").0, Verdict::Different);
        let (kind, why, kept) = verdict("--model-control-mode=sometimes");
        assert_eq!((kind, kept.len()), (Verdict::Unsupported, 0));
        assert!(why.contains("sometimes"), "{why}");
        let (kind, why, _) = verdict("--http-prot=8000");
        assert_eq!((kind, why.as_str()), (Verdict::Unsupported, "no such flag; there is --http-port"));
        assert_eq!(verdict("--http-port=$PORT").0, Verdict::Kept);
        // TensorRT Inference Server's.
        let (kind, _, kept) = verdict("--allow-poll-model-repository true");
        assert_eq!((kind, kept), (Verdict::Different, flags("--model-control-mode=poll")));
        assert_eq!(verdict("--tf-gpu-memory-fraction=0.5").0, Verdict::Dropped);
    }

    #[test]
    fn what_this_server_refuses_at_its_start_is_not_kept() {
        for (flag, expected) in [
            ("--cache-config=redis,host=h", "there is no cache 'redis'"),
            ("--cache-config=local,ttl=1", "has no setting 'ttl'"),
            ("--host-policy=p,colour=red", "colour"),
            ("--backend-config=default-max-batch-size,x", "--backend-config"),
            ("--trace-config=opentelemetry,level", "--trace-config option format"),
            ("--model-repository", "lacks its value"),
            ("--http-thread-count", "lacks its value"),
            ("$FLAGS", "stands for flags"),
            ("serve", "flags begin with --"),
        ] {
            let (kind, why, kept) = verdict(flag);
            assert_eq!((kind, kept.len()), (Verdict::Unsupported, 0), "{flag}: {why}");
            assert!(why.contains(expected), "{flag}: {why}");
        }
        assert_eq!(verdict("--cache-config=local,size=1").0, Verdict::Kept);
    }

    #[test]
    fn flags_that_do_not_start_a_server_together_are_told() {
        let told = |line: &str| {
            let (text, complete) = report(&read(&flags(line), |_| unreachable!()).unwrap());
            assert!(!complete || line.contains("whole"), "{text}");
            text
        };
        let missing = "UNSUPPORTED  --model-repository  is missing";
        assert!(told("tritonserver").contains(missing));
        assert!(told("tritonserver --http-port=80").contains("is missing"));
        assert!(!told("tritonserver --model-store=/whole").contains("is missing"));
        assert!(
            !told("tritonserver --model-repository=$M --http-port=80 --log-file=/whole")
                .contains("is missing")
        );
        for (more, expected) in [
            ("--cache-config=local,size=1 --response-cache-byte-size=1", "Incompatible flags"),
            ("--http-max-input-size=0", "must be greater than 0"),
        ] {
            let text = told(&format!("tritonserver --model-repository=/m {more}"));
            assert!(text.contains("UNSUPPORTED  all flags together"), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        // What one flag needs another one says.
        let tls = "--grpc-use-ssl=true --grpc-server-cert=/c --grpc-server-key=/k --grpc-root-cert=/r";
        assert!(!told(&format!("tritonserver --model-repository=/whole {tls}")).contains("UNSUPPORTED"));
    }

    #[test]
    fn the_kept_flags_start_this_server() {
        let old = "--model-repository=/m --http-port 8000 --log-verbose 1 --grpc-infer-thread-count=4 --disable-auto-complete-config \
                   --cache-config=local,size=1048576 --backend-config=onnxruntime,x=y --exit-on-error=false --rate-limit=off";
        let (findings, kept) = sort(&flags(&old.split_whitespace().collect::<Vec<_>>().join(" ")));
        assert!(findings.iter().all(|finding| finding.verdict != Verdict::Unsupported), "{findings:#?}");
        let words = std::iter::once("hippocamp".to_owned()).chain(kept);
        args::command().try_get_matches_from(words).unwrap();
    }

    #[test]
    fn nothing_that_is_read_acts_on_the_terminal() {
        let words = [
            "A=\u{1b}]0;x\u{7}".to_owned(),
            "tritonserver".to_owned(),
            "--model-repository=/\u{1b}[2J".to_owned(),
        ];
        let (text, _) = report(&read(&words, |_| unreachable!()).unwrap());
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
        assert!(text.contains("hippocamp"), "{text}");
    }

    #[test]
    fn the_report_has_each_part_and_the_command() {
        let words = flags(
            "docker run --ulimit memlock=-1 x/tritonserver:1 tritonserver --model-repository=/m --vertex-ai-port=1 --nonsense=2",
        );
        let orders = read(&words, |_| unreachable!()).unwrap();
        let (text, complete) = report(&orders);
        assert!(!complete);
        for part in [
            "dropped      --ulimit memlock=-1",
            "UNSUPPORTED  --nonsense=2",
            "docker run hippocamp:",
            "--model-repository=/m\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
