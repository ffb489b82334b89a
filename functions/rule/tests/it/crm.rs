//! Rule, as the laws test it.

use std::collections::BTreeMap;

use conformance::{Bench, ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, anna, any_tags};
use fakes::rule::{RuleAccount, RuleSettings, Subscriber};
use fakes::sesamy::{Contract, Entitlement, User};
use fakes::{Api, Fakes};
use proptest::prelude::*;
use rule::{Rule, mapping};
use serde_json::{Value, json};
use shared::derivation::DesiredContact;

pub struct RuleCrm;

impl TestedCrm for RuleCrm {
    type Connector = Rule;
    type Account = RuleAccount;
    type Contact = Subscriber;
    type Settings = RuleSettings;

    const API: Api = Api::Rule;
    const BASE_TAGS: &[&str] = &[mapping::BASE_TAG];
    const SHARED_FIELDS: &[&str] = &[
        "Subscriber.FirstName",
        "Subscriber.LastName",
        "Subscriber.Phone",
        "phone_number",
    ];
    const UNCONDITIONAL_WRITES: &[&str] = &["POST /v2/subscribers"];
    const KEEPS_FIRST_SPELLING: bool = true;

    fn add_account(fakes: &Fakes, name: &str) -> RuleAccount {
        fakes.rule().add_account(name, name)
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        json!({ "apiKey": account, "apiUrl": fakes.urls().rule })
    }

    fn set_settings(account: &RuleAccount, settings: RuleSettings) {
        account.set_settings(settings);
    }

    fn settings_that_ignore_case() -> RuleSettings {
        RuleSettings {
            fold_tag_case: true,
            ..RuleSettings::default()
        }
    }

    fn settings_that_refuse_moves() -> RuleSettings {
        RuleSettings {
            refuse_moves: true,
            ..RuleSettings::default()
        }
    }

    fn any_settings() -> BoxedStrategy<RuleSettings> {
        prop_oneof![
            Just(RuleSettings::default()),
            Just(Self::settings_that_ignore_case())
        ]
        .boxed()
    }

    fn contact(tags: &[&str]) -> Subscriber {
        Subscriber::new(EMAIL).field("Shop.Size", "38").tags(tags)
    }

    fn any_contact() -> BoxedStrategy<Subscriber> {
        let fields = prop::sample::subsequence(
            vec![
                ("Subscriber.FirstName", json!("Anne")),
                ("Sesamy_User.ID", json!("email|84cc")),
                ("Sesamy_User.LastName", json!("Aas")),
                ("Sesamy_BillingAddress.City", json!("Ås")),
                ("Sesamy_ActiveProducts.SKU", json!(["sid:Daily"])),
                ("Sesamy_Subscription.Status", json!("ACTIVE")),
                ("Shop.Size", json!("38")),
            ],
            0..=7,
        );
        let phones = vec![None, Some("+4790000001"), Some("+4790000002")];
        let phone = prop::sample::select(phones);
        (any_tags(), fields, phone, any::<[bool; 2]>())
            .prop_map(|(tags, fields, phone, [unsubscribed, blocked])| {
                let mut contact = Subscriber::new(EMAIL).tags(&tags);
                for (key, value) in fields {
                    contact = contact.field(key, value);
                }
                contact.phone_number = phone.map(str::to_owned);
                contact.blocked = blocked;
                match unsubscribed {
                    true => contact.unsubscribed(),
                    false => contact,
                }
            })
            .boxed()
    }

    fn unsubscribed(contact: Subscriber) -> Subscriber {
        contact.unsubscribed()
    }

    fn put_contact(account: &RuleAccount, contact: Subscriber) {
        account.put_subscriber(contact);
    }

    fn contacts(account: &RuleAccount) -> Vec<Subscriber> {
        account.subscribers()
    }

    fn data(contact: &Subscriber) -> ContactData {
        let mut fields = contact.fields.clone();
        let phone = contact.phone_number.clone();
        fields.extend(phone.map(|number| ("phone_number".to_owned(), number.into())));
        let tags = contact.tags.clone();
        ContactData { tags, fields }
    }

    fn email(contact: &Subscriber) -> String {
        contact.email.clone()
    }

    fn with_email(mut contact: Subscriber, email: &str) -> Subscriber {
        email.clone_into(&mut contact.email);
        contact
    }

    fn deliveries(account: &RuleAccount) -> Vec<String> {
        let flows = account.flows().into_iter();
        flows
            .filter(|flow| flow.tag.starts_with(mapping::EVENT_TAG_PREFIX))
            .map(|flow| {
                flow.fields["Sesamy_Event.OccurredAt"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    fn consent(contact: &Subscriber) -> Value {
        json!([contact.opted_in, contact.suppressed, contact.blocked])
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let fields = mapping::fields(desired).into_iter();
        fields
            .map(|field| {
                let value = (!field.is_cleared()).then(|| field.value.clone());
                (field.key.to_owned(), value)
            })
            .collect()
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        [
            ("POST", "/v2/customizations"),
            ("POST", "/v2/subscribers"),
            ("GET", "/v2/subscribers/*/tags"),
            ("DELETE", "/v2/subscribers/*/tags/*"),
            ("PUT", "/v2/subscribers/*"),
        ]
        .map(|(method, path)| SyncCall {
            method,
            path,
            before: Self::contact(&["vip", "sesamy_old"]),
        })
        .into()
    }

    fn forget_calls() -> Vec<ForgetCall> {
        let call = |method, path, skip, removed_tags| ForgetCall {
            method,
            path,
            skip,
            removed_tags,
        };
        vec![
            call("GET", "/v2/subscribers/*", 0, 0),
            call("GET", "/v2/subscriber/*/fields", 0, 0),
            call("GET", "/v2/subscribers/*/tags", 0, 0),
            call("DELETE", "/v2/subscribers/*/tags/*", 0, 0),
            call("DELETE", "/v2/subscribers/*/tags/*", 3, 3),
            call("PUT", "/v2/subscribers/*", 0, 6),
        ]
    }
}

pub async fn start() -> (Bench<Rule>, RuleAccount) {
    conformance::start::<RuleCrm>().await
}

pub fn daily_subscriber() -> User {
    anna()
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "The Daily").from_contract("c1"))
}
