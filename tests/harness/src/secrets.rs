//! The contents of secrets whose API URLs point to the fakes.

use fakes::Urls;
use serde_json::{Map, Value, json};

use crate::Connector;

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

/// The keys that lead to the fakes, by secret: what `make onboard` stores beside the
/// credentials.
pub fn api_urls(urls: &Urls) -> Value {
    let crms = Connector::ALL.into_iter().map(|connector| {
        let url = match connector {
            Connector::Rule => &urls.rule,
            Connector::Mailmojo => &urls.mailmojo,
            Connector::Make => &urls.make,
            Connector::Mailchimp => &urls.mailchimp,
            Connector::Hubspot => &urls.hubspot,
        };
        (connector.name().to_owned(), json!({"apiUrl": url}))
    });
    let sesamy = json!({"apiUrl": urls.sesamy_api, "tokenUrl": urls.sesamy_token});
    let apis = crms.chain([("sesamy".to_owned(), sesamy)]);
    apis.collect::<Map<_, _>>().into()
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
