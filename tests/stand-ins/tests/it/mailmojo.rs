//! Mailmojo: paths, scopes, fields, replaced tags and consent.

use serde_json::{Value, json};
use stand_ins::{
    Harm, StandIns,
    mailmojo::{
        Contact, FieldKind, FieldsAddress, MailmojoAccount, MailmojoSettings, Status, Writing,
    },
};

use crate::support::Client;

const ANNA: &str = "/v1/contacts/anna%40example.no/";
const LIST: &str = "/v1/lists/42/subscribers/";

fn mailmojo(stand_ins: &StandIns) -> (MailmojoAccount, Client) {
    let account = stand_ins.mailmojo().add_account("acme", "token");
    account.add_list(42, "Readers");
    account.define("Sesamy User ID", FieldKind::Text);
    account.define("Active Subscriptions", FieldKind::Number);
    account.define("Will Cancel At", FieldKind::Date);
    account.define("Has Active Subscription", FieldKind::Boolean);
    (
        account,
        Client::new(&stand_ins.urls().mailmojo).bearer("token"),
    )
}

fn contact(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "email": "anna@example.no",
        "first_name": "Anna",
        "tags": ["sesamy_active_subscriber"],
        "custom": {
            "Sesamy User ID": "email|1",
            "Has Active Subscription": true,
            "Active Subscriptions": 1,
            "Will Cancel At": "2026-05-01",
        },
    });
    change(&mut body);
    body
}

#[tokio::test]
async fn subscribe_read_and_change() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    client.get(ANNA).await.expect(404);
    let body = contact(|body| body["force_subscribe"] = json!(false));
    let made = client.post(LIST, body).await.expect(201);
    assert_eq!(made["status"], "a");
    assert_eq!(made["list_associations"][0]["list_id"], 42);
    assert_eq!(made["list_associations"][0]["email"], "anna@example.no");
    let patch = json!({
        "email": "anna@example.no",
        "tags": ["sesamy_x"],
        "custom": {"Will Cancel At": null, "Active Subscriptions": 2},
    });
    let answer = client.send("PATCH", ANNA, patch).await.expect(200);
    assert_eq!(answer["tags"], json!(["sesamy_x"]));
    assert_eq!(answer.get("status"), None);
    let anna = account.contact("Anna@example.no").unwrap();
    assert_eq!(anna.first_name.as_deref(), Some("Anna"));
    assert_eq!(anna.on(42), Some(Status::Active));
    assert_eq!(anna.custom.get("Will Cancel At"), None);
    assert_eq!(anna.custom["Active Subscriptions"], 2);
    assert_eq!(anna.custom["Sesamy User ID"], "email|1");
    let read = client.get(ANNA).await.expect(200);
    assert_eq!(read["custom"]["Active Subscriptions"], 2);
    client
        .get("/v1/lists/42/subscribers/anna%40example.no/")
        .await
        .expect(200);
    let members = client
        .get("/v1/lists/42/subscribers/?limit=5")
        .await
        .expect(200);
    assert_eq!(members.as_array().unwrap().len(), 1);
    assert_eq!(
        client.get("/v1/lists/42/unsubscribed/").await.expect(200),
        json!([])
    );
    assert_eq!(client.get("/v1/lists/42/").await.expect(200)["id"], 42);
    assert_eq!(
        client.get("/v1/lists/").await.expect(200)[0]["is_primary"],
        true
    );
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn authentication_and_scopes() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    account.put_contact(Contact::new("anna@example.no"));
    let anonymous = Client::new(&stand_ins.urls().mailmojo);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("wrong"),
        anonymous.with("authorization", "Basic dG9rZW46"),
    ] {
        let error = client.get(ANNA).await.expect(401);
        assert!(error["detail"].is_string());
    }
    type Call = (&'static str, &'static str, fn() -> Value);
    let calls: [Call; 5] = [
        ("GET", ANNA, || Value::Null),
        ("PATCH", ANNA, || json!({"email": "anna@example.no"})),
        (
            "POST",
            LIST,
            || json!({"email": "anna@example.no", "force_subscribe": false}),
        ),
        ("GET", "/v1/lists/42/", || Value::Null),
        ("GET", "/v1/fields/", || Value::Null),
    ];
    for (scopes, statuses) in [
        (&[][..], [403, 403, 403, 403, 403]),
        (&["contacts:read"], [200, 403, 403, 403, 403]),
        (&["contacts", "lists"], [200, 200, 403, 200, 403]),
        (&["subscribe", "account"], [403, 403, 201, 403, 200]),
    ] {
        account.set_scopes(scopes);
        for ((method, path, body), status) in calls.iter().zip(statuses) {
            let reply = match body() {
                Value::Null => client.call(method, path).await,
                body => client.send(method, path, body).await,
            };
            assert_eq!(
                reply.status, status,
                "{scopes:?} {method} {path}: {}",
                reply.text
            );
        }
    }
    account.set_token("next");
    client.get(ANNA).await.expect(401);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn paths_are_read_strictly() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    account.put_contact(Contact::new("a+b@example.no"));
    for (path, status) in [
        ("/v1/contacts/a%2Bb%40example.no/", 200),
        ("/v1/contacts/A%2Bb%40example.no/", 200),
        ("/v1/contacts/a%2Bb%40example.no", 404),
        ("/v1/contacts/a+b%40example.no/", 400),
        ("/v1/contacts/a%2Bb@example.no/", 400),
        ("/v1/contacts/nobody%40example.no/", 404),
        ("/v1/lists/42", 404),
        ("/v1/lists/43/", 404),
        ("/v1/lists/Readers/", 404),
        ("/v1/lists/42/subscribers/a%2Bb%40example.no/", 404),
        ("/v2/lists/42/", 404),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
        assert!(status == 200 || reply.json()["detail"].is_string());
    }
    client
        .post("/v1/lists/43/subscribers/", contact(|_| {}))
        .await
        .expect(404);
    client
        .post("/v1/lists/42/subscribers", contact(|_| {}))
        .await
        .expect(404);
    client
        .send("PATCH", ANNA, contact(|_| {}))
        .await
        .expect(404);
    assert_eq!(stand_ins.harms(), []);
    client.get("/v1/lists/?page=2").await.expect(200);
    client.get("/v1/contacts/").await.expect(200);
    assert_eq!(
        stand_ins.harms(),
        [Harm::UnknownParameter, Harm::Undocumented]
    );
}

