//! A case: one fault at one call, tested with a separate publisher and user.

use fakes::{
    Address, Contract, Entitlement, Fakes, Fault, User,
    hubspot::{self, HubSpotAccount},
    mailchimp::{self, AudienceHandle, Member, MergeField},
    mailmojo::{Contact, FieldKind, MailmojoAccount, MailmojoSettings, Status},
    make::{MakeAccount, MakeSettings, Subscriber, TagForm},
    rule::{self, RuleAccount},
    sesamy::Bill,
};
use harness::{Connector, FifoMessage, secrets};
use serde_json::{Value, json};
use shared::{
    identity::{UserId, VendorId},
    message::{Event, EventType, Message, UserKey},
};
use soak::leaks::{MARKER, PHONE};

use super::table::{
    CALLS, Expected, FAULTS, Frequency, ONE_OF_EACH_API, ONLY_STATUS_READ, RATE_LIMIT_FORMS,
    expected,
};

/// The list that users join.
const LIST: u64 = 42;
const AUDIENCE: &str = "users";

/// The tags of every user after a sync.
pub const OUR_TAGS: [&str; 3] = [
    "sesamy_active_entitlement_the-daily",
    NEW_OPTION,
    "sesamy_active_subscriber",
];

/// The tag that is no option at HubSpot before the sync.
const NEW_OPTION: &str = "sesamy_active_sku_sid-daily";

/// Which of the publisher's secrets is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretState {
    Valid,
    ConnectorMissing,
    ConnectorMalformed,
    SesamyMissing,
    SesamyMalformed,
}

/// The publisher's account at the CRM that the case tests.
pub enum CrmAccount {
    Rule(RuleAccount),
    Mailmojo(MailmojoAccount),
    Make(MakeAccount),
    Mailchimp(AudienceHandle),
    Hubspot(HubSpotAccount),
}

pub struct Case {
    /// Also the id of its publisher.
    pub id: String,
    pub connector: Connector,
    pub expected: Expected,
    pub frequency: Frequency,
    /// `None` if the case tests secrets.
    pub fault: Option<Fault>,
    pub secrets: SecretState,
    /// Whether the CRM has the contact before the sync.
    pub known: bool,
    /// The names of the call and the fault in the table.
    pub call_name: &'static str,
    pub fault_name: &'static str,
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for call in &CALLS {
        for named in &FAULTS {
            if RATE_LIMIT_FORMS.contains(&named.name) && !ONE_OF_EACH_API.contains(&call.name) {
                continue;
            }
            for frequency in [Frequency::Once, Frequency::Always] {
                let id = format!("{}.{}.{frequency:?}", call.name, named.name);
                let expected = expected(call, named, frequency);
                // There is one try, so that it makes no difference how long the fault lasts.
                let is_tried_once = matches!(expected, Expected::DeadLetter(..));
                if is_tried_once && frequency == Frequency::Always {
                    continue;
                }
                // A 404 of a lookup means that the CRM does not know the contact.
                let is_new = CREATIONS.contains(&call.name)
                    || named.name == "404" && NEW_IF_UNKNOWN.contains(&call.name);
                let mut fault = (named.fault)().on(call.api).method(call.method);
                fault = fault.skip(call.skip);
                // If the sync ignores the fault, the API must have carried out the call.
                let is_ignored = ONLY_STATUS_READ.contains(&call.name) && named.name == "malformed"
                    || (call.name, named.name) == ("rule-untag", "404");
                if expected == Expected::Done && is_ignored {
                    fault = fault.after_effect();
                }
                if frequency == Frequency::Once {
                    fault = fault.once();
                }
                cases.push(Case {
                    fault: Some(fault.path(call.path).account(&id)),
                    connector: call.connector,
                    expected,
                    frequency,
                    secrets: SecretState::Valid,
                    known: !is_new,
                    call_name: call.name,
                    fault_name: named.name,
                    id,
                });
            }
        }
    }
    for connector in Connector::ALL {
        for (secrets, expected) in [
            (SecretState::ConnectorMissing, Expected::Done),
            (SecretState::ConnectorMalformed, Expected::Refused),
            (SecretState::SesamyMissing, Expected::Refused),
            (SecretState::SesamyMalformed, Expected::Refused),
        ] {
            cases.push(Case {
                id: format!("{}.{secrets:?}", connector.name()),
                connector,
                expected,
                frequency: Frequency::Always,
                fault: None,
                secrets,
                known: false,
                call_name: "secrets",
                fault_name: "",
            });
        }
    }
    // A message waits for as long as it is old, so that those with the most tries come
    // first. Slow cases delay those after them.
    cases.sort_by_key(|case| {
        let lasts = case.frequency == Frequency::Always;
        match case.expected {
            Expected::Retried if lasts && case.fault_name != "slow" => 0,
            _ if case.fault_name == "slow" => 1,
            Expected::Retried | Expected::RetriedOnce | Expected::Refused => 2,
            _ => 3,
        }
    });
    cases
}

