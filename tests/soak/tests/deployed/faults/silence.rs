//! No function tells of persons or credentials, whatever happens to it.
//!
//! The table has driven the connectors through every fault. Here the webhook
//! and the operator function are driven as well, then everything that any of
//! them wrote or answered is searched.

use std::time::Duration;

use local_aws::{Connector, Error, Function, Result, eventually};
use serde_json::{Value, json};
use soak::{
    Crm, Deployed,
    marks::{self, MARK, PHONE},
};

/// The functions by the last part of their log group's name.
const FUNCTIONS: [&str; 5] = ["webhook", "rule", "mailmojo", "make", "operator"];

use super::{
    case::{Case, Secrets},
    table::Then,
};

/// How long it may take until what is sent here has come to its end.
const LIMIT: Duration = Duration::from_secs(90);

/// What was asked of a function, and what it answered.
type Answer = (String, String);

/// Where something is told that must not be, in these answers or any log.
pub async fn broken(deployed: &Deployed, answers: Vec<Answer>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for (name, answer) in answers {
        if let Some(around) = marks::found(&answer) {
            told.push(format!("the answer to {name} tells: {around}"));
        }
    }
    for function in FUNCTIONS {
        let lines = deployed.lines(function, "").await?;
        // Of a function that wrote nothing nothing is known.
        if lines.len() < 5 {
            told.push(format!("{function} logged {} lines", lines.len()));
        }
        let marked = lines.iter().filter_map(|line| marks::found(line));
        told.extend(marked.map(|around| format!("{function} logged: {around}")));
    }
    Ok(told)
}

/// How many messages of each CRM wait hidden; none while others wait.
async fn in_flight(deployed: &Deployed) -> Result<Option<Vec<u64>>> {
    let mut hidden = Vec::new();
    for crm in Crm::ALL {
        let depth = deployed.depth(crm).await?;
        if depth.total() > depth.in_flight {
            return Ok(None);
        }
        hidden.push(depth.in_flight);
    }
    Ok(Some(hidden))
}

/// What the webhook and the operator function answer to whatever may come.
pub async fn answers(deployed: &Deployed) -> Result<Vec<Answer>> {
    let waiting = hidden(deployed).await?;
    let mut answers = Vec::new();
    let vendor = "silence";
    let token = format!("{MARK}-token");
    let tokens = json!({"vendors": {vendor: {"tokens": [token]}}});
    let secrets = [
        tokens,
        json!({"vendors": {vendor: {"tokens": MARK}}}),
        json!(MARK),
    ];
    for secret in &secrets {
        deployed.stack.put_secret("webhook", secret).await?;
        // A token that is not known makes the secret be read again.
        for authorization in [Some(format!("Bearer {token}")), Some(MARK.to_owned()), None] {
            for (name, body) in bodies(vendor) {
                let answer = deployed.stack.post(authorization.as_deref(), body).await?;
                answers.push((format!("a webhook with {name}"), format!("{answer:?}")));
            }
        }
    }
    for crm in Crm::ALL {
        let poison = [
            format!("{MARK}@reader.example {PHONE}"),
            json!({"userId": MARK}).to_string(),
        ];
        let poison: Vec<_> = poison
            .into_iter()
            .map(|body| (format!("poison-{}", body.len()), body))
            .collect();
        deployed.enqueue(crm, &poison).await?;
    }
    let actions = [
        json!({"action": "status"}),
        json!({"action": "redrive", "connector": "rule", "vendorId": "nobody"}),
        json!({"action": MARK, MARK: PHONE}),
        json!(MARK),
    ];
    for action in actions {
        let answer = deployed.stack.invoke(Function::Operator, &action).await?;
        // What was asked may be quoted to whoever asked.
        let asked = action.to_string().contains(MARK);
        if !asked {
            answers.push((action.to_string(), answer.to_string()));
        }
    }
    until_handled(deployed, &waiting).await?;
    Ok(answers)
}

/// What the functions answer to a person who asks about the reader of a case:
/// of each CRM one who was synced, and one whose publisher's secret is no good.
pub async fn asked(deployed: &Deployed, cases: &[&Case]) -> Result<Vec<Answer>> {
    let waiting = hidden(deployed).await?;
    let mut answers = Vec::new();
    for crm in Crm::ALL {
        let connector = match crm {
            Crm::Rule => Connector::Rule,
            Crm::Mailmojo => Connector::Mailmojo,
            Crm::Make => Connector::Make,
        };
        for secrets in [Secrets::Good, Secrets::MalformedOfConnector] {
            let case = cases.iter().find(|case| {
                let synced = matches!(case.then, Then::Retried | Then::Refused);
                case.crm == crm && case.secrets == secrets && synced
            });
            let case = case.ok_or_else(|| Error::new(format!("no case of {crm}")))?;
            let of = |action: &str| json!({"action": action, "vendorId": case.id, "userId": case.user()});
            let mut forget = of("forget");
            if let Some(forget) = forget.as_object_mut() {
                forget.insert("email".to_owned(), case.email().into());
            }
            let check = json!({"action": "check", "vendorId": case.id});
            let asked = [
                (connector.function(), check),
                (connector.function(), of("preview")),
                (connector.function(), forget),
                (Function::Operator, of("resync")),
                (connector.function(), json!({"action": MARK, MARK: PHONE})),
            ];
            for (function, event) in asked {
                // Behind a message that is refused this one would wait for long.
                if function == Function::Operator && secrets != Secrets::Good {
                    continue;
                }
                let answer = deployed.stack.invoke(function, &event).await?;
                // An action that is none is named to whoever asked.
                if event.get("vendorId").is_some() {
                    let name = format!("{} of {}", text(&event, "action"), case.id);
                    answers.push((name, answer.to_string()));
                }
            }
        }
    }
    until_handled(deployed, &waiting).await?;
    Ok(answers)
}

/// Waits until no more is hidden than before, and nothing waits.
async fn until_handled(deployed: &Deployed, before: &[u64]) -> Result<()> {
    eventually("what was sent to be handled", LIMIT, async || {
        let now = in_flight(deployed).await?;
        Ok((now.as_deref() == Some(before)).then_some(()))
    })
    .await
}

/// How many messages of each CRM wait hidden, once none waits otherwise: what
/// is refused comes back now and then.
async fn hidden(deployed: &Deployed) -> Result<Vec<u64>> {
    eventually("all that waits to be hidden", LIMIT, async || {
        in_flight(deployed).await
    })
    .await
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Bodies of every kind of webhook, each with something marked in it.
fn bodies(vendor: &str) -> Vec<(&'static str, String)> {
    let valid = json!({
        "eventType": "userVendor.1#update",
        "vendorId": vendor,
        "userId": "email|silence",
        "occured_at": "2026-01-15T09:30:00Z",
        "email": format!("{MARK}@reader.example"),
        "user": {"firstName": MARK, "phone": PHONE},
    });
    let with = |key: &str, value: Value| {
        let mut body = valid.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert(key.to_owned(), value);
        }
        body.to_string()
    };
    vec![
        ("unknown fields", valid.to_string()),
        ("a broken body", format!("{{\"{MARK}\": \"{MARK}")),
        ("a text for a body", json!(MARK).to_string()),
        ("a wrong type", with("userId", json!({MARK: PHONE}))),
        ("no timestamp", with("occured_at", json!(MARK))),
        (
            "a wrong id",
            with("contractId", json!(format!("{MARK} {PHONE}"))),
        ),
        ("a long id", with("contractId", json!(MARK.repeat(60)))),
        ("a large body", with("note", json!(MARK.repeat(20_000)))),
    ]
}
