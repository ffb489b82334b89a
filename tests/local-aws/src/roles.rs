//! What the functions' roles allow, and what the functions asked of AWS.

use std::{collections::BTreeSet, fmt};

use aws_credential_types::Credentials;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    Error, Function, LocalAws, Result, Stack,
    aws::{Aws, Service, list, text},
};

/// The most calls that are told at once.
const MOST_CALLS: usize = 50;

/// Something that a role allows. Both parts may hold `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The action, such as `sqs:SendMessage`.
    pub action: String,
    /// The ARN.
    pub resource: String,
}

impl Grant {
    /// Whether it allows the call.
    pub fn covers(&self, call: &Call) -> bool {
        // The rest of the ARN is the service, the region and the account.
        let name = self.resource.rsplit(':').next().unwrap_or_default();
        fits(self.action.as_bytes(), call.action.as_bytes())
            && fits(name.as_bytes(), call.resource.as_bytes())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

/// A call that a function made and that was allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The action.
    pub action: String,
    /// The last part of the ARN of what it was made on: a queue's, a secret's
    /// or a table's name.
    pub resource: String,
}

impl LocalAws {
    /// A client that acts as a new person of this name who has this policy and
    /// no other.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn person(&self, name: &str, policy: &Value) -> Result<Aws> {
        let user = ("UserName", name);
        self.aws().iam("CreateUser", &[user]).await?;
        let document = policy.to_string();
        let policy = [user, ("PolicyName", name), ("PolicyDocument", &document)];
        self.aws().iam("PutUserPolicy", &policy).await?;
        let key = self.aws().iam("CreateAccessKey", &[user]).await?;
        let part = |part| elements(&key, part).first().copied();
        let credentials = || {
            let (id, secret) = (part("AccessKeyId")?, part("SecretAccessKey")?);
            Some(Credentials::from_keys(id, secret, None))
        };
        let credentials = credentials().ok_or_else(|| Error::new(format!("no key: {key}")))?;
        Ok(self.aws().with_credentials(credentials))
    }
}

impl Stack<'_> {
    /// All that the role of a function allows.
    ///
    /// # Errors
    /// When the role cannot be read.
    pub async fn grants(&self, function: Function) -> Result<Vec<Grant>> {
        let details = self.function(function).await?;
        let role = text(&details, "/Role").and_then(|arn| arn.rsplit('/').next());
        let role = role.ok_or_else(|| Error::new(format!("{function} has no role")))?;
        let aws = self.local().aws();
        let policies = aws.iam("ListRolePolicies", &[("RoleName", role)]).await?;
        let mut grants = Vec::new();
        for name in elements(&policies, "member") {
            let of_role = [("RoleName", role), ("PolicyName", name)];
            let answer = aws.iam("GetRolePolicy", &of_role).await?;
            for document in elements(&answer, "PolicyDocument") {
                let document = percent_decode_str(document).decode_utf8_lossy();
                let document: Value = serde_json::from_str(&document)
                    .map_err(|error| Error::new(format!("the policy {name}: {error}")))?;
                grants.extend(list(&document, "/Statement").iter().flat_map(allowed));
            }
        }
        Ok(grants)
    }

    /// The calls that a function made since [`LocalAws::note_calls`] was
    /// called, in the processes it has now. Of a secret the name is the one in
    /// its ARN: AWS adds six characters where there is such a secret, which
    /// `is_there` tells.
    ///
    /// [`LocalAws::note_calls`]: crate::LocalAws::note_calls
    ///
    /// # Errors
    /// When the local AWS refuses, or there are more than it tells of.
    pub async fn calls(
        &self,
        function: Function,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<Call>> {
        let mut calls = BTreeSet::new();
        for key in self.access_keys(function).await? {
            // Newest first, so many at once: what is before them is asked for next.
            let mut until = Value::Null;
            loop {
                let attribute = json!({"AttributeKey": "AccessKeyId", "AttributeValue": key});
                let mut input = json!({"LookupAttributes": [attribute]});
                if let Some(input) = input.as_object_mut().filter(|_| !until.is_null()) {
                    input.insert("EndTime".to_owned(), until.clone());
                }
                let aws = self.local().aws();
                let output = aws.call(Service::Trail, "LookupEvents", &input).await?;
                let events = list(&output, "/Events");
                calls.extend(events.iter().filter_map(|event| call(event, &is_there)));
                let oldest = events.last().and_then(|event| event.get("EventTime"));
                match oldest {
                    Some(oldest) if events.len() >= MOST_CALLS && *oldest != until => {
                        until = oldest.clone();
                    }
                    Some(_) if events.len() >= MOST_CALLS => {
                        return Err(Error::new(format!(
                            "{function} made too many calls at once to tell"
                        )));
                    }
                    _ => break,
                }
            }
        }
        Ok(calls)
    }
}

