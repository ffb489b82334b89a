use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;
use shared::connector::Connector;
use shared::http::{ApiError, ApiErrorKind};
use shared::secrets::{FromSecret, Keys, SecretFault};

use crate::sync::Make;

/// Source: Make.as's documentation and SDK.
const API_URL: &str = "https://subscribers.dialogapi.no/api/public/v2";

/// One list per set. Bounds the work of one sync.
const MAX_SETS: usize = 50;

/// The secret `{prefix}/{vendorId}/make`: one set of credentials or an array.
#[derive(Debug)]
pub struct MakeCredentials {
    /// At least one.
    pub sets: Vec<CredentialSet>,
    /// A malformed set disables its own list only.
    pub malformed: Vec<MalformedSet>,
}

#[derive(Debug)]
pub struct MalformedSet {
    /// Its position in the array, from 1.
    number: usize,
    fault: SecretFault,
}

impl MalformedSet {
    /// The name in answers: the set may have no list id.
    pub fn name(&self) -> String {
        format!("set {} of the secret", self.number)
    }

    pub fn error(&self) -> ApiError {
        ApiError {
            api: Make::NAME,
            endpoint: "credentials",
            kind: ApiErrorKind::Credentials(SecretFault::InSet {
                number: self.number,
                fault: Box::new(self.fault.clone()),
            }),
        }
    }
}

#[derive(Debug)]
pub struct CredentialSet {
    /// The user name of the calls.
    pub user_id: SecretString,
    /// The password of the calls.
    pub api_key: SecretString,
    pub list_id: String,
    /// With the API's version.
    pub api_url: Url,
}

impl FromSecret for MakeCredentials {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let Value::Array(array) = json else {
            let sets = vec![read_set(json)?];
            let malformed = Vec::new();
            return Ok(Self { sets, malformed });
        };
        if array.is_empty() || array.len() > MAX_SETS {
            return Err(SecretFault::WrongNumber { max: MAX_SETS });
        }
        let (mut sets, mut malformed) = (Vec::new(), Vec::new());
        for (number, set) in (1..).zip(array) {
            match read_set(set) {
                Ok(set) => sets.push(set),
                Err(fault) => malformed.push(MalformedSet { number, fault }),
            }
        }
        match malformed.first() {
            // Without any valid set the whole secret is refused.
            Some(first) if sets.is_empty() => Err(SecretFault::InSet {
                number: first.number,
                fault: Box::new(first.fault.clone()),
            }),
            _ => Ok(Self { sets, malformed }),
        }
    }
}

fn read_set(json: &Value) -> Result<CredentialSet, SecretFault> {
    let keys = Keys::new(json)?;
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
    fn the_secret_is_one_set_or_an_array() {
        let set = json!({ "userId": 17, "apiKey": "k", "listId": "42" });
        let one = MakeCredentials::from_secret(&set).unwrap();
        assert_eq!(one.sets.len(), 1);
        assert_eq!(one.sets[0].list_id, "42");
        let many = MakeCredentials::from_secret(&json!([set, set])).unwrap();
        assert_eq!(many.sets.len(), 2);
    }

    #[test]
    fn no_valid_set_or_too_many_sets_are_refused() {
        let set = json!({ "userId": "u", "apiKey": "k", "listId": "1" });
        struct Case {
            secret: Value,
            fault: &'static str,
        }
        let cases = [
            Case {
                secret: json!([]),
                fault: "it must hold between 1 and 50 sets of credentials",
            },
            Case {
                secret: json!(vec![set; MAX_SETS + 1]),
                fault: "it must hold between 1 and 50 sets of credentials",
            },
            Case {
                secret: json!({ "userId": "u" }),
                fault: "key \"apiKey\" is missing",
            },
            Case {
                secret: json!([{ "userId": "u" }, {}]),
                fault: "set 1 of it: key \"apiKey\" is missing",
            },
        ];
        for case in cases {
            let fault = MakeCredentials::from_secret(&case.secret).unwrap_err();
            assert_eq!(fault.to_string(), case.fault);
        }
    }

    #[test]
    fn a_malformed_set_disables_only_itself() {
        let set = json!({ "userId": "u", "apiKey": "k", "listId": "1" });
        let secret = json!([set, { "userId": "u" }, set, "s3cret"]);
        let credentials = MakeCredentials::from_secret(&secret).unwrap();
        assert_eq!(credentials.sets.len(), 2);
        let errors = credentials.malformed.iter().map(|set| {
            assert!(set.error().is_refusal());
            set.error().to_string()
        });
        let expected = [
            "make credentials: the secret is malformed: set 2 of it: key \"apiKey\" is missing",
            "make credentials: the secret is malformed: set 4 of it: it is not a JSON object",
        ];
        assert_eq!(errors.collect::<Vec<_>>(), expected);
    }
}
