//! Empty: all code is in `tests/deployed`.
