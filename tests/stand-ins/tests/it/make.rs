//! Make.as: queries, replaced tags, products, subscriptions and consent.

use serde_json::{Value, json};
use stand_ins::{
    Harm, StandIns,
    make::{MakeAccount, MakeSettings, Subscriber, TagForm},
};

use crate::support::Client;

const UPSERT: &str = "/subscribers?subscriber_list_id%5B%5D=77&tag=replace";
const PRODUCTS: &str = "/subscribers/subscriptions/products/bulkinsert";
const SUBSCRIPTIONS: &str = "/subscribers/subscriptions/bulkinsert";

fn make(stand_ins: &StandIns) -> (MakeAccount, Client) {
    let account = stand_ins.make().add_account("acme", "user", "key");
    account.add_list(77, "Readers");
    account.add_list(78, "Others");
    // user:key
    let client = Client::new(&stand_ins.urls().make).with("authorization", "Basic dXNlcjprZXk=");
    (account, client)
}

fn anna(extra: Value) -> Value {
    let mut body = json!({"email": "anna@example.no"});
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn upsert_and_look_up() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    let look_up = json!({"email": "ANNA@example.no"});
    let missing = client
        .post("/subscribers/by_email", look_up.clone())
        .await
        .expect(404);
    assert!(missing["message"].is_string() && missing["status"].is_string());
    let body = anna(json!({
        "firstname": "Anna", "lastname": "Berg", "company": "X AS",
        "external_id": "email|1", "tags": ["vip", "sesamy_x"],
    }));
    let made = client.post(UPSERT, body).await.expect(200);
    assert!(made["id"].is_u64());
    let found = client
        .post("/subscribers/by_email", look_up)
        .await
        .expect(200);
    assert_eq!(found, made);
    assert_eq!(found["tags"], json!(["vip", "sesamy_x"]));
    assert_eq!(found["phone"], Value::Null);
    let anna_now = account.subscriber("anna@example.no").unwrap();
    assert_eq!(anna_now.details["company"], "X AS");
    assert_eq!(anna_now.external_id.as_deref(), Some("email|1"));
    assert_eq!(anna_now.lists, [77]);

    // Replacing drops, merging keeps, leaving the tags out changes nothing.
    let tags = |list: Value| anna(json!({"tags": list}));
    client
        .post(UPSERT, tags(json!(["vip", "sesamy_y"])))
        .await
        .expect(200);
    assert_eq!(
        account.subscriber("anna@example.no").unwrap().tags,
        ["vip", "sesamy_y"]
    );
    let merge = "/subscribers?subscriber_list_id[]=78&tag=merge";
    client
        .post(merge, tags(json!(["sesamy_z"])))
        .await
        .expect(200);
    client.post(UPSERT, anna(json!({}))).await.expect(200);
    let anna_now = account.subscriber("anna@example.no").unwrap();
    assert_eq!(anna_now.tags, ["vip", "sesamy_y", "sesamy_z"]);
    assert_eq!(anna_now.lists, [77, 78]);

    let path = format!("/subscribers/{}", made["id"]);
    let patched = client
        .send("PATCH", &path, json!({"company": "Y AS"}))
        .await
        .expect(200);
    assert_eq!(patched["company"], "Y AS");
    assert_eq!(client.get(&path).await.expect(200), patched);
    let lists = client
        .get(&format!("{path}/subscriberlists"))
        .await
        .expect(200);
    assert_eq!(lists[1]["title"], "Others");
    let listed = client
        .get("/subscribers/by_list?list_id=78&per_page=10")
        .await
        .expect(200);
    assert_eq!(listed[0]["email"], "anna@example.no");
    assert_eq!(
        client.get("/subscriberlists").await.expect(200)[0]["id"],
        77
    );
    assert_eq!(
        client.get("/subscriberlists/77").await.expect(200)["subscriber_emails"],
        1
    );
    let titles = client.get("/subscriber_tags").await.expect(200);
    assert_eq!(titles[0], json!({"id": 1, "title": "vip"}));
    assert_eq!(client.get("/custom_fields").await.expect(200), json!([]));
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn authentication() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    let anonymous = Client::new(&stand_ins.urls().make);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("key"),
        anonymous.clone().with("authorization", "Basic dXNlcg=="),
        anonymous
            .clone()
            .with("authorization", "Basic dXNlcjp3cm9uZw=="),
        anonymous.with("authorization", "Basic ???"),
    ] {
        let error = client.get("/subscriberlists").await.expect(401);
        assert!(error["message"].is_string());
    }
    client.get("/subscriberlists").await.expect(200);
    assert_eq!(stand_ins.requests()[5].account.as_deref(), Some("acme"));
    assert_eq!(
        stand_ins.requests()[5].headers["authorization"],
        "Basic ***"
    );
    account.set_api_key("next");
    client.get("/subscriberlists").await.expect(401);
}

