//! The sample publisher of `events/`: its readers, credentials and webhooks.

use serde_json::{Map, Value, json};
use stand_ins::{Seed, Urls};

use crate::{Error, Project, Result};

/// The vendor id of the sample publisher.
pub const VENDOR: &str = "nordposten";

/// The token its webhooks carry.
pub const TOKEN: &str = "sample-token-of-webhooks";

/// What Sesamy and the CRMs hold to begin with, from `events/stand-ins.json`.
///
/// # Errors
/// When the file cannot be read.
pub fn seed(project: &Project) -> Result<Seed> {
    let path = project.root().join("events/stand-ins.json");
    Seed::read(&path)
        .map_err(|error| Error::new(format!("{} could not be read: {error}", path.display())))
}

/// The secrets of a stack, by their names after the prefix.
pub fn secrets(urls: &Urls) -> Vec<(String, Value)> {
    vec![
        (
            "webhook".to_owned(),
            json!({"vendors": {VENDOR: {"tokens": [TOKEN]}}}),
        ),
        (
            format!("{VENDOR}/sesamy"),
            json!({
                "clientId": "sample-client",
                "clientSecret": "sample-secret",
                "apiUrl": urls.sesamy_api,
                "tokenUrl": urls.sesamy_token,
            }),
        ),
        (
            format!("{VENDOR}/rule"),
            json!({"apiKey": "sample-key", "apiUrl": urls.rule}),
        ),
        (
            format!("{VENDOR}/mailmojo"),
            json!({"apiToken": "sample-token", "listId": "42", "apiUrl": urls.mailmojo}),
        ),
        (
            format!("{VENDOR}/make"),
            json!([{
                "userId": "sample-user",
                "apiKey": "sample-key",
                "listId": "77",
                "apiUrl": urls.make,
            }]),
        ),
    ]
}

/// The present second, as Sesamy writes the time of an event. One that is older
/// than a week would be queued without its event.
pub fn just_now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A webhook's body, with the ids of a contract, entitlement or checkout where there are any.
pub fn webhook(event_type: &str, user_id: &str, occurred_at: &str, ids: &[(&str, &str)]) -> Value {
    let mut body = Map::from_iter([
        ("eventType".to_owned(), event_type.into()),
        ("vendorId".to_owned(), VENDOR.into()),
        ("userId".to_owned(), user_id.into()),
        // Sesamy's spelling.
        ("occured_at".to_owned(), occurred_at.into()),
    ]);
    body.extend(
        ids.iter()
            .map(|(key, id)| ((*key).to_owned(), (*id).into())),
    );
    Value::Object(body)
}
