//! The fake of Mailchimp: statuses, merge fields, tags, events and moves.

use fakes::{
    Fakes, ViolationKind,
    mailchimp::{AudienceHandle, FieldKind, MailchimpSettings, Member, MergeField, Status},
};
use serde_json::{Value, json};

use crate::support::{Client, merged};

const MEMBERS: &str = "/lists/a1/members";
/// The MD5 of anna@example.se.
const ANNA: &str = "/lists/a1/members/HASH";
const FIELDS: &str = "/lists/a1/merge-fields";

fn path(path: &str) -> String {
    path.replace("HASH", "3aff50ed9f5efec65b50907a4d924054")
}

fn mailchimp(fakes: &Fakes) -> (AudienceHandle, Client) {
    let account = fakes.mailchimp().add_account("acme", "key-us1");
    let audience = account.add_audience("a1", "Users");
    audience.define(MergeField::new("SESAMYUSR", FieldKind::Text));
    audience.define(MergeField::new("SMYACTSUBS", FieldKind::Number));
    audience.define(MergeField::new("SMYCANCEL", FieldKind::Date));
    let client = Client::new(&fakes.urls().mailchimp).bearer("key-us1");
    (audience, client)
}

fn anna() -> Member {
    Member::new("anna@example.se")
}

/// A typical PUT.
fn put(changes: Value) -> Value {
    let body = json!({
        "email_address": "anna@example.se",
        "status_if_new": "transactional",
        "merge_fields": {"SESAMYUSR": "email|1", "SMYACTSUBS": 1, "SMYCANCEL": "2026-05-01"},
    });
    merged(body, changes)
}

fn fields(fields: Value) -> Value {
    put(json!({"merge_fields": fields}))
}

#[tokio::test]
async fn keys_are_bearer_tokens_or_passwords() {
    let fakes = Fakes::start().await.unwrap();
    let (_, client) = mailchimp(&fakes);
    // "any:key-us1" and "any:other".
    for (authorization, status) in [
        ("Bearer key-us1", 200),
        ("Basic YW55OmtleS11czE=", 200),
        ("Bearer other", 401),
        ("Basic YW55Om90aGVy", 401),
    ] {
        let client = client.clone().with("authorization", authorization);
        let reply = client.get("/ping").await;
        assert_eq!(reply.status, status, "{authorization}");
        if status == 401 {
            let kind = reply.header("content-type").unwrap().to_owned();
            assert_eq!(kind, "application/problem+json; charset=utf-8");
            assert_eq!(reply.expect(401)["title"], "API Key Invalid");
        }
    }
}

#[tokio::test]
async fn invalid_writes_are_rejected_as_a_whole() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    for before in [None, Some(anna().status(Status::Unsubscribed))] {
        before
            .into_iter()
            .for_each(|member| audience.put_member(member));
        let before = audience.members();
        let cases = cases! {
            PUT path(ANNA), json!([]) => 400 "Invalid Resource";
            PUT path(ANNA), put(json!({"email_address": ""})) => 400 "email_address";
            PUT path(ANNA), put(json!({"email_address": null})) => 400 "email_address";
            PUT path(ANNA), put(json!({"status_if_new": "archived"})) => 400 "status_if_new";
            PUT path(ANNA), put(json!({"status_if_new": 1})) => 400 "status_if_new";
            PUT path(ANNA), put(json!({"nickname": "A"})) => 400 "nickname";
            PUT path(ANNA), put(json!({"merge_fields": []})) => 400 "merge_fields";
            PUT path(ANNA), fields(json!({"SMYACTSUBS": "AAAAA"})) => 400 "SMYACTSUBS";
            PUT path(ANNA), fields(json!({"SMYACTSUBS": null})) => 400 "SMYACTSUBS";
            PUT path(ANNA), fields(json!({"SMYCANCEL": "05/01/2026"})) => 400 "SMYCANCEL";
            PUT path(ANNA), fields(json!({"SESAMYUSR": true})) => 400 "SESAMYUSR";
            PUT "/lists/b2/members/HASH", put(json!({})) => 404 "Resource Not Found";
            PATCH "/lists/a1/members/unknown", json!({}) => 404 "Resource Not Found";
            GET "/lists/a1/members/unknown" => 404 "Resource Not Found";
            GET "/lists/b2" => 404 "Resource Not Found";
            GET "/lists/a1/members?count=1001" => 400 "count";
        };
        client.check(&fakes, cases).await;
        assert_eq!(audience.members(), before);
    }
}

