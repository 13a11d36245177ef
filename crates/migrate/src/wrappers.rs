//! Programs that start another one, and stand in front of the server or of the tool that runs its container.

use crate::program::is_variable;
use crate::{Finding, Verdict, environment, is_container_tool, is_image};

/// What a program does for the one that it starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Nothing that the server needs.
    Nothing,
    /// Cores, priorities, limits and time.
    Limits,
    /// Whom it runs as.
    User,
    /// A look at what it does.
    Watch,
    /// Processes that work together.
    Ranks,
    /// It is not known here.
    Unknown,
}

const PROGRAMS: [(Purpose, &[&str]); 5] = [
    (
        Purpose::Nothing,
        &[
            "exec",
            "env",
            "nohup",
            "--",
            "tini",
            "dumb-init",
            "catatonit",
            "nvidia_entrypoint.sh",
            "catchsegv",
            "unbuffer",
            "command",
        ],
    ),
    (
        Purpose::Limits,
        &[
            "numactl", "taskset", "nice", "ionice", "chrt", "prlimit", "cpulimit", "cgexec", "stdbuf",
            "time", "timeout", "setarch",
        ],
    ),
    (
        Purpose::User,
        &[
            "sudo",
            "doas",
            "gosu",
            "su-exec",
            "setpriv",
            "runuser",
            "s6-setuidgid",
            "setuidgid",
            "chpst",
            "chroot",
        ],
    ),
    (
        Purpose::Watch,
        &[
            "nsys",
            "ncu",
            "perf",
            "strace",
            "ltrace",
            "gdb",
            "valgrind",
            "heaptrack",
            "compute-sanitizer",
            "cuda-gdb",
            "cuda-memcheck",
        ],
    ),
    (Purpose::Ranks, &["mpirun", "mpiexec", "orterun", "srun"]),
];

/// What does not start the words behind it, whatever they are.
const NO_STARTERS: [&str; 26] = [
    "apt",
    "apt-get",
    "cat",
    "chmod",
    "chown",
    "cp",
    "docker-compose",
    "echo",
    "export",
    "find",
    "grep",
    "helm",
    "kill",
    "killall",
    "ln",
    "ls",
    "mv",
    "pgrep",
    "pip",
    "pip3",
    "pkill",
    "printf",
    "ps",
    "rm",
    "test",
    "which",
];

/// What becomes of an image in words that are not known.
pub(crate) const IMAGE_NAMED: &str =
    "it names an image of Triton: start Hippocamp's in its place, with the flags below";

/// Why there are no ranks.
pub(crate) const ALONE: &str = "the server is one process, and speaks to no others of its kind";

/// The last part of a program's path.
pub(crate) fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn purpose(word: &str) -> Purpose {
    let name = name(word);
    PROGRAMS.iter().find(|(_, names)| names.contains(&name)).map_or(Purpose::Unknown, |(purpose, _)| *purpose)
}

/// Whether these words start what comes behind them. Of an unknown program that is taken for granted where flags follow.
pub(crate) fn start(words: &[String], flags_follow: bool) -> bool {
    let is_assignment = |word: &String| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
    // One that starts a server here was looked for before: `docker compose run` has its options in a file.
    if words.iter().any(|word| is_container_tool(name(word)) || name(word) == "kubectl") {
        return false;
    }
    match words.iter().find(|word| !is_assignment(word)) {
        None => true,
        Some(first) if NO_STARTERS.contains(&name(first)) || first.starts_with('-') && first != "--" => false,
        Some(first) if name(first) == "command" => !words.iter().any(|word| word.starts_with('-')),
        Some(first) => purpose(first) != Purpose::Unknown || flags_follow,
    }
}

/// Says of words in front of a command what becomes of them. What stays in front of the new one goes to `front`; where nothing can
/// stand in front of it, as in a container, it has to come otherwise.
pub(crate) fn read(words: &[String], around: &mut Vec<Finding>, mut front: Option<&mut Vec<String>>) {
    let mut rest = words;
    while let [first, others @ ..] = rest {
        if let Some((name, value)) = first.split_once('=').filter(|(name, _)| is_variable(name)) {
            around.push(variable(first, (name, value), front.as_deref_mut()));
            rest = others;
            continue;
        }
        let has_options = others.first().is_some_and(|next| next.starts_with('-') && next != "--");
        match purpose(first) {
            // Without its options it changes nothing.
            Purpose::Nothing if name(first) != "env" || !has_options => {
                let others = if name(first) == "exec" && others.len() > 1 && others[0] == "-a" {
                    &others[2..]
                } else {
                    others
                };
                let options = others.iter().take_while(|word| word.starts_with('-')).count();
                rest = &others[options..];
            }
            purpose => {
                let length = 1 + others
                    .iter()
                    .enumerate()
                    .take_while(|(place, _)| !is_variable_at(rest, place + 1))
                    .count();
                let (own, behind) = rest.split_at(length);
                around.push(finding(purpose, own, front.as_deref_mut()));
                rest = behind;
            }
        }
    }
}

