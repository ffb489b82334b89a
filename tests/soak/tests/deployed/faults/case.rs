//! A case: one fault at one call, tested with a separate publisher and user.

use fakes::{
    Address, Contract, Entitlement, Fakes, Fault, User,
    mailmojo::{Contact, FieldKind, MailmojoAccount, MailmojoSettings, Status},
    make::{MakeAccount, MakeSettings, Subscriber, TagForm},
    rule::{self, RuleAccount},
    sesamy::Bill,
};
use harness::{Connector, FifoMessage, secrets};
use mailmojo::mapping::DEFINITIONS;
use serde_json::{Value, json};
use shared::{
    identity::{UserId, VendorId},
    message::{Event, EventType, Message, UserKey},
};
use soak::CONNECTORS;
use soak::leaks::{MARKER, PHONE};

use super::table::{CALLS, Expected, FAULTS, Frequency, ONLY_STATUS_READ, expected};

/// The list that users join.
const LIST: u64 = 42;

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
            for frequency in [Frequency::Once, Frequency::Always] {
                let id = format!("{}.{}.{frequency:?}", call.name, named.name);
                let expected = expected(call, named, frequency);
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
                    // A 404 here means that the CRM does not know the contact.
                    known: !(matches!(call.name, "mailmojo-contact" | "make-subscriber")
                        && named.name == "404"),
                    call_name: call.name,
                    fault_name: named.name,
                    id,
                });
            }
        }
    }
    for connector in CONNECTORS {
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
    // Slow cases come last, because they delay the cases after them.
    cases.sort_by_key(|case| case.fault_name == "slow");
    cases
}

impl Case {
    pub fn email(&self) -> String {
        format!(
            "{MARKER}@{}.example",
            self.id.to_lowercase().replace('_', "-")
        )
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
                for (name, kind) in DEFINITIONS.into_iter().skip(undefined) {
                    let kind = serde_json::from_value::<FieldKind>(kind.name().into());
                    account.define(name, kind.unwrap());
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
            Connector::Mailchimp | Connector::Hubspot => {
                unreachable!("the table has none of their calls")
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
        CrmAccount::Make(account) => {
            let contact = account.subscriber(email)?;
            let subscribed = account.subscriptions_of(email).len() == 1;
            (contact.tags, subscribed && contact.lists == [LIST])
        }
    };
    tags.sort();
    Some((tags, agrees))
}
