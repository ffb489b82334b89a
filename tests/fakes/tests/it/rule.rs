//! The fake of Rule: rejected and harmful requests, tags, fields and flows.

use fakes::{
    Fakes, ViolationKind,
    rule::{FlowCause, RuleSettings, Subscriber},
};
use serde_json::{Value, json};

use crate::support::{Client, FORM, merged, rule};

const UPSERT: &str = "/v2/subscribers";
const ANNA: &str = "/v2/subscribers/anna%40example.se?identified_by=email";
const TAGS: &str = "/v2/subscribers/anna%40example.se/tags?identified_by=email";
const FIELDS: &str = "/v2/customizations";

/// An upsert of Anna with some keys changed.
fn upsert(changes: Value) -> Value {
    let body = json!({
        "update_on_duplicate": true,
        "automation": false,
        "tags": ["sesamy", "sesamy_active_subscriber"],
        "subscribers": {
            "email": "anna@example.se",
            "fields": [
                {"key": "Subscriber.FirstName", "value": "Anna"},
                {"key": "Sesamy_User.Created", "value": "2025-01-31", "type": "date"},
                {"key": "Sesamy_ActiveProducts.SKU", "value": ["a", "b"], "type": "multiple"},
            ],
        },
    });
    merged(body, changes)
}

/// An upsert with some keys of the subscriber changed.
fn subscriber(changes: Value) -> Value {
    let body = upsert(json!({}));
    upsert(json!({"subscribers": merged(body["subscribers"].clone(), changes)}))
}

/// An upsert with one field.
fn field(field: Value) -> Value {
    subscriber(json!({"fields": [field]}))
}

fn value(key: &str, value: impl Into<Value>) -> Value {
    field(json!({"key": key, "value": value.into()}))
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let id = "Sesamy_User.ID";
    let twice = json!([{"key": id, "value": "1"}, {"key": id, "value": "2"}]);
    let cases = cases! {
        POST UPSERT, json!([]) => 400 "object";
        POST UPSERT, upsert(json!({"async": true})) => 400 "async";
        POST UPSERT, upsert(json!({"update_on_duplicate": "true"})) => 400 "update_on_duplicate";
        POST UPSERT, upsert(json!({"automation": "send"})) => 400 "automation";
        POST UPSERT, upsert(json!({"automation": true})) => 400 "automation";
        POST UPSERT, upsert(json!({"tags": [true]})) => 400 "tags.0";
        POST UPSERT, upsert(json!({"tags": [" "]})) => 400 "tags.0";
        POST UPSERT, upsert(json!({"tags": ["å".repeat(100)]})) => 400 "tags.0";
        POST UPSERT, upsert(json!({"tags": ["12345"]})) => 404 "no tag with the id";
        POST UPSERT, upsert(json!({"subscribers": null})) => 400 "subscribers";
        POST UPSERT, upsert(json!({"subscribers": {}})) => 400 "email: is required";
        POST UPSERT, upsert(json!({"subscribers": vec![json!({}); 1_001]})) => 413;
        POST UPSERT, subscriber(json!({"email": "anna"})) => 400 "email";
        POST UPSERT, subscriber(json!({"phone_number": "not a phone"})) => 400 "phone_number";
        POST UPSERT, subscriber(json!({"language": "Swedish"})) => 400 "language";
        POST UPSERT, subscriber(json!({"name": "Anna"})) => 400 "name";
        POST UPSERT, subscriber(json!({"tags": ["x"]})) => 400 "tags: unknown field";
        POST UPSERT, subscriber(json!({"fields": {id: "x"}})) => 400 "fields";
        POST UPSERT, subscriber(json!({"fields": twice})) => 400 "is given twice";
        POST UPSERT, value("Sesamy_User.Nope", "x") => 400 "Sesamy_User.Nope";
        POST UPSERT, value("ID", "x") => 400 "ID";
        POST UPSERT, value("a.b.c", "x") => 400 "a.b.c";
        POST UPSERT, value(id, 1) => 400 "Sesamy_User.ID";
        POST UPSERT, value(id, Value::Null) => 400 "Sesamy_User.ID";
        POST UPSERT, value("Sesamy_User.Created", "31/1") => 400 "Sesamy_User.Created";
        POST UPSERT, value(id, "x".repeat(67_000)) => 400 "65 KiB";
        POST UPSERT, field(json!({"key": id})) => 400 "value is required";
        POST UPSERT, field(json!({"key": id, "value": "x", "type": "date"})) => 400 "Sesamy_User.ID";
        POST UPSERT, field(json!({"key": id, "value": "x", "type": "string"})) => 400 "unknown type";
        POST UPSERT, field(json!({"key": id, "value": "", "historical": true})) => 400 "historical";

        POST TAGS, json!({"tags": ["sesamy_x"]}) => 404 "SubscriberNotFound";

        POST FIELDS, json!({"fields": []}) => 400 "fields";
        POST FIELDS, json!({"fields": [{"key": "ID", "type": "text"}]}) => 400 "fields.0.key";
        POST FIELDS, json!({"fields": [{"key": "A.B", "type": "number"}]}) => 400 "unknown type";
        POST FIELDS, json!({"fields": [{"key": "A.B", "type": "text", "name": "x"}]}) => 400 "name";
        POST FIELDS, json!({"fields": [{"key": id, "type": "date"}]}) => 400 "is defined as text";
        POST FIELDS, json!({"groups": []}) => 400 "groups";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.subscribers(), []);
    let body = upsert(json!({})).to_string();
    for (kind, body) in [
        ("text/plain", body.as_str()),
        (FORM, body.as_str()),
        ("application/json", "{"),
    ] {
        let reply = client.send_as(kind, "POST", UPSERT, body).await;
        assert_eq!(reply.status, 400, "{kind}");
    }
    assert_eq!(account.subscribers(), []);
}

