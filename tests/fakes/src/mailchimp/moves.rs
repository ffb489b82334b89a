//! Changes of a member's address.
//!
//! Seen by others: only a subscribed member can have a new address, and only one that the
//! audience has never had. Assumed: pending and transactional members are refused as others
//! that are not subscribed.

use super::account::{Audience, MailchimpSettings, Member, Status, key};
use crate::{rejection::Rejection, validation};

impl Audience {
    pub fn check_move(
        &self,
        member: &Member,
        new: &str,
        settings: MailchimpSettings,
    ) -> Result<(), Rejection> {
        let refusal = if !validation::is_email(new) {
            "Please provide a valid email address.".to_owned()
        } else if let Some(other) = self.members.get(&key(new)) {
            let status = other.status;
            format!("is already in this list with a status of \"{status:?}\".")
        } else if self.forgotten.contains(&key(new)) {
            "is already in this list with a status of \"Deleted\".".to_owned()
        } else if member.status != Status::Subscribed || settings.refuse_moves {
            "Email addresses can only be updated for subscribed members.".to_owned()
        } else {
            return Ok(());
        };
        Err(Rejection::field("email address", refusal))
    }

    pub fn move_member(&mut self, from: &str, to: &str) {
        if let Some(mut member) = self.members.remove(&key(from)) {
            to.clone_into(&mut member.email_address);
            self.members.insert(key(to), member);
        }
    }
}
