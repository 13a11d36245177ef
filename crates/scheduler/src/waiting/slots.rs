//! Linked lists of requests. Each request has a handle by which it is removed in constant time.

use hippocamp_backend::Request;

/// No slot.
const NONE: u32 = u32::MAX;

/// With more slots than this, the memory is freed once no slot is in use.
const KEPT: usize = 1024;

/// Identifies a queued request. After the request was removed, the handle finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle {
    /// Unique for each request.
    ticket: u64,
    slot: u32,
}

/// A list of requests, in the order in which they were added. All lists share the slots.
#[derive(Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        List { first: NONE, last: NONE, len: 0 }
    }
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[derive(Debug)]
struct Slot {
    /// Boxed, as it is large and moves under the queue's lock.
    request: Option<Box<Request>>,
    /// The priority level that the request belongs to.
    level: u64,
    ticket: u64,
    previous: u32,
    /// The next slot of the list, or of the free list.
    next: u32,
}

/// The memory of all lists.
#[derive(Debug)]
pub(super) struct Slots {
    memory: Vec<Slot>,
    free: u32,
    used: usize,
    tickets: u64,
}

impl Default for Slots {
    fn default() -> Self {
        Slots { memory: Vec::new(), free: NONE, used: 0, tickets: 0 }
    }
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Adds a request at the end of a list.
    #[inline]
    pub(super) fn push(&mut self, list: &mut List, level: u64, request: Box<Request>) -> Handle {
        let ticket = self.tickets;
        self.tickets += 1;
        self.used += 1;
        let previous = list.last;
        let slot = if let Some(place) = self.memory.get_mut(self.free as usize) {
            let slot = std::mem::replace(&mut self.free, place.next);
            place.request = Some(request);
            (place.level, place.ticket, place.previous, place.next) = (level, ticket, previous, NONE);
            slot
        } else {
            self.memory.push(Slot { request: Some(request), level, ticket, previous, next: NONE });
            u32::try_from(self.memory.len() - 1).expect("memory ends long before 4 billion requests")
        };
        match previous {
            NONE => list.first = slot,
            before => self.memory[before as usize].next = slot,
        }
        list.last = slot;
        list.len += 1;
        Handle { ticket, slot }
    }

    /// Removes a request from its list. `None` if it was removed before.
    #[inline]
    pub(super) fn remove(&mut self, list: &mut List, handle: Handle) -> Option<Box<Request>> {
        let place = self.memory.get_mut(handle.slot as usize).filter(|slot| slot.ticket == handle.ticket)?;
        let taken = place.request.take()?;
        let (previous, next) = (place.previous, place.next);
        place.next = self.free;
        self.free = handle.slot;
        match previous {
            NONE => list.first = next,
            previous => self.memory[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.memory[next as usize].previous = previous,
        }
        list.len -= 1;
        self.used -= 1;
        if self.used == 0 && self.memory.len() > KEPT {
            self.memory = Vec::new();
            self.free = NONE;
        }
        Some(taken)
    }

    #[inline]
    pub(super) fn first(&self, list: &List) -> Option<Handle> {
        self.handle(list.first)
    }

    /// The request behind `handle` in its list.
    #[inline]
    pub(super) fn next(&self, handle: Handle) -> Option<Handle> {
        self.handle(self.find(handle)?.next)
    }

    #[inline]
    pub(super) fn get(&self, handle: Handle) -> Option<&Request> {
        self.find(handle)?.request.as_deref()
    }

    /// The priority level of a queued request.
    pub(super) fn level(&self, handle: Handle) -> Option<u64> {
        self.find(handle).map(|slot| slot.level)
    }

    #[inline]
    fn find(&self, handle: Handle) -> Option<&Slot> {
        let slot = self.memory.get(handle.slot as usize)?;
        (slot.ticket == handle.ticket && slot.request.is_some()).then_some(slot)
    }

    #[inline]
    fn handle(&self, slot: u32) -> Option<Handle> {
        Some(Handle { ticket: self.memory.get(slot as usize)?.ticket, slot })
    }
}
