//! Rule: what is refused, what is harmful, and what happens to tags and fields.

use serde_json::{Value, json};
use stand_ins::{
    Harm, StandIns,
    rule::{FieldType, FlowCause, RuleSettings, Subscriber},
};

use crate::support::{Client, rule};

const ANNA: &str = "/v2/subscribers/anna%40example.se";
const BY_EMAIL: &str = "identified_by=email";

/// An upsert with a few things changed.
fn upsert(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
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
    change(&mut body);
    body
}

#[tokio::test]
async fn upsert_and_read_back() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let made = client
        .post("/v2/subscribers", upsert(|_| {}))
        .await
        .expect(200);
    assert_eq!(made["message"], "Success");
    assert_eq!(made["suppressed"], json!([]));
    let id = made["subscriber"]["id"].as_u64().unwrap();
    assert_eq!(made["subscriber"]["phone_number"], Value::Null);
    let anna = account.subscriber("ANNA@example.se").unwrap();
    assert_eq!(anna.tags, ["sesamy", "sesamy_active_subscriber"]);
    assert_eq!(anna.fields["Sesamy_ActiveProducts.SKU"], json!(["a", "b"]));

    // Tags add up, fields not named stay, empty values clear.
    let second = upsert(|body| {
        body["tags"] = json!(["sesamy_x"]);
        body["subscribers"]["fields"] = json!([
            {"key": "Sesamy_User.Created", "value": ""},
            {"key": "Sesamy_ActiveProducts.SKU", "value": []},
        ]);
    });
    client.post("/v2/subscribers", second).await.expect(200);
    let anna = account.subscriber("anna@example.se").unwrap();
    assert_eq!(
        anna.tags,
        ["sesamy", "sesamy_active_subscriber", "sesamy_x"]
    );
    assert_eq!(anna.fields.len(), 1);
    assert_eq!(anna.fields["Subscriber.FirstName"], "Anna");

    let read = client.get(&format!("{ANNA}?{BY_EMAIL}")).await.expect(200);
    assert_eq!(read["subscriber"]["id"], id);
    let tags = client
        .get(&format!("{ANNA}/tags?{BY_EMAIL}"))
        .await
        .expect(200);
    assert_eq!(tags["tags"][2]["name"], "sesamy_x");
    let by_id = client
        .get(&format!("/v2/subscribers/{id}/tags?identified_by=id"))
        .await;
    assert_eq!(by_id.expect(200), tags);
    let path = format!("/v2/subscriber/anna%40example.se/fields?{BY_EMAIL}");
    let fields = client.get(&path).await.expect(200);
    assert_eq!(fields["groups"][0]["fields"][0]["value"], "Anna");
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn authentication() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let refused = json!({"error": "NotAuthorized"});
    let anonymous = Client::new(&stand_ins.urls().rule);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("wrong"),
        anonymous
            .clone()
            .with("authorization", "Basic cnVsZS1rZXk6"),
        anonymous.with("authorization", "rule-key"),
    ] {
        assert_eq!(client.get("/v2/tags").await.expect(401), refused);
    }
    client.get("/v2/tags").await.expect(200);
    account.set_api_key("next");
    client.get("/v2/tags").await.expect(401);
    client
        .bearer("next")
        .get("/v2/tags?apikey=next")
        .await
        .expect(200);
    assert_eq!(stand_ins.harms()[0], Harm::SecretExposed);
    let records = serde_json::to_string(&stand_ins.requests()).unwrap();
    assert!(
        !records.contains("rule-key") && !records.contains("next"),
        "{records}"
    );
}

