//! The functions' roles allow nothing that the functions do not need.
//!
//! All other tests prove that the roles allow enough, because the local AWS enforces them.

use std::{cell::RefCell, collections::BTreeSet};

use fakes::{Api, Entitlement, Fault, User};
use harness::{
    AwsCall, Connector, Deployment, Error, FifoMessage, Function, Grant, Result, Stack,
    aws::{Aws, Method, Service},
    eventually,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::environment::{Publisher, SOON, documented_policy, group, run_test, text};

/// A call that tests whether a role allows an operation.
struct Trial {
    name: String,
    call: Call,
}

enum Call {
    Json(Service, &'static str, Value),
    Scheduler(Method, String, Value),
    /// A function, perhaps with an alias.
    Invoke(String),
}

async fn trials(stack: &Stack<'_>) -> Result<Vec<Trial>> {
    let mut trials = trials_of_wake_ups(stack).await?;
    trials.extend(trials_of_invocations(stack).await?);
    let mut add = |name: String, service, operation, input| {
        let call = Call::Json(service, operation, input);
        trials.push(Trial { name, call });
    };
    let secrets = [
        "webhook",
        "nordposten/sesamy",
        "nordposten/rule",
        "nordposten/mailmojo",
        "nordposten/make",
        "nordposten/mailchimp",
        "nordposten/hubspot",
        "unknown/rule",
    ];
    let secrets = secrets.map(|name| (name, stack.secret_name(name)));
    let other_stack = "another-stack/nordposten/rule";
    let other_stack = (other_stack, other_stack.to_owned());
    for (name, id) in secrets.into_iter().chain([other_stack]) {
        let input = json!({"SecretId": id});
        add(
            format!("read {name}"),
            Service::Secrets,
            "GetSecretValue",
            input,
        );
    }
    let change = json!({
        "SecretId": stack.secret_name("nordposten/rule"),
        "SecretString": "{}",
    });
    let name = "change nordposten/rule".to_owned();
    add(name, Service::Secrets, "PutSecretValue", change);
    let name = "list secrets".to_owned();
    add(
        name,
        Service::Secrets,
        "ListSecrets",
        json!({"MaxResults": 1}),
    );

    let table = stack.user_table()?;
    add(
        "list items".to_owned(),
        Service::DynamoDb,
        "Scan",
        json!({"TableName": table}),
    );
    for connector in Connector::ALL {
        let key = json!({"key": {"S": format!("{}#permissions", connector.name())}});
        for (verb, operation, part) in [
            ("read", "GetItem", "Key"),
            ("write", "PutItem", "Item"),
            ("delete", "DeleteItem", "Key"),
        ] {
            let name = format!("{verb} an item of {connector}");
            let input = json!({"TableName": table, part: key});
            add(name, Service::DynamoDb, operation, input);
        }
    }

    for connector in Connector::ALL {
        let queues = [
            (format!("{connector}Queue"), stack.queue_url(connector)?),
            (
                format!("{connector}DeadLetterQueue"),
                stack.dead_letter_queue_url(connector)?,
            ),
        ];
        for (name, url) in queues {
            let receive = json!({"QueueUrl": url, "VisibilityTimeout": 0});
            let purge = json!({"QueueUrl": url});
            // Sending comes last, so that no trial receives the message.
            let send = json!({
                "QueueUrl": url,
                "MessageBody": "from the test of permissions",
                "MessageGroupId": "permissions",
                "MessageDeduplicationId": "permissions",
            });
            let mut add_sqs = |name, operation, input| add(name, Service::Sqs, operation, input);
            add_sqs(format!("receive from {name}"), "ReceiveMessage", receive);
            add_sqs(format!("purge {name}"), "PurgeQueue", purge);
            add_sqs(format!("send to {name}"), "SendMessage", send);
        }
    }
    Ok(trials)
}

/// Schedules in each connector's group that send with each connector's role.
async fn trials_of_wake_ups(stack: &Stack<'_>) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    let mut roles = Vec::new();
    for connector in Connector::ALL {
        let role = stack.variable(connector.function(), "SCHEDULE_ROLE_ARN");
        roles.push((connector, role.await?));
    }
    for connector in Connector::ALL {
        let group = stack.schedule_group(connector).await?;
        let queue = stack.variable(connector.function(), "QUEUE_ARN").await?;
        let path = "/schedules/permissions";
        for (verb, method) in [("create", Method::POST), ("replace", Method::PUT)] {
            for (other, role) in &roles {
                let schedule = json!({
                    "GroupName": group,
                    "ScheduleExpression": "at(2100-01-01T00:00:00)",
                    "FlexibleTimeWindow": {"Mode": "OFF"},
                    "Target": {"Arn": queue, "RoleArn": role},
                });
                trials.push(Trial {
                    name: format!("{verb} a wake-up of {connector} with the role of {other}"),
                    call: Call::Scheduler(method.clone(), path.to_owned(), schedule),
                });
            }
        }
        let named = format!("{path}?groupName={group}");
        for (verb, method) in [("read", Method::GET), ("delete", Method::DELETE)] {
            trials.push(Trial {
                name: format!("{verb} a wake-up of {connector}"),
                call: Call::Scheduler(method, named.clone(), Value::Null),
            });
        }
    }
    Ok(trials)
}

async fn trials_of_invocations(stack: &Stack<'_>) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for function in Function::ALL {
        let name = stack.function_name(function).await?;
        let aliases: &[&str] = match function {
            Function::Connector(_) => &["", ":ask", ":forget"],
            Function::Operator => &["", ":ask"],
            Function::Webhook | Function::Widgets | Function::WidgetActions => &[""],
        };
        trials.extend(aliases.iter().map(|alias| Trial {
            name: format!("invoke {function}{alias}"),
            call: Call::Invoke(format!("{name}{alias}")),
        }));
    }
    Ok(trials)
}

async fn permitted(stack: &Stack<'_>, client: &Aws) -> Result<Vec<String>> {
    let mut permitted = Vec::new();
    for Trial { name, call } in trials(stack).await? {
        let is_permitted = match call {
            Call::Json(service, operation, input) => {
                client.permits(service, operation, &input).await?
            }
            Call::Scheduler(method, path, input) => {
                client.permits_schedule(method, &path, &input).await?
            }
            Call::Invoke(name) => {
                let unknown = json!({"action": "permissions"});
                client.invoke(&name, &unknown).await?.is_some()
            }
        };
        if is_permitted {
            permitted.push(name);
        }
    }
    permitted.sort();
    Ok(permitted)
}

#[test]
fn each_function_may_do_only_what_it_needs() {
    run_test(async |env| {
        let stack = env.another_stack("e2e-permissions").await?;
        // A function has credentials once it has run.
        stack.post(None, "{}").await?;
        let webhook = stack.with_role_of(Function::Webhook).await?;
        assert_eq!(
            permitted(&stack, &webhook).await?,
            [
                "read webhook",
                "send to HubspotQueue",
                "send to MailchimpQueue",
                "send to MailmojoQueue",
                "send to MakeQueue",
                "send to RuleQueue",
            ]
        );
        for connector in Connector::ALL {
            stack
                .invoke(connector.function(), &json!({"Records": []}))
                .await?;
            let client = stack.with_role_of(connector.function()).await?;
            let own = connector.name();
            let mut expected = vec![
                "read nordposten/sesamy".to_owned(),
                format!("read nordposten/{own}"),
                format!("receive from {connector}Queue"),
                format!("send to {connector}DeadLetterQueue"),
                format!("read an item of {connector}"),
                format!("write an item of {connector}"),
                format!("delete an item of {connector}"),
                format!("create a wake-up of {connector} with the role of {connector}"),
                format!("delete a wake-up of {connector}"),
            ];
            if connector == Connector::Rule {
                // The function may learn that its own secret does not exist.
                expected.push("read unknown/rule".to_owned());
            }
            expected.sort();
            assert_eq!(permitted(&stack, &client).await?, expected, "{connector}");

            let role = stack.variable(connector.function(), "SCHEDULE_ROLE_ARN");
            let policies = stack.policies(&role.await?).await?;
            let [policy] = &policies[..] else {
                panic!("{connector}: {policies:?}");
            };
            let user = format!("wake-up-{own}");
            let wake_up = stack.local().create_iam_user(&user, policy).await?;
            let expected = [format!("send to {connector}Queue")];
            assert_eq!(permitted(&stack, &wake_up).await?, expected, "{connector}");
        }
        let status = json!({"action": "status"});
        stack.invoke(Function::Operator, &status).await?;
        let operator = stack.with_role_of(Function::Operator).await?;
        // Only the names of vendors: neither webhook tokens nor credentials of CRMs.
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

        stack.invoke(Function::Widgets, &json!({})).await?;
        let widgets = stack.with_role_of(Function::Widgets).await?;
        let connectors = Connector::ALL.map(|connector| connector.function());
        let asked = connectors.into_iter().chain([Function::Operator]);
        let mut expected: Vec<_> = asked
            .map(|function| format!("invoke {function}:ask"))
            .collect();
        expected.sort();
        assert_eq!(permitted(&stack, &widgets).await?, expected);
        stack.invoke(Function::WidgetActions, &json!({})).await?;
        let actions = stack.with_role_of(Function::WidgetActions).await?;
        let expected = ["invoke OperatorFunction"];
        assert_eq!(permitted(&stack, &actions).await?, expected);
        Ok(())
    });
}

/// The policy that the guide gives for the alias `ask`, for any alias.
fn alias_policy(alias: &str, stack: &str) -> Value {
    let policy = documented_policy(":ask\"", stack).to_string();
    serde_json::from_str(&policy.replace(":ask\"", &format!(":{alias}\""))).unwrap()
}

#[test]
fn each_alias_allows_one_kind_of_request() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Reaction {
        Denied,
        NotAllowed,
        Failed,
        Done,
    }
    use Reaction::{Denied, Done, Failed, NotAllowed};

    struct Case {
        user: &'static str,
        policy: Value,
        /// All other qualifiers are denied.
        allowed_qualifier: &'static str,
        /// To a check, a forget and a batch.
        reactions: [Reaction; 3],
    }

    run_test(async |env| {
        let name = "e2e-invokers";
        let stack = env.another_stack(name).await?;
        let function = stack.function_name(Connector::Rule.function()).await?;
        let cases = [
            Case {
                user: "ask",
                policy: alias_policy("ask", name),
                allowed_qualifier: ":ask",
                reactions: [Done, NotAllowed, Failed],
            },
            Case {
                user: "forget",
                policy: alias_policy("forget", name),
                allowed_qualifier: ":forget",
                reactions: [NotAllowed, Done, Failed],
            },
            Case {
                user: "administrator",
                policy: json!({
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Action": "lambda:InvokeFunction",
                        "Resource": format!("arn:aws:lambda:*:*:function:{function}"),
                    }],
                }),
                allowed_qualifier: "",
                reactions: [Done; 3],
            },
        ];
        let id = env.publisher("asked").id;
        let events = [
            json!({"action": "check", "vendorId": id}),
            json!({"action": "forget", "vendorId": id, "userId": "email|unknown"}),
            json!({"Records": []}),
        ];
        for case in cases {
            let aws = env.stack.local();
            let client = aws.create_iam_user(case.user, &case.policy).await?;
            for qualifier in [":ask", ":forget", ":$LATEST", ""] {
                let expected = if qualifier == case.allowed_qualifier {
                    case.reactions
                } else {
                    [Denied; 3]
                };
                for (event, expected) in events.iter().zip(expected) {
                    let name = format!("{function}{qualifier}");
                    let answer = client.invoke(&name, event).await?;
                    let reaction = match &answer {
                        None => Denied,
                        Some(answer) if answer.get("errorMessage").is_some() => Failed,
                        Some(answer) if answer["error"]["code"] == "not_allowed" => NotAllowed,
                        Some(_) => Done,
                    };
                    let user = case.user;
                    assert_eq!(reaction, expected, "{user}, {name}: {event}: {answer:?}");
                }
            }
        }
        Ok(())
    });
}

