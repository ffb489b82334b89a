//! A preview announces exactly what the sync then writes.

use std::collections::{BTreeMap, BTreeSet};

use fakes::sesamy::User;
use fakes::{Api, RecordedRequest};
use proptest::collection::vec;
use proptest::option;
use serde_json::Value;
use shared::actions::{ContactPlan, PlannedValue, Preview, TagReason};
use shared::connector::Connector;
use shared::http::{DryRunCall, Url};

use super::accounts::test_with_new_accounts;
use crate::crm::only_contact;
use crate::{Bench, ContactData, EMAIL, TestedCrm, USER, any_state, resync};

const PERSONAL: [&str; 5] = [EMAIL, "Anna", "Ask", "+47900", "X AS"];

pub fn preview_announces_exactly_what_the_sync_writes<C: TestedCrm>() {
    let states = vec(any_state(USER, EMAIL), 1..4);
    let cases = (option::weighted(0.8, C::any_contact()), states);
    test_with_new_accounts::<C, _>(100, &cases, |runtime, bench, account, (before, states)| {
        if let Some(before) = before {
            C::put_contact(account, before);
        }
        for state in states {
            runtime.block_on(preview_and_sync::<C>(bench, account, state));
        }
    });
}

/// Asserts that the preview of a state announces how its sync changes the contact.
pub async fn preview_and_sync<C: TestedCrm>(
    bench: &Bench<C::Connector>,
    account: &C::Account,
    state: User,
) {
    let data = || match C::contacts(account).is_empty() {
        true => ContactData::default(),
        false => C::data(&only_contact::<C>(account)),
    };
    let user = state.id.clone();
    bench.sesamy.put_user(state);
    let before = data();
    let preview = bench.previewed_and_synced::<C>(&user).await;
    let differences = Differences::between(&before, &data());
    match preview.contacts.as_slice() {
        [] => assert_eq!(differences, Differences::default()),
        [contact] => {
            differences.assert_announced(contact);
            let kept = before.tags.len() - differences.removed.len();
            assert_eq!(contact.tags.kept, kept, "tags kept");
        }
        more => panic!("more than one contact: {more:?}"),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Differences {
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// `None` for a field that lost its value.
    fields: BTreeMap<String, Option<Value>>,
}

impl Differences {
    fn between(before: &ContactData, after: &ContactData) -> Self {
        let (had, has) = (before.tag_set(), after.tag_set());
        let keys = before.fields.keys().chain(after.fields.keys());
        let differing = keys.filter(|key| before.fields.get(*key) != after.fields.get(*key));
        Self {
            added: has.difference(&had).cloned().collect(),
            removed: had.difference(&has).cloned().collect(),
            fields: differing
                .map(|key| (key.clone(), after.fields.get(key).cloned()))
                .collect(),
        }
    }

    fn assert_announced(&self, contact: &ContactPlan) {
        let tags = |reasons: &[TagReason]| -> BTreeSet<_> {
            reasons.iter().map(|reason| reason.tag.clone()).collect()
        };
        assert_eq!(tags(&contact.tags.add), self.added, "tags to add");
        assert_eq!(tags(&contact.tags.remove), self.removed, "tags to remove");
        let announced: BTreeSet<&str> = contact.fields.iter().map(|field| &*field.name).collect();
        let changed: BTreeSet<&str> = self.fields.keys().map(String::as_str).collect();
        assert_eq!(announced, changed, "fields to change");
        for field in &contact.fields {
            let after = self.fields.get(&*field.name).and_then(Option::as_ref);
            match &field.change {
                PlannedValue::Set(value) => assert_eq!(after, Some(value), "{}", field.name),
                PlannedValue::Personal(_) => assert!(after.is_some(), "{}", field.name),
                PlannedValue::Clear(_) => assert_eq!(after, None, "{}", field.name),
            }
        }
    }
}

impl<T: Connector> Bench<T> {
    /// Previews a user, then syncs. The preview must write nothing and hold no
    /// personal data; the sync must make exactly the announced requests, in order.
    pub async fn previewed_and_synced<C: TestedCrm<Connector = T>>(&self, user: &str) -> Preview {
        self.fakes.clear_requests();
        let preview = self.preview(user).await;
        assert_eq!(self.take_writes(C::API, C::is_read), []);
        let answer = serde_json::to_string(&preview).unwrap();
        for personal in PERSONAL {
            assert!(!answer.contains(personal), "{personal} in {answer}");
        }

        assert_eq!(self.handle([resync("1", user)]).await, [""; 0]);
        assert_eq!(self.fakes.violations(), []);
        let mut written = self.take_writes(C::API, C::is_read);
        let mut announced: Vec<_> = preview
            .dry_run_calls
            .iter()
            .map(WriteRequest::from)
            .collect();
        if preview.contacts.len() > 1 {
            // Lists are synced concurrently: only the calls of one list have an order.
            written.sort_by(|a, b| a.query.cmp(&b.query));
            announced.sort_by(|a, b| a.query.cmp(&b.query));
        }
        assert_eq!(announced.len(), written.len(), "{announced:?} {written:?}");
        for (announced, written) in announced.iter_mut().zip(&written) {
            // A dry run cannot know the id of a contact that is still to be created.
            if announced.path.contains('{') {
                let template = &announced.path;
                assert!(fits_template(&written.path, template), "{}", written.path);
                announced.path.clone_from(&written.path);
            }
            assert_eq!(announced, written);
        }
        let outcome = match written.is_empty() {
            true => "unchanged",
            false => "would_sync",
        };
        assert_eq!(preview.outcome, outcome);
        preview
    }

    fn take_writes(&self, api: Api, is_read: fn(&RecordedRequest) -> bool) -> Vec<WriteRequest> {
        let requests = self.fakes.requests_to(api).into_iter();
        let writes = requests.filter(|request| !is_read(request));
        let writes = writes.map(WriteRequest::from).collect();
        self.fakes.clear_requests();
        writes
    }
}

/// A write, comparable between a preview and a fake.
#[derive(Debug, PartialEq)]
struct WriteRequest {
    method: String,
    path: String,
    query: String,
    body: Value,
}

impl From<&DryRunCall> for WriteRequest {
    fn from(call: &DryRunCall) -> Self {
        let query = Url::parse_with_params("http://localhost", &call.query).unwrap();
        let path = call.path.clone();
        Self {
            method: call.method.to_string(),
            path: path.unwrap_or_else(|| call.endpoint.to_owned()),
            query: query.query().unwrap_or_default().to_owned(),
            body: call.body.clone(),
        }
    }
}

impl From<RecordedRequest> for WriteRequest {
    fn from(request: RecordedRequest) -> Self {
        Self {
            method: request.method,
            path: request.path,
            query: request.query,
            body: request.body.unwrap_or_default(),
        }
    }
}

fn fits_template(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path
            .zip(template)
            .all(|(segment, pattern)| pattern.starts_with('{') || segment == pattern)
}
