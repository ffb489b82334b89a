use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fakes::{Crash, INVOCATION, VENDOR, World};
use crate::in_virtual_time;

const MINUTE: Duration = Duration::from_secs(60);
const ALL: [&str; 3] = ["rule", "mailmojo", "make"];

/// Sesamy's limit, as documented.
const LIMIT: u32 = 100;

fn statuses(world: &World) -> Vec<&'static str> {
    let state = world.lock();
    state.executions.iter().map(|one| one.status).collect()
}

#[tokio::test(start_paused = true)]
async fn every_user_is_visited_once_at_the_rate_that_sesamy_allows() {
    let cases = [
        // (connectors, limit, users), (minutes at four fifths of the limit, most that may wait)
        ((1, LIMIT, 0), (0.0, 0)),
        ((1, LIMIT, 1), (0.0, 1)),
        ((1, LIMIT, 400), (20.0, 5)),
        ((2, LIMIT, 250), (25.0, 5)),
        ((3, LIMIT, 200), (30.0, 5)),
        ((1, 30 * LIMIT, 5_000), (8.0, 60)),
    ];
    for ((connectors, limit, users), (minutes, most_waiting)) in cases {
        let world = World::with_users(&ALL[..connectors], users, limit);
        let began = Instant::now();
        assert_eq!(world.resync("start").await["did"], "started");
        world.run_to_end().await;
        let took = (began.elapsed() - MINUTE).as_secs_f64() / 60.0;
        world.assert_each_once();
        let reads = world.max_reads_per_minute();
        assert!(reads <= limit as usize, "{reads} of {limit} in a minute");
        let in_time = minutes * 0.9 - 1.0..minutes * 1.25 + 1.0;
        assert!(
            in_time.contains(&took),
            "{connectors} {limit} {users}: {took} min"
        );
        let waited = world.queue("rule", |queue| queue.max_waiting);
        assert!(waited <= most_waiting, "{waited} waited");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_skips_and_doubles_no_user() {
    let mut crashes = 0;
    for entries in [0, 1, usize::MAX] {
        for call in 0.. {
            let world = World::with_users(&["rule", "make"], 15, LIMIT);
            world.resync("start").await;
            world.set_crash(Some(Crash { call, entries }));
            world.run_to_end().await;
            if world.lock().calls <= call {
                break;
            }
            crashes += 1;
            world.assert_each_once();
            assert!(
                world.max_reads_per_minute() <= LIMIT as usize,
                "{call} {entries}"
            );
        }
    }
    assert!(crashes > 60, "{crashes}");
}

#[tokio::test(start_paused = true)]
async fn another_execution_goes_on_before_the_history_is_full() {
    let world = World::with_users(&["rule"], 200, LIMIT);
    world.resync("start").await;
    // As after nine hours.
    world.lock().executions[0].data["run"]["events"] = 19_900.into();
    world.run_to_end().await;
    world.assert_each_once();
    assert_eq!(statuses(&world), ["SUCCEEDED", "SUCCEEDED"]);
    // Twelve steps and three; the state machine's own events come on top.
    let events = world
        .lock()
        .executions
        .iter()
        .map(|one| one.events)
        .collect::<Vec<_>>();
    assert!(events[0] < 150 && events[1] > 300, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_has_at_most_one_run() {
    let world = World::with_users(&["rule"], 60, LIMIT);
    for runs in 1..=2 {
        let (one, other) = tokio::join!(world.resync("start"), world.resync("start"));
        let mut did = [&one["did"], &other["did"]].map(|did| did.as_str().unwrap());
        did.sort_unstable();
        assert_eq!(did, ["goes_on", "started"]);
        world.run_for(MINUTE).await;
        let before = world.run();
        // Nor if the list lags.
        for hidden in [0, 1] {
            world.lock().hidden = hidden;
            assert_eq!(world.resync("start").await["did"], "goes_on");
        }
        world.lock().hidden = 0;
        assert_eq!(world.resync("resume").await["did"], "goes_on");
        assert_eq!(world.run(), before);
        world.run_to_end().await;
        assert_eq!(statuses(&world), vec!["SUCCEEDED"; runs]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_latest_run_of_each_vendor_is_shown_and_those_that_go_on_first() {
    let world = World::with_users(&["rule"], 60, LIMIT);
    world.lock().states_total = true;
    let runs = async || {
        let answer = world.ask(json!({"action": "runs"})).await;
        assert_eq!(answer["more"], 0, "{answer}");
        let runs = answer["runs"].as_array().unwrap().iter();
        let shown =
            runs.map(|run| format!("{} {}", run["vendorId"].as_str().unwrap(), run["state"]));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(runs().await, [""; 0]);
    world.resync("start").await;
    world.resync("stop").await;
    world.resync("resume").await;
    for other in ["a", "b"] {
        let secrets = ["sesamy", "rule"].map(|of| format!("{other}/{of}"));
        world.lock().secrets.extend(secrets);
        world
            .ask(json!({"action": "resync", "vendorId": other}))
            .await;
    }
    let stop = json!({"action": "resync", "vendorId": "b", "do": "stop"});
    world.ask(stop).await;
    let expected = [
        "a \"running\"",
        &format!("{VENDOR} \"running\""),
        "b \"stopped\"",
    ];
    assert_eq!(runs().await, expected);
    let answer = world.ask(json!({"action": "runs"})).await;
    assert_eq!(answer["runs"][1]["of"], 60, "{answer}");

    // What cannot be read is an error of its own.
    world.lock().broken.insert("GetExecutionHistory");
    let answer = world.ask(json!({"action": "runs"})).await;
    for run in answer["runs"].as_array().unwrap() {
        assert_eq!(run["error"]["code"], "unavailable", "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_twenty_runs_are_read() {
    let world = World::with_users(&["rule"], 1, LIMIT);
    for vendor in 0..23 {
        let secrets = ["sesamy", "rule"].map(|of| format!("{vendor}/{of}"));
        world.lock().secrets.extend(secrets);
        let start = json!({"action": "resync", "vendorId": vendor.to_string()});
        world.ask(start).await;
    }
    let answer = world.ask(json!({"action": "runs"})).await;
    assert_eq!(answer["runs"].as_array().unwrap().len(), 20);
    assert_eq!(answer["more"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_waits_until_it_is_resumed() {
    let world = World::with_users(&["rule"], 300, LIMIT);
    for operation in ["show", "stop", "resume"] {
        let nothing = world.resync(operation).await;
        assert_eq!(
            (&nothing["did"], &nothing["run"]),
            (&json!("nothing"), &Value::Null)
        );
    }
    world.resync("start").await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(world.resync("stop").await["did"], "stopped");
    world.run_to_end().await;
    let visited = world.run()["visited"].clone();
    assert!((80..=120).contains(&visited.as_u64().unwrap()), "{visited}");
    sleep(Duration::from_hours(24)).await;
    let report = world.resync("stop").await;
    assert_eq!(report["did"], "nothing");
    assert_eq!(
        (&report["run"]["state"], &report["run"]["visited"]),
        (&json!("stopped"), &visited)
    );

    assert_eq!(world.resync("resume").await["did"], "resumed");
    world.run_to_end().await;
    world.assert_each_once();
    // It does not catch up.
    assert!(world.max_reads_per_minute() <= LIMIT as usize);
    for operation in ["resume", "stop"] {
        assert_eq!(world.resync(operation).await["did"], "nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_as_long_as_sesamy_asks() {
    for (error, min) in [
        ((500, None), 60),
        ((429, Some(300)), 300),
        ((429, Some(40_000)), 900),
    ] {
        let world = World::with_users(&["rule"], 20, LIMIT);
        world.lock().page_errors = vec![error];
        let began = Instant::now();
        world.resync("start").await;
        world.run_for(Duration::from_secs(1)).await;
        let report = world.resync("show").await;
        let waiting = report["run"]["waiting"].as_str().unwrap();
        assert!(
            waiting.contains(&format!("answered {}", error.0)),
            "{report}"
        );
        world.run_for(Duration::from_secs(min - 2)).await;
        assert_eq!(world.run()["visited"], 0, "{error:?}");
        world.run_to_end().await;
        world.assert_each_once();
        assert!(began.elapsed().as_secs() < 45_000, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_fails_the_run_which_can_be_resumed() {
    type Fail = fn(&World);
    let cases: [(_, Fail); 2] = [
        ("correct the secret p/nordposten/sesamy", |world| {
            world.lock().page_errors = vec![(403, None), (403, None)];
        }),
        ("secret p/nordposten/sesamy is missing", |world| {
            world.lock().secrets.remove("nordposten/sesamy");
        }),
    ];
    for (expected, fail) in cases {
        let world = World::with_users(&["rule"], 150, LIMIT);
        world.resync("start").await;
        world.run_for(3 * MINUTE).await;
        fail(&world);
        world.run_to_end().await;
        let report = world.resync("show").await;
        assert_eq!(report["run"]["state"], "failed", "{report}");
        let reason = report["run"]["reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{report}");
        world.lock().secrets.insert("nordposten/sesamy".to_owned());
        assert_eq!(world.resync("resume").await["did"], "resumed");
        world.run_to_end().await;
        world.assert_each_once();
    }
}

#[tokio::test(start_paused = true)]
async fn no_user_is_added_while_live_events_wait_or_a_crm_is_down() {
    let cases = [
        ([5, 0, 0], "live events go first"),
        ([0, 5, 0], "live events go first"),
        ([2_000, 0, 0], "live events go first"),
        ([0, 0, 200], "wait for their next try"),
    ];
    for (others, waiting) in cases {
        let world = World::with_users(&["rule", "make"], 40, LIMIT);
        // The slowest connector sets the rate.
        world.queue("make", |queue| queue.others = others);
        world.resync("start").await;
        world.run_for(10 * MINUTE).await;
        let run = world.run();
        assert_eq!(run["visited"], 0, "{others:?}");
        assert!(run["waiting"].as_str().unwrap().contains(waiting), "{run}");
        world.queue("make", |queue| queue.others = [0; 3]);
        // Nor do many of its own users wait.
        let later = Instant::now() + 30 * MINUTE;
        world.queue("make", |queue| queue.consumed_from = Some(later));
        world.run_to_end().await;
        world.assert_each_once();
        assert_eq!(world.queue("make", |queue| queue.max_waiting), 5);
        assert!(world.max_reads_per_minute() <= LIMIT as usize, "{others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_repeated_while_a_call_fails() {
    for call in [
        "SendMessageBatch make",
        "GetQueueAttributes",
        "GetSecretValue",
    ] {
        let world = World::with_users(&["rule", "make"], 30, LIMIT);
        world.lock().broken.insert(call);
        world.resync("start").await;
        world.run_for(2 * MINUTE).await;
        assert_eq!(world.run()["visited"], 0, "{call}");
        let step = json!({"action": "resync-step", "run": world.run(), "retries": 0});
        let failed = world.invoke(step, INVOCATION).await.unwrap().is_err();
        assert_eq!(failed, call != "GetSecretValue", "{call}");
        world.lock().broken.clear();
        world.run_to_end().await;
        world.assert_each_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_step_functions_is_an_error_and_changes_nothing() {
    for call in ["ListExecutions", "StartExecution"] {
        let world = World::with_users(&["rule"], 10, LIMIT);
        world.lock().broken.insert(call);
        assert_eq!(
            world.resync("start").await["error"]["code"],
            "unavailable",
            "{call}"
        );
        assert_eq!(statuses(&world), [] as [&str; 0]);
    }
    let world = World::with_users(&["rule"], 100, LIMIT);
    world.resync("start").await;
    world.lock().broken.insert("StopExecution");
    assert_eq!(world.resync("stop").await["error"]["code"], "unavailable");
    world.run_to_end().await;
    world.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn a_connector_without_a_secret_is_an_error_only_if_named() {
    let world = World::with_users(&ALL, 10, LIMIT);
    world.lock().secrets.remove("nordposten/mailmojo");
    let named = json!({"action": "resync", "vendorId": VENDOR, "connectors": ["make", "mailmojo"]});
    let stranger = json!({"action": "resync", "vendorId": "stranger"});
    for (event, missing) in [
        (named, "nordposten/mailmojo"),
        (stranger, "stranger/sesamy"),
    ] {
        let error = world.ask(event).await["error"].clone();
        assert_eq!(error["code"], "not_configured", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(missing) && !message.contains("nordposten/make"),
            "{message}"
        );
        assert_eq!(statuses(&world), [] as [&str; 0]);
    }
    world.resync("start").await;
    world.run_to_end().await;
    world.assert_each_once();
    assert_eq!(world.run()["connectors"], json!(["make", "rule"]));
    assert_eq!(world.visits("mailmojo").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_resync_of_one_user_is_queued_each_time() {
    let world = World::with_users(&["rule", "make"], 0, LIMIT);
    let event = json!({"action": "resync", "vendorId": VENDOR, "userId": "email|anna"});
    for times in 1..=3 {
        let answer = world.ask(event.clone()).await;
        assert_eq!(answer["queued"], json!(["make", "rule"]), "{answer}");
        assert_eq!(answer.get("error"), None, "{answer}");
        sleep(MINUTE).await;
        for connector in ["rule", "make"] {
            assert_eq!(world.visits(connector)["email|anna"], times);
        }
    }
    world.lock().broken.insert("SendMessageBatch rule");
    let error = world.ask(event).await["error"].clone();
    assert_eq!(error["code"], "queue_unavailable");
    assert!(
        error["message"].as_str().unwrap().contains("queue of rule"),
        "{error}"
    );
    assert_eq!(statuses(&world), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_starts_a_run_for_every_vendor_without_one() {
    let world = World::with_users(&["rule"], 30, LIMIT);
    for secret in [
        "sydposten/sesamy",
        "sydposten/rule",
        "no-crm/sesamy",
        "a/b/sesamy",
    ] {
        world.lock().secrets.insert(secret.to_owned());
    }
    world.resync("start").await;
    let answer = world.ask(json!({"action": "reconcile"})).await;
    let vendors = answer["vendors"].as_array().unwrap();
    let answers = vendors
        .iter()
        .map(|one| (&one["vendorId"], &one["did"], &one["error"]["code"]));
    let null = &Value::Null;
    let expected = [
        (&json!("no-crm"), null, &json!("not_configured")),
        (&json!("nordposten"), &json!("goes_on"), null),
        (&json!("sydposten"), &json!("started"), null),
    ];
    assert_eq!(answers.collect::<Vec<_>>(), expected, "{answer}");
    world.run_to_end().await;
    // The two vendors have the same users here.
    assert!(world.visits("rule").values().all(|count| *count == 2));
}

#[tokio::test(start_paused = true)]
async fn show_reports_progress_and_links_to_the_execution() {
    let world = World::with_users(&["rule"], 250, LIMIT);
    world.lock().states_total = true;
    let started = world.resync("start").await;
    world.run_for(5 * MINUTE).await;
    let run = world.resync("show").await["run"].clone();
    assert_eq!(
        (&run["state"], &run["of"]),
        (&json!("running"), &json!(250)),
        "{run}"
    );
    assert_eq!(
        (&run["usersPerMinute"], &run["waiting"]),
        (&json!(20.0), &Value::Null),
        "{run}"
    );
    assert_eq!(run["startedAt"], started["run"]["startedAt"]);
    let visited = run["visited"].as_u64().unwrap();
    assert!((95..=110).contains(&visited), "{run}");
    let link = run["execution"].as_str().unwrap();
    assert!(
        link.starts_with("https://eu-north-1.console.aws.amazon.com/"),
        "{link}"
    );
    assert!(link.ends_with(&world.lock().executions[0].name), "{link}");
    world.run_to_end().await;
    let run = world.resync("show").await["run"].clone();
    assert_eq!(
        (&run["state"], &run["visited"]),
        (&json!("finished"), &json!(250)),
        "{run}"
    );
}

#[derive(Debug, Clone)]
enum Disturbance {
    Crash(Crash),
    StopFor(u64),
    Resume,
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    let crash = (0_usize..9, 0_usize..4).prop_map(|(call, entries)| Crash { call, entries });
    prop_oneof![
        4 => crash.prop_map(Disturbance::Crash),
        1 => (0_u64..7_200).prop_map(Disturbance::StopFor),
        1 => Just(Disturbance::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
            let world = World::with_users(&ALL[..connectors], users, LIMIT);
            world.resync("start").await;
            let mut was_stopped = false;
            for (after, disturbance) in disturbances {
                world.run_for(Duration::from_secs(after)).await;
                match disturbance {
                    Disturbance::Crash(crash) => {
                        world.set_crash(Some(crash));
                        world.run_for(3 * MINUTE).await;
                        world.set_crash(None);
                    }
                    Disturbance::StopFor(seconds) => {
                        world.resync("stop").await;
                        was_stopped |= seconds > 200;
                        sleep(Duration::from_secs(seconds)).await;
                        world.resync("resume").await;
                    }
                    Disturbance::Resume => drop(world.resync("resume").await),
                }
            }
            world.run_to_end().await;
            prop_assert_eq!(&world.run()["visited"], users);
            prop_assert!(world.max_reads_per_minute() <= LIMIT as usize);
            if was_stopped {
                for connector in &ALL[..connectors] {
                    prop_assert_eq!(world.visits(connector).len(), users);
                }
            } else {
                world.assert_each_once();
            }
            Ok(())
        })?;
    }
}
