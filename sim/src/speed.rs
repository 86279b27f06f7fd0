//! How much of the world was lived through, and at what cost of this machine.

use crate::plan::{Plan, Report};
use core::fmt;
use core::ops::Range;

const HOUR_MS: f64 = 3_600_000.0;
const HOURS_OF_A_YEAR: f64 = 24.0 * 365.25;
/// Clock ticks of one second, as Linux tells them to programs on every architecture.
const TICKS: f64 = 100.0;

/// What was simulated, and the processor's time for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// The seeds that held.
    pub seeds: Range<u64>,
    /// Devices of each run.
    pub devices: usize,
    /// Virtual time of all runs, weather and calm, in ms.
    pub virtual_ms: u64,
    /// Processor time of this process, in seconds. Nothing where the system does not tell it.
    pub cpu_s: Option<f64>,
    /// The sums of all runs.
    pub met: Report,
    /// The command that replays the seed that broke a promise, if one did.
    pub broken: Option<String>,
}

impl Speed {
    /// Nothing yet.
    pub fn new(plan: &Plan, first: u64) -> Self {
        Self {
            seeds: first..first,
            devices: plan.devices,
            virtual_ms: 0,
            cpu_s: None,
            met: Report::default(),
            broken: None,
        }
    }

    /// One more seed held.
    pub fn add(&mut self, plan: &Plan, report: &Report) {
        self.seeds.end += 1;
        self.virtual_ms += plan.weather_ms + report.calm_ms;
        self.met += report;
    }

    /// Virtual hours of all runs.
    pub fn virtual_hours(&self) -> f64 {
        self.virtual_ms as f64 / HOUR_MS
    }

    /// Hours that devices lived through.
    pub fn device_hours(&self) -> f64 {
        self.virtual_hours() * self.devices as f64
    }

    /// The same in years.
    pub fn years(&self) -> f64 {
        self.device_hours() / HOURS_OF_A_YEAR
    }

    /// Device-hours for each minute of the processor.
    pub fn device_hours_per_cpu_minute(&self) -> Option<f64> {
        self.cpu_s.filter(|cpu| *cpu > 0.0).map(|cpu| self.device_hours() * 60.0 / cpu)
    }

    /// How much faster than life one world was, whatever the number of its devices.
    pub fn times_real_time(&self) -> Option<f64> {
        self.cpu_s.filter(|cpu| *cpu > 0.0).map(|cpu| self.virtual_ms as f64 / 1_000.0 / cpu)
    }

    /// All of it as JSON. What is not known is null.
    pub fn to_json(&self) -> String {
        let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| format!("{value:.3}"));
        let members: Vec<String> = [
            ("seedsFrom", self.seeds.start.to_string()),
            ("seedsTo", self.seeds.end.to_string()),
            ("devices", self.devices.to_string()),
            ("virtualHours", number(Some(self.virtual_hours()))),
            ("deviceHours", number(Some(self.device_hours()))),
            ("years", number(Some(self.years()))),
            ("cpuSeconds", number(self.cpu_s)),
            ("deviceHoursPerCpuMinute", number(self.device_hours_per_cpu_minute())),
            ("timesRealTime", number(self.times_real_time())),
        ]
        .into_iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
        let sums: Vec<String> =
            self.met.sums().into_iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        let broken = self.broken.as_ref().map_or("null".to_owned(), |command| format!("\"{command}\""));
        format!("{{{},\"broken\":{broken},\"sums\":{{{}}}}}\n", members.join(","), sums.join(","))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.seeds;
        let (hours, years) = (self.device_hours(), self.years());
        write!(out, "seeds {start} to {end} held: {hours:.1} device-hours ({years:.3} years)")?;
        if let (Some(cpu), Some(pace), Some(times)) =
            (self.cpu_s, self.device_hours_per_cpu_minute(), self.times_real_time())
        {
            write!(out, ", {cpu:.1} s of processor time: {pace:.0} device-hours a minute of it")?;
            write!(out, ", {times:.0} times real time with {} devices", self.devices)?;
        }
        Ok(())
    }
}

/// Processor time this process has used, in seconds, from the text of Linux's `/proc/self/stat`. The second field is the
/// program's name in parentheses, which may hold anything; `utime` and `stime` are the fields 14 and 15.
pub fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|ticks| ticks.parse::<u64>().ok());
    Some((times.next()?? + times.next()??) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_program_name() {
        let stat = "71 (a ) b) R 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("71 (sim) R 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn virtual_time_is_weather_and_calm_and_counts_for_each_device() {
        let plan = Plan { devices: 100, weather_ms: 3_000_000, ..Plan::seeded(7) };
        let mut speed = Speed::new(&plan, 7);
        for _ in 0..2 {
            speed.add(&plan, &Report { calm_ms: 600_000, stored: 3, ..Report::default() });
        }
        speed.cpu_s = Some(3.6);
        assert_eq!((speed.seeds.clone(), speed.virtual_hours(), speed.device_hours()), (7..9, 2.0, 200.0));
        assert_eq!(speed.times_real_time(), Some(2_000.0));
        let json = speed.to_json();
        assert!(json.contains(r#""deviceHoursPerCpuMinute":3333.333"#), "{json}");
        assert!(json.contains(r#""sums":{"stored":6,"#), "{json}");
        speed.cpu_s = None;
        assert!(speed.to_json().contains(r#""timesRealTime":null"#));
    }
}
