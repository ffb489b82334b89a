//! Nothing but tests, in `tests/deployed`: what a deployed stack does, seen
//! from outside, by Sesamy, a CRM and an operator.
