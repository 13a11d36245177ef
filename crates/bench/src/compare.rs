//! Compares two models that should agree: their answers to the same inputs, and their speed, measured in turns.

mod difference;
mod pairs;
mod report;
mod side;

use std::sync::Arc;

use hippocamp_client::{Request, Result, Tensor, TensorInfo, place};

use crate::args::{BenchArgs, Named, Tolerance};
use crate::bench::{session, write};
use crate::failure;
use crate::measure::Session;
use crate::plan::{Load, Plan};
use crate::point::Point;
use crate::prepare::{Prepared, SEED, check, prepare_request, ready};
use difference::Differences;
use pairs::Pairs;
pub use report::Comparison;
use side::Side;

/// A level of the load, measured of both models round by round.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) a: Point,
    pub(crate) b: Point,
    /// Answered requests a second of A and of B in each round.
    pub(crate) rounds: Vec<(f64, f64)>,
}

/// An output of both models, and how far the answers are apart.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) a: TensorInfo,
    pub(crate) b: TensorInfo,
    pub(crate) differences: Differences,
}

/// Compares the two models of the command line, and writes the file that was asked for. What fails after the answers were
/// compared is part of the result.
pub async fn compare(args: &BenchArgs) -> Result<Comparison> {
    let [name_a, name_b] = args.compare.as_slice() else {
        return failure("--compare: expected the names of two models, such as net-torch,net-trt");
    };
    let loads = args.loads();
    let mut session = session(args)?;
    let mut a = Side::connect(args, name_a, args.url.as_deref(), &loads).await?;
    let mut b =
        Side::connect(args, name_b, args.compare_url.as_deref().or(args.url.as_deref()), &loads).await?;
    let inputs = pairs::inputs(&a.metadata.inputs, &b.metadata.inputs)?;
    let (outputs, only) = outputs(args, &a, &b)?;
    let outputs_by_position = outputs.by_position;
    let mut comparison = Comparison::new(args, &a, &b, &inputs, outputs_by_position, only);
    comparison.outputs = outputs
        .matched
        .iter()
        .map(|&(in_a, in_b)| Output {
            a: a.metadata.outputs[in_a].clone(),
            b: b.metadata.outputs[in_b].clone(),
            differences: Differences::default(),
        })
        .collect();
    let tolerance = args.tolerance.unwrap_or_default();
    let requests = Requests { args, inputs: &inputs, outputs: &comparison.outputs };
    let mut first = None;
    let mut differences = vec![Differences::default(); comparison.outputs.len()];
    for sample in 0..requests.samples(&a) {
        let (to_a, to_b) = requests.make(&a, &b, sample)?;
        let answers = session.interruptible(answers(&mut a, &mut b, &to_a, &to_b)).await?;
        for (output, found) in comparison.outputs.iter().zip(&mut differences) {
            let (of_a, of_b) = (named(&answers.0, &output.a.name)?, named(&answers.1, &output.b.name)?);
            found.add(sample, of_a, of_b, tolerance);
        }
        comparison.samples = sample + 1;
        first.get_or_insert((to_a, to_b));
    }
    for (output, found) in comparison.outputs.iter_mut().zip(differences) {
        output.differences = found;
    }
    let Some((to_a, to_b)) = first else { return failure("--samples: expected at least one") };
    comparison.inputs_sent = to_a.inputs.clone();
    if let Err(failure) = measure(args, &mut session, (a, to_a), (b, to_b), &loads, &mut comparison).await {
        comparison.failures.push(failure.to_string());
    }
    if let Some(file) = &args.json
        && let Err(failure) = write(file, &comparison.json())
    {
        comparison.failures.push(failure.to_string());
    }
    Ok(comparison)
}

/// The outputs to be compared, and the names of those that only one of the models has.
fn outputs(args: &BenchArgs, a: &Side, b: &Side) -> Result<(Pairs, [Vec<String>; 2])> {
    hippocamp_client::check_outputs(&a.metadata, &args.outputs)?;
    let mut found = pairs::pairs(&a.metadata.outputs, &b.metadata.outputs);
    let names = |tensors: &[TensorInfo], places: &[usize]| {
        places.iter().map(|place| tensors[*place].name.clone()).collect::<Vec<_>>()
    };
    let mut only = [names(&a.metadata.outputs, &found.only.0), names(&b.metadata.outputs, &found.only.1)];
    if !args.outputs.is_empty() {
        let is_wanted = |name: &String| args.outputs.contains(name);
        found.matched.retain(|(place, _)| is_wanted(&a.metadata.outputs[*place].name));
        only[0].retain(is_wanted);
        only[1].clear();
    }
    if found.matched.is_empty() {
        return failure(format!(
            "the models have no output in common: A has {}; B has {}",
            names(&a.metadata.outputs, &found.only.0).join(", "),
            names(&b.metadata.outputs, &found.only.1).join(", ")
        ));
    }
    Ok((found, only))
}

/// The requests to both models.
struct Requests<'a> {
    args: &'a BenchArgs,
    inputs: &'a Pairs,
    outputs: &'a [Output],
}

