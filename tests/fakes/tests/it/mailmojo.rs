//! The fake of Mailmojo: paths, scopes, fields, replaced tags and consent.

use fakes::{
    Fakes, ViolationKind,
    mailmojo::{
        Contact, FieldKind, FieldsEndpoint, MailmojoAccount, MailmojoSettings, Status, WriteMode,
    },
};
use serde_json::{Value, json};

use crate::support::{Client, merged};

const ANNA: &str = "/v1/contacts/anna%40example.no/";
const LIST: &str = "/v1/lists/42/subscribers/";
const FIELDS: &str = "/v1/fields/";

fn mailmojo(fakes: &Fakes) -> (MailmojoAccount, Client) {
    let account = fakes.mailmojo().add_account("acme", "token");
    account.add_list(42, "Users");
    account.define("Sesamy User ID", FieldKind::Text);
    account.define("Active Subscriptions", FieldKind::Number);
    account.define("Will Cancel At", FieldKind::Date);
    account.define("Has Active Subscription", FieldKind::Boolean);
    (account, Client::new(&fakes.urls().mailmojo).bearer("token"))
}

/// Anna's e-mail and these keys.
fn anna(keys: Value) -> Value {
    merged(json!({"email": "anna@example.no"}), keys)
}

fn custom(name: &str, value: impl Into<Value>) -> Value {
    anna(json!({"custom": {name: value.into()}}))
}

/// A typical write.
fn contact(changes: Value) -> Value {
    let body = anna(json!({
        "first_name": "Anna",
        "tags": ["sesamy_active_subscriber"],
        "custom": {
            "Sesamy User ID": "email|1",
            "Has Active Subscription": true,
            "Active Subscriptions": 1,
            "Will Cancel At": "2026-05-01",
        },
    }));
    merged(body, changes)
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let before = Contact::new("anna@example.no").on_list(42, Status::Active);
    account.put_contact(before.clone());
    for (method, path) in [("PATCH", ANNA), ("POST", LIST)] {
        // `ANY` is a placeholder for the method.
        let mut cases = cases! {
            ANY path, json!([]) => 400 "object";
            ANY path, json!({"first_name": "Anna"}) => 400 "email";
            ANY path, anna(json!({"email": null})) => 400 "email";
            ANY path, anna(json!({"email": ""})) => 400 "email";
            ANY path, anna(json!({"email": "anna"})) => 400 "email";
            ANY path, anna(json!({"nickname": "A"})) => 400 "nickname";
            ANY path, anna(json!({"first_name": null})) => 400 "first_name";
            ANY path, anna(json!({"phone": 4_790_000_000_u64})) => 400 "phone";
            ANY path, anna(json!({"tags": "x"})) => 400 "tags";
            ANY path, anna(json!({"tags": [1]})) => 400 "tags.0";
            ANY path, anna(json!({"tags": [""]})) => 400 "tags.0";
            ANY path, anna(json!({"tags": ["x".repeat(100)]})) => 400 "tags.0";
            ANY path, anna(json!({"custom": []})) => 400 "custom";
            ANY path, custom("No Such Field", "x") => 400 "custom.No Such Field";
            ANY path, custom("sesamy user id", "x") => 400 "custom.sesamy user id";
            ANY path, custom("Active Subscriptions", "1") => 400 "custom.Active Subscriptions";
            ANY path, custom("Has Active Subscription", "true") => 400 "custom.Has Active";
            ANY path, custom("Sesamy User ID", 1) => 400 "custom.Sesamy User ID";
            ANY path, custom("Will Cancel At", "") => 400 "custom.Will Cancel At";
            ANY path, custom("Will Cancel At", "2026-05-01T10:00:00Z") => 400 "custom.Will Cancel At";
        };
        for case in &mut cases {
            case.method = method;
        }
        client.check(&fakes, cases).await;
        let body = contact(json!({})).to_string();
        let reply = client.send_as("text/plain", method, path, &body).await;
        assert_eq!(reply.status, 415);
    }
    let cases = cases! {
        POST LIST, anna(json!({"force_subscribe": "no"})) => 400 "force_subscribe";
        POST FIELDS, json!({"name": "Sesamy User ID", "type": "text"}) => 400 "exists already";
        POST FIELDS, json!({"name": "", "type": "number"}) => 400 "name";
        POST FIELDS, json!({"name": "X"}) => 400 "type";
        POST FIELDS, json!({"name": "X", "type": "integer"}) => 400 "type";
        POST FIELDS, json!({"name": "X", "type": "text", "group": 1}) => 400 "group";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.contacts(), [before]);
}

