//! The fake of Make.as: queries, replaced tags, products, subscriptions and consent.

use fakes::{
    Fakes, ViolationKind,
    make::{MakeAccount, MakeSettings, Subscriber, TagForm},
};
use serde_json::{Value, json};

use crate::support::{Client, FORM, merged};

const UPSERT: &str = "/subscribers?subscriber_list_id%5B%5D=77&tag=replace";
const BY_EMAIL: &str = "/subscribers/by_email";
const PRODUCTS: &str = "/subscribers/subscriptions/products/bulkinsert";
const SUBSCRIPTIONS: &str = "/subscribers/subscriptions/bulkinsert";

fn make(fakes: &Fakes) -> (MakeAccount, Client) {
    let account = fakes.make().add_account("acme", "user", "key");
    account.add_list(77, "Users");
    account.add_list(78, "Others");
    // Base64 of `user:key`.
    let client = Client::new(&fakes.urls().make).with("authorization", "Basic dXNlcjprZXk=");
    (account, client)
}

fn anna(keys: Value) -> Value {
    merged(json!({"email": "anna@example.no"}), keys)
}

/// A bulk insert of one subscription of Anna.
fn subscription(changes: Value) -> Value {
    let item = json!({
        "email": "anna@example.no", "external_id": "c1",
        "product_external_id": "sid:a|lp1", "name": "Premium", "status": "active",
    });
    json!([merged(item, changes)])
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    let list = |query: &str| format!("/subscribers?{query}");
    let cases = cases! {
        POST UPSERT, json!({"firstname": "Anna"}) => 422 "email: is required";
        POST UPSERT, json!({"email": ""}) => 422 "email: must not be empty";
        POST UPSERT, json!({"email": "anna"}) => 422 "email";
        POST UPSERT, json!({"email": 1}) => 422 "email";
        POST UPSERT, json!([anna(json!({}))]) => 422 "object";
        POST UPSERT, anna(json!({"name": "Anna"})) => 422 "name";
        POST UPSERT, anna(json!({"EXTRA1": "x"})) => 422 "EXTRA1";
        POST UPSERT, anna(json!({"id": 1})) => 422 "id";
        POST UPSERT, anna(json!({"lists": [77]})) => 422 "lists";
        POST UPSERT, anna(json!({"company": null})) => 422 "company";
        POST UPSERT, anna(json!({"external_id": 1})) => 422 "external_id";
        POST UPSERT, anna(json!({"tags": "x"})) => 422 "tags";
        POST UPSERT, anna(json!({"tags": ["x".repeat(100)]})) => 422 "tags.0";
        POST "/subscribers", anna(json!({})) => 422 "subscriber_list_id";
        POST "/subscribers/", anna(json!({})) => 404 "Not found";
        POST list("subscriber_list_id[]=79"), anna(json!({})) => 422 "79";
        POST list("subscriber_list_id[]=x"), anna(json!({})) => 422 "subscriber_list_id";
        POST list("subscriber_list_id%5B0%5D=77"), anna(json!({})) =>
            422 "subscriber_list_id" [UnknownParameter];
        POST list("subscriber_list_id[]=77&tag=add"), anna(json!({})) => 422 "tag";
        POST list("subscriber_list_id[]=77&status=on"), anna(json!({})) => 422 "status";
        POST BY_EMAIL, json!({}) => 422 "email";
        POST BY_EMAIL, json!({"email": "a@b.no", "x": 1}) => 422 "x";
        POST BY_EMAIL, anna(json!({})) => 404 "Not found";
        POST "/subscribers/by_mail", anna(json!({})) => 404 "Not found";
        GET "/subscribers/by_list?list_id=79" => 422 "list_id";
        GET "/subscribers/by_list?list_id=77&per_page=1001" => 422 "per_page";
    };
    client.check(&fakes, cases).await;
    let reply = client.send_as(FORM, "POST", UPSERT, "email=a%40b.no").await;
    assert_eq!(reply.status, 415);
    assert_eq!(account.subscribers(), []);
}

