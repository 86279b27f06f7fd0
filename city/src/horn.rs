//! Carries alerts out of the city: each one as a POST of its CloudEvent to the address the operator named.

use city_domain::bus::{ALERTS, Errand};
use city_domain::limits;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use ureq::Agent;

/// Starts the horn. It ends when the sender of errands is dropped; `done` hears what came of each.
pub(crate) fn start(
    address: String,
    done: impl Fn(Errand, bool) + Send + 'static,
) -> std::io::Result<Sender<Errand>> {
    let (send, errands) = channel();
    std::thread::Builder::new().name(ALERTS.into()).spawn(move || run(&address, &errands, done))?;
    Ok(send)
}

fn run(address: &str, errands: &Receiver<Errand>, done: impl Fn(Errand, bool)) {
    let agent: Agent = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_millis(limits::WEBHOOK_TIMEOUT_MS)))
        .build()
        .into();
    while let Ok(errand) = errands.recv() {
        let sent = agent
            .post(address)
            .header("content-type", "application/cloudevents+json")
            .send(errand.1.body.as_str());
        // The address may hold a secret, so the library's words, which may name it, stay here.
        let taken = match sent.map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => true,
            Ok(status) => {
                tracing::error!(status, "the alerts' webhook does not take an alert; it goes there again");
                false
            }
            Err(_) => {
                tracing::error!("the alerts' webhook does not answer; the alert goes there again");
                false
            }
        };
        done(errand, taken);
    }
}

/// Whether alerts can be posted there.
pub(crate) fn is_address(address: &str) -> bool {
    (address.starts_with("https://") || address.starts_with("http://")) && !shown(address).is_empty()
}

/// The part of an address that may be shown: scheme and host, for path and query often hold a secret.
pub(crate) fn shown(address: &str) -> String {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_address_holds_no_secret() {
        assert_eq!(shown("https://hooks.example/services/T0/secret?x=1"), "hooks.example");
        assert_eq!(shown("http://user:pass@127.0.0.1:9/x"), "127.0.0.1:9");
    }
}
