//! Syncs to Mailchimp.

use conformance::{EMAIL, TestedCrm, USER, anna, derived, record, resync};
use fakes::mailchimp::{AudienceHandle, FieldKind, MailchimpSettings, Member, MergeField, Status};
use fakes::sesamy::{Bill, Contract, User};
use fakes::{Api, Effect, Fault};
use mailchimp::mapping::{FIELDS, type_name};
use serde_json::{Value, json};

use crate::crm::{LIST, MailchimpCrm, STATUSES, calls, daily_subscriber, put_secret, start};

fn settings(audience: &AudienceHandle, settings: MailchimpSettings) {
    audience.account().set_settings(settings);
}

fn refused(field: &str) -> Value {
    json!({
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": "Invalid Resource",
        "status": 400,
        "detail": "The resource submitted could not be validated.",
        "instance": "1",
        "errors": [{ "field": field, "message": "Please enter a complete value" }],
    })
}

#[tokio::test]
async fn a_new_user_becomes_a_member_with_all_data() {
    for status in ["subscribed", "pending", "transactional"] {
        let (bench, audience) = start().await;
        put_secret(&bench, "newStatus", status);
        let user = daily_subscriber().bill(Bill::paid("b1", "c1").paid_at("2026-02-01T08:00:00Z"));
        bench.sesamy.put_user(user.clone());
        bench.synced(USER, "a").await;
        let member = audience.member(EMAIL).unwrap();
        assert_eq!(json!(member.status), status);
        assert_eq!(member.tags, ["sesamy_active_subscriber"]);
        for (tag, value) in [
            ("FNAME", json!("Anna")),
            ("LNAME", json!("Ask")),
            ("PHONE", json!("+4790000001")),
            ("SESAMYUSR", json!(USER)),
            ("SMYSUBSC", json!("True")),
            ("SMYACTSUBS", json!(1)),
            ("SMYENDSUBS", json!(0)),
            ("SMYLASTPAY", json!("2026-02-01")),
            ("SMYTYPE", json!("recurring")),
        ] {
            assert_eq!(member.merge_fields.get(tag), Some(&value), "{tag}");
        }
    }
}

#[tokio::test]
async fn a_sync_makes_three_calls_at_most_and_one_if_nothing_differs() {
    let (bench, _) = start().await;
    put_secret(&bench, "events", false);
    bench
        .sesamy
        .put_user(User::new("email|first").email("first@example.se"));
    bench.synced("email|first", "setup").await;
    let setup = calls(&bench);
    let fields = setup.iter().filter(|call| call.ends_with("/merge-fields"));
    assert_eq!(
        fields.count(),
        2 + 13,
        "two reads, and one call per missing field"
    );

    let (get, put) = ("GET /lists/members", "PUT /lists/members");
    let (patch, tags) = ("PATCH /lists/members", "POST /lists/members/tags");
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert_eq!(calls(&bench), [get, put, tags], "new");
    bench.synced(USER, "b").await;
    assert_eq!(calls(&bench), [get], "unchanged");
    bench.sesamy.put_user(anna());
    bench.synced(USER, "c").await;
    assert_eq!(calls(&bench), [get, patch, tags], "changed");
    bench
        .sesamy
        .put_user(anna().contract(Contract::expired("c1")));
    bench.synced(USER, "d").await;
    assert_eq!(calls(&bench), [get, patch], "only fields");
}

#[tokio::test]
async fn more_than_fifty_tags_are_read_from_their_list() {
    let (bench, audience) = start().await;
    let foreign: Vec<String> = (0..1200).map(|n| format!("tag {n}")).collect();
    let mut tags: Vec<&str> = foreign.iter().map(String::as_str).collect();
    tags.push("sesamy_stale");
    audience.put_member(Member::new(EMAIL).tags(&tags));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let member = audience.member(EMAIL).unwrap();
    assert_eq!(member.tags.len(), 1201);
    assert_eq!(member.tags.last().unwrap(), "sesamy_active_subscriber");
    calls(&bench);
    bench.resynced(USER).await;
    let read = "GET /lists/members/tags";
    assert_eq!(calls(&bench), ["GET /lists/members", read, read]);
}