#[tokio::test]
async fn writes_that_are_refused() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    let anna = Contact::new("anna@example.no").on_list(42, Status::Active);
    account.put_contact(anna.clone());
    type Change = Box<dyn Fn(&mut Value)>;
    let set = |key: &'static str, value: Value| -> Change {
        Box::new(move |body| body[key] = value.clone())
    };
    let custom = |name: &'static str, value: Value| -> Change {
        Box::new(move |body| body["custom"][name] = value.clone())
    };
    let cases: Vec<(Change, &str)> = vec![
        (set("nickname", json!("A")), "nickname"),
        (set("email", json!(null)), "email"),
        (set("email", json!("")), "email"),
        (set("email", json!("anna")), "email"),
        (
            Box::new(|body| {
                body.as_object_mut().unwrap().remove("email");
            }),
            "email",
        ),
        (set("first_name", json!(null)), "first_name"),
        (set("phone", json!(4_790_000_000_u64)), "phone"),
        (set("tags", json!("x")), "tags"),
        (set("tags", json!([1])), "tags.0"),
        (set("tags", json!([""])), "tags.0"),
        (set("tags", json!(["x".repeat(100)])), "tags.0"),
        (set("custom", json!([])), "custom"),
        (custom("No Such Field", json!("x")), "custom.No Such Field"),
        (
            custom("sesamy user id", json!("x")),
            "custom.sesamy user id",
        ),
        (
            custom("Active Subscriptions", json!("1")),
            "custom.Active Subscriptions",
        ),
        (
            custom("Has Active Subscription", json!("true")),
            "custom.Has Active Subscription",
        ),
        (custom("Sesamy User ID", json!(1)), "custom.Sesamy User ID"),
        (custom("Will Cancel At", json!("")), "custom.Will Cancel At"),
        (
            custom("Will Cancel At", json!("2026-05-01T10:00:00Z")),
            "custom.Will Cancel At",
        ),
    ];
    for (change, named) in cases {
        for (method, path) in [("PATCH", ANNA), ("POST", LIST)] {
            let body = contact(&change);
            let reply = client.send(method, path, body.clone()).await;
            assert_eq!(reply.status, 400, "{method} {body}: {}", reply.text);
            let errors = reply.json()["errors"].clone();
            assert!(errors.get(named).is_some(), "{named}: {errors}");
        }
    }
    for (method, path) in [("PATCH", ANNA), ("POST", LIST)] {
        let text = contact(|_| {}).to_string();
        let kind = Some("text/plain");
        let reply = client.try_send(method, path, kind, text).await.unwrap();
        assert_eq!(reply.status, 415);
        client.send(method, path, json!([])).await.expect(400);
    }
    client
        .post(LIST, contact(|body| body["force_subscribe"] = json!("no")))
        .await
        .expect(400);
    assert_eq!(account.contacts(), [anna]);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn long_tags_that_are_there_survive() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    let long = "y".repeat(150);
    account.put_contact(Contact::new("anna@example.no").tags(&[&long]));
    let body = contact(|body| body["tags"] = json!([long, "sesamy_x"]));
    client.send("PATCH", ANNA, body).await.expect(200);
    assert_eq!(
        account.contact("anna@example.no").unwrap().tags,
        [long, "sesamy_x".into()]
    );
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn harm_is_recorded() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    account.put_contact(
        Contact::new("anna@example.no")
            .names("Anna", "Berg")
            .phone("+4790000000")
            .tags(&["vip", "sesamy_old"])
            .custom("Shoe Size", 38)
            .on_list(42, Status::Active),
    );
    let anna = |extra: Value| {
        let mut body = json!({"email": "anna@example.no"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    use Harm::{ConsentChanged, ForeignDataChanged, ForeignTagDropped, WrongContact};
    for (method, path, body, status, harms) in [
        (
            "PATCH",
            ANNA,
            anna(json!({"first_name": "Anna", "tags": ["vip"]})),
            200,
            vec![],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"status": "a"})),
            400,
            vec![ConsentChanged],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"force_subscribe": false})),
            400,
            vec![ConsentChanged],
        ),
        (
            "PATCH",
            ANNA,
            json!({"email": "bo@example.no"}),
            400,
            vec![WrongContact],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"first_name": "Anne"})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"phone": ""})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"name": "Anna B"})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"custom": {"Shoe Size": null}})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "PATCH",
            ANNA,
            anna(json!({"tags": ["sesamy_x"]})),
            200,
            vec![ForeignTagDropped],
        ),
        (
            "POST",
            LIST,
            anna(json!({"force_subscribe": true})),
            201,
            vec![ConsentChanged],
        ),
        (
            "POST",
            LIST,
            anna(json!({"last_name": "Borg"})),
            201,
            vec![ForeignDataChanged],
        ),
        (
            "DELETE",
            "/v1/lists/42/subscribers/anna%40example.no/",
            json!({}),
            400,
            vec![ConsentChanged],
        ),
        (
            "POST",
            "/v1/lists/42/subscribers/import/",
            json!({}),
            400,
            vec![ConsentChanged],
        ),
    ] {
        stand_ins.clear_violations();
        let reply = client.send(method, path, body.clone()).await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {body}: {}",
            reply.text
        );
        assert_eq!(stand_ins.harms(), harms, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn who_left_stays_away_unless_forced() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    let left = [
        Contact::new("anna@example.no").on_list(42, Status::Unsubscribed),
        Contact::new("anna@example.no").on_list(42, Status::Bounced),
        Contact::new("anna@example.no").status(Status::Unsubscribed),
        Contact::new("anna@example.no")
            .status(Status::Deleted)
            .on_list(42, Status::Active),
    ];
    for before in left {
        let gentle = contact(|body| body["force_subscribe"] = json!(false));
        account.put_contact(before.clone());
        client.post(LIST, gentle.clone()).await.expect(400);
        assert_eq!(account.contact("anna@example.no").unwrap(), before);
        account.set_settings(MailmojoSettings {
            refuse_unsubscribed: false,
            ..MailmojoSettings::default()
        });
        client.post(LIST, gentle).await.expect(201);
        let after = account.contact("anna@example.no").unwrap();
        assert_eq!((after.status, after.on(42)), (before.status, before.on(42)));
        assert_eq!(after.tags, ["sesamy_active_subscriber"]);
        account.set_settings(MailmojoSettings::default());
        assert_eq!(stand_ins.harms(), []);
        // Leaving the flag out means true.
        client.post(LIST, contact(|_| {})).await.expect(201);
        let after = account.contact("anna@example.no").unwrap();
        assert_eq!(
            (after.status, after.on(42)),
            (Status::Active, Some(Status::Active))
        );
        assert_eq!(stand_ins.harms(), [Harm::ConsentChanged]);
        stand_ins.clear_violations();
    }
    // Somebody new may be subscribed without saying so.
    let new = json!({"email": "new@example.no"});
    client.post(LIST, new).await.expect(201);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn the_undocumented_either_way() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    let before = Contact::new("anna@example.no")
        .tags(&["vip", "sesamy_Old"])
        .custom("Shoe Size", 38);
    let settings = MailmojoSettings {
        tags: Writing::Merge,
        custom: Writing::Replace,
        fields: FieldsAddress::Refused(404),
        fold_tag_case: true,
        ..MailmojoSettings::default()
    };
    account.put_contact(before.clone());
    account.set_settings(settings);
    let body = json!({
        "email": "anna@example.no",
        "tags": ["sesamy_old", "sesamy_new"],
        "custom": {"Shoe Size": 38, "Unheard Of": "x"},
    });
    client.send("PATCH", ANNA, body).await.expect(200);
    let after = account.contact("anna@example.no").unwrap();
    assert_eq!(after.tags, ["vip", "sesamy_Old", "sesamy_new"]);
    assert_eq!(after.custom, before.custom);
    client.get("/v1/fields/").await.expect(404);
    client
        .post("/v1/fields/", json!({"name": "X", "type": "text"}))
        .await
        .expect(404);
    assert_eq!(stand_ins.harms(), []);
    let body = json!({"email": "anna@example.no", "custom": {}});
    client.send("PATCH", ANNA, body).await.expect(200);
    assert_eq!(stand_ins.harms(), [Harm::ForeignDataChanged]);
}

