//! Who speaks to the city, and about what.

use conch::event::{Device, EventType, Topic};

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A scanner at a gate.
    Gate,
    /// A till at a stall.
    Vendor,
    /// The people who run the market.
    Ops,
}

/// Topic families under contract, and the role that speaks on each besides ops.
const RESERVED: &[(&str, Role)] = &[("gate", Role::Gate), ("pay", Role::Vendor)];

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Vendor => "vendor",
            Self::Ops => "ops",
        }
    }

    /// Reads a role's name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Gate, Self::Vendor, Self::Ops].into_iter().find(|role| role.as_str() == word)
    }

    /// Whether this role may write on a topic. Payments and admissions belong to their own role and ops; every
    /// other topic is free.
    pub fn may_write(self, topic: &Topic) -> bool {
        let (domain, _) = topic.family().split_once('.').unwrap_or((topic.family(), ""));
        let owner = RESERVED.iter().find(|(reserved, _)| *reserved == domain).map(|(_, owner)| *owner);
        self == Self::Ops || owner.is_none_or(|owner| owner == self)
    }
}

/// Who says a type of a topic that has no contract in the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Whoever writes on the topic.
    Anybody,
    /// The people who run the market.
    Ops,
    /// The city itself.
    City,
}

/// Who may say what about the market: an alert or a decision that a device made up would send people running.
pub(crate) fn speaker(topic: &Topic, kind: &EventType) -> Speaker {
    match (topic.family(), kind.as_str()) {
        ("ops.alerts" | "market.directory", _)
        | ("civic.events", "routed" | "escalated")
        | ("ops.power", "shed" | "restored") => Speaker::City,
        ("civic.events", "acknowledged" | "resolved") => Speaker::Ops,
        _ => Speaker::Anybody,
    }
}

/// An authenticated device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The device's name.
    pub device: Device,
    /// What it may do.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_writes_its_own_topics_and_the_free_ones() {
        for (role, topic, may) in [
            (Role::Gate, "gate.auth.v2", true),
            (Role::Gate, "pay.txn.v2", false),
            (Role::Vendor, "pay.txn.v1", true),
            (Role::Vendor, "gate.auth.v1", false),
            (Role::Ops, "pay.txn.v2", true),
            (Role::Ops, "gate.auth.v2", true),
            (Role::Gate, "ops.power.v1", true),
            (Role::Vendor, "civic.events.v1", true),
            (Role::Vendor, "gate.v1", false),
        ] {
            assert_eq!(role.may_write(&Topic::parse(topic).unwrap()), may, "{} {topic}", role.as_str());
        }
    }
}