#[tokio::test]
async fn existing_contacts_are_protected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.put_contact(
        Contact::new("anna@example.no")
            .names("Anna", "Berg")
            .phone("+4790000000")
            .tags(&["vip", "sesamy_old"])
            .custom("Shoe Size", 38)
            .on_list(42, Status::Active),
    );
    let cases = cases! {
        PATCH ANNA, anna(json!({"first_name": "Anna", "tags": ["vip"]})) => 200;
        PATCH ANNA, anna(json!({"status": "a"})) => 400 [ConsentChanged];
        PATCH ANNA, anna(json!({"force_subscribe": false})) => 400 [ConsentChanged];
        PATCH ANNA, anna(json!({"first_name": "Anne"})) => 200 [ForeignDataChanged];
        PATCH ANNA, anna(json!({"phone": ""})) => 200 [ForeignDataChanged];
        PATCH ANNA, anna(json!({"name": "Anna B"})) => 200 [ForeignDataChanged];
        PATCH ANNA, custom("Shoe Size", Value::Null) => 200 [ForeignDataChanged];
        PATCH ANNA, anna(json!({"tags": ["sesamy_x"]})) => 200 [ForeignTagDropped];
        POST LIST, anna(json!({"force_subscribe": true})) => 201 [ConsentChanged];
        POST LIST, anna(json!({"last_name": "Borg"})) => 201 [ForeignDataChanged];
        DELETE "/v1/lists/42/subscribers/anna%40example.no/" => 400 [ConsentChanged];
        POST "/v1/lists/42/subscribers/import/", json!({}) => 400 [ConsentChanged];
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn paths_are_read_strictly() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.put_contact(Contact::new("a+b@example.no"));
    let cases = cases! {
        GET "/v1/contacts/a%2Bb%40example.no/" => 200;
        GET "/v1/contacts/A%2Bb%40example.no/" => 200;
        GET "/v1/contacts/a%2Bb%40example.no" => 404 "detail";
        GET "/v1/contacts/a+b%40example.no/" => 400 "percent-encoded";
        GET "/v1/contacts/a%2Bb@example.no/" => 400 "percent-encoded";
        GET "/v1/contacts/unknown%40example.no/" => 404;
        GET "/v1/lists/42/" => 200 "Users";
        GET "/v1/lists/42" => 404;
        GET "/v1/lists/43/" => 404;
        GET "/v1/lists/Users/" => 404;
        GET "/v2/lists/42/" => 404;
        POST "/v1/lists/43/subscribers/", contact(json!({})) => 404;
        POST "/v1/lists/42/subscribers", contact(json!({})) => 404;
        PATCH ANNA, contact(json!({})) => 404;
        GET "/v1/lists/42/?page=2" => 200 [UnknownParameter];
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn requests_need_the_current_token_and_its_scopes() {
    struct Case {
        scopes: &'static [&'static str],
        /// For reading a contact, changing it, joining a list, reading the list, and listing
        /// the fields.
        statuses: [u16; 5],
    }
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.put_contact(Contact::new("anna@example.no"));
    let anonymous = Client::new(&fakes.urls().mailmojo);
    for client in [
        anonymous.clone(),
        anonymous.clone().bearer("wrong"),
        anonymous.with("authorization", "Basic dG9rZW46"),
    ] {
        let error = client.get(ANNA).await.expect(401);
        assert!(error["detail"].is_string());
    }
    for case in [
        Case {
            scopes: &[],
            statuses: [403; 5],
        },
        Case {
            scopes: &["contacts:read"],
            statuses: [200, 403, 403, 403, 403],
        },
        Case {
            scopes: &["contacts", "lists"],
            statuses: [200, 200, 403, 200, 403],
        },
        Case {
            scopes: &["subscribe", "account"],
            statuses: [403, 403, 201, 403, 200],
        },
    ] {
        account.set_scopes(case.scopes);
        let mut requests = cases! {
            GET ANNA => 200;
            PATCH ANNA, anna(json!({})) => 200;
            POST LIST, anna(json!({"force_subscribe": false})) => 201;
            GET "/v1/lists/42/" => 200;
            GET FIELDS => 200;
        };
        for (request, status) in requests.iter_mut().zip(case.statuses) {
            request.status = status;
        }
        client.check(&fakes, requests).await;
    }
    account.set_token("next");
    client.get(ANNA).await.expect(401);
}

#[tokio::test]
async fn contacts_join_a_list_and_change() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let body = contact(json!({"force_subscribe": false}));
    let made = client.post(LIST, body).await.expect(201);
    assert_eq!(made["status"], "a");
    assert_eq!(made["list_associations"][0]["list_id"], 42);
    let patch = anna(json!({
        "tags": ["sesamy_x"],
        "custom": {"Will Cancel At": null, "Active Subscriptions": 2},
    }));
    let changed = client.send("PATCH", ANNA, patch).await.expect(200);
    assert_eq!(changed["tags"], json!(["sesamy_x"]));
    assert_eq!(changed.get("status"), None);
    let contact = account.contact("Anna@example.no").unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anna"));
    assert_eq!(contact.on(42), Some(Status::Active));
    assert_eq!(contact.custom.get("Will Cancel At"), None);
    assert_eq!(contact.custom["Active Subscriptions"], 2);
    assert_eq!(contact.custom["Sesamy User ID"], "email|1");
    let members = client.get(&format!("{LIST}?limit=5")).await.expect(200);
    assert_eq!(members.as_array().unwrap().len(), 1);

    let field = json!({"name": "Issues Remaining", "type": "number"});
    client.post(FIELDS, field).await.expect(201);
    let kind = account.definitions()["Issues Remaining"];
    assert_eq!(kind, FieldKind::Number);
    assert_eq!(fakes.violation_kinds(), []);
}

