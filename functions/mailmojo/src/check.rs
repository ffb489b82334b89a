//! What can be seen of a Mailmojo account without writing to it.

use shared::check::{Code, Finding};

use crate::client::{Client, is_closed};

/// An address that nobody has: `.invalid` is reserved for that.
const NOBODY: &str = "nobody@sesamy-crm-sync.invalid";

/// What only a write would show, and where it is assumed.
const UNSEEN: [&str; 4] = [
    "the permission to write",
    "assumption: Mailmojo replaces tags",
    "assumption: null clears an account field",
    "assumption: what Mailmojo's status letters mean",
];

/// Looks at what a sync needs: the list, contacts, account fields.
pub async fn check(client: &Client<'_>, list_id: &str) -> Vec<Finding> {
    const CONTACTS: &str = "Mailmojo: look up a contact";
    let list = check_list(client, list_id).await;
    let (refused, readable) = (
        list.code == Code::CredentialsRefused,
        list.code == Code::Works,
    );
    let mut findings = vec![list];
    if refused {
        return findings;
    }
    findings.push(match client.contact(NOBODY).await {
        Ok(_) => Finding::works(CONTACTS),
        Err(error) => Finding::failed(CONTACTS, &error, "read and change contacts (contacts)"),
    });
    findings.push(account_fields(client).await);
    if readable {
        findings.push(contact_form(client, list_id).await);
    }
    findings.extend(UNSEEN.map(Finding::unseen));
    findings
}

async fn check_list(client: &Client<'_>, list_id: &str) -> Finding {
    let what = format!("Mailmojo: list {list_id}");
    match client.list(list_id).await {
        Ok(true) => Finding::works(what),
        Ok(false) => Finding::new(what, Code::ListUnknown, "the account has no such list")
            .with_remedy("store the id of one of the account's lists as listId"),
        Err(error) => Finding::failed(what, &error, "read lists (lists:read)"),
    }
}

async fn account_fields(client: &Client<'_>) -> Finding {
    const WHAT: &str = "assumption: Mailmojo defines account fields at /v1/fields/";
    const BY_HAND: &str = "create the thirteen account fields by hand; syncs go on without";
    match client.fields().await {
        Ok(_) => Finding::assumption(WHAT, Some(true), "it answers"),
        Err(error) if matches!(error.status(), Some(404 | 405)) => {
            Finding::assumption(WHAT, Some(false), error.to_string()).with_remedy(BY_HAND)
        }
        Err(error) if is_closed(&error) => Finding::failed(WHAT, &error, "").with_remedy(format!(
            "give the credentials the permission to define account fields (account_settings), or {BY_HAND}"
        )),
        Err(error) => Finding::failed(WHAT, &error, "define account fields (account_settings)"),
    }
}

async fn contact_form(client: &Client<'_>, list_id: &str) -> Finding {
    const WHAT: &str = "assumption: a contact has a list of tags and an object of account fields";
    match client.any_subscriber(list_id).await {
        Ok(Some(())) => Finding::assumption(WHAT, Some(true), "a contact of the list does"),
        Ok(None) => Finding::assumption(WHAT, None, "the list has no contact to look at"),
        Err(error) => Finding::failed(WHAT, &error, "read a list's contacts (contacts)"),
    }
}
