//! Changes of a contact's address.
//!
//! Assumed: a PATCH with another address moves the contact, which keeps everything else, and
//! is a 400 if the new address belongs to another contact or is kept out. Mailmojo documents
//! only that a PATCH has an address.

use super::account::Account;
use crate::validation::FieldErrors;

impl Account {
    pub fn check_move(&self, to: &str, errors: &mut FieldErrors) {
        let refusal = if self.settings.refuse_moves {
            "cannot be changed"
        } else if self.contact(to).is_some() {
            "belongs to another contact"
        } else if self.is_kept_out(to) {
            "is kept out"
        } else {
            return;
        };
        errors.add("email", refusal);
    }

    pub fn move_contact(&mut self, from: &str, to: &str) {
        if let Some(mut contact) = self.remove(from) {
            to.clone_into(&mut contact.email);
            self.put(contact);
        }
    }
}
