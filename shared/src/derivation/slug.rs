//! How names are spelt in tags.

use deunicode::deunicode_char;

/// A name in lower-case ASCII, words joined by hyphens: `Året runt & Nu!`
/// becomes `aret-runt-nu`. Empty where nothing of the name can be spelt so.
///
/// Decided. Known: tags are lower case and hyphen-separated. Assumed: letters
/// are transliterated to ASCII (`å`, `ä` → `a`, `ö`, `ø` → `o`, `æ` → `ae`,
/// `ß` → `ss`, other scripts, symbols and emoji as the transliteration library
/// has it), and each run of anything but `a`–`z` and `0`–`9` becomes one
/// hyphen, with none at the ends.
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    let mut parted = false;
    for character in name.chars().flat_map(ascii) {
        if character.is_ascii_alphanumeric() {
            if parted && !slug.is_empty() {
                slug.push('-');
            }
            slug.push(character.to_ascii_lowercase());
        }
        parted = !character.is_ascii_alphanumeric();
    }
    slug
}

/// A character in ASCII, which may be several or none. One that the library
/// does not know parts words, like a blank.
fn ascii(character: char) -> impl Iterator<Item = char> {
    // The library has no use for control characters, but a tab parts words.
    let itself = character.is_ascii().then_some(character);
    let spelt = match itself {
        Some(_) => "",
        None => deunicode_char(character).unwrap_or(" "),
    };
    itself.into_iter().chain(spelt.chars())
}