#[tokio::test]
async fn existing_subscribers_are_protected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.se")
            .tags(&["vip", "sesamy_old"])
            .field("Custom.Shoe", "38")
            .field("Subscriber.FirstName", "Anna")
            .unsubscribed(),
    );
    let before = account.subscriber("anna@example.se").unwrap();
    let put = format!("/v2/subscribers/{}", before.id);
    let rejected = cases! {
        POST UPSERT, upsert(json!({"fields_clear": true})) => 400 [ForeignDataChanged];
        POST UPSERT, upsert(json!({"require_opt_in": true})) => 400 [ConsentChanged];
        POST UPSERT, upsert(json!({"status": "ACTIVE"})) => 400 [ConsentChanged];
        POST UPSERT, upsert(json!({"update_on_duplicate": false})) => 409 "exists already";
        POST UPSERT, subscriber(json!({"opted_in": true})) => 400 [ConsentChanged];
        POST TAGS, json!({"tags": []}) => 400;
        POST TAGS, json!({"automation": "force"}) => 400;
        POST TAGS, json!({"tags": "x"}) => 400;
        POST TAGS, json!({"tags": ["x"], "automation": false}) => 400;
        POST TAGS, json!({"tags": ["x"], "sync_subscriber": false}) => 400;
        POST TAGS, json!(["x"]) => 400;
        PUT put.as_str(), json!({"status": "ACTIVE"}) => 400 [ConsentChanged];
        PUT put.as_str(), json!({"tags": ["x"]}) => 400 [Undocumented];
        PUT put.as_str(), json!({"phone_number": "x"}) => 400;
        PUT put.as_str(), json!({"phone_number": null}) => 400;
        PUT put.as_str(), json!({}) => 400 "changes nothing";
        PUT ANNA, json!({"language": "sv"}) => 400;
        PUT "/v2/subscribers/1", json!({"language": "sv"}) => 404;
        DELETE "/v2/subscribers/anna%40example.se/tags/clear?identified_by=email" =>
            400 [ForeignTagDropped];
        DELETE ANNA => 400 [Deleted];
        DELETE "/v2/tags/vip?identified_by=name" => 400 [Deleted];
    };
    client.check(&fakes, rejected).await;
    assert_eq!(account.subscriber("anna@example.se").unwrap(), before);
    let force = json!({"tags": ["sesamy_active_subscriber"], "automation": "force"});
    let reported = cases! {
        DELETE "/v2/subscribers/anna%40example.se/tags/vip?identified_by=email" =>
            200 [ForeignTagDropped];
        POST UPSERT, value("Custom.Shoe", "39") => 200 [ForeignDataChanged];
        POST UPSERT, value("Subscriber.FirstName", "") => 200 [ForeignDataChanged];
        POST TAGS, force => 200 [AutomationRestarted];
        GET format!("{TAGS}&limit=5") => 200 [UnknownParameter];
        GET "/v2/tags?apikey=rule-key" => 200 [SecretExposed UnknownParameter];
    };
    client.check(&fakes, reported).await;
    assert!(!account.subscriber("anna@example.se").unwrap().opted_in);
}

