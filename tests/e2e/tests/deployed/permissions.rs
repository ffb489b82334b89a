//! What the functions' roles allow, and nothing beyond.
//!
//! That they allow enough is what all other tests show: the local AWS checks them.

use std::{cell::RefCell, collections::BTreeSet};

use local_aws::{
    Call, Connector, Deployment, Function, Grant, Result, Stack,
    aws::{Aws, Service},
    eventually,
};
use serde_json::{Value, json};
use stand_ins::User;

use crate::stage::{SOON, on_stage};

/// What may be tried: a name for it, the service, the operation and its input.
type Trial = (String, Service, &'static str, Value);

fn trials(stack: &Stack<'_>) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    let mut secret = |name: String, id: String, operation, more: Value| {
        let mut input = json!({"SecretId": id});
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap());
        trials.push((name, Service::Secrets, operation, input));
    };
    let names = [
        "webhook",
        "nordposten/sesamy",
        "nordposten/rule",
        "nordposten/mailmojo",
    ];
    for name in names.into_iter().chain(["nordposten/make", "nobody/rule"]) {
        let id = stack.secret_name(name);
        secret(format!("read {name}"), id, "GetSecretValue", json!({}));
    }
    let stranger = "another-stack/nordposten/rule";
    secret(
        format!("read {stranger}"),
        stranger.to_owned(),
        "GetSecretValue",
        json!({}),
    );
    let id = stack.secret_name("nordposten/rule");
    let change = json!({"SecretString": "{}"});
    secret(
        "change nordposten/rule".to_owned(),
        id,
        "PutSecretValue",
        change,
    );

    for connector in Connector::ALL {
        let queues = [
            (format!("{connector}Queue"), stack.queue_url(connector)?),
            (
                format!("{connector}DeadLetterQueue"),
                stack.dead_letter_queue_url(connector)?,
            ),
        ];
        for (name, url) in queues {
            let mut queue = |verb: &str, operation, more: Value| {
                let mut input = json!({"QueueUrl": url});
                input
                    .as_object_mut()
                    .unwrap()
                    .extend(more.as_object().cloned().unwrap());
                trials.push((format!("{verb} {name}"), Service::Sqs, operation, input));
            };
            queue(
                "receive from",
                "ReceiveMessage",
                json!({"VisibilityTimeout": 0}),
            );
            queue("purge", "PurgeQueue", json!({}));
            // Last, since nothing may be received from a queue that gets a trial's message.
            let message = json!({
                "MessageBody": "of the test of permissions",
                "MessageGroupId": "permissions",
                "MessageDeduplicationId": "permissions",
            });
            queue("send to", "SendMessage", message);
        }
    }
    Ok(trials)
}

async fn permitted(stack: &Stack<'_>, client: &Aws) -> Result<Vec<String>> {
    let mut permitted = Vec::new();
    for (name, service, operation, input) in trials(stack)? {
        if client.permits(service, operation, &input).await? {
            permitted.push(name);
        }
    }
    permitted.sort();
    Ok(permitted)
}

#[test]
fn each_function_may_do_what_it_needs_and_no_more() {
    on_stage(async |stage| {
        let stack = stage.another_stack("e2e-permissions").await?;
        // A function has credentials once it has run.
        stack.post(None, "{}").await?;
        let webhook = stack.acting_as(Function::Webhook).await?;
        assert_eq!(
            permitted(&stack, &webhook).await?,
            [
                "read webhook",
                "send to MailmojoQueue",
                "send to MakeQueue",
                "send to RuleQueue",
            ]
        );
        for connector in Connector::ALL {
            stack
                .invoke(connector.function(), &json!({"Records": []}))
                .await?;
            let client = stack.acting_as(connector.function()).await?;
            let own = connector.to_string().to_lowercase();
            let mut expected = vec![
                "read nordposten/sesamy".to_owned(),
                format!("read nordposten/{own}"),
                format!("receive from {connector}Queue"),
                format!("send to {connector}DeadLetterQueue"),
            ];
            if connector == Connector::Rule {
                // It is not there, and the function is told just that.
                expected.push("read nobody/rule".to_owned());
            }
            expected.sort();
            assert_eq!(permitted(&stack, &client).await?, expected, "{connector}");
        }
        Ok(())
    });
}