#[tokio::test]
async fn moved_contacts_keep_everything_but_the_address() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let long = "y".repeat(150);
    let before = Contact::new("anna@example.no")
        .names("Anna", "Berg")
        .phone("+4790000000")
        .tags(&["vip", &long])
        .custom("Shoe Size", 38)
        .status(Status::Bounced)
        .on_list(42, Status::Unsubscribed)
        .on_list(43, Status::Active);
    account.put_contact(before.clone());
    account.put_contact(Contact::new("bo@example.no"));
    account.keep_out("out@example.no");
    let to = |email: &str| json!({"email": email});
    let new = json!({"email": "new@example.no", "tags": ["vip", long, "sesamy_x"]});
    let cases = cases! {
        PATCH ANNA, to("bo@example.no") => 400 "belongs to another contact";
        PATCH ANNA, to("BO@example.no") => 400 "belongs to another contact";
        PATCH ANNA, to("Out@example.no") => 400 "is kept out";
        PATCH ANNA, to("new") => 400 "is not an e-mail";
        PATCH "/v1/contacts/unknown%40example.no/", to("new@example.no") => 404 "Not found";
        PATCH ANNA, to("ANNA@example.no") => 200 "anna@example.no";
        PATCH ANNA, new => 200 "new@example.no";
        GET ANNA => 404;
        GET "/v1/contacts/new%40example.no/" => 200 "sesamy_x";
    };
    client.check(&fakes, cases).await;
    let expected = Contact {
        email: "new@example.no".into(),
        tags: vec!["vip".into(), long, "sesamy_x".into()],
        ..before
    };
    assert_eq!(account.contact("new@example.no").unwrap(), expected);
    assert_eq!(account.contacts().len(), 2);
}

#[tokio::test]
async fn refused_moves_change_nothing() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.set_settings(MailmojoSettings {
        refuse_moves: true,
        ..MailmojoSettings::default()
    });
    account.put_contact(Contact::new("anna@example.no"));
    let before = account.contacts();
    let new = contact(json!({"email": "new@example.no"}));
    let cases = cases! {
        PATCH ANNA, new => 400 "cannot be changed";
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.contacts(), before);
    let same = contact(json!({}));
    client.send("PATCH", ANNA, same).await.expect(200);
}

#[tokio::test]
async fn publishers_remove_contacts() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.put_contact(Contact::new("anna@example.no"));
    account.remove_contact("Anna@example.no");
    client.get(ANNA).await.expect(404);
    assert_eq!(account.contacts(), []);
}

#[tokio::test]
async fn long_tags_that_a_contact_already_has_survive() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let long = "y".repeat(150);
    account.put_contact(Contact::new("anna@example.no").tags(&[&long]));
    let body = anna(json!({"tags": [long, "sesamy_x"]}));
    client.send("PATCH", ANNA, body).await.expect(200);
    let contact = account.contact("anna@example.no").unwrap();
    assert_eq!(contact.tags, [long, "sesamy_x".into()]);
}

