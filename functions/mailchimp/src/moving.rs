//! What becomes of the member at a user's earlier address.
//!
//! Seen by others: Mailchimp gives a new address to subscribed members only, and only
//! one that the audience has never had.

use serde_json::Value;
use shared::connector::SyncedContact;
use shared::http::ApiError;
use tracing::warn;

use crate::client::{Client, Member, Status, hash};
use crate::mapping;

pub enum Moved {
    /// The member, which has the new address now.
    Done(Box<Member>),
    /// There is none to move, or an earlier attempt moved it.
    Nothing,
    /// It stays as it is, apart from our data. A new member of the new address
    /// must have this status, if it says one.
    Stays {
        status: Option<Status>,
        is_refused: bool,
    },
}

/// `known` is the member of the new address.
pub async fn move_member(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    known: Option<&Member>,
    email: &str,
    new_status: Status,
) -> Result<Moved, ApiError> {
    let id = earlier.reference.as_str();
    if let Some(known) = known {
        let is_same = known.contact_id.as_deref() == Some(id);
        return Ok(if is_same { Moved::Nothing } else { stays(None) });
    }
    let Some(member) = client.member(id).await? else {
        return Ok(Moved::Nothing);
    };
    let owner = member
        .merge_fields
        .get(mapping::OWNER)
        .and_then(Value::as_str);
    if !earlier.may_belong_to(owner) {
        return Ok(Moved::Nothing);
    }
    let current = member.email.expose();
    if current.eq_ignore_ascii_case(email) {
        return Ok(Moved::Nothing);
    }
    let status = status_at_new_address(member.status, new_status);
    // One of another address got it from the publisher, and Sesamy does not know it.
    if member.status != Status::Subscribed || !earlier.had_address(current) {
        return Ok(stays(Some(status)));
    }
    match client.set_email(id, email).await {
        Ok(moved) => {
            let id = moved.map_or_else(|| hash(email), |moved| moved.id);
            Ok(Moved::Done(Box::new(Member { id, ..member })))
        }
        Err(refused) => {
            let error = ApiError::from(refused);
            if error.is_transient() || error.is_refusal() {
                return Err(error);
            }
            warn!(%error, "Mailchimp refused a member's new address.");
            Ok(Moved::Stays {
                status: Some(status),
                is_refused: true,
            })
        }
    }
}

fn stays(status: Option<Status>) -> Moved {
    Moved::Stays {
        status,
        is_refused: false,
    }
}

/// Consent moves along: the new member has no more of it than the old one. An address
/// that bounced says nothing about consent.
fn status_at_new_address(old: Status, new_status: Status) -> Status {
    match (old, new_status) {
        (Status::Subscribed | Status::Cleaned, _) => new_status,
        // The publisher put an archived member out of use.
        (Status::Unsubscribed | Status::Archived, _) => Status::Unsubscribed,
        (Status::Pending, Status::Subscribed) => Status::Pending,
        (Status::Pending, _) => new_status,
        (Status::Transactional | Status::Unknown, _) => Status::Transactional,
    }
}
