//! Which tensor of one step of an ensemble is which tensor of the next.

use std::collections::BTreeMap;

use crate::pipelines::Pipelines;

/// For each input of the network, the output of the pipeline before that it takes; for each output of the network, the input of
/// the pipeline behind that takes it. A tensor that no pipeline handles has its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wiring {
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
}

/// Connects the network to its pipelines: by equal names where there are any, the others in their order. The error says what
/// does not go together.
pub(crate) fn connect(
    inputs: &[String],
    outputs: &[String],
    pipelines: &Pipelines,
) -> Result<Wiring, String> {
    let mut wiring = Wiring::default();
    let given = pipelines.before.as_ref().map(|before| before.outputs.as_slice());
    match given {
        None => wiring.inputs = inputs.iter().map(|name| (name.clone(), name.clone())).collect(),
        Some(given) => {
            // What the pipeline behind reads, such as a matrix, passes the network by.
            let passes_by = pipelines.behind.as_ref().map_or(&[][..], |behind| &behind.inputs);
            let for_network = |name: &&String| inputs.contains(name) || !passes_by.contains(name);
            let offered: Vec<&String> = given.iter().filter(for_network).collect();
            wiring.inputs = paired(inputs, &offered).ok_or_else(|| {
                mismatch("the network takes", inputs, "the pipeline before it makes", &offered)
            })?;
        }
    }
    match &pipelines.behind {
        None => wiring.outputs = outputs.iter().map(|name| (name.clone(), name.clone())).collect(),
        Some(behind) => {
            let comes_by = |name: &&String| given.is_some_and(|given| given.contains(name));
            let wanted: Vec<&String> = behind.inputs.iter().filter(|name| !comes_by(name)).collect();
            let by_name = wanted.iter().all(|name| outputs.contains(name));
            let outputs: Vec<String> = if by_name {
                outputs.iter().filter(|name| wanted.contains(name)).cloned().collect()
            } else {
                outputs.to_vec()
            };
            wiring.outputs = paired(&outputs, &wanted).ok_or_else(|| {
                mismatch("the network returns", &outputs, "the pipeline behind it takes", &wanted)
            })?;
        }
    }
    Ok(wiring)
}

/// Each of `own` with its counterpart; `None` if the numbers differ.
fn paired(own: &[String], others: &[&String]) -> Option<BTreeMap<String, String>> {
    if own.len() != others.len() {
        return None;
    }
    let mut rest = others.iter().filter(|other| !own.contains(other));
    let pair = |name: &String| {
        let other = if others.contains(&name) { name } else { rest.next()? };
        Some((name.clone(), other.clone()))
    };
    own.iter().map(pair).collect()
}

fn mismatch(one: &str, names: &[String], two: &str, others: &[&String]) -> String {
    let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let (names, others) =
        (names.iter().map(String::as_str).collect(), others.iter().map(|n| n.as_str()).collect());
    format!("{one} {}, and {two} {}", list(names), list(others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::Pipeline;

    fn pipelines(before: Option<&[&str]>, behind: Option<&[&str]>) -> Pipelines {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let pipeline = |inputs, outputs| Pipeline { text: String::new(), inputs, outputs };
        Pipelines {
            before: before.map(|outputs| pipeline(Vec::new(), list(outputs))),
            behind: behind.map(|inputs| pipeline(list(inputs), Vec::new())),
            labels: None,
        }
    }

    fn wired(inputs: &[&str], outputs: &[&str], pipelines: &Pipelines) -> Result<String, String> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        connect(&list(inputs), &list(outputs), pipelines)
            .map(|Wiring { inputs, outputs }| format!("{inputs:?} {outputs:?}").replace('"', ""))
    }

    #[test]
    fn by_name_or_in_order() {
        let face = pipelines(Some(&["image", "matrix", "size"]), Some(&["heat", "box", "matrix", "size"]));
        assert_eq!(
            wired(&["input.1"], &["537", "538"], &face).unwrap(),
            "{input.1: image} {537: heat, 538: box}"
        );
        assert_eq!(
            wired(&["image"], &["box", "heat", "more"], &face).unwrap(),
            "{image: image} {box: box, heat: heat}"
        );
        let fault = wired(&["a", "b"], &["heat", "box"], &face).unwrap_err();
        assert_eq!(fault, "the network takes a, b, and the pipeline before it makes image");
        let fault = wired(&["a"], &["1"], &face).unwrap_err();
        assert_eq!(fault, "the network returns 1, and the pipeline behind it takes heat, box");
    }

    #[test]
    fn without_a_pipeline_tensors_keep_their_names() {
        assert_eq!(wired(&["a"], &["b"], &pipelines(None, None)).unwrap(), "{a: a} {b: b}");
        assert_eq!(wired(&["a"], &["b"], &pipelines(None, Some(&["x"]))).unwrap(), "{a: a} {b: x}");
    }
}
