//! The samples in `events/` do what their names say.

use local_aws::{Connector, Error, Function, Project, Result, Stack, eventually, samples};
use serde_json::{Value, json};
use shared::message::Message;
use tokio::sync::Mutex;

use crate::stage::{SOON, on_stage};

/// Held by who changes the readers of the samples, who are the same ones in all.
static READERS: Mutex<()> = Mutex::const_new(());

fn sample(path: &str) -> Result<Value> {
    let path = Project::here()?.root().join("events").join(path);
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

#[test]
fn the_samples_of_the_webhook_get_their_answers() {
    on_stage(async |stage| {
        let _alone = READERS.lock().await;
        let stack = &stage.stack;
        let before = syncs(stack).await?;
        for (path, status) in [
            ("webhook/valid.json", 202),
            ("webhook/unauthenticated.json", 401),
            ("webhook/invalid.json", 400),
        ] {
            let answer = stack.invoke(Function::Webhook, &sample(path)?).await?;
            assert_eq!(answer["statusCode"], status, "{path}: {answer}");
        }
        eventually("the syncs of the valid one", SOON, async || {
            let after = syncs(stack).await?;
            let more = before
                .iter()
                .zip(&after)
                .all(|(before, after)| after > before);
            Ok(more.then_some(()))
        })
        .await
    });
}

/// How often each connector has synced a reader of the samples.
async fn syncs(stack: &Stack<'_>) -> Result<Vec<usize>> {
    let mut counts = Vec::new();
    for connector in Connector::ALL {
        let lines = stack.logs(connector.function()).await?;
        let of_samples = lines.iter().filter(|line| {
            line.contains("\"event_ids\"") && line.contains(&format!("\"{}\"", samples::VENDOR))
        });
        counts.push(of_samples.count());
    }
    Ok(counts)
}

/// The samples of each connector's function.
const BATCHES: [(Connector, [&str; 2]); 3] = [
    (
        Connector::Rule,
        ["rule/one-reader.json", "rule/several-readers.json"],
    ),
    (
        Connector::Mailmojo,
        ["mailmojo/one-reader.json", "mailmojo/several-readers.json"],
    ),
    (
        Connector::Make,
        ["make/one-reader.json", "make/several-readers.json"],
    ),
];

#[test]
fn the_samples_of_every_connector_are_synced_asked_about_and_forgotten() {
    on_stage(async |stage| {
        let _alone = READERS.lock().await;
        for (connector, paths) in BATCHES {
            for path in paths {
                let function = connector.function();
                let answer = stage.stack.invoke(function, &sample(path)?).await?;
                assert_eq!(answer, json!({"batchItemFailures": []}), "{path}");
            }
        }
        let rule = stage.stand_ins.rule().account(samples::VENDOR).unwrap();
        let mailmojo = stage.stand_ins.mailmojo().account(samples::VENDOR).unwrap();
        let make = stage.stand_ins.make().account(samples::VENDOR).unwrap();
        for (email, tag) in [
            ("anna@example.com", "sesamy_active_subscriber"),
            ("bo@example.com", "sesamy_overdue_contract"),
            ("cilla@example.com", "culture"),
        ] {
            for tags in [
                rule.subscriber(email).unwrap().tags,
                mailmojo.contact(email).unwrap().tags,
                make.subscriber(email).unwrap().tags,
            ] {
                assert!(tags.iter().any(|found| found == tag), "{email}: {tags:?}");
            }
        }
        assert_eq!(rule.subscriber("dora@example.com"), None);
        assert_eq!(mailmojo.contact("dora@example.com"), None);
        assert_eq!(make.subscriber("dora@example.com"), None);

        // Afterwards, since the readers of the samples are the same ones.
        let held = || {
            json!([
                rule.subscriber("anna@example.com"),
                mailmojo.contact("anna@example.com"),
                make.subscriber("anna@example.com"),
            ])
        };
        let synced = held();
        for (connector, outcome) in [
            (Connector::Rule, "would_sync"),
            (Connector::Mailmojo, "unchanged"),
            (Connector::Make, "would_sync"),
        ] {
            let ask = async |action: &str| {
                let path = format!("{connector}/{action}.json").to_lowercase();
                let answer = stage
                    .stack
                    .invoke(connector.function(), &sample(&path)?)
                    .await?;
                assert!(!answer.to_string().contains("example.com"), "{answer}");
                Ok::<_, Error>(answer)
            };
            let check = ask("check").await?;
            assert_eq!(check["outcome"], "ok", "{check}");
            let preview = ask("preview").await?;
            assert_eq!(preview["outcome"], outcome, "{preview}");
            for contact in preview["contacts"].as_array().unwrap() {
                assert_eq!(contact["tags"]["add"], json!([]), "{preview}");
                assert_eq!(contact["fields"], json!([]), "{preview}");
            }
        }
        assert_eq!(held(), synced, "asking writes nothing");
        for connector in Connector::ALL {
            let forget = sample(&format!("{connector}/forget.json").to_lowercase())?;
            for outcome in ["forgotten", "nothing_to_forget"] {
                let answer = stage.stack.invoke(connector.function(), &forget).await?;
                assert_eq!(answer["outcome"], outcome, "{answer}");
            }
        }
        assert!(!held().to_string().contains("sesamy_"), "{}", held());
        Ok(())
    });
}

#[test]
fn the_messages_in_the_samples_are_those_the_webhook_would_queue() {
    for path in BATCHES.into_iter().flat_map(|(_, paths)| paths) {
        let sample = sample(path).unwrap();
        for record in sample["Records"].as_array().unwrap() {
            let message = Message::from_json(record["body"].as_str().unwrap()).unwrap();
            let reader = &message.reader;
            let event = message.event.as_ref().unwrap();
            let id = event.id(&reader.vendor_id, &reader.user_id);
            assert_eq!(message.event_id, id, "{path}");
            let attributes = &record["attributes"];
            assert_eq!(attributes["MessageDeduplicationId"], id.as_str(), "{path}");
            assert_eq!(
                attributes["MessageGroupId"],
                reader.message_group(),
                "{path}"
            );
        }
    }
}
