//! The operator function's actions on dead-letter messages.

use harness::{Function, eventually};
use serde_json::json;

use crate::environment::{SOON, run_test};

#[test]
fn status_lists_a_dead_letter_message_and_redrive_moves_it_back() {
    run_test(async |env| {
        let publisher = env.publisher("redriven");
        let email = "eva.redriven@example.com";
        publisher.put_user("email|eva", email);
        publisher.fail_next_upsert(422);
        let event = publisher.announce("userVendor.1#new", "email|eva").await?;

        // Other tests have dead-letter messages too, so look only at this publisher's.
        let group = eventually("the dead-letter message in the status", SOON, async || {
            let status = json!({"action": "status"});
            let status = env.stack.invoke(Function::Operator, &status).await?;
            let groups = &status["connectors"]["rule"]["deadLetters"]["groups"];
            let groups = groups.as_array().cloned().unwrap_or_default();
            Ok(groups
                .into_iter()
                .find(|group| group["vendorId"] == publisher.id))
        });
        let group = group.await?;
        assert_eq!(group["errorKind"], "rejected_by_api", "{group}");
        assert_eq!(group["samples"][0]["eventId"], event.as_str(), "{group}");
        assert_eq!(group["samples"][0]["status"], "422", "{group}");
        assert!(!group.to_string().contains("redriven@"), "{group}");

        let redrive = json!({"action": "redrive", "connector": "rule", "vendorId": publisher.id});
        // Another test may have received the message just now, which hides it.
        eventually("the message to be redriven", SOON, async || {
            let answer = env.stack.invoke(Function::Operator, &redrive).await?;
            Ok((answer["moved"] == 1).then_some(()))
        })
        .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new")
            .await?;
        publisher.assert_no_dead_letters().await
    });
}

#[test]
fn redrive_refuses_a_misspelt_key() {
    run_test(async |env| {
        let event = json!({"action": "redrive", "connector": "rule", "vendorID": "status"});
        let answer = env.stack.invoke(Function::Operator, &event).await?;
        assert_eq!(
            answer["error"]["details"][0]["field"], "vendorID",
            "{answer}"
        );
        Ok(())
    });
}