/// What a statement allows; one that denies allows nothing.
fn allowed(statement: &Value) -> Vec<Grant> {
    let texts = |key| -> Vec<String> {
        let value = statement.get(key).cloned().unwrap_or_default();
        match value {
            Value::String(text) => vec![text],
            other => list(&other, "")
                .iter()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect(),
        }
    };
    if text(statement, "/Effect") != Some("Allow") {
        return Vec::new();
    }
    let resources = texts("Resource");
    let actions = texts("Action").into_iter();
    let pairs = actions.flat_map(|action| {
        resources.iter().map(move |resource| Grant {
            action: action.clone(),
            resource: resource.clone(),
        })
    });
    pairs.collect()
}

fn call(event: &Value, is_there: impl Fn(&str) -> bool) -> Option<Call> {
    let (service, _) = text(event, "/EventSource")?.split_once('.')?;
    let name = text(event, "/EventName")?;
    let details: Value = serde_json::from_str(text(event, "/CloudTrailEvent")?).ok()?;
    let secret = text(&details, "/requestParameters/SecretId").map(|name| {
        let suffix = if is_there(name) { "-AbCdEf" } else { "" };
        format!("{name}{suffix}")
    });
    let queue = text(&details, "/requestParameters/QueueUrl");
    let queue = queue.and_then(|url| url.rsplit('/').next());
    let table = text(&details, "/requestParameters/TableName");
    let table = table.map(|name| format!("table/{name}"));
    // It is about no secret in particular.
    let anything = (name == "ListSecrets").then(|| "*".to_owned());
    let resource = secret.or_else(|| queue.map(str::to_owned)).or(table);
    Some(Call {
        action: format!("{service}:{name}"),
        resource: resource.or(anything)?,
    })
}

/// The texts of the elements of this name. IAM answers in XML.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(begin.as_str()).skip(1);
    parts
        .filter_map(|part| part.split_once(end.as_str()))
        .map(|(text, _)| text)
        .collect()
}

/// Whether a text is of a pattern, in which `*` stands for anything and `?` for
/// one character.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, text),
        (Some((b'*', rest)), Some((_, after))) => fits(rest, text) || fits(pattern, after),
        (Some((b'?', rest)), Some((_, after))) => fits(rest, after),
        (Some((wanted, rest)), Some((found, after))) => wanted == found && fits(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_calls_of_its_action_on_its_resource() {
        let secrets = "arn:aws:secretsmanager:eu-north-1:000000000000:secret:";
        let queue = "arn:aws:sqs:eu-north-1:000000000000:e2e-RuleQueue.fifo";
        let read = "secretsmanager:GetSecretValue";
        let cases = [
            (read, "p/*/rule-??????", read, "p/v/rule-AbCdEf", true),
            (read, "p/*/rule-??????", read, "p/v/rule", false),
            (read, "p/*/rule", read, "p/v/rule", true),
            (read, "p/*/rule", read, "p/v/make", false),
            (
                read,
                "p/*/rule",
                "secretsmanager:PutSecretValue",
                "p/v/rule",
                false,
            ),
        ];
        for (action, resource, called, on, covered) in cases {
            let grant = Grant {
                action: action.to_owned(),
                resource: format!("{secrets}{resource}"),
            };
            let call = Call {
                action: called.to_owned(),
                resource: on.to_owned(),
            };
            assert_eq!(grant.covers(&call), covered, "{grant}: {call:?}");
        }
        let grant = Grant {
            action: "sqs:SendMessage*".to_owned(),
            resource: queue.to_owned(),
        };
        let call = Call {
            action: "sqs:SendMessageBatch".to_owned(),
            resource: "e2e-RuleQueue.fifo".to_owned(),
        };
        assert!(grant.covers(&call));
    }

    #[test]
    fn a_statement_allows_each_action_on_each_resource() {
        let statement =
            json!({"Effect": "Allow", "Action": ["a:b", "a:c"], "Resource": ["x", "y"]});
        let grants: Vec<_> = allowed(&statement).iter().map(Grant::to_string).collect();
        assert_eq!(grants, ["a:b on x", "a:b on y", "a:c on x", "a:c on y"]);
        let denying = json!({"Effect": "Deny", "Action": "a:b", "Resource": "x"});
        assert_eq!(allowed(&denying), []);
    }
}
