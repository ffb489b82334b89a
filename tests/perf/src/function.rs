use std::path::{Path, PathBuf};

use fakes::Api;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The baseline, which is not deployed.
    HelloWorld,
    /// The same in JavaScript, which is not deployed either.
    NodeJs,
    /// The same in Python, which is not deployed either.
    Python,
    Webhook,
    Consumer(ConnectorKind),
    Operator,
    /// As the function that shows; the one that acts is the same binary.
    Widgets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    Rule,
    Mailmojo,
    Make,
    Mailchimp,
    Hubspot,
}

impl ConnectorKind {
    pub const ALL: [Self; 5] = [
        Self::Rule,
        Self::Mailmojo,
        Self::Make,
        Self::Mailchimp,
        Self::Hubspot,
    ];

    /// Also names the connector's function and its secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Mailmojo => "mailmojo",
            Self::Make => "make",
            Self::Mailchimp => "mailchimp",
            Self::Hubspot => "hubspot",
        }
    }

    pub(crate) const fn api(self) -> Api {
        match self {
            Self::Rule => Api::Rule,
            Self::Mailmojo => Api::Mailmojo,
            Self::Make => Api::Make,
            Self::Mailchimp => Api::Mailchimp,
            Self::Hubspot => Api::HubSpot,
        }
    }
}

impl Function {
    /// The baseline comes first.
    pub const ALL: [Self; 9] = [
        Self::HelloWorld,
        Self::Webhook,
        Self::Consumer(ConnectorKind::Rule),
        Self::Consumer(ConnectorKind::Mailmojo),
        Self::Consumer(ConnectorKind::Make),
        Self::Consumer(ConnectorKind::Mailchimp),
        Self::Consumer(ConnectorKind::Hubspot),
        Self::Operator,
        Self::Widgets,
    ];

    /// The same function in the languages whose starts are compared. The baseline comes
    /// first.
    pub const LANGUAGES: [Self; 3] = [Self::HelloWorld, Self::NodeJs, Self::Python];

    /// Also the name of its package, if it is in Rust.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HelloWorld => "hello-world",
            Self::NodeJs => "hello-world in Node.js",
            Self::Python => "hello-world in Python",
            Self::Webhook => "webhook",
            Self::Consumer(connector) => connector.as_str(),
            Self::Operator => "operator",
            Self::Widgets => "widgets",
        }
    }

    /// The output of `cargo lambda build --release`, or the interpreter of the script.
    pub fn binary(self) -> PathBuf {
        match self {
            Self::NodeJs => project(".venv/browser/bin/node"),
            Self::Python => project(".venv/sam/bin/python"),
            _ => project("target/lambda").join(self.name()).join("bootstrap"),
        }
    }

    pub(crate) fn script(self) -> Option<PathBuf> {
        let name = match self {
            Self::NodeJs => "hello.mjs",
            Self::Python => "hello.py",
            _ => return None,
        };
        Some(project("tests/hello-world/others").join(name))
    }
}

fn project(path: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    project.join(path)
}
