//! The city: takes events in over HTTP, decides each once, and keeps everything in one SQLite file.
//!
//! An event's way: `http/` (who asks, limits, parsing) → `writer` (one thread, one commit for many) → `city-domain`
//! (every decision) → `store/` (rows). Answers leave after the commit, never before.

mod base32;
mod bells;
mod cashier;
mod clock;
mod config;
mod contracts;
mod devices;
mod horn;
mod http;
mod keys;
mod leftover;
mod letters;
mod machinery;
mod market;
mod metrics;
mod openapi;
mod presence;
mod sagas;
mod secret;
mod serve;
mod sheet;
mod store;
mod throttle;
mod throughput;
mod ticket_code;
mod tickets;
mod tls;
mod writer;

use city_domain::{Role, limits};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use conch::event::{Device, UnixMillis};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Takes in the events of gates and stalls, decides each exactly once, and answers questions about them.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
First steps:
  city serve --dev                                   a city to try things with: devices enrol by themselves
  city serve --data /var/lib/city --pages www/dist   a city for an evening
  city codes new --role gate --device gate-n1 --data /var/lib/city
                                                     a one-time code for the scanner at gate N1
  city tickets issue --count 200 --class adult --data /var/lib/city
                                                     tickets as signed codes, one a line
  city inspect --data /var/lib/city                  what it holds, also while it runs"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the city until SIGTERM or Ctrl-C; open requests are finished first.
    #[command(after_help = "\
Every option may also stand in the environment (--log-level as CITY_LOG_LEVEL) or, under
its name, in a file. A flag wins over the environment, that over the file. Paths in the
file are meant from where it lies.

Examples:
  city serve --dev                                   to try things with
  city serve --data /var/lib/city --pages www/dist --listen 0.0.0.0:8787
  city serve --config /etc/city/city.toml            with, for example, in the file:
                                                       listen = \"0.0.0.0:8787\"
                                                       data = \"/var/lib/city\"
                                                       capacity = 500")]
    Serve(Box<ServeOptions>),
    /// One-time codes with which devices enrol.
    #[command(subcommand)]
    Codes(Codes),
    /// Events that a service could not handle: look at them, send them again or give them up, also while the city runs.
    #[command(subcommand)]
    DeadLetters(letters::Letters),
    /// Refunds of money that moved twice: look at them, and decide about those the acquirer refuses.
    #[command(subcommand)]
    Sagas(sagas::Sagas),
    /// Run a simulated acquirer, for development: books of its own, four requests, a query and a list over HTTP.
    #[command(after_help = "\
Examples:
  city acquirer --faults seed=7,double=0.1,lose-answer=0.2
  city serve --dev --acquirer http://127.0.0.1:8788")]
    Acquirer {
        /// Address and port to listen on; port 0 picks a free one and prints it.
        #[arg(long, default_value = "127.0.0.1:8788")]
        listen: SocketAddr,
        /// The file of its books; made when missing.
        #[arg(long, default_value = "acquirer.sqlite")]
        books: PathBuf,
        /// What goes wrong: seed=7,decline=0.05,refuse-refund=0.1,double=0.05,lose-request=0.1,lose-answer=0.1,
        /// outage=0.02,latency-ms=20-200,hang-ms=30000. Chances are from 0 to 1, the same seed fails in the same way.
        #[arg(long, default_value = "")]
        faults: acquirer::Faults,
    },
    /// Tickets: issue, take back, look at them, also while the city runs.
    #[command(subcommand)]
    Tickets(tickets::Tickets),
    /// The devices that have enrolled: see how they stand, or void their tokens, also while the city runs.
    #[command(subcommand)]
    Devices(devices::Devices),
    /// Copy the books into a new file, also while the city runs: whole, checked and flushed. A city starts from it as
    /// `city.sqlite` in a data directory of its own.
    #[command(after_help = "\
Example, each night:
  city backup --data /var/lib/city --to /backup/city-$(date +%F).sqlite")]
    Backup {
        /// The city's data directory.
        #[arg(long, default_value = "data")]
        data: PathBuf,
        /// The new file.
        #[arg(long)]
        to: PathBuf,
    },
    /// The schemas of all events, and the city's addresses as OpenAPI.
    #[command(subcommand)]
    Contracts(contracts::Contracts),
    /// Print what the database holds as JSON: counts of events, orders, captures, tickets, admissions, scans,
    /// duplicate deliveries and refused deliveries.
    #[command(after_help = "\
