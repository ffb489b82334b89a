//! The dashboard's widgets, in a browser and against the deployed functions.

use fakes::sesamy::{Contract, Envelope};
use fakes::{Api, Entitlement, Fault, User};
use harness::{Connector, Error, Function, Result, eventually};
use serde_json::{Value, json};

use crate::console::Console;
use crate::environment::{PROCESSES, SOON, TestEnvironment, documented_policy, run_test};

impl TestEnvironment {
    /// A console for two people with the permissions that the guide gives: `operator` may
    /// click, `viewer` may look.
    async fn console(&self, test: &str) -> Result<Console> {
        let policy = documented_policy("WidgetActionsFunction", "e2e");
        let mut viewer = policy.clone();
        let functions = viewer.pointer_mut("/Statement/0/Resource");
        let functions = functions.and_then(Value::as_array_mut).unwrap();
        functions.retain(|arn| !arn.as_str().unwrap().contains("WidgetActionsFunction"));
        assert_eq!(functions.len(), 1, "{functions:?}");
        let local = self.stack.local();
        let person = async |name: &str, policy| {
            let name = format!("{name}-{test}");
            local.create_iam_user(&name, policy).await
        };
        let clients = [
            ("operator", person("operator", &policy).await?),
            ("viewer", person("viewer", &viewer).await?),
        ];
        Console::start(&self.stack, clients).await
    }
}

impl Console {
    /// One at a time: two would hide dead-letter messages from each other.
    async fn refresh(&self, widget: &str) -> Result<()> {
        let is_loaded = format!("{widget}:not(.loading)");
        self.browser.see(&is_loaded).await?;
        self.browser.click(&format!("{widget} >> .refresh")).await?;
        self.browser.see(&is_loaded).await
    }

    /// Refreshes a widget until it shows something.
    async fn refresh_until(&self, widget: &str, selector: &str) -> Result<()> {
        let selector = format!("{widget} >> {selector}");
        let shown = eventually(&selector, SOON, async || {
            self.refresh(widget).await?;
            let found = self.browser.count(&selector).await?;
            Ok((found > 0).then_some(()))
        });
        if let Err(error) = shown.await {
            let text = self.browser.text(widget).await?;
            return Err(Error::new(format!("{error}: {text}")));
        }
        Ok(())
    }
}

const DEAD_LETTERS: &str = "section:has-text('What needs a person?')";
const RUNS: &str = "section:has-text('How do resyncs go?')";
const USER: &str = "section:has-text('Why has this user this tag?')";

/// What Sesamy knows of users, and no widget may show.
const NAME: &str = "Markednamed";
const ADDRESS: &str = "markedaddress";

fn marked_user(id: &str) -> User {
    User::new(id)
        .email(&format!("{ADDRESS}@example.com"))
        .name(NAME, NAME)
}

async fn assert_nothing_personal(console: &Console) -> Result<()> {
    let html = console.browser.html("body").await?;
    for personal in [NAME, ADDRESS] {
        assert!(!html.contains(personal), "{html}");
    }
    console.assert_harmless().await
}

