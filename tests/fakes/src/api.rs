//! The APIs and their paths on the server.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    SesamyToken,
    /// The Management API.
    Sesamy,
    Rule,
    Mailmojo,
    Make,
    Mailchimp,
    #[serde(rename = "hubspot")]
    HubSpot,
    /// Of a CRM whose fake a test brings along: [`Fakes::serve`](crate::Fakes::serve).
    Other,
}

impl Api {
    /// The Management API comes before the token endpoint, whose base path is a prefix of
    /// its own.
    pub const ALL: [Self; 8] = [
        Self::Sesamy,
        Self::SesamyToken,
        Self::Rule,
        Self::Mailmojo,
        Self::Make,
        Self::Mailchimp,
        Self::HubSpot,
        Self::Other,
    ];

    /// Paths in faults and recorded requests are relative to this path.
    #[must_use]
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::Sesamy => "/sesamy/management",
            Self::SesamyToken => "/sesamy",
            Self::Rule => "/rule/api",
            Self::Mailmojo => "/mailmojo",
            Self::Make => "/make/api/public/v2",
            Self::Mailchimp => "/mailchimp/3.0",
            Self::HubSpot => "/hubspot",
            Self::Other => "/other",
        }
    }

    /// The API that serves a raw request path, and the rest of the path.
    pub(crate) fn from_path(path: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|api| {
            path.strip_prefix(api.base_path())
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                .map(|rest| (api, rest))
        })
    }
}

/// The addresses that clients are configured with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    pub base: String,
    pub sesamy_api: String,
    pub sesamy_token: String,
    /// Without the version `/v2`.
    pub rule: String,
    /// Without the version `/v1`.
    pub mailmojo: String,
    pub make: String,
    /// With the version.
    pub mailchimp: String,
    /// Without the version `/crm/v3`.
    pub hubspot: String,
    pub control: String,
}

impl Urls {
    pub(crate) fn new(base: String) -> Self {
        let at = |api: Api| format!("{base}{}", api.base_path());
        Self {
            sesamy_api: at(Api::Sesamy),
            sesamy_token: format!("{}/oauth/token", at(Api::SesamyToken)),
            rule: at(Api::Rule),
            mailmojo: at(Api::Mailmojo),
            make: at(Api::Make),
            mailchimp: at(Api::Mailchimp),
            hubspot: at(Api::HubSpot),
            control: format!("{base}/control"),
            base,
        }
    }
}
