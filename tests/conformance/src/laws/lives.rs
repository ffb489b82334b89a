//! Random lives of two users: purchases, expiries, new addresses, deletions; with
//! functions that die between any two calls, and tables that are lost.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::sqs::SqsMessage;
use fakes::Api;
use fakes::sesamy::{Entitlement, User};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::derivation::{DesiredContact, PERMANENT_TAG};

use super::accounts::test_with_new_accounts;
use crate::{Bench, TestedCrm, any_state, derived_at, event_of, resync, split_tags, wake_up};

const USERS: [&str; 2] = ["email|a", "email|b"];
/// The last one is shared.
const ADDRESSES: [&str; 4] = [
    "a@example.se",
    "a@new.example",
    "b@example.se",
    "family@example.se",
];
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Sesamy's reads lag behind its webhooks for less.
const LONG_AGO: SignedDuration = SignedDuration::from_mins(16);

#[derive(Clone, Debug)]
enum Step {
    /// A user's state changes, and Sesamy sends a webhook.
    Change {
        user: usize,
        address: usize,
        state: Box<User>,
        /// An entitlement that ends so many minutes later.
        access: Option<i64>,
    },
    /// A webhook that was handled before comes again.
    Repeat {
        user: usize,
    },
    /// A user is deleted, and a resync notices it.
    Delete {
        user: usize,
    },
    Minutes(i64),
    LoseTable,
}

fn step(can_lose_table: bool, share: bool) -> impl Strategy<Value = Step> {
    let change = (
        0..2_usize,
        0..4_usize,
        any_state("", ""),
        prop::option::of(1..120_i64),
    )
        .prop_map(move |(user, address, state, access)| Step::Change {
            user,
            // Half of the addresses for each, if they share none.
            address: if share {
                address
            } else {
                user * 2 + address % 2
            },
            state: Box::new(state),
            access,
        });
    let lose = if can_lose_table { 1 } else { 0 };
    prop_oneof![
        6 => change,
        2 => (0..2_usize).prop_map(|user| Step::Repeat { user }),
        1 => (0..2_usize).prop_map(|user| Step::Delete { user }),
        2 => (1..90_i64).prop_map(Step::Minutes),
        lose => Just(Step::LoseTable),
    ]
}

/// What the CRM should hold, by a simple model of the rules.
#[derive(Default)]
struct Model {
    users: BTreeMap<&'static str, User>,
    /// The user that each address was last synced for, and whether it had access.
    owners: BTreeMap<String, (&'static str, bool)>,
    synced_at: BTreeMap<&'static str, String>,
}

impl Model {
    fn desired<C: TestedCrm>(&self, bench: &Bench<C::Connector>, user: &str) -> DesiredContact {
        derived_at(&self.users[user], bench.clock.now())
    }

