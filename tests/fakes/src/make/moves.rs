//! Changes of a subscriber's address.
//!
//! Assumed: a PATCH with another address moves the subscriber, which keeps everything else,
//! its subscriptions too, and is a 422 if the new address belongs to another subscriber.
//! Make.as documents only that a PATCH takes any part of a subscriber.

use super::account::Account;
use crate::validation::{self, FieldErrors};

impl Account {
    pub fn check_move(&self, to: &str, errors: &mut FieldErrors) {
        let refusal = if !validation::is_email(to) {
            "is not an e-mail address"
        } else if self.settings.refuse_moves {
            "cannot be changed"
        } else if self.by_email(to).is_some() {
            "belongs to another subscriber"
        } else {
            return;
        };
        errors.add("email", refusal);
    }

    /// Frees the address that this id has had. Its subscriptions go to the new one.
    pub fn leave_address(&mut self, id: u64, new: &str) {
        let Some(old) = self.by_id(id).map(|known| known.email.clone()) else {
            return;
        };
        self.remove(&old);
        for subscription in self.subscriptions.values_mut() {
            if subscription.email.eq_ignore_ascii_case(&old) {
                new.clone_into(&mut subscription.email);
            }
        }
    }
}
