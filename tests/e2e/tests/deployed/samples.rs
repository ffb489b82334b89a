//! The samples in `events/` have the effect that their names promise.

use harness::{Connector, Error, Function, Project, Result, Stack, eventually, samples};
use serde_json::{Value, json};
use shared::message::Message;
use tokio::sync::Mutex;

use crate::environment::{SOON, run_test};

/// Locked by tests that sync the sample users, which all samples share.
static USERS: Mutex<()> = Mutex::const_new(());

fn sample(path: &str) -> Result<Value> {
    let path = Project::here()?.root().join("events").join(path);
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

#[test]
fn webhook_samples_get_the_status_their_names_say() {
    run_test(async |env| {
        let _guard = USERS.lock().await;
        let stack = &env.stack;
        let before = syncs(stack).await?;
        for (path, status) in [
            ("webhook/valid.json", 202),
            ("webhook/unauthenticated.json", 401),
            ("webhook/invalid.json", 400),
        ] {
            let answer = stack.invoke(Function::Webhook, &sample(path)?).await?;
            assert_eq!(answer["statusCode"], status, "{path}: {answer}");
        }
        eventually("the syncs of the valid webhook", SOON, async || {
            let after = syncs(stack).await?;
            let mut counts = before.iter().zip(&after);
            let all_synced = counts.all(|(before, after)| after > before);
            Ok(all_synced.then_some(()))
        })
        .await
    });
}

/// How often each connector has synced a sample user.
async fn syncs(stack: &Stack<'_>) -> Result<Vec<usize>> {
    let mut counts = Vec::new();
    for connector in Connector::ALL {
        let lines = stack.logs(connector.function()).await?;
        let sample_lines = lines.iter().filter(|line| {
            line.contains("\"event_ids\"") && line.contains(&format!("\"{}\"", samples::VENDOR))
        });
        counts.push(sample_lines.count());
    }
    Ok(counts)
}

/// The sample batches of a connector.
fn batches(connector: Connector) -> [String; 2] {
    ["one-user", "several-users"].map(|name| format!("{}/{name}.json", connector.name()))
}

#[test]
fn connector_samples_are_synced_checked_previewed_and_forgotten() {
    run_test(async |env| {
        let _guard = USERS.lock().await;
        for connector in Connector::ALL {
            for path in batches(connector) {
                let function = connector.function();
                let answer = env.stack.invoke(function, &sample(&path)?).await?;
                assert_eq!(answer, json!({"batchItemFailures": []}), "{path}");
            }
        }
        let rule = env.fakes.rule().account(samples::VENDOR).unwrap();
        let mailmojo = env.fakes.mailmojo().account(samples::VENDOR).unwrap();
        let make = env.fakes.make().account(samples::VENDOR).unwrap();
        let mailchimp = env.fakes.mailchimp().account(samples::VENDOR).unwrap();
        let mailchimp = mailchimp.audience(samples::AUDIENCE).unwrap();
        let hubspot = env.fakes.hubspot().account(samples::VENDOR).unwrap();
        for (email, tag) in [
            ("anna@example.com", "sesamy_active_subscriber"),
            ("bo@example.com", "sesamy_overdue_contract"),
            ("cilla@example.com", "culture"),
        ] {
            for tags in [
                rule.subscriber(email).unwrap().tags,
                mailmojo.contact(email).unwrap().tags,
                make.subscriber(email).unwrap().tags,
                mailchimp.member(email).unwrap().tags,
                hubspot.contact(email).unwrap().values("sesamy_tags"),
            ] {
                assert!(tags.iter().any(|other| other == tag), "{email}: {tags:?}");
            }
        }
        assert_eq!(rule.subscriber("dora@example.com"), None);
        assert_eq!(mailmojo.contact("dora@example.com"), None);
        assert_eq!(make.subscriber("dora@example.com"), None);
        assert_eq!(mailchimp.member("dora@example.com"), None);
        assert_eq!(hubspot.contact("dora@example.com"), None);

        let annas_contacts = || {
            json!([
                rule.subscriber("anna@example.com"),
                mailmojo.contact("anna@example.com"),
                make.subscriber("anna@example.com"),
                mailchimp.member("anna@example.com"),
                hubspot.contact("anna@example.com"),
            ])
        };
        let synced = annas_contacts();
        for (connector, outcome) in [
            (Connector::Rule, "would_sync"),
            (Connector::Mailmojo, "unchanged"),
            (Connector::Make, "would_sync"),
            (Connector::Mailchimp, "unchanged"),
            (Connector::Hubspot, "unchanged"),
        ] {
            let ask = async |action: &str| {
                let path = format!("{}/{action}.json", connector.name());
                let answer = env
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
        assert_eq!(annas_contacts(), synced, "check and preview write nothing");
        for connector in Connector::ALL {
            let forget = sample(&format!("{}/forget.json", connector.name()))?;
            for outcome in ["forgotten", "nothing_to_forget"] {
                let answer = env.stack.invoke(connector.function(), &forget).await?;
                assert_eq!(answer["outcome"], outcome, "{answer}");
            }
        }
        // What a contact did is no tag or field, and cannot be removed.
        let mut contacts = annas_contacts();
        contacts[3]["events"] = json!([]);
        for emptied in contacts[4]["properties"].as_object_mut().unwrap().values() {
            assert!(!emptied.as_str().unwrap().contains("sesamy_"), "{emptied}");
        }
        contacts[4] = json!(null);
        let contacts = contacts.to_string();
        assert!(!contacts.contains("sesamy_"), "{contacts}");
        Ok(())
    });
}

#[test]
fn messages_in_the_samples_are_what_the_webhook_queues() {
    for path in Connector::ALL.into_iter().flat_map(batches) {
        let sample = sample(&path).unwrap();
        for record in sample["Records"].as_array().unwrap() {
            let message = Message::from_json(record["body"].as_str().unwrap()).unwrap();
            let user = &message.user;
            let event = message.event.as_ref().unwrap();
            let id = event.id(&user.vendor_id, &user.user_id);
            assert_eq!(message.event_id, id, "{path}");
            let attributes = &record["attributes"];
            assert_eq!(attributes["MessageDeduplicationId"], id.as_str(), "{path}");
            assert_eq!(attributes["MessageGroupId"], user.message_group(), "{path}");
        }
    }
}
