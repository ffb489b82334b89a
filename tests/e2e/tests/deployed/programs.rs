//! The programs that a person runs: onboarding, offboarding, verifying a stack.

use fakes::User;
use harness::samples::{self, now_text};
use harness::{Error, Result, eventually};

use crate::environment::{PROCESSES, SOON, TestEnvironment, run_test};

const VENDOR: &str = "onboarded";

/// Uses Rule, but no other CRM.
const ONLY_RULE: [&str; 4] = ["n", "n", "n", "n"];

async fn run(env: &TestEnvironment, program: &str, answers: &[&str]) -> Result<String> {
    let urls = env.fakes.urls();
    env.stack.run_for(program, VENDOR, urls, answers).await
}

/// The token in the message for Sesamy.
fn token(said: &str) -> Result<&str> {
    let token = said.lines().find_map(|line| line.split("Bearer ").nth(1));
    token.ok_or_else(|| Error::new(format!("no token in {said}")))
}

/// What the webhook answers to an event of the publisher's user.
async fn post(env: &TestEnvironment, token: &str, event_type: &str) -> Result<u16> {
    let body = harness::webhook(event_type, VENDOR, "email|sven", &now_text());
    Ok(env.stack.post_webhook(token, &body).await?.status)
}

#[test]
fn onboarded_publisher_is_synced_and_an_offboarded_one_is_refused() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        let vendor = env.fakes.sesamy().add_vendor(VENDOR, "client", "secret");
        vendor.put_user(User::new("email|sven").email("sven.onboarded@example.com"));
        let rule = env.fakes.rule().add_account(VENDOR, "right-key");

        // A key of which Rule knows nothing is noticed before Sesamy gets a token.
        let mut answers = vec!["client", "secret", "y", "wrong-key"];
        answers.extend(ONLY_RULE);
        answers.extend(["y", "n", "y", "right-key", "email|sven", "y"]);
        let said = run(env, "onboard", &answers).await?;
        assert!(said.contains("Rule: 1 problem."), "{said}");
        assert!(said.contains("Rule: works."), "{said}");
        assert!(said.contains("It runs, with 20 users a minute."), "{said}");
        assert!(!said.contains("right-key"), "{said}");
        assert!(!said.contains("sven.onboarded@"), "{said}");

        let first = token(&said)?;
        assert_eq!(post(env, first, "userVendor.1#new").await?, 202);
        let synced = eventually("the contact", SOON, async || {
            Ok(rule.subscriber("sven.onboarded@example.com"))
        });
        synced.await?;

        // Rotating: both tokens are accepted, then only the newer one is left.
        let keep = ["n", "n", "n", "n", "n", "n", "", "y", "n"];
        let said = run(env, "onboard", &keep).await?;
        let second = token(&said)?;
        // The webhook looks for new tokens every ten seconds.
        let accepted = eventually("the new token to be accepted", SOON, async || {
            let status = post(env, second, "userVendor.1#update").await?;
            Ok((status == 202).then_some(()))
        });
        accepted.await?;
        assert_eq!(post(env, first, "userVendor.1#update").await?, 202);
        let said = run(env, "onboard", &keep).await?;
        assert!(said.contains("Removed."), "{said}");

        let said = run(env, "offboard", &[VENDOR]).await?;
        let deleted = said
            .find("onboarded/rule;")
            .zip(said.find("onboarded/sesamy;"));
        assert!(
            deleted.is_some_and(|(rule, sesamy)| rule < sesamy),
            "{said}"
        );
        let webhook = env.stack.secret("webhook").await?;
        assert!(!webhook.contains(VENDOR), "its tokens are still there");
        assert!(
            webhook.contains(samples::VENDOR),
            "another publisher's are not"
        );
        // The tokens of the other publishers are in the same secret.
        let other = samples::webhook("userVendor.1#update", "guest|dora", &now_text(), &[]);
        let reply = env.stack.post_webhook(samples::TOKEN, &other).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        Ok(())
    });
}

#[test]
fn stack_is_verified_from_outside() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        // Fails unless everything is verified.
        let said = env.stack.verify().await?;
        assert!(said.contains("seen: The label AWSCURRENT moves"), "{said}");
        let secret = env.stack.secret("webhook").await?;
        assert!(!secret.contains("verify-"), "its vendor is still there");
        Ok(())
    });
}
