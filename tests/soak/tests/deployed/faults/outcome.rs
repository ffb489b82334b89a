//! Compares the outcome of a case with the expected one.

use std::time::Duration;

use harness::{Connector, DeadLetterMessage, LoggedSync};

use super::{
    case::{Case, CrmAccount, OUR_TAGS, SecretState, contact},
    table::{Expected, Frequency},
};

/// The shortest retry delay after a refusal, minus a tolerance for the clocks of the
/// queue and the test.
const MIN_REFUSED_WAIT: Duration = Duration::from_secs(55);

pub fn failures(
    case: &Case,
    account: &CrmAccount,
    syncs: &[&LoggedSync],
    dead_letters: &[&DeadLetterMessage],
    struck: u32,
    elapsed: Duration,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            let logged: Vec<_> = syncs
                .iter()
                .map(|sync| format!("{} ({})", sync.outcome, sync.reason))
                .collect();
            failures.push(format!(
                "{}: {what}; syncs: {logged:?}, struck {struck}",
                case.id
            ));
        }
    };
    let outcomes: Vec<_> = syncs.iter().map(|sync| sync.outcome.as_str()).collect();
    let is_done = |outcome: &str| matches!(outcome, "synced" | "unchanged");
    match case.expected {
        Expected::Retried | Expected::RetriedOnce => {
            let lasts = case.frequency == Frequency::Always && case.expected == Expected::Retried;
            let min_retries = if lasts { 2 } else { 1 };
            let (last, before) = outcomes.split_last().unwrap_or((&"", &[]));
            let retried = before.len() >= min_retries && before.iter().all(|o| *o == "retry");
            check(
                retried && is_done(last),
                "was not retried until done".into(),
            );
        }
        Expected::Refused => {
            let (last, before) = match case.frequency {
                Frequency::Once => outcomes.split_last().unwrap_or((&"", &[])),
                Frequency::Always => (&"synced", outcomes.as_slice()),
            };
            let refused = !before.is_empty() && before.iter().all(|o| *o == "refused");
            check(
                refused && is_done(last),
                "was not refused until the fault ended and then done".into(),
            );
            let max_tries = 1 + elapsed.as_secs() / MIN_REFUSED_WAIT.as_secs();
            check(
                outcomes.len() as u64 <= max_tries,
                "was retried too early".into(),
            );
        }
        Expected::DeadLetter(kind, status) => {
            check(
                outcomes == ["dead_letter"],
                "did not move to the dead-letter queue after the first try".into(),
            );
            check(
                dead_letters.len() == 1,
                format!("has {} dead-letter messages", dead_letters.len()),
            );
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            for message in dead_letters {
                let reason = (message.attribute("errorKind"), message.attribute("status"));
                check(
                    reason == (kind, status.as_str()),
                    format!("the dead-letter message says {reason:?}"),
                );
            }
        }
        Expected::Done if case.secrets == SecretState::ConnectorMissing => {
            check(
                outcomes == ["not_configured"],
                "did not count as not configured".into(),
            );
            return failures;
        }
        Expected::Done => {
            let done = matches!(outcomes.as_slice(), [only] if is_done(only));
            check(done, "was not done at the first try".into());
        }
        Expected::Skipped => check(outcomes == ["skipped"], "was not skipped".into()),
        Expected::Undecided => check(outcomes.len() == 1, "did not end at the first try".into()),
    }
    if !matches!(
        case.expected,
        Expected::DeadLetter(..) | Expected::Undecided
    ) {
        check(dead_letters.is_empty(), "has a dead-letter message".into());
    }
    let contact = contact(account, &case.email());
    let ends_done = match case.expected {
        Expected::Retried | Expected::RetriedOnce | Expected::Done => true,
        Expected::Refused => case.frequency == Frequency::Once,
        Expected::DeadLetter(..) | Expected::Skipped | Expected::Undecided => false,
    };
    if case.has_no_contact() {
        check(contact.is_none(), "has a contact".into());
    } else if ends_done {
        let (tags, is_correct) = contact.unwrap_or_default();
        let expected = expected_tags(case);
        check(
            tags == expected,
            format!("has the tags {tags:?}, not {expected:?}"),
        );
        let is_kept_off_list =
            case.call_name == "mailmojo-subscribe" && case.fault_name.starts_with("400");
        check(
            is_correct != is_kept_off_list,
            "has wrong data in the CRM".into(),
        );
    } else {
        // The contact may be half synced, but it must still have the foreign tag.
        let has_foreign = contact.is_some_and(|(tags, _)| tags.iter().any(|tag| tag == "vip"));
        check(has_foreign == case.known, "has lost the foreign tag".into());
    }
    failures
}

/// The tags after a completed sync.
fn expected_tags(case: &Case) -> Vec<&'static str> {
    let mut tags = OUR_TAGS.to_vec();
    tags.retain(|tag| !case.lacks_option(tag));
    if case.connector == Connector::Rule {
        tags.extend(["sesamy", "sesamy_event_contract-update"]);
    }
    if case.known {
        tags.push("vip");
    }
    tags.sort_unstable();
    tags
}
