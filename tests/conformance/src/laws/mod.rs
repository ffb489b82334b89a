//! The laws: rules that every connector keeps at its CRM.

mod accounts;
pub mod check;
pub mod forget;
pub mod preview;
pub mod sync;

/// Tests every law for a [`TestedCrm`](crate::TestedCrm).
#[macro_export]
macro_rules! test_laws {
    ($crm:ty) => {
        $crate::test_laws! { $crm;
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
            async fn each_failed_call_is_recovered_by_the_next_try() in sync;
            fn foreign_data_survives_any_sequence_of_states() in sync;
            fn no_sync_changes_consent() in sync;
        }
    };
    ($crm:ty;) => {};
    ($crm:ty; async fn $law:ident() in $module:ident; $($more:tt)*) => {
        #[tokio::test]
        async fn $law() {
            $crate::laws::$module::$law::<$crm>().await;
        }
        $crate::test_laws! { $crm; $($more)* }
    };
    ($crm:ty; fn $law:ident() in $module:ident; $($more:tt)*) => {
        #[test]
        fn $law() {
            $crate::laws::$module::$law::<$crm>();
        }
        $crate::test_laws! { $crm; $($more)* }
    };
}
