//! Civic reports: one case per key, routed to the unit that a table of rules names, told to whoever reported it.

use crate::bus::{Consumer, Failure, Message, Subscription, Tick, Turn};
use crate::device_of;
use crate::tx::{Case, CaseState, Tx};
use conch::event::UnixMillis;
use conch::event::json::Json;
use conch::wire::cloudevents::Envelope;

/// Longest kind of a report, in characters.
const KIND_CHARS_MAX: usize = 40;
/// Longest place of a report, in characters.
const PLACE_CHARS_MAX: usize = 64;
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
    /// Reads a rules file: `[{ "kind": "noise", "unit": "patrol", "withinMinutes": 60 }, …]`, one of them for `other`.
    /// The error says which rule is wrong and how.
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
            let rule = Rule {
                kind: text("kind", KIND_CHARS_MAX)?,
                unit: text("unit", KIND_CHARS_MAX)?,
                within_minutes: entry
                    .whole("withinMinutes")
                    .filter(|minutes| (1..=10_080).contains(minutes))
                    .ok_or_else(|| wrong("`withinMinutes` is 1 to 10080"))?,
            };
            if rules.iter().any(|other| other.kind == rule.kind) {
                return Err(wrong(&format!("there is another rule for {}", rule.kind)));
            }
            rules.push(rule);
        }
        if rules.iter().all(|rule| rule.kind != OTHER) {
            return Err(format!("a rule for `{OTHER}` is missing: it takes what no other rule names"));
        }
        Ok(Self(rules))
    }

    fn of(&self, kind: &str) -> Option<&Rule> {
        let named = |name: &str| self.0.iter().find(|rule| rule.kind == name);
        named(kind).or_else(|| named(OTHER))
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
            word => moved(tx, message, word, turn),
        }
    }

    /// A case that nobody took care of in time is told once, to the services and as an alert.
    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        let Some(case) = tx.next_case()? else { return Ok(Tick::Rests(None)) };
        if case.due > turn.now {
            return Ok(Tick::Rests(Some(case.due)));
        }
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
        let first = known.as_ref().is_none_or(|case| case.state == CaseState::Resolved);
        let case = match known {
            Some(known) if known.state != CaseState::Resolved => {
                Case { reports: known.reports + 1, changed_at: turn.now, ..known }
            }
            // A case that was over begins anew.
            before => {
                let rule =
                    self.rules.of(kind).ok_or_else(|| Failure::later("no-rule", "no rule takes it"))?;
                Case {
                    key: message.key.clone(),
                    kind: kind.to_owned(),
                    place: place.to_owned(),
                    unit: rule.unit.clone(),
                    state: CaseState::Routed,
                    reports: before.map_or(0, |case| case.reports) + 1,
                    due: UnixMillis(turn.now.0 + rule.within_minutes * 60_000),
                    escalated: false,
                    reported_at: turn.now,
                    changed_at: turn.now,
                }
            }
        };
        tx.put_case(&case)?;
        let device = device_of(&message.source);
        // Who reports a known case hears where it lies; the services heard of it the first time.
        if !first && device.is_none() {
            return Ok(());
        }
        turn.say(tx, (TOPIC, "routed", &message.key), Some(envelope), device.as_ref(), described(&case))
    }
}

/// The unit says that it takes care of a case, or that it is over. A word that comes late changes nothing.
fn moved(tx: &mut dyn Tx, message: &Message, word: &str, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let case = tx.case(&message.key)?;
    let case = case.ok_or_else(|| Failure::never("no-case", "nobody has reported this case"))?;
    let state = match (word, case.state) {
        ("acknowledged", CaseState::Routed) => CaseState::Acknowledged,
        ("resolved", CaseState::Routed | CaseState::Acknowledged) => CaseState::Resolved,
        _ => return Ok(()),
    };
    let told = case.escalated && case.state == CaseState::Routed;
    let case = Case { state, changed_at: turn.now, ..case };
    tx.put_case(&case)?;
    if told {
        turn.say(tx, (ALERTS, "cleared", &case.key), None, None, alert(&case))?;
    }
    Ok(())
}

fn described(case: &Case) -> Json {
    let text = |text: &str| Json::Text(text.to_owned());
    Json::Object(vec![
        ("kind".to_owned(), text(&case.kind)),
        ("place".to_owned(), text(&case.place)),
        ("unit".to_owned(), text(&case.unit)),
        ("due".to_owned(), Json::Number(case.due.0.to_string())),
        ("reports".to_owned(), Json::Number(case.reports.to_string())),
    ])
}

fn alert(case: &Case) -> Json {
    let mut members = vec![("alert".to_owned(), Json::Text("case_overdue".to_owned()))];
    if let Json::Object(own) = described(case) {
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
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