#[tokio::test]
async fn upserts_that_are_refused() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let field = |key: &str, value: Value| json!([{"key": key, "value": value}]);
    type Change = Box<dyn FnOnce(&mut Value)>;
    let set = |path: &'static str, value: Value| -> Change {
        Box::new(move |body| *body.pointer_mut(path).unwrap() = value)
    };
    let add =
        |key: &'static str, value: Value| -> Change { Box::new(move |body| body[key] = value) };
    let put = |key: &'static str, value: Value| -> Change {
        Box::new(move |body| body["subscribers"][key] = value)
    };
    let cases: Vec<(&str, Change, &str)> = vec![
        ("unknown flag", add("async", json!(true)), "async"),
        (
            "flag of another type",
            add("update_on_duplicate", json!("true")),
            "update_on_duplicate",
        ),
        (
            "unknown automation",
            add("automation", json!("send")),
            "automation",
        ),
        (
            "automation true",
            add("automation", json!(true)),
            "automation",
        ),
        (
            "no subscribers",
            add("subscribers", Value::Null),
            "subscribers",
        ),
        ("no email", set("/subscribers", json!({})), "email"),
        ("bad email", put("email", json!("anna")), "email"),
        (
            "bad phone",
            put("phone_number", json!("not a phone")),
            "phone_number",
        ),
        (
            "bad language",
            put("language", json!("Swedish")),
            "language",
        ),
        ("unknown key", put("name", json!("Anna")), "name"),
        ("own tags", put("tags", json!(["x"])), "tags"),
        ("tag of another type", add("tags", json!([true])), "tags.0"),
        ("empty tag", add("tags", json!([" "])), "tags.0"),
        ("long tag", add("tags", json!(["å".repeat(100)])), "tags.0"),
        (
            "fields as a map",
            put("fields", json!({"Sesamy_User.ID": "x"})),
            "fields",
        ),
        (
            "undefined field",
            put("fields", field("Sesamy_User.Nope", json!("x"))),
            "Sesamy_User.Nope",
        ),
        ("no dot", put("fields", field("ID", json!("x"))), "ID"),
        (
            "two dots",
            put("fields", field("a.b.c", json!("x"))),
            "a.b.c",
        ),
        (
            "number",
            put("fields", field("Sesamy_User.ID", json!(1))),
            "Sesamy_User.ID",
        ),
        (
            "null",
            put("fields", field("Sesamy_User.ID", json!(null))),
            "Sesamy_User.ID",
        ),
        (
            "bad date",
            put("fields", field("Sesamy_User.Created", json!("31/1"))),
            "Sesamy_User.Created",
        ),
        (
            "wrong type name",
            put(
                "fields",
                json!([{"key": "Sesamy_User.ID", "value": "x", "type": "date"}]),
            ),
            "Sesamy_User.ID",
        ),
        (
            "unknown type name",
            put(
                "fields",
                json!([{"key": "Sesamy_User.ID", "value": "x", "type": "string"}]),
            ),
            "Sesamy_User.ID",
        ),
        (
            "no value",
            put("fields", json!([{"key": "Sesamy_User.ID"}])),
            "Sesamy_User.ID",
        ),
        (
            "unknown key in a field",
            put(
                "fields",
                json!([{"key": "Sesamy_User.ID", "value": "", "historical": true}]),
            ),
            "historical",
        ),
        (
            "same key twice",
            put(
                "fields",
                json!([{"key": "Sesamy_User.ID", "value": "1"}, {"key": "Sesamy_User.ID", "value": "2"}]),
            ),
            "Sesamy_User.ID",
        ),
        (
            "too much in a group",
            put("fields", field("Sesamy_User.ID", json!("x".repeat(67_000)))),
            "Sesamy_User",
        ),
    ];
    for (name, change, named) in cases {
        let reply = client.post("/v2/subscribers", upsert(change)).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text);
        let error = reply.json();
        assert_eq!(error["error"], "ValidationError", "{name}");
        assert!(error["fields"].get(named).is_some(), "{name}: {error}");
    }
    assert_eq!(account.subscribers(), []);
    let body = upsert(|body| body["tags"] = json!(["12345"]));
    client.post("/v2/subscribers", body).await.expect(404);
    let many = vec![json!({"email": "a@b.se"}); 1_001];
    let body = upsert(|body| body["subscribers"] = many.into());
    client.post("/v2/subscribers", body).await.expect(413);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let body = upsert(|_| {}).to_string();
        let reply = client
            .try_send("POST", "/v2/subscribers", Some(kind), body)
            .await
            .unwrap();
        assert_eq!(reply.status, 400, "{kind}");
    }
    let kind = Some("application/json");
    let reply = client
        .try_send("POST", "/v2/subscribers", kind, "{".into())
        .await
        .unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(account.subscribers(), []);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn harm_is_refused_and_recorded() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let anna = Subscriber::new("anna@example.se")
        .tags(&["vip", "sesamy_old"])
        .field("Custom.Shoe", "38")
        .field("Subscriber.FirstName", "Anna")
        .unsubscribed();
    account.put_subscriber(anna.clone());
    let before = account.subscriber("anna@example.se").unwrap();
    let id = before.id;
    for (method, path, body, harm) in [
        (
            "POST",
            "/v2/subscribers".to_owned(),
            upsert(|b| b["fields_clear"] = json!(true)),
            Harm::ForeignDataChanged,
        ),
        (
            "POST",
            "/v2/subscribers".into(),
            upsert(|b| b["require_opt_in"] = json!(true)),
            Harm::ConsentChanged,
        ),
        (
            "POST",
            "/v2/subscribers".into(),
            upsert(|b| b["subscribers"]["opted_in"] = json!(true)),
            Harm::ConsentChanged,
        ),
        (
            "POST",
            "/v2/subscribers".into(),
            upsert(|b| b["status"] = json!("ACTIVE")),
            Harm::ConsentChanged,
        ),
        (
            "PUT",
            format!("/v2/subscribers/{id}"),
            json!({"status": "ACTIVE"}),
            Harm::ConsentChanged,
        ),
        (
            "PUT",
            format!("/v2/subscribers/{id}"),
            json!({"tags": ["x"]}),
            Harm::Undocumented,
        ),
        (
            "DELETE",
            format!("{ANNA}/tags/clear?{BY_EMAIL}"),
            json!({}),
            Harm::ForeignTagDropped,
        ),
        (
            "DELETE",
            format!("{ANNA}?{BY_EMAIL}"),
            json!({}),
            Harm::Deleted,
        ),
        (
            "DELETE",
            "/v2/tags/vip?identified_by=name".into(),
            json!({}),
            Harm::Deleted,
        ),
    ] {
        stand_ins.clear_violations();
        let reply = client.send(method, &path, body).await;
        assert_eq!(reply.status, 400, "{method} {path}: {}", reply.text);
        assert_eq!(stand_ins.harms(), [harm], "{method} {path}");
        assert_eq!(stand_ins.violations()[0].account.as_deref(), Some("acme"));
        assert_eq!(account.subscriber("anna@example.se").unwrap(), before);
    }
    // These Rule answers as if nothing were wrong.
    stand_ins.clear_violations();
    client
        .call("DELETE", &format!("{ANNA}/tags/vip?{BY_EMAIL}"))
        .await
        .expect(200);
    for fields in [
        json!([{"key": "Custom.Shoe", "value": "39"}]),
        json!([{"key": "Subscriber.FirstName", "value": ""}]),
    ] {
        let body = upsert(|body| body["subscribers"]["fields"] = fields);
        client.post("/v2/subscribers", body).await.expect(200);
    }
    let body = json!({"tags": ["sesamy_active_subscriber"], "automation": "force"});
    client
        .post(&format!("{ANNA}/tags?{BY_EMAIL}"), body)
        .await
        .expect(200);
    client
        .get(&format!("{ANNA}/tags?{BY_EMAIL}&limit=5"))
        .await
        .expect(200);
    assert_eq!(
        stand_ins.harms(),
        [
            Harm::ForeignTagDropped,
            Harm::ForeignDataChanged,
            Harm::ForeignDataChanged,
            Harm::AutomationRestarted,
            Harm::UnknownParameter,
        ]
    );
    assert!(!account.subscriber("anna@example.se").unwrap().opted_in);
}

