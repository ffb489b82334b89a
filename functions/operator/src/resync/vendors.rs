//! Which vendors and connectors there are, by the names of their secrets: this function
//! may not read the tokens of webhooks, nor a CRM's credentials.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use shared::identity::{IdError, VendorId};
use tracing::warn;

use crate::handler::Operator;
use crate::unavailable::Unavailable;

impl Operator {
    /// The vendors with Sesamy credentials.
    pub(super) async fn vendors(&self) -> Result<BTreeSet<VendorId>, Unavailable> {
        let below = self.secrets.name("");
        // AWS filters by the beginning of a name, a local AWS by any part of it.
        let filter = Filter::builder()
            .key(FilterNameStringType::Name)
            .values(&below)
            .build();
        let list = self.secret_names.list_secrets().filters(filter);
        let mut pages = list.into_paginator().send();
        let mut vendors = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(Unavailable::service("listing the vendors"))?;
            let names = page.secret_list().iter();
            let names = names.filter_map(|secret| secret.name());
            vendors.extend(names.filter_map(|name| vendor_in(name, &below)));
        }
        Ok(vendors)
    }

    /// Whether the vendor has Sesamy's secret or a connector's.
    pub(super) async fn has_secret(
        &self,
        vendor: &VendorId,
        of: &str,
    ) -> Result<bool, Unavailable> {
        let name = self.secrets.name(&format!("{vendor}/{of}"));
        let describe = self.secret_names.describe_secret().secret_id(name);
        match describe.send().await {
            // A secret that is scheduled for deletion cannot be read.
            Ok(secret) => Ok(secret.deleted_date().is_none()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_resource_not_found_exception() => Ok(false),
                _ => Err(Unavailable::service("looking for a secret")(error)),
            },
        }
    }
}

/// `below` is the stack's prefix with its slash.
fn vendor_in(name: &str, below: &str) -> Option<VendorId> {
    let vendor = name.strip_prefix(below)?.strip_suffix("/sesamy")?;
    let vendor = VendorId::try_from(vendor);
    if matches!(vendor, Err(IdError::Slash)) {
        // Probably another stack's prefix begins with this one's, so that this stack's
        // functions may read the other's secrets.
        warn!(
            secret = name,
            "A secret lies too deep below the stack's prefix for a vendor's: if another \
             stack's SecretPrefix begins with this stack's, give one of them another."
        );
    }
    vendor.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_those_with_a_sesamy_secret() {
        let cases = [
            ("p/a/sesamy", Some("a")),
            ("p/c|d/sesamy", Some("c|d")),
            ("p/webhook", None),
            ("p/a/rule", None),
            ("p/nested/e/sesamy", None),
            ("p//sesamy", None),
            ("p/sesamy", None),
            ("p/a b/sesamy", None),
            ("p/f/sesamy2", None),
            ("P/g/sesamy", None),
            ("other/p/h/sesamy", None),
            ("pp/i/sesamy", None),
        ];
        for (name, expected) in cases {
            let vendor = vendor_in(name, "p/");
            assert_eq!(vendor.as_ref().map(VendorId::as_str), expected, "{name}");
        }
    }
}
