//! Mailchimp, as the laws test it.

use std::collections::BTreeMap;

use conformance::{Bench, ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, anna, any_tags};
use fakes::mailchimp::{AudienceHandle, MailchimpSettings, Member, Status};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fakes};
use mailchimp::{Mailchimp, mapping};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::derivation::DesiredContact;

/// The audience that users join.
pub const LIST: &str = "a1b2c3d4e5";

pub const STATUSES: [Status; 6] = [
    Status::Subscribed,
    Status::Unsubscribed,
    Status::Cleaned,
    Status::Pending,
    Status::Transactional,
    Status::Archived,
];

pub struct MailchimpCrm;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub fake: MailchimpSettings,
    /// The address can never come back.
    address_is_forgotten: bool,
}

impl TestedCrm for MailchimpCrm {
    type Connector = Mailchimp;
    type Account = AudienceHandle;
    type Contact = Member;
    type Settings = Settings;

    const API: Api = Api::Mailchimp;
    const SHARED_FIELDS: &[&str] = &["FNAME", "LNAME", "PHONE"];
    const UNCONDITIONAL_WRITES: &[&str] = &[];
    const KEEPS_FIRST_SPELLING: bool = true;
    const ALWAYS_IGNORES_CASE: bool = true;
    const COPIES_UNSUBSCRIBED: bool = true;

    fn add_account(fakes: &Fakes, name: &str) -> AudienceHandle {
        let account = fakes.mailchimp().add_account(name, name);
        account.add_audience(LIST, "Users")
    }

    fn secret(fakes: &Fakes, account: &str) -> Value {
        json!({
            "apiKey": account,
            "listId": LIST,
            "newStatus": "subscribed",
            "apiUrl": fakes.urls().mailchimp,
        })
    }

    fn set_settings(audience: &AudienceHandle, settings: Settings) {
        audience.account().set_settings(settings.fake);
        if settings.address_is_forgotten && audience.member(EMAIL).is_none() {
            audience.forget_address(EMAIL);
        }
    }

    fn settings_that_ignore_case() -> Settings {
        Settings::default()
    }

    fn settings_that_refuse_moves() -> Settings {
        let mut settings = Settings::default();
        settings.fake.refuse_moves = true;
        settings
    }

    fn any_settings() -> BoxedStrategy<Settings> {
        (any::<[bool; 6]>(), prop::sample::select(vec![4, 10, 30]))
            .prop_map(|(flags, merge_field_limit)| {
                let [shows, hides, moves, events, names, forgotten] = flags;
                Settings {
                    fake: MailchimpSettings {
                        merge_field_limit,
                        shows_limit: shows,
                        hides_limit: hides,
                        refuse_moves: moves,
                        refuse_events: events,
                        names_refused_address: names,
                    },
                    address_is_forgotten: forgotten,
                }
            })
            .boxed()
    }

    fn contact(tags: &[&str]) -> Member {
        Member::new(EMAIL)
            .names("Anne", "Aas")
            .field("SHOE", 38)
            .tags(tags)
    }

    fn any_contact() -> BoxedStrategy<Member> {
        let fields = prop::sample::subsequence(
            vec![
                ("FNAME", json!("Anne")),
                ("PHONE", json!("+4790000009")),
                ("SESAMYUSR", json!("email|84cc")),
                ("SMYSUBSC", json!("True")),
                ("SMYACTSUBS", json!(1)),
                ("SMYISSREM", json!(3)),
                ("SMYCANCEL", json!("2026-01-01")),
                ("SHOE", json!(38)),
            ],
            0..=8,
        );
        let status = prop::sample::select(STATUSES.to_vec());
        (any_tags(), fields, status)
            .prop_map(|(mut tags, fields, status)| {
                // The audience would keep this spelling for every later sync.
                tags.retain(|tag| *tag != "sesamy_Overdue_Contract");
                let mut member = Member::new(EMAIL).tags(&tags).status(status);
                for (tag, value) in fields {
                    member = member.field(tag, value);
                }
                member
            })
            .boxed()
    }

    fn unsubscribed(contact: Member) -> Member {
        contact.status(Status::Unsubscribed)
    }

    fn put_contact(audience: &AudienceHandle, contact: Member) {
        audience.put_member(contact);
    }

    fn contacts(audience: &AudienceHandle) -> Vec<Member> {
        audience.members()
    }

    fn data(contact: &Member) -> ContactData {
        ContactData {
            tags: contact.tags.clone(),
            fields: contact.merge_fields.clone(),
        }
    }

    fn email(contact: &Member) -> String {
        contact.email_address.clone()
    }

    fn with_email(contact: Member, email: &str) -> Member {
        Member {
            email_address: email.to_owned(),
            ..contact
        }
    }

    fn deliveries(audience: &AudienceHandle) -> Vec<String> {
        let events = audience
            .members()
            .into_iter()
            .flat_map(|member| member.events);
        events
            .map(|event| event.properties["occurred_at"].clone())
            .collect()
    }

    fn consent(contact: &Member) -> Value {
        json!(contact.status)
    }

    fn desired_fields(desired: &DesiredContact) -> BTreeMap<String, Option<Value>> {
        let fields = mapping::fields(desired).filter(|field| !field.attribute.is_personal());
        fields
            .map(|field| {
                let value = Some(field.value).filter(|value| !value.is_null());
                (field.name.to_owned(), value)
            })
            .collect()
    }

    fn sync_calls() -> Vec<SyncCall<Self>> {
        [
            ("GET", "/lists/*/merge-fields"),
            ("POST", "/lists/*/merge-fields"),
            ("GET", "/lists/*/members/*"),
            ("PATCH", "/lists/*/members/*"),
            ("POST", "/lists/*/members/*/tags"),
            ("POST", "/lists/*/members/*/events"),
        ]
        .map(|(method, path)| SyncCall {
            method,
            path,
            before: Self::contact(&["vip", "sesamy_old"]),
        })
        .into()
    }

    fn forget_calls() -> Vec<ForgetCall> {
        let call = |method, path, removed_tags| ForgetCall {
            method,
            path,
            skip: 0,
            removed_tags,
        };
        vec![
            call("GET", "/lists/*/members/*", 0),
            call("POST", "/lists/*/members/*/tags", 0),
            call("PATCH", "/lists/*/members/*", 4),
        ]
    }
}

pub async fn start() -> (Bench<Mailchimp>, AudienceHandle) {
    conformance::start::<MailchimpCrm>().await
}

/// Replaces one key of the connector's secret.
pub fn put_secret(bench: &Bench<Mailchimp>, key: &str, value: impl Into<Value>) {
    let mut secret = MailchimpCrm::secret(&bench.fakes, "account");
    secret[key] = value.into();
    bench.put_connector_secret(&secret);
}

/// The calls without the id of the audience and the hash of the member.
pub fn calls(bench: &Bench<Mailchimp>) -> Vec<String> {
    let is_named = |part: &&str| *part != LIST && part.len() != 32;
    let short = |call: String| {
        call.split('/')
            .filter(is_named)
            .collect::<Vec<_>>()
            .join("/")
    };
    bench.calls(Api::Mailchimp).into_iter().map(short).collect()
}

pub fn daily_subscriber() -> User {
    anna()
        .phone_number("+4790000001")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}