/// Whether AWS itself, and not the function's code, uses a permission of the role.
/// Documented: Lambda writes logs and traces, receives from the queue that invokes a
/// function and deletes from it; Secrets Manager decrypts with its caller's permissions;
/// a call that passes a role needs the permission to pass it.
fn is_used_by_aws(function: Function, grant: &Grant) -> bool {
    let always = [
        "iam:PassRole",
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    ];
    let by_event_sources = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ];
    let action = grant.action.as_str();
    let has_event_source = matches!(function, Function::Connector(_));
    always.contains(&action) || has_event_source && by_event_sources.contains(&action)
}

fn put_user_with_access_for(publisher: &Publisher, time: SignedDuration) {
    let end = Timestamp::now() + time;
    let entitlement = Entitlement::new("e1", "sid:premium", "Premium");
    publisher.sesamy.put_user(
        User::new("email|per")
            .email("per.permitted@example.com")
            .entitlement(entitlement.set("expiresAt", end.to_string())),
    );
}

/// Waits until every connector has scheduled a wake-up of the user whose time is
/// wanted, and returns the times.
async fn wake_ups(
    stack: &Stack<'_>,
    publisher: &Publisher,
    wanted: impl Fn(&String) -> bool,
) -> Result<BTreeSet<String>> {
    let name = group(publisher.id, "email|per");
    let mut times = BTreeSet::new();
    for connector in Connector::ALL {
        let what = format!("a wake-up of {connector}");
        let time = eventually(&what, SOON, async || {
            let schedule = stack.schedule(connector, &name).await?;
            let time = schedule.map(|schedule| text(&schedule, "ScheduleExpression"));
            Ok(time.filter(&wanted))
        });
        times.insert(time.await?);
    }
    Ok(times)
}

