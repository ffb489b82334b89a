//! The samples in `events/` do what their names say.

use local_aws::{Connector, Error, Function, Project, Result, samples};
use serde_json::{Value, json};
use shared::message::Message;

use crate::stage::on_stage;

fn sample(path: &str) -> Result<Value> {
    let path = Project::here()?.root().join("events").join(path);
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

#[test]
fn the_samples_of_the_webhook_get_their_answers() {
    on_stage(async |stage| {
        for (path, status) in [
            ("webhook/valid.json", 202),
            ("webhook/unauthenticated.json", 401),
            ("webhook/invalid.json", 400),
        ] {
            let answer = stage
                .stack
                .invoke(Function::Webhook, &sample(path)?)
                .await?;
            assert_eq!(answer["statusCode"], status, "{path}: {answer}");
        }
        Ok(())
    });
}

#[test]
fn the_samples_of_each_connector_are_synced() {
    on_stage(async |stage| {
        for connector in Connector::ALL {
            for path in batches(connector) {
                let function = connector.function();
                let answer = stage.stack.invoke(function, &sample(&path)?).await?;
                assert_eq!(answer, json!({"batchItemFailures": []}), "{path}");
            }
        }
        let crms = &stage.stand_ins;
        let rule = crms.rule().account(samples::VENDOR).unwrap();
        let mailmojo = crms.mailmojo().account(samples::VENDOR).unwrap();
        let make = crms.make().account(samples::VENDOR).unwrap();
        let tags = |email: &str| {
            [
                ("Rule", rule.subscriber(email).map(|found| found.tags)),
                ("Mailmojo", mailmojo.contact(email).map(|found| found.tags)),
                ("Make", make.subscriber(email).map(|found| found.tags)),
            ]
        };
        for (email, tag, there) in [
            ("anna@example.com", "sesamy_active_subscriber", true),
            ("bo@example.com", "sesamy_overdue_contract", true),
            ("cilla@example.com", "sesamy_active_subscriber", false),
            // The publisher's own.
            ("cilla@example.com", "culture", true),
        ] {
            for (crm, tags) in tags(email) {
                let tags = tags.unwrap();
                assert_eq!(
                    tags.iter().any(|found| found == tag),
                    there,
                    "{crm}: {tags:?}"
                );
            }
        }
        for (crm, tags) in tags("dora@example.com") {
            assert_eq!(tags, None, "{crm}");
        }
        Ok(())
    });
}

#[test]
fn the_messages_in_the_samples_are_those_the_webhook_would_queue() {
    for path in Connector::ALL.into_iter().flat_map(batches) {
        let sample = sample(&path).unwrap();
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

fn batches(connector: Connector) -> [String; 2] {
    let folder = connector.to_string().to_lowercase();
    ["one-reader", "several-readers"].map(|name| format!("{folder}/{name}.json"))
}
