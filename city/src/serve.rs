//! A running city: everything is opened in order, served, and closed in the reverse order.

use crate::bells::Bells;
use crate::cashier::HttpAcquirer;
use crate::horn;
use crate::http::{App, Peer, Severed, router};
use crate::keys::Keys;
use crate::leftover::Drained;
use crate::machinery::Services;
use crate::metrics::Metrics;
use crate::store::{self, OpenProblem, Readers};
use crate::throttle::Throttle;
use crate::throughput::Throughput;
use crate::writer::{Acquirer, Outside, Writer};
use crate::{ServeOptions, TicketsThatCount, clock};
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use city_domain::{City, Civic, Digests, Pacer, Plan, Policy, Power, Refunds, Rules, limits};
use conch::event::UnixMillis;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
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
use tower::ServiceExt;

/// Why the city did not start or did not end well.
#[derive(Debug)]
pub(crate) enum ServeProblem {
    Open(OpenProblem),
    /// Another city holds the directory.
    Taken,
    /// There is no such directory of pages.
    NoPages(PathBuf),
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
    let plan = match &options.circuits {
        None => Plan::default(),
        Some(path) => read(path, Plan::read)?,
    };
    let services = services(rules.clone(), plan.clone());
    // Not by the parser of the command line, which would print what it refuses.
    if options.alerts_webhook.as_deref().is_some_and(|address| !horn::is_address(address)) {
        return Err(ServeProblem::Webhook);
    }
    let lock = lock(&options.data)?;
    let connection = store::open(&options.data)?;
    let city = City { id: store::city_id(&connection, clock::now())? };
    let policy = match options.tickets {
        TicketsThatCount::Any => Policy::Any,
        TicketsThatCount::Known => Policy::Known,
    };
    store::put_ticket_policy(&connection, policy).map_err(OpenProblem::Sql)?;
    let keys = Arc::new(Keys::load(&connection).map_err(OpenProblem::Sql)?);
    let mut pacer = Pacer::new(options.capacity);
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
        metrics,
        started: clock::now(),
        presence: Default::default(),
        throughput,
        boards: Default::default(),
        weather: options.dev.then(Default::default),
        simulated: simulated.filter(|_| options.dev),
        pages: options.pages.clone(),
        closing,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| ServeProblem::Io("the runtime cannot start", error))?;
    let served = runtime.block_on(listen(options, app, &close));
    // Whatever still holds the way to the writer goes with the runtime, so that the writer comes to its end.
    runtime.shutdown_timeout(Duration::from_millis(limits::SHUTDOWN_MS));
    let ended =
        thread.join().map_err(|_| ServeProblem::Io("the writer", std::io::Error::other("it panicked")));
    drop(lock);
    tracing::info!("the city is closed");
    served.and(ended)
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
    close: &watch::Sender<bool>,
) -> Result<(), ServeProblem> {
    let io = |error| ServeProblem::Io("the address cannot be listened on", error);
    let stop = stop_signal().map_err(|error| ServeProblem::Io("signals cannot be heard", error))?;
    let listener = bind(options.listen).map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    announce(options, &app, address);
    let connections = accept(listener, router(app), stop).await;
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

fn announce(options: &ServeOptions, app: &App, address: SocketAddr) {
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
    let _ = writeln!(out, "city listening on http://{address}").and_then(|()| out.flush());
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
async fn accept(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) -> GracefulShutdown {
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
                let connection = connections.watch(connection(stream, peer, router.clone()));
                tokio::spawn(async move {
                    // A connection that breaks is the link's affair.
                    let _ = connection.await;
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

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let answer = service_fn(move |request: Request<Incoming>| respond(router.clone(), peer, request));
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HEADER_TIMEOUT_MS))
        .serve_connection(TokioIo::new(stream), answer)
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
