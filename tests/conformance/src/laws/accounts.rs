use std::cell::{Cell, RefCell};

use proptest::strategy::Strategy;
use tokio::runtime::Runtime;

use crate::{Bench, TestedCrm, seeded, start};

/// Tests so many random cases, each with a new account and a new function instance.
pub(super) fn test_with_new_accounts<C: TestedCrm, S: Strategy>(
    count: u32,
    cases: &S,
    test: impl Fn(&Runtime, &Bench<C::Connector>, &C::Account, S::Value),
) {
    let runtime = Runtime::new().unwrap();
    let (bench, _) = runtime.block_on(start::<C>());
    bench.sesamy.set_rate_limit(None);
    let (bench, number) = (RefCell::new(bench), Cell::new(0));
    let run = |case| {
        number.set(number.get() + 1);
        let account = add_account::<C>(&mut bench.borrow_mut(), number.get());
        test(&runtime, &bench.borrow(), &account, case);
        Ok(())
    };
    seeded(count).run(cases, run).unwrap();
}

/// Gives the vendor a new account, and restarts the function instance.
fn add_account<C: TestedCrm>(bench: &mut Bench<C::Connector>, number: u32) -> C::Account {
    let name = format!("account{number}");
    let account = C::add_account(&bench.fakes, &name);
    bench.put_connector_secret(&C::secret(&bench.fakes, &name));
    bench.restart(C::Connector::default());
    account
}
