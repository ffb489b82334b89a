//! What must be true once all is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bench::{derived, split_tags};
use local_aws::Result;
use serde_json::Value;
use shared::derivation::Subscriber;
use shared::message::EventType;
use stand_ins::{User, mailmojo::Status};

use crate::{
    Crm, Deployed,
    publisher::{LIST, Publisher},
    readers::{FOREIGN, Kind, Reader},
};

/// The tag that stays once a CRM has it.
const PERMANENT: &str = "sesamy_made_single_purchase";

/// The tags that tell Rule of events begin with it.
const EVENT_TAG: &str = "sesamy_event_";

/// What is known of a reader when all is done.
pub struct Story<'a> {
    /// Who.
    pub reader: &'a Reader,
    /// Whose.
    pub publisher: &'a Publisher,
    /// The state at Sesamy.
    pub state: User,
    /// Every state that the reader may have been in.
    pub past: Vec<&'a User>,
    /// The events by their ids.
    pub events: BTreeMap<String, EventType>,
}

/// Collects what is wrong.
#[derive(Default)]
pub struct Findings {
    /// What is wrong, a sentence each.
    pub wrong: Vec<String>,
    /// Event tags that Rule got beyond one per event.
    pub repeated_tags: usize,
}

impl Findings {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    /// What the CRMs hold of one reader.
    pub fn of_reader(&mut self, story: &Story<'_>, started: &BTreeMap<(String, String), usize>) {
        let Story {
            reader, publisher, ..
        } = story;
        if reader.kind == Kind::Guest {
            self.check(publisher.rule.subscriber(reader.email).is_none(), || {
                format!("{} is a guest and is in Rule", reader.id)
            });
            return;
        }
        if reader.kind == Kind::WithoutAddress {
            return;
        }
        let wanted = derived(&story.state);
        for crm in Crm::ALL {
            if !reader.kind.is_poison_for(crm) {
                match crm {
                    Crm::Rule => self.of_rule(story, &wanted, started),
                    Crm::Mailmojo => self.of_mailmojo(story, &wanted),
                    Crm::Make => self.of_make(story, &wanted),
                }
            }
        }
    }

    fn of_rule(
        &mut self,
        story: &Story<'_>,
        wanted: &Subscriber,
        started: &BTreeMap<(String, String), usize>,
    ) {
        let id = story.reader.id;
        let Some(held) = story.publisher.rule.subscriber(story.reader.email) else {
            self.wrong.push(format!("{id} is not in Rule"));
            return;
        };
        let (event_tags, tags): (Vec<_>, Vec<_>) = held
            .tags
            .into_iter()
            .partition(|tag| tag.starts_with(EVENT_TAG));
        self.tags(story, Crm::Rule, &tags, wanted, &["sesamy"]);
        for field in rule::mapping::fields(wanted) {
            let value = Some(&field.value).filter(|value| **value != "");
            let present = held.fields.get(field.key);
            self.check(present == value, || {
                format!(
                    "{id} has {present:?} in {} of Rule, not {value:?}",
                    field.key
                )
            });
        }
        let mut counts: HashMap<EventType, usize> = HashMap::new();
        for event in story.events.values() {
            *counts.entry(*event).or_default() += 1;
        }
        let left_out = story.reader.kind == Kind::Unsubscribed;
        if left_out {
            self.check(event_tags.is_empty(), || {
                format!("{id} has left and has {event_tags:?} in Rule")
            });
            counts.clear();
        }
        for (event, count) in counts {
            let tag = rule::mapping::event_tag(event);
            let key = (story.reader.email.to_owned(), tag.to_owned());
            let got = started.get(&key).copied().unwrap_or_default();
            self.check(
                got >= count && event_tags.iter().any(|held| held == tag),
                || {
                    format!(
                        "{id} had {count} events {}, and Rule got {got}",
                        event.name()
                    )
                },
            );
            self.repeated_tags += got.saturating_sub(count);
        }
        self.check(held.opted_in != left_out, || {
            format!("{id} has changed their mind in Rule")
        });
    }

    fn of_mailmojo(&mut self, story: &Story<'_>, wanted: &Subscriber) {
        let id = story.reader.id;
        let Some(held) = story.publisher.mailmojo.contact(story.reader.email) else {
            self.wrong.push(format!("{id} is not in Mailmojo"));
            return;
        };
        self.tags(story, Crm::Mailmojo, &held.tags, wanted, &[]);
        for field in mailmojo::mapping::fields(wanted) {
            let present = held.custom.get(field.name).unwrap_or(&Value::Null);
            self.check(*present == field.value, || {
                format!(
                    "{id} has {present} in \"{}\" of Mailmojo, not {}",
                    field.name, field.value
                )
            });
        }
        let expected = if story.reader.kind == Kind::Unsubscribed {
            Status::Unsubscribed
        } else {
            Status::Active
        };
        self.check(held.on(LIST) == Some(expected), || {
            format!(
                "{id} is {:?} on Mailmojo's list, not {expected:?}",
                held.on(LIST)
            )
        });
    }