/// The lookups whose 404 means that the contact is new.
const NEW_IF_UNKNOWN: [&str; 4] = [
    "mailmojo-contact",
    "make-subscriber",
    "mailchimp-member",
    "hubspot-contact",
];

/// The calls that are made for a new contact only.
const CREATIONS: [&str; 2] = ["mailchimp-create", "hubspot-create"];

impl Case {
    pub fn email(&self) -> String {
        format!(
            "{MARKER}@{}.example",
            self.id.to_lowercase().replace('_', "-")
        )
    }

    /// Whether HubSpot does not take the address, so that there is no contact.
    pub fn has_no_contact(&self) -> bool {
        self.call_name == "hubspot-create" && self.expected == Expected::Done
    }

    /// Whether HubSpot does not take the tag as an option, so that the contact does
    /// without it.
    pub fn lacks_option(&self, tag: &str) -> bool {
        let is_rejected = !matches!(self.fault_name, "malformed" | "wrong-types");
        let is_refused = self.call_name == "hubspot-add-options"
            && self.expected == Expected::Done
            && is_rejected;
        is_refused && tag == NEW_OPTION
    }

    pub fn user_id(&self) -> String {
        format!("email|{}", self.id)
    }

    /// The message of the user's only event.
    pub fn message(&self) -> FifoMessage {
        let user = UserKey {
            vendor_id: VendorId::try_from(self.id.as_str()).unwrap(),
            user_id: UserId::try_from(self.user_id()).unwrap(),
        };
        let event = Event {
            event_type: EventType::ContractUpdate,
            occurred_at: "2026-01-15T09:30:00Z".parse().unwrap(),
            contract_id: None,
            entitlement_id: None,
            checkout_id: None,
        };
        let message = Message {
            event_id: event.id(&user.vendor_id, &user.user_id),
            received_at: event.occurred_at,
            event: Some(event),
            user,
        };
        FifoMessage {
            group: message.user.message_group(),
            body: message.to_json(),
        }
    }