Example:
  city inspect --data /var/lib/city | jq .captures")]
    Inspect {
        /// The city's data directory.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct ServeOptions {
    /// A file with options, in TOML, under the names they have here.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address and port to listen on; port 0 picks a free one and prints it.
    #[arg(long, default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Directory of the database; made when missing.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// The city's certificate in PEM, with those that lead to its authority behind it: the city then speaks TLS alone.
    #[arg(long)]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert in PEM.
    #[arg(long)]
    tls_key: Option<PathBuf>,
    /// Speak TLS with a certificate of the city's own making for these addresses and .local names, with commas between
    /// them. Its authority lies in the data directory and can be installed on phones from /v1/dev/certificate.
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["tls_cert", "tls_key"])]
    tls_self_made: Option<tls::Names>,
    /// Directory of the built pages, served as they are.
    #[arg(long)]
    pages: Option<PathBuf>,
    /// Who takes care of which civic report, as JSON: [{ "kind": "noise", "unit": "patrol", "withinMinutes": 60,
    /// "resolveWithinMinutes": 240 }, …], one of them for "other"; the last member may be left out. Without a file a
    /// small table of the city's own holds.
    #[arg(long)]
    civic_rules: Option<PathBuf>,
    /// The circuits and the importance of their stalls (1 is shed last, 9 first), as JSON: [{ "circuit": "c4",
    /// "limitWatts": 3500, "stalls": { "stall-7": 1 } }, …].
    #[arg(long)]
    circuits: Option<PathBuf>,
    /// The market, as JSON: { "name": { "zh-Hant": "…", "en": "…" }, "gates": [{ "id", "name" }], "stalls": [{ "id", "name",
    /// "circuit", "menu": [{ "id", "name", "price" }] }] }, prices in minor units. It may hold `circuits` as well, which count
    /// when no --circuits are given. Anybody may read it at /v1/market.
    #[arg(long)]
    market: Option<PathBuf>,
    /// Where alerts are posted, each as a CloudEvent in JSON (`ops.alerts.v1.raised`), again until it is taken. Only the
    /// host is ever shown.
    #[arg(long, hide_env_values = true)]
    alerts_webhook: Option<String>,
    /// The acquirer that moves money for payments that were authorized online. Without one they wait for it, and nothing new is authorized.
    #[arg(long, hide_env_values = true)]
    acquirer: Option<String>,
    /// A simulated acquirer instead, with books of its own beside the city's; no money moves. It may be told to fail:
    /// seed=7,decline=0.05,refuse-refund=0.1,double=0.05,lose-request=0.1,lose-answer=0.1,outage=0.02,latency-ms=20-200,hang-ms=30000.
    #[arg(long, num_args = 0..=1, default_missing_value = "", conflicts_with = "acquirer")]
    acquirer_simulated: Option<acquirer::Faults>,
    /// How long the acquirer may take to answer, in ms; then the answer counts as lost and it is queried.
    #[arg(long, default_value_t = limits::ACQUIRER_TIMEOUT_MS, value_parser = clap::value_parser!(u64).range(1..limits::ASK_AGAIN_MS))]
    acquirer_timeout_ms: u64,
    /// How often the acquirer's list of what it moved is held against the books, in seconds.
    #[arg(long, default_value_t = limits::SETTLE_EVERY_MS / 1_000, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    settle_every_s: u64,
    /// Which tickets count: `any` also admits, once, those that were sold elsewhere; `known` only those of `city tickets
    /// issue`.
    #[arg(long, value_enum, default_value_t = TicketsThatCount::Any)]
    tickets: TicketsThatCount,
    /// Development: devices enrol without a code, and ops can make bad weather.
    #[arg(long, action = ArgAction::Set, value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true")]
    dev: bool,
    /// Requests per second this machine is trusted with; sets the pace devices are told.
    #[arg(long, default_value_t = limits::CAPACITY_PER_S, value_parser = clap::value_parser!(u32).range(1..))]
    capacity: u32,
    /// Requests that may wait for the writer; more are told when to come back.
    #[arg(long, default_value_t = limits::QUEUE_REQUESTS, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    queue: u32,
    /// How the log on standard error is written. It holds no payloads, keys or tokens.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
    /// How much is logged: error, warn, info or debug.
    #[arg(long, default_value_t = Level::INFO)]
    log_level: Level,
}

