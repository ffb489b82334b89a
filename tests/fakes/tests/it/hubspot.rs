//! The fake of HubSpot: values, options, addresses, definitions, scopes and limits.

use fakes::{
    Fakes, ViolationKind,
    hubspot::{Contact, Definition, HubSpotAccount, HubSpotSettings, Kind},
};
use serde_json::{Value, json};

use crate::support::{Client, merged};

const CONTACTS: &str = "/crm/v3/objects/contacts";
const ANNA: &str = "/crm/v3/objects/contacts/101";
const BY_EMAIL: &str = "/crm/v3/objects/contacts/anna%40example.se?idProperty=email";
const DEFINITIONS: &str = "/crm/v3/properties/contacts";
const TAGS: &str = "/crm/v3/properties/contacts/sesamy_tags";
const BATCH: &str = "/crm/v3/properties/contacts/batch/read";
const GROUPS: &str = "/crm/v3/properties/contacts/groups";

fn anna() -> Contact {
    Contact::new("anna@example.se")
        .tags(&["vip", "sesamy_stale"])
        .property("sesamy_user_id", "email|1")
        .property("shoe_size", "38")
}

/// An account with Anna, and its client.
fn hubspot(fakes: &Fakes) -> (HubSpotAccount, Client) {
    let account = fakes.hubspot().add_account("acme", "token");
    for (name, kind) in [
        ("active_subscription_count", Kind::Number),
        ("has_active_subscription", Kind::Boolean),
        ("sesamy_will_cancel_at", Kind::Date),
        ("seen_at", Kind::DateTime),
    ] {
        account.define(Definition::new(name, kind));
    }
    assert_eq!(account.put_contact(anna()), 101);
    (account, Client::new(&fakes.urls().hubspot).bearer("token"))
}

fn set(name: &str, value: impl Into<Value>) -> Value {
    json!({"properties": {name: value.into()}})
}

fn new(properties: Value) -> Value {
    json!({"properties": properties, "associations": []})
}

fn definition(changes: Value) -> Value {
    let body = json!({
        "name": "sesamy_new",
        "label": "New",
        "type": "number",
        "fieldType": "number",
        "groupName": "contactinformation",
    });
    merged(body, changes)
}

fn option(value: &str) -> Value {
    json!({"label": value, "value": value, "hidden": false})
}

#[tokio::test]
async fn invalid_requests_are_rejected() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    account.put_contact(Contact::new("bo@example.se").secondary_email("bo@work.se"));
    account.erase("erased@example.se");
    let boolean = json!({"type": "bool", "fieldType": "booleancheckbox"});
    let names = json!({"inputs": [{"name": "email"}], "archived": false});
    let cases = cases! {
        GET "/crm/v3/objects/contacts/999" => 404 "OBJECT_NOT_FOUND";
        GET "/crm/v3/objects/contacts/x%40example.se?idProperty=email" => 404;
        GET "/crm/v3/objects/contacts/38?idProperty=shoe_size" => 400 "no unique values";
        GET "/crm/v3/objects/deals/1" => 404;
        PATCH ANNA, json!([]) => 400 "object";
        PATCH ANNA, json!({}) => 400 "properties";
        PATCH ANNA, json!({"properties": {}, "id": "1"}) => 400 "unknown";
        PATCH ANNA, set("active_subscription_count", 1) => 400 "must be a string";
        PATCH ANNA, set("sesamy_user_id", Value::Null) => 400 "must be a string";
        PATCH ANNA, set("no_such", "x") => 400 "PROPERTY_DOESNT_EXIST";
        PATCH ANNA, set("active_subscription_count", "many") => 400 "INVALID_LONG";
        PATCH ANNA, set("active_subscription_count", "1 ") => 400 "LEADING_TRAILING_WHITESPACE";
        PATCH ANNA, set("has_active_subscription", "yes") => 400 "INVALID_OPTION";
        PATCH ANNA, set("sesamy_will_cancel_at", "2026-02-30") => 400 "INVALID_DATE";
        PATCH ANNA, set("sesamy_will_cancel_at", "1777593600001") => 400 "INVALID_DATE";
        PATCH ANNA, set("seen_at", "soon") => 400 "INVALID_DATE";
        PATCH ANNA, set("sesamy_tags", "vip;sesamy_new") => 400 "INVALID_OPTION";
        PATCH ANNA, set("sesamy_tags", "vip; sesamy_stale") => 400 "INVALID_OPTION";
        PATCH ANNA, set("hs_additional_emails", "x@y.se") => 400 "READ_ONLY_VALUE";
        PATCH ANNA, set("email", "anna") => 400 "INVALID_EMAIL";
        PATCH ANNA, set("email", "bo@example.se") => 409 "Existing ID: 102";
        PATCH ANNA, set("email", "bo@work.se") => 409 "Existing ID: 102";
        PATCH ANNA, set("email", "erased@example.se") => 400 "GDPR";
        PATCH "/crm/v3/objects/contacts/102", set("sesamy_user_id", "email|1")
            => 400 "101 already has that value";
        POST CONTACTS, json!({"properties": {"email": "x@y.se"}}) => 400 "associations";
        POST CONTACTS, new(json!({"phone": "1"})) => 400 "email, firstname or lastname";
        POST CONTACTS, new(json!({"email": "Anna@Example.se"})) => 409 "Existing ID: 101";
        POST CONTACTS, new(json!({"email": "erased@example.se"})) => 400 "GDPR";
        POST DEFINITIONS, definition(json!({"name": "Sesamy"})) => 400 "lower-case";
        POST DEFINITIONS, definition(json!({"type": "text"})) => 400 "type";
        POST DEFINITIONS, definition(json!({"groupName": "sesamy2"})) => 400 "groupName";
        POST DEFINITIONS, definition(json!({"label": null})) => 400 "label";
        POST DEFINITIONS, definition(json!({"options": [option("a")]})) => 400 "enumeration";
        POST DEFINITIONS, definition(boolean) => 400 "INVALID_BOOLEAN_OPTION";
        POST DEFINITIONS, definition(json!({"name": "shoe_size"})) => 409 "OBJECT_ALREADY_EXISTS";
        PATCH TAGS, json!({"options": [{"value": "a"}]}) => 400 "label";
        PATCH TAGS, json!({"options": [option("a"), option("a")]}) => 400 "twice";
        PATCH "/crm/v3/properties/contacts/no_such", json!({"options": []}) => 404;
        PATCH "/crm/v3/properties/contacts/sesamy_user_id", json!({"options": []})
            => 400 "read-only";
        POST BATCH, json!({"inputs": [{"name": "email"}]}) => 400 "archived";
        POST BATCH, names => 400 "dataSensitivity";
        POST GROUPS, json!({"name": "sesamy"}) => 400 "label";
        POST GROUPS, json!({"name": "sesamy", "label": "S"}) => 409;
        GET "/crm/v3/properties/contacts/groups/none" => 404;
    };
    client.check(&fakes, cases).await;
    assert_eq!(account.contacts().len(), 2);
    assert_eq!(
        account
            .contact("anna@example.se")
            .unwrap()
            .get("sesamy_tags"),
        Some("vip;sesamy_stale")
    );
}

