//! The contents of secrets whose API URLs point to the fakes.

use fakes::Urls;
use serde_json::{Map, Value, json};

/// The webhook's secret: the tokens of each vendor.
pub fn webhook<'a>(tokens: impl IntoIterator<Item = (&'a str, Vec<String>)>) -> Value {
    let vendors = tokens.into_iter();
    let vendors = vendors.map(|(vendor, tokens)| (vendor.to_owned(), json!({"tokens": tokens})));
    json!({"vendors": vendors.collect::<Map<_, _>>()})
}

pub fn sesamy(urls: &Urls, client_id: &str, client_secret: &str) -> Value {
    json!({
        "clientId": client_id,
        "clientSecret": client_secret,
        "apiUrl": urls.sesamy_api,
        "tokenUrl": urls.sesamy_token,
    })
}

pub fn rule(urls: &Urls, api_key: &str) -> Value {
    json!({"apiKey": api_key, "apiUrl": urls.rule})
}

pub fn mailmojo(urls: &Urls, api_token: &str, list_id: u64) -> Value {
    json!({"apiToken": api_token, "listId": list_id.to_string(), "apiUrl": urls.mailmojo})
}

/// One set of credentials. A secret contains one set or a list of them.
pub fn make(urls: &Urls, user_id: &str, api_key: &str, list_id: u64) -> Value {
    json!({
        "userId": user_id,
        "apiKey": api_key,
        "listId": list_id.to_string(),
        "apiUrl": urls.make,
    })
}

/// New contacts are subscribed.
pub fn mailchimp(urls: &Urls, api_key: &str, list_id: &str) -> Value {
    json!({
        "apiKey": api_key,
        "listId": list_id,
        "newStatus": "subscribed",
        "apiUrl": urls.mailchimp,
    })
}

pub fn hubspot(urls: &Urls, access_token: &str) -> Value {
    json!({"accessToken": access_token, "apiUrl": urls.hubspot})
}
