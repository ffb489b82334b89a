//! Lists of the Management API, page by page.
//!
//! What Sesamy publishes contradicts itself: bare arrays in its OpenAPI text,
//! `{"data": […], "pagination": {…}}` in its guide, `{"<name>": […]}` in its own
//! plugin. All three are read. Its largest page is not known, so a page's
//! length says little; the rules below are decided.

use serde_json::Value;

use crate::digest::digest;
use crate::http::{Call, Method};
use crate::identity::UserId;

/// How many items are asked for at once. Sesamy may send fewer.
pub(super) const PAGE_ITEMS: usize = 100;

/// How many pages of one list are read at most.
pub(super) const MAX_PAGES: usize = 100;

/// How many items of one list are read at most, whatever its pages hold.
pub(super) const MAX_ITEMS: usize = MAX_PAGES * PAGE_ITEMS;

/// A page shorter than this is the last where nothing tells. Assumed: no API
/// caps its pages below ten.
pub(super) const SHORT_PAGE: usize = 10;

/// The call for the page of a list that begins at `offset`.
pub(super) fn call<'a>(endpoint: &'static str, offset: usize) -> Call<'a> {
    let call = Call::new(Method::GET, endpoint, &[])
        .query("limit", PAGE_ITEMS.to_string())
        .query("offset", offset.to_string());
    match endpoint {
        // Documented for bills, as `offset` is for all else.
        "/bills" => call.query("from", offset.to_string()),
        _ => call,
    }
}

/// One page of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    next: Next,
}

/// What tells an item from the others of its list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// Its id.
    Id(String),
    /// The digest of all of it, where it has no id.
    Whole(String),
}

impl Identity {
    fn of(item: &Value) -> Self {
        match item.get("id").and_then(Value::as_str) {
            Some(id) => Self::Id(id.to_owned()),
            None => Self::Whole(digest(&[&item.to_string()])),
        }
    }
}

/// Whether an object names another user than this one by any of these keys.
/// A value that is no text, or blank, names no user.
pub(super) fn names_another(object: &Value, keys: &[&str], user: &UserId) -> bool {
    let named = keys.iter().filter_map(|key| object.get(key)?.as_str());
    let mut named = named.map(str::trim).filter(|named| !named.is_empty());
    named.any(|named| named != user.as_str())
}

/// What an envelope tells of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Total(usize),
    More(bool),
    Untold,
}

