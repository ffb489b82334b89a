use std::time::Duration;

use operator::resync::{ExecutionState, MAX_EVENTS, Pace, RunState, UsersError};
use proptest::prelude::*;
use serde_json::json;
use shared::sqs::Depth;
use tokio::time::Instant;

use crate::fakes::platform::{Crash, FakePlatform, VENDOR};
use crate::in_virtual_time;

const MINUTE: Duration = Duration::from_secs(60);
const ALL: [&str; 3] = ["rule", "mailmojo", "make"];

/// Sesamy's limit, as documented.
const LIMIT: u32 = 100;

fn assert_finished(platform: &FakePlatform) {
    assert!(platform.run().is_done(), "{:?}", platform.run());
    let executions = platform.executions_so_far();
    let (_, state, _) = executions.last().unwrap();
    assert_eq!(*state, ExecutionState::Succeeded, "{executions:?}");
}

fn temporary(wait: Option<u64>) -> UsersError {
    UsersError::Temporary {
        reason: "sesamy /users: answered 429".to_owned(),
        wait: wait.map(Duration::from_secs),
    }
}

fn permanent() -> UsersError {
    UsersError::Permanent {
        reason: "sesamy /users: answered 403; correct the secret".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_user_is_visited_once_at_the_rate_that_sesamy_allows() {
    struct Case {
        connectors: usize,
        limit: u32,
        users: usize,
        /// At four fifths of the limit.
        minutes: f64,
    }
    let case = |connectors, limit, users, minutes| Case {
        connectors,
        limit,
        users,
        minutes,
    };
    let cases = [
        case(1, LIMIT, 0, 0.0),
        case(1, LIMIT, 1, 0.0),
        case(1, LIMIT, 400, 20.0),
        case(2, LIMIT, 250, 25.0),
        case(3, LIMIT, 200, 30.0),
        case(1, 30 * LIMIT, 5_000, 8.0),
    ];
    for case in cases {
        let Case {
            connectors,
            limit,
            users,
            minutes,
        } = case;
        let platform = FakePlatform::new(&ALL[..connectors], users, limit);
        let began = Instant::now();
        assert_eq!(platform.start().await["did"], "started");
        platform.run_to_end().await;
        let took = began.elapsed().as_secs_f64() / 60.0;
        tokio::time::advance(MINUTE).await;
        assert_finished(&platform);
        platform.assert_each_once();
        assert_eq!(platform.run().visited, users as u64);
        let max_reads = platform.max_reads_per_minute();
        assert!(
            max_reads <= limit as usize,
            "{max_reads} of {limit} in a minute"
        );
        let in_time = minutes * 0.9 - 1.0..minutes * 1.25 + 1.0;
        assert!(
            in_time.contains(&took),
            "{connectors} {limit} {users}: {took} min"
        );
        let depth = Pace::new(limit.try_into().unwrap(), connectors).depth();
        assert!(
            platform.max_waiting() <= depth,
            "{} waited",
            platform.max_waiting()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_skips_and_doubles_no_user() {
    let mut crashes = 0;
    for done in [false, true] {
        for call in 0.. {
            let platform = FakePlatform::new(&["rule", "make"], 25, LIMIT);
            platform.start().await;
            platform.set_crash(Some(Crash { call, done }));
            platform.run_to_end().await;
            if platform.calls() <= call {
                break;
            }
            crashes += 1;
            assert_finished(&platform);
            platform.assert_each_once();
            assert!(
                platform.max_reads_per_minute() <= LIMIT as usize,
                "{call} {done}"
            );
        }
    }
    assert!(crashes > 60, "{crashes}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_step_queues_no_user_twice() {
    let platform = FakePlatform::new(&["rule", "make"], 120, LIMIT);
    platform.start().await;
    while !platform.run_for(Duration::from_secs(7)).await {
        platform.resyncs().step(platform.run(), 0).await.unwrap();
    }
    assert_finished(&platform);
    platform.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn another_execution_goes_on_before_the_history_is_full() {
    // A step each fifteen seconds for ten hours.
    let platform = FakePlatform::new(&["rule"], 12_000, LIMIT);
    platform.start().await;
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();
    let executions = platform.executions_so_far();
    assert_eq!(executions.len(), 2, "{executions:?}");
    for (name, state, events) in executions {
        assert_eq!(state, ExecutionState::Succeeded);
        // The hand-over's own events and a last step come on top.
        assert!(events <= MAX_EVENTS + 320, "{name}: {events}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_people_who_start_at_once_start_one_run() {
    let platform = FakePlatform::new(&["rule"], 60, LIMIT);
    for _ in 0..2 {
        let (one, other) = tokio::join!(platform.start(), platform.start());
        let mut did = [&one["did"], &other["did"]].map(|did| did.as_str().unwrap());
        did.sort_unstable();
        assert_eq!(did, ["goes_on", "started"]);
        platform.run_to_end().await;
        assert_finished(&platform);
    }
    assert_eq!(platform.executions_so_far().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_lags_lets_no_second_run_start() {
    let platform = FakePlatform::new(&["rule"], 60, LIMIT);
    platform.start().await;
    platform.hide_newest(1);
    assert_eq!(platform.start().await["did"], "goes_on");
    platform.hide_newest(0);
    platform.run_to_end().await;
    platform.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_waits_until_it_is_resumed() {
    let platform = FakePlatform::new(&["rule"], 300, LIMIT);
    platform.start().await;
    platform.run_for(5 * MINUTE).await;
    let report = platform.stop().await;
    assert_eq!(report["did"], "stopped");
    platform.run_to_end().await;
    let visited = platform.run().visited;
    assert!((80..=120).contains(&visited), "{visited}");
    tokio::time::advance(Duration::from_hours(24)).await;
    let report = platform.show().await;
    assert_eq!(report["run"]["state"], "stopped", "{report}");
    assert_eq!(report["run"]["visited"], visited, "{report}");
    assert_eq!(platform.stop().await["did"], "nothing");

    assert_eq!(platform.resume().await["did"], "resumed");
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();
    // It does not catch up.
    assert!(platform.max_reads_per_minute() <= LIMIT as usize);
    assert_eq!(platform.resume().await["did"], "nothing");
    assert_eq!(platform.stop().await["did"], "nothing");
}

#[tokio::test(start_paused = true)]
async fn resuming_a_running_run_starts_no_second_one() {
    let platform = FakePlatform::new(&["rule"], 100, LIMIT);
    platform.start().await;
    platform.run_for(MINUTE).await;
    assert_eq!(platform.resume().await["did"], "goes_on");
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();
    assert_eq!(platform.executions_so_far().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_a_running_run_alone() {
    let platform = FakePlatform::new(&["rule"], 100, LIMIT);
    assert_eq!(platform.start().await["did"], "started");
    platform.run_for(MINUTE).await;
    let before = platform.run();
    assert_eq!(platform.start().await["did"], "goes_on");
    assert_eq!(platform.run(), before);
    assert_eq!(platform.executions_so_far().len(), 1);
    platform.stop().await;
    let report = platform.start().await;
    assert_eq!(report["did"], "started", "{report}");
    platform.run_to_end().await;
    assert_finished(&platform);
    assert_eq!(platform.run().visited, 100);
    assert_eq!(platform.start().await["did"], "started");
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_as_long_as_sesamy_asks() {
    for (wait, min) in [(None, 60), (Some(300), 300), (Some(100_000), 900)] {
        let platform = FakePlatform::new(&["rule"], 20, LIMIT);
        platform.fail_next_pages([temporary(wait)]);
        let began = Instant::now();
        platform.start().await;
        platform.run_for(Duration::from_secs(1)).await;
        let report = platform.show().await;
        assert_eq!(
            report["run"]["waiting"], "sesamy /users: answered 429",
            "{report}"
        );
        platform.run_to_end().await;
        assert_finished(&platform);
        platform.assert_each_once();
        let took = began.elapsed().as_secs();
        assert!((min..min + 120).contains(&took), "{wait:?}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_fails_the_run_which_can_be_resumed() {
    let platform = FakePlatform::new(&["rule"], 150, LIMIT);
    platform.start().await;
    platform.run_for(3 * MINUTE).await;
    platform.fail_next_pages([permanent()]);
    platform.run_to_end().await;
    let report = platform.show().await;
    assert_eq!(report["run"]["state"], "failed", "{report}");
    let reason = report["run"]["reason"].as_str().unwrap();
    assert!(reason.contains("correct the secret"), "{report}");
    platform.resume().await;
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn no_user_is_added_while_live_events_wait_or_a_crm_is_down() {
    let depth = Depth::default;
    let live_events = "live events go first";
    let cases = [
        (
            Depth {
                visible: 5,
                ..depth()
            },
            live_events,
        ),
        (
            Depth {
                delayed: 5,
                ..depth()
            },
            live_events,
        ),
        (
            Depth {
                visible: 2_000,
                ..depth()
            },
            live_events,
        ),
        (
            Depth {
                in_flight: 200,
                ..depth()
            },
            "wait for their next try",
        ),
    ];
    for (others, waiting) in cases {
        let platform = FakePlatform::new(&["rule", "make"], 40, LIMIT);
        // The slowest connector sets the rate.
        platform.set_other_messages("make", others);
        platform.start().await;
        platform.run_for(10 * MINUTE).await;
        let run = platform.run();
        assert_eq!(run.visited, 0, "{others:?}");
        assert!(run.waiting.unwrap().contains(waiting), "{others:?}");
        platform.set_other_messages("make", Depth::default());
        platform.run_to_end().await;
        assert_finished(&platform);
        platform.assert_each_once();
        assert!(
            platform.max_reads_per_minute() <= LIMIT as usize,
            "{others:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn few_users_wait_behind_a_stalled_connector() {
    let platform = FakePlatform::new(&["rule"], 60, LIMIT);
    platform.start().await;
    platform.stall("rule", 30 * MINUTE);
    platform.run_for(20 * MINUTE).await;
    assert_eq!((platform.run().visited, platform.max_waiting()), (5, 5));
    platform.run_to_end().await;
    tokio::time::advance(MINUTE).await;
    assert_finished(&platform);
    platform.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn a_step_is_repeated_while_a_call_fails() {
    let platform = FakePlatform::new(&["rule", "make"], 30, LIMIT);
    platform.break_queue("make", true);
    platform.start().await;
    assert!(platform.resyncs().step(platform.run(), 0).await.is_err());
    platform.run_for(MINUTE).await;
    assert_eq!(platform.run().visited, 0);
    platform.break_queue("make", false);
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();

    let platform = FakePlatform::new(&["rule"], 30, LIMIT);
    platform.start().await;
    platform.break_call("queue_depth", true);
    platform.run_for(2 * MINUTE).await;
    platform.break_call("queue_depth", false);
    platform.run_to_end().await;
    assert_finished(&platform);
    platform.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn a_connector_without_a_secret_is_an_error_only_if_named() {
    let platform = FakePlatform::new(&ALL, 10, LIMIT);
    platform.remove_secret("nordposten/mailmojo");
    let named = ["make", "mailmojo"];
    let event = json!({"action": "resync", "vendorId": VENDOR, "connectors": named});
    let report = platform.ask(event).await;
    let error = &report["error"];
    assert_eq!(error["code"], "not_configured", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("nordposten/mailmojo"), "{message}");
    assert!(!message.contains("nordposten/make"), "{message}");
    assert_eq!(platform.executions_so_far(), []);

    platform.start().await;
    assert_eq!(platform.run().connectors, ["rule", "make"]);
    platform.run_to_end().await;
    assert_eq!(platform.visits("rule").len(), 10);
    assert_eq!(platform.visits("mailmojo").len(), 0);

    platform.remove_secret("nordposten/sesamy");
    let error = platform.start().await["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("nordposten/sesamy"),
        "{error}"
    );
    let stranger = json!({"action": "resync", "vendorId": "stranger"});
    let report = platform.ask(stranger).await;
    assert_eq!(report["error"]["code"], "not_configured", "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_resync_of_one_user_is_queued_each_time() {
    let platform = FakePlatform::new(&["rule", "make"], 0, LIMIT);
    let event = json!({"action": "resync", "vendorId": VENDOR, "userId": "email|anna"});
    for times in 1..=3 {
        let answer = platform.ask(event.clone()).await;
        assert_eq!(answer["queued"], json!(["rule", "make"]), "{answer}");
        assert_eq!(answer.get("error"), None, "{answer}");
        for connector in ["rule", "make"] {
            assert_eq!(platform.visits(connector)["email|anna"], times);
        }
    }
    platform.break_queue("rule", true);
    let answer = platform.ask(event.clone()).await;
    assert_eq!(answer["queued"], json!(["make"]));
    assert_eq!(answer["failed"], json!({"rule": "ServiceUnavailable"}));
    assert_eq!(answer["error"]["code"], "queue_unavailable");
    assert_eq!(platform.executions_so_far(), []);
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_starts_a_run_for_every_vendor_without_one() {
    let platform = FakePlatform::new(&["rule"], 30, LIMIT);
    platform.add_vendor("sydposten", &["sesamy", "rule"]);
    platform.add_vendor("no-crm", &["sesamy"]);
    platform.start().await;
    platform.run_for(MINUTE).await;
    let visited = platform.run().visited;
    assert!(visited > 0);
    let answer = platform.reconcile().await;
    let vendors = &answer["vendors"];
    assert_eq!(vendors[0]["did"], "goes_on", "{answer}");
    assert_eq!(vendors[1]["did"], "started", "{answer}");
    assert_eq!(vendors[2]["vendorId"], "no-crm", "{answer}");
    assert_eq!(vendors[2]["error"]["code"], "not_configured", "{answer}");
    assert!(platform.run().visited >= visited);
    platform.run_to_end().await;
    assert_finished(&platform);
    // The two vendors have the same users here.
    assert!(platform.visits("rule").values().all(|count| *count == 2));

    platform.break_call("vendors", true);
    assert_eq!(platform.reconcile().await["error"]["code"], "unavailable");
}

#[tokio::test(start_paused = true)]
async fn show_reports_progress_and_expected_end() {
    let platform = FakePlatform::new(&["rule"], 250, LIMIT);
    platform.state_total();
    let nothing = platform.show().await;
    assert_eq!(nothing.get("run"), None, "{nothing}");
    platform.start().await;
    platform.run_for(5 * MINUTE).await;
    let report = platform.show().await;
    let run = &report["run"];
    assert_eq!(run["state"], "running", "{report}");
    assert_eq!(run["of"], 250, "{report}");
    assert_eq!(run["usersPerMinute"], 20.0, "{report}");
    let start = run["startedAt"].as_str().unwrap();
    assert!(start.starts_with("2026-01-15T03:00:00"), "{report}");
    let visited = run["visited"].as_u64().unwrap();
    assert!((95..=110).contains(&visited), "{report}");
    let end = run["expectedEnd"].as_str().unwrap();
    assert!(end.starts_with("2026-01-15T03:1"), "{report}");
    platform.run_to_end().await;
    let report = platform.show().await;
    assert_eq!(report["run"]["visited"], 250, "{report}");
    assert_eq!(report["run"].get("expectedEnd"), None, "{report}");
    let runs = platform.resyncs().runs().await.unwrap();
    assert_eq!(runs[VENDOR].state, RunState::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_failing_step_functions_is_an_error_and_changes_nothing() {
    for what in ["executions", "start"] {
        let platform = FakePlatform::new(&["rule"], 10, LIMIT);
        platform.break_call(what, true);
        let error = platform.start().await["error"].clone();
        assert_eq!(error["code"], "unavailable", "{what}: {error}");
        assert_eq!(platform.executions_so_far(), []);
    }
    let platform = FakePlatform::new(&["rule"], 100, LIMIT);
    platform.start().await;
    platform.break_call("stop", true);
    assert_eq!(platform.stop().await["error"]["code"], "unavailable");
    platform.run_to_end().await;
    platform.assert_each_once();
}

#[derive(Debug, Clone)]
enum Disturbance {
    Crash(Crash),
    StopFor(u64),
    Resume,
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    let crash = (0_usize..9, any::<bool>()).prop_map(|(call, done)| Crash { call, done });
    prop_oneof![
        4 => crash.prop_map(Disturbance::Crash),
        1 => (0_u64..7_200).prop_map(Disturbance::StopFor),
        1 => Just(Disturbance::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever disturbs it, a run ends by itself, visits every user and keeps
    /// Sesamy's limit. It visits a user twice only if a stop cuts a step off and the
    /// run is resumed after more than five minutes.
    #[test]
    fn a_disturbed_run_still_visits_every_user(
        users in 0_usize..160,
        connectors in 1_usize..=3,
        disturbances in prop::collection::vec((0_u64..200, disturbance()), 0..8),
    ) {
        in_virtual_time(async {
            let platform = FakePlatform::new(&ALL[..connectors], users, LIMIT);
            platform.start().await;
            let mut was_stopped = false;
            for (after, disturbance) in disturbances {
                platform.run_for(Duration::from_secs(after)).await;
                match disturbance {
                    Disturbance::Crash(crash) => {
                        platform.set_crash(Some(crash));
                        platform.run_for(3 * MINUTE).await;
                        platform.set_crash(None);
                    }
                    Disturbance::StopFor(seconds) => {
                        platform.stop().await;
                        was_stopped |= seconds > 200;
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                        platform.resume().await;
                    }
                    Disturbance::Resume => drop(platform.resume().await),
                }
            }
            platform.run_to_end().await;
            tokio::time::sleep(MINUTE).await;
            assert_finished(&platform);
            prop_assert_eq!(platform.run().visited, users as u64);
            prop_assert!(platform.max_reads_per_minute() <= LIMIT as usize);
            if was_stopped {
                for connector in &ALL[..connectors] {
                    prop_assert_eq!(platform.visits(connector).len(), users);
                }
            } else {
                platform.assert_each_once();
            }
            Ok(())
        })?;
    }
}
