//! The laws: rules that every connector keeps at its CRM.

mod accounts;
pub mod check;
pub mod forget;
pub mod lives;
pub mod moving;
pub mod preview;
pub mod sync;

/// The names of all laws.
pub const NAMES: &[&str] = crate::for_each_law! { law_names };

/// Tests every law for a [`TestedCrm`](crate::TestedCrm).
#[macro_export]
macro_rules! test_laws {
    ($crm:ty) => {
        $crate::for_each_law! { test_each_law $crm; }
    };
}

/// Gives a macro of this crate all laws, after its own arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_law {
    ($macro:ident $($arguments:tt)*) => {
        $crate::$macro! { $($arguments)*
            async fn removes_what_syncs_wrote_and_keeps_the_publishers_data() in forget;
            async fn finds_nothing_the_second_time() in forget;
            async fn creates_no_contact() in forget;
            async fn finds_a_user_who_is_gone_from_sesamy() in forget;
            async fn finds_a_user_who_is_gone_from_sesamy_by_address() in forget;
            async fn leaves_the_contact_of_another_user_alone() in forget;
            async fn forgets_guests_too() in forget;
            async fn reports_each_failed_call_and_finishes_at_the_next_try() in forget;
            fn preview_announces_exactly_what_the_sync_writes() in preview;
            async fn second_sync_changes_nothing() in sync;
            async fn tag_in_another_case_is_replaced() in sync;
            async fn address_in_capitals_is_the_same_contact() in sync;
            async fn delivered_events_are_those_that_the_crm_got() in sync;
            async fn each_failed_call_is_recovered_by_the_next_try() in sync;
            fn foreign_data_survives_any_sequence_of_states() in sync;
            fn no_sync_changes_consent() in sync;
            async fn contact_moves_with_its_consent_and_the_publishers_data() in moving;
            async fn move_is_finished_after_any_failed_call() in moving;
            async fn contact_of_the_new_address_is_synced_and_the_other_cleared() in moving;
            async fn unsubscribed_user_whose_move_is_refused_stays_unsubscribed() in moving;
            async fn subscribed_user_whose_move_is_refused_gets_a_new_contact() in moving;
            async fn contact_of_another_user_is_never_moved_or_cleared() in moving;
            async fn user_who_is_gone_from_sesamy_loses_our_data() in moving;
            async fn second_batch_of_a_burst_reads_nothing_of_sesamy() in moving;
            async fn users_of_one_address_share_the_contact_of_the_one_with_access() in moving;
            fn every_contact_is_right_after_any_life() in lives;
            fn every_contact_is_right_after_any_interrupted_life() in lives;
            fn every_life_without_a_table_leaves_the_current_contacts_right() in lives;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! law_names {
    ($($(async)? fn $law:ident() in $module:ident;)*) => {
        &[$(stringify!($law)),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! test_each_law {
    ($crm:ty;) => {};
    ($crm:ty; async fn $law:ident() in $module:ident; $($more:tt)*) => {
        #[tokio::test]
        async fn $law() {
            $crate::laws::$module::$law::<$crm>().await;
        }
        $crate::test_each_law! { $crm; $($more)* }
    };
    ($crm:ty; fn $law:ident() in $module:ident; $($more:tt)*) => {
        #[test]
        fn $law() {
            $crate::laws::$module::$law::<$crm>();
        }
        $crate::test_each_law! { $crm; $($more)* }
    };
}