#[tokio::test]
async fn invalid_bulk_inserts_are_rejected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.set_settings(MakeSettings {
        refuse_unknown_products: true,
        ..MakeSettings::default()
    });
    account.put_subscriber(Subscriber::new("anna@example.no"));
    let product = |n: usize| json!({"external_id": format!("p{n}"), "name": "P"});
    let many = |count: usize| (0..count).map(product).collect::<Value>();
    let item = |changes| subscription(merged(json!({"product_external_id": "p1"}), changes));
    let same = item(json!({}))[0].clone();
    let cases = cases! {
        POST PRODUCTS, many(1_000) => 200;
        POST PRODUCTS, many(1_001) => 422 "1000";
        POST PRODUCTS, json!({"products": [product(1)]}) => 422 "bare array";
        POST PRODUCTS, json!([]) => 422 "empty";
        POST PRODUCTS, json!(["x"]) => 422 "objects";
        POST PRODUCTS, json!([{"name": "X"}]) => 422 "0.external_id: is required";
        POST PRODUCTS, json!([{"external_id": "x"}]) => 422 "0.name: is required";
        POST PRODUCTS, json!([{"external_id": 1, "name": "x"}]) => 422 "0.external_id";
        POST PRODUCTS, json!([product(1), product(1)]) => 422 "1.external_id: is there twice";
        POST PRODUCTS, json!([{"external_id": "x", "name": "x", "price": 1}]) => 422 "0.price";
        POST SUBSCRIPTIONS, json!({"subscriptions": []}) => 422 "bare array";
        POST SUBSCRIPTIONS, item(json!({"email": "x@example.no"})) => 422 "0.email: no such";
        POST SUBSCRIPTIONS, item(json!({"product_external_id": "nope"})) => 422 "no product \"nope\"";
        POST SUBSCRIPTIONS, item(json!({"status": "ACTIVE"})) => 422 "0.status";
        POST SUBSCRIPTIONS, item(json!({"status": "overdue"})) => 422 "0.status";
        POST SUBSCRIPTIONS, item(json!({"start_date": "2025-01-15T09:00:00Z"})) => 422 "0.start_date";
        POST SUBSCRIPTIONS, item(json!({"start_date": null})) => 422 "0.start_date";
        POST SUBSCRIPTIONS, item(json!({"end_date": ""})) => 422 "0.end_date";
        POST SUBSCRIPTIONS, item(json!({"name": ""})) => 422 "0.name";
        POST SUBSCRIPTIONS, item(json!({"subscriber_external_id": "x"})) => 422 "unknown field";
        POST SUBSCRIPTIONS, json!([same, same]) => 422 "1.external_id: is there twice";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.subscriptions(), []);
}

#[tokio::test]
async fn existing_subscribers_are_protected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.no")
            .detail("firstname", "Anna")
            .detail("city", "Oslo")
            .extra("SAMTYKKEEPOST", "ja")
            .tags(&["vip", "sesamy_old"])
            .on_list(77),
    );
    let id = account.subscriber("anna@example.no").unwrap().id;
    let path = |rest: &str| format!("/subscribers/{id}{rest}");
    let active = format!("{UPSERT}&status=active");
    let cases = cases! {
        POST UPSERT, anna(json!({"firstname": "Anne", "tags": ["vip"]})) => 200;
        POST active, anna(json!({})) => 400 [ConsentChanged];
        POST UPSERT, anna(json!({"email_status": "active"})) => 400 [ConsentChanged];
        PATCH path("?status=active"), json!({}) => 400 [ConsentChanged];
        POST "/subscribers/unsubscribe_email", anna(json!({})) => 400 [ConsentChanged];
        POST "/subscribers/bulkremove", json!([]) => 400 [Deleted];
        DELETE path("") => 400 [Deleted];
        DELETE path("/subscriberlists/77") => 400 [ConsentChanged];
        DELETE "/subscriber_tags/1" => 400 [Deleted];
        POST UPSERT, anna(json!({"firstname": ""})) => 200 [ForeignDataChanged];
        POST UPSERT, anna(json!({"city": "Bergen"})) => 200 [ForeignDataChanged];
        POST UPSERT, anna(json!({"SAMTYKKEEPOST": "nei"})) => 200 [ForeignDataChanged];
        // Tags are also replaced without the parameter.
        POST "/subscribers?subscriber_list_id[]=77", anna(json!({"tags": []})) =>
            200 [ForeignTagDropped];
    };
    client.check(&fakes, cases).await;
    let status = account.subscriber("anna@example.no").unwrap().email_status;
    assert_eq!(status, "active");
}

