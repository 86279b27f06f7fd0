//! The tables of `docs/proof.md`, one for each long run, and what is summed up from other pages.
//!
//! The names of what the runs count stand here and nowhere else.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::engine::{Context, Engine};
use crate::fault::Fault;
use crate::marked;
use crate::passed;
use crate::place::Place;
use crate::proof::measured::Measured;
use crate::tables::grouped;

/// What a world's results count, where it stands, and what it is called.
const WORLD: [(&str, &str); 16] = [
    ("/sums/stored", "events called safe"),
    ("/sums/replayed", "second taps that met a stored intent"),
    ("/sums/requests", "requests that left a device"),
    ("/sums/crashes", "pages killed"),
    ("/sums/powerCuts", "power cuts"),
    ("/sums/freezes", "pages frozen"),
    ("/sums/frozenLeaders", "of them while they led, with a request under way"),
    ("/sums/steals", "leaders that were silent and replaced"),
    ("/sums/lost", "database connections lost under a call"),
    ("/sums/full", "events that found the disk full"),
    ("/sums/heard", "events of the feed applied"),
    ("/sums/cityKills", "city killed"),
    ("/sums/calls", "calls the acquirer heard"),
    ("/sums/refunded", "payments that were taken twice and went back"),
    ("/sums/admitted", "tickets that let somebody in"),
    ("/sums/evicted", "owed events that a browser threw away with their database, each told"),
];
const DEVICE_HOURS: &str = "/deviceHours";
const VIRTUAL_HOURS: &str = "/virtualHours";
const CPU_SECONDS: &str = "/cpuSeconds";
const HOURS_A_YEAR: f64 = 8_766.0;

/// Pages and sources that stand in the repository.
pub(super) struct Sources {
    storm: String,
    engines: String,
    peers: String,
    city_kills: String,
}

/// A page, its part, and what is summed up in it.
const PEERS: &str = "docs/peers.md";
const STORM: &str = "docs/storm.md";
const CITY_KILLS: &str = "city/tests/city/kills.rs";

impl Sources {
    pub(super) fn read(place: &Place) -> Result<Self, Fault> {
        let read = |path: &str| {
            fs::read_to_string(place.root.join(path)).map_err(Fault::io(format!("cannot read {path}")))
        };
        Ok(Self {
            storm: read(STORM)?,
            engines: read(passed::PAGE)?,
            peers: read(PEERS)?,
            city_kills: read(CITY_KILLS)?,
        })
    }