    fn sync<C: TestedCrm>(&mut self, bench: &Bench<C::Connector>, user: &'static str) {
        let owned = self.synced_at.get(user).cloned();
        let owned = owned.filter(|email| self.owners.get(email).is_some_and(|(o, _)| *o == user));
        if !self.users.contains_key(user) {
            self.synced_at.remove(user);
            owned.map(|email| self.owners.remove(&email));
            return;
        }
        let desired = self.desired::<C>(bench, user);
        let email = desired.email.lookup();
        if let Some(left) = owned.filter(|owned| *owned != email) {
            self.owners.remove(&left);
        }
        match self.owners.get(&email) {
            Some((owner, true)) if *owner != user && !desired.has_access => {}
            _ => {
                self.owners
                    .insert(email.clone(), (user, desired.has_access));
                self.synced_at.insert(user, email);
            }
        }
    }
}

struct Life<'a, C: TestedCrm> {
    bench: &'a Bench<C::Connector>,
    account: &'a C::Account,
    model: Model,
    start: Timestamp,
    /// Messages whose handling died, by user. The queue hands them out again before
    /// later ones.
    interrupted: Vec<(&'static str, SqsMessage)>,
    /// Whether something else may happen before that.
    may_wait: bool,
    /// The webhooks so far, with the user of each.
    webhooks: Vec<(&'static str, SqsMessage)>,
    /// The times of events whose handling died.
    died: BTreeSet<String>,
    /// Where the next instances die.
    deaths: std::vec::IntoIter<usize>,
}

impl<C: TestedCrm> Life<'_, C>
where
    C::Connector: Default,
{
    /// Handles a message until it is done, or until the instance dies.
    fn handle(&mut self, user: &'static str, record: SqsMessage, event: Option<&str>) {
        self.resume(user);
        let dies_at = self.deaths.next().unwrap_or(usize::MAX);
        self.bench.fakes.clear_requests();
        match self
            .bench
            .handle_and_die(std::slice::from_ref(&record), dies_at)
        {
            Some(failed) => {
                assert_eq!(failed, [""; 0]);
                // A covered message changes nothing, not even whose contact it is.
                if !self.bench.fakes.requests_to(Api::Sesamy).is_empty() {
                    self.model.sync::<C>(self.bench, user);
                }
            }
            None => {
                self.died.extend(event.map(str::to_owned));
                self.interrupted.push((user, record));
                if !self.may_wait {
                    self.resume(user);
                }
            }
        }
        assert_eq!(self.bench.queue.dead_letters(), []);
        assert_eq!(self.bench.fakes.violations(), []);
    }

    /// Handles what died before.
    fn resume(&mut self, user: &str) {
        let of_user = self.interrupted.extract_if(.., |(of, _)| *of == user);
        for (user, record) in of_user.collect::<Vec<_>>() {
            let record = match self.model.users.contains_key(user) {
                true => record,
                false => self.bench.received(LONG_AGO, resync("1", user)),
            };
            let again = self.bench.handle_and_die(&[record], usize::MAX);
            assert_eq!(again, Some(Vec::new()));
            self.model.sync::<C>(self.bench, user);
        }
    }

    /// In whole seconds, each once in an account's life.
    fn event_time(&self, number: usize) -> String {
        let start = self.start.round(jiff::Unit::Second).unwrap();
        (start + SignedDuration::from_secs(number as i64)).to_string()
    }

    fn step(&mut self, step: Step) {
        let now = self.bench.clock.now();
        match step {
            Step::Change {
                user,
                address,
                state,
                access,
            } => {
                let user = USERS[user];
                let mut state = User {
                    id: user.to_owned(),
                    ..*state
                }
                .set("userId", user)
                .set("sub", user)
                .email(ADDRESSES[address]);
                if let Some(minutes) = access {
                    let ends = now + MINUTE.checked_mul(minutes as i32).unwrap();
                    let timed = Entitlement::new("timed", "sid:Timed", "Timed");
                    state = state.entitlement(timed.set("expiresAt", ends.to_string()));
                }
                if !self.model.synced_at.contains_key(user) {
                    // Nothing is remembered yet of a first sync that was interrupted.
                    self.resume(user);
                }
                self.bench.sesamy.put_user(state.clone());
                self.model.users.insert(user, state);
                let number = self.webhooks.len();
                let id = format!("event-{number}");
                let at = self.event_time(number);
                let event = json!({ "eventType": "contract.1#update", "occurredAt": at });
                let record = crate::received_at(event_of("1", user, &id, &event), now);
                self.webhooks.push((user, record.clone()));
                self.handle(user, record, Some(&at));
            }
            Step::Repeat { user } => {
                let webhooks = self.webhooks.iter().rev();
                let mut webhooks = webhooks.filter(|(of, _)| *of == USERS[user]);
                if let Some((user, record)) = webhooks.next().cloned()
                    && self.model.users.contains_key(user)
                {
                    self.handle(user, record, None);
                }
            }
            Step::Delete { user } => {
                let user = USERS[user];
                // Nothing is remembered yet of one whose first sync was interrupted.
                self.resume(user);
                if self.model.users.remove(user).is_some() {
                    self.bench.sesamy.remove_user(user);
                    let record = self.bench.received(LONG_AGO, resync("1", user));
                    self.handle(user, record, None);
                }
            }
            Step::Minutes(minutes) => {
                self.bench
                    .clock
                    .advance(MINUTE.checked_mul(minutes as i32).unwrap());
                self.wake_up();
            }
            Step::LoseTable => self.bench.table.lose(),
        }
    }

    fn wake_up(&mut self) {
        for due in self.bench.table.due(self.bench.clock.now()) {
            let user = USERS
                .into_iter()
                .find(|user| *user == due.user.user_id.as_str())
                .unwrap();
            let long_gone = !self.model.users.contains_key(user);
            let record = wake_up("1", &due);
            let record = if long_gone {
                self.bench.received(LONG_AGO, record)
            } else {
                record
            };
            self.handle(user, record, None);
        }
    }

    /// Nothing happens any more, and all time-limited access ends.
    fn quiet(&mut self) {
        for user in USERS {
            self.resume(user);
        }
        for _ in 0..3 {
            self.step(Step::Minutes(120));
        }
        for user in USERS {
            self.resume(user);
        }
    }

    fn our_tags(&self) -> BTreeMap<String, BTreeSet<String>> {
        let contacts = C::contacts(self.account).into_iter();
        contacts
            .map(|contact| {
                let (mut ours, _) = split_tags(&C::data(&contact).tags);
                ours.retain(|tag| tag != PERMANENT_TAG && !tag.starts_with("sesamy_event_"));
                (C::email(&contact), ours)
            })
            .collect()
    }

    fn assert_current_contacts_are_right(&self) {
        let found = self.our_tags();
        for (email, (user, _)) in &self.model.owners {
            let Some(state) = self.model.users.get(user) else {
                continue;
            };
            let desired = derived_at(state, self.bench.clock.now());
            if desired.email.lookup() != *email {
                continue;
            }
            let tags = desired.tags.keys().map(|tag| tag.as_str().to_owned());
            let tags: BTreeSet<_> = tags.filter(|tag| tag != PERMANENT_TAG).collect();
            assert_eq!(found.get(email), Some(&tags), "{email}");
        }
    }

    /// No contact but an owner's current one has anything of ours.
    fn assert_no_other_contact_has_our_tags(&self) {
        for (email, ours) in self.our_tags() {
            if !self.model.owners.contains_key(&email) {
                assert_eq!(ours, BTreeSet::new(), "{email}");
            }
        }
    }

    fn assert_events_were_delivered_once(&self) {
        let mut delivered = C::deliveries(self.account);
        delivered.retain(|at| !self.died.contains(at));
        let distinct: BTreeSet<_> = delivered.iter().collect();
        assert_eq!(distinct.len(), delivered.len(), "{delivered:?}");
    }

    fn assert_foreign_data_survives(&self, before: &BTreeMap<u64, (BTreeSet<String>, Value)>) {
        let contacts = C::contacts(self.account);
        for (mark, (tags, consent)) in before {
            let mark = format!("mark-{mark}");
            let contact = contacts
                .iter()
                .find(|c| C::data(c).tag_set().contains(&mark))
                .unwrap();
            let (_, mut foreign) = split_tags(&C::data(contact).tags);
            foreign.retain(|tag| !C::BASE_TAGS.contains(&&**tag));
            assert_eq!(foreign, *tags);
            assert_eq!(C::consent(contact), *consent);
        }
    }
}

type Case = (Vec<Step>, Vec<usize>, Vec<bool>);

fn any_life(can_lose_table: bool, share: bool) -> impl Strategy<Value = Case> {
    // Most deaths are early enough to happen.
    let deaths = vec(prop_oneof![3 => 0..40_usize, 1 => Just(usize::MAX)], 0..24);
    let unsubscribed = vec(any::<bool>(), ADDRESSES.len());
    let steps = vec(step(can_lose_table, share), 1..10);
    (steps, deaths, unsubscribed)
}

fn live<'a, C: TestedCrm>(
    bench: &'a Bench<C::Connector>,
    account: &'a C::Account,
    (steps, deaths, unsubscribed): Case,
    may_wait: bool,
) -> Life<'a, C> {
    bench.table.lose();
    bench.table.due(jiff::Timestamp::MAX);
    for user in USERS {
        bench.sesamy.remove_user(user);
    }
    bench
        .sesamy
        .put_user(User::new("email|always").email("always@example.se"));
    let mut before = BTreeMap::new();
    // The publisher's contacts of two of the addresses.
    // If an interrupted sync had begun to write to one, only its id would tell.
    let is_the_publishers = |n: usize| !may_wait && n.is_multiple_of(2);
    for (n, email) in ADDRESSES
        .into_iter()
        .enumerate()
        .filter(|(n, _)| is_the_publishers(*n))
    {
        let mark = format!("mark-{n}");
        let mut contact = C::with_email(C::contact(&["vip", &mark]), email);
        if C::CONSENT_MOVES && unsubscribed[n] {
            contact = C::unsubscribed(contact);
        }
        let tags = BTreeSet::from(["vip".to_owned(), mark]);
        before.insert(n as u64, (tags, C::consent(&contact)));
        C::put_contact(account, contact);
    }
    let mut life = Life {
        bench,
        account,
        model: Model::default(),
        start: bench.clock.now(),
        interrupted: Vec::new(),
        may_wait,
        webhooks: Vec::new(),
        died: BTreeSet::new(),
        deaths: deaths.into_iter(),
    };
    for step in steps {
        life.step(step);
    }
    life.quiet();
    life.assert_foreign_data_survives(&before);
    life
}