#[tokio::test]
async fn members_of_any_status_keep_it_and_archived_ones_are_left_alone() {
    for status in STATUSES {
        let (bench, audience) = start().await;
        let before = MailchimpCrm::contact(&["vip", "sesamy_stale"]).status(status);
        audience.put_member(before);
        let before = audience.member(EMAIL).unwrap();
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        let after = audience.member(EMAIL).unwrap();
        assert_eq!(after.status, status);
        if status == Status::Archived {
            assert_eq!(after, before);
            assert!(bench.metrics().contains("unchanged"), "{status:?}");
            assert_eq!(bench.preview(USER).await.outcome, "unchanged");
        } else {
            assert_eq!(
                after.tags,
                ["vip", "sesamy_active_subscriber"],
                "{status:?}"
            );
            assert_eq!(after.merge_fields["FNAME"], "Anne", "{status:?}");
            assert_eq!(after.merge_fields["PHONE"], "+4790000001", "{status:?}");
        }
    }
}

#[tokio::test]
async fn an_address_that_mailchimp_keeps_out_is_unchanged() {
    struct Case {
        email: &'static str,
        is_forgotten: bool,
        names_refused_address: bool,
    }
    let case = |email, is_forgotten, names_refused_address| Case {
        email,
        is_forgotten,
        names_refused_address,
    };
    for case in [
        case(EMAIL, true, false),
        case("anna@fake.example", false, false),
        case("anna@fake.example", false, true),
        case("anna", false, false),
        case("anna", false, true),
    ] {
        let name = format!("{} {}", case.email, case.names_refused_address);
        let (bench, audience) = start().await;
        settings(
            &audience,
            MailchimpSettings {
                names_refused_address: case.names_refused_address,
                ..MailchimpSettings::default()
            },
        );
        if case.is_forgotten {
            audience.forget_address(case.email);
        }
        bench.sesamy.put_user(daily_subscriber().email(case.email));
        bench.synced(USER, "a").await;
        assert_eq!(audience.members(), [], "{name}");
        assert!(bench.metrics().contains("unchanged"), "{name}");
    }
}

#[tokio::test]
async fn compliance_states_are_the_addresss_own() {
    let refusal = json!({ "title": "Member In Compliance State", "status": 400 });
    for before in [None, Some(Member::new(EMAIL).status(Status::Unsubscribed))] {
        let (bench, audience) = start().await;
        let is_known = before.is_some();
        before
            .into_iter()
            .for_each(|member| audience.put_member(member));
        bench.sesamy.put_user(daily_subscriber());
        for method in ["PUT", "PATCH"] {
            let fault = Fault::json(400, refusal.clone()).on(Api::Mailchimp);
            bench
                .fakes
                .fault(fault.method(method).path("/lists/*/members/*"));
        }
        bench.synced(USER, "a").await;
        let tags: Vec<_> = audience
            .members()
            .into_iter()
            .flat_map(|m| m.tags)
            .collect();
        let expected: &[&str] = if is_known {
            &["sesamy_active_subscriber"]
        } else {
            &[]
        };
        assert_eq!(tags, expected, "known: {is_known}");
    }
}

#[tokio::test]
async fn a_member_created_at_the_same_time_is_synced() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    // The member appears between the read and the write.
    let missed = Fault::status(404).on(Api::Mailchimp).method("GET");
    bench.fakes.fault(missed.path("/lists/*/members/*").once());
    let exists = json!({ "title": "Member Exists", "status": 400 });
    let exists = Fault::json(400, exists).on(Api::Mailchimp).method("PUT");
    bench.fakes.fault(exists.path("/lists/*/members/*").once());
    audience.put_member(
        Member::new(EMAIL)
            .status(Status::Unsubscribed)
            .tags(&["vip"]),
    );
    bench.synced(USER, "a").await;
    let member = audience.member(EMAIL).unwrap();
    assert_eq!(member.status, Status::Unsubscribed);
    assert_eq!(member.tags, ["vip", "sesamy_active_subscriber"]);
}

#[tokio::test]
async fn merge_fields_are_created_hidden_and_with_their_type() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let fields = audience.merge_fields();
    for (attribute, tag) in FIELDS {
        let field = fields.iter().find(|field| field.tag == tag).unwrap();
        assert_eq!(json!(field.kind), type_name(attribute), "{}", field.tag);
        assert!(!field.public && !field.required, "{}", field.tag);
    }
}

#[tokio::test]
async fn an_audience_without_room_is_synced_with_the_fields_it_has() {
    for (shows_limit, hides_limit) in [(true, false), (false, false), (false, true)] {
        let name = format!("{shows_limit} {hides_limit}");
        let (bench, audience) = start().await;
        settings(
            &audience,
            MailchimpSettings {
                merge_field_limit: 6,
                shows_limit,
                hides_limit,
                ..MailchimpSettings::default()
            },
        );
        bench.sesamy.put_user(daily_subscriber());
        bench.resynced(USER).await;
        let member = audience.member(EMAIL).unwrap();
        let fields: Vec<_> = member.merge_fields.keys().collect();
        let expected = ["FNAME", "LNAME", "PHONE", "SESAMYUSR", "SMYSUBSC"];
        assert_eq!(fields, expected, "{name}");
        calls(&bench);
        bench.resynced(USER).await;
        assert_eq!(calls(&bench), ["GET /lists/members"], "{name}: unchanged");
    }
}