#[tokio::test]
async fn paths_are_read_strictly() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("a+b@example.se").tags(&["sesamy_x"]));
    for (method, path, status) in [
        (
            "GET",
            "/v2/subscribers/a%2Bb%40example.se?identified_by=email",
            200,
        ),
        (
            "GET",
            "/v2/subscribers/A%2bB%40example.se?identified_by=email",
            200,
        ),
        (
            "GET",
            "/v2/subscribers/a+b%40example.se?identified_by=email",
            400,
        ),
        (
            "GET",
            "/v2/subscribers/a%2Bb@example.se?identified_by=email",
            400,
        ),
        ("GET", "/v2/subscribers/a%2Bb%40example.se", 400),
        (
            "GET",
            "/v2/subscribers/a%2Bb%40example.se?identified_by=mail",
            400,
        ),
        (
            "GET",
            "/v2/subscribers/a%2Bb%40example.se?identified_by=id",
            404,
        ),
        ("GET", "/v2/subscribers/1?identified_by=email", 404),
        (
            "GET",
            "/v2/subscribers/a%2Bb%40example.se/tags/?identified_by=email",
            404,
        ),
        (
            "GET",
            "/v2/subscribers/a%2Bb%40example.se/fields?identified_by=email",
            404,
        ),
        ("GET", "/v3/subscribers/1", 404),
        (
            "DELETE",
            "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x",
            400,
        ),
        (
            "DELETE",
            "/v2/subscribers/a%2Bb%40example.se/tags/no?identified_by=email",
            404,
        ),
        (
            "DELETE",
            "/v2/subscribers/a%2Bb%40example.se/tags/123?identified_by=email",
            404,
        ),
        (
            "DELETE",
            "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x?identified_by=email",
            200,
        ),
        (
            "DELETE",
            "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x?identified_by=email",
            404,
        ),
    ] {
        let reply = client.call(method, path).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
        assert!(
            reply.json()["error"].is_string() || status == 200,
            "{}",
            reply.text
        );
    }
    account.set_settings(RuleSettings {
        absent_tag_is_404: false,
        ..RuleSettings::default()
    });
    let path = "/v2/subscribers/a%2Bb%40example.se/tags/sesamy_x?identified_by=email";
    client.call("DELETE", path).await.expect(200);
}

