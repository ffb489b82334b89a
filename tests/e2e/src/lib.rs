//! Only tests, in `tests/deployed`: the deployed stack as Sesamy, a CRM and an
//! operator see it.
