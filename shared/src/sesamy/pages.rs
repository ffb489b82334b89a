//! Pages of the Management API's lists.
//!
//! Sesamy's sources contradict each other: bare arrays in the OpenAPI text,
//! `{"data": […], "pagination": {…}}` in the guide, `{"<name>": […]}` in its own
//! plugin. All three forms are read. The maximum page size is unknown, so the
//! length of a page says little; the rules below are our decisions.

use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Fields, parse};
use crate::digest::digest;
use crate::http::{ApiCall, ApiError, ApiResponse, Method};
use crate::identity::UserId;

/// Requested page size. Sesamy may send fewer.
pub(super) const PAGE_ITEMS: usize = 100;

pub(super) const MAX_PAGES: usize = 100;

/// Per list, because pages may be larger than requested.
pub(super) const MAX_ITEMS: usize = MAX_PAGES * PAGE_ITEMS;

/// Without an envelope, a shorter page is the last. Assumed: no API caps its
/// pages below ten.
pub(super) const SHORT_PAGE: usize = 10;

pub(super) fn call<'a>(endpoint: &'static str, offset: usize) -> ApiCall<'a> {
    let call = ApiCall::new(Method::GET, endpoint, &[])
        .query("limit", PAGE_ITEMS.to_string())
        .query("offset", offset.to_string());
    match endpoint {
        // Documented for bills; `offset` for all other lists.
        "/bills" => call.query("from", offset.to_string()),
        _ => call,
    }
}

