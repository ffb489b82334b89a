//! How names are spelt in tags.

use deunicode::AsciiChars as _;

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
    let mut separate = false;
    let ascii = name
        .ascii_chars()
        .flat_map(|known| known.unwrap_or(" ").bytes());
    for byte in ascii {
        if byte.is_ascii_alphanumeric() {
            if separate && !slug.is_empty() {
                slug.push('-');
            }
            separate = false;
            slug.push(char::from(byte.to_ascii_lowercase()));
        } else {
            separate = true;
        }
    }
    slug
}
