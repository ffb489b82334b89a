//! The connectors of the stack, as the function's environment names them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sqs::Client;
use shared::sqs::SqsQueue;
use thiserror::Error;

/// Both are FIFO: while one message of a group is in flight, SQS hands out none of the
/// later ones.
#[derive(Debug)]
pub struct ConnectorQueues {
    pub queue: SqsQueue,
    pub dead_letter_queue: SqsQueue,
}

pub type NamedQueues<'a> = (&'a String, &'a ConnectorQueues);

/// At least one connector, by name.
#[derive(Debug)]
pub struct Connectors(BTreeMap<String, ConnectorQueues>);

#[derive(Debug, Error)]
#[error(
    "CONNECTORS is not of the form NAME=QUEUE_URL,DEAD_LETTER_QUEUE_URL;… with each name once, near {0:?}; deploy the function with the template, which sets it"
)]
pub struct InvalidConnectors(String);

#[derive(Debug, Error)]
#[error("this stack has no connector `{name}`; it has: {known}")]
pub struct UnknownConnector {
    name: String,
    known: String,
}

impl Connectors {
    pub fn parse(text: &str, client: &Client) -> Result<Self, InvalidConnectors> {
        let mut connectors = BTreeMap::new();
        for part in text.split(';') {
            let invalid = || InvalidConnectors(part.to_owned());
            let (name, queues) = parse_connector(part, client).ok_or_else(invalid)?;
            if connectors.insert(name.to_owned(), queues).is_some() {
                return Err(invalid());
            }
        }
        Ok(Self(connectors))
    }

    pub fn get(&self, name: &str) -> Result<&ConnectorQueues, UnknownConnector> {
        self.0.get(name).ok_or_else(|| UnknownConnector {
            name: name.to_owned(),
            known: Vec::from_iter(self.names()).join(", "),
        })
    }

    pub fn get_all<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Vec<NamedQueues<'a>>, UnknownConnector> {
        let names = names.into_iter();
        names.map(|name| Ok((name, self.get(name)?))).collect()
    }

    pub fn names(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = NamedQueues<'_>> {
        self.0.iter()
    }
}

fn parse_connector<'a>(text: &'a str, client: &Client) -> Option<(&'a str, ConnectorQueues)> {
    let (name, urls) = text.split_once('=')?;
    let (queue, dead_letter_queue) = urls.split_once(',')?;
    let complete = ![name, queue, dead_letter_queue].contains(&"");
    // A redrive from a queue to itself would never end.
    let distinct = queue != dead_letter_queue && !dead_letter_queue.contains(',');
    let queues = ConnectorQueues {
        queue: SqsQueue::new(client.clone(), queue),
        dead_letter_queue: SqsQueue::new(client.clone(), dead_letter_queue),
    };
    (complete && distinct).then_some((name, queues))
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::BehaviorVersion;

    use super::*;

    #[test]
    fn an_error_names_the_wrong_part_or_the_known_connectors() {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.build());
        let parse = |text| Connectors::parse(text, &client);
        let cases = [
            ("", ""),
            ("r=a,b;", ""),
            ("rule", "rule"),
            ("rule=a", "rule=a"),
            ("rule=a,", "rule=a,"),
            ("=a,b", "=a,b"),
            ("rule=a,b,c", "rule=a,b,c"),
            ("rule=a,a", "rule=a,a"),
            ("r=a,b;r=c,d", "r=c,d"),
        ];
        for (text, wrong) in cases {
            let InvalidConnectors(part) = parse(text).unwrap_err();
            assert_eq!(part, wrong, "{text:?}");
        }
        let connectors = parse("rule=https://q/r,https://q/rd;make=https://q/m,https://q/md");
        let connectors = connectors.unwrap();
        assert!(connectors.get("make").is_ok());
        let unknown = connectors.get("Rule").unwrap_err().to_string();
        assert!(unknown.ends_with("it has: make, rule"), "{unknown}");
    }
}
