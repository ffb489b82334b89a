//! A vendor's list of users, of which nothing but the ids is kept.

use serde_json::Value;

use super::pages::{Next, PAGE_ITEMS, Page, names_another};
use crate::identity::UserId;

/// How many users are asked for at once. Sesamy may send fewer.
pub const PAGE_USERS: usize = PAGE_ITEMS;

/// One page of a vendor's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersPage {
    ids: Vec<Option<UserId>>,
    next: Next,
}

impl UsersPage {
    /// The ids on a page.
    pub(super) fn new(page: &Page) -> Self {
        Self {
            ids: page.items.iter().map(id).collect(),
            next: page.next(),
        }
    }

    /// A page of these users whose envelope tells how many there are in all, or
    /// tells nothing.
    pub fn of(ids: Vec<Option<UserId>>, total: Option<usize>) -> Self {
        let next = total.map_or(Next::Untold, Next::Total);
        Self { ids, next }
    }

    /// The id of each user, in the list's order. `None` where one has no
    /// usable id: it has its place in the list all the same.
    pub fn ids(&self) -> &[Option<UserId>] {
        &self.ids
    }

    /// How many users there are in all, where Sesamy tells.
    pub fn total(&self) -> Option<usize> {
        match self.next {
            Next::Total(total) => Some(total),
            Next::More(_) | Next::Untold => None,
        }
    }

    /// Whether this page is the last, when `read` users were read in all, this
    /// page's included, and `fresh` of this page's were not seen before.
    pub fn is_last(&self, read: usize, fresh: usize) -> bool {
        self.next.is_last(self.ids.len(), read, fresh)
    }
}

/// `id` as in Sesamy's list of users, or `userId` as in a profile. An item that
/// names two users by them names none.
fn id(item: &Value) -> Option<UserId> {
    let read = |key: &str| UserId::try_from(item.get(key)?.as_str()?).ok();
    let id = read("id").or_else(|| read("userId"))?;
    (!names_another(item, &["userId"], &id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_without_a_usable_id_keeps_its_place() {
        let json = json!([
            { "id": "email|a", "email": "a@example.com" },
            { "userId": "email|b" },
            { "id": "", "userId": "email|c" },
            { "email": "d@example.com" },
            { "id": "has blanks" },
            { "id": "email|e", "userId": "email|f" },
            null,
        ]);
        let page = UsersPage::new(&Page::read(json, "users").unwrap());
        let ids: Vec<_> = page
            .ids()
            .iter()
            .map(|id| id.as_ref().map(UserId::as_str))
            .collect();
        let found = [
            Some("email|a"),
            Some("email|b"),
            Some("email|c"),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(ids, found);
        assert!(!format!("{page:?}").contains("@example.com"));
    }
}