#[tokio::test]
async fn tags_and_automations() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let tags = format!("{ANNA}/tags?{BY_EMAIL}");
    let event = json!({"tags": ["sesamy_event_checkout-confirm"], "automation": "force"});
    client.post(&tags, event.clone()).await.expect(404);
    client
        .post("/v2/subscribers", upsert(|_| {}))
        .await
        .expect(200);
    for _ in 0..2 {
        client.post(&tags, event.clone()).await.expect(200);
    }
    client
        .post("/v2/subscribers", upsert(|_| {}))
        .await
        .expect(200);
    assert_eq!(
        account.started("anna@example.se", "sesamy_event_checkout-confirm"),
        2
    );
    let causes: Vec<_> = account.flows().into_iter().map(|flow| flow.cause).collect();
    use FlowCause::{Force, NewTag};
    assert_eq!(causes, [NewTag, NewTag, Force, Force]);
    for body in [
        json!({"tags": []}),
        json!({"automation": "force"}),
        json!({"tags": "x"}),
        json!({"tags": ["x"], "automation": false}),
        json!({"tags": ["x"], "sync_subscriber": false}),
        json!(["x"]),
    ] {
        let reply = client.post(&tags, body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
    }
    let quiet = upsert(|body| {
        body["sync_subscribers"] = json!(false);
        body["tags"] = json!(["sesamy_quiet"]);
    });
    client.post("/v2/subscribers", quiet).await.expect(200);
    assert_eq!(account.flows().len(), 4);
    assert_eq!(stand_ins.harms(), [Harm::AutomationRestarted; 2]);
}

