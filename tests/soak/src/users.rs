//! The users of a soak and their random states at Sesamy.

use std::collections::BTreeSet;

use conformance::any_state;
use fakes::{Entitlement, Fakes, Fault, User, hubspot, mailchimp, mailmojo, make, rule};
use harness::{Connector, Error, Result};
use jiff::Timestamp;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;

use crate::publisher::{LIST, Publisher};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// No CRM knows the user yet.
    New,
    /// The CRMs have the user, with foreign data and stale tags from us.
    Known,
    /// Like [`UserKind::Known`], without consent to newsletters.
    Unsubscribed,
    /// Bought something as a guest, so must not reach a CRM.
    Guest,
    /// This CRM always answers 422.
    RefusedBy(Connector),
    /// The e-mail address is invalid, so every CRM refuses it. Mailmojo, Mailchimp and
    /// HubSpot give the same answer as for a suppressed address, which is not an error.
    InvalidAddress,
}

impl UserKind {
    const fn for_number(number: usize) -> Self {
        match number % 25 {
            3 => Self::RefusedBy(Connector::Mailchimp),
            7 => Self::RefusedBy(Connector::Rule),
            13 => Self::RefusedBy(Connector::Mailmojo),
            17 => Self::RefusedBy(Connector::Hubspot),
            19 => Self::InvalidAddress,
            21 => Self::Guest,
            n if n % 5 == 0 => Self::Unsubscribed,
            n if n % 2 == 0 => Self::Known,
            _ => Self::New,
        }
    }

    /// Whether every CRM accepts the user, who may change the address and be deleted.
    pub const fn is_ordinary(self) -> bool {
        matches!(self, Self::New | Self::Known | Self::Unsubscribed)
    }

    /// Whether the CRM, one that gets events, gets those of the user. Consent may forbid
    /// it all the same.
    pub fn gets_events_of(self, connector: Connector) -> bool {
        self.is_ordinary() || matches!(self, Self::RefusedBy(by) if by != connector)
    }

