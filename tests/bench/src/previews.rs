//! The law of previews: what is announced is what is done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::consumer::{Answer, Connector, Contact, FieldTo, Preview};
use shared::http::{Url, Withheld};
use stand_ins::{Api, RecordedRequest, User};

use crate::{Bench, VENDOR, resync};

/// What a CRM holds of a reader: tags, and the fields that have a value.
pub type Held = (Vec<String>, BTreeMap<String, Value>);

/// How a contact differs from what it was.
#[derive(Debug, Default, PartialEq)]
struct Differences {
    /// Tags it has now.
    added: BTreeSet<String>,
    /// Tags it had.
    removed: BTreeSet<String>,
    /// Fields that have another value, `None` for those that have none any more.
    fields: BTreeMap<String, Option<Value>>,
}

impl Differences {
    /// Between two states of a contact.
    fn between(before: &Held, after: &Held) -> Self {
        let tags = |held: &Held| held.0.iter().cloned().collect::<BTreeSet<_>>();
        let (had, has) = (tags(before), tags(after));
        let names = before.1.keys().chain(after.1.keys());
        let differing = names.filter(|name| before.1.get(*name) != after.1.get(*name));
        Self {
            added: has.difference(&had).cloned().collect(),
            removed: had.difference(&has).cloned().collect(),
            fields: differing
                .map(|name| (name.clone(), after.1.get(name).cloned()))
                .collect(),
        }
    }

    /// Asserts that a preview announced exactly these for a contact.
    fn were_announced(&self, contact: &Contact) {
        let names = |tags: &[shared::consumer::TagReason]| {
            tags.iter()
                .map(|tag| tag.tag.clone())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(names(&contact.tags.add), self.added, "tags to add");
        assert_eq!(names(&contact.tags.remove), self.removed, "tags to remove");
        let announced: BTreeSet<&str> = contact.fields.iter().map(|field| field.name).collect();
        let changed: BTreeSet<&str> = self.fields.keys().map(String::as_str).collect();
        assert_eq!(announced, changed, "fields to change");
        for field in &contact.fields {
            let after = self.fields.get(field.name).and_then(Option::as_ref);
            match &field.change {
                FieldTo::Set(value) => assert_eq!(after, Some(value), "{}", field.name),
                FieldTo::Personal(_) => assert!(after.is_some(), "{}", field.name),
                FieldTo::Clear(_) => assert_eq!(after, None, "{}", field.name),
            }
        }
    }
}

impl<C: Connector> Bench<C> {
    /// The preview of a user.
    pub async fn preview(&self, user: &str) -> Preview {
        let request = json!({ "action": "preview", "vendorId": VENDOR, "userId": user });
        match self.ask(request).await {
            Answer::Preview(preview) => preview,
            other => panic!("no preview: {other:?}"),
        }
    }

    /// The law for one contact: previews each of a user's states, then syncs
    /// it (see [`Bench::previewed_and_synced`]). What was announced must be
    /// how the CRM `held` the contact afterwards differs from before.
    pub async fn previews_tell_the_truth(
        &self,
        states: Vec<User>,
        api: Api,
        is_read: fn(&RecordedRequest) -> bool,
        personal: &[&str],
        held: impl Fn() -> Held,
    ) {
        for state in states {
            let user = state.id.clone();
            self.sesamy.put_user(state);
            let before = held();
            let preview = self.previewed_and_synced(&user, api, is_read, personal);
            let preview = preview.await;
            let differences = Differences::between(&before, &held());
            match preview.contacts.as_slice() {
                [] => assert_eq!(differences, Differences::default()),
                [contact] => {
                    differences.were_announced(contact);
                    let left = contact.tags.kept + differences.removed.len();
                    assert_eq!(left, before.0.len(), "tags kept");
                }
                more => panic!("one contact became {more:?}"),
            }
        }
    }

    /// Previews a user, then syncs: the first must write nothing, the second
    /// exactly what the first announced, request for request, in order. None of
    /// the `personal` texts may stand in the preview.
    pub async fn previewed_and_synced(
        &self,
        user: &str,
        api: Api,
        is_read: fn(&RecordedRequest) -> bool,
        personal: &[&str],
    ) -> Preview {
        let written = || {
            let requests = self.stand_ins.requests_to(api).into_iter();
            let writes: Vec<_> = requests.filter(|request| !is_read(request)).collect();
            self.stand_ins.clear_requests();
            writes
        };
        self.stand_ins.clear_requests();
        let preview = self.preview(user).await;
        assert_eq!(written(), [], "a preview writes nothing");
        let shown = serde_json::to_string(&preview).unwrap();
        for text in personal {
            assert!(!shown.contains(text), "{text} stands in {shown}");
        }

        assert_eq!(self.handle([resync("1", user)]).await, [""; 0]);
        assert_eq!(self.stand_ins.violations(), []);
        let mut written: Vec<_> = written().iter().map(comparable).collect();
        let mut announced: Vec<_> = preview.withheld.iter().map(announced).collect();
        if preview.contacts.len() > 1 {
            // Lists are synced side by side: only the calls of each have an order.
            written.sort_by_key(list_of);
            announced.sort_by_key(list_of);
        }
        assert_eq!(announced.len(), written.len(), "{announced:?} {written:?}");
        for (announced, written) in announced.iter_mut().zip(&written) {
            // Where Rule is still to give an id, the preview cannot know it.
            if announced.path.contains('{') {
                assert!(is_of(&written.path, &announced.path), "{}", written.path);
                announced.path.clone_from(&written.path);
            }
            assert_eq!(announced, written);
        }
        let expected = if written.is_empty() {
            "unchanged"
        } else {
            "would_sync"
        };
        assert_eq!(preview.outcome, expected);
        preview
    }
}

/// A write as a preview and a stand-in both know it.
#[derive(Debug, PartialEq)]
struct Write {
    method: String,
    path: String,
    query: String,
    body: Value,
}

fn announced(write: &Withheld) -> Write {
    let query = Url::parse_with_params("http://localhost", &write.query).unwrap();
    let path = write.path.clone();
    Write {
        method: write.method.to_string(),
        path: path.unwrap_or_else(|| write.endpoint.to_owned()),
        query: query.query().unwrap_or_default().to_owned(),
        body: write.body.clone(),
    }
}

fn comparable(request: &RecordedRequest) -> Write {
    Write {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        body: request.body.clone().unwrap_or_default(),
    }
}

fn list_of(write: &Write) -> String {
    write.query.clone()
}

/// Whether a path is one of a template.
fn is_of(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path
            .zip(template)
            .all(|(part, pattern)| pattern.starts_with('{') || part == pattern)
}