#[tokio::test]
async fn a_flow_starts_with_the_fields_of_the_call_that_added_its_tag() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    for id in ["first", "second"] {
        let body = upsert(|body| {
            body["tags"] = json!(["sesamy_event_x"]);
            body["subscribers"]["fields"] = json!([{"key": "Sesamy_User.ID", "value": id}]);
        });
        client.post("/v2/subscribers", body).await.expect(200);
    }
    let flows = account.flows_of("ANNA@example.se");
    assert_eq!(flows.len(), 1, "the second time the tag is not new");
    assert_eq!(flows[0].tag, "sesamy_event_x");
    assert_eq!(flows[0].fields["Sesamy_User.ID"], "first");
    let untag = format!("{ANNA}/tags/sesamy_event_x?{BY_EMAIL}");
    client.call("DELETE", &untag).await.expect(200);
    let again = upsert(|body| body["tags"] = json!(["sesamy_event_x"]));
    client.post("/v2/subscribers", again).await.expect(200);
    let flows = account.flows_of("anna@example.se");
    assert_eq!(flows.len(), 2);
    assert_eq!(flows[1].fields["Sesamy_User.ID"], "second");
    assert_eq!(account.started("anna@example.se", "sesamy_event_x"), 2);
}

#[tokio::test]
async fn any_automation_unblocks_and_nothing_else_does() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let tags = format!("{ANNA}/tags?{BY_EMAIL}");
    let set = |value: Option<Value>| {
        upsert(|body| match value {
            Some(value) => body["automation"] = value,
            None => drop(body.as_object_mut().unwrap().remove("automation")),
        })
    };
    for (path, body, unblocks) in [
        ("/v2/subscribers", set(None), false),
        (tags.as_str(), json!({"tags": ["sesamy_y"]}), false),
        ("/v2/subscribers", set(Some(json!(false))), true),
        ("/v2/subscribers", set(Some(json!("reset"))), true),
        (
            tags.as_str(),
            json!({"tags": ["sesamy_event_x"], "automation": "force"}),
            true,
        ),
    ] {
        account.put_subscriber(Subscriber::new("anna@example.se").blocked());
        stand_ins.clear_violations();
        let flows = account.flows().len();
        client.post(path, body.clone()).await.expect(200);
        let anna = account.subscriber("anna@example.se").unwrap();
        assert_eq!(anna.blocked, !unblocks, "{body}");
        let harms = stand_ins.harms();
        assert_eq!(harms.contains(&Harm::ConsentChanged), unblocks, "{body}");
        assert_eq!(account.flows().len() > flows, unblocks, "{body}");
    }
    account.put_subscriber(Subscriber::new("anna@example.se").blocked());
    let shown = client.get(&format!("{ANNA}?{BY_EMAIL}")).await.expect(200);
    assert_eq!(shown["subscriber"]["status"], "BLOCKED");
}

