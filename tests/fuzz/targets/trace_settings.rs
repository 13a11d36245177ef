//! Bodies that change trace settings, flags of traces and headers of a client's trace: each is read or refused, and a change leaves
//! settings that can be used, or what was there.
#![no_main]

use hippocamp_events::TraceContext;
use hippocamp_trace::{Change, Field, Flags, Settings, StartSettings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let lines: Vec<&[u8]> = content.splitn(3, |byte| *byte == b'\n').collect();
    let text = |n: usize| lines.get(n).and_then(|line| std::str::from_utf8(line).ok());
    if let Some(context) = TraceContext::of_headers(|name| text(usize::from(name == "tracestate"))) {
        assert_eq!(context.parent.to_string().parse(), Ok(context.parent));
    }
    let mut flags = Flags::default();
    if let Some(flag) = text(0) {
        let _ = flags.config(flag);
    }
    let mut settings = Settings::new(&StartSettings { file: "f".to_owned(), ..flags.finish() });
    let before = settings.server();
    for body in [content, lines.last().copied().unwrap_or_default()] {
        let Ok(change) = hippocamp_http::parse_trace_setting(body) else { continue };
        for model in [None, Some("m")] {
            match settings.change(model, &change) {
                Ok(()) if model.is_none() => assert_eq!(settings.usable(settings.server()), Ok(())),
                Ok(()) => {}
                Err(_) => assert!(change != Change::default() || settings.usable(settings.server()).is_err()),
            }
        }
    }
    let clear =
        Change { level: Field::Clear, rate: Field::Clear, count: Field::Clear, log_frequency: Field::Clear };
    if settings.change(None, &clear).is_ok() {
        assert_eq!(settings.server(), before);
    }
});
