//! How every connector stands: what waits, and what died of what.
//!
//! The numbers are SQS's own, which are approximate. Of the dead letters a
//! bounded sample is looked at: received, held until the sample is complete,
//! then put back at once. Holding them is what makes each receive bring others.
//! In a FIFO queue it also keeps back the letters behind them, so that of a
//! reader with very many letters the first ten are seen.
//!
//! The age of the oldest message that waits is not told: SQS has it in no
//! attribute but only in a CloudWatch metric, and receiving messages to see how
//! old they are would keep the connector from them, and find the young ones: the
//! old ones are in flight or wait for their next try.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::warn;

use crate::connectors::Connectors;
use crate::letters::{DeadLetters, Depth, Letter, MOST_AT_ONCE, Receipt, Unavailable};
use crate::operator::Deadline;
use crate::resync::{Platform, Resyncs, Runs};
use shared::request::ErrorAnswer;

/// How often a connector's letters are received: 100 letters at most.
const RECEIVES: usize = 10;

/// How long a connector's letters are looked at, at most.
const LONGEST_LOOK: Duration = Duration::from_secs(8);

/// How long a letter is out of sight if it cannot be put back: longer than the
/// longest look and one call begun at its very end.
const HIDE: Duration = Duration::from_secs(15);

/// How many letters are shown per vendor and kind of error.
const SAMPLES: usize = 3;