#[tokio::test]
async fn contacts_that_left_rejoin_only_by_force() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let new = || Contact::new("anna@example.no");
    for before in [
        new().on_list(42, Status::Unsubscribed),
        new().on_list(42, Status::Bounced),
        new().status(Status::Unsubscribed),
        new().status(Status::Deleted).on_list(42, Status::Active),
    ] {
        let unforced = contact(json!({"force_subscribe": false}));
        account.put_contact(before.clone());
        client.post(LIST, unforced.clone()).await.expect(400);
        assert_eq!(account.contact("anna@example.no").unwrap(), before);
        account.set_settings(MailmojoSettings {
            refuse_unsubscribed: false,
            ..MailmojoSettings::default()
        });
        client.post(LIST, unforced).await.expect(201);
        let after = account.contact("anna@example.no").unwrap();
        assert_eq!((after.status, after.on(42)), (before.status, before.on(42)));
        assert_eq!(after.tags, ["sesamy_active_subscriber"]);
        account.set_settings(MailmojoSettings::default());
        assert_eq!(fakes.violation_kinds(), []);
        // An absent flag means true.
        client.post(LIST, contact(json!({}))).await.expect(201);
        let after = account.contact("anna@example.no").unwrap();
        assert_eq!(after.status, Status::Active);
        assert_eq!(after.on(42), Some(Status::Active));
        assert_eq!(fakes.violation_kinds(), [ViolationKind::ConsentChanged]);
        fakes.clear_violations();
    }
    let new = json!({"email": "new@example.no"});
    client.post(LIST, new).await.expect(201);
    assert_eq!(fakes.violation_kinds(), []);
}

#[tokio::test]
async fn settings_choose_undocumented_behaviour() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    let before = Contact::new("anna@example.no")
        .tags(&["vip", "sesamy_Old"])
        .custom("Shoe Size", 38);
    account.put_contact(before.clone());
    account.set_settings(MailmojoSettings {
        tags: WriteMode::Merge,
        custom: WriteMode::Replace,
        drop_unknown_fields: true,
        fold_tag_case: true,
        ..MailmojoSettings::default()
    });
    let body = anna(json!({
        "tags": ["sesamy_old", "sesamy_new"],
        "custom": {"Shoe Size": 38, "Unknown Field": "x"},
    }));
    client.send("PATCH", ANNA, body).await.expect(200);
    let after = account.contact("anna@example.no").unwrap();
    assert_eq!(after.tags, ["vip", "sesamy_Old", "sesamy_new"]);
    assert_eq!(after.custom, before.custom);
    assert_eq!(fakes.violation_kinds(), []);
    let body = anna(json!({"custom": {}}));
    client.send("PATCH", ANNA, body).await.expect(200);
    let lost = [ViolationKind::ForeignDataChanged];
    assert_eq!(fakes.violation_kinds(), lost);
}

#[tokio::test]
async fn fields_endpoint_can_be_closed() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    account.put_contact(Contact::new("anna@example.no"));
    for status in [403, 404, 405] {
        account.set_settings(MailmojoSettings {
            fields: FieldsEndpoint::Refused(status),
            ..MailmojoSettings::default()
        });
        let field = json!({"name": "X", "type": "text"});
        client.get(FIELDS).await.expect(status);
        client.post(FIELDS, field).await.expect(status);
        let unknown = custom("Unknown Field", "x");
        client.send("PATCH", ANNA, unknown).await.expect(200);
    }
}

#[tokio::test]
async fn kept_out_addresses_cannot_join_a_list() {
    for known in [false, true] {
        let fakes = Fakes::start().await.unwrap();
        let (account, client) = mailmojo(&fakes);
        account.keep_out("Anna@example.no");
        if known {
            account.put_contact(Contact::new("anna@example.no"));
        }
        let before = account.contacts();
        let unforced = contact(json!({"force_subscribe": false}));
        client.post(LIST, unforced).await.expect(400);
        assert_eq!(account.contacts(), before);
        let status = if known { 200 } else { 404 };
        let patch = client.send("PATCH", ANNA, contact(json!({}))).await;
        patch.expect(status);
    }
}

#[tokio::test]
async fn first_name_does_not_replace_a_whole_name_of_two_words() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = mailmojo(&fakes);
    for (name, violations) in [
        ("Anna Berg", &[ViolationKind::ForeignDataChanged][..]),
        ("Anna", &[]),
    ] {
        fakes.clear_violations();
        account.put_contact(Contact::new("anna@example.no").whole_name(name));
        let patch = client.send("PATCH", ANNA, contact(json!({}))).await;
        patch.expect(200);
        assert_eq!(fakes.violation_kinds(), violations, "{name}");
    }
}
