//! Moves the contact of a user whose address has changed.

use super::{Changes, ContactReference, SyncedContact};
use crate::http::ApiError;

/// What became of the contact of the user's earlier address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It has the new address.
    Done,
    /// It has the new address already, or is another user's.
    Nothing,
    /// The CRM has another contact of the new address.
    Taken,
    /// The CRM does not give it the new address.
    Refused,
}

impl SyncedContact<'_> {
    /// Moves the contact to `email`, by a call that answers `None` if the CRM refuses
    /// it. `owner` and `current` are the user and the address that the contact names:
    /// they show whether it is still the same one.
    pub async fn move_to(
        self,
        email: &str,
        owner: Option<&str>,
        current: Option<&str>,
        is_taken: impl Future<Output = Result<bool, ApiError>>,
        set_email: impl Future<Output = Result<Option<()>, ApiError>>,
    ) -> Result<Moved, ApiError> {
        let is_moved = current.is_some_and(|current| current.eq_ignore_ascii_case(email));
        if is_moved || !self.may_belong_to(owner) {
            return Ok(Moved::Nothing);
        }
        if is_taken.await? {
            return Ok(Moved::Taken);
        }
        // Else the publisher gave it an address that Sesamy does not know.
        let is_ours = current.is_some_and(|current| self.had_address(current));
        if is_ours && set_email.await?.is_some() {
            return Ok(Moved::Done);
        }
        Ok(Moved::Refused)
    }
}

impl Changes {
    /// Records a move. A contact that does not move is left behind, and if its user
    /// has left the CRM, there must be none of the new address.
    pub fn record_move(&mut self, moved: Moved, contact: &ContactReference, has_left: bool) {
        match moved {
            Moved::Done => {
                self.writes += 1;
                self.is_moved = true;
            }
            Moved::Nothing => {}
            Moved::Taken => self.left_behind = Some(contact.clone()),
            Moved::Refused => {
                self.refused_writes += 1;
                self.left_behind = Some(contact.clone());
                self.keeps_earlier = has_left;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::identity::{UserId, VendorId};
    use crate::message::UserKey;
    use crate::remembered::{UserRecord, address_digest};

    const OLD: &str = "anna@old.example";
    const NEW: &str = "anna@new.example";

    struct Case {
        name: &'static str,
        owner: Option<&'static str>,
        current: Option<&'static str>,
        is_taken: bool,
        is_refused: bool,
        moved: Moved,
        /// Whether the CRM was asked to move it.
        is_asked: bool,
    }

    const MOVES: Case = Case {
        name: "the user's contact",
        owner: Some("u"),
        current: Some(OLD),
        is_taken: false,
        is_refused: false,
        moved: Moved::Done,
        is_asked: true,
    };

    const CASES: [Case; 8] = [
        MOVES,
        Case {
            name: "no owner",
            owner: None,
            ..MOVES
        },
        Case {
            name: "another user's",
            owner: Some("other"),
            moved: Moved::Nothing,
            is_asked: false,
            ..MOVES
        },
        Case {
            name: "moved by an earlier attempt",
            current: Some("Anna@New.example"),
            is_taken: true,
            moved: Moved::Nothing,
            is_asked: false,
            ..MOVES
        },
        Case {
            name: "another contact has the address",
            is_taken: true,
            moved: Moved::Taken,
            is_asked: false,
            ..MOVES
        },
        Case {
            name: "the publisher changed the address",
            current: Some("by-hand@example.se"),
            moved: Moved::Refused,
            is_asked: false,
            ..MOVES
        },
        Case {
            name: "no address",
            current: None,
            moved: Moved::Refused,
            is_asked: false,
            ..MOVES
        },
        Case {
            name: "the CRM refuses",
            is_refused: true,
            moved: Moved::Refused,
            ..MOVES
        },
    ];

    #[tokio::test]
    async fn contact_moves_if_it_is_the_users_and_the_address_is_free() {
        let vendor_id = VendorId::try_from("v").unwrap();
        let mut record = UserRecord::default();
        record.address = Some(address_digest(&vendor_id, OLD));
        let user_id = UserId::try_from("u").unwrap();
        let contact = SyncedContact {
            reference: &ContactReference::new("17"),
            user: &UserKey { vendor_id, user_id },
            record: &record,
        };
        for case in CASES {
            let is_asked = Cell::new(false);
            let set_email = async {
                is_asked.set(true);
                Ok((!case.is_refused).then_some(()))
            };
            let is_taken = async { Ok(case.is_taken) };
            let moved = contact.move_to(NEW, case.owner, case.current, is_taken, set_email);
            assert_eq!(moved.await.unwrap(), case.moved, "{}", case.name);
            assert_eq!(is_asked.get(), case.is_asked, "{}", case.name);
        }
    }

    #[test]
    fn contact_that_does_not_move_is_left_behind() {
        struct Case {
            moved: Moved,
            has_left: bool,
            writes: u32,
            refused_writes: u32,
            is_left_behind: bool,
            keeps_earlier: bool,
        }
        let case = |moved, has_left, writes, refused_writes, is_left_behind, keeps_earlier| Case {
            moved,
            has_left,
            writes,
            refused_writes,
            is_left_behind,
            keeps_earlier,
        };
        for case in [
            case(Moved::Done, true, 1, 0, false, false),
            case(Moved::Nothing, true, 0, 0, false, false),
            case(Moved::Taken, true, 0, 0, true, false),
            case(Moved::Refused, false, 0, 1, true, false),
            case(Moved::Refused, true, 0, 1, true, true),
        ] {
            let mut changes = Changes::default();
            let contact = ContactReference::new("17");
            changes.record_move(case.moved, &contact, case.has_left);
            let expected = Changes {
                writes: case.writes,
                is_moved: case.moved == Moved::Done,
                refused_writes: case.refused_writes,
                left_behind: case.is_left_behind.then_some(contact),
                keeps_earlier: case.keeps_earlier,
                ..Changes::default()
            };
            assert_eq!(changes, expected, "{:?} {}", case.moved, case.has_left);
        }
    }
}