#[derive(Clone, Copy, ValueEnum)]
enum TicketsThatCount {
    Any,
    Known,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogForm {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Codes {
    /// Make a code and print it. It works once, for this device and role, also while the city runs.
    #[command(after_help = "\
Examples:
  city codes new --role gate --device gate-n1 --data /var/lib/city
  city codes new --role vendor --device till-7 --hours 2 --data /var/lib/city")]
    New {
        /// gate, vendor or ops.
        #[arg(long, value_parser = |word: &str| Role::parse(word).ok_or("a role is gate, vendor or ops"))]
        role: Role,
        /// The device's name: 1 to 64 of a-z, 0-9 and -.
        #[arg(long, value_parser = |name: &str| Device::parse(name).map_err(|_| "a device is 1 to 64 of a-z, 0-9 and -"))]
        device: Device,
        /// How many hours it can be used.
        #[arg(long, default_value_t = limits::CODE_LIFE_MS / 3_600_000, value_parser = clap::value_parser!(u64).range(1..=720))]
        hours: u64,
        /// The city's data directory.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
}

fn main() -> ExitCode {
    let read = match config::read(Cli::command()) {
        Ok(read) => read,
        Err(problem) => return failed(&problem),
    };
    let cli = match Cli::from_arg_matches(&read.matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Command::Serve(options) => {
            log(&options);
            tracing::info!(settings = read.settings, "the city starts");
            serve::serve(&options).map_err(|problem| problem.to_string())
        }
        Command::Codes(Codes::New { role, device, hours, data }) => new_code(role, &device, hours, &data),
        Command::Backup { data, to } => backup(&data, &to),
        Command::Contracts(contracts) => contracts.run(),
        Command::DeadLetters(letters) => letters.run(),
        Command::Sagas(sagas) => sagas.run(),
        Command::Acquirer { listen, books, faults } => simulate(listen, books, faults),
        Command::Tickets(tickets) => tickets.run(),
        Command::Devices(devices) => devices.run(),
        Command::Inspect { data } => inspect(&data),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&problem),
    }
}

fn failed(problem: &str) -> ExitCode {
    eprintln!("city: {problem}");
    ExitCode::FAILURE
}

/// Only the city's own words are logged: libraries at debug level print headers.
fn log(options: &ServeOptions) {
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), options.log_level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    let layer = match options.log {
        LogForm::Text => lines.boxed(),
        LogForm::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(own)).init();
}

fn new_code(role: Role, device: &Device, hours: u64, data: &std::path::Path) -> Result<(), String> {
    let connection = store::open(data).map_err(|problem| problem.to_string())?;
    let code = secret::new_code().map_err(|error| format!("the random source failed: {error}"))?;
    let expires = UnixMillis(clock::now().0 + hours * 3_600_000);
    writer::make_code(&connection, device, role, &secret::hash_code(&code), expires)
        .map_err(|error| format!("the code could not be kept: {error}"))?;
    println!("{code}");
    Ok(())
}

fn backup(data: &std::path::Path, to: &std::path::Path) -> Result<(), String> {
    let connection = store::open_to_read(data).map_err(|problem| problem.to_string())?;
    let bytes = store::copy(&connection, to).map_err(|problem| format!("no backup was made: {problem}"))?;
    println!("{} holds the books of this moment, {bytes} bytes, checked", to.display());
    Ok(())
}

fn simulate(listen: SocketAddr, books: PathBuf, faults: acquirer::Faults) -> Result<(), String> {
    let running = acquirer::start(listen, Some(books), faults).map_err(|problem| problem.to_string())?;
    println!("the simulated acquirer listens on http://{}", running.address);
    running.wait().map_err(|error| format!("the acquirer ended: {error}"))
}

fn inspect(data: &std::path::Path) -> Result<(), String> {
    let connection = store::open_to_read(data).map_err(|problem| problem.to_string())?;
    let totals =
        store::totals(&connection).map_err(|error| format!("the database cannot be read: {error}"))?;
    let text = serde_json::to_string(&totals).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}
