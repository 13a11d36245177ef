//! The objects that backends have handles of.
//!
//! Each kind of object has a registry: slots that are never given back, so that a slot may be looked at whatever became
//! of its object. A slot counts the generations of its objects and the calls that use the present one. Removing an object
//! makes its handles stale at once; it is dropped when the last call that uses it has returned.

#![allow(
    unsafe_code,
    reason = "objects are shared by counts of their own, which tell stale handles from good ones"
)]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use parking_lot::Mutex;

use super::handle::{GENERATIONS, Handle, Kind, MAX_SLOTS};

/// The first chunk has so many slots, each further one twice as many as the one before.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = (MAX_SLOTS / FIRST_CHUNK).ilog2() as usize;

/// A slot's state: the number of uses in the lower 32 bits, then whether it has an object, then the generation.
const USES: u64 = (1 << 32) - 1;
const FILLED: u64 = 1 << 32;
const GENERATION: u32 = 33;

/// The objects of one kind.
pub(crate) struct Registry<T: 'static> {
    kind: Kind,
    chunks: [OnceLock<Box<[Slot<T>]>>; CHUNKS],
    free: Mutex<Free>,
}

/// The slots without an object: those that had one, and all from `unused` on.
struct Free {
    slots: Vec<u32>,
    unused: usize,
}

struct Slot<T> {
    state: AtomicU64,
    object: UnsafeCell<Option<T>>,
}

// SAFETY: the object is only reached by uses, which share it, but for when it is put in and taken out: nobody else has
// the slot then. It may be put in by one thread and dropped by another.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// A use of an object, which keeps it from being dropped.
pub(crate) struct Use<T: 'static> {
    registry: &'static Registry<T>,
    slot: &'static Slot<T>,
    handle: Handle,
}

/// An object of the host, whose handles are good until this is dropped.
pub(crate) struct Owned<T: 'static>(Use<T>);

impl<T: Send + Sync + 'static> Registry<T> {
    pub(crate) const fn new(kind: Kind) -> Registry<T> {
        let free = Mutex::new(Free { slots: Vec::new(), unused: 0 });
        Registry { kind, chunks: [const { OnceLock::new() }; CHUNKS], free }
    }

    /// Puts an object in, and returns its handle; `None` if there are too many objects.
    pub(crate) fn insert(&'static self, object: T) -> Option<Handle> {
        let index = {
            let mut free = self.free.lock();
            match free.slots.pop() {
                Some(index) => index as usize,
                None if free.unused < FIRST_CHUNK * ((1 << CHUNKS) - 1) => {
                    free.unused += 1;
                    free.unused - 1
                }
                None => return None,
            }
        };
        let slot = self.slot_or_new(index);
        let generation = slot.state.load(Ordering::Relaxed) >> GENERATION;
        // SAFETY: the slot was free and belongs to this call alone: it is filled, and so can be used, only below.
        unsafe { *slot.object.get() = Some(object) };
        slot.state.store(generation << GENERATION | FILLED, Ordering::Release);
        Some(Handle::new(self.kind, index, generation, 0))
    }

    /// Puts an object in that the host owns.
    pub(crate) fn own(&'static self, object: T) -> Option<Owned<T>> {
        self.insert(object).and_then(|handle| self.get(handle)).map(Owned)
    }

    /// The object that a handle of it, or of one of its parts, names. The kind was checked by the caller.
    pub(crate) fn get(&'static self, handle: Handle) -> Option<Use<T>> {
        self.begin_use(handle, 0)
    }

    /// Takes an object out: its handles are stale from now on. `None` if they are already.
    pub(crate) fn remove(&'static self, handle: Handle) -> Option<Use<T>> {
        self.begin_use(handle, FILLED)
    }

    /// Takes out the objects for which that holds, and returns how many there were. Looks at every slot.
    pub(crate) fn remove_all(&'static self, which: impl Fn(&T) -> bool) -> usize {
        let unused = self.free.lock().unused;
        let removed = (0..unused).filter(|&index| {
            let Some(slot) = self.slot(index) else { return false };
            let generation = slot.state.load(Ordering::Relaxed) >> GENERATION;
            let handle = Handle::new(self.kind, index, generation, 0);
            let is_one = self.get(handle).is_some_and(|object| which(&object));
            // It may have been removed since.
            is_one && self.remove(handle).is_some()
        });
        removed.count()
    }

    /// Counts a use, and clears the given bit of the state.
    fn begin_use(&'static self, handle: Handle, clear: u64) -> Option<Use<T>> {
        let slot = self.slot(handle.slot())?;
        let mut state = slot.state.load(Ordering::Relaxed);
        loop {
            if state >> GENERATION != handle.generation() || state & FILLED == 0 {
                return None;
            }
            let used = (state & !clear) + 1;
            match slot.state.compare_exchange_weak(state, used, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Use { registry: self, slot, handle }),
                Err(now) => state = now,
            }
        }
    }

    fn slot(&'static self, index: usize) -> Option<&'static Slot<T>> {
        let (chunk, offset) = place(index);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    fn slot_or_new(&'static self, index: usize) -> &'static Slot<T> {
        let (chunk, offset) = place(index);
        let slots = self.chunks[chunk].get_or_init(|| {
            let empty = || Slot { state: AtomicU64::new(0), object: UnsafeCell::new(None) };
            (0..FIRST_CHUNK << chunk).map(|_| empty()).collect()
        });
        &slots[offset]
    }

    /// How many objects there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let free = self.free.lock();
        free.unused - free.slots.len()
    }
}

/// The chunk of a slot, and its place in it.
fn place(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2();
    (chunk as usize, index - FIRST_CHUNK * ((1 << chunk) - 1))
}

impl<T: 'static> Use<T> {
    /// The handle of the object itself.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.part_of(self.registry.kind, 0)
    }
}