    /// What needs no run of its own: its part, its row of the summary, its table.
    pub(super) fn summed(&self) -> Result<[(&'static str, String, String); 2], Fault> {
        let counts = marked::part(passed::PAGE, &self.engines, passed::COUNTS)?;
        let (figure, table) = engines(counts);
        let engines = format!(
            "| engines | {figure} | as [engines.md](engines.md) has it | `cargo xtask test --all-engines` |"
        );
        let (figure, peers_table) = peers(&self.peers);
        let peers = format!(
            "| peers | {figure} | as [peers.md](peers.md) has it | `cargo test -p conch --test peers` |"
        );
        Ok([("engines", engines, table), ("peers", peers, peers_table)])
    }

    /// A number that a source says: `const KILLS: usize = 3;`.
    fn city_kills_constant(&self, name: &str) -> Result<u64, String> {
        let begin = format!("const {name}: usize = ");
        let value = self
            .city_kills
            .lines()
            .find_map(|line| line.strip_prefix(&begin)?.strip_suffix(';')?.parse().ok());
        value.ok_or_else(|| format!("{CITY_KILLS} has no `{begin}`"))
    }
}

/// The figure of the summary and the table of a long run, or what its results lack.
pub(super) fn of(measured: &Measured<'_>, sources: &Sources) -> Result<(String, String), String> {
    match measured.long.name {
        "world" | "long worlds" => world(measured),
        "planted faults" => planted(measured.first()),
        "storm" => storm(measured, &sources.storm),
        "city kills" => city_kills(measured, sources),
        "money" => drawn(measured, "drawn histories of orders", "properties"),
        "ticket codes" => drawn(measured, "drawn codes", "properties"),
        "fuzz" => drawn(measured, "changed texts", "readers"),
        "browser kills" => browser_kills(measured),
        "browser flushes" => flushes(measured.first()),
        "browser torn log" => torn(measured.first()),
        "browser soak" => soak(measured.first()),
        other => Err(format!("{other} has no table")),
    }
}

fn world(measured: &Measured<'_>) -> Result<(String, String), String> {
    let held: u64 = measured.results.iter().filter(|(_, kept)| kept.held).map(|(part, _)| part.amount).sum();
    let devices = word(measured.first(), "/devices");
    let (hours, seconds) = (measured.sum(DEVICE_HOURS)?, measured.sum(CPU_SECONDS)?);
    let years = hours / HOURS_A_YEAR;
    let mut table = String::from("| what happened | how often |\n|---|---:|\n");
    let mut row = |what: &str, count: String| {
        let _ = writeln!(table, "| {what} | {count} |");
    };
    row("seeds that held", grouped(held));
    row("devices in each", devices.clone());
    row("years of devices", format!("{years:.2}"));
    row("CPU minutes", format!("{:.1}", seconds / 60.0));
    row("device hours a CPU minute", format!("{:.0}", hours / (seconds / 60.0).max(f64::MIN_POSITIVE)));
    let times = measured.sum(VIRTUAL_HOURS)? * 3_600.0 / seconds.max(f64::MIN_POSITIVE);
    row("times real time, one world on one core", format!("{times:.0}"));
    for (pointer, what) in WORLD {
        row(what, grouped(rounded(measured.sum(pointer)?)));
    }
    let figure = format!(
        "{} seeds of {devices} devices held, {years:.1} years of devices, {} events called safe",
        grouped(held),
        grouped(rounded(measured.sum("/sums/stored")?))
    );
    Ok((figure, table))
}

fn planted(counted: &Value) -> Result<(String, String), String> {
    let faults = counted.pointer("/faults").and_then(Value::as_array).ok_or("its result has no faults")?;
    let mut table =
        String::from("| planted fault | promise it breaks | seeds until found |\n|---|---|---:|\n");
    let mut found = 0;
    for fault in faults {
        let seeds = word(fault, "/seeds");
        found += usize::from(fault.pointer("/seeds").is_some_and(Value::is_u64));
        let seeds = if seeds == NONE { "not found" } else { &seeds };
        let _ = writeln!(table, "| {} | {} | {seeds} |", word(fault, "/fault"), word(fault, "/promise"));
    }
    let within = word(counted, "/within");
    Ok((format!("{found} of {} found, each within {within} seeds", faults.len()), table))
}

/// The rows of the first table of docs/storm.md that are compared most, without its peaks.
fn storm(measured: &Measured<'_>, page: &str) -> Result<(String, String), String> {
    const ROWS: [&str; 6] = [
        "**Conch, the window is known**",
        "**Conch, no word beforehand**",
        "`Retry-After: 10` and up to 10 s more",
        "Polly v2, mean 1 s, cap 20 s",
        "full jitter, 0.2 s to 20 s",
        "at once",
    ];
    let lines: Vec<_> = page.lines().skip_while(|line| !line.starts_with("## All policies")).collect();
    let mut table = String::from(
        "| policy | requests an event, ρ = 0 | end | requests, ρ = 0.1 | end |\n|---|---:|---:|---:|---:|\n",
    );
    for wanted in ROWS {
        let cells = lines.iter().find_map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            (cells.get(1) == Some(&wanted)).then_some(cells)
        });
        let Some([_, policy, requests, end, _, _, more, later, ..]) = cells.as_deref() else {
            return Err(format!("{STORM} has no row for {wanted}"));
        };
        let _ = writeln!(table, "| {policy} | {requests} | {end} | {more} | {later} |");
    }
    let held = measured.results.iter().all(|(_, kept)| kept.held);
    let figure =
        if held { "every bound holds, and the page is what this code writes" } else { "see the page" };
    Ok((figure.to_owned(), table))
}

fn city_kills(measured: &Measured<'_>, sources: &Sources) -> Result<(String, String), String> {
    let held: u64 = measured.results.iter().filter(|(_, kept)| kept.held).map(|(part, _)| part.amount).sum();
    let of = |name| sources.city_kills_constant(name);
    let kills = held * of("KILLS")?;
    let orders = held * of("TILLS")? * of("ORDERS_PER_TILL")?;
    let table = format!(
        "| rounds that held | kills in them | orders paid through them |\n|---:|---:|---:|\n| {} | {} | {} |\n",
        grouped(held),
        grouped(kills),
        grouped(orders)
    );
    Ok((format!("{} kills in {} rounds, {} orders", grouped(kills), grouped(held), grouped(orders)), table))
}

