//! [`Platform`] on AWS and Sesamy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use jiff::Timestamp;
use shared::aws::reason;
use shared::consumer::OUTCOME;
use shared::http::{ApiError, Http};
use shared::identity::{IdError, VendorId};
use shared::secrets::{Loaded, SecretError, Secrets};
use shared::sesamy::{Sesamy, SesamyCredentials, UsersPage};
use shared::telemetry::Metrics;
use tracing::warn;

use super::platform::{Platform, UsersError, WriteError};
use super::run::{Run, RunState, Tick};
use crate::dead_letters::Unavailable;

const RESYNCS: &str = "Resyncs";

const VENDOR_ID: &str = "vendorId";

/// Counts the writes of an item, for optimistic locking.
const VERSION: &str = "version";

/// The run as JSON.
const RUN: &str = "run";

/// The maximum of ListSecrets. Source: AWS's API reference.
const NAMES_PER_PAGE: i32 = 100;

/// 20,000 secrets, which take some ten seconds.
const MAX_PAGES: usize = 200;

pub struct AwsPlatform {
    pub table: aws_sdk_dynamodb::Client,
    pub table_name: String,
    /// For ticks.
    pub queue: aws_sdk_sqs::Client,
    pub queue_url: String,
    pub names: aws_sdk_secretsmanager::Client,
    pub secrets: Secrets,
    /// Counts the calls to Sesamy.
    pub http: Arc<Http>,
    pub sesamy: Sesamy,
}

#[derive(Default)]
struct SecretNames {
    all: Vec<String>,
    pages: usize,
}

impl SecretNames {
    /// Returns the token of the next page. An empty page may not be the last.
    fn add(
        &mut self,
        page: impl Iterator<Item = String>,
        next: Option<String>,
    ) -> Result<Option<String>, Unavailable> {
        self.all.extend(page);
        self.pages += 1;
        if next.is_some() && self.pages >= MAX_PAGES {
            let reason = format!("there are more than {MAX_PAGES} pages of secrets");
            return Err(unavailable(VENDORS, reason));
        }
        Ok(next)
    }
}

/// `below` is the stack's prefix with its slash.
fn vendors_in(names: &[String], below: &str) -> BTreeSet<VendorId> {
    let vendor = |name: &String| {
        let vendor = name.strip_prefix(below)?.strip_suffix("/sesamy")?;
        match VendorId::try_from(vendor) {
            Ok(vendor) => Some(vendor),
            // Probably another stack's prefix begins with this one's, so that this stack's
            // functions may read the other's secrets.
            Err(IdError::Slash) => {
                warn!(
                    secret = name,
                    "A secret lies too deep below the stack's prefix for a vendor's: if another \
                     stack's SecretPrefix begins with this stack's, give one of them another."
                );
                None
            }
            Err(_) => None,
        }
    };
    names.iter().filter_map(vendor).collect()
}

impl AwsPlatform {
    async fn users_by(
        &self,
        vendor: &VendorId,
        secret: &Loaded<SesamyCredentials>,
        offset: usize,
    ) -> Result<UsersPage, ReadUsersError> {
        let credentials = secret.value.as_ref().ok_or(ReadUsersError::NoSecret)?;
        let users = self
            .sesamy
            .users(vendor, credentials, secret.fingerprint(), offset);
        Ok(users.await?)
    }

    async fn read_users(
        &self,
        vendor: &VendorId,
        offset: usize,
    ) -> Result<UsersPage, ReadUsersError> {
        let path = format!("{vendor}/sesamy");
        let secret = self.secrets.get::<SesamyCredentials>(&path).await?;
        let read = self.users_by(vendor, &secret, offset).await;
        let refused = match &read {
            Err(ReadUsersError::Api(error)) => error.is_refusal(),
            Err(ReadUsersError::NoSecret) => true,
            _ => false,
        };
        if !refused {
            return read;
        }
        // The secret may have changed since it was cached.
        let fresh = self
            .secrets
            .get_within::<SesamyCredentials>(&path, secret.age())
            .await?;
        if fresh.fingerprint() == secret.fingerprint() {
            return read;
        }
        self.users_by(vendor, &fresh, offset).await
    }
}

