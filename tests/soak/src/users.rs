//! The users of a soak and their random states at Sesamy.

use conformance::any_state;
use fakes::{Api, Fakes, Fault, User, mailmojo, make, rule};
use harness::{Connector, Error, Result};
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
    /// The e-mail address is invalid, so every CRM refuses it. Mailmojo gives the
    /// same answer as for a suppressed address, which is not an error.
    InvalidAddress,
}

impl UserKind {
    const fn for_number(number: usize) -> Self {
        match number % 25 {
            7 => Self::RefusedBy(Connector::Rule),
            13 => Self::RefusedBy(Connector::Mailmojo),
            19 => Self::InvalidAddress,
            21 => Self::Guest,
            n if n % 5 == 0 => Self::Unsubscribed,
            n if n % 2 == 0 => Self::Known,
            _ => Self::New,
        }
    }

    /// Whether all of the user's messages for this CRM go to the dead-letter queue.
    pub fn is_poison_for(self, connector: Connector) -> bool {
        match self {
            Self::RefusedBy(by) => by == connector,
            Self::InvalidAddress => connector != Connector::Mailmojo,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct SoakUser {
    /// The publisher's index.
    pub publisher: usize,
    pub id: &'static str,
    pub email: &'static str,
    pub kind: UserKind,
    number: usize,
}

impl SoakUser {
    /// Distributes the users evenly among the publishers.
    pub fn new(number: usize, publishers: usize) -> Self {
        let kind = UserKind::for_number(number);
        let email = match kind {
            UserKind::InvalidAddress => format!("user-{number}"),
            UserKind::RefusedBy(connector) => {
                format!("{}-refuses-{number}@example.com", connector.name())
            }
            _ => format!("user-{number}@example.com"),
        };
        Self {
            publisher: number % publishers,
            // Leaked: the program needs them until it ends.
            id: format!("email|{number}").leak(),
            email: email.leak(),
            kind,
            number,
        }
    }

    /// Adds the contacts that the CRMs have before the first event.
    pub fn add_contacts(&self, publisher: &Publisher) {
        let subscribed = match self.kind {
            UserKind::Known => true,
            UserKind::Unsubscribed => false,
            _ => return,
        };
        let tags = [FOREIGN[0], FOREIGN[1], "sesamy_stale"];
        let contact = rule::Subscriber::new(self.email).tags(&tags);
        let contact = contact.field("Shop.Size", "38");
        publisher.rule.put_subscriber(if subscribed {
            contact
        } else {
            contact.unsubscribed()
        });
        let status = if subscribed {
            mailmojo::Status::Active
        } else {
            mailmojo::Status::Unsubscribed
        };
        let contact = mailmojo::Contact::new(self.email).tags(&tags);
        publisher
            .mailmojo
            .put_contact(contact.on_list(LIST, status).custom("Shoe size", 38));
        for (account, list) in &publisher.make {
            let contact = make::Subscriber::new(self.email).tags(&tags);
            let contact = contact.on_list(*list).detail("phone", "12345678");
            account.put_subscriber(if subscribed {
                contact
            } else {
                contact.unsubscribed()
            });
        }
    }

    /// Makes the CRM refuse a user of kind [`UserKind::RefusedBy`].
    pub fn add_refusal(&self, fakes: &Fakes) {
        // Percent-encoded, as in a path.
        let email = self.email.replace('@', "%40");
        let (api, path) = match self.kind {
            UserKind::RefusedBy(Connector::Rule) => {
                (Api::Rule, format!("/v2/subscribers/{email}/tags"))
            }
            UserKind::RefusedBy(Connector::Mailmojo) => {
                (Api::Mailmojo, format!("/v1/contacts/{email}/"))
            }
            _ => return,
        };
        fakes.fault(Fault::status(422).on(api).method("GET").path(&path));
    }
}

/// Tags of the publisher. One of them looks like ours.
pub const FOREIGN: [&str; 2] = ["vip", "SESAMY_x"];

/// The profile field with the number of a state. The system ignores unknown fields.
const REVISION: &str = "soakRevision";

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

    pub fn next(&mut self, user: &SoakUser) -> Result<User> {
        let tree = any_state(user.id, user.email).new_tree(&mut self.runner);
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

pub fn revision(user: &User) -> Option<u64> {
    user.profile.get(REVISION)?.as_u64()
}
