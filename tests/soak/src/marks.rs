//! Words that only personal data and credentials hold.
//!
//! Whatever a function says must hold none of them. They stand in everything
//! that a reader or a publisher would not want told: addresses, names, numbers,
//! receipts, tokens, keys, and what an API quotes of them in its errors.

/// Stands in every e-mail address, name, street, receipt, token and key.
pub const MARK: &str = "q7mark";

/// A phone number, which can hold no letters.
pub const PHONE: &str = "+46709977553";

/// The words to look for, in lower case.
const WORDS: [&str; 3] = [
    MARK,
    // However the number is written.
    "9977553",
    // What the stand-in of Sesamy's tokens begin with.
    "stand-in-token",
];

/// The first word of [`WORDS`] that a text holds, with what stands around it.
pub fn found(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let at = WORDS.iter().filter_map(|word| text.find(word)).min()?;
    let before: Vec<char> = text.get(..at)?.chars().rev().take(200).collect();
    let after = text.get(at..)?.chars().take(100);
    Some(before.into_iter().rev().chain(after).collect())
}
