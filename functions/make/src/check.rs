//! Checks a vendor's Make.as lists by reading only.

use futures_util::future::join_all;
use shared::check::{CheckCode, CheckItem};

use crate::client::Client;
use crate::credentials::MalformedSet;

/// No contact has this address: the domain `.invalid` is reserved.
const UNUSED_ADDRESS: &str = "unused@sesamy-crm-sync.invalid";

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 6] = [
    "the permission to write",
    "assumption: a change without a list keeps a contact's lists and status",
    "assumption: an end_date of null clears the end of a subscription",
    "assumption: the fields, dates and key of Make.as's products and subscriptions",
    "assumption: Make.as accepts 1,000 products or subscriptions in one call",
    "assumption: a subscription may name a product that is not in the catalogue",
];

/// Checks all lists concurrently, and reports malformed sets of credentials.
pub async fn check(clients: Vec<Client<'_>>, malformed: &[MalformedSet]) -> Vec<CheckItem> {
    let lists = join_all(clients.iter().map(check_list)).await;
    let mut items: Vec<CheckItem> = lists.into_iter().flatten().collect();
    items.extend(malformed.iter().map(|set| {
        let what = format!("Make.as: {}", set.name());
        CheckItem::failed(what, &set.error(), "")
    }));
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

async fn check_list(client: &Client<'_>) -> Vec<CheckItem> {
    let name = format!("Make.as: list {}", client.list_id());
    let list = match client.has_list().await {
        Ok(true) => CheckItem::works(&name),
        Ok(false) => {
            let say = "it is not among the lists that these credentials can read";
            CheckItem::new(&name, CheckCode::ListUnknown, say)
                .with_remedy("store the id of one of the account's lists as listId")
        }
        Err(error) => CheckItem::failed(&name, &error, "read lists"),
    };
    let list_code = list.code;
    let mut items = vec![list];
    if list_code == CheckCode::CredentialsRefused {
        return items;
    }
    let what = format!("{name}, look up a subscriber");
    items.push(match client.contact(UNUSED_ADDRESS).await {
        Ok(_) => CheckItem::works(what),
        Err(error) => CheckItem::failed(what, &error, "read subscribers"),
    });
    if list_code == CheckCode::Works {
        items.push(contact_form(client, &name).await);
    }
    items
}

async fn contact_form(client: &Client<'_>, list: &str) -> CheckItem {
    let what = format!("assumption: a contact names its tags ({list})");
    match client.any_contact().await {
        Ok(Some(_)) => CheckItem::assumption(what, Some(true), "a contact of the list does"),
        Ok(None) => CheckItem::assumption(what, None, "the list has no contact to look at"),
        Err(error) => CheckItem::failed(what, &error, "read a list's subscribers"),
    }
}
