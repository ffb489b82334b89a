//! What operators ask of the deployed stack.

use local_aws::{Connector, Function, eventually};
use serde_json::json;
use stand_ins::{Api, Fault, User};

use crate::stage::{SOON, on_stage};

#[test]
fn a_dead_letter_is_told_and_comes_home() {
    on_stage(async |stage| {
        let publisher = stage.publisher("redriven");
        let email = "eva.redriven@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|eva").email(email));
        let rejecting = Fault::status(422).on(Api::Rule).method("POST");
        let rejecting = rejecting.path("/v2/subscribers").account(publisher.id);
        stage.stand_ins.fault(rejecting.once());
        let event = publisher.announce("userVendor.1#new", "email|eva").await?;

        // Other tests have letters too: only this publisher's are looked at and moved.
        let group = eventually("the dead letter in the status", SOON, async || {
            let status = json!({"action": "status"});
            let status = stage.stack.invoke(Function::Operator, &status).await?;
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
        // Another test may be looking at the letter at the same moment.
        eventually("the letter to go home", SOON, async || {
            let answer = stage.stack.invoke(Function::Operator, &redrive).await?;
            Ok((answer["moved"] == 1).then_some(()))
        })
        .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new", SOON)
            .await?;
        let letters = stage.stack.dead_letters(Connector::Rule).await?;
        let mine = |letter: &&local_aws::DeadLetter| letter.body["vendorId"] == publisher.id;
        assert_eq!(letters.iter().filter(mine).count(), 0);
        Ok(())
    });
}

#[test]
fn a_misspelt_key_moves_nothing() {
    on_stage(async |stage| {
        let event = json!({"action": "redrive", "connector": "rule", "vendorID": "status"});
        let answer = stage.stack.invoke(Function::Operator, &event).await?;
        assert_eq!(
            answer["error"]["details"][0]["field"], "vendorID",
            "{answer}"
        );
        Ok(())
    });
}