#[tokio::test]
async fn an_account_may_refuse_an_empty_date_or_list_but_no_empty_text() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.set_settings(RuleSettings {
        empty_clears_text_alone: true,
        ..RuleSettings::default()
    });
    let clear = |keys: &[&str]| {
        let fields = keys.iter().map(|key| json!({"key": key, "value": ""}));
        let fields: Value = fields.collect();
        upsert(|body| body["subscribers"]["fields"] = fields)
    };
    let typed = ["Sesamy_User.Created", "Sesamy_ActiveProducts.SKU"];
    let all = [&typed[..], &["Sesamy_User.ID"]].concat();
    let error = client
        .post("/v2/subscribers", clear(&all))
        .await
        .expect(400);
    let named: Vec<_> = error["fields"].as_object().unwrap().keys().collect();
    assert_eq!(named, [typed[1], typed[0]]);
    assert_eq!(account.subscribers(), []);
    client
        .post("/v2/subscribers", clear(&["Sesamy_User.ID"]))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_group_of_ours_is_cleared_by_the_subscribers_number() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let anna = Subscriber::new("anna@example.se")
        .field("Sesamy_User.ID", "1")
        .field("Sesamy_User.Created", "2025-01-31")
        .field("Sesamy_ActiveProducts.SKU", json!(["a"]))
        .field("Shop.Size", "38");
    account.put_subscriber(anna);
    let id = account.subscriber("anna@example.se").unwrap().id;
    let path = |id: &str, group: &str| format!("/v3/custom-field-data/{id}/group/{group}");
    let cleared = client
        .call("DELETE", &path(&id.to_string(), "Sesamy_User"))
        .await;
    assert_eq!((cleared.status, cleared.text.as_str()), (204, ""));
    let fields = account.subscriber("anna@example.se").unwrap().fields;
    let left: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(left, ["Sesamy_ActiveProducts.SKU", "Shop.Size"]);
    assert_eq!(stand_ins.harms(), []);
    for (method, id, group, status) in [
        ("DELETE", id.to_string(), "Sesamy_User", 404),
        ("DELETE", "1".to_owned(), "Sesamy_ActiveProducts", 404),
        (
            "DELETE",
            "anna%40example.se".to_owned(),
            "Sesamy_ActiveProducts",
            404,
        ),
        ("GET", id.to_string(), "Sesamy_ActiveProducts", 404),
        ("DELETE", id.to_string(), "Shop", 400),
    ] {
        let reply = client.call(method, &path(&id, group)).await;
        assert_eq!(reply.status, status, "{method} {id} {group}");
    }
    assert_eq!(stand_ins.harms(), [Harm::ForeignDataChanged]);
    assert_eq!(
        account.subscriber("anna@example.se").unwrap().fields.len(),
        2
    );
}

#[tokio::test]
async fn tag_case_folds_only_when_told() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("anna@example.se").tags(&["sesamy_Premium"]));
    let add = json!({"tags": ["sesamy_premium"]});
    account.set_settings(RuleSettings {
        fold_tag_case: true,
        ..RuleSettings::default()
    });
    client
        .post(&format!("{ANNA}/tags?{BY_EMAIL}"), add.clone())
        .await
        .expect(200);
    assert_eq!(
        account.subscriber("anna@example.se").unwrap().tags,
        ["sesamy_Premium"]
    );
    account.set_settings(RuleSettings::default());
    client
        .post(&format!("{ANNA}/tags?{BY_EMAIL}"), add)
        .await
        .expect(200);
    let tags = account.subscriber("anna@example.se").unwrap().tags;
    assert_eq!(tags, ["sesamy_Premium", "sesamy_premium"]);
}

#[tokio::test]
async fn phones_match_other_people() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("bo@example.se").phone("+46701234567"));
    let shared = upsert(|body| body["subscribers"]["phone_number"] = json!("070-123 45 67"));
    client.post("/v2/subscribers", shared).await.expect(200);
    assert_eq!(stand_ins.harms(), [Harm::WrongContact]);
    let bo = account.subscriber("bo@example.se").unwrap();
    assert_eq!(bo.tags, ["sesamy", "sesamy_active_subscriber"]);
    assert!(account.subscriber("anna@example.se").is_none());

    let made = client
        .post("/v2/subscribers", upsert(|_| {}))
        .await
        .expect(200);
    let path = format!("/v2/subscribers/{}", made["subscriber"]["id"]);
    for (body, status) in [
        (json!({"phone_number": "+46701234567"}), 409),
        (json!({"phone_number": "x"}), 400),
        (json!({"phone_number": null}), 400),
        (json!({"email": "bo@example.se"}), 409),
        (json!({}), 400),
        (json!({"phone_number": "0707654321"}), 200),
    ] {
        let reply = client.send("PUT", &path, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    let anna = account.subscriber("anna@example.se").unwrap();
    assert_eq!(anna.phone_number.as_deref(), Some("+46707654321"));
    client
        .send("PUT", ANNA, json!({"language": "sv"}))
        .await
        .expect(400);
    client
        .send("PUT", "/v2/subscribers/1", json!({"language": "sv"}))
        .await
        .expect(404);
}

#[tokio::test]
async fn duplicates_and_lists() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let plain = upsert(|body| {
        body.as_object_mut().unwrap().remove("update_on_duplicate");
    });
    client
        .post("/v2/subscribers", plain.clone())
        .await
        .expect(200);
    let error = client.post("/v2/subscribers", plain).await.expect(409);
    assert!(error["error"].is_string() && error["message"].is_string());
    let list = upsert(|body| {
        body["subscribers"] = json!([{"email": "anna@example.se"}, {"email": "bo@example.se"}]);
    });
    let counts = client.post("/v2/subscribers", list).await.expect(200);
    assert_eq!(counts.get("subscriber"), None);
    assert_eq!(counts["subscribers_created"], 1);
    assert_eq!(counts["subscribers_updated"], 1);
    assert_eq!(account.subscribers().len(), 2);
}

