//! The settings that seem best, measured in turns until it is known which one is: the best of many measurements owes some of it to luck, which
//! the next one does not repeat.

use hippocamp_client::Result;

use super::comparison::Comparison;
use super::levels::Levels;
use super::outcome::{Goal, Level, Outcome, Tried, is_better};
use super::search::Measure;

/// How many others are compared with the config as it is.
const FINALISTS: usize = 4;

/// What reached as much of the best is compared with it: short measurements differ by that.
const CLOSE: f64 = 0.9;

/// How often each is measured at most.
const TURNS: usize = 6;

/// The same with a goal for the latency, which few requests in a hundred decide, so that no fewer turns are enough either.
const TURNS_WITH_GOAL: usize = 3;

/// The index of the best, which `seeming` seems to be: measured in turns with the config as it is, and with what is close, or less and
/// may be as good.
pub(crate) async fn decide(
    tried: &mut Vec<Tried>,
    seeming: usize,
    goal: Goal,
    measure: &mut impl Measure,
) -> Result<usize> {
    let mut finalists: Vec<Finalist> = order(tried, seeming, goal).into_iter().map(Finalist::new).collect();
    let own = |index: usize| tried[index].outcome.chosen(goal).map(|level| level.concurrency);
    let most = finalists.iter().filter_map(|finalist| own(finalist.index)).max().unwrap_or(1);
    for finalist in &mut finalists {
        let own = own(finalist.index).unwrap_or(most);
        // At the level of the others, too: that the one of some is lower may be luck as well.
        finalist.levels = Levels::Both(own, if goal.latency_ms.is_some() { own } else { most });
    }
    let turns = if goal.latency_ms.is_some() { TURNS_WITH_GOAL } else { TURNS };
    let mut winner = 0;
    for turn in 0..turns {
        let mut places: Vec<usize> = (0..finalists.len()).filter(|place| finalists[*place].is_in).collect();
        // Back and forth, so that what is loaded is measured twice before the next is loaded, and a drift of the machine is none.
        if turn % 2 == 1 {
            places.reverse();
        }
        for place in places {
            let finalist = &mut finalists[place];
            let again = measure(&tried[finalist.index].settings, finalist.levels, None).await?;
            finalist.add(again.unwrap_or_default(), goal);
        }
        if goal.latency_ms.is_none() {
            let is_decided;
            (winner, is_decided) = decided(&mut finalists);
            if is_decided {
                break;
            }
        }
    }
    for finalist in &mut finalists {
        tried[finalist.index].outcome.confirm(&finalist.measured, goal);
    }
    if goal.latency_ms.is_some() {
        let score = |place: usize| tried[finalists[place].index].outcome.score(goal);
        let better = |best, place| if is_better(score(place), score(best)) { place } else { best };
        winner = (0..finalists.len()).reduce(better).unwrap_or(0);
    }
    Ok(finalists.get(winner).map_or(0, |finalist| finalist.index))
}

/// Settings that are compared.
#[derive(Debug)]
struct Finalist {
    /// Which of what was tried.
    index: usize,
    levels: Levels,
    measured: Vec<Level>,
    /// The throughput of each turn.
    rates: Vec<f64>,
    /// Whether it may still be the best.
    is_in: bool,
}

impl Finalist {
    fn new(index: usize) -> Finalist {
        Finalist { index, levels: Levels::All, measured: Vec::new(), rates: Vec::new(), is_in: true }
    }

    fn add(&mut self, outcome: Outcome, goal: Goal) {
        match outcome.best(goal) {
            // At the better of two levels from now on.
            Some(level) if goal.latency_ms.is_none() => {
                self.levels = Levels::Both(level.concurrency, level.concurrency);
                self.rates.push(level.rate);
            }
            None if goal.latency_ms.is_none() => self.is_in = false,
            _ => {}
        }
        self.measured.extend(outcome.levels);
    }
}

/// The finalists, those that are less in front, and the config as it is before all.
fn order(tried: &mut Vec<Tried>, seeming: usize, goal: Goal) -> Vec<usize> {
    let best = tried[seeming].outcome.score(goal);
    let mut order = vec![seeming];
    if goal.latency_ms.is_none() {
        // A delay, or threads, that came with what is good may be there for nothing.
        for settings in tried[seeming].settings.less() {
            let known = tried.iter().position(|one| one.settings == settings);
            let index = known.unwrap_or(tried.len());
            if known.is_none() {
                tried.push(Tried { settings, outcome: Outcome::default() });
            }
            order.push(index);
        }
    }
    let score = |index: &usize| tried[*index].outcome.score(goal);
    let is_close = |index: &usize| {
        let is_better = is_better(score(index), tried[0].outcome.score(goal));
        is_better && (best <= 0.0 || score(index) >= CLOSE * best)
    };
    let mut close: Vec<usize> =
        (1..tried.len()).filter(|index| !order.contains(index)).filter(is_close).collect();
    close.sort_by(|a, b| score(b).total_cmp(&score(a)));
    order.extend(close);
    order.truncate(FINALISTS);
    order.sort_by_key(|index| tried[*index].settings.size());
    if tried[0].outcome.chosen(goal).is_some() {
        order.insert(0, 0);
    }
    order
}

/// Takes those out that are not the best. The place of the best, which is the first of those than which none is better, and whether further turns
/// would change nothing.
fn decided(finalists: &mut [Finalist]) -> (usize, bool) {
    let left: Vec<usize> = (0..finalists.len()).filter(|place| finalists[*place].is_in).collect();
    let rows: Vec<Vec<f64>> = left.iter().map(|place| finalists[*place].rates.clone()).collect();
    let comparison = Comparison::of(&rows);
    let best = comparison.best();
    let is_behind = |row: &usize| comparison.seems_better(best, *row) || comparison.is_better(best, *row);
    let first = (0..rows.len()).find(|row| !is_behind(row)).unwrap_or(0);
    for row in 0..rows.len() {
        // Worse than the best, or more than the best for nothing.
        let is_out = comparison.is_better(best, row) || (row > best && !comparison.may_be_better(row, best));
        finalists[left[row]].is_in = !is_out;
    }
    let is_open = |row: usize| finalists[left[row]].is_in && row != first;
    let is_known = |row: usize| row > first && !comparison.may_be_better(row, first);
    (left.get(first).copied().unwrap_or(0), (0..rows.len()).filter(|row| is_open(*row)).all(is_known))
}
