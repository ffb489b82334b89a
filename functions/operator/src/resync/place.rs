//! Where in Sesamy's list of users a run is.
//!
//! The list is read by offsets, and it moves: a user who is deleted makes all
//! behind move up, so that the next page would begin too late. Hence each page
//! begins a little before the end of the one before it, and counts from behind
//! the last id that is known from there. Where none of them shows, the list has
//! moved by more, and is read from further up. So nobody is skipped, and where
//! the list stands still nobody comes twice.
//!
//! In which order Sesamy lists users is not documented. Nothing here depends on
//! it, as long as it is the same from page to page.

use serde::{Deserialize, Serialize};
use shared::identity::UserId;
use shared::sesamy::{PAGE_USERS, UsersPage};

/// How many ids of a page are known when the next one is read, and of a short
/// page a quarter. Decided.
const OVERLAP: usize = 10;

/// How many ids are taken at once from a list that ignores what it is asked
/// for and comes whole. Decided: what a run is kept in takes some thousand.
const MOST_TAKEN: usize = 500;

/// How often a run goes back to look for an id that it knows. A list in an
/// order that changes all the time would else have no end. Decided.
const MOST_STEPS_BACK: u32 = 30;

/// After so many pages in a row without anybody new the list is taken to repeat
/// itself, which ends it where Sesamy does not tell its length. One such page is
/// what a list shows that has moved by just as much. Decided.
const MOST_STALE: u32 = 3;

/// A place in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// From where the next page is read.
    offset: usize,
    /// The last ids before it that are known, in the list's order.
    known: Vec<UserId>,
    steps_back: u32,
    /// How many pages in a row brought nobody new.
    stale: u32,
    /// How many users there are in all, where Sesamy tells.
    total: Option<usize>,
    /// Whether the whole list was read.
    end: bool,
}

impl Place {
    /// From where the next page is to be read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many users there are in all, where Sesamy tells.
    pub fn total(&self) -> Option<usize> {
        self.total
    }

    /// Whether the whole list was read.
    pub fn is_end(&self) -> bool {
        self.end
    }

    /// The users on the page read from [`Self::offset`] that were not on the
    /// one before; moves on behind them.
    pub fn take(&mut self, page: &UsersPage) -> Vec<UserId> {
        let ids = page.ids();
        self.total = page.total().or(self.total);
        let known = ids
            .iter()
            .rposition(|id| id.as_ref().is_some_and(|id| self.known.contains(id)));
        let from = match known {
            Some(place) => place + 1,
            None if self.known.is_empty() => 0,
            None if self.offset > 0 && self.steps_back < MOST_STEPS_BACK => {
                self.steps_back += 1;
                self.offset = self.offset.saturating_sub(PAGE_USERS);
                return Vec::new();
            }
            None => 0,
        };
        let fresh = ids.get(from..).unwrap_or_default();
        let taken = fresh.get(..MOST_TAKEN).unwrap_or(fresh);
        self.stale = if fresh.is_empty() { self.stale + 1 } else { 0 };
        let new = if self.stale < MOST_STALE {
            ids.len()
        } else {
            0
        };
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

    /// Sesamy's list of users.
    struct List {
        users: Vec<String>,
        page: usize,
        tells_total: bool,
        heeds_limit: bool,
        heeds_offset: bool,
    }

    impl List {
        fn of(users: usize) -> Self {
            Self {
                users: (0..users).map(|number| format!("u{number}")).collect(),
                page: PAGE_USERS,
                tells_total: false,
                heeds_limit: true,
                heeds_offset: true,
            }
        }

        fn read(&self, offset: usize) -> UsersPage {
            let skip = if self.heeds_offset { offset } else { 0 };
            let take = if self.heeds_limit {
                self.page
            } else {
                usize::MAX
            };
            let ids = self.users.iter().skip(skip).take(take);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok());
            let total = self.tells_total.then_some(self.users.len());
            UsersPage::of(ids.collect(), total)
        }
    }