impl Requests<'_> {
    /// How many different requests there are: one if all inputs are given.
    fn samples(&self, a: &Side) -> u32 {
        let is_given = |name: &str| {
            self.args.inputs.iter().any(|given| given.split_once('=').is_some_and(|(input, _)| input == name))
        };
        let all_given = a.metadata.inputs.iter().all(|input| is_given(&input.name));
        if all_given { 1 } else { self.args.samples }
    }

    /// The request to A, and the same to B under its names.
    fn make(&self, a: &Side, b: &Side, sample: u32) -> Result<(Request, Request)> {
        let Prepared { request, .. } = prepare_request(self.args, &a.metadata, SEED + u64::from(sample))?;
        let mut to_a = request.clone();
        let mut to_b = request;
        to_b.inputs = Vec::new();
        for &(in_a, in_b) in &self.inputs.matched {
            to_b.inputs.push(fitted(&to_a.inputs[in_a], &b.metadata.inputs[in_b])?);
        }
        to_a.outputs = self.outputs.iter().map(|output| output.a.name.clone()).collect();
        to_b.outputs = self.outputs.iter().map(|output| output.b.name.clone()).collect();
        Ok((to_a, to_b))
    }
}

/// The tensor under the name that B has for it, in B's shape if that differs by dimensions of 1 alone: what one config counts as
/// the batch, another may have in its dims.
fn fitted(tensor: &Tensor, info: &TensorInfo) -> Result<Tensor> {
    let fits = |shape: &[i64], wanted: &[i64]| {
        shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(size, wanted)| *wanted == -1 || size == wanted)
    };
    let without_ones = |shape: &[i64]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    let mut shape = tensor.shape.clone();
    if !fits(&shape, &info.shape) {
        // An open size that A has not is a batch of one.
        shape = info.shape.iter().map(|size| if *size == -1 { 1 } else { *size }).collect();
        if without_ones(&shape) != without_ones(&tensor.shape) {
            let (a, b) = (hippocamp_client::dims(&tensor.shape), hippocamp_client::dims(&info.shape));
            return failure(format!(
                "input '{}' of A has shape {a}, which B's '{}' of shape {b} does not take",
                tensor.name, info.name
            ));
        }
    }
    Ok(Tensor { name: info.name.clone(), shape, ..tensor.clone() })
}

async fn answers(
    a: &mut Side,
    b: &mut Side,
    to_a: &Request,
    to_b: &Request,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    Ok((a.ask(to_a).await?, b.ask(to_b).await?))
}

fn named<'t>(outputs: &'t [Tensor], name: &str) -> Result<&'t Tensor> {
    match outputs.iter().find(|output| output.name == name) {
        Some(output) => Ok(output),
        None => failure(format!("an answer was expected to have the output '{name}', and has not")),
    }
}

/// Measures both models at each level, in rounds: first the one, then the other, and the next time the other way round.
async fn measure(
    args: &BenchArgs,
    session: &mut Session,
    a: (Side, Request),
    b: (Side, Request),
    loads: &[Load],
    comparison: &mut Comparison,
) -> Result<()> {
    let mut args = args.clone();
    // A round of each has its share of the whole.
    args.seconds /= f64::from(args.rounds);
    args.warm_up /= f64::from(args.rounds);
    args.requests = args.requests.map(|requests| requests.div_ceil(u64::from(args.rounds)));
    let mut both = Vec::new();
    for (side, request) in [a, b] {
        let prepared = Prepared { request, file: None };
        let target = side.target.clone();
        let ready = ready(&args, side.server, side.place.as_place(), target, prepared, loads);
        both.push(session.interruptible(ready).await?);
    }
    let measured = match both.as_slice() {
        [a, b] => levels(session, [&a.plan, &b.plan], args.rounds, loads, comparison).await,
        _ => Ok(()),
    };
    for ready in both {
        // The results are worth more than a farewell that failed.
        drop(ready.finish().await);
    }
    measured
}

async fn levels(
    session: &mut Session,
    plans: [&Arc<Plan>; 2],
    rounds: u32,
    loads: &[Load],
    comparison: &mut Comparison,
) -> Result<()> {
    session.threads = 1;
    for load in loads {
        let mut level: Option<Level> = None;
        for round in 0..rounds {
            let title = format!("{}, round {} of {rounds}", load.title(), round + 1);
            let (first, second) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
            let mut points = [None, None];
            for which in [first, second] {
                session.progress.title(&format!("{}, {title}", ["A", "B"][which]));
                points[which] = Some(session.measure(plans[which], *load).await?);
            }
            let [Some(a), Some(b)] = points else { continue };
            let is_over = |point: &Point| point.is_interrupted || point.gave_up.is_some();
            let ends = is_over(&a) || is_over(&b);
            match &mut level {
                Some(level) => level.add(a, b),
                None => level = Some(Level { rounds: vec![(a.rate(), b.rate())], a, b }),
            }
            if ends {
                comparison.levels.extend(level);
                return Ok(());
            }
        }
        comparison.levels.extend(level);
    }
    Ok(())
}

impl Level {
    fn add(&mut self, a: Point, b: Point) {
        self.rounds.push((a.rate(), b.rate()));
        self.a.add(a);
        self.b.add(b);
    }

    /// How much faster B is: the median of the rounds, and the least and the most. `None` where A answered nothing.
    pub(crate) fn speedup(&self) -> Option<(f64, f64, f64)> {
        let mut ratios: Vec<f64> = self.rounds.iter().filter(|(a, _)| *a > 0.0).map(|(a, b)| b / a).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.len() / 2;
        let median = match ratios.len() {
            0 => return None,
            odd if odd % 2 == 1 => ratios[middle],
            _ => f64::midpoint(ratios[middle - 1], ratios[middle]),
        };
        Some((median, ratios[0], ratios[ratios.len() - 1]))
    }
}
