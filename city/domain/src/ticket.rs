//! Tickets as the city issued them, and what is wrong with one that is shown at a gate.

use crate::tx::{Fault, Tx};
use conch::event::{Key, UnixMillis};

/// An issued ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Ticket id: the business key of its scans.
    pub key: Key,
    /// What it is good for, in the market's own words.
    pub class: String,
    /// Not before then, if at all.
    pub valid_from: Option<UnixMillis>,
    /// Not from then on, if at all.
    pub valid_until: Option<UnixMillis>,
    /// Only at these gates; at every one when there are none.
    pub gates: Vec<String>,
    /// When it was issued.
    pub issued_at: UnixMillis,
    /// When it was revoked and why.
    pub revoked: Option<(UnixMillis, String)>,
}

/// What the city thinks of tickets it never issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They are sold elsewhere and admitted once like any other.
    #[default]
    Any,
    /// They are none.
    Known,
}

/// What is wrong with a ticket at a gate at a time. Whether it was used is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The city never issued it, and others do not count.
    Unknown,
    /// It was taken back before.
    Revoked,
    /// Too early.
    NotYetValid,
    /// Too late.
    Expired,
    /// It is good for other gates.
    WrongGate,
}

impl Flaw {
    const ALL: [Self; 5] = [Self::Unknown, Self::Revoked, Self::NotYetValid, Self::Expired, Self::WrongGate];

    /// Why a gate that asks is told to let nobody in.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_ticket",
            Self::Revoked => "revoked",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::WrongGate => "wrong_gate",
        }
    }

    /// The flag of an admission that had happened when the city heard of it.
    pub fn admitted_but(self) -> &'static str {
        match self {
            Self::Unknown => "admitted_but_unknown_ticket",
            Self::Revoked => "admitted_but_revoked",
            Self::NotYetValid => "admitted_but_not_yet_valid",
            Self::Expired => "admitted_but_expired",
            Self::WrongGate => "admitted_but_wrong_gate",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.as_str() == word)
    }
}

impl Ticket {
    /// What is wrong with it there and then. A ticket that was revoked later was good at the time.
    pub fn flaw(&self, gate: &str, at: UnixMillis) -> Option<Flaw> {
        if self.revoked.as_ref().is_some_and(|(since, _)| *since <= at) {
            return Some(Flaw::Revoked);
        }
        if self.valid_from.is_some_and(|from| at < from) {
            return Some(Flaw::NotYetValid);
        }
        if self.valid_until.is_some_and(|until| until <= at) {
            return Some(Flaw::Expired);
        }
        let here = self.gates.is_empty() || self.gates.iter().any(|own| own == gate);
        (!here).then_some(Flaw::WrongGate)
    }
}

/// What is wrong with a ticket there and then, issued or not.
pub(crate) fn flaw<T: Tx + ?Sized>(
    tx: &mut T,
    key: &Key,
    gate: &str,
    at: UnixMillis,
) -> Result<Option<Flaw>, Fault> {
    if let Some(ticket) = tx.ticket(key)? {
        return Ok(ticket.flaw(gate, at));
    }
    Ok((tx.ticket_policy()? == Policy::Known).then_some(Flaw::Unknown))
}

/// What is wrong with a ticket for somebody who is still outside: what was wrong when it was shown, or that it was taken
/// back since.
pub(crate) fn flaw_outside<T: Tx + ?Sized>(
    tx: &mut T,
    key: &Key,
    gate: &str,
    (shown, now): (UnixMillis, UnixMillis),
) -> Result<Option<Flaw>, Fault> {
    let revoked = tx.ticket(key)?.and_then(|ticket| ticket.revoked);
    if revoked.is_some_and(|(since, _)| since <= now) {
        return Ok(Some(Flaw::Revoked));
    }
    flaw(tx, key, gate, shown)
}

/// What is said of a ticket where its id must not stand: the first eight bytes of SHA-256 over the id, in hex.
pub fn digest(key: &Key) -> String {
    format!("{:016x}", key.lane().0)
}

/// A key made of the digest. Some sixteen digits would pass for a card number, which no key may hold.
pub(crate) fn digest_key(key: &Key) -> Result<Key, Fault> {
    let named = Key::parse(&format!("ticket-{}", digest(key))).or_else(|_| Key::parse("ticket"));
    named.map_err(|_| Fault("a ticket's digest has no name".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            key: Key::parse("t-1").unwrap(),
            class: "adult".to_owned(),
            valid_from: Some(UnixMillis(100)),
            valid_until: Some(UnixMillis(200)),
            gates: vec!["n1".to_owned()],
            issued_at: UnixMillis(1),
            revoked: None,
        }
    }

    #[test]
    fn row_what_is_wrong_with_a_ticket() {
        let flaw = |gate: &str, at| ticket().flaw(gate, UnixMillis(at));
        assert_eq!(flaw("n1", 99), Some(Flaw::NotYetValid));
        assert_eq!(flaw("n1", 100), None);
        assert_eq!(flaw("n1", 199), None);
        assert_eq!(flaw("n1", 200), Some(Flaw::Expired));
        assert_eq!(flaw("s1", 150), Some(Flaw::WrongGate));
        let open = Ticket { valid_from: None, valid_until: None, gates: Vec::new(), ..ticket() };
        assert_eq!(open.flaw("s1", UnixMillis(9_999)), None);
    }

    #[test]
    fn a_revoked_ticket_was_good_before() {
        let revoked = Ticket { revoked: Some((UnixMillis(150), "resold".to_owned())), ..ticket() };
        assert_eq!(revoked.flaw("n1", UnixMillis(149)), None);
        assert_eq!(revoked.flaw("s1", UnixMillis(150)), Some(Flaw::Revoked), "before all else");
    }

    #[test]
    fn every_word_is_read_back() {
        for flaw in Flaw::ALL {
            assert_eq!(Flaw::parse(flaw.as_str()), Some(flaw));
            assert_eq!(flaw.admitted_but(), format!("admitted_but_{}", flaw.as_str()));
        }
        assert_eq!(Flaw::parse("sold"), None);
    }

    /// `printf %s t-1 | sha256sum`
    #[test]
    fn the_digest_is_the_beginning_of_sha_256_over_the_id() {
        assert_eq!(digest(&Key::parse("t-1").unwrap()), "46e9bc3476c92ea2");
    }
}
