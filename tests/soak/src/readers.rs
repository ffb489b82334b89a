//! Readers of every kind, and their random states at Sesamy.

use bench::any_state;
use local_aws::{Error, Result};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;
use stand_ins::{Api, Fault, StandIns, User, mailmojo, make, rule};

use crate::{
    Crm,
    publisher::{LIST, Publisher},
};

/// What there is about a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing; no CRM knows them yet.
    New,
    /// The CRMs know them, with data of the publisher's own and stale tags of ours.
    Known,
    /// As [`Kind::Known`], and they do not want newsletters.
    Unsubscribed,
    /// A guest of a checkout, who goes to no CRM.
    Guest,
    /// One CRM answers 422 for them for ever.
    RefusedBy(Crm),
    /// Their address is none, which every CRM refuses. Mailmojo says of it what
    /// it says of an address that it keeps out, which is no dead letter.
    WithoutAddress,
}

impl Kind {
    /// The kind of the reader of this number: mostly ordinary ones.
    const fn of(number: usize) -> Self {
        match number % 25 {
            7 => Self::RefusedBy(Crm::Rule),
            13 => Self::RefusedBy(Crm::Mailmojo),
            19 => Self::WithoutAddress,
            21 => Self::Guest,
            n if n % 5 == 0 => Self::Unsubscribed,
            n if n % 2 == 0 => Self::Known,
            _ => Self::New,
        }
    }

    /// Whether no message for this CRM can ever be done.
    pub fn is_poison_for(self, crm: Crm) -> bool {
        match self {
            Self::RefusedBy(by) => by == crm,
            Self::WithoutAddress => crm != Crm::Mailmojo,
            _ => false,
        }
    }
}

/// A reader.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Which publisher's, by place.
    pub publisher: usize,
    /// The id at Sesamy.
    pub id: &'static str,
    /// The address.
    pub email: &'static str,
    /// What there is about them.
    pub kind: Kind,
    number: usize,
}

impl Reader {
    /// The reader of this number; they take turns among the publishers.
    pub fn new(number: usize, publishers: usize) -> Self {
        let kind = Kind::of(number);
        let email = match kind {
            Kind::WithoutAddress => format!("reader-{number}"),
            Kind::RefusedBy(crm) => format!("{}-refuses-{number}@example.com", crm.name()),
            _ => format!("reader-{number}@example.com"),
        };
        Self {
            publisher: number % publishers,
            // As long as the program runs there are as many as readers.
            id: format!("email|{number}").leak(),
            email: email.leak(),
            kind,
            number,
        }
    }

    /// Makes the CRMs know what they know of the reader before the first event.
    pub fn introduce(&self, publisher: &Publisher) {
        let wanted = match self.kind {
            Kind::Known => true,
            Kind::Unsubscribed => false,
            _ => return,
        };
        let tags = [FOREIGN[0], FOREIGN[1], "sesamy_stale"];
        let contact = rule::Subscriber::new(self.email).tags(&tags);
        let contact = contact.field("Shop.Size", "38");
        publisher.rule.put_subscriber(if wanted {
            contact
        } else {
            contact.unsubscribed()
        });
        let status = if wanted {
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
            account.put_subscriber(if wanted {
                contact
            } else {
                contact.unsubscribed()
            });
        }
    }

    /// Makes the CRM refuse the reader that refuses them.
    pub fn poison(&self, stand_ins: &StandIns) {
        // The address as it stands in a path.
        let path = self.email.replace('@', "%40");
        let fault = Fault::status(422);
        match self.kind {
            Kind::RefusedBy(Crm::Rule) => stand_ins.fault(
                fault
                    .on(Api::Rule)
                    .method("GET")
                    .path(&format!("/v2/subscribers/{path}/tags")),
            ),
            Kind::RefusedBy(Crm::Mailmojo) => stand_ins.fault(
                fault
                    .on(Api::Mailmojo)
                    .method("GET")
                    .path(&format!("/v1/contacts/{path}/")),
            ),
            _ => return,
        };
    }
}

/// Tags that are the publisher's, though one of them looks like ours.
pub const FOREIGN: [&str; 2] = ["vip", "SESAMY_x"];

/// The key under which a state's number stands in its profile, as any field
/// that Sesamy may add one day.
const REVISION: &str = "soakRevision";

/// Makes random states, the same ones for the same seed.
pub struct States {
    runner: TestRunner,
    made: u64,
}

impl States {
    /// A maker of states for this seed.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(seed.to_le_bytes()) {
            *to = from;
        }
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), random),
            made: 0,
        }
    }

    /// Another state of a reader.
    pub fn next(&mut self, reader: &Reader) -> Result<User> {
        let tree = any_state(reader.id, reader.email).new_tree(&mut self.runner);
        let tree = tree.map_err(|error| Error::new(format!("no state: {error}")))?;
        let mut user = tree.current();
        for list in [&mut user.contracts, &mut user.entitlements, &mut user.bills] {
            for item in list.as_array_mut().into_iter().flatten() {
                own(item, reader.number);
            }
        }
        // A family shares one number in ten.
        if user.profile.get("phone_number").is_some() && reader.number % 10 != 3 {
            user = user.set(
                "phone_number",
                format!("+47{:08}", 90_000_100 + reader.number),
            );
        }
        if reader.kind == Kind::Guest {
            user = user.guest();
        }
        self.made += 1;
        Ok(user.set(REVISION, self.made))
    }
}

/// Makes the ids of contracts, entitlements and bills this reader's own, as
/// Sesamy's are unique.
fn own(item: &mut Value, number: usize) {
    for pointer in ["/id", "/contractId", "/origin/contractId"] {
        if let Some(Value::String(id)) = item.pointer_mut(pointer) {
            *id = format!("{number}-{id}");
        }
    }
}

/// The number of a state.
pub fn revision(user: &User) -> Option<u64> {
    user.profile.get(REVISION)?.as_u64()
}
