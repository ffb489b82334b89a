//! The connectors of the stack, from the function's environment.

use thiserror::Error;

/// A connector and what it is reached by: first the addresses of its queues,
/// then a client of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector<Q> {
    /// Its name, as in requests.
    pub name: String,
    /// Its queues.
    pub queues: Q,
}

/// The addresses of a connector's queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// The queue it consumes.
    pub queue: String,
    /// Where it puts what can never succeed.
    pub dead_letter_queue: String,
}

/// All connectors, at least one, each under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connectors<Q>(Vec<Connector<Q>>);

/// Why the connectors are not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectorsError {
    /// There is none.
    #[error("CONNECTORS names no connector; deploy the function by the template, which sets it")]
    None,
    /// One is not of the form `name=queue URL,dead-letter queue URL`.
    #[error("CONNECTORS is not of the form NAME=QUEUE_URL,DEAD_LETTER_QUEUE_URL;… near {0:?}")]
    Malformed(String),
    /// Two have one name.
    #[error("CONNECTORS names {0:?} twice")]
    Twice(String),
}

impl Connectors<Urls> {
    /// Reads `NAME=QUEUE_URL,DEAD_LETTER_QUEUE_URL`, several separated by semicolons.
    ///
    /// # Errors
    /// [`ConnectorsError`] where the text is nothing of the kind.
    pub fn read(text: &str) -> Result<Self, ConnectorsError> {
        let mut connectors: Vec<Connector<Urls>> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let connector =
                connector(part).ok_or_else(|| ConnectorsError::Malformed(part.to_owned()))?;
            if connectors.iter().any(|known| known.name == connector.name) {
                return Err(ConnectorsError::Twice(connector.name));
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
    /// The same connectors, reached by something else.
    pub fn map<R>(self, mut reach: impl FnMut(Q) -> R) -> Connectors<R> {
        let map = |connector: Connector<Q>| Connector {
            name: connector.name,
            queues: reach(connector.queues),
        };
        Connectors(self.0.into_iter().map(map).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Connector<Q>> {
        self.0.iter()
    }

    /// The connector of that name.
    pub fn named(&self, name: &str) -> Option<&Connector<Q>> {
        self.iter().find(|connector| connector.name == name)
    }

    /// The names of all of them, for a person.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    }
}

fn connector(text: &str) -> Option<Connector<Urls>> {
    let (name, urls) = text.split_once('=')?;
    let (queue, dead_letter_queue) = urls.split_once(',')?;
    let [name, queue, dead_letter_queue] = [name, queue, dead_letter_queue].map(str::trim);
    let given = [name, queue, dead_letter_queue]
        .iter()
        .all(|part| !part.is_empty());
    let one_each = !dead_letter_queue.contains(',') && queue != dead_letter_queue;
    (given && one_each).then(|| Connector {
        name: name.to_owned(),
        queues: Urls {
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
        let connectors =
            Connectors::read("rule=https://q/rule,https://q/dead; make=https://q/m,https://q/md;")
                .unwrap();
        assert_eq!(connectors.names(), "rule, make");
        let make = connectors.named("make").unwrap();
        assert_eq!(make.queues.queue, "https://q/m");
        assert_eq!(make.queues.dead_letter_queue, "https://q/md");
        assert_eq!(connectors.named("Rule"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let malformed = |part: &str| Err(ConnectorsError::Malformed(part.to_owned()));
        let cases = [
            ("", Err(ConnectorsError::None)),
            (" ; ", Err(ConnectorsError::None)),
            ("rule", malformed("rule")),
            ("rule=a", malformed("rule=a")),
            ("rule=a,", malformed("rule=a,")),
            ("=a,b", malformed("=a,b")),
            ("rule=a,b,c", malformed("rule=a,b,c")),
            // Letters would be sent to where they are received from, for ever.
            ("rule=a,a", malformed("rule=a,a")),
            ("r=a,b;r=c,d", Err(ConnectorsError::Twice("r".to_owned()))),
        ];
        for (text, expected) in cases {
            assert_eq!(Connectors::read(text).map(|_| ()), expected, "{text:?}");
        }
    }
}
