//! Sends responses in the order of their requests, for models with `preserve_ordering`.

use std::collections::VecDeque;
use std::sync::Arc;

use hippocamp_backend::{Event, Outlet, Request, ResponseSink};
use parking_lot::Mutex;

/// Holds back the responses of a request until all earlier requests are answered. Clones share one line of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordered(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    /// The number of the first request in `places`.
    first: u64,
    /// Requests whose last event has not been sent yet.
    places: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    outlet: Outlet,
    /// Events that were held back while earlier requests were unanswered.
    held: Vec<Event>,
}

impl Ordered {
    /// Adds the requests of a batch to the line, in the order of the batch. It is called for batches in the order in
    /// which they are pulled.
    pub(crate) fn admit(&self, batch: &mut [Box<Request>]) {
        for request in batch {
            self.admit_one(request);
        }
    }

    /// Adds one request at the end of the line.
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
    /// The index in `places` of a request whose last event has not been sent.
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

/// The sink for the events of one request in the line.
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
