//! The functions that are measured.

use std::path::{Path, PathBuf};

/// A function that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// What the others are measured against; not deployed.
    HelloWorld,
    /// The webhook.
    Webhook,
    /// A connector's consumer.
    Consumer(Connector),
    /// The operator.
    Operator,
}

/// A connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// Rule.
    Rule,
    /// Mailmojo.
    Mailmojo,
    /// Make.as.
    Make,
}

impl Connector {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rule, Self::Mailmojo, Self::Make];

    /// The name of its function, and of its secret.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Mailmojo => "mailmojo",
            Self::Make => "make",
        }
    }
}

impl Function {
    /// All of them, the hello-world first.
    pub const ALL: [Self; 6] = [
        Self::HelloWorld,
        Self::Webhook,
        Self::Consumer(Connector::Rule),
        Self::Consumer(Connector::Mailmojo),
        Self::Consumer(Connector::Make),
        Self::Operator,
    ];

    /// Its name, and its package's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HelloWorld => "hello-world",
            Self::Webhook => "webhook",
            Self::Consumer(connector) => connector.name(),
            Self::Operator => "operator",
        }
    }

    /// Where `cargo lambda build --release` leaves it.
    pub fn binary(self) -> PathBuf {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        project
            .join("target/lambda")
            .join(self.name())
            .join("bootstrap")
    }
}
