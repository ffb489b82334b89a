//! A run's position in Sesamy's list of users.
//!
//! The list is read by offset and may shift meanwhile: if a user is deleted, all users
//! behind move up, and the next page would begin too late. So each page overlaps the
//! one before it and counts from behind the last id that both have. If they have none
//! in common, the list has shifted by more, and the run goes back to an earlier page.
//! No user is skipped, and if the list does not shift, no user comes twice.
//!
//! Sesamy does not document the order of the list. This relies only on the order being
//! the same from page to page.

use serde::{Deserialize, Serialize};
use shared::identity::UserId;
use shared::sesamy::{PAGE_USERS, UsersPage};

/// Users of a page that the next page repeats; of a short page a quarter. Decided.
const OVERLAP: usize = 10;

/// Users taken at once if Sesamy ignores the page size and sends the whole list. As many
/// as fit into a state's data. Decided.
const MAX_TAKEN: usize = 400;

/// Ends the run if the order of the list keeps changing. Decided.
const MAX_STEPS_BACK: u32 = 30;

/// After so many pages without a new user the list counts as read. One such page is
/// normal: the list may have shifted by exactly one page. Decided.
const MAX_STALE: u32 = 3;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// Where the next page begins.
    offset: usize,
    /// The ids before the offset, in the order of the list.
    known: Vec<UserId>,
    steps_back: u32,
    /// Pages in a row without a new user.
    stale: u32,
    /// If Sesamy states it.
    total: Option<usize>,
    /// Whether the whole list was read.
    end: bool,
}

impl Cursor {
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn total(&self) -> Option<usize> {
        self.total
    }

    pub fn is_end(&self) -> bool {
        self.end
    }

    /// Advances past a page and returns its users that are new.
    pub fn take(&mut self, page: &UsersPage) -> Vec<UserId> {
        let ids = page.ids();
        self.total = page.total().or(self.total);
        let last_known = ids
            .iter()
            .rposition(|id| id.as_ref().is_some_and(|id| self.known.contains(id)));
        let from = match last_known {
            Some(index) => index + 1,
            None if self.known.is_empty() => 0,
            None if self.offset > 0 && self.steps_back < MAX_STEPS_BACK => {
                self.steps_back += 1;
                self.offset = self.offset.saturating_sub(PAGE_USERS);
                return Vec::new();
            }
            None => 0,
        };
        let fresh = ids.get(from..).unwrap_or_default();
        let taken = fresh.get(..MAX_TAKEN).unwrap_or(fresh);
        self.stale = if fresh.is_empty() { self.stale + 1 } else { 0 };
        let new = if self.stale < MAX_STALE { ids.len() } else { 0 };
        self.end = taken.len() == fresh.len() && page.is_last(self.offset + ids.len(), new);
        let passed = from + taken.len();
        let overlap = OVERLAP.min(passed / 4);
        let kept = ids.get(passed - overlap..passed).unwrap_or_default();
        self.offset += passed - overlap;
        self.known = kept.iter().flatten().cloned().collect();
        taken.iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    struct FakeUserList {
        users: Vec<String>,
        page: usize,
        states_total: bool,
        respects_limit: bool,
        respects_offset: bool,
    }

    impl FakeUserList {
        fn of(users: usize) -> Self {
            Self {
                users: (0..users).map(|number| format!("u{number}")).collect(),
                page: PAGE_USERS,
                states_total: false,
                respects_limit: true,
                respects_offset: true,
            }
        }

        fn read(&self, offset: usize) -> UsersPage {
            let skip = if self.respects_offset { offset } else { 0 };
            let take = if self.respects_limit {
                self.page
            } else {
                usize::MAX
            };
            let ids = self.users.iter().skip(skip).take(take);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok());
            let total = self.states_total.then_some(self.users.len());
            UsersPage::from_ids(ids.collect(), total)
        }
    }

    /// How often each user came, and how many pages were read. `change` may change
    /// the list before each page.
    fn visits(
        list: &mut FakeUserList,
        mut change: impl FnMut(&mut FakeUserList, usize),
    ) -> (BTreeMap<String, u32>, usize) {
        let mut cursor = Cursor::default();
        let mut visits = BTreeMap::new();
        let mut pages = 0;
        while !cursor.is_end() {
            change(list, pages);
            for id in cursor.take(&list.read(cursor.offset())) {
                *visits.entry(id.to_string()).or_default() += 1;
            }
            pages += 1;
            assert!(pages < 10_000, "the list has no end: {cursor:?}");
        }
        (visits, pages)
    }

