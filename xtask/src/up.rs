//! `cargo xtask up`: builds everything, starts the city with a small market in it and keeps it until Ctrl-C.
//!
//! With `--lan` the city speaks TLS under this machine's address, so that a real phone gives its pages camera, locks and a
//! life without network.

use std::io::{IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::build;
use crate::child;
use crate::fault::Fault;
use crate::place::Place;

const PORT: u16 = 8787;
/// How long the city may take to answer for the first time.
const START_WAIT: Duration = Duration::from_secs(30);
/// How long the city may take to finish what it has in hand.
const STOP_WAIT: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// The market of development, and the gate and the stall of it that the links open.
const MARKET: &str = "city/market.json";
const GATE: &str = "north";
const STALL: &str = "stall-1";
/// An address of documentation (RFC 5737): asking for the way there sends nothing.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 51, 100, 1), 9);

/// What `up` takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    /// Over TLS, for phones on the same network.
    pub(crate) lan: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), data: "data".into(), lan: false }
    }
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut options = Self::default();
        let mut listens = false;
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| Fault::advice(format!("`{word}` needs a value: `cargo xtask` shows one")))
            };
            match word.as_str() {
                "--listen" => (options.listen, listens) = (address(&value()?)?, true),
                "--lan" => options.lan = true,
                "--data" => options.data = value()?.into(),
                _ => {
                    return Err(Fault::advice(format!(
                        "`up` does not take `{word}`: `cargo xtask` shows what it takes"
                    )));
                }
            }
        }
        if options.lan && !listens {
            options.listen = SocketAddr::new(own_address()?, PORT);
        }
        Ok(options)
    }
}

/// The address by which this machine is known on its network: the one it would send from.
fn own_address() -> Result<IpAddr, Fault> {
    let asked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(ELSEWHERE)?;
        socket.local_addr()
    });
    asked.ok().map(|own| own.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback()).ok_or_else(|| {
        Fault::advice("this machine is on no network: name its address, `cargo xtask up --lan --listen 192.168.1.7:8787`")
    })
}

fn address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0).ok_or_else(|| {
        Fault::advice(format!("`{text}` is no address with a port: write `--listen 127.0.0.1:8787`"))
    })
}

/// Builds, starts, prints the links, waits.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Fault> {
    build::everything(place)?;
    // Asked before the city starts: else another server's answer could be taken for ours.
    TcpListener::bind(options.listen).map_err(|error| {
        let other = options.listen.port().saturating_add(1);
        let ip = options.listen.ip();
        Fault::advice(format!(
            "cannot listen on {} ({error}): stop what runs there, or type: cargo xtask up --listen {}",
            options.listen,
            SocketAddr::new(ip, other)
        ))
    })?;
    let stop = stop_asked()?;
    let mut city = start(place, options)?;
    let result = attend(place, &mut city, options, &stop);
    let stopped = end(&mut city);
    result.and(stopped)
}

/// Set by Ctrl-C, by `kill` and by a closed terminal; a second Ctrl-C ends at once.
fn stop_asked() -> Result<Arc<AtomicBool>, Fault> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(Fault::io("cannot watch for Ctrl-C"))?;
    }
    Ok(stop)
}

fn start(place: &Place, options: &Options) -> Result<Child, Fault> {
    let mut city = place.command(place.city());
    city.args(["serve", "--dev", "--listen", &options.listen.to_string(), "--data"]);
    city.arg(&options.data).arg("--pages").arg(place.pages());
    city.args(["--market", MARKET, "--acquirer-simulated"]);
    if options.lan {
        city.args(["--tls-self-made", &reachable(options.listen).ip().to_string()]);
    }
    // In a group of its own, so that Ctrl-C reaches it once, through us.
    city.stdin(Stdio::null()).process_group(0);
    city.spawn().map_err(Fault::io("cannot start the city"))
}

fn attend(place: &Place, city: &mut Child, options: &Options, stop: &AtomicBool) -> Result<(), Fault> {
    let started = Instant::now();
    while !is_healthy(options) {
        still_there(city)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if started.elapsed() > START_WAIT {
            return Err(Fault::advice("the city started but does not answer /health: its log is above"));
        }
        thread::sleep(ASK_EVERY);
    }
    let sheet = tickets(place, options)?;
    print_links(place, options, &sheet);
    while !stop.load(Ordering::Relaxed) {
        still_there(city)?;
        thread::sleep(ASK_EVERY);
    }
    println!("\nstopping the city");
    Ok(())
}

fn still_there(city: &mut Child) -> Result<(), Fault> {
    match city.try_wait().map_err(Fault::io("cannot watch the city"))? {
        None => Ok(()),
        Some(status) => Err(Fault::Failed { program: "city serve".into(), how: child::how(status) }),
    }
}

