//! What opens a vendor's Make.as lists.

use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;
use shared::http::{ApiError, Fault};
use shared::secrets::{FromSecret, Keys, SecretFault};

use crate::client::API_NAME;

/// Where Make.as's subscriber API is. Source: Make.as's documentation and SDK.
const API_URL: &str = "https://subscribers.dialogapi.no/api/public/v2";

/// How many lists a vendor may have. Bounds the work of one sync.
const MAX_SETS: usize = 50;

/// A vendor's Make.as lists: the secret `{prefix}/{vendorId}/make`, one object
/// or an array of such.
#[derive(Debug)]
pub struct MakeCredentials {
    /// The sets that can be read, one per list. At least one.
    pub sets: Vec<CredentialSet>,
    /// What is wrong with each of the others, which are refused alone.
    pub malformed: Vec<MalformedSet>,
}

/// A set that cannot be read.
#[derive(Debug)]
pub struct MalformedSet {
    /// Its place in the array, counted from 1.
    pub number: usize,
    fault: SecretFault,
}

impl MalformedSet {
    /// The set as answers name it, since it may have no list id.
    pub fn name(&self) -> String {
        format!("set {} of the secret", self.number)
    }

    /// The error that everything comes to that needs the set.
    pub fn error(&self) -> ApiError {
        ApiError {
            api: API_NAME,
            endpoint: "credentials",
            fault: Fault::Credentials(SecretFault::InSet {
                number: self.number,
                fault: Box::new(self.fault.clone()),
            }),
        }
    }
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
            // With no set to go on with, the secret as a whole is of no use.
            Some(first) if sets.is_empty() => Err(SecretFault::InSet {
                number: first.number,
                fault: Box::new(first.fault.clone()),
            }),
            _ => Ok(Self { sets, malformed }),
        }
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
    fn no_set_too_many_or_none_that_can_be_read_is_a_fault() {
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
    fn a_malformed_set_disables_itself_alone() {
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
