//! Checks a vendor's Make.as lists by reading only.

use futures_util::future::join_all;
use shared::check::{CheckItem, UNUSED_ADDRESS};

use crate::client::Client;
use crate::credentials::MalformedSet;

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
    let exists = client.has_list().await;
    let unknown = "it is not among the lists that these credentials can read";
    let list = CheckItem::list(&name, &exists, unknown, "read lists");
    if list.is_refused() {
        return vec![list];
    }
    let contact = client.contact(UNUSED_ADDRESS).await;
    let what = format!("{name}, look up a subscriber");
    let mut items = vec![list, CheckItem::call(what, &contact, "read subscribers")];
    if let Ok(true) = exists {
        let what = format!("assumption: a contact names its tags ({name})");
        let sample = client.any_contact().await;
        items.push(CheckItem::form(what, &sample, "read a list's subscribers"));
    }
    items
}
