//! Checks of a Mailchimp audience.

use conformance::{Bench, CheckCase, EMAIL};
use fakes::mailchimp::{FieldKind, MailchimpSettings, Member, MergeField};
use fakes::{Api, Fault, RetryAfter};
use mailchimp::Mailchimp;
use serde_json::json;
use shared::check::CheckCode;

use crate::crm::{LIST, MailchimpCrm, put_secret, start};

const AUDIENCE: &str = "Mailchimp: audience a1b2c3d4e5";
const FIELDS: &str = "Mailchimp: read the audience's merge fields";
const TYPES: &str = "assumption: the audience's merge fields take the values this system writes";
const ROOM: &str = "assumption: the audience has room for the merge fields that are missing";
const FORM: &str = "assumption: a member has a status, merge fields and tags";

const CASES: &[CheckCase<MailchimpCrm>] = &[
    CheckCase {
        name: "nothing is wrong",
        break_it: |_, _| {},
        problems: &[],
    },
    CheckCase {
        name: "the key is unknown",
        break_it: |_, audience| audience.account().set_api_key("other"),
        problems: &[(AUDIENCE, CheckCode::CredentialsRefused)],
    },
    CheckCase {
        name: "there is no such audience",
        break_it: |bench, _| put_secret(bench, "listId", "none"),
        problems: &[("Mailchimp: audience none", CheckCode::ListUnknown)],
    },
    CheckCase {
        name: "the key may not read merge fields",
        break_it: |bench, _| fault(bench, Fault::status(403), "/lists/*/merge-fields"),
        problems: &[(FIELDS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "a merge field has another type",
        break_it: |_, audience| audience.define(MergeField::new("SMYARTPUR", FieldKind::Date)),
        problems: &[(TYPES, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "the phone field takes American numbers only",
        break_it: |_, audience| {
            let mut phone = MergeField::new("PHONE", FieldKind::Phone);
            phone.phone_format = Some("US".to_owned());
            audience.define(phone);
        },
        problems: &[(TYPES, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "the audience has no room for all merge fields",
        break_it: |_, audience| {
            audience.account().set_settings(MailchimpSettings {
                merge_field_limit: 10,
                ..MailchimpSettings::default()
            });
        },
        problems: &[(ROOM, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "Mailchimp breaks connections",
        break_it: |bench, _| fault(bench, Fault::reset(), "/lists/*/members"),
        problems: &[(FORM, CheckCode::ApiUnreachable)],
    },
    CheckCase {
        name: "Mailchimp fails",
        break_it: |bench, _| fault(bench, Fault::status(502), "/lists/*/members"),
        problems: &[(FORM, CheckCode::ApiFailing)],
    },
    CheckCase {
        name: "Mailchimp asks to wait",
        break_it: |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Missing);
            fault(bench, wait, "/lists/*/members");
        },
        problems: &[(FORM, CheckCode::ApiAsksToWait)],
    },
    CheckCase {
        name: "Mailchimp's edge asks to wait",
        break_it: |bench, _| {
            let edge = Fault::text(403, "<html>Access Denied</html>");
            fault(bench, edge, "/lists/*/members");
        },
        problems: &[(FORM, CheckCode::ApiAsksToWait)],
    },
    CheckCase {
        name: "members have another form",
        break_it: |bench, _| {
            let odd = json!({ "members": [{ "id": "1", "email_address": EMAIL, "tags": "vip" }] });
            fault(bench, Fault::json(200, odd), "/lists/*/members");
        },
        problems: &[(FORM, CheckCode::UnexpectedAnswer)],
    },
];

fn fault(bench: &Bench<Mailchimp>, fault: Fault, path: &str) {
    bench.fakes.fault(fault.on(Api::Mailchimp).path(path));
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(CASES).await;
}

#[tokio::test]
async fn what_an_account_does_not_show_cannot_be_told() {
    let (bench, audience) = start().await;
    audience.account().set_settings(MailchimpSettings {
        shows_limit: false,
        ..MailchimpSettings::default()
    });
    for what in [ROOM, FORM] {
        let code = bench.check_code(what).await;
        assert_eq!(code, Some(CheckCode::CannotBeTold), "{what}");
    }
    audience.put_member(Member::new(EMAIL));
    let holds = Some(CheckCode::AssumptionHolds);
    assert_eq!(bench.check_code(FORM).await, holds);
    assert_eq!(
        audience.merge_fields().len(),
        4,
        "nothing was created: {LIST}"
    );
}