impl<T> Deref for Use<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot is not emptied while it is used, and only emptying it and filling it write to it.
        let object = unsafe { &*self.slot.object.get() };
        object.as_ref().expect("a slot in use has its object")
    }
}

impl<T> Drop for Use<T> {
    fn drop(&mut self) {
        let before = self.slot.state.fetch_sub(1, Ordering::Release);
        if before & (FILLED | USES) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: it was the last use, and no other can begin, as the slot is not filled.
            drop(unsafe { (*self.slot.object.get()).take() });
            let next = ((before >> GENERATION) + 1) % GENERATIONS;
            self.slot.state.store(next << GENERATION, Ordering::Relaxed);
            self.registry.free.lock().slots.push(self.handle.slot() as u32);
        }
    }
}

impl<T: Send + Sync> Owned<T> {
    pub(crate) fn handle(&self) -> Handle {
        self.0.handle()
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // The use that this has itself empties the slot, or the last call that still uses the object does.
        self.0.slot.state.fetch_and(!FILLED, Ordering::Relaxed);
    }
}

impl<T: fmt::Debug> fmt::Debug for Use<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Use").field(&self.handle).field(&**self).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    static NUMBERS: Registry<Arc<usize>> = Registry::new(Kind::Parameter);

    #[test]
    fn a_handle_is_good_until_its_object_is_removed_and_never_again() {
        static ONES: Registry<Arc<usize>> = Registry::new(Kind::Message);
        let held = Arc::new(7);
        let handle = ONES.insert(Arc::clone(&held)).unwrap();
        assert_eq!(**ONES.get(handle).unwrap(), 7);
        let in_use = ONES.get(handle).unwrap();
        drop(ONES.remove(handle).unwrap());
        assert!(ONES.get(handle).is_none() && ONES.remove(handle).is_none());
        assert_eq!((**in_use, Arc::strong_count(&held)), (7, 2), "a call still uses it");
        drop(in_use);
        assert_eq!((Arc::strong_count(&held), ONES.count()), (1, 0));
        let next = ONES.insert(Arc::new(8)).unwrap();
        assert_eq!(next.slot(), handle.slot(), "the slot is used again");
        assert!(ONES.get(handle).is_none(), "and the old handle does not name its new object");
        let owned = ONES.own(Arc::new(9)).unwrap();
        let handle = owned.handle();
        assert!(ONES.get(handle).is_some());
        drop(owned);
        assert!(ONES.get(handle).is_none());
        assert!(ONES.get(Handle::new(Kind::Message, MAX_SLOTS - 1, 0, 0)).is_none(), "made up");
    }

    #[test]
    fn objects_that_nobody_removes_are_removed_by_what_they_are() {
        static ALL: Registry<Arc<usize>> = Registry::new(Kind::Message);
        let held = Arc::new(7);
        let handles: Vec<_> = (0..200)
            .map(|n| ALL.insert(if n % 2 == 0 { Arc::clone(&held) } else { Arc::new(n) }).unwrap())
            .collect();
        drop(ALL.remove(handles[0]));
        let in_use = ALL.get(handles[2]).unwrap();
        assert_eq!(ALL.remove_all(|object| Arc::ptr_eq(object, &held)), 99);
        assert_eq!((Arc::strong_count(&held), **in_use), (2, 7));
        drop(in_use);
        assert_eq!((ALL.count(), Arc::strong_count(&held)), (100, 1));
        assert!(ALL.get(handles[1]).is_some() && ALL.get(handles[2]).is_none());
    }

    #[test]
    fn threads_that_use_and_remove_objects_meet_no_wrong_one() {
        let threads = (0..4).map(|thread| {
            thread::spawn(move || {
                for round in 0..2000 {
                    let number = thread * 10_000 + round;
                    let handles: Vec<_> = (0..3).map(|_| NUMBERS.insert(Arc::new(number)).unwrap()).collect();
                    for handle in &handles {
                        assert_eq!(**NUMBERS.get(*handle).unwrap(), number);
                    }
                    for handle in handles {
                        assert_eq!(**NUMBERS.remove(handle).unwrap(), number);
                        assert!(NUMBERS.get(handle).is_none());
                    }
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        assert_eq!(NUMBERS.count(), 0);
    }
}