#[tokio::test]
async fn a_merge_field_of_another_type_is_left_out() {
    let us_phone = MergeField {
        phone_format: Some("US".to_owned()),
        ..MergeField::new("PHONE", FieldKind::Phone)
    };
    for field in [
        us_phone,
        MergeField::new("PHONE", FieldKind::Number),
        MergeField::new("SMYACTSUBS", FieldKind::Date),
        MergeField::new("SMYTYPE", FieldKind::Dropdown),
    ] {
        let (bench, audience) = start().await;
        audience.define(field.clone());
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        let member = audience.member(EMAIL).unwrap();
        assert_eq!(member.merge_fields.get(&field.tag), None, "{field:?}");
        assert_eq!(member.merge_fields["SESAMYUSR"], USER, "{field:?}");
    }
}

#[tokio::test]
async fn a_merge_field_that_another_instance_created_is_used() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let mut fault = Fault::json(400, refused("tag")).on(Api::Mailchimp);
    fault.effect = Effect::Performed;
    let fault = fault.method("POST").path("/lists/*/merge-fields");
    bench.fakes.fault(fault.times(3));
    bench.synced(USER, "a").await;
    let member = audience.member(EMAIL).unwrap();
    let fields = MailchimpCrm::desired_fields(&derived(&daily_subscriber()));
    for (tag, value) in fields {
        assert_eq!(member.merge_fields.get(&tag), value.as_ref(), "{tag}");
    }
}

#[tokio::test]
async fn a_field_that_the_publisher_requires_refuses_no_member() {
    for before in [None, Some(Member::new(EMAIL))] {
        let (bench, audience) = start().await;
        audience.define(MergeField {
            required: true,
            ..MergeField::new("SHOE", FieldKind::Number)
        });
        before
            .into_iter()
            .for_each(|member| audience.put_member(member));
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        assert_eq!(
            audience.member(EMAIL).unwrap().merge_fields["SESAMYUSR"],
            USER
        );
    }
}

#[tokio::test]
async fn a_refused_value_does_not_keep_out_the_others() {
    for (before, method) in [(None, "PUT"), (Some(Member::new(EMAIL)), "PATCH")] {
        for field in ["PHONE", "merge_fields.PHONE"] {
            let (bench, audience) = start().await;
            before
                .iter()
                .for_each(|member| audience.put_member(member.clone()));
            bench.sesamy.put_user(daily_subscriber());
            let fault = Fault::json(400, refused(field)).on(Api::Mailchimp);
            let fault = fault.method(method).path("/lists/*/members/*");
            bench.fakes.fault(fault.once());
            bench.synced(USER, "a").await;
            let member = audience.member(EMAIL).unwrap();
            assert_eq!(member.merge_fields.get("PHONE"), None, "{method} {field}");
            assert_eq!(member.merge_fields["FNAME"], "Anna", "{method} {field}");
            assert_eq!(member.tags, ["sesamy_active_subscriber"]);
        }
    }
}

#[tokio::test]
async fn a_new_member_does_without_a_refused_value_that_is_its_only_one() {
    let (bench, audience) = start().await;
    // Its own four fields and one of ours.
    settings(
        &audience,
        MailchimpSettings {
            merge_field_limit: 5,
            ..MailchimpSettings::default()
        },
    );
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let written = audience.member(EMAIL).unwrap().merge_fields;
    audience.remove_member(EMAIL);
    for field in written.into_keys() {
        let fault = Fault::json(400, refused(&field)).on(Api::Mailchimp);
        bench
            .fakes
            .fault(fault.method("PUT").path("/lists/*/members/*").once());
    }
    bench.resynced(USER).await;
    let member = audience.member(EMAIL).unwrap();
    assert_eq!(member.merge_fields.len(), 0);
    assert_eq!(member.tags, ["sesamy_active_subscriber"]);
}

#[tokio::test]
async fn an_address_is_kept_out_of_an_audience_without_our_fields_too() {
    let (bench, audience) = start().await;
    settings(
        &audience,
        MailchimpSettings {
            merge_field_limit: 0,
            ..MailchimpSettings::default()
        },
    );
    audience.forget_address(EMAIL);
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert_eq!(audience.members(), []);
    assert!(bench.metrics().contains("unchanged"));
}

