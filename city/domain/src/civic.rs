//! Civic reports: one case per key, routed to the unit that a table of rules names, told to whoever reported it.
//!
//! | a report comes | and | then |
//! |---|---|---|
//! | of an unknown case, or one that is over | | a case begins, with the rule of its kind |
//! | of an open case | its kind leaves no less time | the case stays as it is and counts one report more |
//! | of an open case | its kind leaves less time | the case becomes what was reported, is routed anew, and an alert that is up is cleared |
//!
//! The urgent must not hide behind the harmless: whoever says that a child is lost is heard, whatever the key was used
//! for before. A device that reports hears its own kind and place, with the unit that takes care of the case.

use crate::bus::{Consumer, Failure, Message, Subscription, Tick, Turn};
use crate::device_of;
use crate::form::spot_of;
use crate::limits::{KIND_CHARS_MAX, PLACE_CHARS_MAX};
use crate::tx::{Case, CaseState, Fault, Tx};
use conch::event::json::Json;
use conch::event::{UnixMillis, pii};
use conch::wire::cloudevents::Envelope;

/// The kind whose rule takes what no other rule names.
const OTHER: &str = "other";

/// Who takes care of a kind of report, and within which time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Kind of report.
    pub kind: String,
    /// The unit responsible.
    pub unit: String,
    /// How soon somebody must have taken care of it, in minutes.
    pub within_minutes: u64,
    /// How soon after that it must be over, in minutes, if there is such a time.
    pub resolve_within_minutes: Option<u64>,
}

/// The table of rules, with one for all that no other names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Default for Rules {
    fn default() -> Self {
        let rule = |kind: &str, unit: &str, within_minutes| Rule {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            within_minutes,
            resolve_within_minutes: None,
        };
        Self(vec![
            rule("lost_child", "security-desk", 5),
            rule("fire_inspection", "fire-brigade", 30),
            rule("noise", "patrol", 60),
            rule(OTHER, "market-office", 240),
        ])
    }
}

impl Rules {
    /// Reads a rules file: `[{ "kind": "noise", "unit": "patrol", "withinMinutes": 60, "resolveWithinMinutes": 240 }, …]`,
    /// one of them for `other`; the last member may be left out. The error says which rule is wrong and how.
    pub fn read(text: &str) -> Result<Self, String> {
        let json =
            Json::parse(text).map_err(|problem| format!("at byte {}: {}", problem.at, problem.what))?;
        let list = json.as_array().ok_or("a list of rules is expected")?;
        let mut rules: Vec<Rule> = Vec::with_capacity(list.len());
        for (place, entry) in list.iter().enumerate() {
            let wrong = |what: &str| format!("rule {}: {what}", place + 1);
            let text = |name: &str, most: usize| {
                let found = entry.text(name).filter(|text| (1..=most).contains(&text.chars().count()));
                found.map(str::to_owned).ok_or_else(|| wrong(&format!("`{name}` is 1 to {most} characters")))
            };
            let minutes = |name: &str| {
                let found = entry.whole(name).filter(|minutes| (1..=10_080).contains(minutes));
                found.ok_or_else(|| wrong(&format!("`{name}` is 1 to 10080")))
            };
            let resolve = "resolveWithinMinutes";
            let rule = Rule {
                kind: text("kind", KIND_CHARS_MAX)?,
                unit: text("unit", KIND_CHARS_MAX)?,
                within_minutes: minutes("withinMinutes")?,
                resolve_within_minutes: entry.get(resolve).map(|_| minutes(resolve)).transpose()?,
            };
            if rules.iter().any(|other| spot_of(&other.kind) == spot_of(&rule.kind)) {
                return Err(wrong(&format!("there is another rule for {}", rule.kind)));
            }
            rules.push(rule);
        }
        if rules.iter().all(|rule| rule.kind != OTHER) {
            return Err(format!("a rule for `{OTHER}` is missing: it takes what no other rule names"));
        }
        Ok(Self(rules))
    }

    /// The rule for a kind of report, however the kind was written.
    pub fn of(&self, kind: &str) -> Option<&Rule> {
        let named = |name: String| self.0.iter().find(|rule| spot_of(&rule.kind) == name);
        named(spot_of(kind)).or_else(|| named(OTHER.to_owned()))
    }
}