/// Whether AWS itself uses a permission of the function's role, so that no call
/// of the function shows it (documented by AWS: Lambda writes logs and traces,
/// and receives from and deletes in the queue that invokes a function).
fn is_for_aws(function: Function, grant: &Grant) -> bool {
    let always = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    ];
    let of_event_sources = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ];
    let action = grant.action.as_str();
    always.contains(&action)
        || matches!(function, Function::Connector(_)) && of_event_sources.contains(&action)
}

const FUNCTIONS: [Function; 5] = [
    Function::Webhook,
    Function::Connector(Connector::Rule),
    Function::Connector(Connector::Mailmojo),
    Function::Connector(Connector::Make),
    Function::Operator,
];

#[test]
fn each_function_needs_all_that_it_may_do() {
    on_stage(async |stage| {
        // No option brings a function more permissions.
        let deployment = Deployment::with_every_option("e2e-needs");
        let stack = stage.stack_without_secrets(&deployment).await?;
        stack.local().note_calls().await?;
        let absent = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| stack.secret_name(name)).collect()
        };

        // The webhook is told that there are no tokens yet.
        let permitted = stage.publisher("permitted");
        let update = |vendor: &str| {
            let mut webhook = permitted.webhook("userVendor.1#update", "email|per");
            webhook["vendorId"] = vendor.into();
            webhook
        };
        let early = permitted.post_to(&stack, &update("permitted")).await?;
        assert_eq!(early.status, 503, "{early:?}");
        let no_tokens = absent(&["webhook"]);
        let is_there = |name: &str| !no_tokens.contains(name);
        let early = stack.calls(Function::Webhook, is_there).await?;

        // One vendor has all secrets, one lacks Sesamy's, one has none.
        stage.store_secrets(&stack).await?;
        let keyless = stage.publisher("keyless");
        let bare = stage.publisher("bare");
        permitted.other_crms_of(&stack).await?;
        keyless.other_crms_of(&stack).await?;
        for name in ["keyless/sesamy", "bare/sesamy", "bare/rule"] {
            stack.delete_secret(name).await?;
        }
        let per = User::new("email|per").email("per.permitted@example.com");
        permitted.sesamy.put_user(per);
        for publisher in [&permitted, &keyless, &bare] {
            eventually("a webhook to be queued", SOON, async || {
                let reply = publisher.post_to(&stack, &update(publisher.id)).await?;
                Ok((reply.status == 202).then_some(()))
            })
            .await?;
        }
        // A dead letter of each connector goes home, where it dies again.
        for connector in Connector::ALL {
            stack.enqueue(connector, "unreadable", "no message").await?;
        }
        for connector in Connector::ALL {
            let connector = connector.to_string().to_lowercase();
            let redrive = json!({"action": "redrive", "connector": connector});
            eventually("a dead letter to go home", SOON, async || {
                let answer = stack.invoke(Function::Operator, &redrive).await?;
                Ok((answer["moved"] == 1).then_some(()))
            })
            .await?;
        }
        let status = json!({"action": "status"});

        let absent = absent(&["keyless/sesamy", "bare/rule", "bare/mailmojo", "bare/make"]);
        let is_there = |name: &str| !absent.contains(name);
        let idle = RefCell::new(Vec::new());
        let all_used = eventually("every permission to be used", SOON, async || {
            stack.invoke(Function::Operator, &status).await?;
            idle.borrow_mut().clear();
            for function in FUNCTIONS {
                let mut calls = stack.calls(function, is_there).await?;
                if function == Function::Webhook {
                    calls.extend(early.iter().cloned());
                }
                let grants = stack.grants(function).await?;
                let covered = |call: &Call| grants.iter().any(|grant| grant.covers(call));
                let beyond: Vec<_> = calls.iter().filter(|call| !covered(call)).collect();
                assert!(beyond.is_empty(), "{function}: {beyond:?}");
                for grant in &grants {
                    let used = calls.iter().any(|call| grant.covers(call));
                    if !used && !is_for_aws(function, grant) {
                        idle.borrow_mut().push(format!("{function}: {grant}"));
                    }
                }
            }
            Ok(idle.borrow().is_empty().then_some(()))
        });
        all_used
            .await
            .map_err(|error| local_aws::Error::new(format!("{error}; unused: {:#?}", idle.take())))
    });
}