#[tokio::test]
async fn requests_need_the_current_credentials() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    let anonymous = Client::new(&fakes.urls().make);
    let basic = |value: &str| anonymous.clone().with("authorization", value);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("key"),
        basic("Basic dXNlcg=="),
        basic("Basic dXNlcjp3cm9uZw=="),
        basic("Basic ???"),
    ] {
        let error = client.get("/subscriberlists").await.expect(401);
        assert!(error["message"].is_string());
    }
    client.get("/subscriberlists").await.expect(200);
    assert_eq!(fakes.requests()[5].account.as_deref(), Some("acme"));
    assert_eq!(fakes.requests()[5].headers["authorization"], "Basic ***");
    account.set_api_key("next");
    client.get("/subscriberlists").await.expect(401);
}

#[tokio::test]
async fn upserts_replace_or_merge_tags() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    let body = anna(json!({
        "firstname": "Anna", "company": "X AS", "external_id": "email|1",
        "tags": ["vip", "sesamy_x"],
    }));
    let made = client.post(UPSERT, body).await.expect(200);
    let look_up = json!({"email": "ANNA@example.no"});
    let found = client.post(BY_EMAIL, look_up).await.expect(200);
    assert_eq!(found, made);
    assert_eq!(found["phone"], Value::Null);
    let subscriber = account.subscriber("anna@example.no").unwrap();
    assert_eq!(subscriber.details["company"], "X AS");
    assert_eq!(subscriber.external_id.as_deref(), Some("email|1"));

    let merge = "/subscribers?subscriber_list_id=78&tag=merge";
    let check = async |path: &str, keys, expected: &[&str]| {
        client.post(path, anna(keys)).await.expect(200);
        let subscriber = account.subscriber("anna@example.no").unwrap();
        assert_eq!(subscriber.tags, expected);
    };
    check(UPSERT, json!({"tags": ["vip", "y"]}), &["vip", "y"]).await;
    check(merge, json!({"tags": ["z"]}), &["vip", "y", "z"]).await;
    check(UPSERT, json!({}), &["vip", "y", "z"]).await;
    let subscriber = account.subscriber("anna@example.no").unwrap();
    assert_eq!(subscriber.lists, [77, 78]);
    let path = format!("/subscribers/{}", made["id"]);
    let company = json!({"company": "Y AS"});
    let cases = cases! {
        PATCH path, company => 200 "Y AS";
        GET "/subscribers/by_list?list_id=78&per_page=10" => 200 "anna@example.no";
        GET "/subscriberlists" => 200 "Users";
        GET "/subscriber_tags" => 200 "{\"id\":1,\"title\":\"vip\"}";
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn moved_subscribers_keep_everything_but_the_address() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.put_subscriber(
        Subscriber::new("anna@example.no")
            .detail("city", "Oslo")
            .tags(&["vip", "sesamy_old"])
            .on_list(78)
            .unsubscribed(),
    );
    account.put_subscriber(Subscriber::new("bo@example.no"));
    let body = subscription(json!({}));
    client.post(SUBSCRIPTIONS, body).await.expect(200);
    let before = account.subscriber("anna@example.no").unwrap();
    let path = format!("/subscribers/{}", before.id);
    let to = |email: &str| json!({"email": email});
    let new = json!({"email": "new@example.no", "tags": ["vip", "sesamy_x"]});
    let cases = cases! {
        PATCH path.as_str(), to("bo@example.no") => 422 "email: belongs to another";
        PATCH path.as_str(), to("BO@example.no") => 422 "email: belongs to another";
        PATCH path.as_str(), to("anna") => 422 "email: is not an e-mail";
        PATCH path.as_str(), to("") => 422 "email: is not an e-mail";
        PATCH path.as_str(), json!({"email": null}) => 422 "email: must be a string";
        PATCH "/subscribers/999", to("new@example.no") => 404 "Not found";
        PATCH path.as_str(), to("ANNA@example.no") => 200 "anna@example.no";
        PATCH format!("{path}?tag=replace"), new => 200 "new@example.no";
        POST BY_EMAIL, anna(json!({})) => 404;
        POST BY_EMAIL, to("new@example.no") => 200 "sesamy_x";
    };
    client.check(&fakes, cases).await;
    let after = account.subscriber_by_id(before.id).unwrap();
    let expected = Subscriber {
        email: "new@example.no".into(),
        tags: vec!["vip".into(), "sesamy_x".into()],
        date_updated: after.date_updated,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(account.subscriptions_of("new@example.no").len(), 1);
    assert_eq!(account.subscribers().len(), 2);
}

#[tokio::test]
async fn refused_moves_change_nothing() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.set_settings(MakeSettings {
        refuse_moves: true,
        ..MakeSettings::default()
    });
    account.put_subscriber(Subscriber::new("anna@example.no"));
    let before = account.subscribers();
    let path = format!("/subscribers/{}", before[0].id);
    let new = json!({"email": "new@example.no", "company": "X AS"});
    let cases = cases! {
        PATCH path.as_str(), new => 422 "email: cannot be changed";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.subscribers(), before);
    let same = anna(json!({"company": "X AS"}));
    client.send("PATCH", &path, same).await.expect(200);
}

