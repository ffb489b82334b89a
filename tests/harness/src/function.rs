//! The connectors and functions of the template.

use std::fmt;

use fakes::Api;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connector {
    Rule,
    Mailmojo,
    Make,
    Mailchimp,
    Hubspot,
}

impl Connector {
    pub const ALL: [Self; 5] = [
        Self::Rule,
        Self::Mailmojo,
        Self::Make,
        Self::Mailchimp,
        Self::Hubspot,
    ];

    /// Used in the names of its secrets, its log group and its samples.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Mailmojo => "mailmojo",
            Self::Make => "make",
            Self::Mailchimp => "mailchimp",
            Self::Hubspot => "hubspot",
        }
    }

    pub const fn api(self) -> Api {
        match self {
            Self::Rule => Api::Rule,
            Self::Mailmojo => Api::Mailmojo,
            Self::Make => Api::Make,
            Self::Mailchimp => Api::Mailchimp,
            Self::Hubspot => Api::HubSpot,
        }
    }

    pub const fn function(self) -> Function {
        Function::Connector(self)
    }
}

impl fmt::Display for Connector {
    /// The prefix of its logical ids in the template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule => "Rule",
            Self::Mailmojo => "Mailmojo",
            Self::Make => "Make",
            Self::Mailchimp => "Mailchimp",
            Self::Hubspot => "Hubspot",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Webhook,
    Connector(Connector),
    Operator,
    Widgets,
    WidgetActions,
}

impl Function {
    pub const ALL: [Self; 9] = [
        Self::Webhook,
        Self::Connector(Connector::Rule),
        Self::Connector(Connector::Mailmojo),
        Self::Connector(Connector::Make),
        Self::Connector(Connector::Mailchimp),
        Self::Connector(Connector::Hubspot),
        Self::Operator,
        Self::Widgets,
        Self::WidgetActions,
    ];

    /// The last part of its log group's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Connector(connector) => connector.name(),
            Self::Operator => "operator",
            Self::Widgets => "widgets",
            Self::WidgetActions => "widget-actions",
        }
    }
}

impl fmt::Display for Function {
    /// The logical id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook => f.write_str("WebhookFunction"),
            Self::Connector(connector) => write!(f, "{connector}Function"),
            Self::Operator => f.write_str("OperatorFunction"),
            Self::Widgets => f.write_str("WidgetsFunction"),
            Self::WidgetActions => f.write_str("WidgetActionsFunction"),
        }
    }
}