/// Writes a sheet of tickets to try the gate with, the same one each time.
fn tickets(place: &Place, options: &Options) -> Result<PathBuf, Fault> {
    let sheet = options.data.join("tickets.html");
    let mut city = place.command(place.city());
    city.args(["tickets", "sheet", "--samples", "--count", "40", "--market", MARKET, "--to"]).arg(&sheet);
    city.arg("--data").arg(&options.data);
    child::answer(city).map(|_| place.root.join(&sheet)).ok_or_else(|| {
        Fault::advice(format!(
            "no tickets could be written to {}: `city tickets sheet` says why",
            sheet.display()
        ))
    })
}

fn print_links(place: &Place, options: &Options, sheet: &Path) {
    let origin = format!("{}://{}", if options.lan { "https" } else { "http" }, reachable(options.listen));
    println!();
    for (page, question) in links(options.lan) {
        if place.pages().join(page).join("index.html").is_file() {
            println!("  {page:9} {origin}/{page}/{question}");
        }
    }
    println!("  tickets   {} (print it, or show it to the camera)", sheet.display());
    println!();
    if options.lan {
        show_to_phone(&format!("{origin}/pages"));
    }
    println!("The city keeps its database in {}. Ctrl-C stops it.", options.data.display());
}

/// Each page and what its address says. In development a device enrols by itself; on the network every phone must be a
/// device of its own, so none is named.
fn links(lan: bool) -> [(&'static str, String); 3] {
    let device = |name: &str| if lan { String::new() } else { format!("device={name}&") };
    [
        ("scanner", format!("?{}place={GATE}", device("gate-1"))),
        ("pos", format!("?{}place={STALL}", device(STALL))),
        ("ops", if lan { String::new() } else { "?device=ops-1".to_owned() }),
    ]
}

fn show_to_phone(address: &str) {
    // White on black whatever the terminal's theme is: not every phone reads the opposite.
    let (on, off) = if std::io::stdout().is_terminal() { ("\x1b[97;40m", "\x1b[0m") } else { ("", "") };
    for line in in_blocks(address).lines() {
        println!("{on}{line}{off}");
    }
    println!("  {address}");
    println!(
        "  手機會警告「連線不是私人連線」：點「進階」再「繼續」就能試用；要離線使用，先在該頁安裝憑證。"
    );
    println!(
        "  The phone warns about the connection: tap Advanced, then Proceed. To work offline, install the certificate from that page."
    );
    println!();
}

/// A QR code out of half blocks, for light ink on a dark ground.
fn in_blocks(text: &str) -> String {
    let Ok(code) = QrCode::new(text) else { return String::new() };
    code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
}

/// An address to type into a browser: "every address" is none.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Behind TLS a city leads those who come without it: that tells as much.
fn is_healthy(options: &Options) -> bool {
    let wanted: &[u8] = if options.lan { b"HTTP/1.1 308" } else { b"HTTP/1.1 200" };
    ask_health(reachable(options.listen)).is_ok_and(|answer| answer.starts_with(wanted))
}

fn ask_health(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WAIT)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Asks the city to finish, and makes it when it does not.
fn end(city: &mut Child) -> Result<(), Fault> {
    let watch = "cannot watch the city";
    if city.try_wait().map_err(Fault::io(watch))?.is_some() {
        return Ok(());
    }
    // The shell's `kill`: the standard library can only kill hard.
    let mut ask = std::process::Command::new("sh");
    ask.args(["-c", "kill -TERM \"$0\"", &city.id().to_string()]);
    child::answer(ask);
    let asked = Instant::now();
    while asked.elapsed() < STOP_WAIT {
        if city.try_wait().map_err(Fault::io(watch))?.is_some() {
            return Ok(());
        }
        thread::sleep(ASK_EVERY);
    }
    city.kill().map_err(Fault::io("cannot stop the city"))?;
    city.wait().map(|_| ()).map_err(Fault::io(watch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_shown_as_one_a_browser_takes() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("10.0.0.7:80".parse().unwrap()), "10.0.0.7:80".parse().unwrap());
    }

    #[test]
    fn the_links_open_a_gate_and_a_stall_of_the_market() {
        let market =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(MARKET)).unwrap();
        for id in [GATE, STALL] {
            assert!(market.contains(&format!("\"id\": \"{id}\"")), "{id}");
        }
        assert!(
            links(true).iter().all(|(_, question)| !question.contains("device=")),
            "two phones are two devices"
        );
    }

    #[test]
    fn the_code_in_the_terminal_has_its_quiet_zone() {
        let blocks = in_blocks("https://192.168.100.100:8787/pages");
        let lines: Vec<_> = blocks.lines().collect();
        // Version 3 has 29 modules, with four of quiet at each side.
        assert_eq!((lines.len(), lines[0].chars().count()), (19, 37));
        assert!(lines[0].chars().all(|sign| sign == '█'), "{blocks}");
    }
}
