//! The public form: a report of somebody who has no device. It becomes an event of the city's own and goes the way of
//! every report.
//!
//! Reports of one kind about one place belong to one case for as long as it is open. Which case that is, is decided
//! here, because the answer names it; what becomes of the case is decided behind the bus.
//!
//! **Nothing personal goes onto the bus.** What the guard finds in the texts is masked, and how somebody can be reached
//! lies beside the case until it is over.

use crate::civic::{Rules, takes};
use crate::ingest::City;
use crate::limits::{CONTACT_CHARS_MAX, KIND_CHARS_MAX, NOTE_CHARS_MAX, PLACE_CHARS_MAX};
use crate::outcome::Said;
use crate::tx::{Case, Fault, FormRow, Tx};
use conch::event::fingerprint::fingerprint;
use conch::event::json::Json;
use conch::event::{EventId, EventType, Key, Topic, UnixMillis, pii};

/// Letters of a case's name: no vowels, so no words, and no digits, so nothing that looks like a phone number.
const LETTERS: &[u8; 16] = b"bcdfghjkmnpqrtvw";
/// Bytes of a case's name: 48 bits, twelve letters to read aloud.
const NAME_BYTES: usize = 6;

/// A filled-in form, with personal data masked and its texts within their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    kind: String,
    place: String,
    note: Option<String>,
    contact: Option<String>,
}

/// Why a form is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormProblem {
    /// A member is missing or too long: its name and its most characters.
    Member(&'static str, usize),
    /// The idempotency key stood for another report before.
    KeyReused,
}

/// What became of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The case it belongs to.
    pub case: Key,
    /// The unit that takes care of it.
    pub unit: String,
    /// Whether somebody reported the same before.
    pub known: bool,
    /// Whether this very form came before.
    pub replayed: bool,
}

impl Form {
    /// Reads what somebody wrote. Spaces around and between words do not count, nor does the case of the kind.
    pub fn read(
        kind: &str,
        place: &str,
        note: Option<&str>,
        contact: Option<&str>,
    ) -> Result<Self, FormProblem> {
        let kind = written("kind", &kind.to_lowercase(), KIND_CHARS_MAX)?;
        let place = written("place", place, PLACE_CHARS_MAX)?;
        // An empty field of a page is a field nobody filled in.
        let filled =
            |text: Option<&'_ str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let note = filled(note).map(|note| written("note", &note, NOTE_CHARS_MAX)).transpose()?;
        let contact = filled(contact);
        if contact.as_ref().is_some_and(|contact| contact.chars().count() > CONTACT_CHARS_MAX) {
            return Err(FormProblem::Member("contact", CONTACT_CHARS_MAX));
        }
        Ok(Self { kind, place, note, contact })
    }

    fn payload(&self) -> Json {
        let text = |text: &String| Json::Text(text.clone());
        let mut members =
            vec![("kind".to_owned(), text(&self.kind)), ("place".to_owned(), text(&self.place))];
        members.extend(self.note.as_ref().map(|note| ("note".to_owned(), text(note))));
        Json::Object(members)
    }
}

/// One text of the form as it may be kept: what cannot be seen is left out, since it would hide a number from the guard or
/// turn a line of the people who read it around.
fn written(name: &'static str, text: &str, most: usize) -> Result<String, FormProblem> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|sign| !is_unseen(*sign)).map(narrow).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    let mut json = Json::Text(words.join(" "));
    pii::mask(&mut json, &[]);
    let text = json.as_text().unwrap_or_default();
    if (1..=most).contains(&text.chars().count()) && !text.chars().all(is_joint) {
        Ok(text.to_owned())
    } else {
        Err(FormProblem::Member(name, most))
    }
}

