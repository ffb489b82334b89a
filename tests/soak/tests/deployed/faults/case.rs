//! One case: a publisher of its own with one reader and one trouble.

use mailmojo::mapping::DEFINITIONS;
use serde_json::{Value, json};
use shared::{
    identity::{UserId, VendorId},
    message::{Event, EventType, Message, Reader},
};
use soak::{
    Crm,
    marks::{MARK, PHONE},
};
use stand_ins::{
    Address, Contract, Entitlement, Fault, StandIns, User,
    mailmojo::{Contact, FieldKind, MailmojoAccount, MailmojoSettings, Status},
    make::{MakeAccount, MakeSettings, Subscriber, TagForm},
    rule::{self, RuleAccount},
    sesamy::Bill,
};

use super::table::{CALLS, FAULTS, Often, Then, UNREAD, then};

/// The list readers are put on.
const LIST: u64 = 42;

/// What is wrong with the publisher's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Good,
    NoneOfConnector,
    MalformedOfConnector,
    NoneOfSesamy,
    MalformedOfSesamy,
}

/// The account with the CRM that the case looks at.
pub enum Account {
    Rule(RuleAccount),
    Mailmojo(MailmojoAccount),
    Make(MakeAccount),
}

/// A case of the table.
pub struct Case {
    /// What it is, and the id of its publisher.
    pub id: String,
    pub crm: Crm,
    pub then: Then,
    pub often: Often,
    /// What goes wrong, not injected yet.
    pub fault: Option<Fault>,
    pub secrets: Secrets,
    /// Whether the CRM knows the reader before.
    pub known: bool,
    /// The call and the way it fails.
    pub place: (&'static str, &'static str),
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for call in &CALLS {
        for way in &FAULTS {
            for often in [Often::Once, Often::Always] {
                let id = format!("{}.{}.{often:?}", call.name, way.name);
                let mut fault = (way.fault)().on(call.api).method(call.method);
                fault = fault.skip(call.skip);
                // What is tolerated was carried out: a tag that is not there,
                // an answer that nobody reads.
                let tolerated = then(call, way, often) == Then::Done;
                let carried_out = UNREAD.contains(&call.name) && way.name == "malformed"
                    || (call.name, way.name) == ("rule-untag", "404");
                if tolerated && carried_out {
                    fault = fault.after_effect();
                }
                if often == Often::Once {
                    fault = fault.once();
                }
                cases.push(Case {
                    fault: Some(fault.path(call.path).account(&id)),
                    crm: call.by,
                    then: then(call, way, often),
                    often,
                    secrets: Secrets::Good,
                    // Else the CRM would deny knowing somebody whom it knows.
                    known: !(matches!(call.name, "mailmojo-contact" | "make-subscriber")
                        && way.name == "404"),
                    place: (call.name, way.name),
                    id,
                });
            }
        }
    }
    for crm in Crm::ALL {
        for (secrets, then) in [
            (Secrets::NoneOfConnector, Then::Done),
            (Secrets::MalformedOfConnector, Then::Refused),
            (Secrets::NoneOfSesamy, Then::Refused),
            (Secrets::MalformedOfSesamy, Then::Refused),
        ] {
            cases.push(Case {
                id: format!("{}.{secrets:?}", crm.name()),
                crm,
                then,
                often: Often::Always,
                fault: None,
                secrets,
                known: false,
                place: ("secrets", ""),
            });
        }
    }
    // Who is slow holds up whoever comes behind.
    cases.sort_by_key(|case| case.place.1 == "slow");
    cases
}

impl Case {
    /// The reader's address.
    pub fn email(&self) -> String {
        format!(
            "{MARK}@{}.example",
            self.id.to_lowercase().replace('_', "-")
        )
    }

    /// The reader's id at Sesamy.
    pub fn user(&self) -> String {
        format!("email|{}", self.id)
    }

    /// The message of the reader's only event.
    pub fn message(&self) -> (String, String) {
        let reader = Reader {
            vendor_id: VendorId::try_from(self.id.as_str()).unwrap(),
            user_id: UserId::try_from(self.user()).unwrap(),
        };
        let event = Event {
            event_type: EventType::ContractUpdate,
            occurred_at: "2026-01-15T09:30:00Z".parse().unwrap(),
            contract_id: None,
            entitlement_id: None,
            checkout_id: None,
        };
        let message = Message {
            event_id: event.id(&reader.vendor_id, &reader.user_id),
            received_at: event.occurred_at,
            event: Some(event),
            reader,
        };
        (message.reader.message_group(), message.to_json())
    }

