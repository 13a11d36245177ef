use proptest::prelude::*;

use super::*;

const ON: Level = Level { timestamps: true, tensors: false };

fn settings(file: &str) -> Settings {
    Settings::new(&StartSettings { file: file.to_owned(), ..StartSettings::default() })
}

fn rate(rate: u32) -> Change {
    Change { rate: Field::Set(rate), ..Change::default() }
}

fn model(settings: &Settings, name: &str) -> Option<Resolved> {
    settings.models().find(|(model, _)| *model == name).map(|(_, resolved)| resolved)
}

#[test]
fn a_model_follows_the_server_in_what_it_does_not_set() {
    let mut settings = settings("f");
    settings.change(Some("m"), &rate(5)).unwrap();
    let on = Change { level: Field::Set(ON), ..rate(7) };
    settings.change(None, &on).unwrap();
    assert_eq!(model(&settings, "m").unwrap(), Resolved { rate: 5, ..settings.server() });
    settings.change(Some("m"), &Change { rate: Field::Clear, ..Change::default() }).unwrap();
    assert_eq!(model(&settings, "m"), None);
    settings.change(None, &Change { rate: Field::Clear, ..Change::default() }).unwrap();
    assert_eq!(settings.server(), Resolved { level: ON, ..Resolved::from(&StartSettings::default()) });
}

#[test]
fn a_count_that_was_set_goes_on_and_another_starts_anew() {
    let start = StartSettings { count: 100, file: "f".to_owned(), ..StartSettings::default() };
    let mut settings = Settings::new(&start);
    settings.change(None, &rate(7)).unwrap();
    assert_eq!(settings.server().count, 100, "never set by a client: as at the start");
    settings.change(None, &Change { count: Field::Set(50), ..Change::default() }).unwrap();
    settings.note_remaining(None, 20);
    settings.change(None, &rate(8)).unwrap();
    assert_eq!(settings.server().count, 20);
}

#[test]
fn settings_that_trace_nothing_are_refused_unless_tracing_is_off() {
    let on = Change { level: Field::Set(ON), ..Change::default() };
    let mut without = settings("");
    assert_eq!(without.change(None, &on), Err(SettingFault::File));
    assert_eq!(without.change(None, &rate(0)), Ok(()), "the level is OFF");
    assert_eq!(without.change(None, &on), Err(SettingFault::Rate), "this comes first");
    let mut with = settings("f");
    with.change(None, &on).unwrap();
    let before = with.server();
    assert_eq!(with.change(Some("m"), &rate(0)), Err(SettingFault::Rate));
    assert_eq!((with.server(), model(&with, "m")), (before, None));
    let exported = StartSettings { mode: Mode::OpenTelemetry, rate: 0, ..StartSettings::default() };
    assert_eq!(Settings::new(&exported).change(None, &on), Ok(()), "clients' traces are traced");
}

fn field<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Field<T>> {
    prop_oneof![Just(Field::Keep), Just(Field::Clear), value.prop_map(Field::Set)]
}

prop_compose! {
    fn change()(
        timestamps in any::<bool>(), tensors in any::<bool>(), level in field(Just(())),
        rate in field(0..5_u32), count in field(-1..5_i32), log_frequency in field(0..5_u32),
    ) -> Change {
        let level = match level {
            Field::Keep => Field::Keep,
            Field::Clear => Field::Clear,
            Field::Set(()) => Field::Set(Level { timestamps, tensors }),
        };
        Change { level, rate, count, log_frequency }
    }
}

proptest! {
    /// Whatever clients do, what is set is usable as far as they changed it, a refusal changes nothing, and clearing all leads
    /// back to the start.
    #[test]
    fn any_changes(changes in prop::collection::vec((prop::option::of("[ab]"), change()), 0..20), has_file in any::<bool>()) {
        let start = StartSettings {
            file: if has_file { "f".to_owned() } else { String::new() },
            ..StartSettings::default()
        };
        let mut settings = Settings::new(&start);
        for (scope, change) in changes {
            let before = (settings.server(), settings.models().map(|(n, r)| (n.to_owned(), r)).collect::<Vec<_>>());
            let done = settings.change(scope.as_deref(), &change);
            let now = scope.as_deref().and_then(|name| model(&settings, name)).unwrap_or(settings.server());
            if done.is_ok() {
                prop_assert_eq!(settings.usable(now), Ok(()));
                if let Field::Set(level) = change.level { prop_assert_eq!(now.level, level) }
                if let Field::Set(rate) = change.rate { prop_assert_eq!(now.rate, rate) }
                if let Field::Set(count) = change.count { prop_assert_eq!(now.count, count) }
            } else {
                let after = (settings.server(), settings.models().map(|(n, r)| (n.to_owned(), r)).collect::<Vec<_>>());
                prop_assert_eq!(before, after);
            }
        }
        let clear = Change { level: Field::Clear, rate: Field::Clear, count: Field::Clear, log_frequency: Field::Clear };
        settings.change(None, &clear).unwrap();
        for name in ["a", "b"] {
            settings.change(Some(name), &clear).unwrap();
        }
        prop_assert_eq!(settings.server(), Resolved::from(&start));
        prop_assert_eq!(settings.models().count(), 0);
    }
}
