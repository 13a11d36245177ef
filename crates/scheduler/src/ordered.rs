//! Responses in the order of their requests, where a model promises that.

use std::collections::VecDeque;
use std::sync::Arc;

use hippocamp_backend::{Batch, Event, Outlet, Request, ResponseSink};
use parking_lot::Mutex;

/// Holds back what would overtake the answer to an earlier request. Clones are the same line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordered(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    /// The place of the first in line.
    first: u64,
    /// Requests whose last event is still to go out.
    places: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    outlet: Outlet,
    /// What came for it while others were before it.
    held: Vec<Event>,
}

impl Ordered {
    /// Gives the requests of a batch their places, in the order of the batch. Batches come here in the order in which
    /// they were taken from the queue.
    pub(crate) fn admit(&self, batch: &mut Batch) {
        for request in batch.iter_mut() {
            self.admit_one(request);
        }
    }

    /// Gives one request its place, behind all that have one.
    pub(crate) fn admit_one(&self, request: &mut Request) {
        request.response.redirect(|outlet| {
            let delivery = outlet.delivery();
            let mut line = self.0.lock();
            let place = line.first + line.places.len() as u64;
            line.places.push_back(Place { outlet, held: Vec::new() });
            drop(line);
            Outlet::to_sink(delivery, Box::new(InLine { line: Arc::clone(&self.0), place }))
        });
    }
}

impl Line {
    /// The place is there as long as its last event did not go out.
    fn index(&self, place: u64) -> usize {
        (place - self.first) as usize
    }

    fn deliver(&mut self, place: u64, event: Event) {
        let index = self.index(place);
        let Some(place) = self.places.get_mut(index) else { return };
        if index > 0 {
            place.held.push(event);
            return;
        }
        place.outlet.send(event);
        while self.places.front().is_some_and(|place| !place.outlet.is_open()) {
            self.places.pop_front();
            self.first += 1;
            if let Some(next) = self.places.front_mut() {
                for event in std::mem::take(&mut next.held) {
                    next.outlet.send(event);
                }
            }
        }
    }
}

/// The way out of one request.
#[derive(Debug)]
struct InLine {
    line: Arc<Mutex<Line>>,
    place: u64,
}

impl ResponseSink for InLine {
    fn deliver(&mut self, event: Event) {
        self.line.lock().deliver(self.place, event);
    }

    fn is_cancelled(&self) -> bool {
        let line = self.line.lock();
        line.places.get(line.index(self.place)).is_none_or(|place| place.outlet.is_cancelled())
    }
}

#[cfg(test)]
mod tests;