enum ReadUsersError {
    Api(ApiError),
    Secret(SecretError),
    NoSecret,
}

impl From<ApiError> for ReadUsersError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<SecretError> for ReadUsersError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl Platform for AwsPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn new_id(&self) -> String {
        format!("{:032x}", fastrand::u128(..))
    }

    async fn run(&self, vendor: &VendorId) -> Result<Option<(Run, u64)>, Unavailable> {
        const WHAT: &str = "reading a resync";
        let answer = self
            .table
            .get_item()
            .table_name(&self.table_name)
            .key(VENDOR_ID, AttributeValue::S(vendor.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(WHAT, reason(&error)))?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let version = item.get(VERSION).and_then(|version| version.as_n().ok());
        let version = version.and_then(|version| version.parse().ok());
        match (run(item.get(RUN)), version) {
            (Some(run), Some(version)) => Ok(Some((run, version))),
            _ => Err(unavailable(WHAT, MALFORMED.to_owned())),
        }
    }

    async fn runs(&self) -> Result<Vec<Run>, Unavailable> {
        const WHAT: &str = "reading the resyncs";
        let mut runs = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .table
                .scan()
                .table_name(&self.table_name)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| unavailable(WHAT, reason(&error)))?;
            for item in answer.items() {
                let run = run(item.get(RUN));
                runs.push(run.ok_or_else(|| unavailable(WHAT, MALFORMED.to_owned()))?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(runs);
            }
        }
    }

    async fn write(&self, run: &Run, over: Option<u64>) -> Result<u64, WriteError> {
        const WHAT: &str = "writing a resync";
        let json =
            serde_json::to_string(run).map_err(|error| unavailable(WHAT, error.to_string()))?;
        let version = over.unwrap_or_default() + 1;
        let mut request = self
            .table
            .put_item()
            .table_name(&self.table_name)
            .item(VENDOR_ID, AttributeValue::S(run.vendor_id.to_string()))
            .item(VERSION, AttributeValue::N(version.to_string()))
            .item(RUN, AttributeValue::S(json));
        request = match over {
            None => request
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", VENDOR_ID),
            Some(over) => request
                .condition_expression("#version = :over")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":over", AttributeValue::N(over.to_string())),
        };
        match request.send().await {
            Ok(_) => Ok(version),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => {
                    Err(WriteError::Conflict)
                }
                _ => Err(unavailable(WHAT, reason(&error)).into()),
            },
        }
    }

    async fn send(&self, tick: &Tick, after: Duration) -> Result<(), Unavailable> {
        const WHAT: &str = "sending the next step of a resync";
        let body =
            serde_json::to_string(tick).map_err(|error| unavailable(WHAT, error.to_string()))?;
        let sent = self
            .queue
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .delay_seconds(i32::try_from(after.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable(WHAT, reason(&error))),
        }
    }

    async fn users(&self, vendor: &VendorId, offset: usize) -> Result<UsersPage, UsersError> {
        let read = self.read_users(vendor, offset).await;
        for metrics in self.http.metrics() {
            metrics.emit();
        }
        read.map_err(|failure| match failure {
            ReadUsersError::Api(error) if error.is_transient() => UsersError::Temporary {
                reason: error.to_string(),
                wait: error.wait(),
            },
            ReadUsersError::Api(error) if error.is_refusal() => UsersError::Permanent {
                reason: format!(
                    "{error}; correct the secret {}",
                    self.secrets.name(&format!("{vendor}/sesamy"))
                ),
            },
            ReadUsersError::Api(error) => UsersError::Permanent {
                reason: error.to_string(),
            },
            ReadUsersError::Secret(error @ SecretError::Unavailable { .. }) => UsersError::Temporary {
                reason: error.to_string(),
                wait: None,
            },
            ReadUsersError::Secret(error) => UsersError::Permanent {
                reason: error.to_string(),
            },
            ReadUsersError::NoSecret => UsersError::Permanent {
                reason: format!(
                    "secret {} is missing; store the vendor's Sesamy credentials as the README describes",
                    self.secrets.name(&format!("{vendor}/sesamy"))
                ),
            },
        })
    }

    async fn has_secret(&self, path: &str) -> Result<bool, Unavailable> {
        let name = self.secrets.name(path);
        match self.names.describe_secret().secret_id(name).send().await {
            // A secret that is scheduled for deletion cannot be read.
            Ok(secret) => Ok(secret.deleted_date().is_none()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_resource_not_found_exception() => Ok(false),
                _ => Err(unavailable(
                    "asking whether there is a secret",
                    reason(&error),
                )),
            },
        }
    }

    fn count(&self, ended: RunState) {
        let counted = Metrics::new().dimension(OUTCOME, ended.name());
        counted.count(RESYNCS, 1).emit();
    }

    async fn vendors(&self) -> Result<Vec<VendorId>, Unavailable> {
        let below = self.secrets.name("");
        // AWS filters by the beginning of a name, a local AWS by any part of it.
        let filter = Filter::builder()
            .key(FilterNameStringType::Name)
            .values(&below)
            .build();
        let (mut names, mut next) = (SecretNames::default(), None);
        loop {
            let answer = self
                .names
                .list_secrets()
                .filters(filter.clone())
                .max_results(NAMES_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| unavailable(VENDORS, reason(&error)))?;
            let page = answer.secret_list().iter();
            let page = page.filter_map(|secret| secret.name().map(str::to_owned));
            next = names.add(page, answer.next_token().map(str::to_owned))?;
            if next.is_none() {
                break;
            }
        }
        Ok(vendors_in(&names.all, &below).into_iter().collect())
    }
}