impl Page {
    /// Reads a page of the list called `name` in any of the three forms.
    pub(super) fn read(json: Value, name: &str) -> Option<Self> {
        match json {
            Value::Array(items) => Some(Self {
                items,
                next: Next::Untold,
            }),
            Value::Object(mut envelope) => {
                let pagination = envelope.remove("pagination");
                let tells = |key: &str| {
                    let inner = pagination
                        .as_ref()
                        .and_then(|pagination| pagination.get(key));
                    inner.or_else(|| envelope.get(key))
                };
                let total = tells("total").and_then(count);
                let more = ["hasMore", "has_more", "hasNext"]
                    .iter()
                    .find_map(|key| tells(key)?.as_bool());
                let next = match (total, more) {
                    (Some(total), _) => Next::Total(total),
                    (None, Some(more)) => Next::More(more),
                    (None, None) => Next::Untold,
                };
                let list = envelope.remove("data").or_else(|| envelope.remove(name));
                match list {
                    Some(Value::Array(items)) => Some(Self { items, next }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What tells each item from the others, in the page's order.
    pub(super) fn identities(&self) -> Vec<Identity> {
        self.items.iter().map(Identity::of).collect()
    }

    /// Whether the envelope tells what follows.
    pub(super) fn tells(&self) -> bool {
        self.next != Next::Untold
    }

    /// What the envelope tells of what follows.
    pub(super) fn next(&self) -> Next {
        self.next
    }

    /// What follows this page, when `distinct` different items were read in
    /// all, and `fresh` of this page's were not seen before. `is_first_again`
    /// is for a page that repeats the list's first one.
    pub(super) fn follow(&self, distinct: usize, fresh: usize, is_first_again: bool) -> Follow {
        let more_is_due = match self.next {
            Next::Total(total) => distinct < total,
            Next::More(more) => more,
            Next::Untold if fresh == 0 => {
                return match self.items.is_empty() {
                    true => Follow::End,
                    false if is_first_again => Follow::Unpaged,
                    false => Follow::Stuck,
                };
            }
            // Also where there is more than was asked for: an API that does not
            // heed the limit may heed the offset all the same.
            Next::Untold => self.items.len() >= SHORT_PAGE,
        };
        match more_is_due {
            false => Follow::End,
            true if fresh == 0 => Follow::Stuck,
            true => Follow::Next,
        }
    }
}

/// What follows a page of one user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// The next page.
    Next,
    /// Nothing: the list is whole.
    End,
    /// Nothing: the API answers the whole list whatever page is asked for.
    Unpaged,
    /// The list does not move on though more is due: what was read is a part.
    Stuck,
}

impl Next {
    /// Whether a page of so many users is the last of a vendor's, when `read`
    /// users were read in all, this page's included, and `fresh` of this page's
    /// were not seen before.
    pub(super) fn is_last(self, items: usize, read: usize, fresh: usize) -> bool {
        match self {
            // An empty page is the last whatever is told, or there would be no end.
            _ if items == 0 => true,
            Self::Total(total) => read >= total,
            Self::More(more) => !more,
            // Nothing new: this list knows no offsets.
            Self::Untold => items < SHORT_PAGE || fresh == 0,
        }
    }
}

/// A count, which may be sent as a text.
fn count(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => usize::try_from(other.as_u64()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(count: usize) -> Value {
        (0..count).map(|n| json!({ "id": n })).collect()
    }

    #[test]
    fn all_three_forms_of_a_list_are_read() {
        let forms = [
            items(3),
            json!({ "data": items(3), "meta": {} }),
            json!({ "contracts": items(3) }),
        ];
        for form in forms {
            let page = Page::read(form.clone(), "contracts").expect("a page");
            assert_eq!(page.items.len(), 3, "{form}");
        }
        let others = [
            json!({}),
            json!({ "bills": [] }),
            json!("x"),
            json!(null),
            json!({ "data": {} }),
        ];
        for other in others {
            assert_eq!(Page::read(other.clone(), "contracts"), None, "{other}");
        }
    }

    #[test]
    fn items_without_an_id_are_told_apart_by_all_that_they_say() {
        let json = json!([
            { "id": "a", "sku": "x" },
            { "id": "a", "sku": "y" },
            { "sku": "x", "title": "X" },
            { "title": "X", "sku": "x" },
            { "sku": "x", "title": "Y" },
            { "id": 7 },
            { "id": 8 },
        ]);
        let page = Page::read(json, "entitlements").expect("a page");
        let all = page.identities();
        let same = |one: usize, other: usize| all[one] == all[other];
        assert!(same(0, 1), "the id alone counts where there is one");
        assert!(same(2, 3), "the order of keys says nothing");
        assert!(!same(2, 4) && !same(5, 6), "{all:?}");
    }

    #[test]
    fn whoever_is_named_by_any_key_must_be_the_user() {
        let user = UserId::try_from("email|a").expect("an id");
        let cases = [
            (json!({ "id": "email|a", "userId": "email|a" }), false),
            (json!({ "userId": " email|a " }), false),
            (json!({ "id": "email|a", "userId": "email|b" }), true),
            (json!({ "id": "email|b", "userId": "email|a" }), true),
            (json!({ "id": "email|b" }), true),
            // Nobody is named.
            (json!({}), false),
            (json!({ "id": "", "userId": null }), false),
            (json!({ "id": 7, "userId": {} }), false),
            (json!([]), false),
        ];
        for (object, another) in cases {
            let named = names_another(&object, &["id", "userId"], &user);
            assert_eq!(named, another, "{object}");
        }
    }

    #[test]
    fn a_page_that_brings_nothing_new_never_makes_a_part_the_whole() {
        struct Case {
            page: Value,
            /// Different items read, this page's included.
            distinct: usize,
            /// How many of this page's are new; all of them where none is named.
            fresh: Option<usize>,
            is_first_again: bool,
            follow: Follow,
        }
        let case = |page: Value, distinct, follow| Case {
            page,
            distinct,
            fresh: None,
            is_first_again: false,
            follow,
        };
        let repeated = |page: Value, distinct, is_first_again, follow| Case {
            page,
            distinct,
            fresh: Some(0),
            is_first_again,
            follow,
        };
        let total =
            |items: Value, total: Value| json!({ "data": items, "pagination": { "total": total } });
        let more =
            |items: Value, more: bool| json!({ "data": items, "pagination": { "hasMore": more } });
        let cases = [
            // Nothing tells: a short page or an empty one is the last.
            case(items(0), 0, Follow::End),
            case(items(9), 109, Follow::End),
            case(items(10), 10, Follow::Next),
            case(items(100), 100, Follow::Next),
            case(items(0), 100, Follow::End),
            // Nothing tells: the API knows no pages, or repeats itself elsewhere.
            case(items(2000), 2000, Follow::Next),
            repeated(items(2000), 2000, true, Follow::Unpaged),
            repeated(items(50), 50, true, Follow::Unpaged),
            repeated(items(50), 150, false, Follow::Stuck),
            // The envelope tells how many there are.
            case(total(items(5), json!(12)), 5, Follow::Next),
            case(total(items(5), json!("12")), 12, Follow::End),
            case(total(items(100), json!(100)), 100, Follow::End),
            repeated(total(items(0), json!(12)), 5, false, Follow::Stuck),
            repeated(total(items(100), json!(150)), 100, true, Follow::Stuck),
            repeated(total(items(100), json!(100)), 100, true, Follow::End),
            // The envelope tells whether there are more.
            case(more(items(5), true), 5, Follow::Next),
            case(more(items(100), false), 100, Follow::End),
            repeated(more(items(0), true), 5, false, Follow::Stuck),
            repeated(more(items(0), false), 5, false, Follow::End),
        ];
        for case in cases {
            let page = Page::read(case.page.clone(), "contracts").expect("a page");
            let fresh = case.fresh.unwrap_or(page.items.len());
            let follow = page.follow(case.distinct, fresh, case.is_first_again);
            assert_eq!(
                follow, case.follow,
                "{} distinct, {}",
                case.distinct, case.page
            );
        }
    }
}
