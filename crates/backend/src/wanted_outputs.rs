//! Which outputs a request asks for, and where it wants them.

use std::num::NonZeroU8;

use hippocamp_tensor::Place;
use smallvec::SmallVec;

/// Which of the model's outputs a request asks for, and in which memory it wants each.
///
/// The place is what the consumer of the output reads best: a backend that follows it saves copies, and no consumer
/// depends on it. It is [`Place::Host`] unless somebody says otherwise: an ensemble whose next step runs on a device, or a
/// client that gives a region of that device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedOutputs(Option<SmallVec<[Wish; 8]>>);

/// The place where an output is wanted, in a byte; `None` if it is not asked for.
type Wish = Option<PlaceCode>;

/// 1 is host memory, 2 is pinned host memory, and from 3 on devices are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PlaceCode(NonZeroU8);

const HOST: PlaceCode = PlaceCode(NonZeroU8::MIN);
const PINNED: PlaceCode = PlaceCode(NonZeroU8::MIN.saturating_add(1));
const FIRST_DEVICE: u8 = 3;

impl PlaceCode {
    fn of(place: Place) -> PlaceCode {
        match place {
            Place::Host => HOST,
            Place::Pinned => PINNED,
            Place::Device(id) => {
                let code = u8::try_from(id).ok().and_then(|id| id.checked_add(FIRST_DEVICE));
                // No machine has so many devices. Any device can read pinned memory.
                code.and_then(NonZeroU8::new).map_or(PINNED, PlaceCode)
            }
        }
    }

    fn place(self) -> Place {
        match self {
            HOST => Place::Host,
            PINNED => Place::Pinned,
            PlaceCode(code) => Place::Device(i32::from(code.get() - FIRST_DEVICE)),
        }
    }
}

impl WantedOutputs {
    /// Every output, in host memory: the meaning of a request that names none.
    pub const ALL: WantedOutputs = WantedOutputs(None);

    /// None of a model's `count` outputs yet.
    pub fn none_of(count: usize) -> WantedOutputs {
        WantedOutputs(Some(SmallVec::from_elem(None, count)))
    }

    /// All of a model's `count` outputs, each at that place.
    pub fn all_at(place: Place, count: usize) -> WantedOutputs {
        match place {
            Place::Host => WantedOutputs::ALL,
            place => WantedOutputs(Some(SmallVec::from_elem(Some(PlaceCode::of(place)), count))),
        }
    }

    /// Adds an output by its place in the model's list, in host memory.
    pub fn add(&mut self, index: usize) {
        self.add_at(index, Place::Host);
    }

    /// Adds an output by its place in the model's list, in memory at `place`.
    pub fn add_at(&mut self, index: usize, place: Place) {
        if let Some(wanted) = &mut self.0
            && let Some(wish) = wanted.get_mut(index)
        {
            *wish = Some(PlaceCode::of(place));
        }
    }

    /// Says where an output is wanted, if it is asked for. The model has `count` outputs.
    pub fn set_place(&mut self, index: usize, place: Place, count: usize) {
        if self.place(index).is_none_or(|before| before == place) {
            return;
        }
        let wanted = self.0.get_or_insert_with(|| SmallVec::from_elem(Some(HOST), count));
        if let Some(wish) = wanted.get_mut(index) {
            *wish = Some(PlaceCode::of(place));
        }
    }

    /// Adds an output that the list may not have had, such as one behind the client's own.
    pub fn require(&mut self, index: usize) {
        if let Some(wanted) = &mut self.0 {
            if wanted.len() <= index {
                wanted.resize(index + 1, None);
            }
            wanted[index].get_or_insert(HOST);
        }
    }

    /// Whether the output at that place of the model's list is asked for.
    pub fn contains(&self, index: usize) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted.get(index).is_some_and(Option::is_some))
    }

    /// Where the output at that place of the model's list is wanted; `None` if it is not asked for.
    pub fn place(&self, index: usize) -> Option<Place> {
        match &self.0 {
            None => Some(Place::Host),
            Some(wanted) => wanted.get(index).copied().flatten().map(PlaceCode::place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_is_wanted_where_it_was_said() {
        let mut wanted = WantedOutputs::none_of(4);
        wanted.add(0);
        wanted.add_at(1, Place::Device(7));
        wanted.add_at(2, Place::Pinned);
        wanted.add_at(9, Place::Pinned);
        let places = |wanted: &WantedOutputs| [0, 1, 2, 3, 9].map(|index| wanted.place(index));
        let expected = [Some(Place::Host), Some(Place::Device(7)), Some(Place::Pinned), None, None];
        assert_eq!(places(&wanted), expected);
        wanted.require(1);
        wanted.require(9);
        assert_eq!((wanted.place(1), wanted.place(9)), (Some(Place::Device(7)), Some(Place::Host)));
        assert!(wanted.contains(1) && !wanted.contains(3) && wanted.contains(9) && !wanted.contains(10));
    }

    #[test]
    fn what_names_no_output_asks_for_all_in_host_memory() {
        let mut wanted = WantedOutputs::ALL;
        assert_eq!((wanted.place(0), wanted.place(100)), (Some(Place::Host), Some(Place::Host)));
        wanted.set_place(1, Place::Host, 3);
        assert_eq!(wanted, WantedOutputs::ALL);
        wanted.set_place(1, Place::Device(0), 3);
        assert_eq!(
            [0, 1, 2].map(|n| wanted.place(n)),
            [Place::Host, Place::Device(0), Place::Host].map(Some)
        );
        assert_eq!(WantedOutputs::all_at(Place::Host, 3), WantedOutputs::ALL);
        assert_eq!(WantedOutputs::all_at(Place::Device(1), 3).place(2), Some(Place::Device(1)));
    }

    #[test]
    fn only_outputs_that_are_asked_for_get_a_place_and_no_device_is_another() {
        let mut wanted = WantedOutputs::none_of(1);
        wanted.set_place(0, Place::Device(0), 1);
        assert_eq!(wanted.place(0), None);
        for id in 0..=252 {
            assert_eq!(WantedOutputs::all_at(Place::Device(id), 1).place(0), Some(Place::Device(id)));
        }
        for id in [-1, 253, 256, i32::MAX] {
            assert_eq!(WantedOutputs::all_at(Place::Device(id), 1).place(0), Some(Place::Pinned));
        }
    }

    #[test]
    fn a_wish_is_a_byte() {
        assert_eq!(size_of::<Wish>(), 1);
    }
}
