//! The sample publisher of `events/`: its users, credentials and webhooks.

use fakes::{Seed, Urls};
use serde_json::{Value, json};

use crate::{Error, Project, Result, secrets};

pub const VENDOR: &str = "nordposten";

/// The token of its webhooks.
pub const TOKEN: &str = "sample-token-of-webhooks";

/// What Sesamy and the CRMs hold at the start, from `events/fakes.json`.
pub fn seed(project: &Project) -> Result<Seed> {
    let path = project.root().join("events/fakes.json");
    Seed::read(&path)
        .map_err(|error| Error::new(format!("{} could not be read: {error}", path.display())))
}

/// The sample publisher's secrets, by name without the prefix.
pub fn secrets(urls: &Urls) -> Vec<(String, Value)> {
    let make = secrets::make(urls, "sample-user", "sample-key", 77);
    let of_vendor = [
        (
            "sesamy",
            secrets::sesamy(urls, "sample-client", "sample-secret"),
        ),
        ("rule", secrets::rule(urls, "sample-key")),
        ("mailmojo", secrets::mailmojo(urls, "sample-token", 42)),
        ("make", json!([make])),
    ];
    let webhook = secrets::webhook([(VENDOR, vec![TOKEN.to_owned()])]);
    let of_vendor = of_vendor.map(|(name, content)| (format!("{VENDOR}/{name}"), content));
    [("webhook".to_owned(), webhook)]
        .into_iter()
        .chain(of_vendor)
        .collect()
}

/// The present second, as Sesamy writes the time of an event. A webhook older
/// than a week is queued without its event.
pub fn just_now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A webhook's body, with further ids such as that of a contract.
pub fn webhook(event_type: &str, user_id: &str, occurred_at: &str, ids: &[(&str, &str)]) -> Value {
    let mut body = crate::webhook(event_type, VENDOR, user_id, occurred_at);
    if let Some(body) = body.as_object_mut() {
        body.extend(
            ids.iter()
                .map(|(key, id)| ((*key).to_owned(), (*id).into())),
        );
    }
    body
}
