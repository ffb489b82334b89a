//! Checks the results of a soak.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conformance::{derived, split_tags};
use fakes::{User, mailmojo::Status};
use harness::{Connector, Result, Stack};
use serde_json::Value;
use shared::derivation::DesiredContact;
use shared::message::EventType;

use crate::{
    publisher::{LIST, Publisher},
    users::{FOREIGN, SoakUser, UserKind},
};

/// A tag that is never removed.
const PERMANENT: &str = "sesamy_made_single_purchase";

const EVENT_TAG_PREFIX: &str = "sesamy_event_";

/// A user's events and states during the soak.
pub struct UserHistory<'a> {
    pub user: &'a SoakUser,
    pub publisher: &'a Publisher,
    /// The last state at Sesamy.
    pub state: User,
    /// Every state that was planned for the user.
    pub past_states: Vec<&'a User>,
    pub events_by_id: BTreeMap<String, EventType>,
}

/// How often Rule started the flows of each tag, by address and tag.
pub type TagCounts = BTreeMap<(String, String), usize>;

#[derive(Default)]
pub struct Verification {
    pub failures: Vec<String>,
    /// How often Rule got an event's tag again.
    pub repeated_tags: usize,
}

impl Verification {
    fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(message());
        }
    }

    pub fn check_user(&mut self, history: &UserHistory<'_>, tag_counts: &TagCounts) {
        let UserHistory {
            user, publisher, ..
        } = history;
        if user.kind == UserKind::Guest {
            self.check(publisher.rule.subscriber(user.email).is_none(), || {
                format!("{} is a guest but is in Rule", user.id)
            });
            return;
        }
        if user.kind == UserKind::InvalidAddress {
            return;
        }
        let desired = derived(&history.state);
        for connector in Connector::ALL {
            if !user.kind.is_poison_for(connector) {
                match connector {
                    Connector::Rule => self.check_rule(history, &desired, tag_counts),
                    Connector::Mailmojo => self.check_mailmojo(history, &desired),
                    Connector::Make => self.check_make(history, &desired),
                    // No publisher of a soak uses them.
                    Connector::Mailchimp | Connector::Hubspot => {}
                }
            }
        }
    }

    fn check_rule(
        &mut self,
        history: &UserHistory<'_>,
        desired: &DesiredContact,
        tag_counts: &TagCounts,
    ) {
        let id = history.user.id;
        let Some(actual) = history.publisher.rule.subscriber(history.user.email) else {
            self.failures.push(format!("{id} is not in Rule"));
            return;
        };
        let (event_tags, tags): (Vec<_>, Vec<_>) = actual
            .tags
            .into_iter()
            .partition(|tag| tag.starts_with(EVENT_TAG_PREFIX));
        self.check_tags(history, Connector::Rule, &tags, desired, &["sesamy"]);
        for field in rule::mapping::fields(desired) {
            let value = Some(&field.value).filter(|value| **value != "");
            let stored = actual.fields.get(field.key);
            self.check(stored == value, || {
                format!(
                    "{id} has {stored:?} in {} of Rule, not {value:?}",
                    field.key
                )
            });
        }
        let mut counts: HashMap<EventType, usize> = HashMap::new();
        for event in history.events_by_id.values() {
            *counts.entry(*event).or_default() += 1;
        }
        let unsubscribed = history.user.kind == UserKind::Unsubscribed;
        if unsubscribed {
            self.check(event_tags.is_empty(), || {
                format!("{id} is unsubscribed but has {event_tags:?} in Rule")
            });
            counts.clear();
        }
        for (event, count) in counts {
            let tag = rule::mapping::event_tag(event);
            let key = (history.user.email.to_owned(), tag.to_owned());
            let got = tag_counts.get(&key).copied().unwrap_or_default();
            self.check(
                got >= count && event_tags.iter().any(|actual| actual == tag),
                || {
                    format!(
                        "{id} had {count} events {}, but Rule got {got}",
                        event.name()
                    )
                },
            );
            self.repeated_tags += got.saturating_sub(count);
        }
        self.check(actual.opted_in != unsubscribed, || {
            format!("the consent of {id} at Rule has changed")
        });
    }

    fn check_mailmojo(&mut self, history: &UserHistory<'_>, desired: &DesiredContact) {
        let id = history.user.id;
        let Some(actual) = history.publisher.mailmojo.contact(history.user.email) else {
            self.failures.push(format!("{id} is not in Mailmojo"));
            return;
        };
        self.check_tags(history, Connector::Mailmojo, &actual.tags, desired, &[]);
        for field in mailmojo::mapping::fields(desired) {
            let stored = actual.custom.get(field.name).unwrap_or(&Value::Null);
            self.check(*stored == field.value, || {
                format!(
                    "{id} has {stored} in \"{}\" of Mailmojo, not {}",
                    field.name, field.value
                )
            });
        }
        let expected = if history.user.kind == UserKind::Unsubscribed {
            Status::Unsubscribed
        } else {
            Status::Active
        };
        self.check(actual.on(LIST) == Some(expected), || {
            format!(
                "{id} is {:?} on Mailmojo's list, not {expected:?}",
                actual.on(LIST)
            )
        });
    }

    fn check_make(&mut self, history: &UserHistory<'_>, desired: &DesiredContact) {
        let (id, email) = (history.user.id, history.user.email);
        for (account, list) in &history.publisher.make {
            let Some(actual) = account.subscriber(email) else {
                self.failures
                    .push(format!("{id} is not in Make.as {}", account.name()));
                continue;
            };
            self.check_tags(history, Connector::Make, &actual.tags, desired, &[]);
            self.check(actual.lists == [*list], || {
                format!("{id} is on the lists {:?} of Make.as", actual.lists)
            });
            let unsubscribed = history.user.kind == UserKind::Unsubscribed;
            self.check(
                (actual.email_status == "unsubscribed") == unsubscribed,
                || format!("{id} is {} at Make.as", actual.email_status),
            );
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
                    format!("{id} has {stored:?} at Make.as, not {mapped}")
                });
            }
            let products = account.products();
            for mapped in make::mapping::products(desired) {
                let id = mapped.get("external_id").and_then(Value::as_str);
                self.check(
                    products.iter().any(|p| Some(p.external_id.as_str()) == id),
                    || format!("Make.as does not have the product {mapped}"),
                );
            }
        }
    }

    /// Our tags must be the desired ones, plus the permanent one if a past state had it.
    /// No foreign tag may be missing.
    fn check_tags(
        &mut self,
        history: &UserHistory<'_>,
        connector: Connector,
        actual: &[String],
        desired: &DesiredContact,
        more_foreign: &[&str],
    ) {
        let (mut ours, foreign) = split_tags(actual);
        let tags = |contact: &DesiredContact| -> BTreeSet<String> {
            let tags = contact.tags.keys();
            tags.map(|tag| tag.as_str().to_owned()).collect()
        };
        let desired = tags(desired);
        let had_permanent = |state: &&User| tags(&derived(state)).contains(PERMANENT);
        if ours.contains(PERMANENT)
            && !desired.contains(PERMANENT)
            && history.past_states.iter().any(had_permanent)
        {
            ours.remove(PERMANENT);
        }
        let id = history.user.id;
        self.check(ours == desired, || {
            format!("{id} has the tags {ours:?} in {connector}, not {desired:?}")
        });
        let had_contact = matches!(history.user.kind, UserKind::Known | UserKind::Unsubscribed);
        let expected = FOREIGN.iter().filter(|_| had_contact).chain(more_foreign);
        let expected: BTreeSet<_> = expected.map(|tag| (*tag).to_owned()).collect();
        self.check(foreign == expected, || {
            format!("{id} has the foreign tags {foreign:?} in {connector}, not {expected:?}")
        });
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
