//! A value on cache lines of its own.

/// Keeps a value that some threads change often from the cache lines of what others read. Two lines of 64 bytes, because
/// processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
