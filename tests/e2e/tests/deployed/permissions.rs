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
use stand_ins::{Api, Fault, User};

use crate::stage::{Publisher, SOON, on_stage};

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

    let (name, operation) = ("list secrets".to_owned(), "ListSecrets");
    trials.push((name, Service::Secrets, operation, json!({"MaxResults": 1})));

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
        let status = json!({"action": "status"});
        stack.invoke(Function::Operator, &status).await?;
        let operator = stack.acting_as(Function::Operator).await?;
        // Which vendors there are, by names; neither tokens nor what opens a CRM.
        let mut expected = vec![
            "list secrets".to_owned(),
            "read nordposten/sesamy".to_owned(),
        ];
        for connector in Connector::ALL {
            expected.push(format!("receive from {connector}DeadLetterQueue"));
            expected.push(format!("send to {connector}Queue"));
        }
        expected.sort();
        assert_eq!(permitted(&stack, &operator).await?, expected);
        Ok(())
    });
}

/// The policy that `docs/operate.md` gives for this alias, for a stack.
fn documented(alias: &str, stack: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let policies = guide.split("```json\n").skip(1).filter_map(|block| {
        let (policy, _) = block.split_once("```")?;
        policy.contains("lambda:InvokeFunction").then_some(policy)
    });
    let [policy] = policies.collect::<Vec<_>>()[..] else {
        panic!("the guide has no policy, or more than one");
    };
    assert!(policy.contains(":ask\""), "{policy}");
    let policy = policy.replace(":ask\"", &format!(":{alias}\""));
    serde_json::from_str(&policy.replace("STACK", stack)).unwrap()
}

#[test]
fn who_may_ask_may_neither_forget_nor_forge_a_batch() {
    const DENIED: Option<&str> = None;
    const DONE: Option<&str> = Some("done");
    const NOT_ALLOWED: Option<&str> = Some("not_allowed");
    const FAILED: Option<&str> = Some("failed");
    on_stage(async |stage| {
        let name = "e2e-invokers";
        let stack = stage.another_stack(name).await?;
        let function = stack.function_name(Connector::Rule.function()).await?;
        let everything = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": "lambda:InvokeFunction",
                "Resource": format!("arn:aws:lambda:*:*:function:{function}"),
            }],
        });
        let id = stage.publisher("asked").id;
        let check = json!({"action": "check", "vendorId": id});
        let forget = json!({"action": "forget", "vendorId": id, "userId": "email|nobody"});
        let batch = json!({"Records": []});
        let events = [&check, &forget, &batch];
        // What becomes of each event, by who sends it and through what.
        let cases = [
            (
                "ask",
                documented("ask", name),
                [
                    (":ask", [DONE, NOT_ALLOWED, FAILED]),
                    (":forget", [DENIED; 3]),
                    (":$LATEST", [DENIED; 3]),
                    ("", [DENIED; 3]),
                ],
            ),
            (
                "forget",
                documented("forget", name),
                [
                    (":ask", [DENIED; 3]),
                    (":forget", [NOT_ALLOWED, DONE, FAILED]),
                    (":$LATEST", [DENIED; 3]),
                    ("", [DENIED; 3]),
                ],
            ),
            (
                "administrator",
                everything,
                [
                    (":ask", [DENIED; 3]),
                    (":forget", [DENIED; 3]),
                    (":$LATEST", [DENIED; 3]),
                    ("", [DONE; 3]),
                ],
            ),
        ];
        for (person, policy, cases) in cases {
            let client = stage.stack.local().person(person, &policy).await?;
            for (qualifier, expected) in cases {
                for (event, expected) in events.into_iter().zip(expected) {
                    let name = format!("{function}{qualifier}");
                    let answer = client.invoke(&name, event).await?;
                    let became = answer.as_ref().map(|answer| {
                        if answer.get("errorMessage").is_some() {
                            "failed"
                        } else if answer["error"]["code"] == "not_allowed" {
                            "not_allowed"
                        } else {
                            "done"
                        }
                    });
                    assert_eq!(became, expected, "{person}, {name}: {event}: {answer:?}");
                }
            }
        }
        Ok(())
    });
}

/// Whether AWS itself uses a permission of the function's role, so that no call
/// of the function shows it (documented by AWS: Lambda writes logs and traces,
/// and receives from and deletes in the queue that invokes a function; Secrets
/// Manager decrypts for whom it reads a secret).
fn is_for_aws(function: Function, grant: &Grant) -> bool {
    let always = [
        "kms:Decrypt",
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
    let is_source = match function {
        Function::Webhook => false,
        Function::Connector(_) => true,
        Function::Operator => grant.resource.contains("OperatorQueue"),
    };
    always.contains(&action) || is_source && of_event_sources.contains(&action)
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
        // A run whose vendor loses its Sesamy secret meanwhile. Without a page of
        // users it waits; a function that was just started has kept no secret.
        let down = Fault::status(503).on(Api::Sesamy).path("/users");
        stage.stand_ins.fault(down.account(keyless.id));
        let resync = |publisher: &Publisher, wish: &str| {
            let event = json!({"action": "resync", "vendorId": publisher.id, "do": wish});
            let stack = &stack;
            async move { stack.invoke(Function::Operator, &event).await }
        };
        for (wish, did) in [("start", "started"), ("stop", "stopped")] {
            let answer = resync(&keyless, wish).await?;
            assert_eq!(answer["did"], did, "{answer}");
        }
        stack.delete_secret("keyless/sesamy").await?;
        stack.kill_function(Function::Operator).await?;
        eventually("the run to be resumed", SOON, async || {
            let answer = resync(&keyless, "resume").await?;
            Ok((answer["did"] == "resumed").then_some(()))
        })
        .await?;
        eventually("the run to fail", SOON, async || {
            let answer = resync(&keyless, "show").await?;
            Ok((answer["run"]["state"] == "failed").then_some(()))
        })
        .await?;
        for name in ["bare/sesamy", "bare/rule"] {
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
        // The others lack what a run needs.
        for (publisher, refused) in [(&permitted, false), (&keyless, true), (&bare, true)] {
            let answer = resync(publisher, "start").await?;
            assert_eq!(answer.get("error").is_some(), refused, "{answer}");
        }
        let reconcile = json!({"action": "reconcile"});
        let answer = stack.invoke(Function::Operator, &reconcile).await?;
        assert_eq!(answer.get("error"), None, "{answer}");

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
