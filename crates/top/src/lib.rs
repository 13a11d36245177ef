//! `hippocamp top`: a live table of a server's models. It reads nothing but the metrics page, so it costs what a scrape of Prometheus costs, and
//! shows a tritonserver as well.

mod fetch;
mod history;
mod layout;
mod page;
mod table;
mod terminal;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use fetch::Address;
pub use table::Sort;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use history::History;
use page::Page;
use table::View;
use terminal::{Key, Terminal};

/// What is shown, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the metrics page is.
    pub address: Address,
    /// Lines of HTTP that each question has beside its own, each with its end: who asks.
    pub headers: String,
    /// How long between two looks at it. Rates are of that time.
    pub interval: Duration,
    pub sort: Sort,
    /// Print this many tables, one below the other, instead of keeping one on the screen.
    pub count: Option<u64>,
}

/// Shows the table until a key ends it, or as often as the settings say.
///
/// # Errors
///
/// A sentence about what the server, or the terminal, did instead. A server that does not answer later on is told in the table.
pub fn top(settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let mut history =
        History::new(Page::read(&fetch::get(&settings.address, &settings.headers)?), Instant::now());
    let Some(count) = settings.count else { return live(settings, history, out) };
    for _ in 0..count {
        std::thread::sleep(settings.interval);
        history.add(Page::read(&fetch::get(&settings.address, &settings.headers)?), Instant::now());
        let view = View { width: terminal::width(), ..View::default() };
        let shown = table::text(&history, settings, None, view);
        out.write_all(shown.text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn live(settings: &Settings, mut history: History, out: &mut impl Write) -> Result<(), String> {
    let mut settings = settings.clone();
    // Before the terminal is changed: who ends this by a signal wants it back as it was.
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(|error| error.to_string())?;
    }
    let _entered = Terminal::enter(out)
        .map_err(|error| format!("the terminal cannot be used ({error}); --count=1 prints one table"))?;
    let (mut next, mut fault) = (Instant::now() + settings.interval, None);
    let mut first = 0;
    while !ended.load(Ordering::Relaxed) {
        let view = View { width: terminal::width(), height: Some(terminal::height()), first };
        let shown = table::text(&history, &settings, fault.as_deref(), view);
        first = shown.first;
        if let Err(error) = Terminal::show(out, &shown.text) {
            return Err(error.to_string());
        }
        match Terminal::key(next.saturating_duration_since(Instant::now())) {
            Some(Key::Quit) => return Ok(()),
            // What comes first is what was asked for.
            Some(Key::Sort(sort)) => (settings.sort, first) = (sort, 0),
            Some(Key::Scroll { lines, pages }) => {
                let rows = isize::try_from(shown.rows).unwrap_or(isize::MAX);
                first = first.saturating_add_signed(lines.saturating_add(pages.saturating_mul(rows)));
            }
            Some(Key::Other) => {}
            None => {
                // What was missed, while the machine slept, is not made up for.
                next = (next + settings.interval).max(Instant::now());
                match fetch::get(&settings.address, &settings.headers) {
                    Ok(text) => {
                        history.add(Page::read(&text), Instant::now());
                        fault = None;
                    }
                    Err(why) => fault = Some(why),
                }
            }
        }
    }
    Ok(())
}
