//! The instances of a scheduler, as far as they have no thread.
//!
//! An instance that may move between threads and has nothing to do for a while gives its thread back, and waits
//! here. When a batch waits for it, it gets a thread from the [cache](crate::thread_cache).

use parking_lot::Mutex;

use crate::instance::Parked;

/// Places for the instances, by their index.
#[derive(Debug, Default)]
pub(crate) struct ParkedInstances(Mutex<Vec<Place>>);

#[derive(Debug, Default)]
enum Place {
    /// The instance has a thread, or is being created.
    #[default]
    Away,
    /// The instance waits for a thread.
    Parked(Box<Parked>),
    /// The instance was called while it was on its way here.
    Called,
}

impl ParkedInstances {
    /// Has the instance look for work. It has announced that it parks, and has not been called since.
    pub(crate) fn unpark(&self, instance: usize) {
        let parked = {
            let mut places = self.0.lock();
            let place = place(&mut places, instance);
            match std::mem::take(place) {
                Place::Parked(parked) => parked,
                Place::Away | Place::Called => return *place = Place::Called,
            }
        };
        parked.start();
    }

    /// Takes in an instance that has announced that it parks. It is returned if it was called meanwhile.
    pub(crate) fn park(&self, parked: Box<Parked>) -> Option<Box<Parked>> {
        let mut places = self.0.lock();
        let place = place(&mut places, parked.index());
        match std::mem::take(place) {
            Place::Called => Some(parked),
            Place::Away | Place::Parked(_) => {
                *place = Place::Parked(parked);
                None
            }
        }
    }
}

#[cfg(test)]
impl ParkedInstances {
    /// How many instances wait for a thread.
    pub(crate) fn parked(&self) -> usize {
        self.0.lock().iter().filter(|place| matches!(place, Place::Parked(_))).count()
    }
}

fn place(places: &mut Vec<Place>, instance: usize) -> &mut Place {
    if places.len() <= instance {
        places.resize_with(instance + 1, Place::default);
    }
    &mut places[instance]
}