#[tokio::test]
async fn definitions() {
    let stand_ins = StandIns::start().await.unwrap();
    let account = stand_ins.rule().add_account("acme", "rule-key");
    let client = Client::new(&stand_ins.urls().rule).bearer("rule-key");
    let fields = json!({"fields": [
        {"key": "Sesamy_User.ID", "type": "text"},
        {"key": "Sesamy_User.Created", "type": "date"},
        {"key": "Custom.Kind", "type": "single"},
    ]});
    for _ in 0..2 {
        client
            .post("/v2/customizations", fields.clone())
            .await
            .expect(200);
    }
    assert_eq!(account.definitions().len(), 3);
    assert_eq!(
        account.definitions()["Sesamy_User.Created"],
        FieldType::Date
    );
    for body in [
        json!({"fields": []}),
        json!({"fields": [{"key": "ID", "type": "text"}]}),
        json!({"fields": [{"key": "A.B", "type": "number"}]}),
        json!({"fields": [{"key": "A.B", "type": "text", "name": "x"}]}),
        json!({"fields": [{"key": "Sesamy_User.ID", "type": "date"}]}),
        json!({"groups": []}),
    ] {
        let reply = client.post("/v2/customizations", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
    }
    let groups = client.get("/v2/customizations?limit=100").await.expect(200);
    assert_eq!(groups["groups"][0]["name"], "Sesamy_User");
    assert_eq!(groups["groups"][0]["fields"][1]["type"], "date");
    let one = client
        .get("/v2/customizations/Sesamy_User")
        .await
        .expect(200);
    assert_eq!(one, groups["groups"][0]);
    client.get("/v2/customizations/Nope").await.expect(404);
}

#[tokio::test]
async fn tag_pages() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    let names: Vec<_> = (0..5).map(|n| format!("tag-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    account.put_subscriber(Subscriber::new("anna@example.se").tags(&names));
    let error = client.get("/v2/tags?limit=101").await.expect(400);
    let expected = json!({"error": "LimitExceed", "message": "Limit can't exceed 100."});
    assert_eq!(error, expected);
    let mut path = "/v2/tags?limit=2".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = client.get(&path).await.expect(200);
        sizes.push(page["tags"].as_array().unwrap().len());
        match page["meta"]["next"].as_str() {
            Some(next) => {
                path = next
                    .strip_prefix(&stand_ins.urls().rule)
                    .unwrap()
                    .to_owned()
            }
            None => break,
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    let tag = client
        .get("/v2/tags/tag-1?identified_by=name&with_count=true")
        .await
        .expect(200);
    assert_eq!(tag["count"], 1);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn too_many_errors_block_the_key() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.set_settings(RuleSettings {
        error_percent_limit: Some(49),
        ..RuleSettings::default()
    });
    for number in 0..19 {
        let path = if number % 2 == 0 {
            "/v2/tags"
        } else {
            "/v2/nothing"
        };
        client.get(path).await;
    }
    assert_eq!(account.error_percent(), 47);
    client.get("/v2/nothing").await.expect(404);
    let blocked = client.get("/v2/tags").await;
    assert_eq!(blocked.status, 429);
    let moment = blocked.header("retry-after").unwrap();
    assert_eq!(
        blocked.text,
        format!("Too Many Requests. You can continue at {moment}.")
    );
}
