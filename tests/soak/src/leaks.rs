//! Markers in all personal data and credentials. No log or answer may contain one.
//!
//! They are part of addresses, names, phone numbers, receipts, tokens and keys, and of
//! API errors that quote them.

/// Part of every e-mail address, name, street, receipt, token and key.
pub const MARKER: &str = "q7mark";

/// A phone number cannot contain the marker.
pub const PHONE: &str = "+46709977553";

/// All markers, in lower case.
const MARKERS: [&str; 3] = [
    MARKER,
    // Part of the phone number in any notation.
    "9977553",
    // The prefix of the access tokens that the fake of Sesamy grants.
    "fake-token",
];

/// The first marker in a text, with the text around it.
pub fn find(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let at = MARKERS
        .iter()
        .filter_map(|marker| text.find(marker))
        .min()?;
    let before: Vec<char> = text.get(..at)?.chars().rev().take(200).collect();
    let after = text.get(at..)?.chars().take(100);
    Some(before.into_iter().rev().chain(after).collect())
}
