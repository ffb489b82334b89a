//! The log line of a sync.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use conformance::{Bench, record};
use fakes::sesamy::{Bill, Contract, Entitlement, User};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::scripted::{Scripted, Step, USER, start};

/// The log lines of this thread, which also runs a test's tasks.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn sync_line(&self) -> Value {
        let bytes = self.0.lock().unwrap();
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        lines.find(|line| line["outcome"].is_string()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn handle_and_read_line(bench: &Bench<Scripted>) -> Value {
    let lines = Lines::default();
    let logs = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(lines.clone())
        .finish();
    let logging = tracing::subscriber::set_default(logs);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    drop(logging);
    lines.sync_line()
}

#[tokio::test]
async fn refused_writes_are_logged_even_without_other_writes() {
    struct Case {
        step: Step,
        outcome: &'static str,
        refused_writes: u32,
    }
    let cases = [
        Case {
            step: Step::Refused(1),
            outcome: "unchanged",
            refused_writes: 1,
        },
        Case {
            step: Step::Refused(0),
            outcome: "unchanged",
            refused_writes: 0,
        },
        Case {
            step: Step::Do,
            outcome: "synced",
            refused_writes: 0,
        },
    ];
    for case in cases {
        let (bench, crm) = start().await;
        crm.script(USER, [case.step]);
        let line = handle_and_read_line(&bench).await;
        assert_eq!(line["outcome"], case.outcome);
        assert_eq!(line["refused_writes"], case.refused_writes);
    }
}

#[tokio::test]
async fn skipped_user_logs_the_reason() {
    struct Case {
        user: User,
        reason: &'static str,
    }
    let known = || User::new(USER).email("anna@example.se");
    let cases = [
        Case {
            user: known().guest(),
            reason: "guest",
        },
        Case {
            user: known().unconfirmed(),
            reason: "unconfirmed",
        },
        Case {
            user: User::new(USER),
            reason: "no e-mail address",
        },
    ];
    for case in cases {
        let (bench, crm) = start().await;
        bench.sesamy.put_user(case.user);
        let line = handle_and_read_line(&bench).await;
        assert_eq!(line["outcome"], "skipped", "{}", case.reason);
        assert_eq!(line["reason"], case.reason);
        assert_eq!(crm.syncs(), []);
    }
}

#[tokio::test]
async fn malformed_and_unknown_values_are_counted_by_path() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(
        User::new(USER)
            .email("anna@example.se")
            .set("createdAt", 1_687_532_004)
            .contract(Contract::with_status("c1", "PAUSED"))
            .contract(Contract::with_status("c2", "FROZEN").set("contractDuration", "PREPAID"))
            .entitlement(Entitlement::new("e1", "s1", "One").kind("hologram"))
            .bill(Bill::with_status("b1", "c1", "REFUNDED")),
    );
    let line = handle_and_read_line(&bench).await;
    assert_eq!(line["outcome"], "synced");
    assert_eq!(line["dropped_values"], 1);
    assert_eq!(line["dropped_at"], "profile.createdAt: 1");
    assert_eq!(line["unknown_values"], 4);
    let paths =
        json!("contracts[].contractDuration: 1, contracts[].status: 2, entitlements[].type: 1");
    assert_eq!(line["unknown_at"], paths);
}
