//! `docker run`, and what is like it.

use crate::{Finding, Form, IMAGE, Order, Verdict, environment, is_image, is_server, program};

/// Options that take no value; all others do.
const SWITCHES: [&str; 22] = [
    "detach",
    "disable-content-trust",
    "env-host",
    "help",
    "init",
    "interactive",
    "no-healthcheck",
    "no-hosts",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "read-only-tmpfs",
    "replace",
    "rm",
    "rmi",
    "rootfs",
    "sig-proxy",
    "tty",
    "unsetenv-all",
    "use-api-socket",
];
/// The long names of short options.
const SHORT: [(char, &str); 15] = [
    ('a', "attach"),
    ('c', "cpu-shares"),
    ('d', "detach"),
    ('e', "env"),
    ('h', "hostname"),
    ('i', "interactive"),
    ('l', "label"),
    ('m', "memory"),
    ('p', "publish"),
    ('P', "publish-all"),
    ('q', "quiet"),
    ('t', "tty"),
    ('u', "user"),
    ('v', "volume"),
    ('w', "workdir"),
];

/// One option as it was written.
struct Given<'a> {
    words: &'a [String],
    name: String,
    value: String,
}

/// Reads what comes behind the verbs `run`, `create` or `service create` of such a tool, which are those of the new command.
pub(crate) fn order(tool: &str, verbs: &[&str], words: &[String]) -> Result<Order, String> {
    let title = format!("{tool} {}", verbs.join(" "));
    let mut order = Order::new(title.as_str(), Form::Plain);
    order.gpus = tool.starts_with("nvidia");
    let (options, entrypoint, place) = options(&title, words, &mut order)?;
    let image = words.get(place).ok_or_else(|| format!("no image is named behind the options of {title}"))?;
    order.around.push(image_finding(image));
    let mut rest = entrypoint.into_iter().filter(|command| !command.is_empty()).collect::<Vec<_>>();
    rest.extend(words[place + 1..].iter().cloned());
    if rest.is_empty() {
        return Err(format!(
            "no command comes behind the image '{image}', and Triton's images start no server by themselves"
        ));
    }
    // Flags behind the image go to an entry point that starts the server.
    order.flags = if rest[0].starts_with("--") && is_image(image) {
        rest
    } else {
        program::flags(&rest, &mut order.around, None)?
    };
    order.form = run(tool, verbs, options);
    Ok(order)
}

/// Reads what comes behind `docker exec`.
pub(crate) fn exec(tool: &str, words: &[String]) -> Result<Order, String> {
    let mut order = Order::new(format!("{tool} exec"), Form::Plain);
    let (options, _, place) = options(&format!("{tool} exec"), words, &mut order)?;
    let name =
        words.get(place).ok_or_else(|| format!("no container is named behind the options of {tool} exec"))?;
    order.flags = program::flags(&words[place + 1..], &mut order.around, None)?;
    let why = format!(
        "starts it in a container that is there: ports, volumes and GPUs of the {tool} run that made it belong into the new command"
    );
    order.around.insert(0, Finding::new(Verdict::Unsupported, format!("{tool} exec {name}"), why));
    order.form = run(tool, &["run"], options);
    Ok(order)
}

/// The new command's words up to the flags.
fn run(tool: &str, verbs: &[&str], options: Vec<String>) -> Form {
    let tool = if tool.starts_with("nvidia") { "docker" } else { tool };
    let mut words = vec![tool.to_owned()];
    words.extend(verbs.iter().map(|verb| (*verb).to_owned()));
    words.extend(options);
    words.push(IMAGE.to_string());
    Form::Run { words }
}

/// Reads options; says what becomes of each. Returns those that stay, the entry point if one is given, and where the options end.
fn options(
    command: &str,
    words: &[String],
    order: &mut Order,
) -> Result<(Vec<String>, Option<String>, usize), String> {
    let (mut options, mut entrypoint) = (Vec::new(), None);
    let mut place = 0;
    while let Some(word) = words.get(place).filter(|word| word.starts_with('-') && word.len() > 1) {
        if word == "--" {
            place += 1;
            break;
        }
        let (names, value, behind) = split(word)?;
        let takes = names.last().is_some_and(|name| !SWITCHES.contains(&name.as_str()));
        let count = if takes && value.is_none() { 2 } else { 1 };
        let given =
            words.get(place..place + count).ok_or_else(|| format!("{word} of {command} lacks its value"))?;
        let value = value.or_else(|| given.get(1).cloned()).unwrap_or_default();
        place += count;
        let name = names.last().cloned().unwrap_or_default();
        if name == "entrypoint" {
            entrypoint = Some(value.clone());
        }
        let finding = option(&Given { words: given, name, value }, &mut order.gpus);
        if behind || !matches!(finding.verdict, Verdict::Dropped | Verdict::Unsupported) {
            options.extend(given.iter().cloned());
        }
        order.around.push(finding);
    }
    Ok((options, entrypoint, place))
}