const VENDORS: &str = "reading which vendors there are";

const MALFORMED: &str = "an item of the table is not a resync";

fn run(attribute: Option<&AttributeValue>) -> Option<Run> {
    serde_json::from_str(attribute?.as_s().ok()?).ok()
}

fn unavailable(what: &'static str, reason: String) -> Unavailable {
    Unavailable { what, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_those_with_a_sesamy_secret() {
        let names = [
            "p/webhook",
            "p/a/sesamy",
            "p/a/rule",
            "p/b/make",
            "p/c|d/sesamy",
            "p/c|d/sesamy",
            "p/nested/e/sesamy",
            "p//sesamy",
            "p/sesamy",
            "p/a b/sesamy",
            "p/f/sesamy2",
            "P/g/sesamy",
            "other/p/h/sesamy",
            "pp/i/sesamy",
        ];
        let found = vendors_in(&names.map(str::to_owned), "p/");
        let found: Vec<_> = found.iter().map(VendorId::as_str).collect();
        assert_eq!(found, ["a", "c|d"]);
    }

    #[test]
    fn pages_of_secret_names_are_read_up_to_a_maximum() {
        let mut names = SecretNames::default();
        let pages = [
            (vec!["a"], Some("2")),
            (vec![], Some("3")),
            (vec!["b", "c"], None),
        ];
        for (page, next) in pages {
            let page = page.into_iter().map(str::to_owned);
            let next = next.map(str::to_owned);
            assert_eq!(names.add(page, next.clone()), Ok(next));
        }
        assert_eq!(names.all, ["a", "b", "c"]);

        let mut endless = SecretNames::default();
        let mut more = || endless.add(std::iter::empty(), Some("more".to_owned()));
        for _ in 1..MAX_PAGES {
            assert!(more().is_ok());
        }
        assert!(more().is_err());
    }
}