#[tokio::test]
async fn harmful_requests_are_reported() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    account.put_contact(anna().opted_out());
    let cases = cases! {
        PATCH ANNA, set("hs_email_optout", "false") => 400 [ConsentChanged];
        PATCH ANNA, set("hs_marketable_status", "true") => 400 [ConsentChanged];
        PATCH ANNA, set("lifecyclestage", "customer") => 400 [ConsentChanged];
        PATCH ANNA, set("shoe_size", "39") => 200 [ForeignDataChanged];
        PATCH ANNA, set("firstname", "Anna") => 200 [ForeignDataChanged];
        PATCH ANNA, set("sesamy_tags", "sesamy_stale") => 200 [ForeignTagDropped];
        PATCH ANNA, set("email", "new@example.se") => 200 [ConsentChanged];
        PATCH TAGS, json!({"options": [option("vip")]}) => 200 [ForeignDataChanged ForeignDataChanged];
        PATCH TAGS, json!({"options": [], "label": "X"}) => 200 [ForeignDataChanged ForeignDataChanged];
        DELETE ANNA => 400 [Deleted];
        POST "/crm/v3/objects/contacts/merge", json!({}) => 400 [Deleted];
        POST "/crm/v3/objects/contacts/gdpr-delete", json!({}) => 400 [Deleted];
        POST "/crm/v3/objects/contacts/search", json!({}) => 400 [Undocumented];
        POST "/crm/v3/objects/contacts/batch/upsert", json!({}) => 400 [Undocumented];
        DELETE TAGS => 400 [Deleted];
        GET "/crm/v3/objects/contacts/101?property=email" => 200 [UnknownParameter];
    };
    client.check(&fakes, cases).await;
}

#[tokio::test]
async fn opt_outs_belong_to_the_address() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    account.put_contact(anna().opted_out_of(7));
    let opt_outs = || account.contacts()[0].opt_outs.len();
    client
        .send("PATCH", ANNA, set("email", "new@example.se"))
        .await
        .expect(200);
    assert_eq!(opt_outs(), 0);
    assert_eq!(fakes.violation_kinds(), [ViolationKind::ConsentChanged]);
    client
        .send("PATCH", ANNA, set("email", "anna@example.se"))
        .await
        .expect(200);
    assert_eq!(opt_outs(), 1);
}