/// The names of the options in one word, the value in it if there is one, and whether several are joined, as in `-it`.
fn split(word: &str) -> Result<(Vec<String>, Option<String>, bool), String> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) =
            long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        return Ok((vec![name.to_owned()], value, false));
    }
    let mut names: Vec<String> = Vec::new();
    for (place, letter) in word.char_indices().skip(1) {
        let long = SHORT.iter().find(|(short, _)| *short == letter).map(|(_, long)| (*long).to_owned());
        let name = long.ok_or_else(|| format!("'{word}' is no option of docker run"))?;
        let switch = SWITCHES.contains(&name.as_str());
        names.push(name);
        if !switch {
            let value = word[place + letter.len_utf8()..].trim_start_matches('=');
            return Ok((names, Some(value.to_owned()).filter(|value| !value.is_empty()), false));
        }
    }
    let joined = names.len() > 1;
    Ok((names, None, joined))
}

fn option(given: &Given<'_>, gpus: &mut bool) -> Finding {
    let what = given.words.join(" ");
    let (verdict, why) = match given.name.as_str() {
        "gpus" => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        // That of a swarm.
        "generic-resource" if given.value.to_ascii_lowercase().contains("gpu") => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        // Podman's way, and that of CDI.
        "device" if given.value.contains("nvidia") => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        "runtime" if given.value.starts_with("nvidia") => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        "env" => {
            let (name, value) = given
                .value
                .split_once('=')
                .map_or((&*given.value, None), |(name, value)| (name, Some(value)));
            *gpus |= environment::gives_gpus(name, value.unwrap_or_default());
            let finding = environment::finding(name, value);
            return Finding { what: format!("-e {}", finding.what), ..finding };
        }
        "shm-size" | "ipc" => (
            Verdict::Different,
            "only for clients that use shared memory, which --allow-client-shm=true lets them, and for Python models",
        ),
        "ulimit" if given.value.starts_with("memlock") || given.value.starts_with("stack") => {
            (Verdict::Dropped, "pinned memory and stacks need no limits raised")
        }
        "cap-add" => {
            (Verdict::Dropped, "the server needs no capability; host policies bind their threads without one")
        }
        "privileged" => (Verdict::Dropped, "the server needs no rights"),
        "security-opt" if given.value.starts_with("label") => {
            (Verdict::Kept, "SELinux would keep the server from volumes and devices")
        }
        "security-opt" => (Verdict::Dropped, "the server needs nothing that profiles forbid"),
        "entrypoint" => (Verdict::Dropped, "the image starts the server itself"),
        "workdir" => (Verdict::Dropped, "nothing depends on the folder that the server is started in"),
        "user" => (Verdict::Kept, "without it the server runs as user 65532"),
        "read-only" => (Verdict::Kept, "the server writes nothing"),
        "volume" | "mount" => (Verdict::Kept, "what the server reads has to be readable by user 65532"),
        "stop-timeout" => (Verdict::Kept, "longer than --exit-timeout-secs and --drain-delay-secs together"),
        _ => (Verdict::Kept, ""),
    };
    Finding::new(verdict, what, why)
}

/// What is said of an image.
pub(crate) fn image_finding(image: &str) -> Finding {
    if is_image(image) {
        return Finding::new(Verdict::Different, image, "the image of Hippocamp");
    }
    let why = "not one of Triton's by its name: what it has beside the server, such as models or Python packages, has to come otherwise";
    Finding::new(Verdict::Unsupported, image, why)
}

/// Whether a container is one of Triton: by its image, or by its command.
pub(crate) fn concerns(image: &str, words: &[String]) -> bool {
    is_image(image)
        || words
            .iter()
            .any(|word| is_server(word) || word.contains("tritonserver") || word.contains("trtserver"))
}