    /// Opens the accounts; gives the CRM's and the publisher's secrets.
    pub fn open(&self, stand_ins: &StandIns) -> (Account, Vec<(String, Value)>) {
        let (id, email, urls) = (self.id.as_str(), self.email(), stand_ins.urls());
        let sesamy =
            stand_ins
                .sesamy()
                .add_vendor(id, &format!("client-{id}"), &format!("{MARK}-secret"));
        let daily = ("sid:Daily", "The Daily");
        sesamy.put_user(
            User::new(&self.user())
                .email(&email)
                .name(&format!("{MARK}-anna"), &format!("{MARK}-ask"))
                .phone_number(PHONE)
                .billing_address(Address::new(&format!("{MARK} street"), MARK, MARK, "SE").co(MARK))
                .contract(
                    Contract::active(&format!("c-{id}")).item(daily.0, daily.1, "po1", "Monthly"),
                )
                .entitlement(Entitlement::new("e1", daily.0, daily.1))
                .bill(
                    Bill::paid("b1", &format!("c-{id}"))
                        .set("receiptUrl", format!("https://example.com/{MARK}")),
                ),
        );
        let tags = ["vip", "sesamy_stale"];
        let key = format!("{MARK}-key-{id}");
        let (account, secret) = match self.crm {
            Crm::Rule => {
                let account = stand_ins.rule().add_account(id, &key);
                if self.known {
                    account.put_subscriber(rule::Subscriber::new(&email).tags(&tags));
                }
                let secret = json!({"apiKey": key, "apiUrl": urls.rule});
                (Account::Rule(account), secret)
            }
            Crm::Mailmojo => {
                let account = stand_ins.mailmojo().add_account(id, &key);
                account.add_list(LIST, "Readers");
                account.add_list(7, "Others");
                // A field that may not be defined is one whose value is lost.
                account.set_settings(MailmojoSettings {
                    drop_unknown_fields: self.place.0 == "mailmojo-define",
                    ..MailmojoSettings::default()
                });
                // One is left to define, unless that cannot be found out.
                let left = usize::from(self.place.0 != "mailmojo-fields");
                for (name, kind) in DEFINITIONS.into_iter().skip(left) {
                    let kind = serde_json::from_value::<FieldKind>(kind.name().into());
                    account.define(name, kind.unwrap());
                }
                if self.known {
                    account
                        .put_contact(Contact::new(&email).on_list(7, Status::Active).tags(&tags));
                }
                let secret =
                    json!({"apiToken": key, "listId": LIST.to_string(), "apiUrl": urls.mailmojo});
                (Account::Mailmojo(account), secret)
            }
            Crm::Make => {
                let account = stand_ins
                    .make()
                    .add_account(id, &format!("user-{id}"), &key);
                account.add_list(LIST, "Readers");
                if self.place.0 == "make-tags" {
                    account.set_settings(MakeSettings {
                        tag_form: TagForm::Ids,
                        ..MakeSettings::default()
                    });
                }
                if self.known {
                    let own = Subscriber::new(&email).tags(&tags);
                    // One who is on the list is changed, another joins it.
                    account.put_subscriber(if self.place.0 == "make-change" {
                        own.on_list(LIST)
                    } else {
                        own
                    });
                }
                let secret = json!({
                    "userId": format!("user-{id}"),
                    "apiKey": key,
                    "listId": LIST.to_string(),
                    "apiUrl": urls.make,
                });
                (Account::Make(account), secret)
            }
        };
        let sesamy = json!({
            "clientId": format!("client-{id}"),
            "clientSecret": format!("{MARK}-secret"),
            "apiUrl": urls.sesamy_api,
            "tokenUrl": urls.sesamy_token,
        });
        let malformed = json!({"unknown": MARK, "apiUrl": MARK});
        let of_connector = match self.secrets {
            Secrets::NoneOfConnector => None,
            Secrets::MalformedOfConnector => Some(malformed.clone()),
            _ => Some(secret),
        };
        let of_sesamy = match self.secrets {
            Secrets::NoneOfSesamy => None,
            Secrets::MalformedOfSesamy => Some(malformed),
            _ => Some(sesamy),
        };
        let secrets = [(self.crm.name(), of_connector), ("sesamy", of_sesamy)];
        let secrets = secrets
            .into_iter()
            .filter_map(|(name, content)| Some((format!("{id}/{name}"), content?)));
        (account, secrets.collect())
    }
}

/// The tags of a contact, sorted, and whether everything else about it is as
/// it should be. `None` where there is no such contact.
pub fn held(account: &Account, email: &str) -> Option<(Vec<String>, bool)> {
    let (mut tags, agrees) = match account {
        Account::Rule(account) => {
            let held = account.subscriber(email)?;
            let title = held.fields.get("Sesamy_ActiveProducts.Titles");
            (held.tags, title == Some(&json!(["The Daily"])))
        }
        Account::Mailmojo(account) => {
            let held = account.contact(email)?;
            let active = held.custom.get("Has Active Subscription");
            let on_list = held.on(LIST) == Some(Status::Active);
            (held.tags, active == Some(&json!(true)) && on_list)
        }
        Account::Make(account) => {
            let held = account.subscriber(email)?;
            let subscribed = account.subscriptions_of(email).len() == 1;
            (held.tags, subscribed && held.lists == [LIST])
        }
    };
    tags.sort();
    Some((tags, agrees))
}