    /// How often each user came, and how many pages were read. The list may
    /// change before each page.
    fn visits(
        list: &mut List,
        mut change: impl FnMut(&mut List, usize),
    ) -> (BTreeMap<String, u32>, usize) {
        let mut place = Place::default();
        let mut visits = BTreeMap::new();
        let mut pages = 0;
        while !place.is_end() {
            change(list, pages);
            for id in place.take(&list.read(place.offset())) {
                *visits.entry(id.to_string()).or_default() += 1;
            }
            pages += 1;
            assert!(pages < 10_000, "the list has no end: {place:?}");
        }
        (visits, pages)
    }

    fn each_once(list: &mut List) -> usize {
        let (visits, pages) = visits(list, |_, _| {});
        assert_eq!(visits.len(), list.users.len());
        assert!(visits.values().all(|count| *count == 1), "{visits:?}");
        pages
    }

    #[test]
    fn where_the_list_stands_still_everybody_comes_once() {
        for tells_total in [true, false] {
            for page in [10, 25, 99, 100] {
                for users in [0, 1, 9, 10, 11, 99, 100, 101, 250, 1_000, 5_003] {
                    let mut list = List {
                        page,
                        tells_total,
                        ..List::of(users)
                    };
                    each_once(&mut list);
                }
            }
        }
        assert_eq!(each_once(&mut List::of(5_000)), 58);
        let mut tiny = List {
            page: 1,
            tells_total: true,
            ..List::of(30)
        };
        each_once(&mut tiny);
    }

    #[test]
    fn a_list_that_ignores_what_it_is_asked_for_is_taken_in_parts() {
        for heeds_offset in [true, false] {
            for tells_total in [true, false] {
                let mut list = List {
                    heeds_limit: false,
                    heeds_offset,
                    tells_total,
                    ..List::of(2_200)
                };
                // Where nothing tells, the end shows by pages with nobody new.
                let pages = match (tells_total, heeds_offset) {
                    (true, _) => 5,
                    (false, true) => 7,
                    (false, false) => 8,
                };
                assert_eq!(each_once(&mut list), pages);
            }
        }
        // Nothing of it can be read beyond the first page.
        let mut list = List {
            heeds_offset: false,
            ..List::of(250)
        };
        assert_eq!(visits(&mut list, |_, _| {}).0.len(), 100);
    }

    #[test]
    fn a_user_without_an_id_is_passed_over() {
        let mut list = List::of(300);
        for place in [0, 50, 89, 90, 95, 99, 199, 299] {
            list.users[place] = "has blanks".to_owned();
        }
        let (visits, _) = visits(&mut list, |_, _| {});
        assert_eq!(visits.len(), 292);
        assert!(visits.values().all(|count| *count == 1));
    }

    #[test]
    fn who_is_deleted_makes_nobody_be_skipped() {
        for gone in [1, 9, 10, 11, 90, 100, 450, 900] {
            let mut list = List::of(2_000);
            let (visits, _) = visits(&mut list, |list, page| {
                if page == 12 {
                    list.users.drain(..gone);
                }
            });
            assert_eq!(visits.len(), 2_000, "{gone} gone");
            let twice = visits.values().filter(|count| **count > 1).count();
            assert_eq!(twice, 0, "{gone} gone");
        }
    }

    #[test]
    fn who_is_new_at_the_front_makes_nobody_be_skipped() {
        for new in [1, 50, 99, 250] {
            let mut list = List::of(1_000);
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
    fn a_list_in_no_order_at_all_has_an_end() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut list = List::of(1_000);
        let (visits, pages) = visits(&mut list, |list, _| random.shuffle(&mut list.users));
        assert!(pages < 100, "{pages}");
        assert!(visits.len() > 500);
    }

    proptest! {
        /// However the list grows and shrinks, who is on it from beginning to
        /// end is visited, and the list ends.
        #[test]
        fn who_stays_on_the_list_is_never_skipped(
            users in 0_usize..1_500,
            page in 10_usize..=100,
            tells_total: bool,
            changes in prop::collection::vec((0_usize..2_000, 0_usize..40, any::<bool>()), 0..30),
        ) {
            let mut list = List { page, tells_total, ..List::of(users) };
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