#[test]
fn dead_letter_message_is_found_understood_and_redriven_by_clicks() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        let publisher = env.publisher("clicked");
        let (mailmojo, _) = publisher.other_crms().await?;
        // An id that would do harm in a page.
        let id = r#"email|<script>document.title='hacked'</script><i/onclick="x">&quot;'"#;
        publisher.sesamy.put_user(marked_user(id));
        let fault = Fault::status(422).on(Api::Mailmojo).method("POST");
        let fault = env.fakes.fault(fault.account(publisher.id));
        publisher.announce("userVendor.1#new", id).await?;

        let console = env.console("clicked").await?;
        console.open("operator", "light").await?;
        let row = "tr:has-text('clicked')";
        console.refresh_until(DEAD_LETTERS, row).await?;
        let row = format!("{DEAD_LETTERS} >> {row}");
        let shown = console.browser.text(&row).await?;
        for part in [
            "mailmojo",
            "rejected_by_api",
            "422",
            "clicked",
            id,
            "Redrive",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        console
            .screenshot("widget-dead-letters", DEAD_LETTERS)
            .await?;
        assert_nothing_personal(&console).await?;

        // Nothing happens before the question is answered.
        let redrive = format!("{row} >> a.btn:has-text('Redrive')");
        let calls = console.browser.evaluate("window.calls.length").await?;
        console.browser.click(&redrive).await?;
        console.screenshot("widget-confirmation", ".popup").await?;
        let question = console.browser.text(".popup").await?;
        assert!(question.contains("Move 1 message of clicked"), "{question}");
        console
            .browser
            .click(".popup button:has-text('Cancel')")
            .await?;
        let now = console.browser.evaluate("window.calls.length").await?;
        assert_eq!(now, calls);
        assert!(
            mailmojo
                .contact(&format!("{ADDRESS}@example.com"))
                .is_none()
        );

        env.fakes.remove_fault(fault);
        // Another test may have received the message just now, which hides it.
        eventually("the message to be redriven", SOON, async || {
            console.click_and_confirm(&redrive).await?;
            let answer = console.close_popup().await?;
            Ok(answer.contains("Moved 1 message back").then_some(()))
        })
        .await?;
        eventually("the contact", SOON, async || {
            Ok(mailmojo.contact(&format!("{ADDRESS}@example.com")))
        })
        .await?;
        eventually("the message to be gone", SOON, async || {
            console.refresh(DEAD_LETTERS).await?;
            Ok((console.browser.count(&row).await? == 0).then_some(()))
        })
        .await?;
        assert_nothing_personal(&console).await
    });
}

#[test]
fn run_is_watched_stopped_and_resumed_by_clicks() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        let publisher = env.publisher("watched-run");
        // The form in which Sesamy states how many users there are.
        publisher.sesamy.set_envelope(Envelope::Data);
        for number in 0..40 {
            publisher.put_user(&format!("email|{number}"), &format!("{number}@example.com"));
        }
        let start = json!({"action": "resync", "vendorId": publisher.id});
        let started = env.stack.invoke(Function::Operator, &start).await?;
        assert_eq!(started["did"], "started", "{started}");

        let console = env.console("watched").await?;
        console.open("operator", "dark").await?;
        let row = "tr:has-text('watched-run')";
        console
            .refresh_until(RUNS, &format!("{row} >> td:has-text('of 40 users')"))
            .await?;
        let row = format!("{RUNS} >> {row}");
        let shown = console.browser.text(&row).await?;
        for part in [
            "running",
            "20 users a minute",
            "at the earliest",
            "Stop",
            "execution",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let link = "document.querySelector('a[href*=\"/states/\"]').target";
        assert_eq!(console.browser.evaluate(link).await?, "_blank");
        console.screenshot("widget-runs", RUNS).await?;

        for (button, answer, state) in [
            ("Stop", "The resync of watched-run is stopped.", "stopped"),
            ("Resume", "The resync of watched-run is resumed.", "running"),
            ("Stop", "The resync of watched-run is stopped.", "stopped"),
        ] {
            console
                .click_and_confirm(&format!("{row} >> a.btn:has-text('{button}')"))
                .await?;
            let answered = console.close_popup().await?;
            assert!(answered.contains(answer), "{answered}");
            let state = format!("tr:has-text('watched-run') >> text='{state}'");
            console.refresh_until(RUNS, &state).await?;
        }
        assert_nothing_personal(&console).await
    });
}

