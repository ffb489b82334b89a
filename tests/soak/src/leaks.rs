//! Markers in all personal data and credentials, which no log or answer may contain.
//!
//! They are in addresses, names, numbers, receipts, tokens, keys, and in what an
//! API quotes of them in its errors.

/// Part of every e-mail address, name, street, receipt, token and key.
pub const MARKER: &str = "q7mark";

/// A phone number cannot contain the marker.
pub const PHONE: &str = "+46709977553";

/// In lower case.
const MARKERS: [&str; 3] = [
    MARKER,
    // Part of the phone number in any notation.
    "9977553",
    // The prefix of the tokens of the fake of Sesamy.
    "fake-token",
];

/// The first marker in a text, with its surroundings.
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