#[tokio::test]
async fn upserts_that_are_refused() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    for (path, body, status, needle) in [
        (
            UPSERT,
            json!({"firstname": "Anna"}),
            422,
            "email: is required",
        ),
        (
            UPSERT,
            json!({"email": ""}),
            422,
            "email: must not be empty",
        ),
        (UPSERT, json!({"email": "anna"}), 422, "email"),
        (UPSERT, json!({"email": 1}), 422, "email"),
        (UPSERT, json!([anna(json!({}))]), 422, "object"),
        (UPSERT, anna(json!({"name": "Anna"})), 422, "name"),
        (UPSERT, anna(json!({"EXTRA1": "x"})), 422, "EXTRA1"),
        (UPSERT, anna(json!({"id": 1})), 422, "id"),
        (UPSERT, anna(json!({"lists": [77]})), 422, "lists"),
        (UPSERT, anna(json!({"company": null})), 422, "company"),
        (UPSERT, anna(json!({"external_id": 1})), 422, "external_id"),
        (UPSERT, anna(json!({"tags": "x"})), 422, "tags"),
        (
            UPSERT,
            anna(json!({"tags": ["x".repeat(100)]})),
            422,
            "tags.0",
        ),
        ("/subscribers", anna(json!({})), 422, "subscriber_list_id"),
        (
            "/subscribers?subscriber_list_id[]=79",
            anna(json!({})),
            422,
            "79",
        ),
        (
            "/subscribers?subscriber_list_id[]=x",
            anna(json!({})),
            422,
            "subscriber_list_id",
        ),
        (
            "/subscribers?subscriber_list_id%5B0%5D=77",
            anna(json!({})),
            422,
            "subscriber_list_id",
        ),
        (
            "/subscribers?subscriber_list_id[]=77&tag=add",
            anna(json!({})),
            422,
            "tag",
        ),
        (
            "/subscribers?subscriber_list_id[]=77&status=on",
            anna(json!({})),
            422,
            "status",
        ),
        ("/subscribers/", anna(json!({})), 404, "Not found"),
        ("/subscribers/by_email", json!({}), 422, "email"),
        (
            "/subscribers/by_email",
            json!({"email": "a@b.no", "x": 1}),
            422,
            "x",
        ),
        ("/subscribers/by_mail", anna(json!({})), 404, "Not found"),
    ] {
        let reply = client.post(path, body.clone()).await;
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text);
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(needle), "{path} {body}: {message}");
    }
    let kind = Some("application/x-www-form-urlencoded");
    let reply = client
        .try_send("POST", UPSERT, kind, "email=a%40b.no".into())
        .await
        .unwrap();
    assert_eq!(reply.status, 415);
    assert_eq!(account.subscribers(), []);
    // The indexed bracket is the one parameter not known.
    assert_eq!(stand_ins.harms(), [Harm::UnknownParameter]);
    client
        .post("/subscribers?subscriber_list_id=77", anna(json!({})))
        .await
        .expect(200);
    assert_eq!(account.subscribers().len(), 1);
}