/// The service that routes civic reports.
#[derive(Clone, Debug, Default)]
pub struct Civic {
    /// Who takes care of what.
    pub rules: Rules,
}

impl Consumer for Civic {
    fn name(&self) -> &'static str {
        "civic"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        Subscription::to(TOPIC, &["reported", "acknowledged", "resolved"]).into_iter().collect()
    }

    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        let envelope =
            message.envelope().ok_or_else(|| Failure::never("unreadable", "this is no event any more"))?;
        match message.kind.as_str() {
            "reported" => self.reported(tx, message, &envelope, turn),
            word => self.moved(tx, message, word, turn),
        }
    }

    /// A case that nobody took care of in time is told once, to the services and as an alert.
    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        let Some(case) = tx.next_case()? else { return Ok(Tick::Rests(None)) };
        let Some(due) = case.deadline().filter(|due| *due <= turn.now) else {
            return Ok(Tick::Rests(case.deadline()));
        };
        debug_assert!(!case.escalated && due <= turn.now, "only what is late is told, and once");
        let case = Case { escalated: true, changed_at: turn.now, ..case };
        tx.put_case(&case)?;
        turn.say(tx, (TOPIC, "escalated", &case.key), None, None, described(&case))?;
        turn.say(tx, (ALERTS, "raised", &case.key), None, None, alert(&case))?;
        Ok(Tick::Did)
    }
}

/// The topic of the reports.
const TOPIC: &str = "civic.events.v1";
/// The topic of the alerts.
const ALERTS: &str = "ops.alerts.v1";

impl Civic {
    fn reported(
        &self,
        tx: &mut dyn Tx,
        message: &Message,
        envelope: &Envelope,
        turn: &mut Turn<'_>,
    ) -> Result<(), Failure> {
        let text = |name: &str, most: usize| {
            let found = envelope.data.text(name).filter(|text| (1..=most).contains(&text.chars().count()));
            found.ok_or_else(|| Failure::never("bad-payload", format!("`{name}` is 1 to {most} characters")))
        };
        let (kind, place) = (text("kind", KIND_CHARS_MAX)?, text("place", PLACE_CHARS_MAX)?);
        let known = tx.case(&message.key)?;
        let rule = self.rules.of(kind).ok_or_else(|| Failure::later("no-rule", "no rule takes it"))?;
        let begun = Case {
            key: message.key.clone(),
            kind: kind.to_owned(),
            place: place.to_owned(),
            unit: rule.unit.clone(),
            state: CaseState::Routed,
            reports: known.as_ref().map_or(0, |case| case.reports) + 1,
            due: UnixMillis(turn.now.0 + rule.within_minutes * 60_000),
            resolve_by: None,
            escalated: false,
            reported_at: turn.now,
            changed_at: turn.now,
        };
        let (case, news) = match known.filter(Case::is_open) {
            None => (begun, true),
            Some(known) if self.is_more_urgent(rule, &known) => {
                // What it is now has a time of its own, and will be late once more.
                if known.escalated {
                    turn.say(tx, (ALERTS, "cleared", &known.key), None, None, alert(&known))?;
                }
                (Case { reported_at: known.reported_at, ..begun }, true)
            }
            Some(known) => (Case { reports: known.reports + 1, changed_at: turn.now, ..known }, false),
        };
        tx.put_case(&case)?;
        if news {
            place_case(tx, &case)?;
        }
        let device = device_of(&message.source);
        // Who reports a known case hears where it lies; the services heard of it the first time.
        if !news && device.is_none() {
            return Ok(());
        }
        let own = Case { kind: kind.to_owned(), place: place.to_owned(), ..case };
        turn.say(tx, (TOPIC, "routed", &message.key), Some(envelope), device.as_ref(), described(&own))
    }

    fn is_more_urgent(&self, rule: &Rule, case: &Case) -> bool {
        let standing = self.rules.of(&case.kind);
        standing.is_some_and(|standing| rule.within_minutes < standing.within_minutes)
    }

