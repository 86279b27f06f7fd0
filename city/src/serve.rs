//! A running city: everything is opened in order, served, and closed in the reverse order.

use crate::bells::Bells;
use crate::cashier::HttpAcquirer;
use crate::horn;
use crate::http::{App, Peer, Severed, router};
use crate::keys::Keys;
use crate::leftover::Drained;
use crate::market::Market;
use crate::metrics::Metrics;
use crate::store::{self, OpenProblem, Readers};
use crate::throttle::Throttle;
use crate::throughput::Throughput;
use crate::tls::{self, Tls};
use crate::writer::{Acquirer, Outside, Writer};
use crate::{ServeOptions, TicketsThatCount, clock};
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use city_domain::bus::Services;
use city_domain::{City, Civic, Digests, Pacer, Plan, Policy, Power, Refunds, Rules, limits};
use conch::event::UnixMillis;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rusqlite::Connection;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Why the city did not start or did not end well.
#[derive(Debug)]
pub(crate) enum ServeProblem {
    Open(OpenProblem),
    /// Another city holds the directory.
    Taken,
    /// There is no such directory of pages.
    NoPages(PathBuf),
    /// Certificate or key cannot be used.
    Tls(String),
    /// The webhook's address is none.
    Webhook,
    /// The acquirer's address is none.
    Acquirer,
    /// Another acquirer has not answered everything.
    OtherAcquirer(String),
    /// The simulated acquirer did not start.
    Simulated(acquirer::Problem),
    /// A file of the operator's cannot be used.
    Unusable(PathBuf, String),
    Io(&'static str, std::io::Error),
}

impl std::fmt::Display for ServeProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(problem) => problem.fmt(f),
            Self::Taken => {
                f.write_str("another city runs on this data directory; stop it or give another --data")
            }
            Self::NoPages(path) => {
                write!(f, "there are no pages in {}: build them first, or leave --pages out", path.display())
            }
            Self::Tls(problem) => write!(f, "TLS cannot be spoken: {problem}"),
            Self::Webhook => {
                f.write_str("--alerts-webhook is an address that begins with https:// or http://")
            }
            Self::Acquirer => f.write_str("--acquirer is an address that begins with https:// or http://"),
            Self::OtherAcquirer(known) => write!(
                f,
                "the acquirer {known} has not answered everything it was asked; start with that one until it has"
            ),
            Self::Simulated(problem) => problem.fmt(f),
            Self::Unusable(path, problem) => write!(f, "{} cannot be used: {problem}", path.display()),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ServeProblem {}

impl From<OpenProblem> for ServeProblem {
    fn from(problem: OpenProblem) -> Self {
        Self::Open(problem)
    }
}

impl From<acquirer::Problem> for ServeProblem {
    fn from(problem: acquirer::Problem) -> Self {
        Self::Simulated(problem)
    }
}

/// Serves until a signal says stop.
pub(crate) fn serve(options: &ServeOptions) -> Result<(), ServeProblem> {
    if let Some(missing) = options.pages.as_ref().filter(|path| !path.is_dir()) {
        return Err(ServeProblem::NoPages(missing.clone()));
    }
    let rules = match &options.civic_rules {
        None => Rules::default(),
        Some(path) => read(path, Rules::read)?,
    };
    let market = options.market.as_ref().map(|path| read(path, Market::read)).transpose()?;
    let plan = match &options.circuits {
        None => market.as_ref().and_then(|market| market.circuits.clone()).unwrap_or_default(),
        Some(path) => read(path, Plan::read)?,
    };
    let services = services(rules.clone(), plan.clone());
    // Not by the parser of the command line, which would print what it refuses.
    if options.alerts_webhook.as_deref().is_some_and(|address| !horn::is_address(address)) {
        return Err(ServeProblem::Webhook);
    }
    let lock = lock(&options.data)?;
    let tls = tls(options)?;
    let connection = store::open(&options.data)?;
    let city = City { id: store::city_id(&connection, clock::now())? };
    let policy = match options.tickets {
        TicketsThatCount::Any => Policy::Any,
        TicketsThatCount::Known => Policy::Known,
    };
    store::put_ticket_policy(&connection, policy).map_err(OpenProblem::Sql)?;
    let keys = Arc::new(Keys::load(&connection).map_err(OpenProblem::Sql)?);
    let mut pacer = Pacer::new(options.capacity, limits::REFUSAL_COST);
    let since = UnixMillis(clock::now().0.saturating_sub(limits::SEEN_MS));
    for (device, at) in store::seen_since(&connection, since).map_err(OpenProblem::Sql)? {
        pacer.hear(&device, at);
    }
    let (acquirer, simulated) = acquirer(options, &connection)?;
    let gateway = acquirer.as_ref().map(|acquirer| acquirer.gateway.clone());
    let readers = Readers::open(&options.data)?;
    let bells = Arc::new(Bells::default());
    let metrics = Arc::new(Metrics::default());
    let throughput = Arc::new(Throughput::default());
    let (writer, thread) = Writer::start(
        connection,
        city,
        services,
        Outside { webhook: options.alerts_webhook.clone(), acquirer },
        (bells.clone(), keys.clone()),
        (metrics.clone(), throughput.clone()),
        options.queue as usize,
    )
    .map_err(|error| ServeProblem::Io("the writer's thread cannot start", error))?;
    let (close, closing) = watch::channel(false);
    let app = Arc::new(App {
        city,
        writer,
        gateway,
        readers,
        keys,
        bells,
        listening: Default::default(),
        pacer: Mutex::new(pacer),
        in_flight: Default::default(),
        enrolments: Throttle::new(limits::ENROL_TRIES_PER_MIN),
        forms: Throttle::new(limits::FORMS_PER_MIN),
        case_questions: Throttle::new(limits::CASE_QUESTIONS_PER_MIN),
        claims: Throttle::new(limits::CLAIMS_PER_MIN),
        rules: Arc::new(rules),
        plan,
        market: market.as_ref().map(Market::publish),
        metrics,
        started: clock::now(),
        presence: Default::default(),
        throughput,
        boards: Default::default(),
        weather: options.dev.then(Default::default),
        simulated: simulated.filter(|_| options.dev),
        pages: options.pages.clone(),
        authority: tls.as_ref().and_then(|tls| tls.authority.clone()),
        closing,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| ServeProblem::Io("the runtime cannot start", error))?;
    let served = runtime.block_on(listen(options, app, tls.map(|tls| tls.acceptor), &close));
    // Whatever still holds the way to the writer goes with the runtime, so that the writer comes to its end.
    runtime.shutdown_timeout(Duration::from_millis(limits::SHUTDOWN_MS));
    let ended =
        thread.join().map_err(|_| ServeProblem::Io("the writer", std::io::Error::other("it panicked")));
    drop(lock);
    tracing::info!("the city is closed");
    served.and(ended)
}

/// What is needed to speak TLS, if it is to be spoken.
fn tls(options: &ServeOptions) -> Result<Option<Tls>, ServeProblem> {
    let tls = match (&options.tls_cert, &options.tls_key, &options.tls_self_made) {
        (None, None, None) => return Ok(None),
        (None, None, Some(names)) => tls::self_made(&options.data.join("tls"), names, clock::now()),
        (Some(certificate), Some(key), _) => tls::of_files(certificate, key),
        _ => Err("--tls-cert and --tls-key go together".to_owned()),
    };
    tls.map(Some).map_err(ServeProblem::Tls)
}

/// Who moves money: the acquirer at an address, or the simulated one beside the city's own file.
fn acquirer(
    options: &ServeOptions,
    connection: &Connection,
) -> Result<(Option<Acquirer>, Option<acquirer::Lever>), ServeProblem> {
    let mut simulated = None;
    let address = match (&options.acquirer, options.acquirer_simulated) {
        (Some(address), _) if !horn::is_address(address) => return Err(ServeProblem::Acquirer),
        (Some(address), _) => address.clone(),
        (None, Some(faults)) => {
            let books = options.data.join("acquirer.sqlite");
            let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let running = acquirer::start(anywhere, Some(books), faults)?;
            simulated = Some(running.lever());
            tracing::warn!(address = %running.address, "a simulated acquirer moves the money: none is real");
            format!("http://{}", running.address)
        }
        (None, None) => {
            let open = store::open_operations(connection).map_err(OpenProblem::Sql)?;
            if open > 0 {
                tracing::warn!(
                    open,
                    "payments wait for an acquirer, and none is named: start with --acquirer"
                );
            }
            return Ok((None, None));
        }
    };
    // The simulated one is the same wherever it listens: its books lie beside the city's.
    let name = if options.acquirer.is_some() { address.as_str() } else { "simulated" };
    let settled_up_to = store::name_acquirer(connection, name)
        .map_err(OpenProblem::Sql)?
        .map_err(|known| ServeProblem::OtherAcquirer(horn::shown(&known)))?;
    let acquirer = Acquirer {
        gateway: Arc::new(HttpAcquirer::new(&address, options.acquirer_timeout_ms)),
        settled_up_to,
        settle_every: Duration::from_secs(options.settle_every_s),
    };
    Ok((Some(acquirer), simulated))
}

/// The services that work behind the bus.
fn services(rules: Rules, plan: Plan) -> Services {
    vec![Box::new(Civic { rules }), Box::new(Power { plan }), Box::new(Refunds), Box::new(Digests)]
}

/// Reads a file the operator wrote.
fn read<T>(path: &Path, read: impl Fn(&str) -> Result<T, String>) -> Result<T, ServeProblem> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    text.and_then(|text| read(&text)).map_err(|problem| ServeProblem::Unusable(path.to_owned(), problem))
}

fn lock(data: &Path) -> Result<File, ServeProblem> {
    let io = |error| ServeProblem::Io("the data directory cannot be locked", error);
    std::fs::create_dir_all(data).map_err(io)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(data.join("city.lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeProblem::Taken),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

async fn listen(
    options: &ServeOptions,
    app: Arc<App>,
    tls: Option<TlsAcceptor>,
    close: &watch::Sender<bool>,
) -> Result<(), ServeProblem> {
    let io = |error| ServeProblem::Io("the address cannot be listened on", error);
    let stop = stop_signal().map_err(|error| ServeProblem::Io("signals cannot be heard", error))?;
    let listener = bind(options.listen).map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    announce(options, &app, address, tls.is_some());
    let connections = accept(listener, Way { router: router(app), tls }, stop).await;
    tracing::info!("closing: open requests are finished, nothing new is taken");
    close.send_replace(true);
    let patience = Duration::from_millis(limits::SHUTDOWN_MS);
    if tokio::time::timeout(patience, connections.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end and are cut");
    }
    Ok(())
}

/// As usual, but with room for a whole market that comes back at once: with the usual 128 places most would be sent away
/// for a second, and again for three.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A city that was just stopped may be started again at its address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::CONNECTIONS_WAITING_MAX)
}

fn announce(options: &ServeOptions, app: &App, address: SocketAddr, tls: bool) {
    let pages = options.pages.as_ref().map(|path| path.display().to_string());
    tracing::info!(
        city = %app.city.id, %address, data = %options.data.display(), pages, dev = options.dev,
        alerts_webhook = options.alerts_webhook.as_deref().map(horn::shown), capacity_per_s = options.capacity, queue = options.queue, batch_events = limits::BATCH_EVENTS_MAX,
        batch_bytes = limits::BATCH_BYTES_MAX, "the city is open"
    );
    if options.dev && !address.ip().is_loopback() {
        tracing::warn!("--dev lets anybody who reaches this address become any device");
    }
    let mut out = std::io::stdout().lock();
    // Whoever started the city may have closed its end; the log says the same.
    let scheme = if tls { "https" } else { "http" };
    let _ = writeln!(out, "city listening on {scheme}://{address}").and_then(|()| out.flush());
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Takes connections until told to stop.
async fn accept(listener: TcpListener, way: Way, stop: impl Future<Output = ()>) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return connections,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(permit) = free.clone().try_acquire_owned() else {
                    tracing::warn!("too many connections: one was turned away");
                    continue;
                };
                let (way, watcher) = (way.clone(), connections.watcher());
                tokio::spawn(async move {
                    way.go(stream, peer, watcher).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// What a connection meets: the city, behind TLS if it is to be spoken.
#[derive(Clone)]
struct Way {
    router: Router,
    tls: Option<TlsAcceptor>,
}

/// The first byte of a TLS connection (RFC 8446, 5.1): a record of the handshake.
const HANDSHAKE: u8 = 22;

impl Way {
    /// A connection that breaks is the link's affair.
    async fn go(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        let router = self.router;
        let city = service_fn(move |request: Request<Incoming>| respond(router.clone(), peer, request));
        let Some(tls) = self.tls else {
            let _ = watcher.watch(http().serve_connection(TokioIo::new(stream), city)).await;
            return;
        };
        let patience = Duration::from_millis(limits::HEADER_TIMEOUT_MS);
        let mut first = [0];
        match tokio::time::timeout(patience, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first == [HANDSHAKE] => {
                if let Ok(Ok(stream)) = tokio::time::timeout(patience, tls.accept(stream)).await {
                    let _ = watcher.watch(http().serve_connection(TokioIo::new(stream), city)).await;
                }
            }
            Ok(Ok(1)) => {
                let plain =
                    service_fn(|request: Request<Incoming>| async move { Ok::<_, Cut>(lead(&request)) });
                let _ = watcher.watch(http().serve_connection(TokioIo::new(stream), plain)).await;
            }
            _ => {}
        }
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits::HEADER_TIMEOUT_MS));
    http
}

/// The answer to who came without TLS: readers are led to it, anything else is refused. It is none of the city's.
fn lead(request: &Request<Incoming>) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let there = host.and_then(|host| format!("https://{host}{path}").parse::<Uri>().ok());
    let mut response = match there {
        Some(there) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, there.to_string())]).into_response()
        }
        _ => (StatusCode::FORBIDDEN, "this city speaks TLS alone: use https\n").into_response(),
    };
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by the weather")
    }
}

impl std::error::Error for Cut {}

async fn respond(router: Router, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Cut> {
    let mut request = request.map(|body| axum::body::Body::new(Drained::new(body)));
    request.extensions_mut().insert(Peer(peer.ip()));
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.extensions().get::<Severed>().is_some() { Err(Cut) } else { Ok(response) }
}
