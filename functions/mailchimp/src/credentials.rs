use reqwest::Url;
use secrecy::SecretString;
use shared::secrets::{FromSecret, Keys, SecretFault};

use crate::client::Status;

/// The secret `{prefix}/{vendorId}/mailchimp`.
#[derive(Debug)]
pub struct MailchimpCredentials {
    pub api_key: SecretString,
    /// An audience.
    pub list_id: String,
    /// The status of a new member. Has no default: the publisher says with what
    /// consent a new contact comes.
    pub new_status: Status,
    /// Whether each event becomes activity of its member.
    pub events: bool,
    /// With the API's version.
    pub api_url: Url,
}

impl FromSecret for MailchimpCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        let default = data_centre(keys.text("apiKey")?);
        if default.is_none() && keys.value("apiUrl").is_none() {
            return Err(SecretFault::Wrong {
                key: "apiKey",
                expected: "a key that ends in the data centre, such as -us1",
            });
        }
        // Source: Mailchimp's documentation.
        let default = format!(
            "https://{}.api.mailchimp.com/3.0",
            default.unwrap_or_default()
        );
        Ok(Self {
            api_key: keys.secret("apiKey")?,
            list_id: keys.id("listId")?,
            new_status: new_status(keys.text("newStatus")?)?,
            events: keys.flag("events", true)?,
            api_url: keys.url("apiUrl", &default)?,
        })
    }
}

/// The part of the key after the last dash, if it can be part of a host name.
fn data_centre(api_key: &str) -> Option<&str> {
    let (_, centre) = api_key.trim().rsplit_once('-')?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (!centre.is_empty() && centre.bytes().all(plain)).then_some(centre)
}

fn new_status(text: &str) -> Result<Status, SecretFault> {
    match serde_json::from_value(text.into()) {
        Ok(status @ (Status::Subscribed | Status::Pending | Status::Transactional)) => Ok(status),
        _ => Err(SecretFault::Wrong {
            key: "newStatus",
            expected: "subscribed, pending or transactional",
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Result<MailchimpCredentials, SecretFault> {
        MailchimpCredentials::from_secret(&json)
    }

    #[test]
    fn the_key_names_the_data_centre() {
        let credentials =
            read(json!({ "apiKey": "k-us1", "listId": "a1", "newStatus": "pending" })).unwrap();
        assert_eq!(
            credentials.api_url.as_str(),
            "https://us1.api.mailchimp.com/3.0"
        );
        assert_eq!(credentials.new_status, Status::Pending);
        assert!(credentials.events);
        for key in ["k", "k-", "k-us1.example.com/", "k-us1@evil"] {
            let secret = json!({ "apiKey": key, "listId": "a1", "newStatus": "pending" });
            let fault = read(secret).unwrap_err();
            assert!(
                matches!(fault, SecretFault::Wrong { key: "apiKey", .. }),
                "{key}"
            );
        }
    }

    #[test]
    fn the_status_of_new_members_has_no_default() {
        let secret = json!({ "apiKey": "k-us1", "listId": "a1" });
        assert_eq!(read(secret).unwrap_err(), SecretFault::Missing("newStatus"));
        for status in ["unsubscribed", "cleaned", "archived", "Subscribed", "yes"] {
            let secret = json!({ "apiKey": "k-us1", "listId": "a1", "newStatus": status });
            assert!(read(secret).is_err(), "{status}");
        }
    }
}
