//! A vendor's list of users. Only the ids are kept.

use super::pages::{PAGE_ITEMS, Page, Paging, RawItem, names_other_user};
use crate::identity::UserId;

/// Requested page size. Sesamy may send fewer.
pub const PAGE_USERS: usize = PAGE_ITEMS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersPage {
    ids: Vec<Option<UserId>>,
    paging: Paging,
}

impl UsersPage {
    pub(super) fn new(page: &Page) -> Self {
        Self {
            ids: page.items.iter().map(id).collect(),
            paging: page.paging(),
        }
    }

    /// A page whose envelope states this total, or no total.
    pub fn from_ids(ids: Vec<Option<UserId>>, total: Option<usize>) -> Self {
        let paging = total.map_or(Paging::Unstated, Paging::Total);
        Self { ids, paging }
    }

    /// In the list's order. `None` for a user without a usable id, who still
    /// counts towards offsets.
    pub fn ids(&self) -> &[Option<UserId>] {
        &self.ids
    }

    /// `None` if Sesamy does not state it.
    pub fn total(&self) -> Option<usize> {
        match self.paging {
            Paging::Total(total) => Some(total),
            Paging::HasMore(_) | Paging::Unstated => None,
        }
    }

    /// `read` is the number of users read so far, `fresh` the number of this
    /// page's users not seen before. Both include this page.
    pub fn is_last(&self, read: usize, fresh: usize) -> bool {
        self.paging.is_last(self.ids.len(), read, fresh)
    }
}

/// `id` as in Sesamy's list of users, or `userId` as in a profile. `None` if the
/// two contradict each other.
fn id(item: &RawItem) -> Option<UserId> {
    let read = |id: &Option<String>| UserId::try_from(id.as_deref()?).ok();
    let id = read(&item.id).or_else(|| read(&item.user_id))?;
    (!names_other_user(&[&item.user_id], &id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json::raw;
    use super::*;

    #[test]
    fn user_without_a_usable_id_keeps_its_position() {
        let json = json!([
            { "id": "email|a", "email": "a@example.com" },
            { "userId": "email|b" },
            { "id": "", "userId": "email|c" },
            { "email": "d@example.com" },
            { "id": "has blanks" },
            { "id": "email|e", "userId": "email|f" },
            null,
        ]);
        let page = UsersPage::new(&Page::parse(&raw(&json), "users").unwrap());
        let ids: Vec<_> = page
            .ids()
            .iter()
            .map(|id| id.as_ref().map(UserId::as_str))
            .collect();
        let expected = [
            Some("email|a"),
            Some("email|b"),
            Some("email|c"),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(ids, expected);
        assert!(!format!("{page:?}").contains("@example.com"));
    }
}
