//! Toy, as the laws test it.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use conformance::{ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, any_tags};
use fakes::{Api, Fakes};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::connector::Connector;
use shared::derivation::DesiredContact;

use crate::fake::{Contact, Settings, ToyAccount};
use crate::toy::{Toy, mapping};

/// With the right connector, or with one that breaks a law.
pub struct ToyCrm<C = Toy>(PhantomData<C>);

impl<C: Connector + Default> TestedCrm for ToyCrm<C> {
    type Connector = C;
    type Account = ToyAccount;
    type Contact = Contact;
    type Settings = Settings;

    const API: Api = Api::Other;
    const SHARED_FIELDS: &[&str] = &[mapping::NAME];
    const UNCONDITIONAL_WRITES: &[&str] = &[];
    const KEEPS_FIRST_SPELLING: bool = false;

    fn add_account(fakes: &Fakes, name: &str) -> ToyAccount {
        ToyAccount::open(fakes, name)
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        let url = format!("{}{}", fakes.base(), Self::API.base_path());
        json!({ "token": account, "apiUrl": url })
    }

    fn set_settings(account: &ToyAccount, settings: Settings) {
        account.set(settings);
    }

    fn settings_that_ignore_case() -> Settings {
        Settings {
            ignores_case: true,
            ..Settings::default()
        }
    }

    fn settings_that_refuse_moves() -> Settings {
        Settings {
            refuses_moves: true,
            ..Settings::default()
        }
    }

    fn any_settings() -> BoxedStrategy<Settings> {
        let settings = any::<[bool; 2]>().prop_map(|[ignores_case, refuses_moves]| Settings {
            ignores_case,
            refuses_moves,
        });
        settings.boxed()
    }

    fn contact(tags: &[&str]) -> Contact {
        Contact {
            email: EMAIL.to_owned(),
            subscribed: true,
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            fields: BTreeMap::from([("shoe size".to_owned(), json!(38))]),
        }
    }

    fn any_contact() -> BoxedStrategy<Contact> {
        let fields = prop::sample::subsequence(
            vec![
                ("user", json!("email|84cc")),
                ("subscriptions", json!(1)),
                ("ends", json!("2026-01-01")),
                ("name", json!("Anne")),
                ("shoe size", json!(38)),
            ],
            0..=5,
        );
        (any_tags(), fields, any::<bool>())
            .prop_map(|(tags, fields, subscribed)| {
                let fields = fields.into_iter();
                Contact {
                    subscribed,
                    fields: fields
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                    ..Self::contact(&tags)
                }
            })
            .boxed()
    }

    fn unsubscribed(contact: Contact) -> Contact {
        Contact {
            subscribed: false,
            ..contact
        }
    }

    fn put_contact(account: &ToyAccount, contact: Contact) {
        account.put(contact);
    }

    fn contacts(account: &ToyAccount) -> Vec<Contact> {
        account.contacts()
    }

    fn data(contact: &Contact) -> ContactData {
        ContactData {
            tags: contact.tags.clone(),
            fields: contact.fields.clone(),
        }
    }

    fn email(contact: &Contact) -> String {
        contact.email.clone()
    }

    fn with_email(contact: Contact, email: &str) -> Contact {
        Contact {
            email: email.to_owned(),
            ..contact
        }
    }

    /// Toy gets no events.
    fn deliveries(_: &ToyAccount) -> Vec<String> {
        Vec::new()
    }

    /// Toy has no lists, and so none that a contact could join.
    fn consent(contact: &Contact) -> Value {
        json!(contact.subscribed)
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let fields = mapping::fields(desired).into_iter();
        fields
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    Some(value).filter(|value| !value.is_null()),
                )
            })
            .collect()
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        ["GET", "PATCH"]
            .map(|method| SyncCall {
                method,
                path: "/contacts/*",
                before: Self::contact(&["vip"]),
            })
            .into()
    }

    fn forget_calls() -> Vec<ForgetCall> {
        ["GET", "PATCH"]
            .map(|method| ForgetCall {
                method,
                path: "/contacts/*",
                skip: 0,
                removed_tags: 0,
            })
            .into()
    }
}