    /// The unit says that it takes care of a case, or that it is over. A word that comes late changes nothing.
    fn moved(
        &self,
        tx: &mut dyn Tx,
        message: &Message,
        word: &str,
        turn: &mut Turn<'_>,
    ) -> Result<(), Failure> {
        let case = tx.case(&message.key)?;
        let case = case.ok_or_else(|| Failure::never("no-case", "nobody has reported this case"))?;
        let state = match (word, case.state) {
            ("acknowledged", CaseState::Routed) => CaseState::Acknowledged,
            ("resolved", CaseState::Routed | CaseState::Acknowledged) => CaseState::Resolved,
            _ => return Ok(()),
        };
        let told = case.escalated;
        let minutes = self.rules.of(&case.kind).and_then(|rule| rule.resolve_within_minutes);
        let resolve_by = minutes
            .filter(|_| state == CaseState::Acknowledged)
            .map(|minutes| UnixMillis(turn.now.0 + minutes * 60_000));
        let case = Case { state, resolve_by, escalated: false, changed_at: turn.now, ..case };
        tx.put_case(&case)?;
        if state == CaseState::Resolved {
            // Nobody has to be called any more.
            tx.drop_contacts(&case.key)?;
        }
        if told {
            turn.say(tx, (ALERTS, "cleared", &case.key), None, None, alert(&case))?;
        }
        Ok(())
    }
}

/// Notes that further reports of this kind and place belong to the case, unless another open one takes them.
fn place_case(tx: &mut dyn Tx, case: &Case) -> Result<(), Fault> {
    let (kind, spot) = (spot_of(&case.kind), spot_of(&case.place));
    if let Some(other) = tx.spot(&kind, &spot)?
        && other != case.key
        && tx.case(&other)?.is_none_or(|other| takes(&other, &kind, &spot))
    {
        return Ok(());
    }
    tx.put_spot(&kind, &spot, &case.key)
}

/// Whether a report of this kind and place still belongs to the case: it may be over, or have become another.
pub(crate) fn takes(case: &Case, kind: &str, spot: &str) -> bool {
    case.is_open() && spot_of(&case.kind) == kind && spot_of(&case.place) == spot
}

fn described(case: &Case) -> Json {
    let text = |text: &str| Json::Text(text.to_owned());
    Json::Object(vec![
        ("kind".to_owned(), text(&case.kind)),
        ("place".to_owned(), text(&case.place)),
        ("unit".to_owned(), text(&case.unit)),
        ("due".to_owned(), Json::Number(case.deadline().unwrap_or(case.due).0.to_string())),
        ("reports".to_owned(), Json::Number(case.reports.to_string())),
    ])
}

/// What leaves the city is masked: kind and place are whatever somebody wrote.
fn alert(case: &Case) -> Json {
    let masked = |text: &str, most: usize| {
        let mut text = Json::Text(text.to_owned());
        pii::mask(&mut text, &[]);
        // The words of the mask may be longer than what they hide.
        text.as_text().unwrap_or_default().chars().take(most).collect::<String>()
    };
    let case = Case {
        kind: masked(&case.kind, KIND_CHARS_MAX),
        place: masked(&case.place, PLACE_CHARS_MAX),
        ..case.clone()
    };
    let mut members = vec![("alert".to_owned(), Json::Text("case_overdue".to_owned()))];
    if let Json::Object(own) = described(&case) {
        members.extend(own);
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rules_file_says_what_is_wrong_with_it() {
        let read = |text: &str| Rules::read(text).map_err(|error| error.to_string());
        let other = r#"{"kind":"other","unit":"office","withinMinutes":1}"#;
        let noise = r#"{"kind":"noise","unit":"patrol","withinMinutes":60}"#;
        assert_eq!(read(&format!("[{noise},{other}]")).unwrap().of("noise").unwrap().unit, "patrol");
        assert_eq!(read(&format!("[{noise},{other}]")).unwrap().of("music").unwrap().unit, "office");
        for (text, wrong) in [
            ("{", "at byte"),
            ("{}", "a list"),
            (&*format!("[{noise}]"), "`other` is missing"),
            (&*format!("[{other},{other}]"), "rule 2: there is another"),
            (r#"[{"kind":"","unit":"u","withinMinutes":1}]"#, "rule 1: `kind`"),
            (r#"[{"kind":"k","unit":"u","withinMinutes":0}]"#, "rule 1: `withinMinutes`"),
            (
                r#"[{"kind":"k","unit":"u","withinMinutes":1,"resolveWithinMinutes":"x"}]"#,
                "rule 1: `resolveWithinMinutes`",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
