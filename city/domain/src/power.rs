//! Power: the loads of a circuit's stalls are kept below its breaker by shedding the least important first, and given
//! back when there is room again for a while.
//!
//! | the circuit carries | and | then |
//! |---|---|---|
//! | more than [`SHED_ABOVE`] % of its limit | | the least important stalls are shed until it carries at most [`SHED_TO`] % |
//! | with the stall at most [`RESTORE_TO`] % | it was shed [`OFF_MIN_MS`] ago and nothing changed for [`SETTLE_MS`] | the most important shed stall comes back |
//! | anything else | | nothing changes |
//!
//! The gap between the two and the least times are the hysteresis: a load at the edge must not switch a stall on and
//! off. Events of a circuit are handled in order, because the circuit is their key. What a stall drew a while ago, before
//! its link came back or this service began, switches nobody: a load counts for [`LOAD_FRESH_MS`] from when it was
//! measured, and an earlier one never over a later one.

use crate::bus::{Consumer, Failure, Message, Subscription, Tick, Turn};
use crate::device_of;
use crate::limits::{
    GRACE_S, IMPORTANCE_MAX, LOAD_FRESH_MS, OFF_MIN_MS, RESTORE_TO, SETTLE_MS, SHED_ABOVE, SHED_TO, WATTS_MAX,
};
use crate::tx::{Load, Tx};
use conch::event::json::Json;
use conch::event::{Device, Key, UnixMillis};

/// One circuit of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Its name, the key of its events.
    pub name: Key,
    /// What its breaker bears, in watts.
    pub limit_watts: u64,
    /// Importance of its stalls: 1 is shed last, 9 first.
    pub stalls: Vec<(Device, u64)>,
    /// Devices that report for other stalls.
    pub meters: Vec<Device>,
}

/// All circuits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(Vec<Circuit>);

impl Plan {
    /// Reads a plan: `[{ "circuit": "c4", "limitWatts": 3500, "stalls": { "stall-7": 1, "stall-8": 5 } }, …]`. The
    /// error says which circuit is wrong and how.
    pub fn read(text: &str) -> Result<Self, String> {
        let json =
            Json::parse(text).map_err(|problem| format!("at byte {}: {}", problem.at, problem.what))?;
        Self::of_list(&json)
    }

    /// The same from a list that stands in a larger file.
    pub fn of_list(json: &Json) -> Result<Self, String> {
        let mut circuits: Vec<Circuit> = Vec::new();
        for (place, entry) in json.as_array().ok_or("a list of circuits is expected")?.iter().enumerate() {
            let wrong = |what: &str| format!("circuit {}: {what}", place + 1);
            let name = entry.text("circuit").and_then(|name| Key::parse(name).ok());
            let name = name.ok_or_else(|| wrong("`circuit` is its name, a key"))?;
            let limit = entry.whole("limitWatts").filter(|limit| (1..=10 * WATTS_MAX).contains(limit));
            let limit_watts = limit.ok_or_else(|| wrong("`limitWatts` is 1 to 1000000"))?;
            let mut stalls = Vec::new();
            if let Some(given) = entry.get("stalls") {
                let Json::Object(members) = given else { return Err(wrong("`stalls` is an object")) };
                for (stall, importance) in members {
                    let device = Device::parse(stall).map_err(|_| wrong(&format!("{stall} is no device")))?;
                    let importance =
                        importance.as_whole().filter(|number| (1..=IMPORTANCE_MAX).contains(number));
                    stalls.push((device, importance.ok_or_else(|| wrong(&format!("{stall} has 1 to 9")))?));
                }
            }
            if circuits.iter().any(|other| other.name == name) {
                return Err(wrong("there is another one of this name"));
            }
            let mut meters = Vec::new();
            for meter in entry.get("meters").and_then(Json::as_array).unwrap_or_default() {
                let meter = meter.as_text().and_then(|meter| Device::parse(meter).ok());
                meters.push(meter.ok_or_else(|| wrong("`meters` is a list of devices"))?);
            }
            circuits.push(Circuit { name, limit_watts, stalls, meters });
        }
        Ok(Self(circuits))
    }

    /// All of them, as the plan lists them.
    pub fn circuits(&self) -> &[Circuit] {
        &self.0
    }

