//! HubSpot, as the laws test it.

use std::collections::BTreeMap;

use conformance::{Bench, ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, anna, any_tags};
use fakes::hubspot::{Contact, HubSpotAccount, HubSpotSettings};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fakes, RecordedRequest};
use hubspot::HubSpot;
use hubspot::mapping::{self, PROPERTIES, TAGS};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::derivation::DesiredContact;

pub struct HubSpotCrm;

impl TestedCrm for HubSpotCrm {
    type Connector = HubSpot;
    type Account = HubSpotAccount;
    type Contact = Contact;
    type Settings = HubSpotSettings;

    const API: Api = Api::HubSpot;
    const SHARED_FIELDS: &[&str] = &["firstname", "lastname", "phone"];
    const UNCONDITIONAL_WRITES: &[&str] = &[];
    const KEEPS_FIRST_SPELLING: bool = true;
    const CONSENT_MOVES: bool = false;

    fn add_account(fakes: &Fakes, name: &str) -> HubSpotAccount {
        fakes.hubspot().add_account(name, name)
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        json!({ "accessToken": account, "apiUrl": fakes.urls().hubspot })
    }

    fn is_read(request: &RecordedRequest) -> bool {
        request.method == "GET" || request.path.ends_with("/batch/read")
    }

    fn set_settings(account: &HubSpotAccount, settings: HubSpotSettings) {
        account.set_settings(settings);
    }

    fn settings_that_ignore_case() -> HubSpotSettings {
        HubSpotSettings {
            fold_option_case: true,
            ..HubSpotSettings::default()
        }
    }

    fn settings_that_refuse_moves() -> HubSpotSettings {
        HubSpotSettings {
            refuse_moves: true,
            ..HubSpotSettings::default()
        }
    }

    fn any_settings() -> BoxedStrategy<HubSpotSettings> {
        any::<[bool; 4]>()
            .prop_map(
                |[
                    cleared_is_null,
                    fold_option_case,
                    keep_old_address,
                    unknown_definitions_are_404,
                ]| HubSpotSettings {
                    cleared_is_null,
                    fold_option_case,
                    keep_old_address,
                    unknown_definitions_are_404,
                    ..HubSpotSettings::default()
                },
            )
            .boxed()
    }

    fn contact(tags: &[&str]) -> Contact {
        Contact::new(EMAIL)
            .names("Anne", "Aas")
            .property("shoe_size", "38")
            .property("lifecyclestage", "lead")
            .tags(tags)
    }

    fn any_contact() -> BoxedStrategy<Contact> {
        let properties = prop::sample::subsequence(
            vec![
                ("sesamy_user_id", "email|84cc"),
                ("has_active_subscription", "true"),
                ("active_subscription_count", "1"),
                ("subscription_type", "Old;The Daily"),
                ("sesamy_issues_remaining", "3"),
                ("sesamy_will_cancel_at", "2026-01-01"),
                ("shoe_size", "38"),
                ("lifecyclestage", "customer"),
            ],
            0..=8,
        );
        let opt_outs = any::<[bool; 2]>();
        (any_tags(), properties, any::<bool>(), opt_outs)
            .prop_map(|(tags, properties, named, [of_all, of_one])| {
                let mut contact = Contact::new(EMAIL).tags(&tags);
                for (name, value) in properties {
                    contact = contact.property(name, value);
                }
                if named {
                    contact = contact.names("Anne", "Aas");
                }
                if of_all {
                    contact = contact.opted_out();
                }
                if of_one {
                    contact = contact.opted_out_of(7);
                }
                contact
            })
            .boxed()
    }

    fn unsubscribed(contact: Contact) -> Contact {
        contact.opted_out()
    }

    fn put_contact(account: &HubSpotAccount, contact: Contact) {
        account.put_contact(contact);
    }

    fn contacts(account: &HubSpotAccount) -> Vec<Contact> {
        account.contacts()
    }

    /// The tags are the values of one property, and no field.
    fn data(contact: &Contact) -> ContactData {
        let names = contact.properties.keys().filter(|name| *name != TAGS);
        let field = |name: &String| Some((name.clone(), json!(contact.get(name)?)));
        ContactData {
            tags: contact.values(TAGS),
            fields: names.filter_map(field).collect(),
        }
    }

    fn email(contact: &Contact) -> String {
        contact.email.clone()
    }

    fn with_email(mut contact: Contact, email: &str) -> Contact {
        email.clone_into(&mut contact.email);
        contact
    }

    fn consent(contact: &Contact) -> Value {
        json!([contact.opt_outs, contact.get("lifecyclestage")])
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let properties = PROPERTIES.into_iter().filter(|(_, name)| *name != TAGS);
        properties
            .map(|(attribute, name)| {
                let value = mapping::text(desired.value(attribute));
                let value = Some(value).filter(|value| !value.is_empty());
                (name.to_owned(), value.map(Value::from))
            })
            .collect()
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        let known = Contact::new(EMAIL).property("shoe_size", "38");
        [
            ("POST", "/crm/v3/properties/contacts/batch/read", &known),
            ("POST", "/crm/v3/properties/contacts/groups", &known),
            ("POST", "/crm/v3/properties/contacts", &known),
            ("GET", "/crm/v3/properties/contacts/sesamy_tags", &known),
            ("PATCH", "/crm/v3/properties/contacts/*", &known),
            ("GET", "/crm/v3/objects/contacts/*", &known),
            ("PATCH", "/crm/v3/objects/contacts/*", &known),
        ]
        .map(|(method, path, before)| SyncCall {
            method,
            path,
            before: before.clone(),
        })
        .into()
    }

    fn forget_calls() -> Vec<ForgetCall> {
        ["GET", "PATCH"]
            .map(|method| ForgetCall {
                method,
                path: "/crm/v3/objects/contacts/*",
                skip: 0,
                removed_tags: 0,
            })
            .into()
    }
}

pub async fn start() -> (Bench<HubSpot>, HubSpotAccount) {
    conformance::start::<HubSpotCrm>().await
}

pub fn daily_subscriber() -> User {
    anna()
        .phone_number("+4790000001")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}