fn drawn(measured: &Measured<'_>, what: &str, whose: &str) -> Result<(String, String), String> {
    let cases = grouped(measured.long.amount());
    let (passed, failed) = (rounded(measured.sum("/passed")?), rounded(measured.sum("/failed")?));
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let each = if passed == 1 { String::new() } else { format!(" for each of {passed} {whose}") };
    let figure = format!("{cases} {what}{each}{failed}");
    Ok((figure.clone(), format!("{figure}.\n")))
}

fn browser_kills(measured: &Measured<'_>) -> Result<(String, String), String> {
    const COLUMNS: [&str; 9] =
        ["kills", "cityKills", "profiles", "acknowledged", "events", "lost", "doubled", "thrownAway", "gone"];
    let mut table = String::from(
        "| engine | context | kills | with the city | profiles | events called safe | in the city | lost | doubled | \
         databases the browser threw away (alarm raised) | events gone with them |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let pointer = |name: &str| format!("/runs/0/{name}");
    for engine in [Engine::Chromium, Engine::Firefox].map(Engine::name) {
        for context in ["window", "service-worker"] {
            let begin = format!("browser-kills-{engine}-{context}-");
            let _ = write!(table, "| {engine} | {context} |");
            for column in COLUMNS {
                let sum = measured.sum_of(&pointer(column), |part| part.file.starts_with(&begin))?;
                let _ = write!(table, " {} |", grouped(rounded(sum)));
            }
            table.push('\n');
        }
    }
    let sum = |name: &str| measured.sum(&pointer(name)).map(|sum| grouped(rounded(sum)));
    let figure = format!(
        "{} kills, {} events called safe, {} lost, {} doubled; {} databases thrown away by the browser, alarm raised",
        sum("kills")?,
        sum("acknowledged")?,
        sum("lost")?,
        sum("doubled")?,
        sum("thrownAway")?
    );
    let mut browsers: Vec<_> =
        measured.results.iter().map(|(_, kept)| word(&kept.counted, "/runs/0/browser")).collect();
    browsers.dedup();
    table += &format!("\nBrowsers: {}.\n", browsers.join(", "));
    let broken = measured.results.iter().filter_map(|(_, kept)| kept.counted.pointer("/broken")?.as_array());
    for text in broken.flatten().filter_map(Value::as_str) {
        table += &format!("\n- broken: {}\n", text.lines().next().unwrap_or_default());
    }
    Ok((figure, table))
}

fn flushes(counted: &Value) -> Result<(String, String), String> {
    if let Some(why) = counted.pointer("/skipped").and_then(Value::as_str) {
        return Err(format!("nothing was seen: {why}"));
    }
    let runs = counted.pointer("/runs").and_then(Value::as_array).ok_or("its result has no runs")?;
    let mut table = String::from(
        "| browser | transactions | `emit` after a flush | `commit` | `settled` | flushes seen |\n|---|---|---:|---:|---:|---:|\n",
    );
    let mut strict = (0, 0);
    let mut relaxed = (0, 0);
    for run in runs {
        let durability = word(run, "/durability");
        let control = if durability == "strict" {
            "strict, as they are"
        } else {
            "relaxed, the control that must fail"
        };
        let _ = write!(table, "| {} | {control} |", word(run, "/browser"));
        for step in run.pointer("/steps").and_then(Value::as_array).into_iter().flatten() {
            let number = |name: &str| step.pointer(name).and_then(Value::as_u64).unwrap_or_default();
            let (flushed, calls) = (number("/flushed"), number("/calls"));
            let sum = if durability == "strict" { &mut strict } else { &mut relaxed };
            *sum = (sum.0 + flushed, sum.1 + calls);
            let _ = write!(table, " {flushed} of {calls} |");
        }
        let _ = writeln!(table, " {} |", word(run, "/flushes"));
    }
    let figure = format!(
        "{} of {} calls resolved after a flush; of the control {} of {}",
        strict.0, strict.1, relaxed.0, relaxed.1
    );
    Ok((figure, table))
}

fn torn(counted: &Value) -> Result<(String, String), String> {
    let runs = counted.pointer("/runs").and_then(Value::as_array).ok_or("its result has no runs")?;
    let mut table = String::from(
        "| head of a record that was | the next opening was | new log | events called safe | lost |\n|---|---|---|---:|---:|\n",
    );
    let mut lost = [0, 0];
    for run in runs {
        let heals = run.pointer("/heals").and_then(Value::as_bool).unwrap_or_default();
        let number =
            run.pointer("/lost").and_then(Value::as_u64).ok_or("a run has no number of lost events")?;
        if let Some(sum) = lost.get_mut(usize::from(heals)) {
            *sum += number;
        }
        let [record, end, safe] = ["/record", "/end", "/acknowledged"].map(|name| word(run, name));
        let _ = writeln!(
            table,
            "| {record} | {end} | {} | {safe} | {number} |",
            if heals { "begun, as it is" } else { "none, the control that must lose" }
        );
    }
    let [control, own] = lost;
    table += &format!("\nBrowser: {}.\n", runs.first().map_or_else(String::new, |run| word(run, "/browser")));
    Ok((format!("{own} events lost behind a torn log; of the control {control}"), table))
}

fn soak(counted: &Value) -> Result<(String, String), String> {
    const GROWN: [(&str, &str); 3] = [
        ("wasmBytesAnEvent", "bytes of wasm memory an event, greatest tab"),
        ("heapBytesAnEvent", "bytes of JavaScript heap an event, greatest tab"),
        ("handlesFactor", "times the handles after the warm-up"),
    ];
    let [events, taken, tabs, skies] =
        ["events", "taken", "tabs", "skies"].map(|name| word(counted, &format!("/{name}")));
    let mut table = format!(
        "{tabs} tabs of {} stored {events} events under {skies} changes of weather; {taken} are in the city.\n\n\
         | from the second look to the last | grown | may |\n|---|---:|---:|\n",
        word(counted, "/browser")
    );
    for (name, what) in GROWN {
        let number = |of: &str| counted.pointer(&format!("/{of}/{name}")).and_then(Value::as_f64);
        let (Some(grown), Some(bound)) = (number("grown"), number("bounds")) else {
            return Err(format!("its result has no {name}"));
        };
        let _ = writeln!(table, "| {what} | {grown:.2} | {bound} |");
    }
    Ok((format!("{events} events from {tabs} tabs, {taken} in the city, memory within its bounds"), table))
}

/// The counts of docs/engines.md, summed over its suites.
fn engines(counts: &str) -> (String, String) {
    let mut sums = [[0_u64; 3]; 3];
    for row in counts.lines().skip(2) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, _, context, passed @ ..] = cells.as_slice() else { continue };
        let context = Context::ALL.iter().position(|one| one.name() == *context);
        for (sum, cell) in context.and_then(|place| sums.get_mut(place)).into_iter().flatten().zip(passed) {
            *sum += cell.parse::<u64>().unwrap_or(0);
        }
    }
    let names = Engine::ALL.map(Engine::name);
    let mut table = format!("| tests that passed in a | {} |\n|---|---:|---:|---:|\n", names.join(" | "));
    for (context, row) in Context::ALL.iter().zip(sums) {
        let _ = writeln!(table, "| {} | {} |", context.name(), row.map(|sum| sum.to_string()).join(" | "));
    }
    let totals: Vec<_> =
        (0..3).map(|place| sums.iter().filter_map(|row| row.get(place)).sum::<u64>()).collect();
    let told: Vec<_> = names.iter().zip(totals).map(|(name, sum)| format!("{sum} tests in {name}")).collect();
    (told.join(", "), table)
}

/// How many behaviours docs/peers.md lists, and how many of them are held by a test or need none.
fn peers(page: &str) -> (String, String) {
    let (mut projects, mut held, mut apart) = (0_u64, 0_u64, 0_u64);
    for line in page.lines() {
        projects += u64::from(line.starts_with("## "));
        if !line.starts_with("| ") || line.starts_with("| behaviour ") {
            continue;
        }
        if line.contains("| does not apply") { apart += 1 } else { held += 1 }
    }
    let all = held + apart;
    let figure =
        format!("{all} behaviours of other queues: {held} held by named tests, {apart} do not apply");
    let table = format!(
        "| groups | behaviours | held by a named test | do not apply, with the reason |\n|---:|---:|---:|---:|\n| {projects} | {all} | {held} | {apart} |\n"
    );
    (figure, table)
}

const NONE: &str = "–";

/// A word or number as it is told.
fn word(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        _ => NONE.to_owned(),
    }
}

fn rounded(sum: f64) -> u64 {
    // Counts stay far below what a double holds exactly.
    sum.max(0.0).round() as u64
}
