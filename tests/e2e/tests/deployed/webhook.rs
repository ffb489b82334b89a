//! What Sesamy gets for an answer.

use local_aws::{Function, Result, eventually};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, on_stage, text};

/// Waits until an outcome was counted as the alarms of the template look for it.
async fn counted(stage: &Stage, outcome: &str) -> Result<()> {
    let function = stage.stack.function_name(Function::Webhook).await?;
    let what = format!("the metric of the outcome {outcome}");
    eventually(&what, SOON, async || {
        let logs = stage.stack.logs(Function::Webhook).await?;
        let mut lines = logs
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        let counted = lines.any(|line: Value| {
            let at = |place: &str| line.pointer(place).cloned().unwrap_or_default();
            at("/_aws/CloudWatchMetrics/0/Namespace") == "SesamyCrmSync"
                && at("/FunctionName") == function.as_str()
                && at("/Outcome") == outcome
                && at("/Webhooks").is_number()
        });
        Ok(counted.then_some(()))
    })
    .await
}

/// The answer to whoever cannot prove who they are, whatever the reason.
async fn refusal(stage: &Stage, authorization: Option<&str>, body: &Value) -> Result<Value> {
    let reply = stage.stack.post(authorization, body.to_string()).await?;
    assert_eq!(reply.status, 401, "{authorization:?} {body}: {reply:?}");
    Ok(reply.body)
}

#[test]
fn a_wrong_token_no_token_and_an_unknown_vendor_get_the_same_401() {
    on_stage(async |stage| {
        let publisher = stage.publisher("unauthorized");
        let body = publisher.webhook("userVendor.1#new", "email|x");
        let mut stranger = body.clone();
        stranger["vendorId"] = "nobody".into();
        let right = format!("Bearer token-of-webhooks-of-{}", publisher.id);

        let first = refusal(stage, None, &body).await?;
        for authorization in [
            "",
            "Bearer",
            "Bearer wrong",
            "Basic eDp5",
            "token-of-webhooks-of-twice",
        ] {
            assert_eq!(refusal(stage, Some(authorization), &body).await?, first);
        }
        assert_eq!(refusal(stage, Some(&right), &stranger).await?, first);

        let bare = format!("token-of-webhooks-of-{}", publisher.id);
        for authorization in [&right, &bare] {
            let reply = stage
                .stack
                .post(Some(authorization), body.to_string())
                .await?;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        counted(stage, "unauthenticated").await
    });
}

#[test]
fn an_invalid_body_gets_400_with_every_fault() {
    on_stage(async |stage| {
        let publisher = stage.publisher("invalid");
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

        // Without a vendor nobody can prove anything, so the faults come first.
        for body in ["", "{", "[]", "{}"] {
            let reply = stage.stack.post(None, body).await?;
            assert_eq!(reply.status, 400, "{body}: {reply:?}");
            assert_eq!(text(&reply.body["error"], "code"), "validation_error");
        }
        Ok(())
    });
}

#[test]
fn a_body_over_64_kib_gets_413() {
    on_stage(async |stage| {
        let publisher = stage.publisher("too-large");
        let mut body = publisher.webhook("userVendor.1#new", "email|x");
        body["padding"] = "x".repeat(64 * 1024).into();
        assert_eq!(publisher.post(&body).await?.status, 413);

        body["padding"] = "x".repeat(32 * 1024).into();
        assert_eq!(publisher.post(&body).await?.status, 202);
        Ok(())
    });
}

#[test]
fn an_unknown_event_type_is_accepted_and_ignored() {
    on_stage(async |stage| {
        let publisher = stage.publisher("unknown-event");
        for event_type in ["contract.2#purchased", "Contract.1#purchased"] {
            let reply = publisher
                .post(&publisher.webhook(event_type, "email|x"))
                .await?;
            assert_eq!(reply.status, 202, "{reply:?}");
            assert_eq!(text(&reply.body, "status"), "ignored", "{reply:?}");
            assert!(!text(&reply.body, "reason").is_empty(), "{reply:?}");
        }
        counted(stage, "ignored").await
    });
}
