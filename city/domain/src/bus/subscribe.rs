//! Who hears what: patterns over topics, and the cast that lets an older subscriber go on hearing a newer version.

use super::Message;
use crate::versions::cast_down;
use std::borrow::Cow;

/// Topics by their words: `pay.txn.v2` names one, `*` stands for one word, `>` at the end for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern. `None` when a word is empty or `>` is not the last one.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split('.').collect();
        let fits = words.iter().enumerate().all(|(place, word)| match *word {
            ">" => place + 1 == words.len(),
            "*" => true,
            word => {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            }
        });
        fits.then(|| Self(text.to_owned()))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern names this topic, as it is.
    pub fn names(&self, topic: &str) -> bool {
        let (mut pattern, mut words) = (self.0.split('.'), topic.split('.'));
        loop {
            match (pattern.next(), words.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(own), Some(word)) if own == word => {}
                _ => return false,
            }
        }
    }

    /// The version the pattern ends in, if it names one.
    fn version(&self) -> Option<u32> {
        self.0.rsplit('.').next()?.strip_prefix('v')?.parse().ok()
    }
}

/// What a consumer wants of the topics a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pattern: Pattern,
    kinds: Vec<&'static str>,
}

impl Subscription {
    /// All types of the topics, or only these. `None` when the pattern is none.
    pub fn to(pattern: &str, kinds: &[&'static str]) -> Option<Self> {
        Some(Self { pattern: Pattern::parse(pattern)?, kinds: kinds.to_vec() })
    }

    fn wants(&self, message: &Message) -> bool {
        self.pattern.names(message.topic.as_str())
            && (self.kinds.is_empty() || self.kinds.contains(&message.kind.as_str()))
    }
}

/// The event as the subscriber hears it: as it is where one of its subscriptions names its version, else cast down to
/// the newest older version it subscribes, with the same id and causes. `None` when it hears nothing of it.
pub fn heard<'a>(subscriptions: &[Subscription], message: &'a Message) -> Option<Cow<'a, Message>> {
    if subscriptions.iter().any(|own| own.wants(message)) {
        return Some(Cow::Borrowed(message));
    }
    // One that names this version, only not this type, has said what it wants of it.
    if subscriptions.iter().any(|own| own.pattern.names(message.topic.as_str())) {
        return None;
    }
    let mut older: Vec<u32> = subscriptions
        .iter()
        .filter_map(|own| own.pattern.version().map(|version| (own, version)))
        .filter(|(_, version)| *version < message.topic.version())
        // Only what names the older topic is worth a cast.
        .filter(|(own, version)| own.pattern.names(&format!("{}.v{version}", message.topic.family())))
        .map(|(_, version)| version)
        .collect();
    older.sort_unstable();
    older.iter().rev().find_map(|version| {
        let cast = cast_down(message, *version)?;
        subscriptions.iter().any(|own| own.wants(&cast)).then_some(Cow::Owned(cast))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_topics_word_by_word() {
        for (pattern, topic, names) in [
            ("pay.txn.v2", "pay.txn.v2", true),
            ("pay.txn.v2", "pay.txn.v1", false),
            ("pay.*.v2", "pay.txn.v2", true),
            ("pay.*", "pay.txn.v2", false),
            ("pay.>", "pay.txn.v2", true),
            ("pay.>", "pay", false),
            ("*.*.v1", "gate.auth.v1", true),
            (">", "gate.auth.v1", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().names(topic), names, "{pattern} {topic}");
        }
        for bad in ["", "pay..v1", ">.v1", "Pay.txn.v1", "pay.t*.v1"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }
}
