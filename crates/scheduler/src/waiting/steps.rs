//! Counts the steps of the queue's work, for tests that bound it. Times would depend on the machine.

/// Counts steps in tests only; otherwise a type of size 0.
#[cfg(not(test))]
#[derive(Debug, Default)]
pub(super) struct Steps(());

#[cfg(not(test))]
impl Steps {
    #[expect(clippy::unused_self, reason = "it counts in tests")]
    pub(super) fn count(&mut self, _: usize) {}
}

#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) usize);

#[cfg(test)]
impl Steps {
    pub(super) fn count(&mut self, steps: usize) {
        self.0 += steps;
    }
}