#[tokio::test]
async fn harm_is_recorded() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    account.put_subscriber(
        Subscriber::new("anna@example.no")
            .detail("firstname", "Anna")
            .detail("city", "Oslo")
            .extra("SAMTYKKEEPOST", "ja")
            .tags(&["vip", "sesamy_old"])
            .on_list(77),
    );
    let id = account.subscriber("anna@example.no").unwrap().id;
    use Harm::{ConsentChanged, Deleted, ForeignDataChanged, ForeignTagDropped, WrongContact};
    for (method, path, body, status, harms) in [
        (
            "POST",
            UPSERT.to_owned(),
            anna(json!({"firstname": "Anne", "tags": ["vip"]})),
            200,
            vec![],
        ),
        (
            "POST",
            format!("{UPSERT}&status=active"),
            anna(json!({})),
            400,
            vec![ConsentChanged],
        ),
        (
            "POST",
            UPSERT.into(),
            anna(json!({"email_status": "active"})),
            400,
            vec![ConsentChanged],
        ),
        (
            "PATCH",
            format!("/subscribers/{id}?status=active"),
            json!({}),
            400,
            vec![ConsentChanged],
        ),
        (
            "PATCH",
            format!("/subscribers/{id}"),
            json!({"email": "b@b.no"}),
            422,
            vec![WrongContact],
        ),
        (
            "POST",
            "/subscribers/unsubscribe_email".into(),
            anna(json!({})),
            400,
            vec![ConsentChanged],
        ),
        (
            "POST",
            "/subscribers/bulkremove".into(),
            json!([]),
            400,
            vec![Deleted],
        ),
        (
            "DELETE",
            format!("/subscribers/{id}"),
            json!({}),
            400,
            vec![Deleted],
        ),
        (
            "DELETE",
            format!("/subscribers/{id}/subscriberlists/77"),
            json!({}),
            400,
            vec![ConsentChanged],
        ),
        (
            "DELETE",
            "/subscriber_tags/1".into(),
            json!({}),
            400,
            vec![Deleted],
        ),
        (
            "POST",
            UPSERT.into(),
            anna(json!({"firstname": ""})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "POST",
            UPSERT.into(),
            anna(json!({"city": "Bergen"})),
            200,
            vec![ForeignDataChanged],
        ),
        (
            "POST",
            UPSERT.into(),
            anna(json!({"SAMTYKKEEPOST": "nei"})),
            200,
            vec![ForeignDataChanged],
        ),
        // Without the parameter tags are replaced too.
        (
            "POST",
            "/subscribers?subscriber_list_id[]=77".into(),
            anna(json!({"tags": []})),
            200,
            vec![ForeignTagDropped],
        ),
    ] {
        stand_ins.clear_violations();
        let reply = client.send(method, &path, body.clone()).await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {body}: {}",
            reply.text
        );
        assert_eq!(stand_ins.harms(), harms, "{method} {path} {body}");
        let now = account.subscriber("anna@example.no").unwrap();
        assert_eq!(now.email_status, "active");
    }
}

