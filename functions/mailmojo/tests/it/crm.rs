//! Mailmojo, as the laws test it.

use std::collections::BTreeMap;

use conformance::{Bench, ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, anna, any_tags};
use fakes::mailmojo::{Contact, MailmojoAccount, MailmojoSettings, Status};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fakes};
use mailmojo::{Mailmojo, mapping};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::derivation::DesiredContact;

/// The list that users join.
pub const LIST: u64 = 42;
/// A list of the publisher's.
pub const OTHER_LIST: u64 = 7;

pub struct MailmojoCrm;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    fake: MailmojoSettings,
    /// Mailmojo blocks the contact's address.
    address_is_blocked: bool,
}

impl TestedCrm for MailmojoCrm {
    type Connector = Mailmojo;
    type Account = MailmojoAccount;
    type Contact = Contact;
    type Settings = Settings;

    const API: Api = Api::Mailmojo;
    const SHARED_FIELDS: &[&str] = &["first_name", "last_name", "phone"];
    const UNCONDITIONAL_WRITES: &[&str] = &[];
    const KEEPS_FIRST_SPELLING: bool = false;

    fn add_account(fakes: &Fakes, name: &str) -> MailmojoAccount {
        let account = fakes.mailmojo().add_account(name, name);
        account.add_list(LIST, "Users");
        account.add_list(OTHER_LIST, "Others");
        account
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        json!({
            "apiToken": account,
            "listId": LIST.to_string(),
            "apiUrl": fakes.urls().mailmojo,
        })
    }

    fn set_settings(account: &MailmojoAccount, settings: Settings) {
        account.set_settings(settings.fake);
        if settings.address_is_blocked {
            account.keep_out(EMAIL);
        }
    }

    fn settings_that_ignore_case() -> Settings {
        let mut settings = Settings::default();
        settings.fake.fold_tag_case = true;
        settings
    }

    fn settings_that_refuse_moves() -> Settings {
        let mut settings = Settings::default();
        settings.fake.refuse_moves = true;
        settings
    }

    fn any_settings() -> BoxedStrategy<Settings> {
        any::<[bool; 3]>()
            .prop_map(
                |[refuse_unsubscribed, fold_tag_case, address_is_blocked]| Settings {
                    fake: MailmojoSettings {
                        refuse_unsubscribed,
                        fold_tag_case,
                        ..MailmojoSettings::default()
                    },
                    address_is_blocked,
                },
            )
            .boxed()
    }

    fn contact(tags: &[&str]) -> Contact {
        Contact::new(EMAIL)
            .on_list(LIST, Status::Active)
            .names("Anne", "Aas")
            .custom("Shoe size", 38)
            .tags(tags)
    }

    fn any_contact() -> BoxedStrategy<Contact> {
        let custom = prop::sample::subsequence(
            vec![
                ("Sesamy User ID", json!("email|84cc")),
                ("Has Active Subscription", json!(true)),
                ("Active Subscriptions", json!(1)),
                ("Issues Remaining", json!(3)),
                ("Will Cancel At", json!("2026-01-01")),
                ("Shoe size", json!(38)),
            ],
            0..=6,
        );
        let status = || {
            prop::sample::select(vec![
                Status::Active,
                Status::Active,
                Status::Unsubscribed,
                Status::Bounced,
                Status::Deleted,
            ])
        };
        let on_list = || prop::option::of(status());
        let statuses = (status(), on_list(), on_list());
        (any_tags(), custom, any::<bool>(), statuses)
            .prop_map(|(tags, custom, named, (status, on_list, on_other_list))| {
                let mut contact = Contact::new(EMAIL).tags(&tags).status(status);
                for (name, value) in custom {
                    contact = contact.custom(name, value);
                }
                if named {
                    contact = contact.names("Anne", "Aas");
                }
                for (list, status) in [(OTHER_LIST, on_other_list), (LIST, on_list)] {
                    if let Some(status) = status {
                        contact = contact.on_list(list, status);
                    }
                }
                contact
            })
            .boxed()
    }

    fn unsubscribed(mut contact: Contact) -> Contact {
        contact.list_associations.clear();
        contact.on_list(LIST, Status::Unsubscribed)
    }

    fn put_contact(account: &MailmojoAccount, contact: Contact) {
        account.put_contact(contact);
    }

    fn contacts(account: &MailmojoAccount) -> Vec<Contact> {
        account.contacts()
    }

    fn data(contact: &Contact) -> ContactData {
        let mut fields = contact.custom.clone();
        for (key, value) in [
            ("first_name", &contact.first_name),
            ("last_name", &contact.last_name),
            ("phone", &contact.phone),
        ] {
            fields.extend(value.as_ref().map(|value| (key.to_owned(), json!(value))));
        }
        let tags = contact.tags.clone();
        ContactData { tags, fields }
    }

    fn email(contact: &Contact) -> String {
        contact.email.clone()
    }

    fn with_email(mut contact: Contact, email: &str) -> Contact {
        email.clone_into(&mut contact.email);
        contact
    }

    fn consent(contact: &Contact) -> Value {
        json!([contact.status, contact.on(OTHER_LIST), contact.on(LIST)])
    }

    fn consent_after_sync(contact: &Contact, settings: &Settings) -> Value {
        let may_join = contact.status == Status::Active && !settings.address_is_blocked;
        let on_list = contact.on(LIST).or(may_join.then_some(Status::Active));
        json!([contact.status, contact.on(OTHER_LIST), on_list])
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let fields = mapping::fields(desired).into_iter();
        fields
            .map(|field| {
                let value = Some(field.value).filter(|value| !value.is_null());
                (field.name.to_owned(), value)
            })
            .collect()
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        [
            ("GET", "/v1/fields/"),
            ("POST", "/v1/fields/"),
            ("GET", "/v1/contacts/*"),
            ("PATCH", "/v1/contacts/*"),
            ("POST", "/v1/lists/*"),
        ]
        .map(|(method, path)| SyncCall {
            method,
            path,
            before: Contact::new(EMAIL)
                .on_list(OTHER_LIST, Status::Active)
                .tags(&["vip"]),
        })
        .into()
    }

    fn forget_calls() -> Vec<ForgetCall> {
        ["GET", "PATCH"]
            .map(|method| ForgetCall {
                method,
                path: "/v1/contacts/*",
                skip: 0,
                removed_tags: 0,
            })
            .into()
    }
}

pub async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    conformance::start::<MailmojoCrm>().await
}

pub fn daily_subscriber() -> User {
    anna()
        .phone_number("+4790000001")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}
