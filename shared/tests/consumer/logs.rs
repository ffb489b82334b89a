//! What the log line of a sync tells.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use bench::{Bench, record};
use serde_json::{Value, json};
use stand_ins::sesamy::{Bill, Contract, Entitlement, User};
use tracing_subscriber::fmt::MakeWriter;

use crate::scripted::{Scripted, Step, USER, start};

/// What is logged on this thread, where a test's tasks run too.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The line of the only sync.
    fn of_sync(&self) -> Value {
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

/// The log line of a sync of [`USER`].
async fn line_of_sync(bench: &Bench<Scripted>) -> Value {
    let lines = Lines::default();
    let logs = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(lines.clone())
        .finish();
    let logging = tracing::subscriber::set_default(logs);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    drop(logging);
    lines.of_sync()
}

#[tokio::test]
async fn refused_writes_are_told_also_where_nothing_else_was_written() {
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
        let line = line_of_sync(&bench).await;
        assert_eq!(line["outcome"], case.outcome);
        assert_eq!(line["refused_writes"], case.refused_writes);
    }
}

#[tokio::test]
async fn a_skipped_user_says_why() {
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
        let line = line_of_sync(&bench).await;
        assert_eq!(line["outcome"], "skipped", "{}", case.reason);
        assert_eq!(line["reason"], case.reason);
        assert_eq!(crm.syncs(), []);
    }
}

#[tokio::test]
async fn odd_values_and_unknown_words_are_counted_by_path() {
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
    let line = line_of_sync(&bench).await;
    assert_eq!(line["outcome"], "synced");
    assert_eq!(line["dropped_values"], 1);
    assert_eq!(line["dropped_at"], "profile.createdAt: 1");
    assert_eq!(line["unknown_values"], 4);
    let paths =
        json!("contracts[].contractDuration: 1, contracts[].status: 2, entitlements[].type: 1");
    assert_eq!(line["unknown_at"], paths);
}
