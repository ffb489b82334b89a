//! Checks the results of a soak.

use std::collections::{BTreeMap, BTreeSet};

use conformance::{derived, split_tags};
use fakes::User;
use harness::{Connector, Result, Stack};
use jiff::Timestamp;
use serde_json::Value;
use shared::derivation::{DesiredContact, PERMANENT_TAG};
use shared::message::{Event, EventType};

use crate::{
    contacts::{Contact, Place},
    publisher::Publisher,
    users::{SoakUser, UserKind, address},
};

/// A user's events and states during the soak.
pub struct UserHistory<'a> {
    pub user: &'a SoakUser,
    pub publisher: &'a Publisher,
    /// The last state at Sesamy. `None` if the user was deleted.
    pub state: Option<User>,
    /// Every state that was planned for the user.
    pub past_states: Vec<&'a User>,
    pub events_by_id: BTreeMap<String, EventType>,
}

impl UserHistory<'_> {
    fn is_poison_for(&self, connector: Connector) -> bool {
        self.user.kind.is_poison_for(connector)
    }
}

/// The consents that a contact which a sync created may have.
fn consents_of_new(
    connector: Connector,
    email: &str,
    histories: &[&UserHistory<'_>],
) -> &'static [bool] {
    let users = histories.iter().map(|history| history.user);
    let mut users = users.filter(|user| user.addresses.contains(&email));
    match users.find(|user| user.is_copied_by(connector)) {
        None => &[true],
        // For which of them it was created depends on the order of the syncs.
        Some(user) if user.partner.is_some() => &[true, false],
        Some(_) => &[false],
    }
}

