//! What opens a vendor's Make.as lists.

use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// Where Make.as's subscriber API is. Source: Make.as's documentation and SDK.
const API_URL: &str = "https://subscribers.dialogapi.no/api/public/v2";

/// How many lists a vendor may have. Bounds the work of one sync.
const MAX_SETS: usize = 50;

/// A vendor's Make.as lists: the secret `{prefix}/{vendorId}/make`, one object
/// or an array of such.
#[derive(Debug)]
pub struct MakeCredentials {
    /// One set per list. At least one.
    pub sets: Vec<CredentialSet>,
}

/// What opens one list.
#[derive(Debug)]
pub struct CredentialSet {
    /// The user id, which is the user name of its calls.
    pub user_id: SecretString,
    /// The key, which is the password of its calls.
    pub api_key: SecretString,
    /// The list readers are put on.
    pub list_id: String,
    /// The address with the API's version.
    pub api_url: Url,
}

impl FromSecret for MakeCredentials {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let sets = match json {
            Value::Array(sets) => sets.iter().map(read_set).collect::<Result<Vec<_>, _>>()?,
            one => vec![read_set(one)?],
        };
        if sets.is_empty() || sets.len() > MAX_SETS {
            return Err(SecretFault::WrongNumber { max: MAX_SETS });
        }
        Ok(Self { sets })
    }
}

fn read_set(json: &Value) -> Result<CredentialSet, SecretFault> {
    let keys = Keys::of(json)?;
    Ok(CredentialSet {
        user_id: keys.id("userId")?.into(),
        api_key: keys.secret("apiKey")?,
        list_id: keys.id("listId")?,
        api_url: keys.url("apiUrl", API_URL)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_set_or_many_open_lists() {
        let set = json!({ "userId": 17, "apiKey": "k", "listId": "42" });
        let one = MakeCredentials::from_secret(&set).unwrap();
        assert_eq!(one.sets.len(), 1);
        assert_eq!(one.sets[0].list_id, "42");
        let many = MakeCredentials::from_secret(&json!([set, set])).unwrap();
        assert_eq!(many.sets.len(), 2);
    }

    #[test]
    fn no_set_too_many_or_a_bad_one_is_a_fault() {
        let set = json!({ "userId": "u", "apiKey": "k", "listId": "1" });
        let bad = [
            json!([]),
            json!(vec![set.clone(); MAX_SETS + 1]),
            json!([set, {}]),
        ];
        for secret in bad {
            assert!(MakeCredentials::from_secret(&secret).is_err());
        }
    }
}