#[tokio::test]
async fn a_put_creates_with_the_new_status_and_keeps_an_existing_one() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let created = client
        .send("PUT", &path(ANNA), put(json!({})))
        .await
        .expect(200);
    assert_eq!(created["status"], "transactional");
    assert_eq!(created["id"], path("HASH"));
    assert_eq!(created["merge_fields"]["SMYACTSUBS"], 1);
    assert_eq!(created["merge_fields"]["FNAME"], "", "every field is shown");
    assert_eq!(created["merge_fields"].as_object().unwrap().len(), 7);
    let contact_id = created["contact_id"].as_str().unwrap();
    for id in [contact_id, "anna%40example.se"] {
        let found = client.get(&format!("{MEMBERS}/{id}")).await.expect(200);
        assert_eq!(found, created);
    }
    for status in [Status::Unsubscribed, Status::Cleaned, Status::Archived] {
        audience.put_member(audience.member("anna@example.se").unwrap().status(status));
        client
            .send("PUT", &path(ANNA), put(json!({})))
            .await
            .expect(200);
        client
            .send(
                "PATCH",
                &path(ANNA),
                json!({"merge_fields": {"SMYACTSUBS": 2}}),
            )
            .await
            .expect(200);
        assert_eq!(audience.member("anna@example.se").unwrap().status, status);
    }
    assert_eq!(fakes.violations(), []);
}

#[tokio::test]
async fn refused_addresses_have_their_titles() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    audience.put_member(anna());
    audience.forget_address("gone@example.se");
    let to = |email: &str| put(json!({"email_address": email}));
    let cases = cases! {
        PUT "/lists/a1/members/1", to("anna@example.se") => 400 "Member Exists";
        PUT "/lists/a1/members/1", to("gone@example.se") => 400 "Forgotten Email Not Subscribed";
        PUT "/lists/a1/members/1", to("anna@fake.example") => 400 "Invalid Resource";
        PUT "/lists/a1/members/1", to("anna") => 400 "Invalid Resource";
    };
    client.check(&fakes, cases).await;
    assert_eq!(audience.members().len(), 1);
}

#[tokio::test]
async fn harmful_writes_are_reported() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let member = anna().names("Anne", "Aas").field("SHOE", 38).tags(&["vip"]);
    audience.put_member(member);
    let other = put(json!({"email_address": "other@example.se"}));
    let cases = cases! {
        PATCH path(ANNA), json!({"status": "subscribed"}) => 200 [ConsentChanged];
        PUT path(ANNA), put(json!({"status": "subscribed"})) => 200 [ConsentChanged];
        PATCH path(ANNA), json!({"language": "sv"}) => 200 [ForeignDataChanged];
        PATCH path(ANNA), json!({"merge_fields": {"SHOE": 39}}) => 200 [ForeignDataChanged];
        PATCH path(ANNA), json!({"merge_fields": {"FNAME": "Anna"}}) => 200 [ForeignDataChanged];
        PATCH path(ANNA), json!({"merge_fields": {"PHONE": "+46701234567"}}) => 200;
        PUT path(ANNA), put(json!({"tags": ["sesamy_x"]})) => 200 [Undocumented];
        PUT path(ANNA), other => 200 [WrongContact];
        DELETE path(ANNA) => 400 [Deleted];
        POST path("/lists/a1/members/HASH/actions/delete-permanent") => 400 [Deleted];
        DELETE "/lists/a1/merge-fields/1" => 400 [Deleted];
        GET path("/lists/a1/members/HASH?extra=1") => 200 [UnknownParameter];
    };
    client.check(&fakes, cases).await;
    let french = client.with("accept-language", "fr");
    fakes.clear_violations();
    french.get(&path(ANNA)).await.expect(200);
    assert_eq!(fakes.violation_kinds(), [ViolationKind::Undocumented]);
}

