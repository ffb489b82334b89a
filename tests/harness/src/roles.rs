//! The permissions of the functions' roles, and the calls that the functions made.

use std::{collections::BTreeSet, fmt};

use aws_credential_types::Credentials;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    Error, Function, LocalAws, Result, Stack,
    aws::{Aws, Service, list, text},
};

/// The page size of CloudTrail's `LookupEvents`.
const MAX_EVENTS: usize = 50;

/// An allowed action on a resource. Both fields may contain `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// For example `sqs:SendMessage`.
    pub action: String,
    /// The ARN.
    pub resource: String,
}

impl Grant {
    pub fn covers(&self, call: &AwsCall) -> bool {
        // The rest of the ARN names the service, the region and the account.
        let function = self.resource.split_once(":function:");
        let name = self.resource.rsplit(':').next().unwrap_or_default();
        let name = function.map_or(name, |(_, function)| function);
        matches(self.action.as_bytes(), call.action.as_bytes())
            && matches(name.as_bytes(), call.resource.as_bytes())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

/// A call that a function made and its role allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwsCall {
    pub action: String,
    /// The last part of the ARN: the name of a queue, secret, state machine or execution,
    /// `table/NAME`, `schedule/GROUP/any`, or the name of a function with its alias.
    pub resource: String,
}

impl LocalAws {
    /// A client that acts as a new IAM user with only this policy.
    pub async fn create_iam_user(&self, name: &str, policy: &Value) -> Result<Aws> {
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
        let credentials =
            credentials().ok_or_else(|| Error::new(format!("no access key in {key}")))?;
        Ok(self.aws().with_credentials(credentials))
    }
}

impl Stack<'_> {
    /// The permissions of a function's role.
    pub async fn grants(&self, function: Function) -> Result<Vec<Grant>> {
        let details = self.function_details(function).await?;
        let role = text(&details, "/Role");
        let role = role.ok_or_else(|| Error::new(format!("{function} has no role")))?;
        let policies = self.policies(role).await?;
        let statements = policies
            .iter()
            .flat_map(|policy| list(policy, "/Statement"));
        Ok(statements.flat_map(allowed_grants).collect())
    }

    /// The policies of a role.
    pub async fn policies(&self, role_arn: &str) -> Result<Vec<Value>> {
        let role = role_arn.rsplit('/').next().unwrap_or_default();
        let aws = self.local().aws();
        let names = aws.iam("ListRolePolicies", &[("RoleName", role)]).await?;
        let mut policies = Vec::new();
        for name in elements(&names, "member") {
            let policy = [("RoleName", role), ("PolicyName", name)];
            let answer = aws.iam("GetRolePolicy", &policy).await?;
            for document in elements(&answer, "PolicyDocument") {
                let document = percent_decode_str(document).decode_utf8_lossy();
                policies.push(serde_json::from_str(&document).map_err(|error| {
                    Error::new(format!("the policy {name} is not JSON: {error}"))
                })?);
            }
        }
        Ok(policies)
    }

    /// The calls that the current processes of a function have made since
    /// [`LocalAws::record_calls`].
    ///
    /// The ARN of a secret that exists ends in six random characters, so a call's
    /// resource depends on `secret_exists`.
    pub async fn recorded_calls(
        &self,
        function: Function,
        secret_exists: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<AwsCall>> {
        let mut calls = BTreeSet::new();
        for process in self.processes(function).await? {
            let Some(key) = process.variable("AWS_ACCESS_KEY_ID") else {
                continue;
            };
            // The newest events come first, so each page ends where the last one began.
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
                calls.extend(
                    events
                        .iter()
                        .filter_map(|event| parse_call(event, &secret_exists)),
                );
                if events.len() < MAX_EVENTS {
                    break;
                }
                let oldest = events.last().and_then(|event| event.get("EventTime"));
                let older = oldest.filter(|time| **time != until).cloned();
                until = older.ok_or_else(|| {
                    Error::new(format!(
                        "{function} made too many calls in one second to list them"
                    ))
                })?;
            }
        }
        Ok(calls)
    }
}

