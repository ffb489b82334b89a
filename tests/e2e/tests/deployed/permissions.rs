//! What the functions' roles allow, and nothing beyond.
//!
//! That they allow enough is what all other tests show: the local AWS checks them.

use local_aws::{
    Connector, Function, Result, Stack,
    aws::{Aws, Service},
};
use serde_json::{Value, json};

use crate::stage::on_stage;

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
