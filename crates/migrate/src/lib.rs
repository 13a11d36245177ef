//! Reads how a tritonserver is started, wherever that is written: a command line, `docker run`, a Compose file or manifests of
//! Kubernetes. Says of everything around the server's own flags what becomes of it, and finds these flags. It does not know them:
//! what a flag means is known by the server, which prints the report.

mod apptainer;
mod compose;
mod docker;
mod dockerfile;
mod environment;
mod helm;
mod kserve;
mod kubectl;
mod kubernetes;
mod probes;
mod program;
mod render;
mod script;
mod shell;
mod unit;
mod wrappers;
mod yaml;

use serde_json::Value;

/// A word without the marks of what no shell expands.
pub fn plain(word: &str) -> String {
    shell::plain(word)
}

/// What becomes of a part of the old command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is and means the same.
    Kept,
    /// It stays or is replaced, and the text says what differs.
    Different,
    /// It had a purpose that is not there any more; it is left out of the new command.
    Dropped,
    /// There is nothing like it: somebody has to decide.
    Unsupported,
}

impl Verdict {
    /// The word of the report.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Different => "different",
            Verdict::Dropped => "dropped",
            Verdict::Unsupported => "UNSUPPORTED",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// The part of the old command.
    pub what: String,
    /// What becomes of it and why; empty if there is nothing to say.
    pub why: String,
}

impl Finding {
    pub fn new(verdict: Verdict, what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding { verdict, what: plain(&what.into()), why: why.into() }
    }
}

/// Where the server's command is written, with what is needed to write the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A command line without a container.
    Plain,
    /// A command line that starts a container, as `docker run`: its words up to the server's flags. In one of them `IMAGE` or
    /// `IMAGE_FILE` stands for the image.
    Run { words: Vec<String> },
    /// A service of a Compose file.
    Compose { service: String },
    /// A container of a manifest of Kubernetes, with its probes: those that it had, or those that it should have.
    Kubernetes { container: String, probes: Vec<(String, Value)> },
    /// The predictor of a service of KServe.
    InferenceService { format: String, protocol: Option<String>, storage_uri: Option<String> },
    /// The last stage of a Dockerfile: its lines between FROM and the command.
    Dockerfile { lines: Vec<String> },
    /// A line of systemd or supervisord, up to the command.
    Unit { key: String },
    /// The section of a container of Podman's units: its lines but for image and command.
    Quadlet { lines: Vec<String> },
    /// Values of a chart of Helm: those of the new chart, but for flags and GPUs.
    Helm { values: Vec<(String, String)> },
}

/// Stands for the name of the image.
pub(crate) const IMAGE: char = '\u{e049}';

/// Stands for the name of the image's file, which Apptainer has.
pub(crate) const IMAGE_FILE: char = '\u{e04a}';

/// One server that is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where it was found, for people.
    pub place: String,
    pub form: Form,
    /// Whether it asks for GPUs, so that the image has to be the one with CUDA.
    pub gpus: bool,
    /// Lines of a script that stay in front of the command.
    pub before: Vec<String>,
    /// The words that stay in front of the command: variables, `sudo`, and programs such as numactl.
    pub front: Vec<String>,
    /// What stays behind the server's flags: where its output goes.
    pub behind: Vec<String>,
    /// What is said around the server's flags.
    pub around: Vec<Finding>,
    /// The server's flags.
    pub flags: Vec<String>,
}

impl Order {
    fn new(place: impl Into<String>, form: Form) -> Order {
        Order {
            place: place.into(),
            form,
            gpus: false,
            before: Vec::new(),
            front: Vec::new(),
            behind: Vec::new(),
            around: Vec::new(),
            flags: Vec::new(),
        }
    }
}

