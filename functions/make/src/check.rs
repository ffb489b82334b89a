//! What can be seen of a vendor's Make.as lists without writing to them.

use futures_util::future::join_all;
use shared::check::{Code, Finding};

use crate::client::Client;
use crate::credentials::MalformedSet;

/// An address that nobody has: `.invalid` is reserved for that.
const NOBODY: &str = "nobody@sesamy-crm-sync.invalid";

/// What only a write would show, and where it is assumed.
const UNSEEN: [&str; 6] = [
    "the permission to write",
    "assumption: a change without a list leaves a subscriber's lists and status alone",
    "assumption: an end_date of null clears the end of a subscription",
    "assumption: the fields, dates and key of Make.as's products and subscriptions",
    "assumption: Make.as takes 1,000 products or subscriptions in a call",
    "assumption: a subscription may name a product that is not in the catalogue",
];

/// Looks at what a sync needs of each list, side by side, and names the sets
/// of credentials that cannot be read.
pub async fn check(clients: Vec<Client<'_>>, malformed: &[MalformedSet]) -> Vec<Finding> {
    let lists = join_all(clients.iter().map(check_list)).await;
    let mut findings: Vec<Finding> = lists.into_iter().flatten().collect();
    findings.extend(malformed.iter().map(|set| {
        let what = format!("Make.as: {}", set.name());
        Finding::failed(what, &set.error(), "")
    }));
    findings.extend(UNSEEN.map(Finding::unseen));
    findings
}

async fn check_list(client: &Client<'_>) -> Vec<Finding> {
    let list = format!("Make.as: list {}", client.list_id());
    let mut findings = Vec::new();
    match client.has_list().await {
        Ok(true) => findings.push(Finding::works(&list)),
        Ok(false) => {
            let say = "it is not among the lists that these credentials can read";
            let unknown = Finding::new(&list, Code::ListUnknown, say)
                .with_remedy("store the id of one of the account's lists as listId");
            findings.push(unknown);
        }
        Err(error) => {
            let failed = Finding::failed(&list, &error, "read lists");
            let refused = failed.code == Code::CredentialsRefused;
            findings.push(failed);
            if refused {
                return findings;
            }
        }
    }
    let what = format!("{list}, look up a subscriber");
    findings.push(match client.subscriber(NOBODY).await {
        Ok(_) => Finding::works(what),
        Err(error) => Finding::failed(what, &error, "read subscribers"),
    });
    if findings
        .first()
        .is_some_and(|list| list.code == Code::Works)
    {
        findings.push(subscriber_form(client, &list).await);
    }
    findings
}

async fn subscriber_form(client: &Client<'_>, list: &str) -> Finding {
    let what = format!("assumption: a subscriber names its tags ({list})");
    match client.any_subscriber().await {
        Ok(Some(_)) => Finding::assumption(what, Some(true), "a subscriber of the list does"),
        Ok(None) => Finding::assumption(what, None, "the list has no subscriber to look at"),
        Err(error) => Finding::failed(what, &error, "read a list's subscribers"),
    }
}