/// The name of an event's activity at Mailchimp.
fn activity_name(event: EventType) -> String {
    let body = mailchimp::mapping::event(&Event {
        event_type: event,
        occurred_at: Timestamp::UNIX_EPOCH,
        contract_id: None,
        entitlement_id: None,
        checkout_id: None,
    });
    let name = body.get("name").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

fn count(items: impl Iterator<Item = (String, String)>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[derive(Default)]
pub struct Verification {
    pub failures: Vec<String>,
    /// How often Rule and Mailchimp got an event again.
    pub repeated_events: usize,
}

impl Verification {
    pub fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(message());
        }
    }

    pub fn check_publisher(&mut self, publisher: &Publisher, histories: &[&UserHistory<'_>]) {
        for place in Place::all(publisher) {
            self.check_foreign_data(&place, histories);
            let addresses = histories.iter().flat_map(|h| &h.user.addresses);
            let addresses: BTreeSet<_> = addresses.copied().collect();
            for email in addresses {
                self.check_address(&place, email, histories);
            }
        }
        self.check_events(publisher, histories);
    }

    /// The publisher's contacts have their data and their consent, wherever they moved.
    /// All others have no foreign data, and the consent of a new contact.
    fn check_foreign_data(&mut self, place: &Place, histories: &[&UserHistory<'_>]) {
        let mut known = 0;
        for history in histories {
            let user = history.user;
            let initial = user.contacts();
            for contact in &initial {
                let marked = |found: &&Contact| found.tags.contains(&contact.mark);
                let found: Vec<_> = place.contacts.iter().filter(marked).collect();
                let [found] = found.as_slice() else {
                    let count = found.len();
                    self.failures.push(format!(
                        "{place} has {count} contacts with the tag {}",
                        contact.mark
                    ));
                    continue;
                };
                known += 1;
                self.check(found.foreign_tags() == contact.foreign_tags(), || {
                    format!("{} has {:?} in {place}", found.email, found.tags)
                });
                self.check(found.has_foreign_field, || {
                    format!("{} has lost its foreign field in {place}", found.email)
                });
                self.check(found.is_subscribed == contact.is_subscribed, || {
                    format!("the consent of {} in {place} has changed", found.email)
                });
                self.check(found.is_on_list, || {
                    format!("{} is on other lists in {place}", found.email)
                });
            }
            // Without others at its addresses, the user's only contact moves along, or
            // stays and gets no other one.
            let is_alone = user.partner.is_none() && initial.len() < 2;
            let is_copied = user.is_copied_by(place.connector);
            if is_alone && user.kind.is_ordinary() {
                let at = |email: &&&str| place.contact(email).is_some();
                let count = user.addresses.iter().filter(at).count();
                self.check(count == 1 || is_copied && count > 1, || {
                    format!("{} has {count} contacts in {place}", user.id)
                });
            }
        }
        let new = place.contacts.iter().filter(|contact| contact.is_new());
        let mut count = 0;
        for contact in new {
            count += 1;
            self.check(contact.foreign_tags().is_empty(), || {
                format!("{} has {:?} in {place}", contact.email, contact.tags)
            });
            let consents = consents_of_new(place.connector, &contact.email, histories);
            let is_right = consents.contains(&contact.is_subscribed) && contact.is_on_list;
            self.check(is_right, || {
                format!("the consent of {} in {place} is wrong", contact.email)
            });
        }
        let contacts = place.contacts.len();
        self.check(known + count == contacts, || {
            format!("{place} has {contacts} contacts, not {}", known + count)
        });
    }

    /// The contact of an address is right for its user, or has nothing of ours.
    fn check_address(&mut self, place: &Place, email: &str, histories: &[&UserHistory<'_>]) {
        let connector = place.connector;
        let is_here = |history: &&UserHistory<'_>| {
            let state = history.state.as_ref();
            state.is_some_and(|state| address(state) == email)
        };
        let users: Vec<_> = histories.iter().copied().filter(is_here).collect();
        if users.iter().any(|h| h.user.kind == UserKind::Guest) {
            self.check(place.contact(email).is_none(), || {
                format!("{email} is a guest but is in {place}")
            });
            return;
        }
        let is_refused = |h: &&UserHistory<'_>| {
            h.is_poison_for(connector) || h.user.kind == UserKind::InvalidAddress
        };
        if users.iter().any(is_refused) {
            return;
        }
        let desired = users.iter().filter_map(|history| {
            let desired = derived(history.state.as_ref()?);
            Some((*history, desired))
        });
        let mut desired: Vec<_> = desired.collect();
        // Of two users, the one with access owns the contact.
        if desired.iter().any(|(_, desired)| desired.has_access) {
            desired.retain(|(_, desired)| desired.has_access);
        }
        let past_states: Vec<_> = {
            // The contact may have been that of the partner, at the family's address, before
            // it moved here.
            let has = |h: &&&UserHistory<'_>| h.user.addresses.contains(&email);
            let users = histories.iter().filter(has);
            let numbers = users.flat_map(|h| [Some(h.user.number), h.user.partner]);
            let numbers: BTreeSet<_> = numbers.flatten().collect();
            let sharing = histories.iter();
            let sharing = sharing.filter(|h| numbers.contains(&h.user.number));
            sharing
                .flat_map(|h| h.past_states.iter().copied())
                .collect()
        };
        let Some(contact) = place.contact(email) else {
            let stays = |(history, _): &(&UserHistory<'_>, DesiredContact)| {
                history.user.stays_at(connector) && history.user.email() != email
            };
            self.check(desired.iter().all(stays), || {
                format!("{email} has no contact in {place}")
            });
            return;
        };
        if desired.is_empty() {
            let (ours, _) = split_tags(&contact.tags);
            self.check(ours.is_empty() && !contact.has_base_tag(), || {
                format!("{email} has no user but {:?} in {place}", contact.tags)
            });
            self.check(contact.our_fields.is_empty(), || {
                format!(
                    "{email} has no user but {:?} in {place}",
                    contact.our_fields
                )
            });
            return;
        }
        let failures = desired.iter().map(|(history, desired)| {
            let mut one = Self::default();
            one.check_tags(place, contact, desired, &past_states);
            match connector {
                Connector::Rule => one.check_rule(history, email, desired),
                Connector::Mailmojo => one.check_mailmojo(history, email, desired),
                Connector::Make => one.check_make(history, place, email, desired),
                Connector::Mailchimp => one.check_mailchimp(history, email, desired),
                Connector::Hubspot => one.check_hubspot(history, email, desired),
            }
            one.failures
        });
        // The contact of two users may be that of either.
        let failures: Vec<_> = failures.collect();
        if failures.iter().all(|failures| !failures.is_empty()) {
            self.failures.extend(failures.into_iter().flatten());
        }
    }

    /// Our tags must be the desired ones, plus the permanent one if a past state had it.
    fn check_tags(
        &mut self,
        place: &Place,
        contact: &Contact,
        desired: &DesiredContact,
        past_states: &[&User],
    ) {
        let (mut ours, _) = split_tags(&contact.tags);
        ours.retain(|tag| !tag.starts_with(rule::mapping::EVENT_TAG_PREFIX));
        let tags = |contact: &DesiredContact| -> BTreeSet<String> {
            let tags = contact.tags.keys();
            tags.map(|tag| tag.as_str().to_owned()).collect()
        };
        let desired = tags(desired);
        let had_permanent = |state: &&User| tags(&derived(state)).contains(PERMANENT_TAG);
        if ours.contains(PERMANENT_TAG)
            && !desired.contains(PERMANENT_TAG)
            && past_states.iter().any(had_permanent)
        {
            ours.remove(PERMANENT_TAG);
        }
        let email = &contact.email;
        self.check(ours == desired, || {
            format!("{email} has the tags {ours:?} in {place}, not {desired:?}")
        });
        self.check(
            contact.has_base_tag() == (place.connector == Connector::Rule),
            || format!("{email} has {:?} in {place}", contact.tags),
        );
    }

    fn check_rule(&mut self, history: &UserHistory<'_>, email: &str, desired: &DesiredContact) {
        let actual = history.publisher.rule.subscriber(email);
        let stored = actual.map(|actual| actual.fields).unwrap_or_default();
        for field in rule::mapping::fields(desired) {
            let value = Some(&field.value).filter(|value| **value != "");
            let stored = stored.get(field.key);
            self.check(stored == value, || {
                format!(
                    "{email} has {stored:?} in {} of Rule, not {value:?}",
                    field.key
                )
            });
        }
    }

    fn check_mailmojo(&mut self, history: &UserHistory<'_>, email: &str, desired: &DesiredContact) {
        let actual = history.publisher.mailmojo.contact(email);
        let custom = actual.map(|actual| actual.custom).unwrap_or_default();
        for field in mailmojo::mapping::fields(desired) {
            let stored = custom.get(field.name).unwrap_or(&Value::Null);
            self.check(*stored == field.value, || {
                format!(
                    "{email} has {stored} in \"{}\" of Mailmojo, not {}",
                    field.name, field.value
                )
            });
        }
    }

    fn check_mailchimp(
        &mut self,
        history: &UserHistory<'_>,
        email: &str,
        desired: &DesiredContact,
    ) {
        let actual = history.publisher.mailchimp.member(email);
        let stored = actual.map(|actual| actual.merge_fields).unwrap_or_default();
        // A name or phone number may be the publisher's.
        let fields = mailchimp::mapping::fields(desired);
        for field in fields.filter(|field| !field.attribute.is_personal()) {
            let value = Some(&field.value).filter(|_| !field.is_cleared());
            let stored = stored.get(field.name);
            self.check(stored == value, || {
                format!(
                    "{email} has {stored:?} in {} of Mailchimp, not {value:?}",
                    field.name
                )
            });
        }
    }

    fn check_hubspot(&mut self, history: &UserHistory<'_>, email: &str, desired: &DesiredContact) {
        let actual = history.publisher.hubspot.contact(email).unwrap_or_default();
        let properties = hubspot::mapping::PROPERTIES.into_iter();
        for (attribute, name) in properties.filter(|(_, name)| *name != hubspot::mapping::TAGS) {
            let value = hubspot::mapping::text(desired.value(attribute));
            let stored = actual.get(name).unwrap_or_default();
            self.check(stored == value, || {
                format!("{email} has \"{stored}\" in {name} of HubSpot, not \"{value}\"")
            });
        }
    }

    fn check_make(
        &mut self,
        history: &UserHistory<'_>,
        place: &Place,
        email: &str,
        desired: &DesiredContact,
    ) {
        let accounts = history.publisher.make.iter();
        let mut accounts = accounts.filter(|(account, _)| account.name() == place.account);
        let Some((account, _)) = accounts.next() else {
            return;
        };
        let id = account.subscriber(email).and_then(|s| s.external_id);
        self.check(id.as_deref() == Some(desired.user_id.as_str()), || {
            format!("{email} has the id {id:?} at {place}")
        });
        let subscriptions = account.subscriptions_of(email);
        for mapped in make::mapping::subscriptions(desired) {
            let text = |key: &str| mapped.get(key).and_then(Value::as_str);
            let stored = subscriptions
                .iter()
                .find(|s| Some(s.external_id.as_str()) == text("external_id"));
            let agrees = stored.is_some_and(|stored| {
                Some(stored.status.as_str()) == text("status")
                    && Some(stored.product_external_id.as_str()) == text("product_external_id")
                    && stored.end_date.as_deref() == text("end_date")
            });
            self.check(agrees, || {
                format!("{email} has {stored:?} at {place}, not {mapped}")
            });
        }
        let products = account.products();
        for mapped in make::mapping::products(desired) {
            let id = mapped.get("external_id").and_then(Value::as_str);
            self.check(
                products.iter().any(|p| Some(p.external_id.as_str()) == id),
                || format!("{place} does not have the product {mapped}"),
            );
        }
    }

    /// Rule gets each event of a user with consent, and Mailchimp each event. Counts
    /// those that they get again.
    fn check_events(&mut self, publisher: &Publisher, histories: &[&UserHistory<'_>]) {
        let flows = publisher.rule.flows().into_iter();
        let tag = |event| rule::mapping::event_tag(event).to_owned();
        let started = count(flows.map(|flow| (flow.email, flow.tag)));
        self.check_events_of(Connector::Rule, tag, &started, histories);
        let members = publisher.mailchimp.members().into_iter();
        let started = count(members.flat_map(|member| {
            let events = member.events.into_iter();
            events.map(move |event| (member.email_address.clone(), event.name))
        }));
        self.check_events_of(Connector::Mailchimp, activity_name, &started, histories);
        for history in histories {
            self.check_event_tags(publisher, history);
        }
    }

    /// `started` counts by address and by the name of an event at the CRM.
    fn check_events_of(
        &mut self,
        connector: Connector,
        name: impl Fn(EventType) -> String,
        started: &BTreeMap<(String, String), usize>,
        histories: &[&UserHistory<'_>],
    ) {
        for history in histories {
            let user = history.user;
            let partner = user.partner.and_then(|number| {
                let mut others = histories.iter();
                others.find(|other| other.user.number == number)
            });
            if partner.is_some_and(|partner| partner.user.number < user.number) {
                // Counted with the partner.
                continue;
            }
            if !user.kind.gets_events_of(connector) {
                continue;
            }
            let users = [Some(history), partner];
            let users: Vec<_> = users.into_iter().flatten().collect();
            let addresses: BTreeSet<_> = users.iter().flat_map(|h| &h.user.addresses).collect();
            for event in EventType::ALL {
                let name = name(event);
                let sent = users.iter().flat_map(|h| h.events_by_id.values());
                let sent = sent.filter(|sent| **sent == event).count();
                let got = addresses.iter().map(|email| {
                    let key = ((**email).to_owned(), name.clone());
                    started.get(&key).copied().unwrap_or_default()
                });
                let got = got.sum::<usize>();
                self.repeated_events += got.saturating_sub(sent);
                let id = user.id;
                // A deleted user gets those before. That of two users without access gets
                // none while the other owns the contact.
                if partner.is_some() || user.is_deleted() {
                    continue;
                }
                if user.kind == UserKind::Unsubscribed && connector == Connector::Rule {
                    self.check(got == 0, || {
                        format!("{id} is unsubscribed but Rule got {got} of {name}")
                    });
                    continue;
                }
                self.check(got >= sent, || {
                    format!("{id} had {sent} events {name}, but {connector} got {got}")
                });
            }
        }
    }

    /// The only contact of a user with consent has the tags of all events at Rule.
    fn check_event_tags(&mut self, publisher: &Publisher, history: &UserHistory<'_>) {
        let user = history.user;
        let has_all = user.partner.is_none()
            && !user.is_deleted()
            && user.kind != UserKind::Unsubscribed
            && user.kind.gets_events_of(Connector::Rule)
            && user.contacts().len() < 2;
        if !has_all {
            return;
        }
        let email = history.state.as_ref().map(address).unwrap_or_default();
        let contact = publisher.rule.subscriber(email);
        let tags = contact.map(|contact| contact.tags).unwrap_or_default();
        for event in history.events_by_id.values() {
            let tag = rule::mapping::event_tag(*event);
            self.check(tags.iter().any(|t| t == tag), || {
                format!("{} has no {tag} in Rule", user.id)
            });
        }
    }

    /// The dead-letter messages must be exactly the events of users that a CRM never
    /// accepts. Returns their number.
    pub async fn check_dead_letters(
        &mut self,
        stack: &Stack<'_>,
        histories: &[UserHistory<'_>],
    ) -> Result<usize> {
        let mut count = 0;
        for connector in Connector::ALL {
            let messages = stack.take_dead_letters(connector).await?;
            count += messages.len();
            let mut actual = BTreeSet::new();
            for message in &messages {
                actual.insert(message.field("eventId").to_owned());
                let (kind, status) = (message.attribute("errorKind"), message.attribute("status"));
                self.check(
                    kind == "rejected_by_api" && matches!(status, "400" | "422"),
                    || {
                        let attributes = &message.attributes;
                        format!("a dead-letter message of {connector} has {attributes:?}")
                    },
                );
            }
            let poison = histories
                .iter()
                .filter(|history| history.user.kind.is_poison_for(connector));
            let expected = poison.flat_map(|history| history.events_by_id.keys().cloned());
            let expected: BTreeSet<_> = expected.collect();
            let missing = expected.difference(&actual).count();
            self.check(missing == 0, || {
                format!("{connector}: {missing} dead-letter messages are missing")
            });
            let unexpected = actual.difference(&expected).count();
            self.check(unexpected == 0, || {
                format!("{connector}: {unexpected} unexpected dead-letter messages")
            });
        }
        Ok(count)
    }
}
