use super::*;

const NOTHING: (bool, bool) = (false, false);
const IN_USE: (bool, bool) = (false, true);

#[test]
fn an_arena_is_shrunk_once_nothing_runs() {
    let usage = Usage::default();
    assert_eq!(usage.look(), NOTHING, "that never ran");
    assert!(usage.note(100), "the first");
    assert!(!usage.note(90) && !usage.note(200));
    assert_eq!(usage.look(), IN_USE);
    assert_eq!(usage.look(), (true, false));
    assert_eq!(usage.look(), NOTHING);
    assert!(usage.note(1));
}

#[test]
fn an_arena_is_shrunk_when_runs_become_small() {
    let usage = Usage::default();
    for (bytes, expected) in [(1000, IN_USE), (501, IN_USE), (10, (true, true)), (9, IN_USE), (1000, IN_USE)]
    {
        usage.note(bytes);
        assert_eq!(usage.look(), expected, "{bytes}");
    }
}

#[test]
fn the_thread_sleeps_while_nothing_runs() {
    let shrinking = Shrinking::new(Duration::ZERO);
    assert!(!shrinking.awake.load(Ordering::Acquire));
    shrinking.wake();
    assert!(shrinking.awake.load(Ordering::Acquire));
    assert!(!shrinking.look(), "there is nothing to look at again");
}

#[test]
fn pieces_are_released_before_the_second_run_and_once_more() {
    let first_runs = FirstRuns::default();
    let releasing: Vec<usize> = (0..100).filter(|_| first_runs.leave_pieces()).collect();
    assert_eq!(releasing, [1, 16]);
    assert_eq!(first_runs.0.load(Ordering::Relaxed), 17, "it is only read then");
}