#[tokio::test]
async fn subscribers_are_read_by_id() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.put_subscriber(Subscriber::new("anna@example.no"));
    let id = account.subscriber("anna@example.no").unwrap().id;
    let path = format!("/subscribers/{id}");
    let cases = cases! {
        GET path.as_str() => 200 "anna@example.no";
        GET "/subscribers/999" => 404 "Not found";
        GET "/subscribers/anna%40example.no" => 404 "Not found";
        GET format!("{path}/") => 404 "Not found";
        GET format!("{path}?external_id=x") => 400 [Undocumented];
        GET format!("{path}?tag=replace") => 200 [UnknownParameter];
    };
    client.check(&fakes, cases).await;
    let by_email = client.post(BY_EMAIL, anna(json!({}))).await.expect(200);
    assert_eq!(client.get(&path).await.expect(200), by_email);
}

#[tokio::test]
async fn publishers_move_and_remove_subscribers() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.put_subscriber(Subscriber::new("anna@example.no"));
    let body = subscription(json!({}));
    client.post(SUBSCRIPTIONS, body).await.expect(200);
    let mut anna = account.subscriber("anna@example.no").unwrap();
    anna.email = "new@example.no".into();
    account.put_subscriber(anna.clone());
    assert_eq!(account.subscriptions_of("new@example.no").len(), 1);
    assert_eq!(account.subscribers(), [anna.clone()]);
    account.remove_subscriber("NEW@example.no");
    let path = format!("/subscribers/{}", anna.id);
    client.get(&path).await.expect(404);
    account.put_subscriber(Subscriber::new("bo@example.no"));
    assert_ne!(account.subscribers()[0].id, anna.id);
}