/// The most characters shown of what a letter says. What this system writes is shorter.
const MOST_CHARACTERS: usize = 500;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    action: &'static str,
    /// By name.
    connectors: BTreeMap<String, Standing>,
    /// By vendor, ended ones included.
    resyncs: Runs,
    notes: [&'static str; 2],
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Standing {
    Known(ConnectorStatus),
    Unknown { error: ErrorAnswer },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectorStatus {
    queue: QueueStatus,
    dead_letters: DeadLetterStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueStatus {
    waiting: u64,
    delayed: u64,
    in_flight: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetterStatus {
    total: u64,
    /// In somebody's hands when this run began: a redrive under way, or a run that died.
    in_flight: u64,
    looked_at: usize,
    /// Whether the groups count all letters.
    complete: bool,
    /// When the oldest letter looked at died, or else was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Timestamp>,
    groups: Vec<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    error_kind: String,
    /// None where the body is no message.
    vendor_id: Option<String>,
    count: usize,
    samples: Vec<Sample>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    message_id: String,
    event_id: Option<String>,
    user_id: Option<String>,
    status: Option<String>,
    message: Option<String>,
    /// When the consumer gave it up. SQS does not say so of those it moved itself.
    died_at: Option<Timestamp>,
    /// When it was sent, as SQS says.
    sent_at: Option<Timestamp>,
}

/// How all connectors and resyncs stand, looked at at the same time.
pub async fn run<Q: DeadLetters, P: Platform>(
    connectors: &Connectors<Q>,
    resyncs: &Resyncs<'_, Q, P>,
    deadline: Deadline,
) -> Status {
    let standings = connectors.iter().map(async |connector| {
        let standing = match standing(&connector.queues, deadline).await {
            Ok(status) => Standing::Known(status),
            Err(error) => {
                warn!(connector = connector.name, %error, "A connector's queues do not answer.");
                Standing::Unknown {
                    error: error.into(),
                }
            }
        };
        (connector.name.clone(), standing)
    });
    let (standings, resyncs) = join(join_all(standings), resyncs.runs()).await;
    Status {
        action: "status",
        connectors: standings.into_iter().collect(),
        resyncs,
        notes: [
            "SQS counts approximately; its numbers may lag by a minute.",
            "The age of the oldest waiting message is in CloudWatch: metric ApproximateAgeOfOldestMessage of AWS/SQS. Its alarm rings from 15 minutes.",
        ],
    }
}

async fn standing<Q: DeadLetters>(
    queues: &Q,
    deadline: Deadline,
) -> Result<ConnectorStatus, Unavailable> {
    let queue = queues.queue_depth().await?;
    let dead = queues.dead_depth().await?;
    let (letters, error) = if dead.total() == 0 {
        (Vec::new(), None)
    } else {
        look(queues, deadline).await
    };
    Ok(ConnectorStatus {
        queue: QueueStatus {
            waiting: queue.visible,
            delayed: queue.delayed,
            in_flight: queue.in_flight,
        },
        dead_letters: told(dead, letters, error),
    })
}

/// A sample of the letters, all put back.
async fn look<Q: DeadLetters>(
    queues: &Q,
    deadline: Deadline,
) -> (Vec<Letter>, Option<Unavailable>) {
    let until = deadline.work.min(Instant::now() + LONGEST_LOOK);
    let mut letters: Vec<Letter> = Vec::new();
    let mut error = None;
    for _ in 0..RECEIVES {
        if Instant::now() >= until {
            break;
        }
        match queues.receive(HIDE).await {
            Ok(more) if more.is_empty() => break,
            Ok(more) => letters.extend(more),
            Err(unavailable) => {
                error = Some(unavailable);
                break;
            }
        }
    }
    let receipts: Vec<Receipt> = letters.iter().map(|one| one.receipt.clone()).collect();
    if tokio::time::timeout_at(deadline.end, queues.put_back(&receipts))
        .await
        .is_err()
    {
        warn!("There was no time to put all letters back; they show again by themselves.");
    }
    (letters, error)
}

fn told(depth: Depth, letters: Vec<Letter>, error: Option<Unavailable>) -> DeadLetterStatus {
    let looked_at = letters.len();
    let oldest = letters
        .iter()
        .filter_map(|one| one.why.died_at.or(one.sent_at))
        .min();
    let mut groups: BTreeMap<(String, Option<String>), Group> = BTreeMap::new();
    for letter in letters {
        let message = letter.message();
        let vendor_id = message.as_ref().map(|m| m.reader.vendor_id.to_string());
        let error_kind = letter.why.kind.as_str().to_owned();
        let group = groups
            .entry((error_kind.clone(), vendor_id.clone()))
            .or_insert_with(|| Group {
                error_kind,
                vendor_id,
                count: 0,
                samples: Vec::new(),
            });
        group.count += 1;
        if group.samples.len() < SAMPLES {
            group.samples.push(Sample {
                died_at: letter.why.died_at,
                sent_at: letter.sent_at,
                message_id: letter.id,
                event_id: message.as_ref().map(|m| m.event_id.to_string()),
                user_id: message.map(|m| m.reader.user_id.to_string()),
                status: letter.why.status.map(short),
                message: letter.why.message.map(short),
            });
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    // A last receive that brought ten may have left more, whatever SQS counted.
    let bounded = looked_at == RECEIVES * MOST_AT_ONCE;
    DeadLetterStatus {
        total: depth.total(),
        in_flight: depth.in_flight,
        looked_at,
        complete: error.is_none() && !bounded && looked_at as u64 >= depth.total(),
        oldest,
        groups,
        error: error.map(ErrorAnswer::from),
    }
}

fn short(text: String) -> String {
    if text.chars().count() <= MOST_CHARACTERS {
        return text;
    }
    text.chars().take(MOST_CHARACTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde_json::{Value, json};

    use super::*;
    use crate::resync::stand_in::World;
    use crate::stand_in::StandIn;

    const INVOCATION: Duration = Duration::from_secs(60);

    async fn status(rule: &StandIn, make: &StandIn) -> Value {
        let urls = Connectors::read("rule=rule,rule-dead;make=make,make-dead").unwrap();
        let connectors = urls.map(|urls| match urls.queue.as_str() {
            "rule" => rule.clone(),
            _ => make.clone(),
        });
        let resyncs = Resyncs {
            connectors: &connectors,
            platform: &World::new(&["rule"], 0, 100),
            requests_per_minute: NonZeroU32::new(100).unwrap(),
        };
        let status = run(&connectors, &resyncs, Deadline::after(INVOCATION)).await;
        serde_json::to_value(status).unwrap()
    }

    fn body(vendor: &str, user: &str, event: &str) -> String {
        format!(
            r#"{{"version":"1","eventId":"{event}","vendorId":"{vendor}","userId":"{user}","receivedAt":"2026-01-15T09:30:01Z"}}"#
        )
    }

    #[tokio::test(start_paused = true)]
    async fn what_died_is_told_by_kind_and_vendor() {
        let (rule, make) = (StandIn::default(), StandIn::default());
        let waiting = Depth {
            visible: 4,
            delayed: 2,
            in_flight: 1,
        };
        rule.set_queue_depth(waiting);
        let first = rule.bury("anna", &body("nordposten", "email|anna", "e1"), Some("bug"));
        for number in 0..4 {
            let body = body("sydposten", "email|bo", &format!("e{number}"));
            rule.bury("bo", &body, None);
        }
        let poison = rule.bury("poison", "anna@example.com", Some("unreadable_message"));
        let status = status(&rule, &make).await;
        let rule_status = &status["connectors"]["rule"];
        assert_eq!(
            rule_status["queue"],
            json!({"waiting": 4, "delayed": 2, "inFlight": 1})
        );
        let dead = &rule_status["deadLetters"];
        assert_eq!((&dead["total"], &dead["lookedAt"]), (&json!(6), &json!(6)));
        assert_eq!(dead["complete"], true);
        assert_eq!(dead["oldest"], "2026-01-15T09:30:00Z");
        let group = |index: usize| &dead["groups"][index];
        assert_eq!(group(0)["errorKind"], "exhausted");
        assert_eq!(group(0)["vendorId"], "sydposten");
        assert_eq!(group(0)["count"], 4);
        assert_eq!(group(0)["samples"].as_array().unwrap().len(), SAMPLES);
        assert_eq!(
            group(1),
            &json!({
                "errorKind": "bug", "vendorId": "nordposten", "count": 1,
                "samples": [{
                    "messageId": first, "eventId": "e1", "userId": "email|anna", "status": "422",
                    "message": "mend it", "diedAt": "2026-01-15T09:30:00Z",
                    "sentAt": null,
                }],
            })
        );
        assert_eq!(group(2)["errorKind"], "unreadable_message");
        assert_eq!(group(2)["vendorId"], Value::Null);
        assert_eq!(group(2)["samples"][0]["messageId"], poison);
        // A body may be anything, and so is never shown.
        assert!(!status.to_string().contains("anna@example.com"));
        assert_eq!(status["connectors"]["make"]["deadLetters"]["total"], 0);
    }

    #[tokio::test(start_paused = true)]
    async fn every_letter_is_in_sight_again_and_still_there() {
        let (rule, make) = (StandIn::default(), StandIn::default());
        for number in 0..300 {
            let user = format!("u{}", number % 40);
            rule.bury(
                &user,
                &body("nordposten", &user, &format!("e{number}")),
                None,
            );
        }
        let before = rule.left();
        let status = status(&rule, &make).await;
        let dead = &status["connectors"]["rule"]["deadLetters"];
        assert_eq!(dead["total"], 300);
        assert_eq!(dead["lookedAt"], 100);
        assert_eq!(dead["complete"], false);
        assert_eq!(rule.in_flight(), 0);
        assert_eq!(rule.left(), before);
        assert_eq!(rule.most_receives(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_many_letters_does_not_hide_the_others() {
        let (rule, make) = (StandIn::default(), StandIn::default());
        for number in 0..50 {
            let body = body("nordposten", "anna", &format!("e{number}"));
            rule.bury("anna", &body, Some("bug"));
        }
        rule.bury("bo", &body("sydposten", "bo", "e"), Some("bug"));
        let status = status(&rule, &make).await;
        let dead = &status["connectors"]["rule"]["deadLetters"];
        assert_eq!(dead["lookedAt"], 11);
        assert_eq!(dead["complete"], false);
        assert_eq!(dead["groups"][1]["vendorId"], "sydposten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_answer_leaves_the_others_told() {
        let (rule, make) = (StandIn::default(), StandIn::default());
        rule.break_call("queue_depth");
        make.bury("anna", &body("nordposten", "anna", "e"), Some("bug"));
        let answer = status(&rule, &make).await;
        let connectors = &answer["connectors"];
        assert_eq!(connectors["rule"]["error"]["code"], "queue_unavailable");
        assert_eq!(connectors["make"]["deadLetters"]["lookedAt"], 1);

        make.break_call("receive");
        let answer = status(&rule, &make).await;
        let dead = &answer["connectors"]["make"]["deadLetters"];
        assert_eq!(dead["total"], 1);
        assert_eq!(dead["complete"], false);
        assert_eq!(dead["error"]["code"], "queue_unavailable");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_queues_are_looked_at_for_a_while_only() {
        let (rule, make) = (StandIn::default(), StandIn::default());
        for number in 0..100 {
            let user = format!("u{number}");
            rule.bury(&user, &body("nordposten", &user, "e"), None);
        }
        rule.slow(Duration::from_secs(3));
        let began = Instant::now();
        let status = status(&rule, &make).await;
        let dead = &status["connectors"]["rule"]["deadLetters"];
        assert_eq!(dead["lookedAt"], 30);
        assert!(began.elapsed() < INVOCATION);
        assert_eq!(rule.in_flight(), 0);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(short("å".repeat(500)), "å".repeat(500));
        assert_eq!(short("å".repeat(501)), "å".repeat(500) + "…");
    }
}