fn allowed_grants(statement: &Value) -> Vec<Grant> {
    let strings = |key| -> Vec<String> {
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
    let resources = strings("Resource");
    let actions = strings("Action").into_iter();
    let pairs = actions.flat_map(|action| {
        resources.iter().map(move |resource| Grant {
            action: action.clone(),
            resource: resource.clone(),
        })
    });
    pairs.collect()
}

fn parse_call(event: &Value, secret_exists: impl Fn(&str) -> bool) -> Option<AwsCall> {
    let (service, _) = text(event, "/EventSource")?.split_once('.')?;
    let name = text(event, "/EventName")?;
    let details: Value = serde_json::from_str(text(event, "/CloudTrailEvent")?).ok()?;
    let parameter = |key: &str| text(&details, &format!("/requestParameters/{key}"));
    let resource = if let Some(secret) = parameter("SecretId") {
        let suffix = if secret_exists(secret) { "-AbCdEf" } else { "" };
        format!("{secret}{suffix}")
    } else if let Some(url) = parameter("QueueUrl") {
        url.rsplit('/').next()?.to_owned()
    } else if let Some(arn) = parameter("stateMachineArn").or_else(|| parameter("executionArn")) {
        arn.rsplit(':').next()?.to_owned()
    } else if let Some(table) = parameter("TableName") {
        format!("table/{table}")
    } else if let Some(function) = parameter("FunctionName") {
        function.to_owned()
    } else if let Some(group) = parameter("GroupName") {
        format!("schedule/{group}/any")
    } else if name == "ListSecrets" {
        "*".to_owned()
    } else {
        return None;
    };
    Some(AwsCall {
        action: format!("{service}:{name}"),
        resource,
    })
}

/// The contents of the XML elements with this name.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(begin.as_str()).skip(1);
    parts
        .filter_map(|part| part.split_once(end.as_str()))
        .map(|(text, _)| text)
        .collect()
}

/// Matches IAM's `*` (any characters) and `?` (one character).
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => matches(rest, text),
        (Some((b'*', rest)), Some((_, after))) => matches(rest, text) || matches(pattern, after),
        (Some((b'?', rest)), Some((_, after))) => matches(rest, after),
        (Some((wanted, rest)), Some((found, after))) => wanted == found && matches(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_covers_calls_of_its_action_on_its_resource() {
        struct Case {
            grant: (&'static str, &'static str),
            call: (&'static str, &'static str),
            covered: bool,
        }
        const READ: &str = "secretsmanager:GetSecretValue";
        let case = |grant, call, covered| Case {
            grant,
            call,
            covered,
        };
        let cases = [
            case((READ, "p/*/rule-??????"), (READ, "p/v/rule-AbCdEf"), true),
            case((READ, "p/*/rule-??????"), (READ, "p/v/rule"), false),
            case((READ, "p/*/rule"), (READ, "p/v/rule"), true),
            case((READ, "p/*/rule"), (READ, "p/v/make"), false),
            case(
                (READ, "p/*/rule"),
                ("secretsmanager:PutSecretValue", "p/v/rule"),
                false,
            ),
            case(
                ("lambda:InvokeFunction", "function:e2e-Rule-1:ask"),
                ("lambda:InvokeFunction", "e2e-Rule-1:ask"),
                true,
            ),
            case(
                ("lambda:InvokeFunction", "function:e2e-Rule-1"),
                ("lambda:InvokeFunction", "e2e-Rule-1:ask"),
                false,
            ),
            case(
                ("sqs:SendMessage*", "e2e-RuleQueue.fifo"),
                ("sqs:SendMessageBatch", "e2e-RuleQueue.fifo"),
                true,
            ),
        ];
        for Case {
            grant,
            call,
            covered,
        } in cases
        {
            let grant = Grant {
                action: grant.0.to_owned(),
                resource: format!("arn:aws:service:eu-north-1:000000000000:{}", grant.1),
            };
            let call = AwsCall {
                action: call.0.to_owned(),
                resource: call.1.to_owned(),
            };
            assert_eq!(grant.covers(&call), covered, "{grant}: {call:?}");
        }
    }

    #[test]
    fn statement_allows_each_action_on_each_resource() {
        let statement =
            json!({"Effect": "Allow", "Action": ["a:b", "a:c"], "Resource": ["x", "y"]});
        let grants: Vec<_> = allowed_grants(&statement)
            .iter()
            .map(Grant::to_string)
            .collect();
        assert_eq!(grants, ["a:b on x", "a:b on y", "a:c on x", "a:c on y"]);
        let denying = json!({"Effect": "Deny", "Action": "a:b", "Resource": "x"});
        assert_eq!(allowed_grants(&denying), []);
    }
}
