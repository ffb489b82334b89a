//! A check finds an account's problems by reading only.

use shared::check::CheckCode;

use crate::{Bench, TestedCrm, start};

/// Something wrong with an account, and the problems that a check must report.
pub struct CheckCase<C: TestedCrm> {
    pub name: &'static str,
    pub break_it: fn(&Bench<C::Connector>, &C::Account),
    pub problems: &'static [(&'static str, CheckCode)],
}

/// Runs each case on a separate account. Assumptions that the account does not show
/// are not problems.
pub async fn each_problem_is_found_by_reading<C: TestedCrm>(cases: &[CheckCase<C>]) {
    for case in cases {
        let (bench, account) = start::<C>().await;
        (case.break_it)(&bench, &account);
        bench.assert_problems(case.name, case.problems).await;
        for request in bench.fakes.requests_to(C::API) {
            let (method, path) = (&request.method, &request.path);
            assert!(C::is_read(&request), "{}: {method} {path}", case.name);
        }
    }
}