/// Reads the arguments of `hippocamp migrate`: a command line, or one file with a command line, a Compose file or manifests.
/// `open` reads a file; `-` is for it to know.
///
/// # Errors
///
/// A sentence about what was found instead of a server's command.
pub fn read(
    arguments: &[String],
    open: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Order>, String> {
    match arguments {
        [] => Err("a command line is expected, or the name of a file".to_owned()),
        [one] if !is_server(one) && !one.contains(char::is_whitespace) => text(&open(one)?),
        // Somebody put the whole command into quotation marks.
        [one] if one.contains(char::is_whitespace) => text(one),
        words => command(words).map(|order| vec![order]),
    }
}

/// A file's content: manifests, a Dockerfile, a unit of systemd, or a script in which a command starts the server.
fn text(content: &str) -> Result<Vec<Order>, String> {
    if let Some(order) = dockerfile::order(content).or_else(|| unit::order(content)) {
        return Ok(vec![order?]);
    }
    let documents = yaml::documents(content);
    let is_manifest = |document: &&Value| {
        document.get("kind").is_some_and(Value::is_string)
            || document.get("services").is_some_and(Value::is_object)
    };
    let manifests: Vec<&Value> = documents.iter().flatten().filter(is_manifest).collect();
    let mut orders = Vec::new();
    for document in &manifests {
        if document.get("services").is_some_and(Value::is_object) {
            orders.extend(compose::orders(document)?);
        } else {
            orders.extend(kubernetes::orders(document)?);
        }
    }
    if manifests.is_empty() {
        let values = documents.iter().flatten().filter_map(helm::order);
        orders.extend(values.collect::<Result<Vec<_>, _>>()?);
    }
    if !orders.is_empty() {
        return Ok(orders);
    }
    if !manifests.is_empty() {
        return Err("no container in it starts a tritonserver: neither its image nor its command names one, and no predictor of KServe is Triton's"
            .to_owned());
    }
    script::orders(content).map_err(|fault| match documents {
        Err(why) if fault.is_empty() => why,
        _ if fault.is_empty() => "it is empty".to_owned(),
        _ => fault,
    })
}

/// A command line that the shell has split.
fn command(words: &[String]) -> Result<Order, String> {
    let tool = (0..words.len()).find(|place| container(&words[*place..]).is_some());
    let server = words.iter().position(|word| is_server(word)).unwrap_or(words.len());
    if let Some((before, rest)) = tool.filter(|tool| *tool < server).map(|tool| words.split_at(tool))
        && wrappers::start(before, true)
        && let Some(order) = container(rest)
    {
        let mut order = order?;
        let mut told = Vec::new();
        wrappers::read(before, &mut told, Some(&mut order.front));
        order.around.splice(0..0, told);
        return Ok(order);
    }
    let mut order = Order::new("command line", Form::Plain);
    match program::flags(words, &mut order.around, Some(&mut order.front)) {
        Ok(flags) => order.flags = flags,
        Err(why) => return within(words).ok_or(why),
    }
    Ok(order)
}

/// The server that a text among the words of a program starts, as of `tmux new -d TEXT` and `ssh HOST TEXT`.
fn within(words: &[String]) -> Option<Order> {
    let (first, others) = words.split_first()?;
    if !wrappers::start(std::slice::from_ref(first), true) {
        return None;
    }
    let text = others.iter().find(|word| word.contains(char::is_whitespace))?;
    let mut order = shell::read(&shell::plain(text)).iter().find_map(|inner| command(&inner.words).ok())?;
    let around: Vec<&str> = words.iter().map(|word| if word == text { "..." } else { word }).collect();
    let images = words.windows(2).any(|pair| wrappers::names_image(&pair[0], &pair[1]));
    let (verdict, why) = if images {
        (Verdict::Unsupported, wrappers::IMAGE_NAMED)
    } else {
        (Verdict::Different, "is not known here: the new command takes the place of its text")
    };
    order.around.insert(0, Finding::new(verdict, around.join(" "), why));
    Some(order)
}

/// The server in a container that these words start, if they begin with a tool that does so.
fn container(words: &[String]) -> Option<Result<Order, String>> {
    let (tool, rest) = words.split_first()?;
    let rest = match rest {
        [first, rest @ ..] if is_container_tool(wrappers::name(tool)) && first == "container" => rest,
        rest => rest,
    };
    let (verb, behind) = rest.split_first()?;
    match (wrappers::name(tool), verb.as_str()) {
        (name, verb @ ("run" | "create")) if is_container_tool(name) => {
            Some(docker::order(tool, &[verb], behind))
        }
        (name, "service")
            if is_container_tool(name) && behind.first().is_some_and(|next| next == "create") =>
        {
            Some(docker::order(tool, &["service", "create"], &behind[1..]))
        }
        (name, "exec") if is_container_tool(name) => Some(docker::exec(tool, behind)),
        ("kubectl" | "oc", _) => kubectl::order(tool, rest),
        ("singularity" | "apptainer", _) => apptainer::order(tool, rest),
        _ => None,
    }
}

fn is_container_tool(word: &str) -> bool {
    matches!(word, "docker" | "podman" | "nerdctl" | "nvidia-docker")
}

/// Whether a word names the server, by whichever path.
fn is_server(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("tritonserver" | "trtserver" | "trtis"))
}

/// Whether an image is one of Triton, by its name.
fn is_image(image: &str) -> bool {
    ["tritonserver", "triton", "tensorrtserver"].iter().any(|name| image.contains(name))
}

#[cfg(test)]
mod tests;