/// Signs without a picture: controls, and what says how others are to be set.
fn is_unseen(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Signs that only join or vary others, and are needed for it.
fn is_joint(sign: char) -> bool {
    matches!(sign, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// A full-width letter, digit, plus or at sign as a narrow one: so are phone numbers typed, too.
fn narrow(sign: char) -> char {
    match sign {
        '\u{ff0b}' | '\u{ff10}'..='\u{ff19}' | '\u{ff20}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
            char::from_u32(u32::from(sign) - FULL_WIDTH).unwrap_or(sign)
        }
        other => other,
    }
}

/// From a full-width sign to the narrow one.
const FULL_WIDTH: u32 = 0xfee0;

/// A place as it is compared: small letters, full-width signs as narrow ones, and one space for the punctuation between
/// words. Whatever else is written may tell one place from another, as in `Floor -1`. `N 1-2` and `N 12` stay two places:
/// two cases cost a walk, one too few costs a report.
pub(crate) fn spot_of(text: &str) -> String {
    let narrow = |sign: char| match sign {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(sign) - FULL_WIDTH).unwrap_or(sign),
        '\u{2212}' => '-',
        other => other,
    };
    let seen = text.chars().filter(|sign| !is_unseen(*sign) && !is_joint(*sign));
    let mut signs = seen.map(narrow).flat_map(char::to_lowercase).peekable();
    let (mut spot, mut apart) = (String::new(), true);
    while let Some(sign) = signs.next() {
        let is_below = sign == '-' && apart && signs.peek().is_some_and(char::is_ascii_digit);
        if is_between(sign) && !is_below {
            apart = true;
            continue;
        }
        if apart && !spot.is_empty() {
            spot.push(' ');
        }
        apart = false;
        spot.push(sign);
    }
    if spot.is_empty() { text.trim().to_owned() } else { spot }
}

/// Spaces and punctuation, western and eastern. Not `+`, and no other symbol.
fn is_between(sign: char) -> bool {
    sign.is_whitespace()
        || (sign.is_ascii_punctuation() && sign != '+')
        || matches!(sign,
            '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}' | '\u{2010}'..='\u{205e}' |
            '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{3030}' | '\u{30fb}' |
            '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe6b}' | '\u{ff5f}'..='\u{ff65}')
}

/// Takes a form: an event on the bus under the case it belongs to. `asker` is the address it came from with its
/// idempotency key, if it gave one: the same key from the same address gets the same answer.
pub fn file_form<T: Tx + ?Sized>(
    tx: &mut T,
    (city, rules): (&City, &Rules),
    form: &Form,
    asker: Option<(&str, &str)>,
    now: UnixMillis,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Result<Filed, FormProblem>, Fault> {
    let (asker, digest) = (asker.map(hashed), fingerprint(&form.payload(), &[]));
    if let Some(asker) = &asker
        && let Some(row) = tx.form(asker)?
    {
        if row.digest != digest {
            return Ok(Err(FormProblem::KeyReused));
        }
        // Another way to be reached is no other report.
        if let Some(contact) = &form.contact
            && tx.case(&row.case)?.as_ref().is_none_or(Case::is_open)
        {
            tx.put_contact(&row.case, contact, now)?;
        }
        return Ok(Ok(Filed { case: row.case, unit: row.unit, known: row.known, replayed: true }));
    }
    let filed = case_of(tx, rules, form, entropy)?;
    say(tx, city, form, &filed.case, now, entropy())?;
    if let Some(contact) = &form.contact {
        tx.put_contact(&filed.case, contact, now)?;
    }
    if let Some(asker) = asker {
        let Filed { case, unit, known, .. } = filed.clone();
        tx.put_form(&asker, &FormRow { digest, case, unit, known, at: now })?;
    }
    Ok(Ok(filed))
}

/// The open case of this kind and place, or a new one.
fn case_of<T: Tx + ?Sized>(
    tx: &mut T,
    rules: &Rules,
    form: &Form,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Filed, Fault> {
    let unit = rules.of(&form.kind).map(|rule| rule.unit.clone());
    let unit = unit.ok_or_else(|| Fault("no rule takes the report".to_owned()))?;
    let (kind, spot) = (spot_of(&form.kind), spot_of(&form.place));
    if let Some(key) = tx.spot(&kind, &spot)? {
        match tx.case(&key)? {
            Some(case) if takes(&case, &kind, &spot) => {
                return Ok(Filed { case: key, unit: case.unit, known: true, replayed: false });
            }
            // Its first report is still on its way to the service.
            None => return Ok(Filed { case: key, unit, known: true, replayed: false }),
            Some(_) => {}
        }
    }
    let case = new_case(entropy())?;
    tx.put_spot(&kind, &spot, &case)?;
    Ok(Filed { case, unit, known: false, replayed: false })
}

fn new_case(entropy: [u8; 10]) -> Result<Key, Fault> {
    let letter = |half: u8| LETTERS.get(usize::from(half & 15)).copied().map_or('x', char::from);
    let letters = entropy.iter().take(NAME_BYTES).flat_map(|byte| [letter(byte >> 4), letter(*byte)]);
    let name = format!("case-{}", letters.collect::<String>());
    Key::parse(&name).map_err(|_| Fault(format!("{name} is no key")))
}

fn say<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    form: &Form,
    key: &Key,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<(), Fault> {
    let (Ok(topic), Ok(kind)) = (Topic::parse("civic.events.v1"), EventType::parse("reported")) else {
        return Err(Fault("the topic of the reports has no name".to_owned()));
    };
    let id = EventId::mint(now, entropy);
    Said { city, topic: &topic, kind: &kind, key, id, now }.say(tx, None, None, form.payload())
}

/// Neither address nor key is kept.
fn hashed((address, key): (&str, &str)) -> [u8; 32] {
    let text = |text: &str| Json::Text(text.to_owned());
    fingerprint(
        &Json::Object(vec![("address".to_owned(), text(address)), ("key".to_owned(), text(key))]),
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_however_it_was_written() {
        for (one, other, same) in [
            ("N3", " n3 ", true),
            ("Ｎ３", "n3", true),
            ("Row 5, stall 2", "row 5 stall 2", true),
            ("北門　三號", "北門 三號", true),
            ("N1-2", "N12", false),
            ("N3", "N4", false),
            ("???", "!!!", false),
        ] {
            assert_eq!(spot_of(one) == spot_of(other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_form_is_masked_and_within_its_limits() {
        let form = Form::read(" Noise ", "N3  gate", Some("call 0912345678"), Some(" 0912345678 ")).unwrap();
        let mut payload = String::new();
        form.payload().write(&mut payload);
        assert_eq!(payload, r#"{"kind":"noise","place":"N3 gate","note":"call [phone]"}"#);
        assert_eq!(form.contact.as_deref(), Some("0912345678"));
        assert_eq!(Form::read("noise", "N3", Some(" "), Some("")), Form::read("noise", "N3", None, None));
        let (long, endless) = ("x".repeat(101), "x".repeat(501));
        for (kind, place, note, contact, member) in [
            ("", "N3", None, None, "kind"),
            ("noise", "  ", None, None, "place"),
            ("noise", "N3", Some(&*endless), None, "note"),
            ("noise", "N3", None, Some(&*long), "contact"),
            (&*long, "N3", None, None, "kind"),
        ] {
            let problem = Form::read(kind, place, note, contact).unwrap_err();
            assert!(matches!(problem, FormProblem::Member(own, _) if own == member), "{problem:?}");
        }
    }

    #[test]
    fn a_cases_name_is_a_key_whatever_was_drawn() {
        assert_eq!(new_case([0; 10]).unwrap().as_str(), "case-bbbbbbbbbbbb");
        assert_eq!(new_case([255; 10]).unwrap().as_str(), "case-wwwwwwwwwwww");
    }
}