#[tokio::test]
async fn paths_are_read_strictly() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(Subscriber::new("a+b@example.se").tags(&["sesamy_x"]));
    let tag = "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x?identified_by=email";
    let cases = cases! {
        GET "/v2/subscribers/a%2Bb%40example.se?identified_by=email" => 200;
        GET "/v2/subscribers/A%2bB%40example.se?identified_by=email" => 200;
        GET "/v2/subscribers/a+b%40example.se?identified_by=email" => 400 "percent-encoded";
        GET "/v2/subscribers/a%2Bb@example.se?identified_by=email" => 400 "percent-encoded";
        GET "/v2/subscribers/a%2Bb%40example.se" => 400 "identified_by";
        GET "/v2/subscribers/a%2Bb%40example.se?identified_by=mail" => 400 "identified_by";
        GET "/v2/subscribers/a%2Bb%40example.se?identified_by=id" => 404;
        GET "/v2/subscribers/1?identified_by=email" => 404;
        GET "/v2/subscribers/a%2Bb%40example.se/tags/?identified_by=email" => 404;
        GET "/v2/subscribers/a%2Bb%40example.se/fields?identified_by=email" => 404;
        GET "/v3/subscribers/1" => 404;
        DELETE "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x" => 400 "identified_by";
        DELETE "/v2/subscribers/a%2Bb%40example.se/tags/no?identified_by=email" => 404;
        DELETE "/v2/subscribers/a%2Bb%40example.se/tags/123?identified_by=email" => 404;
        DELETE tag => 200;
        DELETE tag => 404 "TagNotFound";
    };
    client.check(&fakes, cases).await;
    account.set_settings(RuleSettings {
        absent_tag_is_404: false,
        ..RuleSettings::default()
    });
    client.call("DELETE", tag).await.expect(200);
}

#[tokio::test]
async fn requests_need_the_current_key() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let anonymous = Client::new(&fakes.urls().rule);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("wrong"),
        anonymous
            .clone()
            .with("authorization", "Basic cnVsZS1rZXk6"),
        anonymous.with("authorization", "rule-key"),
    ] {
        let error = client.get("/v2/tags").await.expect(401);
        assert_eq!(error, json!({"error": "NotAuthorized"}));
    }
    client.get("/v2/tags").await.expect(200);
    account.set_api_key("next");
    client.get("/v2/tags").await.expect(401);
    let records = serde_json::to_string(&fakes.requests()).unwrap();
    assert!(!records.contains("rule-key"), "{records}");
}