#[tokio::test]
async fn required_merge_fields_are_checked_unless_the_call_says_otherwise() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    audience.define(MergeField {
        required: true,
        ..MergeField::new("SHOE", FieldKind::Number)
    });
    let skipping = path(&format!("{ANNA}?skip_merge_validation=true"));
    let cases = cases! {
        PUT path(ANNA), put(json!({})) => 400 "SHOE";
        PUT skipping.clone(), put(json!({})) => 200;
        PATCH path(ANNA), json!({}) => 400 "SHOE";
        PATCH skipping, json!({}) => 200;
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn merge_fields_have_types_tags_and_a_limit() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let field = |changes| {
        merged(
            json!({"tag": "SHOE", "name": "Shoe", "type": "number"}),
            changes,
        )
    };
    let cases = cases! {
        POST FIELDS, json!([]) => 400 "Invalid Resource";
        POST FIELDS, json!({"tag": "SHOE", "name": "Shoe"}) => 400 "type";
        POST FIELDS, field(json!({"type": "boolean"})) => 400 "type";
        POST FIELDS, field(json!({"name": ""})) => 400 "name";
        POST FIELDS, field(json!({"tag": "ELEVENCHARS"})) => 400 "tag";
        POST FIELDS, field(json!({"tag": "shoe"})) => 400 "tag";
        POST FIELDS, field(json!({"public": "no"})) => 400 "public";
        POST FIELDS, field(json!({})) => 200 "SHOE";
        POST FIELDS, field(json!({})) => 400 "already exists";
    };
    client.check(&fakes, cases).await;
    let list = client
        .get("/lists/a1/merge-fields?count=1000")
        .await
        .expect(200);
    assert_eq!(list["total_items"], 8);
    assert_eq!(list["merge_field_limit"], 30);
    let page = client
        .get("/lists/a1/merge-fields?count=2&offset=7")
        .await
        .expect(200);
    assert_eq!(page["merge_fields"][0]["tag"], "SHOE");
    assert_eq!(page["merge_fields"].as_array().unwrap().len(), 1);

    for hides_limit in [false, true] {
        audience.account().set_settings(MailchimpSettings {
            merge_field_limit: 8,
            shows_limit: false,
            hides_limit,
            ..MailchimpSettings::default()
        });
        let status = if hides_limit { 200 } else { 400 };
        client
            .post(FIELDS, field(json!({"tag": "HAT"})))
            .await
            .expect(status);
        let list = client.get(FIELDS).await.expect(200);
        assert_eq!(list["total_items"], 8);
        assert_eq!(list.get("merge_field_limit"), None);
    }
}

#[tokio::test]
async fn an_american_phone_field_takes_american_numbers_only() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    audience.define(MergeField {
        phone_format: Some("US".to_owned()),
        ..MergeField::new("PHONE", FieldKind::Phone)
    });
    let cases = cases! {
        PUT path(ANNA), fields(json!({"PHONE": "+46701234567"})) => 400 "PHONE";
        PUT path(ANNA), fields(json!({"PHONE": "404-555-0100"})) => 200;
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn unknown_merge_tags_are_ignored_and_an_empty_text_clears() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let write = fields(json!({"SMYACTSUBS": "2", "SMYCANCEL": "", "NOSUCH": "x"}));
    client.send("PUT", &path(ANNA), write).await.expect(200);
    let member = audience.member("anna@example.se").unwrap();
    assert_eq!(json!(member.merge_fields), json!({"SMYACTSUBS": "2"}));
}

#[tokio::test]
async fn tags_are_added_and_removed_without_regard_to_case() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let tags = path("/lists/a1/members/HASH/tags");
    let tag = |name: &str, status: &str| json!({"name": name, "status": status});
    let one = |name: &str, status: &str| json!({"tags": [tag(name, status)]});
    let twice = json!({"tags": [tag("sesamy_x", "active"), tag("sesamy_X", "inactive")]});
    let unknown = cases! {
        POST tags.clone(), one("sesamy_x", "active") => 404;
    };
    client.check(&fakes, unknown).await;
    audience.put_member(anna().tags(&["vip"]));
    let cases = cases! {
        POST tags.clone(), json!({}) => 400 "tags";
        POST tags.clone(), json!({"tags": [{"name": "x"}]}) => 400 "status";
        POST tags.clone(), json!({"tags": [{"status": "active"}]}) => 400 "name";
        POST tags.clone(), json!({"tags": [], "is_syncing": 1}) => 400 "is_syncing";
        POST tags.clone(), json!({"tags": []}) => 204;
        POST tags.clone(), one("sesamy_X", "active") => 204;
        POST tags.clone(), one("sesamy_x", "inactive") => 204;
        POST tags.clone(), one("sesamy_x", "inactive") => 204;
        POST tags.clone(), one("sesamy_x", "active") => 204;
        POST tags.clone(), twice => 204 [Undocumented];
        POST tags.clone(), one("sesamy_x", "active") => 204;
        POST tags.clone(), one("vip", "inactive") => 204 [ForeignTagDropped];
    };
    client.check(&fakes, cases).await;
    let member = audience.member("anna@example.se").unwrap();
    assert_eq!(
        member.tags,
        ["sesamy_X"],
        "the first spelling of the audience"
    );
}