    /// The circuit of this name.
    pub fn of(&self, name: &Key) -> Option<&Circuit> {
        self.0.iter().find(|circuit| circuit.name == *name)
    }
}

impl Circuit {
    /// The importance of a stall; one the plan does not name is shed first.
    pub fn importance(&self, stall: &Device) -> u64 {
        self.stalls.iter().find(|(own, _)| own == stall).map_or(IMPORTANCE_MAX, |(_, importance)| *importance)
    }

    fn percent(&self, percent: u64) -> u64 {
        self.limit_watts * percent / 100
    }

    /// Which stalls are to be shed now, the first one first.
    fn to_shed(&self, loads: &[Load], now: UnixMillis) -> Vec<Load> {
        let mut carried = carried(loads, now);
        let mut shed = Vec::new();
        if carried <= self.percent(SHED_ABOVE) {
            return shed;
        }
        let mut on: Vec<&Load> =
            loads.iter().filter(|load| load.shed_at.is_none() && load.draws(now) > 0).collect();
        // The least important first; among equals the largest, so that few are bothered.
        on.sort_by_key(|load| {
            (std::cmp::Reverse((self.importance(&load.stall), load.watts)), load.stall.clone())
        });
        for load in on {
            if carried <= self.percent(SHED_TO) {
                break;
            }
            carried = carried.saturating_sub(load.draws(now));
            shed.push(load.clone());
        }
        shed
    }

    /// Which stall comes back now, or when one may, if nothing but time keeps it off.
    fn to_restore(&self, loads: &[Load], now: UnixMillis) -> Result<Load, Option<UnixMillis>> {
        let mut off: Vec<&Load> = loads.iter().filter(|load| load.shed_at.is_some()).collect();
        off.sort_by_key(|load| (self.importance(&load.stall), load.shed_at, load.stall.clone()));
        let carried = carried(loads, now);
        // With nobody else on, one that needs nearly all of it may have it.
        let most = self.percent(if carried == 0 { SHED_ABOVE } else { RESTORE_TO });
        let next = off.into_iter().find(|load| carried + load.watts <= most).ok_or(None)?;
        let changed = loads.iter().filter_map(|load| load.changed_at).max().map_or(0, |at| at.0);
        let since = next.shed_at.map_or(0, |at| at.0);
        let due = UnixMillis((since + OFF_MIN_MS).max(changed + SETTLE_MS));
        if due > now { Err(Some(due)) } else { Ok(next.clone()) }
    }
}

impl Load {
    /// What it draws now, as far as is known: a stall that was told to go off counts again when it is still drawing
    /// after its grace period, and one that has been silent for long is not there.
    fn draws(&self, now: UnixMillis) -> u64 {
        if self.at.0 + LOAD_FRESH_MS < now.0 {
            return 0;
        }
        let going = self.shed_at.is_some_and(|shed| self.at.0 <= shed.0 + GRACE_S * 1_000);
        if going { 0 } else { self.drawn }
    }
}

/// What the stalls draw together, in watts, as far as is known now.
pub fn carried(loads: &[Load], now: UnixMillis) -> u64 {
    loads.iter().map(|load| load.draws(now)).sum()
}

/// The topic of the loads.
const TOPIC: &str = "ops.power.v1";

/// The service that keeps the breakers closed.
#[derive(Clone, Debug, Default)]
pub struct Power {
    /// The circuits it knows.
    pub plan: Plan,
}

