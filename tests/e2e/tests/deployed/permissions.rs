//! What the functions' roles allow, and nothing beyond.
//!
//! That they allow enough is what all other tests show: the local AWS checks them.

use local_aws::{
    Connector, Function, Result, Stack,
    aws::{Aws, Service},
};
use serde_json::json;
use stand_ins::User;

use crate::stage::on_stage;

/// What may be tried, with a name for it.
async fn permitted(stack: &Stack<'_>, client: &Aws) -> Result<Vec<&'static str>> {
    let secret = |name: &str| json!({"SecretId": stack.secret_name(name)});
    let queue = stack.queue_url(Connector::Rule)?;
    let dead_letters = stack.dead_letter_queue_url(Connector::Rule)?;
    let message = |queue: &str| {
        json!({
            "QueueUrl": queue,
            "MessageBody": "of the test of permissions",
            "MessageGroupId": "permissions",
            "MessageDeduplicationId": "permissions",
        })
    };
    let receive = |queue: &str| json!({"QueueUrl": queue, "VisibilityTimeout": 0});
    let (secrets, sqs) = (Service::Secrets, Service::Sqs);
    let trials = [
        (
            "read the tokens",
            secrets,
            "GetSecretValue",
            secret("webhook"),
        ),
        (
            "read Sesamy's",
            secrets,
            "GetSecretValue",
            secret("nordposten/sesamy"),
        ),
        (
            "read Rule's",
            secrets,
            "GetSecretValue",
            secret("nordposten/rule"),
        ),
        (
            "miss Rule's",
            secrets,
            "GetSecretValue",
            secret("nobody/rule"),
        ),
        (
            "read Make's",
            secrets,
            "GetSecretValue",
            secret("nordposten/make"),
        ),
        (
            "read a stranger's",
            secrets,
            "GetSecretValue",
            json!({"SecretId": "x/nordposten/rule"}),
        ),
        ("list secrets", secrets, "ListSecrets", json!({})),
        (
            "change Rule's",
            secrets,
            "PutSecretValue",
            json!({"SecretId": stack.secret_name("nordposten/rule"), "SecretString": "{}"}),
        ),
        ("receive", sqs, "ReceiveMessage", receive(queue)),
        (
            "receive dead letters",
            sqs,
            "ReceiveMessage",
            receive(dead_letters),
        ),
        ("bury", sqs, "SendMessage", message(dead_letters)),
        ("purge", sqs, "PurgeQueue", json!({"QueueUrl": queue})),
        ("queue", sqs, "SendMessage", message(queue)),
    ];
    let mut permitted = Vec::new();
    for (name, service, operation, input) in trials {
        if client.permits(service, operation, &input).await? {
            permitted.push(name);
        }
    }
    Ok(permitted)
}

#[test]
fn each_function_may_do_what_it_needs_and_no_more() {
    on_stage(async |stage| {
        let publisher = stage.publisher("permissions");
        let email = "anna.permissions@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|anna").email(email));
        let stack = stage.another_stack("e2e-permissions").await?;
        let webhook = publisher.webhook("userVendor.1#new", "email|anna");
        assert_eq!(publisher.post_to(&stack, &webhook).await?.status, 202);
        let tag = "sesamy_event_uservendor-new";
        publisher
            .tag_arrives(email, tag, crate::stage::SOON)
            .await?;

        let rule = stack.acting_as(Connector::Rule.function()).await?;
        assert_eq!(
            permitted(&stack, &rule).await?,
            [
                "read Sesamy's",
                "read Rule's",
                "miss Rule's",
                "receive",
                "bury"
            ]
        );
        let webhook = stack.acting_as(Function::Webhook).await?;
        assert_eq!(
            permitted(&stack, &webhook).await?,
            ["read the tokens", "queue"]
        );
        Ok(())
    });
}
