//! Log lines as JSON, from the level that the stack's operator sets.

use std::any::Any;
use std::panic::{self, PanicHookInfo};

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

const LOG_LEVEL: &str = "LOG_LEVEL";

/// Call this once, first in `main`.
///
/// `function` is the crate of the function's binary. Its lines and those of
/// `shared` are logged from the level in `LOG_LEVEL` (`error`, `warn`, `info`,
/// `debug` or `trace`; default `info`). Other crates log `warn` and above at
/// most, because below that the Lambda runtime and the AWS SDK log whole requests.
///
/// A line is `{"timestamp", "level", "message", …fields, "target"}`, with the
/// fields of its span under `span`. Lambda's own log filter reads `timestamp`
/// and `level`.
///
/// A panic becomes one such line, with its location. Its message is logged only
/// if it is a literal, because a formatted one may quote personal data.
pub fn init(function: &'static str) {
    let chosen = std::env::var(LOG_LEVEL).unwrap_or_default();
    let level = level(&chosen);
    // Fails only if logging is already set up, which does no harm.
    let _ = subscriber(
        function,
        level.unwrap_or(LevelFilter::INFO),
        std::io::stdout,
    )
    .try_init();
    panic::set_hook(Box::new(log_panic));
    if level.is_none() && !chosen.is_empty() {
        warn!("LOG_LEVEL is none of error, warn, info, debug and trace; logging from info.");
    }
}

fn level(chosen: &str) -> Option<LevelFilter> {
    match chosen.trim().to_ascii_lowercase().as_str() {
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

fn subscriber<W>(function: &'static str, level: LevelFilter, writer: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("shared", level)
        .with_target(function, level);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(writer);
    tracing_subscriber::registry().with(targets).with(lines)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    error!(
        place = location.as_deref().unwrap_or("unknown"),
        reason = literal(panic.payload()),
        "Panicked. This is a bug; please report the place."
    );
}

fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("not logged, since it may quote data")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::{debug, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(level: LevelFilter, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber("webhook", level, move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_one_flat_json_object() {
        let lines = lines(LevelFilter::INFO, || {
            info!(target: "webhook::handler", outcome = "accepted", text = "a\nb\"c", "Answered.");
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "Answered.");
        assert_eq!(line["outcome"], "accepted");
        assert_eq!(line["text"], "a\nb\"c");
        assert_eq!(line["target"], "webhook::handler");
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    }

    #[test]
    fn other_crates_log_warnings_and_errors_only() {
        let cases = [
            (LevelFilter::TRACE, vec!["shared", "webhook", "other warns"]),
            (LevelFilter::INFO, vec!["other warns"]),
            (LevelFilter::ERROR, vec![]),
        ];
        for (level, expected) in cases {
            let lines = lines(level, || {
                debug!(target: "shared::http", "shared");
                debug!(target: "webhook", "webhook");
                info!(target: "lambda_runtime", "other");
                tracing::trace!(target: "aws_smithy_runtime::client", "other");
                warn!(target: "hyper", "other warns");
            });
            let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
            assert_eq!(messages, expected, "{level}");
        }
    }

    #[test]
    fn the_level_is_one_of_five_case_insensitive_names() {
        let cases = [
            ("error", Some(LevelFilter::ERROR)),
            ("WARN", Some(LevelFilter::WARN)),
            (" info ", Some(LevelFilter::INFO)),
            ("Debug", Some(LevelFilter::DEBUG)),
            ("trace", Some(LevelFilter::TRACE)),
            ("", None),
            ("aws_smithy_runtime=trace", None),
            ("off", None),
        ];
        for (text, expected) in cases {
            assert_eq!(level(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_literal_panic_messages_are_logged() {
        let formatted = format!("index of {}", "anna@example.se");
        assert_eq!(literal(&"a literal"), "a literal");
        assert_eq!(literal(&formatted), "not logged, since it may quote data");
    }
}