    /// Whether all of the user's messages for this CRM go to the dead-letter queue.
    pub fn is_poison_for(self, connector: Connector) -> bool {
        match self {
            Self::RefusedBy(by) => by == connector,
            Self::InvalidAddress => matches!(connector, Connector::Rule | Connector::Make),
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
pub struct SoakUser {
    /// The publisher's index.
    pub publisher: usize,
    pub id: &'static str,
    /// The first one is the address of the first state.
    pub addresses: Vec<&'static str>,
    pub kind: UserKind,
    /// The number of another user that has the last address too.
    pub partner: Option<usize>,
    pub number: usize,
}

impl SoakUser {
    /// Distributes the users evenly among the publishers.
    pub fn new(number: usize, users: usize, publishers: usize) -> Self {
        let kind = UserKind::for_number(number);
        let email = match kind {
            UserKind::InvalidAddress => format!("user-{number}"),
            UserKind::RefusedBy(connector) => {
                format!("{}-refuses-{number}@example.com", connector.name())
            }
            _ => format!("user-{number}@example.com"),
        };
        let partner = partner(number, publishers).filter(|partner| *partner < users);
        let mut addresses = vec![email];
        if kind.is_ordinary() {
            addresses.push(format!("user-{number}@new.example.com"));
        }
        if let Some(partner) = partner {
            addresses.push(format!("family-{}@example.com", number.min(partner)));
        }
        // Leaked: the program needs them until it ends.
        let addresses = addresses.into_iter().map(|address| &*address.leak());
        Self {
            publisher: number % publishers,
            id: format!("email|{number}").leak(),
            addresses: addresses.collect(),
            kind,
            partner,
            number,
        }
    }

    /// At the first address.
    pub fn email(&self) -> &'static str {
        self.addresses.first().copied().unwrap_or_default()
    }

    /// Whether the CRMs are in step with the user before the first event. The others'
    /// first syncs are those that fail.
    pub const fn is_synced_before(&self) -> bool {
        self.kind.is_ordinary() && !self.number.is_multiple_of(3)
    }

    /// Whether Sesamy deletes the user during the soak.
    pub const fn is_deleted(&self) -> bool {
        self.kind.is_ordinary() && self.number % 8 == 3
    }

    /// Whether states may have access that ends by time. Which of two users of one
    /// address owns the contact must not depend on it, or the result would depend on
    /// the order of the syncs.
    pub const fn may_expire(&self) -> bool {
        self.kind.is_ordinary() && self.partner.is_none() && !self.is_deleted()
    }

    /// Whether a contact that has left keeps its address at this CRM, and a new one of
    /// the user's new address gets no more consent.
    pub fn is_copied_by(&self, connector: Connector) -> bool {
        self.kind == UserKind::Unsubscribed && connector == Connector::Mailchimp
    }

    /// Whether a contact that has left keeps its address at this CRM, and the user gets
    /// no other one.
    pub fn stays_at(&self, connector: Connector) -> bool {
        self.kind == UserKind::Unsubscribed && connector == Connector::Hubspot
    }

    /// The publisher's contacts before the first event.
    pub fn contacts(&self) -> Vec<InitialContact> {
        let is_subscribed = match self.kind {
            UserKind::Known => true,
            UserKind::Unsubscribed => false,
            _ => return Vec::new(),
        };
        // Some users move to an address that has a contact.
        let has_second = is_subscribed && self.number.is_multiple_of(3);
        let addresses = self.addresses.iter().take(if has_second { 2 } else { 1 });
        let contacts = addresses.enumerate().map(|(index, email)| InitialContact {
            email,
            mark: format!("mark-{}-{index}", self.number),
            is_subscribed,
            has_stale_tag: index == 0,
        });
        contacts.collect()
    }

    /// Adds the contacts that the CRMs have before the first event.
    pub fn add_contacts(&self, publisher: &Publisher) {
        for contact in self.contacts() {
            contact.add(publisher);
        }
    }

    /// Makes the CRM refuse a user of kind [`UserKind::RefusedBy`].
    pub fn add_refusal(&self, fakes: &Fakes) {
        let UserKind::RefusedBy(connector) = self.kind else {
            return;
        };
        // Percent-encoded, as in a path.
        let email = self.email().replace('@', "%40");
        let path = match connector {
            Connector::Rule => format!("/v2/subscribers/{email}/tags"),
            Connector::Mailmojo => format!("/v1/contacts/{email}/"),
            // Its path does not name the contact.
            Connector::Make => return,
            Connector::Mailchimp => {
                let hash = ::mailchimp::client::hash(self.email());
                format!("/lists/*/members/{hash}")
            }
            Connector::Hubspot => format!("/crm/v3/objects/contacts/{email}"),
        };
        let fault = Fault::status(422).on(connector.api()).method("GET");
        fakes.fault(fault.path(&path));
    }
}

/// The other user of a family's address, who is of the same publisher. One user in six
/// has a family.
fn partner(number: usize, publishers: usize) -> Option<usize> {
    let span = 6 * publishers;
    let (first, place) = (number - number % span, number % span / publishers);
    let lane = number % publishers;
    // Of every six users of a publisher, the second and the third.
    let partner = first + lane + publishers * if place == 1 { 2 } else { 1 };
    let both = [number, partner].map(UserKind::for_number);
    ((place == 1 || place == 2) && both.into_iter().all(UserKind::is_ordinary)).then_some(partner)
}

/// A contact of the publisher, with foreign data.
pub struct InitialContact {
    email: &'static str,
    /// A foreign tag that no other contact has.
    pub mark: String,
    pub is_subscribed: bool,
    /// From an earlier sync.
    has_stale_tag: bool,
}

impl InitialContact {
    pub fn foreign_tags(&self) -> BTreeSet<String> {
        let foreign = FOREIGN.iter().map(|tag| (*tag).to_owned());
        foreign.chain([self.mark.clone()]).collect()
    }

    fn add(&self, publisher: &Publisher) {
        let (email, is_subscribed) = (self.email, self.is_subscribed);
        let mut tags = vec![FOREIGN[0], FOREIGN[1], &self.mark];
        tags.extend(self.has_stale_tag.then_some("sesamy_stale"));
        let contact = rule::Subscriber::new(email).tags(&tags);
        let (key, value) = RULE_FIELD;
        let contact = contact.field(key, value);
        publisher.rule.put_subscriber(if is_subscribed {
            contact
        } else {
            contact.unsubscribed()
        });
        let status = if is_subscribed {
            mailmojo::Status::Active
        } else {
            mailmojo::Status::Unsubscribed
        };
        let contact = mailmojo::Contact::new(email).tags(&tags);
        let (name, value) = MAILMOJO_FIELD;
        publisher
            .mailmojo
            .put_contact(contact.on_list(LIST, status).custom(name, value));
        for (account, list) in &publisher.make {
            let contact = make::Subscriber::new(email).tags(&tags);
            let (key, value) = MAKE_FIELD;
            let contact = contact.on_list(*list).detail(key, value);
            account.put_subscriber(if is_subscribed {
                contact
            } else {
                contact.unsubscribed()
            });
        }
        let status = if is_subscribed {
            mailchimp::Status::Subscribed
        } else {
            mailchimp::Status::Unsubscribed
        };
        let contact = mailchimp::Member::new(email).tags(&tags).status(status);
        let (tag, value) = MAILCHIMP_FIELD;
        publisher.mailchimp.put_member(contact.field(tag, value));
        let contact = hubspot::Contact::new(email).tags(&tags);
        let (name, value) = HUBSPOT_FIELD;
        let contact = contact.property(name, value);
        publisher.hubspot.put_contact(if is_subscribed {
            contact
        } else {
            contact.opted_out()
        });
    }
}

/// Tags of the publisher. One of them looks like ours.
const FOREIGN: [&str; 2] = ["vip", "SESAMY_x"];

/// Fields of the publisher.
pub const RULE_FIELD: (&str, &str) = ("Shop.Size", "38");
pub const MAILMOJO_FIELD: (&str, u32) = ("Shoe size", 38);
pub const MAKE_FIELD: (&str, &str) = ("phone", "12345678");
pub const MAILCHIMP_FIELD: (&str, u32) = ("SHOE", 38);
pub const HUBSPOT_FIELD: (&str, &str) = ("shoe_size", "38");

/// The profile field with the number of a state. The system ignores unknown fields.
const REVISION: &str = "soakRevision";

/// Of the entitlements that end by time.
const EXPIRING: &str = "expiring";

/// Generates random states, the same for the same seed.
pub struct States {
    runner: TestRunner,
    count: u64,
}

impl States {
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(seed.to_le_bytes()) {
            *to = from;
        }
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), random),
            count: 0,
        }
    }

    /// A state at the first address.
    pub fn next(&mut self, user: &SoakUser) -> Result<User> {
        let tree = any_state(user.id, user.email()).new_tree(&mut self.runner);
        let tree =
            tree.map_err(|error| Error::new(format!("generating a state failed: {error}")))?;
        let mut state = tree.current();
        for list in [
            &mut state.contracts,
            &mut state.entitlements,
            &mut state.bills,
        ] {
            for item in list.as_array_mut().into_iter().flatten() {
                make_ids_unique(item, user.number);
            }
        }
        // One user in ten keeps the shared number, as in a family.
        if state.profile.get("phone_number").is_some() && user.number % 10 != 3 {
            let number = format!("+47{:08}", 90_000_100 + user.number);
            state = state.set("phone_number", number);
        }
        if user.kind == UserKind::Guest {
            state = state.guest();
        }
        self.count += 1;
        Ok(state.set(REVISION, self.count))
    }
}

/// At Sesamy the ids of contracts, entitlements and bills are unique.
fn make_ids_unique(item: &mut Value, number: usize) {
    for pointer in ["/id", "/contractId", "/origin/contractId"] {
        if let Some(Value::String(id)) = item.pointer_mut(pointer) {
            *id = format!("{number}-{id}");
        }
    }
}

/// The state with access that ends by time.
pub fn with_access(state: User, ends: Timestamp) -> User {
    let id = format!("{EXPIRING}-{}", state.id);
    let entitlement = Entitlement::new(&id, "sid:Trial", "Trial");
    state.entitlement(entitlement.set("expiresAt", ends.to_string()))
}

/// Whether the state has, or had, access that ends by time.
pub fn expires(user: &User) -> bool {
    let mut entitlements = user.entitlements.as_array().into_iter().flatten();
    entitlements.any(|entitlement| {
        let id = entitlement.get("id").and_then(Value::as_str);
        id.is_some_and(|id| id.starts_with(EXPIRING))
    })
}

pub fn address(user: &User) -> &str {
    let email = user.profile.get("email").and_then(Value::as_str);
    email.unwrap_or_default()
}

pub fn revision(user: &User) -> Option<u64> {
    user.profile.get(REVISION)?.as_u64()
}