#[test]
fn reason_of_a_tag_is_read_by_anyone_and_a_sync_asked_for_by_operators() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        let publisher = env.publisher("explained");
        let (id, address) = ("email|exp", format!("{ADDRESS}@example.com"));
        let contract = Contract::active("c1").item("sku", "The Daily", "po", "Monthly");
        let entitlement = Entitlement::new("e1", "sku", "The Daily").from_contract("c1");
        let user = marked_user(id).contract(contract).entitlement(entitlement);
        publisher.sesamy.put_user(user);
        publisher.announce_and_wait("new", id, &address).await?;
        // Someone took a tag off by hand.
        let tag = "sesamy_active_subscriber";
        let mut subscriber = publisher.rule.subscriber(&address).unwrap();
        subscriber.tags.retain(|other| other != tag);
        publisher.rule.put_subscriber(subscriber);

        let console = env.console("explained").await?;
        console.open("viewer", "light").await?;
        let look_up = async |user: &str| {
            let field = |name: &str| format!("{USER} >> input[name={name}]");
            console
                .browser
                .fill(&field("vendorId"), publisher.id)
                .await?;
            console.browser.fill(&field("userId"), user).await?;
            let button = format!("{USER} >> text=Why these tags?");
            console.browser.click(&button).await
        };
        look_up("a b").await?;
        console
            .browser
            .see(&format!(
                "{USER} >> text=The user id must not contain blank"
            ))
            .await?;
        look_up(id).await?;
        let row = format!("{USER} >> tr:has-text('{tag}')");
        console.browser.see(&row).await?;
        let shown = console.browser.text(&row).await?;
        assert!(shown.contains("no\tyes"), "{shown}");
        let shown = console.browser.text(USER).await?;
        for part in [
            "A sync would change something.",
            "Last sync: 20",
            "Next wake-up: 2099-01-15",
            "The vendor does not use it: there is no secret",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        console.screenshot("widget-user", USER).await?;
        assert_nothing_personal(&console).await?;

        // A viewer's click is refused by IAM.
        let sync = format!("{USER} >> a.btn:has-text('Sync now')");
        console.click_and_confirm(&sync).await?;
        let refused = console.close_popup().await?;
        assert!(refused.contains("AccessDenied"), "{refused}");
        // A refresh empties the form's result and asks no connector.
        console.refresh(USER).await?;
        assert_eq!(console.browser.count(&row).await?, 0);

        console.open("operator", "light").await?;
        look_up(id).await?;
        console.click_and_confirm(&sync).await?;
        let answered = console.close_popup().await?;
        assert!(answered.contains("is queued for rule"), "{answered}");
        publisher.tag_arrives(&address, tag).await?;
        assert_nothing_personal(&console).await
    });
}

/// Whatever the permissions of the caller.
#[test]
fn function_that_shows_changes_nothing() {
    run_test(async |env| {
        let _turn = PROCESSES.lock().await;
        let publisher = env.publisher("clicked");
        let context = json!({"params": {"widget": "runs"}});
        for action in [
            json!({"do": "stop", "vendorId": publisher.id, "widgetContext": context}),
            json!({"action": "resync", "vendorId": publisher.id}),
        ] {
            let answer = env.stack.invoke(Function::Widgets, &action).await?;
            assert!(answer.as_str().unwrap().contains("<div"), "{answer}");
        }
        // Nor could its role.
        let aws = env.stack.with_role_of(Function::Widgets).await?;
        let status = json!({"action": "status"});
        for (function, may) in [
            (Function::Operator, false),
            (Function::WidgetActions, false),
            (Connector::Rule.function(), false),
        ] {
            let name = env.stack.function_name(function).await?;
            let invoked = aws.invoke(&name, &status).await?;
            assert_eq!(invoked.is_some(), may, "{function}");
        }
        let operator = env.stack.function_name(Function::Operator).await?;
        let ask = format!("{operator}:ask");
        assert!(aws.invoke(&ask, &status).await?.is_some());
        let redrive = json!({"action": "redrive", "connector": "rule"});
        let refused = aws.invoke(&ask, &redrive).await?.unwrap();
        assert_eq!(refused["error"]["code"], "not_allowed", "{refused}");
        Ok(())
    });
}