#[tokio::test]
async fn omitted_dates_stay_and_a_null_end_clears() {
    struct Case {
        omitted_dates_clear: bool,
        sent: Value,
        stored: [Option<&'static str>; 2],
    }
    const START: &str = "2025-01-15";
    const END: &str = "2026-01-15";
    let dates = json!({"start_date": START, "end_date": END});
    let case = |omitted_dates_clear, sent, stored| Case {
        omitted_dates_clear,
        sent,
        stored,
    };
    for case in [
        case(false, json!({}), [Some(START), Some(END)]),
        case(false, json!({"end_date": null}), [Some(START), None]),
        case(true, json!({}), [None, None]),
        case(true, dates.clone(), [Some(START), Some(END)]),
    ] {
        let fakes = Fakes::start().await.unwrap();
        let (account, client) = make(&fakes);
        account.set_settings(MakeSettings {
            omitted_dates_clear: case.omitted_dates_clear,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new("anna@example.no"));
        for dates in [dates.clone(), case.sent] {
            let body = subscription(dates);
            client.post(SUBSCRIPTIONS, body).await.expect(200);
        }
        let stored = account.subscriptions().remove(0);
        let dates = [stored.start_date.as_deref(), stored.end_date.as_deref()];
        assert_eq!(dates, case.stored);
    }
}

#[tokio::test]
async fn naming_a_list_can_activate_subscribers_that_left() {
    struct Case {
        method: &'static str,
        list: &'static str,
        lists_keep_status: bool,
        violations: &'static [ViolationKind],
        status: &'static str,
    }
    const CHANGED: &[ViolationKind] = &[ViolationKind::ConsentChanged];
    const NAMED: &str = "?subscriber_list_id[]=77";
    let case = |method, list, lists_keep_status, violations, status| Case {
        method,
        list,
        lists_keep_status,
        violations,
        status,
    };
    for case in [
        case("POST", NAMED, false, CHANGED, "active"),
        case("POST", NAMED, true, CHANGED, "bounce"),
        case("PATCH", NAMED, false, CHANGED, "active"),
        case("PATCH", NAMED, true, CHANGED, "bounce"),
        case("PATCH", "", false, &[], "bounce"),
    ] {
        let fakes = Fakes::start().await.unwrap();
        let (account, client) = make(&fakes);
        account.set_settings(MakeSettings {
            lists_keep_status: case.lists_keep_status,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new("anna@example.no").email_status("bounce"));
        let id = account.subscriber("anna@example.no").unwrap().id;
        let path = match case.method {
            "POST" => format!("/subscribers{}", case.list),
            _ => format!("/subscribers/{id}{}", case.list),
        };
        let body = anna(json!({"company": "X AS"}));
        client.send(case.method, &path, body).await.expect(200);
        let name = format!("{} {path}", case.method);
        assert_eq!(fakes.violation_kinds(), case.violations, "{name}");
        let after = account.subscriber("anna@example.no").unwrap();
        assert_eq!(after.email_status, case.status, "{name}");
        assert_eq!(after.details["company"], "X AS", "{name}");
    }
}

#[tokio::test]
async fn settings_choose_undocumented_behaviour() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = make(&fakes);
    account.put_subscriber(Subscriber::new("anna@example.no").tags(&["vip", "sesamy_Old"]));
    let objects = json!([{"id": 1, "title": "vip"}, {"id": 2, "title": "sesamy_Old"}]);
    for (tag_form, tags) in [
        (TagForm::Names, json!(["vip", "sesamy_Old"])),
        (TagForm::Ids, json!(["1", "2"])),
        (TagForm::Objects, objects),
    ] {
        account.set_settings(MakeSettings {
            tag_form,
            ..MakeSettings::default()
        });
        let found = client.post(BY_EMAIL, anna(json!({}))).await.expect(200);
        assert_eq!(found["tags"], tags);
    }
    account.set_settings(MakeSettings {
        fold_tag_case: true,
        bare_not_found: true,
        ..MakeSettings::default()
    });
    let missing = client.post(BY_EMAIL, json!({"email": "bo@example.no"}));
    assert_eq!(missing.await.expect(404), Value::Null);
    for method in ["GET", "PATCH"] {
        let body = json!({});
        let missing = client.send(method, "/subscribers/999", body).await;
        assert_eq!(missing.expect(404), Value::Null, "{method}");
    }
    let body = anna(json!({"tags": ["vip", "sesamy_old"]}));
    client.post(UPSERT, body).await.expect(200);
    let tags = account.subscriber("anna@example.no").unwrap().tags;
    assert_eq!(tags, ["vip", "sesamy_Old"]);
}