#[tokio::test]
async fn field_definitions() {
    let stand_ins = StandIns::start().await.unwrap();
    let account = stand_ins.mailmojo().add_account("acme", "token");
    let client = Client::new(&stand_ins.urls().mailmojo).bearer("token");
    assert_eq!(client.get("/v1/fields/").await.expect(200), json!([]));
    for (body, status) in [
        (json!({"name": "Issues Remaining", "type": "number"}), 201),
        (json!({"name": "Issues Remaining", "type": "number"}), 400),
        (json!({"name": "", "type": "number"}), 400),
        (json!({"name": "X"}), 400),
        (json!({"name": "X", "type": "integer"}), 400),
        (json!({"name": "X", "type": "text", "group": 1}), 400),
    ] {
        let reply = client.post("/v1/fields/", body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    let listed = json!([{"id": 1, "name": "Issues Remaining", "type": "number"}]);
    assert_eq!(client.get("/v1/fields/").await.expect(200), listed);
    assert_eq!(account.definitions()["Issues Remaining"], FieldKind::Number);
}

#[tokio::test]
async fn the_address_of_account_fields_can_be_closed() {
    for status in [403, 404, 405] {
        let stand_ins = StandIns::start().await.unwrap();
        let (account, client) = mailmojo(&stand_ins);
        account.set_settings(MailmojoSettings {
            fields: FieldsAddress::Refused(status),
            ..MailmojoSettings::default()
        });
        let field = json!({"name": "X", "type": "text"});
        client.get("/v1/fields/").await.expect(status);
        client.post("/v1/fields/", field).await.expect(status);
        account.put_contact(Contact::new("anna@example.no"));
        client.get(ANNA).await.expect(200);
    }
}

#[tokio::test]
async fn values_of_unknown_fields_can_be_dropped() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = mailmojo(&stand_ins);
    account.put_contact(Contact::new("anna@example.no"));
    let body = contact(|body| body["custom"]["Unheard Of"] = json!("x"));
    client.send("PATCH", ANNA, body.clone()).await.expect(400);
    account.set_settings(MailmojoSettings {
        drop_unknown_fields: true,
        ..MailmojoSettings::default()
    });
    client.send("PATCH", ANNA, body).await.expect(200);
    let custom = account.contact("anna@example.no").unwrap().custom;
    assert_eq!(custom.get("Unheard Of"), None);
    assert_eq!(custom["Sesamy User ID"], "email|1");
}

#[tokio::test]
async fn a_kept_out_address_is_refused_by_every_list_known_or_not() {
    for known in [false, true] {
        let stand_ins = StandIns::start().await.unwrap();
        let (account, client) = mailmojo(&stand_ins);
        account.keep_out("Anna@example.no");
        if known {
            account.put_contact(Contact::new("anna@example.no"));
        }
        let before = account.contacts();
        let gentle = contact(|body| body["force_subscribe"] = json!(false));
        client.post(LIST, gentle).await.expect(400);
        assert_eq!(account.contacts(), before);
        let patched = client.send("PATCH", ANNA, contact(|_| {})).await;
        assert_eq!(patched.status, if known { 200 } else { 404 });
    }
}

#[tokio::test]
async fn names_beside_a_whole_name_are_harm() {
    struct Case {
        name: &'static str,
        harms: &'static [Harm],
    }
    let cases = [
        Case {
            name: "Anna Berg",
            harms: &[Harm::ForeignDataChanged],
        },
        Case {
            name: "Anna",
            harms: &[],
        },
    ];
    for case in cases {
        let stand_ins = StandIns::start().await.unwrap();
        let (account, client) = mailmojo(&stand_ins);
        account.put_contact(Contact::new("anna@example.no").whole_name(case.name));
        client
            .send("PATCH", ANNA, contact(|_| {}))
            .await
            .expect(200);
        assert_eq!(stand_ins.harms(), case.harms, "{}", case.name);
    }
}
