//! The soak in its short form, beside the table of faults.