pub fn every_contact_is_right_after_any_life<C: TestedCrm>()
where
    C::Connector: Default,
{
    test_with_new_accounts::<C, _>(20, &any_life(false, true), |_, bench, account, case| {
        let life = live::<C>(bench, account, case, false);
        life.assert_current_contacts_are_right();
        life.assert_no_other_contact_has_our_tags();
        life.assert_events_were_delivered_once();
    });
}

/// The address changes again before an interrupted sync is tried again.
pub fn every_contact_is_right_after_any_interrupted_life<C: TestedCrm>()
where
    C::Connector: Default,
{
    test_with_new_accounts::<C, _>(20, &any_life(false, false), |_, bench, account, case| {
        let life = live::<C>(bench, account, case, true);
        life.assert_current_contacts_are_right();
        life.assert_no_other_contact_has_our_tags();
        life.assert_events_were_delivered_once();
    });
}

/// Without the table, contacts at earlier addresses may keep what they have.
pub fn every_life_without_a_table_leaves_the_current_contacts_right<C: TestedCrm>()
where
    C::Connector: Default,
{
    test_with_new_accounts::<C, _>(10, &any_life(true, true), |_, bench, account, case| {
        let mut life = live::<C>(bench, account, case, false);
        for user in USERS {
            if life.model.users.contains_key(user) {
                life.handle(user, resync("1", user), None);
            }
        }
        life.assert_current_contacts_are_right();
    });
}
