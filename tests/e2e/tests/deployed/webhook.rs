//! The webhook's answers.

use harness::{Function, Result, eventually};
use serde_json::{Value, json};

use crate::environment::{SOON, TestEnvironment, run_test, text};

/// Waits until the metric that the template's alarms use counts an outcome.
async fn wait_for_count(env: &TestEnvironment, outcome: &str) -> Result<()> {
    let function = env.stack.function_name(Function::Webhook).await?;
    let what = format!("the metric of the outcome {outcome}");
    eventually(&what, SOON, async || {
        let logs = env.stack.logs(Function::Webhook).await?;
        let mut lines = logs
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        let counted = lines.any(|line: Value| {
            let at = |pointer: &str| line.pointer(pointer).cloned().unwrap_or_default();
            at("/_aws/CloudWatchMetrics/0/Namespace") == "SesamyCrmSync"
                && at("/FunctionName") == function.as_str()
                && at("/Outcome") == outcome
                && at("/Webhooks").is_number()
        });
        Ok(counted.then_some(()))
    })
    .await
}

/// The body of the 401 to a webhook without a valid token.
async fn unauthenticated(
    env: &TestEnvironment,
    authorization: Option<&str>,
    body: &Value,
) -> Result<Value> {
    let reply = env.stack.post(authorization, body.to_string()).await?;
    assert_eq!(reply.status, 401, "{authorization:?} {body}: {reply:?}");
    Ok(reply.body)
}

#[test]
fn wrong_token_no_token_and_unknown_vendor_get_the_same_401() {
    run_test(async |env| {
        let publisher = env.publisher("unauthorized");
        let body = publisher.webhook("userVendor.1#new", "email|x");
        let mut unknown_vendor = body.clone();
        unknown_vendor["vendorId"] = "unknown".into();
        let bare = format!("token-of-webhooks-of-{}", publisher.id);
        let right = format!("Bearer {bare}");

        let first = unauthenticated(env, None, &body).await?;
        for authorization in [
            "",
            "Bearer",
            "Bearer wrong",
            "Basic eDp5",
            "token-of-webhooks-of-twice",
        ] {
            assert_eq!(
                unauthenticated(env, Some(authorization), &body).await?,
                first
            );
        }
        assert_eq!(
            unauthenticated(env, Some(&right), &unknown_vendor).await?,
            first
        );

        for authorization in [&right, &bare] {
            let reply = env
                .stack
                .post(Some(authorization), body.to_string())
                .await?;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        wait_for_count(env, "unauthenticated").await
    });
}

#[test]
fn invalid_body_gets_400_with_all_faults() {
    run_test(async |env| {
        let publisher = env.publisher("invalid");
        let body = json!({
            "vendorId": publisher.id,
            "userId": "",
            "occured_at": "yesterday",
            "contractId": 7,
        });
        let reply = publisher.post(&body).await?;
        assert_eq!(reply.status, 400, "{reply:?}");
        let error = &reply.body["error"];
        assert_eq!(text(error, "code"), "validation_error");
        let details = error["details"].as_array().unwrap();
        let mut fields: Vec<_> = details.iter().map(|fault| text(fault, "field")).collect();
        fields.sort();
        assert_eq!(fields, ["contractId", "eventType", "occured_at", "userId"]);
        assert!(
            details
                .iter()
                .all(|fault| !text(fault, "reason").is_empty())
        );

        // A token can be checked only for a known vendor, so these get a 400 instead of a 401.
        for body in ["", "{", "[]", "{}"] {
            let reply = env.stack.post(None, body).await?;
            assert_eq!(reply.status, 400, "{body}: {reply:?}");
            assert_eq!(text(&reply.body["error"], "code"), "validation_error");
        }
        Ok(())
    });
}

#[test]
fn body_over_64_kib_gets_413() {
    run_test(async |env| {
        let publisher = env.publisher("too-large");
        let mut body = publisher.webhook("userVendor.1#new", "email|x");
        body["padding"] = "x".repeat(64 * 1024).into();
        assert_eq!(publisher.post(&body).await?.status, 413);

        body["padding"] = "x".repeat(32 * 1024).into();
        assert_eq!(publisher.post(&body).await?.status, 202);
        Ok(())
    });
}

#[test]
fn unknown_event_type_is_accepted_and_ignored() {
    run_test(async |env| {
        let publisher = env.publisher("unknown-event");
        for event_type in ["contract.2#purchased", "Contract.1#purchased"] {
            let reply = publisher
                .post(&publisher.webhook(event_type, "email|x"))
                .await?;
            assert_eq!(reply.status, 202, "{reply:?}");
            assert_eq!(text(&reply.body, "status"), "ignored", "{reply:?}");
            assert!(!text(&reply.body, "reason").is_empty(), "{reply:?}");
        }
        wait_for_count(env, "ignored").await
    });
}
