//! Checks a Mailchimp audience by reading only.

use shared::check::{CheckCode, CheckItem};
use shared::http::ApiError;

use crate::client::{Client, MergeFields};

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 6] = [
    "the permission to write",
    "assumption: an empty text clears a date",
    "assumption: Mailchimp takes events of members of any status",
    "assumption: tags and fields of a member that left can be changed, and its status stays",
    "assumption: only subscribed members can have a new address",
    "assumption: half a minute without calls ends a limit of Mailchimp's edge",
];

pub async fn check(client: &Client<'_>, list_id: &str) -> Vec<CheckItem> {
    let list = check_list(client, list_id).await;
    let list_code = list.code;
    let mut items = vec![list];
    if list_code == CheckCode::CredentialsRefused {
        return items;
    }
    if list_code != CheckCode::ListUnknown {
        items.extend(merge_fields(client.merge_fields().await));
        items.push(member_form(client).await);
    }
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

async fn check_list(client: &Client<'_>, list_id: &str) -> CheckItem {
    let what = format!("Mailchimp: audience {list_id}");
    match client.has_list().await {
        Ok(true) => CheckItem::works(what),
        Ok(false) => {
            let say = "the account has no such audience";
            CheckItem::new(what, CheckCode::ListUnknown, say)
                .with_remedy("store the id of one of the account's audiences as listId")
        }
        Err(error) => CheckItem::failed(what, &error, "read audiences"),
    }
}

fn merge_fields(read: Result<MergeFields, ApiError>) -> Vec<CheckItem> {
    const READ: &str = "Mailchimp: read the audience's merge fields";
    const TYPES: &str =
        "assumption: the audience's merge fields take the values this system writes";
    const ROOM: &str = "assumption: the audience has room for the merge fields that are missing";
    let fields = match read {
        Ok(fields) => fields,
        Err(error) => return vec![CheckItem::failed(READ, &error, "read merge fields")],
    };
    let unusable = fields.unusable();
    let types = if unusable.is_empty() {
        CheckItem::assumption(TYPES, Some(true), "all that exist do")
    } else {
        let say = format!("of another type: {}", unusable.join(", "));
        CheckItem::assumption(TYPES, Some(false), say).with_remedy(
            "delete these merge fields at Mailchimp, or do without: the others are synced",
        )
    };
    let missing = fields.missing();
    let room = match fields.room() {
        _ if missing == 0 => CheckItem::assumption(ROOM, Some(true), "none is missing"),
        None => CheckItem::assumption(ROOM, None, "the audience does not say how many it may have"),
        Some(room) if room >= missing => CheckItem::assumption(ROOM, Some(true), "it has"),
        Some(room) => {
            let say = format!("{missing} are missing, and there is room for {room}");
            CheckItem::assumption(ROOM, Some(false), say).with_remedy(
                "delete unused merge fields, or do without: those that exist are synced",
            )
        }
    };
    vec![CheckItem::works(READ), types, room]
}

async fn member_form(client: &Client<'_>) -> CheckItem {
    const WHAT: &str = "assumption: a member has a status, merge fields and tags";
    match client.any_member().await {
        Ok(Some(_)) => CheckItem::assumption(WHAT, Some(true), "a member of the audience does"),
        Ok(None) => CheckItem::assumption(WHAT, None, "the audience has no member to look at"),
        Err(error) => CheckItem::failed(WHAT, &error, "read members"),
    }
}
