//! Checks a Mailchimp audience by reading only.

use shared::check::CheckItem;
use shared::connector::Account;

use crate::client::{Client, MergeFields};
use crate::sync::Mailchimp;

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 6] = [
    "the permission to write",
    "assumption: an empty text clears a date",
    "assumption: Mailchimp takes events of members of any status",
    "assumption: tags and fields of a member that left can be changed, and its status stays",
    "assumption: only subscribed members can have a new address",
    "assumption: half a minute without calls ends a limit of Mailchimp's edge",
];

pub async fn check(account: &Account<'_, Mailchimp>) -> Vec<CheckItem> {
    const FIELDS: &str = "Mailchimp: read the audience's merge fields";
    const FORM: &str = "assumption: a member has a status, merge fields and tags";
    let client = Client::new(account);
    let list = client.has_list().await;
    let what = format!("Mailchimp: audience {}", account.credentials.list_id);
    let unknown = "the account has no such audience";
    let audience = CheckItem::list(what, &list, unknown, "read audiences");
    if audience.is_refused() {
        return vec![audience];
    }
    let mut items = vec![audience];
    if !matches!(list, Ok(false)) {
        let fields = client.merge_fields().await;
        items.push(CheckItem::call(FIELDS, &fields, "read merge fields"));
        items.extend(
            fields
                .iter()
                .flat_map(|fields| [types(fields), room(fields)]),
        );
        items.push(CheckItem::form(
            FORM,
            &client.any_member().await,
            "read members",
        ));
    }
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

fn types(fields: &MergeFields) -> CheckItem {
    const WHAT: &str = "assumption: the audience's merge fields take the values this system writes";
    let wrong: Vec<&str> = fields.writable(false).into_iter().collect();
    let remedy = "delete these merge fields at Mailchimp, or do without: the others are synced";
    CheckItem::types(WHAT, true, &wrong, remedy)
}

fn room(fields: &MergeFields) -> CheckItem {
    const WHAT: &str = "assumption: the audience has room for the merge fields that are missing";
    let say = match fields.limit {
        Some(limit) => format!("it may have {limit}"),
        None => "the audience does not say how many it may have".to_owned(),
    };
    CheckItem::assumption(WHAT, fields.has_room(), say)
        .with_remedy_of_problem("delete unused merge fields, or do without those that are missing")
}