/// Whether the word is a variable for the command, and not the value of an option.
fn is_variable_at(words: &[String], place: usize) -> bool {
    let takes_none =
        |option: &str| matches!(option, "-E" | "-n" | "-H" | "-i" | "-b" | "-S" | "--" | "--preserve-env");
    let before = &words[place - 1];
    words[place].split_once('=').is_some_and(|(name, _)| is_variable(name))
        && (!before.starts_with('-')
            || (matches!(name(&words[0]), "sudo" | "env" | "doas") && takes_none(before)))
}

fn variable(word: &str, (name, value): (&str, &str), front: Option<&mut Vec<String>>) -> Finding {
    let mut finding = environment::finding(name, Some(value));
    let stays = !matches!(finding.verdict, Verdict::Dropped | Verdict::Unsupported);
    match front {
        Some(front) if stays => front.push(word.to_owned()),
        None if stays => {
            finding.verdict = Verdict::Different;
            "a variable of the container".clone_into(&mut finding.why);
        }
        _ => {}
    }
    finding
}

fn finding(purpose: Purpose, words: &[String], front: Option<&mut Vec<String>>) -> Finding {
    let text = words.join(" ");
    if words.windows(2).any(|pair| names_image(&pair[0], &pair[1])) {
        return Finding::new(Verdict::Unsupported, text, IMAGE_NAMED);
    }
    let Some(front) = front else {
        let (verdict, why) = match purpose {
            Purpose::Nothing | Purpose::User => (
                Verdict::Different,
                "the image has no such program, and runs as user 65532: the container's options say another",
            ),
            Purpose::Limits => (
                Verdict::Different,
                "the image has no such program: limits of the container do it, and of cores the server counts those it may use",
            ),
            Purpose::Watch => {
                (Verdict::Dropped, "the image has no such program: it is for watching, from outside as well")
            }
            Purpose::Ranks => match ranks(words) {
                (Verdict::Kept, _) => (Verdict::Dropped, "the server is one process"),
                other => other,
            },
            Purpose::Unknown => (Verdict::Unsupported, "the image has no such program"),
        };
        return Finding::new(verdict, text, why);
    };
    let (verdict, why) = match purpose {
        Purpose::Limits => (Verdict::Kept, "of cores, the server counts those it may use"),
        Purpose::Ranks => ranks(words),
        Purpose::Unknown => (Verdict::Different, "is not known here: it stays in front of the new command"),
        _ => (Verdict::Kept, ""),
    };
    if verdict == Verdict::Kept || verdict == Verdict::Different {
        front.extend(words.iter().cloned());
    }
    Finding::new(verdict, text, why)
}

/// Whether the second of two words has an image of Triton, as a registry, a file or enroot names it: the first may be the option.
pub(crate) fn names_image(option: &str, word: &str) -> bool {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    // `--image`, `--container-image`, and not `--image-dir`.
    let has_name = |option: &str| option.starts_with('-') && option.ends_with("image");
    let is_named =
        is_image(value) && (has_name(option) || word.split_once('=').is_some_and(|(name, _)| has_name(name)));
    let is_file = [".sqsh", ".sif", ".squashfs"].iter().any(|end| value.ends_with(end));
    // `LD_LIBRARY_PATH=/opt/tritonserver/lib:/usr/lib`, also among others as in `ALL,PATH=...`, is where the image has its files.
    let of_server = word.split(['=', ',']).filter(|part| part.contains("tritonserver"));
    let is_reference = of_server.filter(|part| !part.starts_with(['/', '.'])).any(|part| {
        part.contains([':', '#', '+', '@']) || part.starts_with("nvcr.io/") || part.starts_with("nvidia/")
    });
    is_named || is_reference || (is_file && is_image(value))
}

/// Whether one of these words starts processes that work together.
pub(crate) fn start_ranks(words: &[String]) -> bool {
    words.iter().any(|word| purpose(word) == Purpose::Ranks)
}

/// One process needs nobody that starts several, unless that is who finds a machine for it.
fn ranks(words: &[String]) -> (Verdict, &'static str) {
    let is_scheduler = words.first().is_some_and(|word| name(word) == "srun");
    let counts = ["-n", "-np", "-c", "--np", "--ntasks"];
    let pairs =
        words.windows(2).filter(|pair| counts.contains(&pair[0].as_str())).map(|pair| pair[1].as_str());
    let joined = words.iter().filter_map(|word| word.strip_prefix("--ntasks="));
    if pairs.chain(joined).all(|count| count == "1") {
        if is_scheduler {
            return (Verdict::Kept, "one task of the cluster: the program has to be there on its nodes");
        }
        (Verdict::Dropped, "the server is one process")
    } else {
        (Verdict::Unsupported, ALONE)
    }
}