#[tokio::test]
async fn products_and_subscriptions() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    account.set_settings(MakeSettings {
        refuse_unknown_products: true,
        ..MakeSettings::default()
    });
    account.put_subscriber(Subscriber::new("anna@example.no"));
    let products = json!([
        {"external_id": "sid:a|lp1", "name": "Premium - Monthly"},
        {"external_id": "sid:b", "name": "Basic"},
    ]);
    client.post(PRODUCTS, products).await.expect(200);
    client
        .post(PRODUCTS, json!([{"external_id": "sid:b", "name": "Plain"}]))
        .await
        .expect(200);
    let names: Vec<_> = account.products().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["Premium - Monthly", "Plain"]);
    let subscription = |extra: Value| {
        let mut item = json!({
            "email": "anna@example.no", "external_id": "c1",
            "product_external_id": "sid:a|lp1", "name": "Premium", "status": "active",
        });
        item.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        item
    };
    let first = json!([subscription(json!({"start_date": "2025-01-15"}))]);
    client.post(SUBSCRIPTIONS, first).await.expect(200);
    assert_eq!(
        account.subscriptions_of("ANNA@example.no")[0].end_date,
        None
    );
    let ended = subscription(json!({"status": "cancelled", "end_date": "2026-01-15"}));
    client.post(SUBSCRIPTIONS, json!([ended])).await.expect(200);
    let now = account.subscriptions();
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].status, "cancelled");
    assert_eq!(now[0].end_date.as_deref(), Some("2026-01-15"));

    account.put_subscriber(Subscriber {
        external_id: Some("u1".into()),
        ..Subscriber::new("bo@example.no")
    });
    let mut by_id = subscription(json!({"subscriber_external_id": "u1", "external_id": "c2"}));
    by_id.as_object_mut().unwrap().remove("email");
    let path = "/subscribers/subscriptions/bulkinsert_by_external_id";
    client.post(path, json!([by_id])).await.expect(200);
    assert_eq!(account.subscriptions_of("bo@example.no").len(), 1);

    let product = |n: usize| json!({"external_id": format!("p{n}"), "name": "P"});
    let many = |count: usize| (0..count).map(product).collect::<Value>();
    for (path, body, needle) in [
        (PRODUCTS, json!({"products": [product(1)]}), "bare array"),
        (PRODUCTS, json!([]), "empty"),
        (PRODUCTS, many(1_001), "1000"),
        (PRODUCTS, json!(["x"]), "objects"),
        (
            PRODUCTS,
            json!([{"name": "X"}]),
            "0.external_id: is required",
        ),
        (
            PRODUCTS,
            json!([{"external_id": "x"}]),
            "0.name: is required",
        ),
        (
            PRODUCTS,
            json!([{"external_id": 1, "name": "x"}]),
            "0.external_id",
        ),
        (
            PRODUCTS,
            json!([product(1), product(1)]),
            "1.external_id: is there twice",
        ),
        (
            PRODUCTS,
            json!([{"external_id": "x", "name": "x", "price": 1}]),
            "0.price",
        ),
        (SUBSCRIPTIONS, json!({"subscriptions": []}), "bare array"),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"email": "x@example.no"}))]),
            "0.email: no such",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"product_external_id": "nope"}))]),
            "no product \"nope\"",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"status": "ACTIVE"}))]),
            "0.status",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"status": "overdue"}))]),
            "0.status",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"start_date": "2025-01-15T09:00:00Z"}))]),
            "0.start_date",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"start_date": null}))]),
            "0.start_date",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"end_date": ""}))]),
            "0.end_date",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"name": ""}))]),
            "0.name",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({"subscriber_external_id": "x"}))]),
            "subscriber_external_id",
        ),
        (
            SUBSCRIPTIONS,
            json!([subscription(json!({})), subscription(json!({}))]),
            "twice",
        ),
    ] {
        let reply = client.post(path, body).await;
        assert_eq!(reply.status, 422, "{needle}: {}", reply.text);
        assert!(
            reply.text.replace("\\\"", "\"").contains(needle),
            "{needle}: {}",
            reply.text
        );
    }
    client.post(PRODUCTS, many(1_000)).await.expect(200);
    assert_eq!(account.subscriptions().len(), 2);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn an_omitted_date_stays_and_a_null_end_is_none() {
    struct Case {
        omitted_dates_clear: bool,
        sent: Value,
        start: Option<&'static str>,
        end: Option<&'static str>,
    }
    const START: &str = "2025-01-15";
    const END: &str = "2026-01-15";
    let cases = [
        Case {
            omitted_dates_clear: false,
            sent: json!({}),
            start: Some(START),
            end: Some(END),
        },
        Case {
            omitted_dates_clear: false,
            sent: json!({"end_date": null}),
            start: Some(START),
            end: None,
        },
        Case {
            omitted_dates_clear: true,
            sent: json!({}),
            start: None,
            end: None,
        },
        Case {
            omitted_dates_clear: true,
            sent: json!({"start_date": START, "end_date": END}),
            start: Some(START),
            end: Some(END),
        },
    ];
    for case in cases {
        let stand_ins = StandIns::start().await.unwrap();
        let (account, client) = make(&stand_ins);
        account.set_settings(MakeSettings {
            omitted_dates_clear: case.omitted_dates_clear,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new("anna@example.no"));
        for dates in [json!({"start_date": START, "end_date": END}), case.sent] {
            let mut item = json!({
                "email": "anna@example.no", "external_id": "c1",
                "product_external_id": "sid:a", "name": "Premium", "status": "active",
            });
            item.as_object_mut()
                .unwrap()
                .extend(dates.as_object().unwrap().clone());
            client.post(SUBSCRIPTIONS, json!([item])).await.expect(200);
        }
        let held = account.subscriptions().remove(0);
        assert_eq!(held.start_date.as_deref(), case.start);
        assert_eq!(held.end_date.as_deref(), case.end);
    }
}

#[tokio::test]
async fn a_list_named_for_somebody_who_left_is_harm_and_may_revive_them() {
    struct Case {
        method: &'static str,
        list: bool,
        lists_keep_status: bool,
        harms: &'static [Harm],
        status: &'static str,
    }
    const HARMED: &[Harm] = &[Harm::ConsentChanged];
    let case = |method, list, lists_keep_status, harms, status| Case {
        method,
        list,
        lists_keep_status,
        harms,
        status,
    };
    let cases = [
        case("POST", true, false, HARMED, "active"),
        case("POST", true, true, HARMED, "bounce"),
        case("PATCH", true, false, HARMED, "active"),
        case("PATCH", true, true, HARMED, "bounce"),
        case("PATCH", false, false, &[], "bounce"),
    ];
    for case in cases {
        let stand_ins = StandIns::start().await.unwrap();
        let (account, client) = make(&stand_ins);
        account.set_settings(MakeSettings {
            lists_keep_status: case.lists_keep_status,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new("anna@example.no").email_status("bounce"));
        let path = match case.method {
            "POST" => "/subscribers".to_owned(),
            _ => {
                let id = account.subscriber("anna@example.no").unwrap().id;
                format!("/subscribers/{id}")
            }
        };
        let list = if case.list {
            "?subscriber_list_id[]=77"
        } else {
            ""
        };
        let body = anna(json!({"company": "X AS"}));
        client
            .send(case.method, &format!("{path}{list}"), body)
            .await
            .expect(200);
        let (method, list) = (case.method, case.list);
        assert_eq!(stand_ins.harms(), case.harms, "{method} {list}");
        let now = account.subscriber("anna@example.no").unwrap();
        assert_eq!(now.email_status, case.status, "{method} {list}");
        assert_eq!(now.details["company"], "X AS", "{method} {list}");
    }
}

#[tokio::test]
async fn the_undocumented_either_way() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = make(&stand_ins);
    account.put_subscriber(Subscriber::new("anna@example.no").tags(&["vip", "sesamy_Old"]));
    let look_up = async |email: &str| {
        client
            .post("/subscribers/by_email", json!({"email": email}))
            .await
    };
    for (tag_form, tags) in [
        (TagForm::Names, json!(["vip", "sesamy_Old"])),
        (TagForm::Ids, json!(["1", "2"])),
        (
            TagForm::Objects,
            json!([{"id": 1, "title": "vip"}, {"id": 2, "title": "sesamy_Old"}]),
        ),
    ] {
        account.set_settings(MakeSettings {
            tag_form,
            ..MakeSettings::default()
        });
        assert_eq!(look_up("anna@example.no").await.expect(200)["tags"], tags);
    }
    account.set_settings(MakeSettings {
        fold_tag_case: true,
        bare_not_found: true,
        ..MakeSettings::default()
    });
    let missing = look_up("bo@example.no").await;
    assert_eq!((missing.status, missing.text.as_str()), (404, ""));
    let body = anna(json!({"tags": ["vip", "sesamy_old"]}));
    client.post(UPSERT, body).await.expect(200);
    let now = account.subscriber("anna@example.no").unwrap().tags;
    assert_eq!(now, ["vip", "sesamy_Old"]);
}
