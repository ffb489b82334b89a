//! The laws catch the connectors that break them.

use std::collections::BTreeSet;

use conformance::laws::{self, forget, lives, moving, preview, sync};

use crate::check;
use crate::crm::ToyCrm;
use crate::flawed::Extra::{
    ForeignField, NoForeignTags, NoTagsInCapitals, SpellingOfBefore, StaleFields, StaleTags,
    Subscription, WhatIsThere,
};
use crate::flawed::Flaw::{self, *};
use crate::flawed::ForgetFlaw::{self, *};
use crate::flawed::{FlawedToy, set_flaw};

type Flawed = ToyCrm<FlawedToy>;

struct Law {
    name: &'static str,
    test: fn(),
    /// Has random cases, and so takes seconds to hold.
    is_random: bool,
}

macro_rules! law {
    (async $module:ident::$law:ident) => {
        Law {
            name: stringify!($law),
            test: || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on($module::$law::<Flawed>());
            },
            is_random: false,
        }
    };
    ($module:ident::$law:ident) => {
        Law {
            name: stringify!($law),
            test: $module::$law::<Flawed>,
            is_random: true,
        }
    };
}

impl Law {
    fn holds(&self, flaw: Option<Flaw>) -> bool {
        let test = self.test;
        let thread = std::thread::spawn(move || {
            set_flaw(flaw);
            test();
        });
        thread.join().is_ok()
    }
}

/// Each flaw with a law that must catch it. Without a flaw, the connector is Toy's and
/// keeps every law.
fn cases() -> Vec<(Flaw, Law)> {
    vec![
        (
            AlsoWrites(WhatIsThere),
            law!(async sync::second_sync_changes_nothing),
        ),
        (
            AlsoWrites(SpellingOfBefore),
            law!(async sync::tag_in_another_case_is_replaced),
        ),
        (
            LooksUpAsTyped,
            law!(async sync::address_in_capitals_is_the_same_contact),
        ),
        (
            Flaw::HidesFailures,
            law!(async sync::each_failed_call_is_recovered_by_the_next_try),
        ),
        (
            AlsoWrites(NoForeignTags),
            law!(sync::foreign_data_survives_any_sequence_of_states),
        ),
        (
            AlsoWrites(NoTagsInCapitals),
            law!(sync::foreign_data_survives_any_sequence_of_states),
        ),
        (
            AlsoWrites(StaleTags),
            law!(sync::foreign_data_survives_any_sequence_of_states),
        ),
        (
            AlsoWrites(StaleFields),
            law!(sync::foreign_data_survives_any_sequence_of_states),
        ),
        (
            AlsoWrites(ForeignField),
            law!(sync::foreign_data_survives_any_sequence_of_states),
        ),
        (
            AlsoWrites(Subscription),
            law!(sync::no_sync_changes_consent),
        ),
        (
            CountsEventsAsDelivered,
            law!(async sync::delivered_events_are_those_that_the_crm_got),
        ),
        (
            PreviewWrites,
            law!(preview::preview_announces_exactly_what_the_sync_writes),
        ),
        (
            PreviewLeavesOutAField,
            law!(preview::preview_announces_exactly_what_the_sync_writes),
        ),
        (
            DoesNotMove,
            law!(async moving::contact_moves_with_its_consent_and_the_publishers_data),
        ),
        (
            MoveSubscribes,
            law!(async moving::contact_moves_with_its_consent_and_the_publishers_data),
        ),
        (
            Flaw::HidesFailures,
            law!(async moving::move_is_finished_after_any_failed_call),
        ),
        (
            LeavesOurDataBehind,
            law!(async moving::contact_of_the_new_address_is_synced_and_the_other_cleared),
        ),
        (
            ForgetsThatTheUserLeft,
            law!(async moving::unsubscribed_user_whose_move_is_refused_stays_unsubscribed),
        ),
        (
            GivesUpRefusedMoves,
            law!(async moving::subscribed_user_whose_move_is_refused_gets_a_new_contact),
        ),
        (
            TrustsRememberedIds,
            law!(async moving::contact_of_another_user_is_never_moved_or_cleared),
        ),
        (
            RemembersNoReference,
            law!(async moving::user_who_is_gone_from_sesamy_loses_our_data),
        ),
        (
            CannotDeliver,
            law!(async moving::second_batch_of_a_burst_reads_nothing_of_sesamy),
        ),
        (
            Forget(KeepsTags),
            law!(async forget::removes_what_syncs_wrote_and_keeps_the_publishers_data),
        ),
        (
            Forget(DropsForeignTags),
            law!(async forget::removes_what_syncs_wrote_and_keeps_the_publishers_data),
        ),
        (
            Forget(AlwaysWrites),
            law!(async forget::finds_nothing_the_second_time),
        ),
        (
            Forget(CreatesContacts),
            law!(async forget::creates_no_contact),
        ),
        (
            Forget(IgnoresReferences),
            law!(async forget::finds_a_user_who_is_gone_from_sesamy),
        ),
        (
            Forget(IgnoresAddresses),
            law!(async forget::finds_a_user_who_is_gone_from_sesamy_by_address),
        ),
        (
            Forget(IgnoresOwners),
            law!(async forget::leaves_the_contact_of_another_user_alone),
        ),
        (Forget(NeedsOwner), law!(async forget::forgets_guests_too)),
        (
            Forget(ForgetFlaw::HidesFailures),
            law!(async forget::reports_each_failed_call_and_finishes_at_the_next_try),
        ),
        (
            DoesNotMove,
            law!(lives::every_contact_is_right_after_any_life),
        ),
        (
            DoesNotMove,
            law!(lives::every_contact_is_right_after_any_interrupted_life),
        ),
        (
            AlsoWrites(StaleTags),
            law!(lives::every_life_without_a_table_leaves_the_current_contacts_right),
        ),
    ]
}

/// The rest of the consumer keeps this one, whatever a connector does.
const NOT_THE_CONNECTORS: &str = "users_of_one_address_share_the_contact_of_the_one_with_access";

#[test]
fn each_law_catches_the_connector_that_breaks_it() {
    let mut broken = BTreeSet::from([NOT_THE_CONNECTORS]);
    for (flaw, law) in cases() {
        let name = law.name;
        // So it is the flaw that breaks the law.
        assert!(law.is_random || law.holds(None), "{name}");
        assert!(!law.holds(Some(flaw)), "{name} does not catch {flaw:?}");
        broken.insert(name);
    }
    assert_eq!(broken, BTreeSet::from_iter(laws::NAMES.iter().copied()));
}

/// Its cases belong to the connector, so that it is none of the laws that are listed.
#[test]
fn a_check_that_writes_is_caught() {
    let law = Law {
        name: "each_problem_is_found_by_reading",
        test: || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(conformance::each_problem_is_found_by_reading(
                &check::cases::<FlawedToy>(),
            ));
        },
        is_random: false,
    };
    assert!(law.holds(None), "{}", law.name);
    assert!(!law.holds(Some(CheckWrites)), "{}", law.name);
}