#[tokio::test]
async fn upserts_add_tags_and_keep_fields_that_are_not_named() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let made = client.post(UPSERT, upsert(json!({}))).await.expect(200);
    assert_eq!(made["suppressed"], json!([]));
    assert_eq!(made["subscriber"]["phone_number"], Value::Null);
    let mut body = subscriber(json!({"fields": [
        {"key": "Sesamy_User.Created", "value": ""},
        {"key": "Sesamy_ActiveProducts.SKU", "value": []},
    ]}));
    body["tags"] = json!(["sesamy_x"]);
    client.post(UPSERT, body).await.expect(200);
    let anna = account.subscriber("ANNA@example.se").unwrap();
    let tags = ["sesamy", "sesamy_active_subscriber", "sesamy_x"];
    assert_eq!(anna.tags, tags);
    let fields: Vec<_> = anna.fields.into_iter().collect();
    assert_eq!(fields, [("Subscriber.FirstName".into(), json!("Anna"))]);
    let by_email = client.get(TAGS).await.expect(200);
    assert_eq!(by_email["tags"][2]["name"], "sesamy_x");
    let id = &made["subscriber"]["id"];
    let path = format!("/v2/subscribers/{id}/tags?identified_by=id");
    assert_eq!(client.get(&path).await.expect(200), by_email);
    let path = "/v2/subscriber/anna%40example.se/fields?identified_by=email";
    let fields = client.get(path).await.expect(200);
    assert_eq!(fields["groups"][0]["fields"][0]["value"], "Anna");

    let list = json!([{"email": "anna@example.se"}, {"email": "bo@example.se"}]);
    let list = upsert(json!({"subscribers": list}));
    let counts = client.post(UPSERT, list).await.expect(200);
    assert_eq!(counts.get("subscriber"), None);
    assert_eq!(counts["subscribers_created"], 1);
    assert_eq!(counts["subscribers_updated"], 1);
    assert_eq!(fakes.violation_kinds(), []);
}

#[tokio::test]
async fn flows_start_for_new_tags_and_on_force() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    client.post(UPSERT, upsert(json!({}))).await.expect(200);
    let event = json!({"tags": ["sesamy_event_x"], "automation": "force"});
    for _ in 0..2 {
        client.post(TAGS, event.clone()).await.expect(200);
    }
    client.post(UPSERT, upsert(json!({}))).await.expect(200);
    let quiet = upsert(json!({"sync_subscribers": false, "tags": ["sesamy_quiet"]}));
    client.post(UPSERT, quiet).await.expect(200);
    assert_eq!(account.started("anna@example.se", "sesamy_event_x"), 2);
    let causes: Vec<_> = account.flows().into_iter().map(|flow| flow.cause).collect();
    use FlowCause::{Force, NewTag};
    assert_eq!(causes, [NewTag, NewTag, Force, Force]);
    let restarted = [ViolationKind::AutomationRestarted; 2];
    assert_eq!(fakes.violation_kinds(), restarted);
}

#[tokio::test]
async fn flows_have_the_fields_of_the_call_that_added_the_tag() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let mut body = json!(null);
    for id in ["first", "second"] {
        body = value("Sesamy_User.ID", id);
        body["tags"] = json!(["sesamy_event_x"]);
        client.post(UPSERT, body.clone()).await.expect(200);
    }
    let untag = "/v2/subscribers/anna%40example.se/tags/sesamy_event_x?identified_by=email";
    client.call("DELETE", untag).await.expect(200);
    client.post(UPSERT, body).await.expect(200);
    let flows = account.flows_of("ANNA@example.se").into_iter();
    let ids: Vec<_> = flows.map(|f| f.fields["Sesamy_User.ID"].clone()).collect();
    assert_eq!(ids, ["first", "second"]);
}

