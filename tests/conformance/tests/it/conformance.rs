//! The laws that every connector keeps.

conformance::test_laws!(crate::crm::ToyCrm);
