use clap::CommandFactory;

use super::*;

fn parse(args: &[&str]) -> Result<BenchArgs, String> {
    BenchArgs::try_parse_from(["bench", "m"].iter().chain(args)).map_err(|error| error.to_string())
}

fn levels(text: &str) -> Result<Vec<u32>, String> {
    text.parse::<Levels>().map(|levels| levels.iter().collect())
}

#[test]
fn the_definition_is_sound() {
    BenchArgs::command().debug_assert();
}

#[test]
fn levels_are_a_list_or_a_range() {
    assert_eq!(levels("4").unwrap(), [4]);
    assert_eq!(levels("1, 4,16").unwrap(), [1, 4, 16]);
    assert_eq!(levels("1:16:4").unwrap(), [1, 5, 9, 13]);
    assert_eq!(levels("2:4").unwrap(), [2, 3, 4]);
    assert_eq!(levels("1,8:16:8").unwrap(), [1, 8, 16]);
    for wrong in ["", "0", "a", "1:2:3:4", "1:4:0", "-1", "1,,2", "4294967296"] {
        assert!(levels(wrong).unwrap_err().contains("expected whole numbers"), "{wrong}");
    }
    assert!(levels("4:1").unwrap_err().contains("empty"));
    assert!(levels("1:4294967295").unwrap_err().contains("more than 1000"));
}

#[test]
fn rates_may_be_below_one() {
    let rates = |text: &str| text.parse::<Rates>().map(|rates| rates.iter().collect::<Vec<_>>());
    assert_eq!(rates("0.5,3").unwrap(), [0.5, 3.0]);
    assert_eq!(rates("1:3").unwrap(), [1.0, 2.0, 3.0]);
    let tenths: Vec<String> = rates("0.1:1:0.1").unwrap().iter().map(|rate| format!("{rate:.3}")).collect();
    assert_eq!((tenths.len(), &*tenths[9]), (10, "1.000"));
    for wrong in ["0", "-1", "nan", "inf", "1e-9", "1:2:0", "x"] {
        assert!(rates(wrong).unwrap_err().contains("expected requests a second"), "{wrong}");
    }
}

#[test]
fn defaults_are_one_request_at_a_time_for_five_seconds() {
    let args = parse(&[]).unwrap();
    assert_eq!(args.concurrency.iter().collect::<Vec<_>>(), [1]);
    assert_eq!((args.seconds, args.requests, args.warm_up, args.batch), (5.0, None, 1.0, 1));
}

#[test]
fn rates_make_an_open_loop_and_sequences_as_many_workers() {
    let open = |args: &[&str]| parse(args).unwrap().loads();
    let load = |rate, is_poisson, workers| Load::Open { rate, is_poisson, workers };
    assert_eq!(open(&["--rate", "5,9"]), [load(5.0, false, 128), load(9.0, false, 128)]);
    assert_eq!(open(&["--rate=5", "--poisson", "--in-flight=7"]), [load(5.0, true, 7)]);
    assert_eq!(open(&["--rate=5", "--sequences=3"]), [load(5.0, false, 3)]);
    assert_eq!(open(&["--sequences=3", "--length=4"]), [Load::Closed { concurrency: 3 }]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(parse(&["--seconds=-1"]).unwrap_err().contains("expected seconds"));
    assert!(parse(&["--seconds", "nan"]).is_err());
    assert!(parse(&["--seconds", "1", "--requests", "5"]).unwrap_err().contains("cannot be used with"));
    for both in [
        &["--rate=1", "--concurrency=1"][..],
        &["--poisson"],
        &["--in-flight=3"],
        &["--length=3"],
        &["--sequences=1", "--concurrency=1"],
        &["--local"],
        &["--model-repository=x"],
        &["--local", "--model-repository=x", "--stream"],
        &["--shared-memory=disk"],
    ] {
        assert!(parse(both).is_err(), "{both:?}");
    }
    assert!(parse(&["--requests", "0"]).is_err());
    assert!(parse(&["--connections", "0"]).is_err());
    assert!(parse(&["--concurrency", "x"]).unwrap_err().contains("FIRST:LAST:STEP"));
}
