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
    pub offset: usize,
    /// The ids before the offset, in the order of the list.
    known: Vec<UserId>,
    steps_back: u32,
    /// Pages in a row without a new user.
    stale: u32,
    /// If Sesamy states it.
    pub total: Option<usize>,
    /// Whether the whole list was read.
    pub end: bool,
}

impl Cursor {
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
        let is_stale = fresh.iter().flatten().next().is_none();
        self.stale = if is_stale { self.stale + 1 } else { 0 };
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

    #[derive(Clone, Copy)]
    struct Server {
        page: usize,
        states_total: bool,
        respects_offset: bool,
    }

    const SERVER: Server = Server {
        page: PAGE_USERS,
        states_total: false,
        respects_offset: true,
    };

    fn list(users: usize) -> Vec<String> {
        (0..users).map(|number| format!("u{number}")).collect()
    }

    /// How often each user came, and how many pages were read. `change` may change
    /// the list before each page.
    fn visits(
        server: Server,
        list: &mut Vec<String>,
        mut change: impl FnMut(&mut Vec<String>, usize),
    ) -> (BTreeMap<String, u32>, usize) {
        let mut cursor = Cursor::default();
        let mut visits = BTreeMap::new();
        let mut pages = 0;
        while !cursor.end {
            change(list, pages);
            let skip = cursor.offset * usize::from(server.respects_offset);
            let ids = list.iter().skip(skip).take(server.page);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok()).collect();
            let total = server.states_total.then_some(list.len());
            for id in cursor.take(&UsersPage::from_ids(ids, total)) {
                *visits.entry(id.to_string()).or_default() += 1;
            }
            pages += 1;
            assert!(pages < 10_000, "the list has no end: {cursor:?}");
        }
        (visits, pages)
    }

    #[test]
    fn every_user_of_an_unchanged_list_comes_once() {
        for states_total in [true, false] {
            // Also where Sesamy sends all users at once, wherever they should begin.
            let all = usize::MAX;
            let servers = [
                (100, true),
                (10, true),
                (99, true),
                (all, true),
                (all, false),
            ];
            for (page, respects_offset) in servers {
                let server = Server {
                    page,
                    states_total,
                    respects_offset,
                };
                for users in [0, 1, 9, 10, 11, 99, 100, 101, 250, 1_760] {
                    let mut list = list(users);
                    // Users without a valid id are skipped.
                    for (_, id) in list.iter_mut().enumerate().filter(|(n, _)| n % 89 == 10) {
                        *id = "has blanks".to_owned();
                    }
                    if let Some(last) = list.last_mut() {
                        *last = "has blanks".to_owned();
                    }
                    let (visits, pages) = visits(server, &mut list, |_, _| {});
                    let valid = list.iter().filter(|id| *id != "has blanks");
                    assert_eq!(visits.len(), valid.count());
                    assert!(visits.values().all(|count| *count == 1), "{visits:?}");
                    let most = 5 + users * 4 / 3 / page.min(PAGE_USERS);
                    assert!(pages <= most, "{pages} pages of {page} for {users}");
                }
            }
        }
    }

    #[test]
    fn a_list_in_random_order_has_an_end() {
        let mut random = fastrand::Rng::with_seed(7);
        let shuffle = |list: &mut Vec<String>, _| random.shuffle(list);
        let (visits, pages) = visits(SERVER, &mut list(1_000), shuffle);
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
            changes in prop::collection::vec((0_usize..2_000, 0_usize..300, any::<bool>()), 0..30),
        ) {
            let mut list = list(users);
            let mut made = 0;
            let server = Server { page, states_total, ..SERVER };
            let (visits, _) = visits(server, &mut list, |list, page| {
                let Some((at, count, grows)) = changes.get(page) else {
                    return;
                };
                let at = (*at).min(list.len());
                if *grows {
                    let new = (0..*count).map(|n| format!("new{}", made + n));
                    list.splice(at..at, new.collect::<Vec<_>>());
                    made += count;
                } else {
                    list.drain(at..(at + count).min(list.len()));
                }
            });
            for user in list.iter().filter(|user| user.starts_with('u')) {
                prop_assert!(visits.contains_key(user), "{user} was skipped");
            }
        }
    }
}