    fn of_make(&mut self, story: &Story<'_>, wanted: &Subscriber) {
        let (id, email) = (story.reader.id, story.reader.email);
        for (account, list) in &story.publisher.make {
            let Some(held) = account.subscriber(email) else {
                self.wrong
                    .push(format!("{id} is not in Make.as {}", account.name()));
                continue;
            };
            self.tags(story, Crm::Make, &held.tags, wanted, &[]);
            self.check(held.lists == [*list], || {
                format!("{id} is on the lists {:?} of Make.as", held.lists)
            });
            let left_out = story.reader.kind == Kind::Unsubscribed;
            self.check((held.email_status == "unsubscribed") == left_out, || {
                format!("{id} is {} at Make.as", held.email_status)
            });
            let held = account.subscriptions_of(email);
            for wanted in make::mapping::subscriptions(wanted) {
                let text = |key: &str| wanted.get(key).and_then(Value::as_str);
                let found = held
                    .iter()
                    .find(|s| Some(s.external_id.as_str()) == text("external_id"));
                let agrees = found.is_some_and(|found| {
                    Some(found.status.as_str()) == text("status")
                        && Some(found.product_external_id.as_str()) == text("product_external_id")
                        && found.end_date.as_deref() == text("end_date")
                });
                self.check(agrees, || {
                    format!("{id} has {found:?} at Make.as, not {wanted}")
                });
            }
            let products = account.products();
            for wanted in make::mapping::products(wanted) {
                let id = wanted.get("external_id").and_then(Value::as_str);
                self.check(
                    products.iter().any(|p| Some(p.external_id.as_str()) == id),
                    || format!("{wanted} is no product of Make.as"),
                );
            }
        }
    }

    /// Ours are the derived ones, and the permanent one where it may have been
    /// had before; of the publisher's own none is missing.
    fn tags(
        &mut self,
        story: &Story<'_>,
        crm: Crm,
        held: &[String],
        wanted: &Subscriber,
        more: &[&str],
    ) {
        let (mut ours, foreign) = split_tags(held);
        let wanted: BTreeSet<_> = wanted
            .tags
            .keys()
            .map(|tag| tag.as_str().to_owned())
            .collect();
        let had = |state: &&User| {
            derived(state)
                .tags
                .keys()
                .any(|tag| tag.as_str() == PERMANENT)
        };
        if ours.contains(PERMANENT) && !wanted.contains(PERMANENT) && story.past.iter().any(had) {
            ours.remove(PERMANENT);
        }
        let id = story.reader.id;
        self.check(ours == wanted, || {
            format!("{id} has the tags {ours:?} in {crm}, not {wanted:?}")
        });
        let introduced = matches!(story.reader.kind, Kind::Known | Kind::Unsubscribed);
        let expected = FOREIGN.iter().filter(|_| introduced).chain(more);
        let expected: BTreeSet<_> = expected.map(|tag| (*tag).to_owned()).collect();
        self.check(foreign == expected, || {
            format!("{id} has the foreign tags {foreign:?} in {crm}, not {expected:?}")
        });
    }

    /// The dead letters: every event of the readers a CRM will never take, and no other.
    pub async fn of_letters(
        &mut self,
        deployed: &Deployed,
        stories: &[Story<'_>],
    ) -> Result<usize> {
        let mut count = 0;
        for crm in Crm::ALL {
            let letters = deployed.take_dead_letters(crm).await?;
            count += letters.len();
            let mut dead = BTreeSet::new();
            for letter in &letters {
                dead.insert(letter.field("eventId").to_owned());
                let (kind, status) = (letter.attribute("errorKind"), letter.attribute("status"));
                self.check(
                    kind == "rejected_by_api" && matches!(status, "400" | "422"),
                    || format!("a dead letter of {crm} says {:?}", letter.attributes),
                );
            }
            let mut must_be = BTreeSet::new();
            let poisoned = stories
                .iter()
                .filter(|story| story.reader.kind.is_poison_for(crm));
            for story in poisoned {
                must_be.extend(story.events.keys().cloned());
            }
            let (missing, other) = (must_be.difference(&dead), dead.difference(&must_be));
            let (missing, other) = (missing.count(), other.count());
            self.check(missing == 0, || {
                format!("{crm}: {missing} dead letters are missing")
            });
            self.check(other == 0, || {
                format!("{crm}: {other} dead letters should not be there")
            });
        }
        Ok(count)
    }
}