/// The key of a list in the third form.
pub(super) fn list_name(endpoint: &'static str) -> &'static str {
    endpoint.trim_start_matches('/')
}

pub(super) struct Page {
    pub(super) items: Vec<RawItem>,
    paging: Paging,
}

/// A user, contract, entitlement or bill, of which only the ids are read yet.
pub(super) struct RawItem {
    pub(super) json: Box<RawValue>,
    pub(super) id: Option<String>,
    pub(super) user_id: Option<String>,
}

impl RawItem {
    pub(super) fn new(json: Box<RawValue>) -> Self {
        let fields: Fields = parse(&json).unwrap_or_default();
        let text = |key| fields.get(key).and_then(|json| parse(json).ok());
        let (id, user_id) = (text("id"), text("userId"));
        Self { json, id, user_id }
    }

    fn key(&self) -> ItemKey {
        match &self.id {
            Some(id) => ItemKey::Id(id.clone()),
            None => ItemKey::Digest(digest(&[&self.canonical()])),
        }
    }

    /// The JSON with sorted keys. Unchanged if it nests too deeply to be parsed.
    fn canonical(&self) -> String {
        match parse::<Value>(&self.json) {
            Ok(value) => value.to_string(),
            Err(_) => self.json.get().to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ItemKey {
    Id(String),
    /// Digest of an item without an id.
    Digest(String),
}

/// Whether any of these ids names a user other than `user`. Ignores blank ids.
pub(super) fn names_other_user(ids: &[&Option<String>], user: &UserId) -> bool {
    let ids = ids.iter().filter_map(|id| id.as_deref()).map(str::trim);
    let mut ids = ids.filter(|id| !id.is_empty());
    ids.any(|id| id != user.as_str())
}

/// The content of `{"data": {…}}`, or else the JSON itself.
pub(super) fn without_envelope(json: &RawValue) -> &RawValue {
    let fields: Fields = parse(json).unwrap_or_default();
    match fields.get("data") {
        Some(&data) if data.get().starts_with('{') => data,
        _ => json,
    }
}

/// What an envelope states about further items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    Total(usize),
    HasMore(bool),
    Unstated,
}

impl Page {
    pub(super) fn read(response: &ApiResponse, endpoint: &'static str) -> Result<Self, ApiError> {
        let json: Box<RawValue> = response.json()?;
        Self::parse(&json, list_name(endpoint))
            .ok_or_else(|| response.malformed("it is not a list in any known envelope"))
    }

    pub(super) fn parse(json: &RawValue, name: &str) -> Option<Self> {
        if let Ok(items) = parse(json) {
            return Some(Self::new(items, Paging::Unstated));
        }
        let envelope: Fields = parse(json).ok()?;
        let pagination = envelope.get("pagination").copied();
        let pagination: Fields = pagination
            .and_then(|json| parse(json).ok())
            .unwrap_or_default();
        let field = |key| pagination.get(key).or_else(|| envelope.get(key));
        let has_more = ["hasMore", "has_more", "hasNext"]
            .into_iter()
            .find_map(|key| parse(field(key)?).ok());
        let paging = match (field("total").and_then(|json| count(json)), has_more) {
            (Some(total), _) => Paging::Total(total),
            (None, Some(has_more)) => Paging::HasMore(has_more),
            (None, None) => Paging::Unstated,
        };
        let list = envelope.get("data").or_else(|| envelope.get(name))?;
        Some(Self::new(parse(list).ok()?, paging))
    }

    fn new(items: Vec<Box<RawValue>>, paging: Paging) -> Self {
        let items = items.into_iter().map(RawItem::new).collect();
        Self { items, paging }
    }

    pub(super) fn keys(&self) -> Vec<ItemKey> {
        self.items.iter().map(RawItem::key).collect()
    }

    pub(super) fn states_paging(&self) -> bool {
        self.paging != Paging::Unstated
    }

    pub(super) fn paging(&self) -> Paging {
        self.paging
    }

    /// What to do after this page of a user's list. `distinct` is the number of
    /// different items read so far, `fresh` the number of this page's items not
    /// seen before; both include this page.
    pub(super) fn next_step(&self, distinct: usize, fresh: usize, repeats_first: bool) -> NextStep {
        let expects_more = match self.paging {
            Paging::Total(total) => distinct < total,
            Paging::HasMore(more) => more,
            Paging::Unstated if fresh == 0 => {
                return if self.items.is_empty() {
                    NextStep::Complete
                } else if repeats_first {
                    NextStep::Unpaged
                } else {
                    NextStep::Stalled
                };
            }
            // Also for oversized pages: an API that ignores the limit may still
            // respect the offset.
            Paging::Unstated => self.items.len() >= SHORT_PAGE,
        };
        if !expects_more {
            NextStep::Complete
        } else if fresh == 0 {
            NextStep::Stalled
        } else {
            NextStep::ReadNext
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    ReadNext,
    Complete,
    /// Complete: the API ignores the offset and always returns the whole list.
    Unpaged,
    /// Incomplete: more items should follow, but none are new.
    Stalled,
}

impl Paging {
    /// As [`UsersPage::is_last`](super::UsersPage::is_last), for a page of `items` users.
    pub(super) fn is_last(self, items: usize, read: usize, fresh: usize) -> bool {
        match self {
            // Regardless of the envelope, because reading might never end otherwise.
            _ if items == 0 => true,
            Self::Total(total) => read >= total,
            Self::HasMore(more) => !more,
            // If no user is new, the API ignores the offset.
            Self::Unstated => items < SHORT_PAGE || fresh == 0,
        }
    }
}

/// Sesamy may send the count as a text.
fn count(json: &RawValue) -> Option<usize> {
    match parse::<String>(json) {
        Ok(text) => text.parse().ok(),
        Err(_) => parse(json).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json::raw;
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
            let page = Page::parse(&raw(&form), "contracts").expect("a page");
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
            let page = Page::parse(&raw(&other), "contracts");
            assert!(page.is_none(), "{other}");
        }
    }

    #[test]
    fn items_without_an_id_are_distinguished_by_content() {
        let json = json!([
            { "id": "a", "sku": "x" },
            { "id": "a", "sku": "y" },
            { "sku": "x", "title": "X" },
            { "title": "X", "sku": "x" },
            { "sku": "x", "title": "Y" },
            { "id": 7 },
            { "id": 8 },
        ]);
        let page = Page::parse(&raw(&json), "entitlements").expect("a page");
        let keys = page.keys();
        assert_eq!(keys[0], keys[1], "same id");
        assert_eq!(keys[2], keys[3], "same content in another order");
        assert_ne!(keys[2], keys[4], "different content");
        assert_ne!(keys[5], keys[6], "ids that are not texts");
    }

    #[test]
    fn every_key_that_names_a_user_must_name_this_user() {
        let user = UserId::try_from("email|a").expect("an id");
        let cases = [
            (json!({ "id": "email|a", "userId": "email|a" }), false),
            (json!({ "userId": " email|a " }), false),
            (json!({ "id": "email|a", "userId": "email|b" }), true),
            (json!({ "id": "email|b", "userId": "email|a" }), true),
            (json!({ "id": "email|b" }), true),
            // No user is named.
            (json!({}), false),
            (json!({ "id": "", "userId": null }), false),
            (json!({ "id": 7, "userId": {} }), false),
            (json!([]), false),
        ];
        for (object, expected) in cases {
            let item = RawItem::new(raw(&object));
            let names_other = names_other_user(&[&item.id, &item.user_id], &user);
            assert_eq!(names_other, expected, "{object}");
        }
    }

    #[test]
    fn incomplete_list_never_counts_as_complete() {
        struct Case {
            page: Value,
            distinct: usize,
            /// All items of the page if `None`.
            fresh: Option<usize>,
            repeats_first: bool,
            expected: NextStep,
        }
        let case = |page: Value, distinct, expected| Case {
            page,
            distinct,
            fresh: None,
            repeats_first: false,
            expected,
        };
        let repeated = |page: Value, distinct, repeats_first, expected| Case {
            page,
            distinct,
            fresh: Some(0),
            repeats_first,
            expected,
        };
        let total =
            |items: Value, total: Value| json!({ "data": items, "pagination": { "total": total } });
        let more =
            |items: Value, more: bool| json!({ "data": items, "pagination": { "hasMore": more } });
        let cases = [
            // No envelope: a short or empty page is the last.
            case(items(0), 0, NextStep::Complete),
            case(items(9), 109, NextStep::Complete),
            case(items(10), 10, NextStep::ReadNext),
            case(items(100), 100, NextStep::ReadNext),
            case(items(0), 100, NextStep::Complete),
            // No envelope: the API ignores paging, or repeats a later page.
            case(items(2000), 2000, NextStep::ReadNext),
            repeated(items(2000), 2000, true, NextStep::Unpaged),
            repeated(items(50), 50, true, NextStep::Unpaged),
            repeated(items(50), 150, false, NextStep::Stalled),
            // The envelope states the total.
            case(total(items(5), json!(12)), 5, NextStep::ReadNext),
            case(total(items(5), json!("12")), 12, NextStep::Complete),
            case(total(items(100), json!(100)), 100, NextStep::Complete),
            repeated(total(items(0), json!(12)), 5, false, NextStep::Stalled),
            repeated(total(items(100), json!(150)), 100, true, NextStep::Stalled),
            repeated(total(items(100), json!(100)), 100, true, NextStep::Complete),
            // The envelope states whether there are more.
            case(more(items(5), true), 5, NextStep::ReadNext),
            case(more(items(100), false), 100, NextStep::Complete),
            repeated(more(items(0), true), 5, false, NextStep::Stalled),
            repeated(more(items(0), false), 5, false, NextStep::Complete),
        ];
        for case in cases {
            let page = Page::parse(&raw(&case.page), "contracts").expect("a page");
            let fresh = case.fresh.unwrap_or(page.items.len());
            let step = page.next_step(case.distinct, fresh, case.repeats_first);
            let Case { distinct, page, .. } = case;
            assert_eq!(step, case.expected, "{distinct} distinct, {page}");
        }
    }
}
