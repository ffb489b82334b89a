use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::identity::UserId;
use tokio::time::Instant;

use super::platform::Unread;
use super::stand_in::{Death, VENDOR, World, vendor};
use super::*;
use crate::letters::Depth;

const MINUTE: Duration = Duration::from_secs(60);
const ALL: [&str; 3] = ["rule", "mailmojo", "make"];

/// Sesamy's limit, as documented.
const LIMIT: u32 = 100;

fn answer(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

fn assert_finished(world: &World) {
    let run = world.run();
    assert_eq!((run.state, world.ticks()), (State::Finished, 0), "{run:?}");
    assert_eq!(world.dead_ticks(), 0);
}

fn passing(wait: Option<u64>) -> Unread {
    Unread::Passing {
        reason: "sesamy /users: answered 429".to_owned(),
        wait: wait.map(Duration::from_secs),
    }
}

fn lasting() -> Unread {
    Unread::Lasting {
        reason: "sesamy /users: answered 403; correct the secret".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_user_is_visited_once_and_at_the_pace_that_sesamy_allows() {
    // Connectors, limit, users, how long it takes at four fifths of the limit.
    let cases = [
        (1, LIMIT, 0, 0),
        (1, LIMIT, 1, 0),
        (1, LIMIT, 400, 20),
        (2, LIMIT, 250, 25),
        (3, LIMIT, 200, 30),
        (1, 30 * LIMIT, 5_000, 8),
    ];
    for (connectors, limit, users, minutes) in cases {
        let world = World::new(&ALL[..connectors], users, limit);
        let began = Instant::now();
        assert_eq!(world.start().await.did, "started");
        world.pass_all().await;
        let took = began.elapsed().as_secs_f64() / 60.0;
        tokio::time::advance(MINUTE).await;
        assert_finished(&world);
        world.assert_each_once();
        assert_eq!(world.run().visited, users as u64);
        let busiest = world.busiest_minute();
        assert!(
            busiest <= limit as usize,
            "{busiest} of {limit} in a minute"
        );
        let expected = f64::from(minutes);
        let in_time = expected * 0.9 - 1.0..expected * 1.25 + 1.0;
        assert!(
            in_time.contains(&took),
            "{connectors} {limit} {users}: {took} min"
        );
        let depth = Pace::new(limit.try_into().unwrap(), connectors).depth();
        assert!(
            world.most_waiting() <= depth,
            "{} waited",
            world.most_waiting()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_it_goes_on_and_visits_everybody_once() {
    let mut deaths = 0;
    for done in [false, true] {
        for call in 0.. {
            let world = World::new(&["rule", "make"], 25, LIMIT);
            world.start().await;
            world.die(Some(Death { call, done }));
            world.pass_all().await;
            if world.calls() <= call {
                break;
            }
            deaths += 1;
            assert_finished(&world);
            world.assert_each_once();
            assert!(world.busiest_minute() <= LIMIT as usize, "{call} {done}");
        }
    }
    assert!(deaths > 100, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_comes_twice_neither_doubles_users_nor_the_chain() {
    // To two invocations at the same time, under one message id.
    let world = World::new(&["rule"], 120, LIMIT);
    world.start().await;
    while world.ticks() > 0 {
        // Each delivery may send the next tick, of which one is used.
        assert!(world.ticks() <= 3, "{}", world.ticks());
        world.hand_out_twice().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_finished(&world);
    world.assert_each_once();

    // As two messages.
    let world = World::new(&["rule"], 120, LIMIT);
    world.start().await;
    while world.ticks() > 0 {
        if world.ticks() == 1 {
            world.double_ticks();
        }
        world.pass(Duration::from_secs(2)).await;
        assert!(world.ticks() <= 2, "{}", world.ticks());
    }
    assert_finished(&world);
    world.assert_each_once();
    assert!(world.busiest_minute() <= LIMIT as usize);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_stands_still_until_it_is_resumed() {
    let world = World::new(&["rule"], 300, LIMIT);
    world.start().await;
    world.pass(5 * MINUTE).await;
    let report = world.stop().await;
    assert_eq!(report.did, "stopped");
    world.pass_all().await;
    let visited = world.run().visited;
    assert!((80..=120).contains(&visited), "{visited}");
    tokio::time::advance(Duration::from_hours(24)).await;
    let report = answer(&world.show().await);
    assert_eq!(report["run"]["state"], "stopped", "{report}");
    assert_eq!(report["run"]["visited"], visited, "{report}");
    assert_eq!(world.stop().await.did, "nothing");

    assert_eq!(world.resume().await.did, "resumed");
    world.pass_all().await;
    assert_finished(&world);
    world.assert_each_once();
    // The day of rest is not made up for.
    assert!(world.busiest_minute() <= LIMIT as usize);
    assert_eq!(world.resume().await.did, "nothing");
    assert_eq!(world.stop().await.did, "nothing");
}

#[tokio::test(start_paused = true)]
async fn resuming_what_runs_makes_no_second_chain() {
    let world = World::new(&["rule"], 200, LIMIT);
    world.start().await;
    while world.ticks() > 0 {
        world.pass(Duration::from_secs(20)).await;
        if world.run().state == State::Running {
            assert_eq!(world.resume().await.did, "resumed");
        }
        world.pass(Duration::from_secs(20)).await;
        assert!(world.ticks() <= 1);
    }
    assert_finished(&world);
    world.assert_each_once();
    assert!(world.busiest_minute() <= LIMIT as usize);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_tick_goes_on_when_asked_for() {
    for resumed in [true, false] {
        let world = World::new(&["rule"], 100, LIMIT);
        world.start().await;
        world.pass(2 * MINUTE).await;
        world.lose_ticks();
        assert_eq!(world.start().await.did, "goes_on");
        tokio::time::advance(Duration::from_secs(31 * 60)).await;
        let report = if resumed {
            world.resume().await
        } else {
            world.start().await
        };
        assert_eq!(report.did, "resumed");
        world.pass_all().await;
        assert_finished(&world);
        world.assert_each_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_a_run_alone_that_is_under_way() {
    let world = World::new(&["rule"], 100, LIMIT);
    assert_eq!(world.start().await.did, "started");
    world.pass(MINUTE).await;
    let before = world.run();
    assert_eq!(world.start().await.did, "goes_on");
    assert_eq!(world.run(), before);
    assert_eq!(world.ticks(), 1);
    world.stop().await;
    let report = answer(&world.start().await);
    assert_eq!(report["did"], "started", "{report}");
    assert!(
        report["advice"]
            .as_str()
            .unwrap()
            .contains("had not been finished"),
        "{report}"
    );
    world.pass_all().await;
    assert_finished(&world);
    assert_eq!(world.run().visited, 100);
    assert_eq!(world.start().await.did, "started");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_table_that_gets_lost_loses_no_run() {
    let world = World::new(&["rule"], 60, LIMIT);
    world.break_call("answer", true);
    assert_eq!(answer(&world.start().await)["error"]["code"], "try_again");
    world.break_call("answer", false);
    world.lose_ticks();
    world.resume().await;
    let mut lost = false;
    while world.ticks() > 0 {
        lost = !lost;
        world.break_call("answer", lost);
        world.pass(Duration::from_secs(2)).await;
    }
    assert_finished(&world);
    world.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn while_sesamy_does_not_answer_the_run_waits_as_long_as_it_asks() {
    for (wait, least) in [(None, 60), (Some(300), 300), (Some(100_000), 900)] {
        let world = World::new(&["rule"], 20, LIMIT);
        world.withhold([passing(wait)]);
        let began = Instant::now();
        world.start().await;
        world.pass(Duration::from_secs(1)).await;
        let report = answer(&world.show().await);
        assert_eq!(
            report["run"]["waiting"], "sesamy /users: answered 429",
            "{report}"
        );
        world.pass_all().await;
        assert_finished(&world);
        world.assert_each_once();
        let took = began.elapsed().as_secs();
        assert!((least..least + 120).contains(&took), "{wait:?}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_person_must_mend_something_the_run_fails_and_can_be_resumed() {
    let world = World::new(&["rule"], 150, LIMIT);
    world.start().await;
    world.pass(3 * MINUTE).await;
    world.withhold([lasting()]);
    world.pass_all().await;
    let report = answer(&world.show().await);
    assert_eq!(report["run"]["state"], "failed", "{report}");
    let reason = report["run"]["reason"].as_str().unwrap();
    assert!(reason.contains("correct the secret"), "{report}");
    assert_eq!(world.ticks(), 0);
    assert_eq!(world.counted(), [State::Failed]);
    world.resume().await;
    world.pass_all().await;
    assert_finished(&world);
    world.assert_each_once();
    assert_eq!(world.counted(), [State::Failed, State::Finished]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_added_while_live_events_wait_or_a_crm_is_down() {
    let busy = [
        (
            Depth {
                visible: 5,
                ..Depth::default()
            },
            "live events go first",
        ),
        (
            Depth {
                delayed: 5,
                ..Depth::default()
            },
            "live events go first",
        ),
        (
            Depth {
                visible: 2_000,
                ..Depth::default()
            },
            "live events go first",
        ),
        (
            Depth {
                in_flight: 200,
                ..Depth::default()
            },
            "wait for their next try",
        ),
    ];
    for (others, waiting) in busy {
        let world = World::new(&["rule", "make"], 40, LIMIT);
        // The slowest connector sets the pace.
        world.set_others("make", others);
        world.start().await;
        world.pass(10 * MINUTE).await;
        let run = world.run();
        assert_eq!(run.visited, 0, "{others:?}");
        assert!(run.waiting.unwrap().contains(waiting), "{others:?}");
        world.set_others("make", Depth::default());
        world.pass_all().await;
        assert_finished(&world);
        world.assert_each_once();
        assert!(world.busiest_minute() <= LIMIT as usize, "{others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_connector_that_stands_still_no_more_than_a_few_pile_up() {
    let world = World::new(&["rule"], 60, LIMIT);
    world.start().await;
    world.stall("rule", 30 * MINUTE);
    world.pass(20 * MINUTE).await;
    assert_eq!((world.run().visited, world.most_waiting()), (5, 5));
    world.pass_all().await;
    tokio::time::advance(MINUTE).await;
    assert_finished(&world);
    world.assert_each_once();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_makes_the_step_be_done_again() {
    let world = World::new(&["rule", "make"], 30, LIMIT);
    world.break_queue("make", true);
    world.start().await;
    world.pass(MINUTE).await;
    assert_eq!(world.run().visited, 0);
    world.break_queue("make", false);
    world.pass_all().await;
    assert_finished(&world);
    world.assert_each_once();

    for what in ["run", "write", "send", "queue_depth"] {
        let world = World::new(&["rule"], 30, LIMIT);
        world.start().await;
        world.break_call(what, true);
        world.pass(2 * MINUTE).await;
        world.break_call(what, false);
        world.pass_all().await;
        assert_finished(&world);
        world.assert_each_once();
    }
}

#[tokio::test(start_paused = true)]
async fn connectors_without_a_secret_are_left_out_unless_asked_for() {
    let world = World::new(&ALL, 10, LIMIT);
    world.without_secret("nordposten/mailmojo");
    let named = |names: &[&str]| {
        let found = names
            .iter()
            .map(|name| world.resyncs().connectors.named(name));
        found.collect::<Option<Vec<_>>>()
    };
    let report = world
        .resyncs()
        .start(vendor(), named(&["make", "mailmojo"]))
        .await;
    let error = &answer(&report)["error"];
    assert_eq!(error["code"], "not_configured", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("nordposten/mailmojo"), "{message}");
    assert!(!message.contains("nordposten/make"), "{message}");
    assert_eq!(world.ticks(), 0);

    world.start().await;
    assert_eq!(world.run().connectors, ["rule", "make"]);
    world.pass_all().await;
    assert_eq!(world.visits("rule").len(), 10);
    assert_eq!(world.visits("mailmojo").len(), 0);

    world.without_secret("nordposten/sesamy");
    let error = answer(&world.start().await)["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("nordposten/sesamy"),
        "{error}"
    );
    let stranger = VendorId::try_from("stranger").unwrap();
    let report = answer(&world.resyncs().start(stranger, None).await);
    assert_eq!(report["error"]["code"], "not_configured", "{report}");
}

#[tokio::test(start_paused = true)]
async fn one_reader_is_queued_at_once_and_each_time_anew() {
    let world = World::new(&["rule", "make"], 0, LIMIT);
    let user = || UserId::try_from("email|anna").unwrap();
    for times in 1..=3 {
        let answer = world.resyncs().one(vendor(), user(), None).await;
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["queued"], json!(["rule", "make"]), "{answer}");
        assert_eq!(answer.get("error"), None, "{answer}");
        for connector in ["rule", "make"] {
            assert_eq!(world.visits(connector)["email|anna"], times);
        }
    }
    world.break_queue("rule", true);
    let answer = world.resyncs().one(vendor(), user(), None).await;
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["queued"], json!(["make"]));
    assert_eq!(answer["failed"], json!({"rule": "ServiceUnavailable"}));
    assert_eq!(answer["error"]["code"], "queue_unavailable");
    assert_eq!(world.ticks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_starts_a_run_for_every_vendor_without_one() {
    let world = World::new(&["rule"], 30, LIMIT);
    world.add_vendor("sydposten", &["sesamy", "rule"]);
    world.add_vendor("no-crm", &["sesamy"]);
    world.start().await;
    world.pass(MINUTE).await;
    let visited = world.run().visited;
    assert!(visited > 0);
    let answer = world.reconcile().await;
    let outcome = |index: usize| {
        let report = &answer["vendors"][index];
        let fields = ["vendorId", "did"].map(|key| report[key].as_str().unwrap().to_owned());
        (fields, report["error"]["code"].as_str().map(str::to_owned))
    };
    let expected = |vendor: &str, did: &str| [vendor.to_owned(), did.to_owned()];
    assert_eq!(outcome(0), (expected(VENDOR, "goes_on"), None));
    assert_eq!(outcome(1), (expected("sydposten", "started"), None));
    let lacking = Some("not_configured".to_owned());
    assert_eq!(outcome(2), (expected("no-crm", "nothing"), lacking));
    assert!(world.run().visited >= visited);
    world.pass_all().await;
    assert_finished(&world);
    // The two vendors have the same users here.
    assert!(world.visits("rule").values().all(|count| *count == 2));

    world.break_call("vendors", true);
    assert_eq!(world.reconcile().await["error"]["code"], "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_person_reads_how_far_it_is_and_when_it_will_end() {
    let world = World::new(&["rule"], 250, LIMIT);
    world.tell_total();
    let nothing = answer(&world.show().await);
    assert_eq!(nothing.get("run"), None, "{nothing}");
    world.start().await;
    world.pass(5 * MINUTE).await;
    let report = answer(&world.show().await);
    let run = &report["run"];
    assert_eq!(run["state"], "running", "{report}");
    assert_eq!(run["of"], 250, "{report}");
    assert_eq!(run["usersPerMinute"], 20.0, "{report}");
    assert_eq!(run["startedAt"], "2026-01-15T03:00:00.02Z", "{report}");
    let visited = run["visited"].as_u64().unwrap();
    assert!((95..=110).contains(&visited), "{report}");
    let end = run["expectedEnd"].as_str().unwrap();
    assert!(end.starts_with("2026-01-15T03:1"), "{report}");
    world.pass_all().await;
    let report = answer(&world.show().await);
    assert_eq!(report["run"]["visited"], 250, "{report}");
    assert_eq!(report["run"].get("expectedEnd"), None, "{report}");
    let runs = serde_json::to_value(world.resyncs().runs().await).unwrap();
    assert_eq!(runs[VENDOR]["state"], "finished", "{runs}");
    world.break_call("runs", true);
    let runs = serde_json::to_value(world.resyncs().runs().await).unwrap();
    assert_eq!(runs["error"]["code"], "unavailable", "{runs}");
}

/// What happens to a run from outside.
#[derive(Debug, Clone)]
enum Blow {
    Kill(Death),
    StopFor(u64),
    Resume,
    Double,
}

fn blow() -> impl Strategy<Value = Blow> {
    let death = (0_usize..9, any::<bool>()).prop_map(|(call, done)| Death { call, done });
    prop_oneof![
        4 => death.prop_map(Blow::Kill),
        1 => (0_u64..7_200).prop_map(Blow::StopFor),
        1 => Just(Blow::Resume),
        1 => Just(Blow::Double),
    ]
}

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is done to it, a run ends by itself, has visited everybody,
    /// keeps Sesamy's limit, and has visited nobody twice, but for what a step
    /// that died had sent and that was done again after more than five minutes.
    #[test]
    fn whatever_is_done_to_it_a_run_visits_everybody(
        users in 0_usize..160,
        connectors in 1_usize..=3,
        blows in prop::collection::vec((0_u64..200, blow()), 0..8),
    ) {
        in_virtual_time(async {
            let world = World::new(&ALL[..connectors], users, LIMIT);
            world.start().await;
            let mut late = false;
            for (after, blow) in blows {
                world.pass(Duration::from_secs(after)).await;
                match blow {
                    // A step that dies is done again after 90 seconds.
                    Blow::Kill(death) => {
                        world.die(Some(death));
                        world.pass(3 * MINUTE).await;
                        world.die(None);
                    }
                    Blow::StopFor(seconds) => {
                        world.stop().await;
                        // Nothing is under way, so that nothing is done again.
                        late |= world.run().sending > 0 && seconds > 200;
                        world.pass(Duration::from_secs(seconds)).await;
                        tokio::time::advance(Duration::from_secs(seconds)).await;
                        world.resume().await;
                    }
                    Blow::Resume => drop(world.resume().await),
                    Blow::Double => world.double_ticks(),
                }
            }
            world.pass_all().await;
            tokio::time::advance(MINUTE).await;
            let run = world.run();
            prop_assert_eq!(run.state, State::Finished);
            prop_assert_eq!(run.visited, users as u64);
            prop_assert_eq!(world.dead_ticks(), 0);
            prop_assert!(world.busiest_minute() <= LIMIT as usize);
            if late {
                for connector in &ALL[..connectors] {
                    prop_assert_eq!(world.visits(connector).len(), users);
                }
            } else {
                world.assert_each_once();
            }
            Ok(())
        })?;
    }

    /// A person stops and resumes at the very moments at which a step is under way.
    #[test]
    fn stopped_and_resumed_in_the_midst_of_a_step_it_visits_everybody_once(
        stops in prop::collection::vec((0_u64..400, 0_u64..300, 0_u64..2_000), 1..10),
    ) {
        in_virtual_time(async {
            let world = World::new(&["rule", "make"], 90, LIMIT);
            world.start().await;
            let meddle = async {
                for (after, millis, pause) in stops {
                    tokio::time::sleep(Duration::from_millis(100 * after + millis)).await;
                    world.stop().await;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    world.resume().await;
                }
            };
            let go_on = async {
                for _ in 0..400 {
                    if world.pass(Duration::from_secs(5)).await {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            };
            tokio::join!(meddle, go_on);
            tokio::time::advance(MINUTE).await;
            assert_finished(&world);
            world.assert_each_once();
            prop_assert!(world.busiest_minute() <= LIMIT as usize);
            Ok(())
        })?;
    }
}
