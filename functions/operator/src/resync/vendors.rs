//! Which vendors and connectors there are, by the names of their secrets: this function
//! may not read the tokens of webhooks, nor a CRM's credentials.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use shared::aws::reason;
use shared::identity::{IdError, VendorId};
use tracing::warn;

use super::platform::AwsPlatform;
use crate::dead_letters::Unavailable;

/// The maximum of ListSecrets. Source: AWS's API reference.
const NAMES_PER_PAGE: i32 = 100;

/// 20,000 secrets, which take some ten seconds.
const MAX_PAGES: usize = 200;

const LISTING: &str = "listing the vendors";

/// The names of the stack's secrets.
pub trait Vendors: Send + Sync + 'static {
    /// The vendors with Sesamy credentials.
    fn vendors(&self) -> impl Future<Output = Result<Vec<VendorId>, Unavailable>> + Send;

    /// `path` is below the stack's prefix.
    fn has_secret(&self, path: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

impl Vendors for AwsPlatform {
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
                .map_err(|error| unavailable(LISTING, reason(&error)))?;
            let page = answer.secret_list().iter();
            let page = page.filter_map(|secret| secret.name().map(str::to_owned));
            next = names.add(page, answer.next_token().map(str::to_owned))?;
            if next.is_none() {
                break;
            }
        }
        Ok(vendors_in(&names.all, &below).into_iter().collect())
    }

    async fn has_secret(&self, path: &str) -> Result<bool, Unavailable> {
        let name = self.secrets.name(path);
        match self.names.describe_secret().secret_id(name).send().await {
            // A secret that is scheduled for deletion cannot be read.
            Ok(secret) => Ok(secret.deleted_date().is_none()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_resource_not_found_exception() => Ok(false),
                _ => Err(unavailable("looking for a secret", reason(&error))),
            },
        }
    }
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
            return Err(unavailable(LISTING, reason));
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
