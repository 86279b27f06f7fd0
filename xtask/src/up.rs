//! `cargo xtask up`: builds everything, starts the city and keeps it until Ctrl-C.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::build;
use crate::child;
use crate::fault::Fault;
use crate::place::Place;

/// How long the city may take to answer for the first time.
const START_WAIT: Duration = Duration::from_secs(30);
/// How long the city may take to finish what it has in hand.
const STOP_WAIT: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// What `up` takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)), data: "data".into() }
    }
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| Fault::advice(format!("`{word}` needs a value: `cargo xtask` shows one")))
            };
            match word.as_str() {
                "--listen" => options.listen = address(&value()?)?,
                "--data" => options.data = value()?.into(),
                _ => {
                    return Err(Fault::advice(format!(
                        "`up` does not take `{word}`: `cargo xtask` shows what it takes"
                    )));
                }
            }
        }
        Ok(options)
    }
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
    let result = attend(&mut city, options, &stop);
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
    // In a group of its own, so that Ctrl-C reaches it once, through us.
    city.stdin(Stdio::null()).process_group(0);
    city.spawn().map_err(Fault::io("cannot start the city"))
}

fn attend(city: &mut Child, options: &Options, stop: &AtomicBool) -> Result<(), Fault> {
    let started = Instant::now();
    while !is_healthy(options.listen) {
        still_there(city)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if started.elapsed() > START_WAIT {
            return Err(Fault::advice("the city started but does not answer /health: its log is above"));
        }
        thread::sleep(ASK_EVERY);
    }
    print_links(options);
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

fn print_links(options: &Options) {
    let address = reachable(options.listen);
    println!();
    println!("  scanner   http://{address}/scanner/");
    println!("  pos       http://{address}/pos/");
    println!("  ops       http://{address}/ops/");
    println!();
    println!("The city keeps its database in {}. Ctrl-C stops it.", options.data.display());
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

fn is_healthy(listen: SocketAddr) -> bool {
    ask_health(reachable(listen)).is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
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
}