#[tokio::test]
async fn a_member_shows_fifty_tags_and_their_number() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let names: Vec<String> = (0..60).map(|n| format!("tag {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    audience.put_member(anna().tags(&names));
    let shown = client
        .get(&path("/lists/a1/members/HASH?fields=tags,tags_count"))
        .await
        .expect(200);
    assert_eq!(shown["tags"].as_array().unwrap().len(), 50);
    assert_eq!(shown["tags_count"], 60);
    assert_eq!(shown.as_object().unwrap().len(), 2);
    let list = client
        .get(&path("/lists/a1/members/HASH/tags?count=1000"))
        .await
        .expect(200);
    assert_eq!(list["tags"].as_array().unwrap().len(), 60);
    let page = client
        .get(&path("/lists/a1/members/HASH/tags?offset=55"))
        .await
        .expect(200);
    assert_eq!(page["tags"].as_array().unwrap().len(), 5);
    let members = client
        .get("/lists/a1/members?count=1&fields=members.id,total_items")
        .await
        .expect(200);
    assert_eq!(
        members,
        json!({"members": [{"id": path("HASH")}], "total_items": 1})
    );
}

#[tokio::test]
async fn each_event_is_kept() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    let events = path("/lists/a1/members/HASH/events");
    let event = |changes| merged(json!({"name": "sesamy_x"}), changes);
    let unknown = cases! {
        POST events.clone(), event(json!({})) => 404;
    };
    client.check(&fakes, unknown).await;
    audience.put_member(anna());
    let cases = cases! {
        POST events.clone(), json!({}) => 400 "name";
        POST events.clone(), json!({"name": "x"}) => 400 "name";
        POST events.clone(), json!({"name": "x".repeat(31)}) => 400 "name";
        POST events.clone(), event(json!({"properties": {"n": 1}})) => 400 "properties";
        POST events.clone(), event(json!({"properties": {"n": "x".repeat(1000)}})) => 400 "properties";
        POST events.clone(), event(json!({"occurred_at": "yesterday"})) => 400 "occurred_at";
        POST events.clone(), event(json!({"extra": 1})) => 400 "extra";
        POST events.clone(), event(json!({"occurred_at": "2026-01-01T00:00:00Z"})) => 204;
        POST events.clone(), event(json!({"properties": {"n": "1"}, "is_syncing": true})) => 204;
        GET events => 200 "sesamy_x";
    };
    client.check(&fakes, cases).await;
    assert_eq!(audience.member("anna@example.se").unwrap().events.len(), 2);
}

#[tokio::test]
async fn only_subscribed_members_move_and_only_to_addresses_never_seen() {
    let fakes = Fakes::start().await.unwrap();
    let (audience, client) = mailchimp(&fakes);
    audience.put_member(Member::new("taken@example.se"));
    audience.forget_address("gone@example.se");
    let to = |email: &str| json!({"email_address": email});
    for status in [
        Status::Unsubscribed,
        Status::Cleaned,
        Status::Pending,
        Status::Transactional,
    ] {
        audience.put_member(anna().status(status));
        let cases = cases! {
            PATCH path(ANNA), to("new@example.se") => 400 "email address";
        };
        client.check(&fakes, cases).await;
    }
    audience.put_member(anna().field("SHOE", 38).tags(&["vip"]));
    let before = audience.member("anna@example.se").unwrap();
    let cases = cases! {
        PATCH path(ANNA), to("taken@example.se") => 400 "email address";
        PATCH path(ANNA), to("gone@example.se") => 400 "email address";
        PATCH path(ANNA), to("new") => 400 "email address";
        PATCH path(ANNA), to("Anna@example.se") => 200;
        PATCH path(ANNA), to("new@example.se") => 200;
        PATCH path(ANNA), json!({}) => 404;
    };
    client.check(&fakes, cases).await;
    let moved = Member {
        email_address: "new@example.se".to_owned(),
        ..before
    };
    assert_eq!(audience.member("new@example.se"), Some(moved));

    audience.account().set_settings(MailchimpSettings {
        refuse_moves: true,
        ..MailchimpSettings::default()
    });
    let contact_id = audience.member("new@example.se").unwrap().contact_id;
    let member = format!("{MEMBERS}/{contact_id}");
    let moved = client.send("PATCH", &member, to("anna@example.se")).await;
    moved.expect(400);
}
