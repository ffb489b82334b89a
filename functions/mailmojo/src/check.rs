//! Checks a Mailmojo account by reading only.

use shared::check::{CheckCode, CheckItem};

use crate::client::{Client, fields_are_unavailable};

/// No contact has this address: the domain `.invalid` is reserved.
const UNUSED_ADDRESS: &str = "unused@sesamy-crm-sync.invalid";

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 4] = [
    "the permission to write",
    "assumption: Mailmojo replaces tags",
    "assumption: null clears an account field",
    "assumption: the meaning of Mailmojo's status codes",
];

pub async fn check(client: &Client<'_>, list_id: &str) -> Vec<CheckItem> {
    const CONTACTS: &str = "Mailmojo: look up a contact";
    let list = check_list(client, list_id).await;
    let list_code = list.code;
    let mut items = vec![list];
    if list_code == CheckCode::CredentialsRefused {
        return items;
    }
    items.push(match client.contact(UNUSED_ADDRESS).await {
        Ok(_) => CheckItem::works(CONTACTS),
        Err(error) => CheckItem::failed(CONTACTS, &error, "read and change contacts (contacts)"),
    });
    items.push(account_fields(client).await);
    if list_code == CheckCode::Works {
        items.push(contact_form(client, list_id).await);
    }
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

async fn check_list(client: &Client<'_>, list_id: &str) -> CheckItem {
    let what = format!("Mailmojo: list {list_id}");
    match client.list(list_id).await {
        Ok(true) => CheckItem::works(what),
        Ok(false) => CheckItem::new(what, CheckCode::ListUnknown, "the account has no such list")
            .with_remedy("store the id of one of the account's lists as listId"),
        Err(error) => CheckItem::failed(what, &error, "read lists (lists:read)"),
    }
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

async fn contact_form(client: &Client<'_>, list_id: &str) -> CheckItem {
    const WHAT: &str = "assumption: a contact has a list of tags and an object of account fields";
    match client.any_contact(list_id).await {
        Ok(Some(_)) => CheckItem::assumption(WHAT, Some(true), "a contact of the list does"),
        Ok(None) => CheckItem::assumption(WHAT, None, "the list has no contact to look at"),
        Err(error) => CheckItem::failed(WHAT, &error, "read a list's contacts (contacts)"),
    }
}
