//! Handles as the functions of the interface have them in their signatures: of one kind each.

use std::fmt;
use std::marker::PhantomData;

use hippocamp_backend::{Error, Result};

use super::handle::{Handle, Kind};
use super::registry::{Owned, Registry, Use};
use super::{misuse, pointers::Out};

/// What backends can have handles of.
pub(crate) trait Object: Sized + Send + Sync + 'static {
    const KIND: Kind;

    /// The registry of all objects of this kind.
    fn registry() -> &'static Registry<Self>;
}

/// A handle of an object of type `T`, as a backend passes it: it may be NULL, stale or of another kind.
#[repr(transparent)]
pub(crate) struct Ref<T>(Handle, PhantomData<fn(T)>);

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ref<T> {}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Ref<T> {
    pub(crate) const NULL: Ref<T> = Ref(Handle::NULL, PhantomData);

    pub(crate) fn of(handle: Handle) -> Ref<T> {
        Ref(handle, PhantomData)
    }

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }
}

impl<T: Object> Ref<T> {
    /// Puts an object into its registry.
    pub(crate) fn new(object: T) -> Result<Ref<T>> {
        T::registry().insert(object).map(Ref::of).ok_or_else(too_many::<T>)
    }

    /// The object.
    #[inline]
    pub(crate) fn get(self) -> Result<Use<T>> {
        self.find(Registry::get)
    }

    /// Removes the object, so that its handles are stale, and returns it.
    pub(crate) fn remove(self) -> Result<Use<T>> {
        self.find(Registry::remove)
    }

    /// Removes the object unless it is NULL, which some functions that delete accept.
    pub(crate) fn remove_unless_null(self) -> Result<()> {
        if self.is_null() { Ok(()) } else { self.remove().map(drop) }
    }

    #[inline]
    fn find(self, how: impl FnOnce(&'static Registry<T>, Handle) -> Option<Use<T>>) -> Result<Use<T>> {
        let found = if self.0.kind() == Some(T::KIND) { how(T::registry(), self.0) } else { None };
        found.ok_or_else(|| wrong(T::KIND, self.0))
    }
}

/// Objects that the host owns.
pub(crate) fn own<T: Object>(object: T) -> Result<Owned<T>> {
    T::registry().own(object).ok_or_else(too_many::<T>)
}

impl<T: Object> Owned<T> {
    /// The handle that backends get.
    pub(crate) fn as_ref(&self) -> Ref<T> {
        Ref::of(self.handle())
    }
}

impl<T: Object> Out<Ref<T>> {
    /// Makes an object and writes its handle.
    pub(crate) fn set_new(self, name: &str, object: T) -> Result<()> {
        self.check(name)?;
        self.set(name, Ref::new(object)?)
    }
}

#[cold]
fn too_many<T: Object>() -> Error {
    Error::unavailable(format!("there are too many objects of type {}", T::KIND.name()))
}

#[cold]
pub(crate) fn wrong(kind: Kind, handle: Handle) -> Error {
    let kind = kind.name();
    misuse(match handle.kind() {
        _ if handle.is_null() => format!("a {kind} is NULL"),
        Some(other) if other.name() == kind => format!("a {kind} was deleted or released before"),
        Some(other) => format!("a {} was given, expected a {kind}", other.name()),
        None => format!("what was given is not a {kind}"),
    })
}