    fn each_once(list: &mut FakeUserList) -> usize {
        let (visits, pages) = visits(list, |_, _| {});
        assert_eq!(visits.len(), list.users.len());
        assert!(visits.values().all(|count| *count == 1), "{visits:?}");
        pages
    }

    #[test]
    fn every_user_of_an_unchanged_list_comes_once() {
        for states_total in [true, false] {
            for page in [10, 25, 99, 100] {
                for users in [0, 1, 9, 10, 11, 99, 100, 101, 250, 1_000, 5_003] {
                    let mut list = FakeUserList {
                        page,
                        states_total,
                        ..FakeUserList::of(users)
                    };
                    each_once(&mut list);
                }
            }
        }
        assert_eq!(each_once(&mut FakeUserList::of(5_000)), 58);
        let mut tiny = FakeUserList {
            page: 1,
            states_total: true,
            ..FakeUserList::of(30)
        };
        each_once(&mut tiny);
    }

    #[test]
    fn a_list_that_ignores_limit_or_offset_is_taken_in_parts() {
        for respects_offset in [true, false] {
            for states_total in [true, false] {
                let mut list = FakeUserList {
                    respects_limit: false,
                    respects_offset,
                    states_total,
                    ..FakeUserList::of(1_760)
                };
                // Otherwise the end shows by pages without new users.
                let pages = match (states_total, respects_offset) {
                    (true, _) => 5,
                    (false, true) => 7,
                    (false, false) => 8,
                };
                assert_eq!(each_once(&mut list), pages);
            }
        }
        // Only the first page can be read.
        let mut list = FakeUserList {
            respects_offset: false,
            ..FakeUserList::of(250)
        };
        assert_eq!(visits(&mut list, |_, _| {}).0.len(), 100);
    }

    #[test]
    fn a_user_without_a_valid_id_is_skipped() {
        let mut list = FakeUserList::of(300);
        for index in [0, 50, 89, 90, 95, 99, 199, 299] {
            list.users[index] = "has blanks".to_owned();
        }
        let (visits, _) = visits(&mut list, |_, _| {});
        assert_eq!(visits.len(), 292);
        assert!(visits.values().all(|count| *count == 1));
    }

    #[test]
    fn deleted_users_make_no_other_user_be_skipped() {
        for deleted in [1, 9, 10, 11, 90, 100, 450, 900] {
            let mut list = FakeUserList::of(2_000);
            let (visits, _) = visits(&mut list, |list, page| {
                if page == 12 {
                    list.users.drain(..deleted);
                }
            });
            assert_eq!(visits.len(), 2_000, "{deleted} deleted");
            let twice = visits.values().filter(|count| **count > 1).count();
            assert_eq!(twice, 0, "{deleted} deleted");
        }
    }

    #[test]
    fn new_users_at_the_front_make_no_other_user_be_skipped() {
        for new in [1, 50, 99, 250] {
            let mut list = FakeUserList::of(1_000);
            let (visits, _) = visits(&mut list, |list, page| {
                if page == 5 {
                    let new = (0..new).map(|number| format!("new{number}"));
                    list.users.splice(..0, new);
                }
            });
            let old = (0..1_000).filter(|n| visits.contains_key(&format!("u{n}")));
            assert_eq!(old.count(), 1_000, "{new} new");
        }
    }

    #[test]
    fn a_list_in_random_order_has_an_end() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut list = FakeUserList::of(1_000);
        let (visits, pages) = visits(&mut list, |list, _| random.shuffle(&mut list.users));
        assert!(pages < 100, "{pages}");
        assert!(visits.len() > 500);
    }

    proptest! {
        /// However the list grows and shrinks, it ends.
        #[test]
        fn a_user_who_stays_on_the_list_is_never_skipped(
            users in 0_usize..1_500,
            page in 10_usize..=100,
            states_total: bool,
            changes in prop::collection::vec((0_usize..2_000, 0_usize..40, any::<bool>()), 0..30),
        ) {
            let mut list = FakeUserList { page, states_total, ..FakeUserList::of(users) };
            let mut made = 0;
            let (visits, _) = visits(&mut list, |list, page| {
                let Some((at, count, grows)) = changes.get(page) else {
                    return;
                };
                let at = (*at).min(list.users.len());
                if *grows {
                    let new = (0..*count).map(|n| format!("new{}", made + n));
                    list.users.splice(at..at, new.collect::<Vec<_>>());
                    made += count;
                } else {
                    let to = (at + count).min(list.users.len());
                    list.users.drain(at..to);
                }
            });
            for user in list.users.iter().filter(|user| user.starts_with('u')) {
                prop_assert!(visits.contains_key(user), "{user} was skipped");
            }
        }
    }
}