    /// Creates the accounts. Returns the one at the CRM, and the publisher's secrets.
    pub fn open(&self, fakes: &Fakes) -> (CrmAccount, Vec<(String, Value)>) {
        let (id, email, urls) = (self.id.as_str(), self.email(), fakes.urls());
        let (client, client_secret) = (format!("client-{id}"), format!("{MARKER}-secret"));
        let sesamy = fakes.sesamy().add_vendor(id, &client, &client_secret);
        let daily = ("sid:Daily", "The Daily");
        sesamy.put_user(
            User::new(&self.user_id())
                .email(&email)
                .name(&format!("{MARKER}-anna"), &format!("{MARKER}-ask"))
                .phone_number(PHONE)
                .billing_address(
                    Address::new(&format!("{MARKER} street"), MARKER, MARKER, "SE").co(MARKER),
                )
                .contract(
                    Contract::active(&format!("c-{id}")).item(daily.0, daily.1, "po1", "Monthly"),
                )
                .entitlement(Entitlement::new("e1", daily.0, daily.1))
                .bill(
                    Bill::paid("b1", &format!("c-{id}"))
                        .set("receiptUrl", format!("https://example.com/{MARKER}")),
                ),
        );
        let tags = ["vip", "sesamy_stale"];
        let key = format!("{MARKER}-key-{id}");
        let (account, secret) = match self.connector {
            Connector::Rule => {
                let account = fakes.rule().add_account(id, &key);
                if self.known {
                    account.put_subscriber(rule::Subscriber::new(&email).tags(&tags));
                }
                (CrmAccount::Rule(account), secrets::rule(urls, &key))
            }
            Connector::Mailmojo => {
                let account = fakes.mailmojo().add_account(id, &key);
                account.add_list(LIST, "Users");
                account.add_list(7, "Others");
                // Values of undefined fields are dropped if the fields cannot be defined.
                account.set_settings(MailmojoSettings {
                    drop_unknown_fields: self.call_name == "mailmojo-define",
                    ..MailmojoSettings::default()
                });
                // The sync has one field to define, unless listing the fields fails.
                let undefined = usize::from(self.call_name != "mailmojo-fields");
                for field in mailmojo::mapping::FIELDS.into_iter().skip(undefined) {
                    let kind = serde_json::from_value::<FieldKind>(field.kind().name().into());
                    account.define(field.label(), kind.unwrap());
                }
                if self.known {
                    account
                        .put_contact(Contact::new(&email).on_list(7, Status::Active).tags(&tags));
                }
                let secret = secrets::mailmojo(urls, &key, LIST);
                (CrmAccount::Mailmojo(account), secret)
            }
            Connector::Make => {
                let user = format!("user-{id}");
                let account = fakes.make().add_account(id, &user, &key);
                account.add_list(LIST, "Users");
                if self.call_name == "make-tags" {
                    account.set_settings(MakeSettings {
                        tag_form: TagForm::Ids,
                        ..MakeSettings::default()
                    });
                }
                if self.known {
                    // The sync changes a contact that is on the list, and otherwise adds it.
                    let subscriber = Subscriber::new(&email).tags(&tags);
                    account.put_subscriber(if self.call_name == "make-change" {
                        subscriber.on_list(LIST)
                    } else {
                        subscriber
                    });
                }
                let secret = secrets::make(urls, &user, &key, LIST);
                (CrmAccount::Make(account), secret)
            }
            Connector::Mailchimp => {
                let account = fakes.mailchimp().add_account(id, &key);
                let audience = account.add_audience(AUDIENCE, "Users");
                // The sync has one field to define.
                let (_, defined) = ::mailchimp::mapping::FIELDS.split_last().unwrap();
                for (attribute, tag) in defined {
                    let kind = ::mailchimp::mapping::type_name(*attribute);
                    let kind = serde_json::from_value(kind.into()).unwrap();
                    audience.define(MergeField::new(tag, kind));
                }
                if self.known {
                    audience.put_member(Member::new(&email).tags(&tags));
                }
                let secret = secrets::mailchimp(urls, &key, AUDIENCE);
                (CrmAccount::Mailchimp(audience), secret)
            }
            Connector::Hubspot => {
                let account = fakes.hubspot().add_account(id, &key);
                // The sync has one property and one option to define.
                let (_, defined) = ::hubspot::mapping::PROPERTIES.split_last().unwrap();
                let mut contact = hubspot::Contact::new("first@example.com");
                for (_, name) in defined {
                    contact = contact.property(name, "");
                }
                let options = OUR_TAGS.into_iter().filter(|tag| *tag != NEW_OPTION);
                let contact = contact.tags(&options.collect::<Vec<_>>());
                account.remove_contact(account.put_contact(contact));
                if self.known {
                    account.put_contact(hubspot::Contact::new(&email).tags(&tags));
                }
                (CrmAccount::Hubspot(account), secrets::hubspot(urls, &key))
            }
        };
        let sesamy = secrets::sesamy(urls, &client, &client_secret);
        let malformed = json!({"unknown": MARKER, "apiUrl": MARKER});
        let connector_secret = match self.secrets {
            SecretState::ConnectorMissing => None,
            SecretState::ConnectorMalformed => Some(malformed.clone()),
            _ => Some(secret),
        };
        let sesamy_secret = match self.secrets {
            SecretState::SesamyMissing => None,
            SecretState::SesamyMalformed => Some(malformed),
            _ => Some(sesamy),
        };
        let secrets = [
            (self.connector.name(), connector_secret),
            ("sesamy", sesamy_secret),
        ];
        let secrets = secrets
            .into_iter()
            .filter_map(|(name, content)| Some((format!("{id}/{name}"), content?)));
        (account, secrets.collect())
    }
}

/// The sorted tags of a contact, and whether its other data is correct.
pub fn contact(account: &CrmAccount, email: &str) -> Option<(Vec<String>, bool)> {
    let (mut tags, agrees) = match account {
        CrmAccount::Rule(account) => {
            let contact = account.subscriber(email)?;
            let title = contact.fields.get("Sesamy_ActiveProducts.Titles");
            (contact.tags, title == Some(&json!(["The Daily"])))
        }
        CrmAccount::Mailmojo(account) => {
            let contact = account.contact(email)?;
            let active = contact.custom.get("Has Active Subscription");
            let on_list = contact.on(LIST) == Some(Status::Active);
            (contact.tags, active == Some(&json!(true)) && on_list)
        }
        CrmAccount::Mailchimp(audience) => {
            let contact = audience.member(email)?;
            let active = contact.merge_fields.get("SMYSUBSC");
            let is_subscribed = contact.status == mailchimp::Status::Subscribed;
            let has_event = !contact.events.is_empty();
            let agrees = active == Some(&json!("True")) && is_subscribed && has_event;
            (contact.tags, agrees)
        }
        CrmAccount::Hubspot(account) => {
            let contact = account.contact(email)?;
            let active = contact.get("has_active_subscription");
            (
                contact.values(::hubspot::mapping::TAGS),
                active == Some("true"),
            )
        }
        CrmAccount::Make(account) => {
            let contact = account.subscriber(email)?;
            let subscribed = account.subscriptions_of(email).len() == 1;
            (contact.tags, subscribed && contact.lists == [LIST])
        }
    };
    tags.sort();
    Some((tags, agrees))
}