#[tokio::test]
async fn answers_have_the_properties_that_were_asked_for() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    account.put_contact(anna().secondary_email("old@example.se").opted_out());
    let asked =
        "&properties=shoe_size,no_such,sesamy_will_cancel_at,hs_additional_emails,hs_email_optout";
    let answer = client.get(&format!("{BY_EMAIL}{asked}")).await.expect(200);
    assert_eq!(answer["id"], "101");
    let properties = &answer["properties"];
    for (name, value) in [
        ("email", json!("anna@example.se")),
        ("firstname", Value::Null),
        ("shoe_size", json!("38")),
        ("sesamy_will_cancel_at", Value::Null),
        ("hs_additional_emails", json!("old@example.se")),
        ("hs_email_optout", json!("true")),
    ] {
        assert_eq!(properties.get(name), Some(&value), "{name}");
    }
    assert_eq!(properties.get("no_such"), None);
    let by_secondary = BY_EMAIL.replace("anna", "old");
    assert_eq!(client.get(&by_secondary).await.expect(200)["id"], "101");
    let by_user = "/crm/v3/objects/contacts/email%7C1?idProperty=sesamy_user_id";
    assert_eq!(client.get(by_user).await.expect(200)["id"], "101");
}

#[tokio::test]
async fn merged_contacts_answer_under_both_ids() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    let winner = account.put_contact(Contact::new("bo@example.se"));
    account.merge(winner, 101);
    assert_eq!(client.get(ANNA).await.expect(200)["id"], "102");
    assert_eq!(client.get(BY_EMAIL).await.expect(200)["id"], "102");
    account.remove_contact(winner);
    client.get(ANNA).await.expect(404);
}

#[tokio::test]
async fn multi_selects_are_replaced_or_added_to() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    let options = ["vip", "sesamy_stale", "sesamy_new"]
        .map(|value| merged(option(value), json!({"displayOrder": -1})));
    client
        .send("PATCH", TAGS, json!({"options": options}))
        .await
        .expect(200);
    let tags = || account.contacts()[0].values("sesamy_tags");
    client
        .send("PATCH", ANNA, set("sesamy_tags", ";sesamy_new"))
        .await
        .expect(200);
    assert_eq!(tags(), ["vip", "sesamy_stale", "sesamy_new"]);
    client
        .send("PATCH", ANNA, set("sesamy_tags", "sesamy_new;vip"))
        .await
        .expect(200);
    assert_eq!(tags(), ["sesamy_new", "vip"]);
    assert_eq!(fakes.violation_kinds(), []);
}

#[tokio::test]
async fn batch_of_definitions_names_those_that_do_not_exist() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    let body = |names: &[&str]| {
        let inputs: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"archived": false, "dataSensitivity": "non_sensitive", "inputs": inputs})
    };
    let all = client.post(BATCH, body(&["email"])).await.expect(200);
    assert_eq!(all["results"][0]["name"], "email");
    let some = client.post(BATCH, body(&["email", "x"])).await.expect(207);
    assert_eq!(some["numErrors"], 1);
    assert_eq!(
        client.post(BATCH, body(&["x"])).await.expect(207)["results"],
        json!([])
    );
    account.set_settings(HubSpotSettings {
        unknown_definitions_are_404: true,
        ..HubSpotSettings::default()
    });
    client.post(BATCH, body(&["x"])).await.expect(404);
}

#[tokio::test]
async fn archived_property_comes_back_as_it_was() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    account.archive_definition("sesamy_tags");
    client.get(TAGS).await.expect(404);
    let again = definition(json!({
        "name": "sesamy_tags", "type": "enumeration", "fieldType": "checkbox",
    }));
    let restored = client.post(DEFINITIONS, again).await.expect(201);
    assert_eq!(restored["options"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn calls_need_their_scopes() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    client.clone().bearer("other").get(ANNA).await.expect(401);
    account.set_scopes(&["crm.schemas.contacts.read"]);
    for (method, path) in [
        ("GET", ANNA),
        ("POST", CONTACTS),
        ("POST", DEFINITIONS),
        ("PATCH", TAGS),
    ] {
        let refused = client.send(method, path, json!({})).await.expect(403);
        assert_eq!(refused["category"], "MISSING_SCOPES", "{method} {path}");
    }
    client.get(TAGS).await.expect(200);
}

#[tokio::test]
async fn calls_beyond_a_limit_are_rejected_by_its_policy() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = hubspot(&fakes);
    let remaining = "x-hubspot-ratelimit-remaining";
    assert_eq!(client.get(ANNA).await.header(remaining), Some("189"));
    for (per_interval, per_day, policy) in [
        (Some(2), None, "TEN_SECONDLY_ROLLING"),
        (None, Some(2), "DAILY"),
    ] {
        fakes.reset();
        account.put_contact(anna());
        account.set_settings(HubSpotSettings {
            calls_per_interval: per_interval,
            calls_per_day: per_day,
            ..HubSpotSettings::default()
        });
        client.get(ANNA).await.expect(200);
        client.get(ANNA).await.expect(200);
        let refused = client.get(ANNA).await.expect(429);
        assert_eq!(refused["policyName"], policy);
    }
}
