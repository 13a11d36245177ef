//! The plans of an instance by the shapes of their inputs.

use hippocamp_tensor::Shape;
use smallvec::SmallVec;

/// The shape of each input of a batch; `None` for one that is left out.
pub(super) type Key = SmallVec<[Option<Shape>; 4]>;

/// A bounded list of plans. There are few, so they are searched one by one; the one used last is looked at first.
#[derive(Debug)]
pub(super) struct PlanCache<P> {
    /// The one used last is the first.
    plans: Vec<(Key, P)>,
    limit: usize,
}

impl<P> PlanCache<P> {
    /// Up to `limit` plans, at least one.
    pub(super) fn new(limit: usize) -> PlanCache<P> {
        PlanCache { plans: Vec::new(), limit: limit.max(1) }
    }

    /// The plan for these shapes, which counts as used.
    pub(super) fn get(&mut self, key: &Key) -> Option<&mut P> {
        let index = self.plans.iter().position(|(shapes, _)| shapes == key)?;
        self.plans[..=index].rotate_right(1);
        self.plans.first_mut().map(|(_, plan)| plan)
    }

    /// Takes out a plan that cannot be used any more.
    pub(super) fn remove(&mut self, key: &Key) -> Option<P> {
        let index = self.plans.iter().position(|(shapes, _)| shapes == key)?;
        Some(self.plans.remove(index).1)
    }

    /// Takes out the plan that was not used for the longest time, if there is no room for a further one.
    pub(super) fn make_room(&mut self) -> Option<P> {
        if self.plans.len() < self.limit { None } else { self.pop() }
    }

    /// Takes out the plan that was not used for the longest time.
    pub(super) fn pop(&mut self) -> Option<P> {
        self.plans.pop().map(|(_, plan)| plan)
    }

    /// Adds a plan, which counts as used.
    pub(super) fn insert(&mut self, key: Key, plan: P) {
        self.plans.insert(0, (key, plan));
    }

    pub(super) fn len(&self) -> usize {
        self.plans.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(batch: i64) -> Key {
        [Some(Shape::from([batch, 3])), None].into_iter().collect()
    }

    #[test]
    fn the_plan_that_was_not_used_for_the_longest_time_makes_room() {
        let mut plans = PlanCache::new(2);
        for batch in [1, 2] {
            assert_eq!(plans.make_room(), None);
            plans.insert(key(batch), batch);
        }
        assert_eq!(plans.get(&key(1)), Some(&mut 1));
        assert_eq!(plans.make_room(), Some(2));
        plans.insert(key(3), 3);
        assert_eq!(plans.get(&key(2)), None);
        assert_eq!([1, 3].map(|batch| plans.get(&key(batch)).copied()), [Some(1), Some(3)]);
        assert_eq!(plans.remove(&key(1)), Some(1));
        assert_eq!((plans.remove(&key(1)), plans.len()), (None, 1));
    }

    #[test]
    fn shapes_that_differ_in_one_input_have_plans_of_their_own() {
        let mut plans = PlanCache::new(8);
        plans.insert(key(1), 'a');
        let with_both: Key = [Some(Shape::from([1, 3])), Some(Shape::from([1]))].into_iter().collect();
        assert_eq!(plans.get(&with_both), None);
        plans.insert(with_both.clone(), 'b');
        assert_eq!(plans.get(&with_both), Some(&mut 'b'));
        assert_eq!(plans.len(), 2);
    }
}
