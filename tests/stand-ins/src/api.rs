//! The APIs stood in for, and where each one lives under the server's address.

use serde::{Deserialize, Serialize};

/// One of the APIs that are stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Sesamy's token endpoint.
    SesamyToken,
    /// Sesamy's Management API.
    Sesamy,
    /// Rule, version 2.
    Rule,
    /// Mailmojo, version 1.
    Mailmojo,
    /// Make.as, the subscriber API.
    Make,
}

impl Api {
    /// Every API. The management API comes before the token endpoint because
    /// its base path is the longer of the two.
    pub const ALL: [Self; 5] = [
        Self::Sesamy,
        Self::SesamyToken,
        Self::Rule,
        Self::Mailmojo,
        Self::Make,
    ];

    /// The path under which the API lives. Paths in faults and recorded
    /// requests are what follows it.
    #[must_use]
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::Sesamy => "/sesamy/management",
            Self::SesamyToken => "/sesamy",
            Self::Rule => "/rule/api",
            Self::Mailmojo => "/mailmojo",
            Self::Make => "/make/api/public/v2",
        }
    }

    /// Which API a raw request path belongs to, and the rest of the path.
    pub(crate) fn of_path(path: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|api| {
            path.strip_prefix(api.base_path())
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                .map(|rest| (api, rest))
        })
    }
}

/// The addresses to put into a client's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    /// The server itself.
    pub base: String,
    /// Sesamy's Management API.
    pub sesamy_api: String,
    /// Sesamy's token endpoint.
    pub sesamy_token: String,
    /// Rule, the part before `/v2`.
    pub rule: String,
    /// Mailmojo, the part before `/v1`.
    pub mailmojo: String,
    /// Make.as, including its version.
    pub make: String,
    /// The control API.
    pub control: String,
}

impl Urls {
    pub(crate) fn of(base: String) -> Self {
        let at = |api: Api| format!("{base}{}", api.base_path());
        Self {
            sesamy_api: at(Api::Sesamy),
            sesamy_token: format!("{}/oauth/token", at(Api::SesamyToken)),
            rule: at(Api::Rule),
            mailmojo: at(Api::Mailmojo),
            make: at(Api::Make),
            control: format!("{base}/control"),
            base,
        }
    }
}
