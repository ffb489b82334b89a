//! Make.as, as the laws test it.

use std::collections::BTreeMap;

use conformance::{Bench, ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, anna, any_tags};
use fakes::make::{MakeAccount, MakeSettings, Subscriber};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fakes, RecordedRequest};
use make::{Make, mapping};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::derivation::DesiredContact;

/// The list that users join.
pub const LIST: u64 = 77;
/// A list of the publisher's.
pub const OTHER_LIST: u64 = 78;

pub struct MakeCrm;

impl TestedCrm for MakeCrm {
    type Connector = Make;
    type Account = MakeAccount;
    type Contact = Subscriber;
    type Settings = MakeSettings;

    const API: Api = Api::Make;
    const SHARED_FIELDS: &[&str] = &["firstname", "lastname", "company"];
    const UNCONDITIONAL_WRITES: &[&str] = &[
        "POST /subscribers/subscriptions/products/bulkinsert",
        "POST /subscribers/subscriptions/bulkinsert",
    ];
    const KEEPS_FIRST_SPELLING: bool = true;

    fn add_account(fakes: &Fakes, name: &str) -> MakeAccount {
        let account = fakes.make().add_account(name, name, "key");
        account.add_list(LIST, "Users");
        account.add_list(OTHER_LIST, "Others");
        account
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        json!({
            "userId": account,
            "apiKey": "key",
            "listId": LIST.to_string(),
            "apiUrl": fakes.urls().make,
        })
    }

    fn is_read(request: &RecordedRequest) -> bool {
        request.method == "GET" || request.path == "/subscribers/by_email"
    }

    fn set_settings(account: &MakeAccount, settings: MakeSettings) {
        account.set_settings(settings);
    }

    fn settings_that_ignore_case() -> MakeSettings {
        MakeSettings {
            fold_tag_case: true,
            ..MakeSettings::default()
        }
    }

    fn settings_that_refuse_moves() -> MakeSettings {
        MakeSettings {
            refuse_moves: true,
            ..MakeSettings::default()
        }
    }

    fn any_settings() -> BoxedStrategy<MakeSettings> {
        any::<[bool; 2]>()
            .prop_map(|[lists_keep_status, fold_tag_case]| MakeSettings {
                lists_keep_status,
                fold_tag_case,
                ..MakeSettings::default()
            })
            .boxed()
    }

    fn contact(tags: &[&str]) -> Subscriber {
        Subscriber::new(EMAIL)
            .on_list(LIST)
            .detail("phone", "12345678")
            .tags(tags)
    }

    fn any_contact() -> BoxedStrategy<Subscriber> {
        let details = prop::sample::subsequence(
            vec![
                ("firstname", "Anna"),
                ("lastname", "Aas"),
                ("company", "X AS"),
                ("phone", "12345678"),
            ],
            0..=4,
        );
        let lists = prop::sample::subsequence(vec![LIST, OTHER_LIST], 0..=2);
        let statuses = ["active", "unsubscribed", "bounce", "unconfirmed"];
        let status = prop::sample::select(statuses.to_vec());
        (any_tags(), details, lists, status)
            .prop_map(|(tags, details, lists, status)| {
                let mut contact = Subscriber::new(EMAIL).tags(&tags).email_status(status);
                for (key, value) in details {
                    contact = contact.detail(key, value);
                }
                contact.lists = lists;
                contact
            })
            .boxed()
    }

    fn unsubscribed(contact: Subscriber) -> Subscriber {
        contact.unsubscribed()
    }

    fn put_contact(account: &MakeAccount, contact: Subscriber) {
        account.put_subscriber(contact);
    }

    fn contacts(account: &MakeAccount) -> Vec<Subscriber> {
        account.subscribers()
    }

    fn data(contact: &Subscriber) -> ContactData {
        let details = contact.details.iter();
        let mut fields: BTreeMap<String, Value> = details
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let id = contact.external_id.clone();
        fields.extend(id.map(|id| ("external_id".to_owned(), id.into())));
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

    fn consent(contact: &Subscriber) -> Value {
        json!([contact.email_status, contact.phone_status, contact.lists])
    }

    fn consent_after_sync(contact: &Subscriber, _: &MakeSettings) -> Value {
        let mut after = contact.clone();
        if after.email_status == "active" && !after.lists.contains(&LIST) {
            after.lists.push(LIST);
        }
        Self::consent(&after)
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let mut body = mapping::change(desired, &[]);
        body.remove("tags");
        let fields = body.into_iter();
        fields.map(|(key, value)| (key, Some(value))).collect()
    }

    /// Every contract has its subscription.
    fn check_records(account: &MakeAccount, desired: &DesiredContact) {
        let subscriptions = account.subscriptions_of(&desired.email.lookup());
        for subscription in mapping::subscriptions(desired) {
            let id = subscription["external_id"].as_str();
            let synced = subscriptions
                .iter()
                .find(|synced| Some(synced.external_id.as_str()) == id);
            assert_eq!(subscription["status"], synced.unwrap().status.as_str());
        }
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        let call = |method, path, on_list: bool| {
            let mut before: Subscriber = Self::contact(&["vip"]);
            if !on_list {
                before.lists.clear();
            }
            SyncCall {
                method,
                path,
                before,
            }
        };
        let subscriptions = "/subscribers/subscriptions/bulkinsert";
        let products = "/subscribers/subscriptions/products/bulkinsert";
        vec![
            call("POST", "/subscribers/by_email", true),
            call("POST", "/subscribers", false),
            call("PATCH", "/subscribers/*", true),
            call("POST", products, true),
            call("POST", subscriptions, true),
        ]
    }

    fn forget_calls() -> Vec<ForgetCall> {
        [
            ("POST", "/subscribers/by_email"),
            ("PATCH", "/subscribers/*"),
        ]
        .map(|(method, path)| ForgetCall {
            method,
            path,
            skip: 0,
            removed_tags: 0,
        })
        .into()
    }
}

pub async fn start() -> (Bench<Make>, MakeAccount) {
    conformance::start::<MakeCrm>().await
}

/// A vendor with two accounts, `one` and `two`, whose lists are 77 and 78.
pub async fn start_with_two_lists() -> (Bench<Make>, [MakeAccount; 2]) {
    let bench = Bench::new(Make).await;
    let accounts = ["one", "two"].map(|name| MakeCrm::add_account(&bench.fakes, name));
    let sets = [set(&bench, "one", LIST), set(&bench, "two", OTHER_LIST)];
    bench.put_connector_secret(&json!(sets));
    (bench, accounts)
}

/// A set of credentials for a list of the account of this name.
pub fn set(bench: &Bench<Make>, account: &str, list: u64) -> Value {
    let mut set = MakeCrm::secret(&bench.fakes, account);
    set["listId"] = list.to_string().into();
    set
}

pub fn daily_subscriber() -> User {
    anna().contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}