#[tokio::test]
async fn only_automation_unblocks() {
    struct Case {
        path: &'static str,
        body: Value,
        unblocks: bool,
    }
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let mut unset = upsert(json!({}));
    unset.as_object_mut().unwrap().remove("automation");
    let case = |path, body, unblocks| Case {
        path,
        body,
        unblocks,
    };
    let event = json!({"tags": ["sesamy_event_x"], "automation": "force"});
    for case in [
        case(UPSERT, unset, false),
        case(TAGS, json!({"tags": ["sesamy_y"]}), false),
        case(UPSERT, upsert(json!({"automation": false})), true),
        case(UPSERT, upsert(json!({"automation": "reset"})), true),
        case(TAGS, event, true),
    ] {
        let (body, unblocks) = (case.body, case.unblocks);
        account.put_subscriber(Subscriber::new("anna@example.se").blocked());
        let shown = client.get(ANNA).await.expect(200);
        assert_eq!(shown["subscriber"]["status"], "BLOCKED");
        fakes.clear_violations();
        let flows = account.flows().len();
        client.post(case.path, body.clone()).await.expect(200);
        let anna = account.subscriber("anna@example.se").unwrap();
        assert_eq!(anna.blocked, !unblocks, "{body}");
        let kinds = fakes.violation_kinds();
        let reported = kinds.contains(&ViolationKind::ConsentChanged);
        assert_eq!(reported, unblocks, "{body}");
        assert_eq!(account.flows().len() > flows, unblocks, "{body}");
    }
}

#[tokio::test]
async fn empty_values_can_be_limited_to_text_fields() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.set_settings(RuleSettings {
        empty_clears_text_alone: true,
        ..RuleSettings::default()
    });
    let cases = cases! {
        POST UPSERT, value("Sesamy_User.Created", "") => 400 "Sesamy_User.Created";
        POST UPSERT, value("Sesamy_ActiveProducts.SKU", "") => 400 "Sesamy_ActiveProducts.SKU";
        POST UPSERT, value("Sesamy_User.ID", "") => 200;
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn groups_are_cleared_by_subscriber_id_if_they_are_ours() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.se")
            .field("Sesamy_User.ID", "1")
            .field("Sesamy_User.Created", "2025-01-31")
            .field("Sesamy_ActiveProducts.SKU", json!(["a"]))
            .field("Shop.Size", "38"),
    );
    let id = account.subscriber("anna@example.se").unwrap().id;
    let path = |group| format!("/v3/custom-field-data/{id}/group/{group}");
    let cases = cases! {
        DELETE path("Sesamy_User") => 204;
        DELETE path("Sesamy_User") => 404 "DataNotFound";
        DELETE "/v3/custom-field-data/1/group/Sesamy_ActiveProducts" => 404;
        DELETE "/v3/custom-field-data/anna%40example.se/group/Sesamy_ActiveProducts" => 404;
        GET path("Sesamy_ActiveProducts") => 404;
        DELETE path("Shop") => 400 [ForeignDataChanged];
    };
    client.check(&fakes, cases).await;
    let fields = account.subscriber("anna@example.se").unwrap().fields;
    let keys: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(keys, ["Sesamy_ActiveProducts.SKU", "Shop.Size"]);
}

#[tokio::test]
async fn tag_case_is_folded_only_on_request() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(Subscriber::new("anna@example.se").tags(&["sesamy_Premium"]));
    let folded = vec!["sesamy_Premium"];
    let both = vec!["sesamy_Premium", "sesamy_premium"];
    for (fold_tag_case, expected) in [(true, folded), (false, both)] {
        account.set_settings(RuleSettings {
            fold_tag_case,
            ..RuleSettings::default()
        });
        let add = json!({"tags": ["sesamy_premium"]});
        client.post(TAGS, add).await.expect(200);
        let anna = account.subscriber("anna@example.se").unwrap();
        assert_eq!(anna.tags, expected);
    }
}

