use super::*;

/// What is chosen for each of some runs, which take so long divided and undivided.
fn choose(choice: &mut Choice, count: usize, (divided, undivided): (Duration, Duration)) -> usize {
    let one = |choice: &mut Choice| {
        let is_undivided = choice.is_undivided();
        let took = if is_undivided { undivided } else { divided };
        choice.note(&Turn { began: None, took, size: 0, is_undivided });
        is_undivided
    };
    (0..count).filter(|_| one(choice)).count()
}

/// Runs that take so long; returns how many of them were timed.
fn run(undivided: &mut Undivided, count: u32, took: Duration) -> usize {
    let mut timed = 0;
    for _ in 0..count {
        let mut turn = undivided.begin(4);
        timed += usize::from(turn.began.is_some());
        turn.took = took;
        undivided.end(&turn);
    }
    timed
}

const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

#[test]
fn short_runs_are_not_divided_and_long_ones_are_if_that_is_faster() {
    let table = [
        ("short, and dividing them gains", us(60), us(150), 999..1000),
        ("short, and dividing them loses", us(300), us(100), 999..1000),
        ("longer, and dividing them gains", us(300), us(900), 3..10),
        ("longer, and dividing them loses", us(900), us(300), 990..1000),
        ("long", us(3000), us(20_000), 0..1),
    ];
    for (what, divided, undivided, expected) in table {
        let mut choice = Choice::default();
        let found = choose(&mut choice, 1000, (divided, undivided));
        assert!(expected.contains(&found), "{what}: {found} of 1000 were not divided");
    }
}

#[test]
fn a_choice_that_was_made_on_a_busy_machine_is_made_again() {
    let mut choice = Choice::default();
    choose(&mut choice, 1000, (us(300), us(1500)));
    assert!(choose(&mut choice, 20_000, (us(300), us(100))) > 10_000);
    choose(&mut choice, 1000, (us(1500), us(900)));
    assert!(choose(&mut choice, 20_000, (us(300), us(900))) < 10_000);
}

#[test]
fn where_nothing_is_divided_nothing_is_timed() {
    let mut undivided = Undivided::of(None);
    assert_eq!(run(&mut undivided, 1000, us(100)), 0);
    assert!(undivided.session().is_none() && !undivided.begin(4).is_undivided);
}
