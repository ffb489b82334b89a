//! Spells names for tags.

use deunicode::deunicode_char;

/// A name in lower-case ASCII, words joined by hyphens: `Året runt & Nu!`
/// becomes `aret-runt-nu`. Empty if no character of the name has a spelling.
///
/// Decided. Known: tags are lower case and hyphen-separated. Assumed:
/// characters are transliterated to ASCII (`å`, `ä` → `a`, `ö`, `ø` → `o`, `æ`
/// → `ae`, `ß` → `ss`; other scripts, symbols and emoji as the transliteration
/// library does it), and each run of anything but `a`–`z` and `0`–`9` becomes
/// one hyphen, with none at the ends.
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    let mut is_separated = false;
    for character in name.chars().flat_map(ascii) {
        if character.is_ascii_alphanumeric() {
            if is_separated && !slug.is_empty() {
                slug.push('-');
            }
            slug.push(character.to_ascii_lowercase());
        }
        is_separated = !character.is_ascii_alphanumeric();
    }
    slug
}

/// The ASCII spelling of a character: any number of characters. One that the
/// library does not know separates words.
fn ascii(character: char) -> impl Iterator<Item = char> {
    // The library drops control characters, but a tab separates words.
    let ascii = character.is_ascii().then_some(character);
    let transliterated = match ascii {
        Some(_) => "",
        None => deunicode_char(character).unwrap_or(" "),
    };
    ascii.into_iter().chain(transliterated.chars())
}
