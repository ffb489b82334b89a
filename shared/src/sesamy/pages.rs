//! Lists of the Management API, page by page.
//!
//! What Sesamy publishes contradicts itself: bare arrays in its OpenAPI text,
//! `{"data": […], "pagination": {…}}` in its guide, `{"<name>": […]}` in its own
//! plugin. All three are read. Its largest page is not known, so a page's
//! length says little; the rules below are decided.

use serde_json::Value;

/// How many items are asked for at once. Sesamy may send fewer.
pub(super) const PAGE_ITEMS: usize = 100;

/// How many pages of one list are read at most.
pub(super) const MAX_PAGES: usize = 100;

/// A page shorter than this is the last where nothing tells. Assumed: no API
/// caps its pages below ten.
pub(super) const SHORT_PAGE: usize = 10;

/// One page of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    next: Next,
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

    /// Whether the envelope tells what follows.
    pub(super) fn tells(&self) -> bool {
        self.next != Next::Untold
    }

    /// What the envelope tells of what follows.
    pub(super) fn next(&self) -> Next {
        self.next
    }

    /// Whether this page is the last, when `read` items were read in all, this
    /// page's included, and `fresh` of this page's were not seen before.
    pub(super) fn is_last(&self, read: usize, fresh: usize) -> bool {
        self.next.is_last(self.items.len(), read, fresh)
    }
}

impl Next {
    /// As [`Page::is_last`], of a page of so many items.
    pub(super) fn is_last(self, items: usize, read: usize, fresh: usize) -> bool {
        match self {
            // An empty page is the last whatever is told, or there would be no end.
            _ if items == 0 => true,
            Self::Total(total) => read >= total,
            Self::More(more) => !more,
            // Nothing new, or more than was asked for: this list knows no offsets.
            Self::Untold => items < SHORT_PAGE || fresh == 0 || items > PAGE_ITEMS,
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
    fn an_envelope_that_tells_is_believed_and_else_a_short_page_is_the_last() {
        // The page, how many items were read with it, and whether it is the
        // last where all of its items are new.
        let cases = [
            (items(0), 0, true),
            (items(9), 109, true),
            (items(10), 10, false),
            (items(100), 100, false),
            (
                json!({ "data": items(5), "pagination": { "total": 12 } }),
                5,
                false,
            ),
            (
                json!({ "data": items(5), "pagination": { "total": "12" } }),
                12,
                true,
            ),
            (json!({ "data": items(100), "total": 100 }), 100, true),
            (
                json!({ "data": items(5), "pagination": { "hasMore": true } }),
                5,
                false,
            ),
            (
                json!({ "data": items(100), "pagination": { "hasMore": false } }),
                100,
                true,
            ),
            (
                json!({ "data": [], "pagination": { "total": 12 } }),
                5,
                true,
            ),
        ];
        for (json, read, last) in cases {
            let page = Page::read(json.clone(), "contracts").expect("a page");
            assert_eq!(
                page.is_last(read, page.items.len()),
                last,
                "{read} read, {json}"
            );
        }
    }

    #[test]
    fn a_list_that_knows_no_offsets_ends_where_it_repeats_itself() {
        let page = Page::read(items(50), "contracts").expect("a page");
        assert!(!page.is_last(50, 50));
        assert!(page.is_last(100, 0));
        let unpaged = Page::read(items(2000), "contracts").expect("a page");
        assert!(unpaged.is_last(2000, 2000));
    }
}