impl Consumer for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        // Without a plan there is nothing to keep below its limit.
        if self.plan.0.is_empty() {
            return Vec::new();
        }
        Subscription::to(TOPIC, &["load_reported"]).into_iter().collect()
    }

    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        let envelope =
            message.envelope().ok_or_else(|| Failure::never("unreadable", "this is no event any more"))?;
        let circuit = self.plan.of(&message.key);
        let circuit =
            circuit.ok_or_else(|| Failure::never("unknown-circuit", "the plan has no such circuit"))?;
        let watts = envelope.data.whole("watts").filter(|watts| *watts <= WATTS_MAX);
        let watts =
            watts.ok_or_else(|| Failure::never("bad-payload", format!("`watts` is 0 to {WATTS_MAX}")))?;
        let reporter = device_of(&message.source);
        let reporter =
            reporter.ok_or_else(|| Failure::never("bad-payload", "only a device reports a load"))?;
        // A meter of the plan speaks for others; everybody else only for the own stall.
        let stall = match envelope.data.text("stall") {
            Some(stall) if stall == reporter.as_str() => reporter,
            Some(stall) if circuit.meters.contains(&reporter) => {
                Device::parse(stall).map_err(|_| Failure::never("bad-payload", "`stall` is a device"))?
            }
            Some(_) => return Err(Failure::never("not-a-meter", "a stall reports its own load alone")),
            None => reporter,
        };
        let at = tx.happened(&message.source, message.id)?.unwrap_or(turn.now).min(turn.now);
        let known = tx.load(&circuit.name, &stall)?;
        if at.0 + LOAD_FRESH_MS < turn.now.0 || known.as_ref().is_some_and(|known| at < known.at) {
            return Ok(());
        }
        let load = match known {
            // A stall that is off reports what is left of it; what it would draw again is what it drew before.
            Some(load) => {
                let wanted = if load.shed_at.is_some() { load.watts } else { watts };
                Load { watts: wanted, drawn: watts, at, ..load }
            }
            None => Load {
                circuit: circuit.name.clone(),
                stall,
                watts,
                drawn: watts,
                at,
                shed_at: None,
                changed_at: None,
            },
        };
        tx.put_load(&load)?;
        for load in circuit.to_shed(&tx.loads(&circuit.name)?, turn.now) {
            let load = Load { shed_at: Some(turn.now), changed_at: Some(turn.now), ..load };
            self.switch(tx, turn, Some(message), &load, "shed")?;
        }
        Ok(())
    }

    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        let mut next = None;
        for name in tx.shedding()? {
            // A circuit that is no longer in the plan is switched by hand.
            let Some(circuit) = self.plan.of(&name) else { continue };
            match circuit.to_restore(&tx.loads(&name)?, turn.now) {
                Ok(load) => {
                    let load = Load { shed_at: None, changed_at: Some(turn.now), ..load };
                    self.switch(tx, turn, None, &load, "restored")?;
                    return Ok(Tick::Did);
                }
                Err(due) => next = [next, due].into_iter().flatten().min(),
            }
        }
        Ok(Tick::Rests(next))
    }
}

impl Power {
    /// Notes it, says it, and tells the stall's device.
    fn switch(
        &self,
        tx: &mut dyn Tx,
        turn: &mut Turn<'_>,
        cause: Option<&Message>,
        load: &Load,
        kind: &'static str,
    ) -> Result<(), Failure> {
        tx.put_load(load)?;
        let mut members = vec![
            ("stall".to_owned(), Json::Text(load.stall.to_string())),
            ("watts".to_owned(), Json::Number(load.watts.to_string())),
        ];
        if load.shed_at.is_some() {
            members.push(("graceS".to_owned(), Json::Number(GRACE_S.to_string())));
        }
        let cause = cause.and_then(Message::envelope);
        turn.say(tx, (TOPIC, kind, &load.circuit), cause.as_ref(), Some(&load.stall), Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_wrong_with_it() {
        let plan = Plan::read(r#"[{"circuit":"c4","limitWatts":3500,"stalls":{"stall-7":1}}]"#).unwrap();
        let circuit = plan.of(&Key::parse("c4").unwrap()).unwrap();
        let importance = |stall: &str| circuit.importance(&Device::parse(stall).unwrap());
        assert_eq!((importance("stall-7"), importance("stall-9")), (1, 9));
        for (text, wrong) in [
            ("{}", "a list"),
            (r#"[{"limitWatts":1}]"#, "circuit 1: `circuit`"),
            (r#"[{"circuit":"c","limitWatts":0}]"#, "circuit 1: `limitWatts`"),
            (r#"[{"circuit":"c","limitWatts":9,"stalls":{"A b":1}}]"#, "A b is no device"),
            (r#"[{"circuit":"c","limitWatts":9,"stalls":{"a":10}}]"#, "a has 1 to 9"),
            (
                r#"[{"circuit":"c","limitWatts":9},{"circuit":"c","limitWatts":9}]"#,
                "circuit 2: there is another",
            ),
        ] {
            assert!(Plan::read(text).unwrap_err().contains(wrong), "{text}");
        }
    }
}