#[tokio::test]
async fn phone_number_can_match_another_subscriber() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(Subscriber::new("bo@example.se").phone("+46701234567"));
    let shared = subscriber(json!({"phone_number": "070-123 45 67"}));
    client.post(UPSERT, shared).await.expect(200);
    assert_eq!(fakes.violation_kinds(), [ViolationKind::WrongContact]);
    let bo = account.subscriber("bo@example.se").unwrap();
    assert_eq!(bo.tags, ["sesamy", "sesamy_active_subscriber"]);
    assert!(account.subscriber("anna@example.se").is_none());

    let made = client.post(UPSERT, upsert(json!({}))).await.expect(200);
    let path = format!("/v2/subscribers/{}", made["subscriber"]["id"]);
    let cases = cases! {
        PUT path.as_str(), json!({"phone_number": "+46701234567"}) => 409;
        PUT path.as_str(), json!({"email": "bo@example.se"}) => 409;
        PUT path.as_str(), json!({"phone_number": "0707654321"}) => 200;
    };
    client.check(&fakes, cases).await;
    let anna = account.subscriber("anna@example.se").unwrap();
    assert_eq!(anna.phone_number.as_deref(), Some("+46707654321"));
}

#[tokio::test]
async fn moved_subscribers_keep_everything_but_the_address() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.se")
            .tags(&["vip", "sesamy"])
            .field("Custom.Shoe", "38")
            .phone("+46701234567")
            .blocked()
            .unsubscribed(),
    );
    account.put_subscriber(Subscriber::new("bo@example.se"));
    let before = account.subscriber("anna@example.se").unwrap();
    let path = format!("/v2/subscribers/{}", before.id);
    let to = |email: &str| json!({"email": email});
    let cases = cases! {
        PUT path.as_str(), to("bo@example.se") => 409 "DuplicateSubscriber";
        PUT path.as_str(), to("BO@example.se") => 409 "DuplicateSubscriber";
        PUT path.as_str(), to("anna") => 400 "email: is not an e-mail";
        PUT path.as_str(), json!({"email": null}) => 400 "email: must be a string";
        PUT format!("{path}?identified_by=email"), to("new@example.se") => 400 "numeric id";
        PUT ANNA, to("new@example.se") => 400 "numeric id";
        PUT "/v2/subscribers/1", to("new@example.se") => 404 "SubscriberNotFound";
        PUT path.as_str(), to("ANNA@example.se") => 200 "anna@example.se";
        PUT format!("{path}?identified_by=id"), to("other@example.se") => 200;
        PUT path.as_str(), to("new@example.se") => 200 "new@example.se";
        GET ANNA => 404;
        GET "/v2/subscribers/other%40example.se?identified_by=email" => 404;
        GET "/v2/subscribers/new%40example.se?identified_by=email" => 200 "BLOCKED";
    };
    client.check(&fakes, cases).await;
    let after = account.subscriber_by_id(before.id).unwrap();
    let expected = Subscriber {
        email: "new@example.se".into(),
        updated_at: after.updated_at,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(account.subscribers().len(), 2);
    assert_eq!(account.flows(), []);
}

#[tokio::test]
async fn refused_moves_change_nothing() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.set_settings(RuleSettings {
        refuse_moves: true,
        ..RuleSettings::default()
    });
    account.put_subscriber(Subscriber::new("anna@example.se"));
    let before = account.subscribers();
    let path = format!("/v2/subscribers/{}", before[0].id);
    let new = json!({"email": "new@example.se", "language": "sv"});
    let cases = cases! {
        PUT path.as_str(), new => 400 "email: cannot be changed";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.subscribers(), before);
    let same = json!({"email": "anna@example.se", "language": "sv"});
    client.send("PUT", &path, same).await.expect(200);
}