#[test]
fn each_function_uses_all_its_permissions() {
    run_test(async |env| {
        // Every option is on, because some permissions depend on options.
        let deployment = Deployment::with_every_option("e2e-needs");
        let stack = env.stack_without_secrets(&deployment).await?;
        stack.local().record_calls().await?;
        let absent = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| stack.secret_name(name)).collect()
        };

        // The webhook's secret does not exist yet.
        let permitted = env.publisher("permitted");
        let update = |vendor: &str| {
            let mut webhook = permitted.webhook("userVendor.1#update", "email|per");
            webhook["vendorId"] = vendor.into();
            webhook
        };
        let early = permitted.post_to(&stack, &update("permitted")).await?;
        assert_eq!(early.status, 503, "{early:?}");
        let no_tokens = absent(&["webhook"]);
        let exists = |name: &str| !no_tokens.contains(name);
        let early = stack.recorded_calls(Function::Webhook, exists).await?;

        // `permitted` has all secrets, `keyless` lacks Sesamy's, `bare` has none.
        env.store_secrets(&stack).await?;
        let keyless = env.publisher("keyless");
        let bare = env.publisher("bare");
        permitted.other_crms_of(&stack).await?;
        keyless.other_crms_of(&stack).await?;
        // `keyless` loses its Sesamy secret during a run. The fault keeps the run from
        // finishing first, and the killed process's cache is gone.
        let fault = Fault::status(503).on(Api::Sesamy).path("/users");
        env.fakes.fault(fault.account(keyless.id));
        let resync = |publisher: &Publisher, command: &str| {
            let event = json!({"action": "resync", "vendorId": publisher.id, "do": command});
            let stack = &stack;
            async move { stack.invoke(Function::Operator, &event).await }
        };
        for (command, did) in [("start", "started"), ("stop", "stopped")] {
            let answer = resync(&keyless, command).await?;
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
        put_user_with_access_for(&permitted, SignedDuration::from_hours(1));
        for publisher in [&permitted, &keyless, &bare] {
            eventually("a webhook to be queued", SOON, async || {
                let reply = publisher.post_to(&stack, &update(publisher.id)).await?;
                Ok((reply.status == 202).then_some(()))
            })
            .await?;
        }
        // The end of the access changes, so the wake-up is replaced; forgetting the user
        // deletes it.
        let first = wake_ups(&stack, &permitted, |_| true).await?;
        put_user_with_access_for(&permitted, SignedDuration::from_hours(2));
        let new = permitted.webhook("userVendor.1#new", "email|per");
        let reply = permitted.post_to(&stack, &new).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        wake_ups(&stack, &permitted, |wake_up| !first.contains(wake_up)).await?;
        let forget = json!({
            "action": "forget",
            "vendorId": permitted.id,
            "userId": "email|per",
        });
        for connector in Connector::ALL {
            let answer = stack.invoke(connector.function(), &forget).await?;
            assert_eq!(answer["outcome"], "forgotten", "{answer}");
        }
        // The operator redrives a dead-letter message of each connector, which fails again.
        let unreadable = [FifoMessage {
            group: "unreadable".to_owned(),
            body: "not a message".to_owned(),
        }];
        for connector in Connector::ALL {
            stack.enqueue(connector, &unreadable).await?;
        }
        for connector in Connector::ALL {
            let redrive = json!({"action": "redrive", "connector": connector.name()});
            eventually("a dead-letter message to be redriven", SOON, async || {
                let answer = stack.invoke(Function::Operator, &redrive).await?;
                Ok((answer["moved"] == 1).then_some(()))
            })
            .await?;
        }
        let status = json!({"action": "status"});
        // Only `permitted` has the secrets that a run needs.
        for (publisher, is_refused) in [(&permitted, false), (&keyless, true), (&bare, true)] {
            let answer = resync(publisher, "start").await?;
            assert_eq!(answer.get("error").is_some(), is_refused, "{answer}");
        }
        let reconcile = json!({"action": "reconcile"});
        let answer = stack.invoke(Function::Operator, &reconcile).await?;
        assert_eq!(answer.get("error"), None, "{answer}");
        let widget = |name: &str| {
            let form = json!({"vendorId": permitted.id, "userId": "email|per"});
            let context = json!({"params": {"widget": name}, "forms": {"all": form}});
            json!({"lookUp": true, "widgetContext": context})
        };
        for name in ["runs", "user"] {
            stack.invoke(Function::Widgets, &widget(name)).await?;
        }
        let stop = json!({"do": "stop", "vendorId": bare.id});
        stack.invoke(Function::WidgetActions, &stop).await?;

        let absent = absent(&[
            "keyless/sesamy",
            "bare/rule",
            "bare/mailmojo",
            "bare/make",
            "bare/mailchimp",
            "bare/hubspot",
        ]);
        let exists = |name: &str| !absent.contains(name);
        let unused = RefCell::new(Vec::new());
        let all_used = eventually("every permission to be used", SOON, async || {
            stack.invoke(Function::Operator, &status).await?;
            unused.borrow_mut().clear();
            for function in Function::ALL {
                let mut calls = stack.recorded_calls(function, exists).await?;
                if function == Function::Webhook {
                    calls.extend(early.iter().cloned());
                }
                let grants = stack.grants(function).await?;
                let covered = |call: &AwsCall| grants.iter().any(|grant| grant.covers(call));
                let uncovered: Vec<_> = calls.iter().filter(|call| !covered(call)).collect();
                assert!(uncovered.is_empty(), "{function}: {uncovered:?}");
                for grant in &grants {
                    let used = calls.iter().any(|call| grant.covers(call));
                    if !used && !is_used_by_aws(function, grant) {
                        unused.borrow_mut().push(format!("{function}: {grant}"));
                    }
                }
            }
            Ok(unused.borrow().is_empty().then_some(()))
        });
        all_used
            .await
            .map_err(|error| Error::new(format!("{error}; unused: {:#?}", unused.take())))
    });
}
