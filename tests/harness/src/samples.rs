//! The sample publisher of `events/`: its users, credentials and webhooks.

use fakes::{Seed, Urls};
use serde_json::{Value, json};

use crate::{Error, Project, Result, secrets};

pub const VENDOR: &str = "nordposten";

/// The audience at Mailchimp.
pub const AUDIENCE: &str = "sample-list";

/// The token that the sample webhooks carry.
pub const TOKEN: &str = "sample-token-of-webhooks";

/// The initial data of Sesamy and the CRMs, from `events/fakes.json`.
pub fn seed(project: &Project) -> Result<Seed> {
    let path = project.root().join("events/fakes.json");
    Seed::read(&path)
        .map_err(|error| Error::new(format!("{} could not be read: {error}", path.display())))
}

/// The sample publisher's secrets, by name without the prefix.
pub fn secrets(urls: &Urls) -> Vec<(String, Value)> {
    let make = secrets::make(urls, "sample-user", "sample-key", 77);
    let vendor_secrets = [
        (
            "sesamy",
            secrets::sesamy(urls, "sample-client", "sample-secret"),
        ),
        ("rule", secrets::rule(urls, "sample-key")),
        ("mailmojo", secrets::mailmojo(urls, "sample-token", 42)),
        ("make", json!([make])),
        (
            "mailchimp",
            secrets::mailchimp(urls, "sample-key", AUDIENCE),
        ),
        ("hubspot", secrets::hubspot(urls, "sample-token")),
    ];
    let webhook = secrets::webhook([(VENDOR, vec![TOKEN.to_owned()])]);
    let vendor_secrets =
        vendor_secrets.map(|(name, content)| (format!("{VENDOR}/{name}"), content));
    [("webhook".to_owned(), webhook)]
        .into_iter()
        .chain(vendor_secrets)
        .collect()
}

/// The current time in Sesamy's format. It must be recent: a webhook older than a week is
/// queued without its event.
pub fn now_text() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A webhook's body with additional ids, for example of a contract.
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