#[tokio::test]
async fn a_refusal_that_names_nothing_we_sent_is_a_dead_letter() {
    for method in ["PUT", "PATCH"] {
        let (bench, audience) = start().await;
        if method == "PATCH" {
            audience.put_member(Member::new(EMAIL));
        }
        bench.sesamy.put_user(daily_subscriber());
        let fault = Fault::json(400, refused("OTHER")).on(Api::Mailchimp);
        bench
            .fakes
            .fault(fault.method(method).path("/lists/*/members/*"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "rejected_by_api", "{method}");
    }
}

#[tokio::test]
async fn a_tag_that_the_audience_spells_otherwise_is_not_written_again() {
    for spelling in ["sesamy_Active_Subscriber", "Sesamy_Active_Subscriber"] {
        let (bench, audience) = start().await;
        // Another member had the tag first.
        audience.put_member(Member::new("other@example.se").tags(&[spelling]));
        bench.sesamy.put_user(daily_subscriber());
        bench.resynced(USER).await;
        assert_eq!(audience.member(EMAIL).unwrap().tags, [spelling]);
        calls(&bench);
        bench.resynced(USER).await;
        assert_eq!(calls(&bench), ["GET /lists/members"], "{spelling}");
    }
}

#[tokio::test]
async fn a_stale_tag_is_removed_in_any_case() {
    let (bench, audience) = start().await;
    audience.put_member(Member::new(EMAIL).tags(&["sesamy_Overdue_Contract", "SESAMY_x"]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    assert_eq!(audience.member(EMAIL).unwrap().tags, ["SESAMY_x"]);
}

#[tokio::test]
async fn the_edge_is_left_alone_for_a_while() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let edge = Fault::text(403, "<html>Access Denied</html>").on(Api::Mailchimp);
    bench.fakes.fault(edge.once());
    assert_eq!(bench.handle([resync("1", USER)]).await, ["1"]);
    assert_eq!(calls(&bench).len(), 1);
    assert_eq!(bench.handle([resync("1", USER)]).await, ["1"]);
    assert_eq!(calls(&bench), [""; 0], "paused");
    assert_eq!(bench.queue.dead_letters(), []);
    assert_eq!(audience.members(), []);
}

#[tokio::test]
async fn an_unknown_audience_is_refused_until_the_secret_is_right() {
    // Wrong from the start, or deleted later.
    for is_deleted in [false, true] {
        let (bench, audience) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        if is_deleted {
            bench
                .sesamy
                .put_user(User::new("email|first").email("first@example.se"));
            bench.synced("email|first", "a").await;
            audience.account().remove_audience(LIST);
        } else {
            put_secret(&bench, "listId", "none");
        }
        assert_eq!(bench.handle([record("1", USER, "b")]).await, ["1"]);
        assert_eq!(bench.queue.dead_letters(), [], "{is_deleted}");
        let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
        if !is_deleted {
            assert_eq!(preview["error"]["code"], "refused");
            let message = preview["error"]["message"].as_str().unwrap();
            assert!(message.contains("\"listId\""), "{message}");
            put_secret(&bench, "listId", LIST);
            assert_eq!(bench.handle([record("1", USER, "b")]).await, [""; 0]);
            assert_eq!(audience.members().len(), 1);
        }
    }
}

#[tokio::test]
async fn four_users_of_a_vendor_are_synced_at_the_same_time() {
    let (bench, audience) = start().await;
    bench.sesamy.set_rate_limit(None);
    let users: Vec<String> = (0..5).map(|n| format!("email|{n}")).collect();
    for user in &users {
        bench
            .sesamy
            .put_user(User::new(user).email(&format!("{}@example.se", &user[6..])));
    }
    bench.handle([record("setup", &users[0], "setup")]).await;
    bench.fakes.clear_requests();
    // Far longer than all that comes before the calls.
    let slow = Fault::slow(std::time::Duration::from_millis(700)).on(Api::Mailchimp);
    bench.fakes.fault(slow.method("GET"));
    let batch = users.iter().map(|user| resync(user, user));
    assert_eq!(bench.handle(batch).await, [""; 0]);
    assert_eq!(audience.members().len(), 5);
    let requests = bench.fakes.requests_to(Api::Mailchimp);
    let reads = requests.iter().filter(|request| request.method == "GET");
    let begun: Vec<_> = reads.map(|request| request.at).collect();
    let first = begun.iter().min().unwrap();
    let early = begun
        .iter()
        .filter(|at| at.duration_since(*first).as_millis() < 600);
    assert_eq!(early.count(), 4);
}
