//! The connectors of the stack, as the function's environment names them.

use std::fmt;

use serde::Deserialize;
use thiserror::Error;

/// Of a–z, digits and hyphens, as the template spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectorName(String);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not the name of a connector: it must be of a-z, 0-9 and hyphens")]
pub struct InvalidConnectorName(String);

impl TryFrom<String> for ConnectorName {
    type Error = InvalidConnectorName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !name.is_empty() && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidConnectorName(name))
        }
    }
}

impl ConnectorName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedConnector<Q> {
    pub name: ConnectorName,
    /// First the URLs of its queues, then a client of them.
    pub queues: Q,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorQueueUrls {
    pub queue: String,
    pub dead_letter_queue: String,
}

/// At least one connector, with distinct names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connectors<Q>(Vec<DeployedConnector<Q>>);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectorsError {
    #[error("CONNECTORS names no connector; deploy the function with the template, which sets it")]
    None,
    #[error("CONNECTORS is not of the form NAME=QUEUE_URL,DEAD_LETTER_QUEUE_URL;… near {0:?}")]
    Malformed(String),
    #[error("CONNECTORS names {0:?} twice")]
    Duplicate(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("this stack has no connector `{name}`; it has: {known}")]
pub struct UnknownConnector {
    name: String,
    known: String,
}

impl Connectors<ConnectorQueueUrls> {
    /// Parses `NAME=QUEUE_URL,DEAD_LETTER_QUEUE_URL`, several separated by semicolons.
    pub fn parse(text: &str) -> Result<Self, ConnectorsError> {
        let mut connectors: Vec<DeployedConnector<ConnectorQueueUrls>> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let connector =
                parse_connector(part).ok_or_else(|| ConnectorsError::Malformed(part.to_owned()))?;
            if connectors.iter().any(|known| known.name == connector.name) {
                return Err(ConnectorsError::Duplicate(connector.name.0));
            }
            connectors.push(connector);
        }
        if connectors.is_empty() {
            return Err(ConnectorsError::None);
        }
        Ok(Self(connectors))
    }
}

impl<Q> Connectors<Q> {
    pub fn map<R>(self, mut map: impl FnMut(Q) -> R) -> Connectors<R> {
        let connectors = self.0.into_iter().map(|connector| DeployedConnector {
            name: connector.name,
            queues: map(connector.queues),
        });
        Connectors(connectors.collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &DeployedConnector<Q>> {
        self.0.iter()
    }

    pub fn named(&self, name: &str) -> Result<&DeployedConnector<Q>, UnknownConnector> {
        let found = self.iter().find(|connector| connector.name.0 == name);
        found.ok_or_else(|| UnknownConnector {
            name: name.to_owned(),
            known: self.names(),
        })
    }

    pub fn names(&self) -> String {
        let names: Vec<_> = self.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    }
}

fn parse_connector(text: &str) -> Option<DeployedConnector<ConnectorQueueUrls>> {
    let (name, urls) = text.split_once('=')?;
    let (queue, dead_letter_queue) = urls.split_once(',')?;
    let [queue, dead_letter_queue] = [queue, dead_letter_queue].map(str::trim);
    let complete = !queue.is_empty() && !dead_letter_queue.is_empty();
    // A redrive from a queue to itself would never end.
    let distinct = !dead_letter_queue.contains(',') && queue != dead_letter_queue;
    if !complete || !distinct {
        return None;
    }
    Some(DeployedConnector {
        name: name.trim().to_owned().try_into().ok()?,
        queues: ConnectorQueueUrls {
            queue: queue.to_owned(),
            dead_letter_queue: dead_letter_queue.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_are_separated_by_semicolons() {
        let text = "rule=https://q/rule,https://q/dead; make=https://q/m,https://q/md;";
        let connectors = Connectors::parse(text).unwrap();
        assert_eq!(connectors.names(), "rule, make");
        let make = connectors.named("make").unwrap();
        assert_eq!(make.queues.queue, "https://q/m");
        assert_eq!(make.queues.dead_letter_queue, "https://q/md");
        let unknown = connectors.named("Rule").unwrap_err().to_string();
        assert!(unknown.contains("rule, make"), "{unknown}");
    }

    #[test]
    fn an_error_names_the_wrong_part() {
        let malformed = |part: &str| ConnectorsError::Malformed(part.to_owned());
        let cases = [
            ("", ConnectorsError::None),
            (" ; ", ConnectorsError::None),
            ("rule", malformed("rule")),
            ("rule=a", malformed("rule=a")),
            ("rule=a,", malformed("rule=a,")),
            ("=a,b", malformed("=a,b")),
            ("Rule=a,b", malformed("Rule=a,b")),
            ("rule=a,b,c", malformed("rule=a,b,c")),
            ("rule=a,a", malformed("rule=a,a")),
            ("r=a,b;r=c,d", ConnectorsError::Duplicate("r".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(Connectors::parse(text), Err(expected), "{text:?}");
        }
    }
}
