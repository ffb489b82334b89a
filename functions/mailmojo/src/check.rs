//! Checks a Mailmojo account by reading only.

use shared::check::{CheckItem, UNUSED_ADDRESS};
use shared::connector::Account;

use crate::client::{Client, fields_are_unavailable};
use crate::sync::Mailmojo;

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 4] = [
    "the permission to write",
    "assumption: Mailmojo replaces tags",
    "assumption: null clears an account field",
    "assumption: the meaning of Mailmojo's status codes",
];

pub async fn check(account: &Account<'_, Mailmojo>) -> Vec<CheckItem> {
    const CONTACTS: &str = "Mailmojo: look up a contact";
    const FORM: &str = "assumption: a contact has a list of tags and an object of account fields";
    let client = Client::new(account);
    let list_id = &account.credentials.list_id;
    let exists = client.list(list_id).await;
    let what = format!("Mailmojo: list {list_id}");
    let unknown = "the account has no such list";
    let list = CheckItem::list(what, &exists, unknown, "read lists (lists:read)");
    if list.is_refused() {
        return vec![list];
    }
    let contact = client.contact(UNUSED_ADDRESS).await;
    let permission = "read and change contacts (contacts)";
    let contact = CheckItem::call(CONTACTS, &contact, permission);
    let mut items = vec![list, contact, account_fields(&client).await];
    if let Ok(true) = exists {
        let sample = client.any_contact(list_id).await;
        items.push(CheckItem::form(
            FORM,
            &sample,
            "read a list's contacts (contacts)",
        ));
    }
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

async fn account_fields(client: &Client<'_>) -> CheckItem {
    const WHAT: &str = "assumption: Mailmojo defines account fields at /v1/fields/";
    const BY_HAND: &str = "create the thirteen account fields by hand; syncs work without them";
    match client.fields().await {
        Ok(_) => CheckItem::assumption(WHAT, Some(true), "it answers"),
        Err(error) if matches!(error.status(), Some(404 | 405)) => {
            CheckItem::assumption(WHAT, Some(false), error.to_string()).with_remedy(BY_HAND)
        }
        Err(error) if fields_are_unavailable(&error) => CheckItem::failed(WHAT, &error, "").with_remedy(format!(
            "give the credentials the permission to define account fields (account_settings), or {BY_HAND}"
        )),
        Err(error) => CheckItem::failed(WHAT, &error, "define account fields (account_settings)"),
    }
}
