//! How long the calling thread was kept from running though it was ready to.

use std::time::Duration;

/// The time that the calling thread has waited for a core since it began: because others ran there, not because it
/// waited for something itself. `None` where the system does not tell.
pub(crate) fn run_delay() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return linux::run_delay();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    pub(super) fn run_delay() -> Option<Duration> {
        thread_local! {
            /// Opening takes longer than reading. The file stays that of the thread that opened it.
            static FILE: Option<File> = File::open("/proc/thread-self/schedstat").ok();
        }
        FILE.try_with(|file| read(file.as_ref()?)).ok().flatten()
    }

    fn read(file: &File) -> Option<Duration> {
        let mut text = [0; 64];
        let length = file.read_at(&mut text, 0).ok()?;
        parse(str::from_utf8(text.get(..length)?).ok()?)
    }

    /// The text has three numbers: nanoseconds on a core, nanoseconds of waiting for one, and how often it got one. All
    /// are 0 if the kernel does not count.
    pub(super) fn parse(text: &str) -> Option<Duration> {
        let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
        let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        (ran > 0).then(|| Duration::from_nanos(waited))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_time_of_waiting() {
        let table = [
            ("112983 4396 2\n", Some(Duration::from_nanos(4396))),
            ("0 0 0\n", None),
            ("7", None),
            ("", None),
            ("a b c", None),
        ];
        for (text, delay) in table {
            assert_eq!(linux::parse(text), delay, "{text}");
        }
    }

    #[test]
    fn it_never_shrinks() {
        let Some(before) = run_delay() else { return };
        std::thread::yield_now();
        assert!(run_delay().is_some_and(|after| after >= before));
    }
}
