//! The fields that each CRM receives for a user with nothing but an address.
//! Cases list their differences from these.

use serde_json::{Map, Value, json};

/// Spelt out, so that a lost or renamed field breaks a case.
pub fn rule(user: &str) -> Map<String, Value> {
    let cleared = [
        "Sesamy_User.FirstName",
        "Sesamy_User.LastName",
        "Sesamy_User.Created",
        "Sesamy_BillingAddress.FirstName",
        "Sesamy_BillingAddress.LastName",
        "Sesamy_BillingAddress.Street",
        "Sesamy_BillingAddress.City",
        "Sesamy_BillingAddress.Zip",
        "Sesamy_BillingAddress.Co",
        "Sesamy_BillingAddress.Country",
        "Sesamy_BillingAddress.Department",
        "Sesamy_ActiveProducts.SKU",
        "Sesamy_ActiveProducts.Titles",
        "Sesamy_ActiveProducts.OptionTitles",
        "Sesamy_Subscription.Status",
        "Sesamy_Subscription.ExpiresAt",
        "Sesamy_Subscription.CanceledAt",
        "Sesamy_Subscription.CreatedAt",
    ];
    let mut fields: Map<String, Value> = cleared
        .into_iter()
        .map(|key| (key.to_owned(), json!("")))
        .collect();
    fields.insert("Sesamy_User.ID".to_owned(), json!(user));
    fields
}

pub fn mailmojo(user: &str) -> Map<String, Value> {
    let Value::Object(fields) = json!({
        "Sesamy User ID": user,
        "Has Active Subscription": false,
        "Articles Purchased": 0,
        "Active Subscriptions": 0,
        "Canceled Subscriptions": 0,
        "Expired Subscriptions": 0,
        "Ended Subscriptions Total": 0,
        "Issues Remaining": null,
        "Subscription Expires At": null,
        "Contract Duration Type": null,
        "Last Payment Date": null,
        "Next Payment Date": null,
        "Will Cancel At": null,
    }) else {
        unreachable!("it is an object")
    };
    fields
}

pub fn make(user: &str, email: &str, tags: &[String]) -> Map<String, Value> {
    let Value::Object(bodies) = json!({
        "subscriber": { "email": email, "external_id": user, "tags": tags },
        "products": [],
        "subscriptions": [],
    }) else {
        unreachable!("it is an object")
    };
    bodies
}

/// Gives a subscription at Make.as an end of null unless the case sets one.
pub fn default_end_date(subscription: &mut Value) {
    if let Value::Object(fields) = subscription {
        fields.entry("end_date").or_insert(Value::Null);
    }
}
