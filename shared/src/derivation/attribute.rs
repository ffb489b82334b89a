//! What a field can say of a user. Each CRM has fields of its own names for these.

use jiff::civil::Date;
use serde_json::{Number, Value};

use super::desired_contact::DesiredContact;
use super::tag::Tag;
use crate::personal::Personal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    UserId,
    FirstName,
    LastName,
    Phone,
    HasActiveSubscription,
    ArticlesPurchased,
    ActiveSubscriptions,
    CanceledSubscriptions,
    ExpiredSubscriptions,
    EndedSubscriptions,
    IssuesRemaining,
    SubscriptionExpiresAt,
    ContractDuration,
    LastPaymentDate,
    NextPaymentDate,
    WillCancelAt,
    ActiveProducts,
    Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Text,
    Boolean,
    Number,
    /// `YYYY-MM-DD`.
    Date,
    Texts,
}

impl ValueKind {
    /// As Sesamy's list of fields names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Date => "date",
            Self::Texts => "texts",
        }
    }
}

impl Attribute {
    /// For people. Source: Sesamy's documentation of its own integrations.
    pub fn label(self) -> &'static str {
        match self {
            Self::UserId => "Sesamy User ID",
            Self::FirstName => "First Name",
            Self::LastName => "Last Name",
            Self::Phone => "Phone Number",
            Self::HasActiveSubscription => "Has Active Subscription",
            Self::ArticlesPurchased => "Articles Purchased",
            Self::ActiveSubscriptions => "Active Subscriptions",
            Self::CanceledSubscriptions => "Canceled Subscriptions",
            Self::ExpiredSubscriptions => "Expired Subscriptions",
            Self::EndedSubscriptions => "Ended Subscriptions Total",
            Self::IssuesRemaining => "Issues Remaining",
            Self::SubscriptionExpiresAt => "Subscription Expires At",
            Self::ContractDuration => "Contract Duration Type",
            Self::LastPaymentDate => "Last Payment Date",
            Self::NextPaymentDate => "Next Payment Date",
            Self::WillCancelAt => "Will Cancel At",
            Self::ActiveProducts => "Active Products",
            Self::Tags => "Tags",
        }
    }

    pub fn kind(self) -> ValueKind {
        match self {
            Self::UserId
            | Self::FirstName
            | Self::LastName
            | Self::Phone
            | Self::ContractDuration => ValueKind::Text,
            Self::HasActiveSubscription => ValueKind::Boolean,
            Self::ArticlesPurchased
            | Self::ActiveSubscriptions
            | Self::CanceledSubscriptions
            | Self::ExpiredSubscriptions
            | Self::EndedSubscriptions
            | Self::IssuesRemaining => ValueKind::Number,
            Self::SubscriptionExpiresAt
            | Self::LastPaymentDate
            | Self::NextPaymentDate
            | Self::WillCancelAt => ValueKind::Date,
            Self::ActiveProducts | Self::Tags => ValueKind::Texts,
        }
    }

    /// Name and phone. They belong to the publisher as well: no sync replaces or
    /// clears what the publisher entered.
    pub fn is_personal(self) -> bool {
        matches!(self, Self::FirstName | Self::LastName | Self::Phone)
    }
}

impl DesiredContact {
    /// Null if the user has none, or it no longer applies.
    pub fn value(&self, attribute: Attribute) -> Value {
        let account = &self.account;
        let personal = |value: &Option<Personal>| value.as_ref().map(Personal::expose).into();
        let date = |date: Option<Date>| date.map(|date| date.to_string()).into();
        match attribute {
            Attribute::UserId => self.user_id.as_str().into(),
            Attribute::FirstName => personal(&self.first_name),
            Attribute::LastName => personal(&self.last_name),
            Attribute::Phone => personal(&self.phone),
            Attribute::HasActiveSubscription => account.has_active_subscription.into(),
            Attribute::ArticlesPurchased => account.articles_purchased.into(),
            Attribute::ActiveSubscriptions => account.active_subscriptions.into(),
            Attribute::CanceledSubscriptions => account.canceled_subscriptions.into(),
            Attribute::ExpiredSubscriptions => account.expired_subscriptions.into(),
            Attribute::EndedSubscriptions => account.ended_subscriptions.into(),
            Attribute::IssuesRemaining => account.issues_remaining.and_then(number).into(),
            Attribute::SubscriptionExpiresAt => date(account.subscription_expires_at),
            Attribute::ContractDuration => account.contract_duration.clone().into(),
            Attribute::LastPaymentDate => date(account.last_payment_date),
            Attribute::NextPaymentDate => date(account.next_payment_date),
            Attribute::WillCancelAt => date(account.will_cancel_at),
            Attribute::ActiveProducts => self.active_products.titles.as_slice().into(),
            Attribute::Tags => self.tags.keys().map(Tag::as_str).collect(),
        }
    }
}

/// Writes whole numbers without a fraction: `3`, not `3.0`.
fn number(number: f64) -> Option<Number> {
    /// 2^53: up to here an `f64` holds every whole number exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        Some((number as i64).into())
    } else {
        Number::from_f64(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (value, json) in [
            (3.0, Some("3")),
            (-1.0, Some("-1")),
            (2.5, Some("2.5")),
            (f64::NAN, None),
        ] {
            let number = number(value).map(|number| number.to_string());
            assert_eq!(number.as_deref(), json, "{value}");
        }
    }
}