#[tokio::test]
async fn subscribers_are_read_and_untagged_by_id() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.se")
            .tags(&["sesamy_x"])
            .field("Sesamy_User.ID", "email|1"),
    );
    let id = account.subscriber("anna@example.se").unwrap().id;
    let by_id = "identified_by=id";
    let cases = cases! {
        GET format!("/v2/subscribers/{id}?{by_id}") => 200 "anna@example.se";
        GET format!("/v2/subscribers/{id}/tags?{by_id}") => 200 "sesamy_x";
        GET format!("/v2/subscriber/{id}/fields?{by_id}") => 200 "email|1";
        DELETE format!("/v2/subscribers/{id}/tags/sesamy_x?{by_id}") => 200;
        DELETE format!("/v2/subscribers/{id}/tags/sesamy_x?{by_id}") => 404 "TagNotFound";

        GET format!("/v2/subscribers/{id}") => 400 "identified_by is required";
        GET format!("/v2/subscribers/{id}/tags") => 400 "identified_by is required";
        GET format!("/v2/subscriber/{id}/fields") => 400 "identified_by is required";
        GET format!("/v2/subscribers/{id}?identified_by=ID") => 400 "identified_by";
        GET format!("/v2/subscribers/{id}/tags?identified_by=email") => 404 "SubscriberNotFound";
        GET format!("/v2/subscribers/1?{by_id}") => 404 "SubscriberNotFound";
        GET format!("/v2/subscribers/1/tags?{by_id}") => 404 "SubscriberNotFound";
        GET format!("/v2/subscriber/1/fields?{by_id}") => 404 "SubscriberNotFound";
        DELETE format!("/v2/subscribers/1/tags/sesamy_x?{by_id}") => 404 "SubscriberNotFound";
    };
    client.check(&fakes, cases).await;
    assert!(account.subscriber_by_id(id).unwrap().tags.is_empty());
}

#[tokio::test]
async fn publishers_move_and_remove_subscribers() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.put_subscriber(Subscriber::new("anna@example.se"));
    let mut anna = account.subscriber("anna@example.se").unwrap();
    anna.email = "new@example.se".into();
    account.put_subscriber(anna.clone());
    assert_eq!(account.subscriber("anna@example.se"), None);
    assert_eq!(account.subscribers(), [anna.clone()]);
    account.remove_subscriber("NEW@example.se");
    let path = format!("/v2/subscribers/{}?identified_by=id", anna.id);
    client.get(&path).await.expect(404);
    assert_eq!(account.subscriber("new@example.se"), None);
    let taken = Subscriber {
        id: anna.id + 1,
        ..anna
    };
    account.put_subscriber(taken.clone());
    account.put_subscriber(Subscriber::new("bo@example.se"));
    assert_eq!(account.subscriber_by_id(taken.id), Some(taken));
}

#[tokio::test]
async fn lists_of_tags_have_pages() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    let tags = ["a", "b", "c", "d", "e"];
    account.put_subscriber(Subscriber::new("anna@example.se").tags(&tags));
    let error = client.get("/v2/tags?limit=101").await.expect(400);
    let expected = json!({"error": "LimitExceed", "message": "Limit can't exceed 100."});
    assert_eq!(error, expected);
    let mut path = "/v2/tags?limit=2".to_owned();
    for size in [2, 2, 1] {
        let page = client.get(&path).await.expect(200);
        assert_eq!(page["tags"].as_array().unwrap().len(), size);
        let next = page["meta"]["next"].as_str().unwrap_or_default();
        path = next.replace(&fakes.urls().rule, "");
    }
    assert_eq!(path, "");
}

#[tokio::test]
async fn too_many_errors_block_the_key() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule(&fakes);
    account.set_settings(RuleSettings {
        error_percent_limit: Some(49),
        ..RuleSettings::default()
    });
    for path in ["/v2/tags", "/v2/nothing"].repeat(10) {
        assert_ne!(client.get(path).await.status, 429);
    }
    let blocked = client.get("/v2/tags").await;
    assert_eq!(blocked.status, 429);
    let moment = blocked.header("retry-after").unwrap();
    let text = format!("Too Many Requests. You can continue at {moment}.");
    assert_eq!(blocked.text, text);
}
