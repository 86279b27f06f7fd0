//! `/v1/directory`: which agent handles what is said on which topics, and for how long.

use super::enrol::{read_small, whole};
use super::ops::bad;
use super::problem::Trouble;
use super::query::failed;
use super::{App, json};
use crate::{clock, store};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use city_domain::bus::Pattern;
use city_domain::directory::{self, Agent, NotRegistered, SERVICES};
use city_domain::{Principal, Role, Tx, limits};
use conch::event::{Device, Topic};
use serde::Deserialize;
use serde_json::{Number, Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Registration {
    topics: Vec<String>,
    performatives: Vec<String>,
    lease_s: Option<Number>,
    /// Another device, named by ops.
    agent: Option<String>,
}

pub(super) async fn register(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Trouble> {
    let asked: Registration = read_small(request).await?;
    let device = whose(&principal, asked.agent.as_deref())?;
    let lease_s = match &asked.lease_s {
        None => limits::AGENT_LEASE_S,
        Some(lease) => whole(lease).ok_or_else(|| not_registered(NotRegistered::Lease))?,
    };
    let now = clock::now();
    let words = (asked.topics.as_slice(), asked.performatives.as_slice());
    let agent = directory::agent(&principal, device, words, lease_s, now).map_err(not_registered)?;
    let answer = json!({ "agent": agent.device.as_str(), "until": agent.until.0 });
    let entered = app.writer.perform(move |tx, _, _| directory::register(tx, &agent, now)).await;
    entered.map_err(|_| Trouble::storage())?.map_err(not_registered)?;
    Ok(json(StatusCode::OK, &answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    agent: Option<String>,
}

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    asked: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Trouble> {
    let Query(asked) = asked.map_err(|_| bad("the query takes agent"))?;
    let device = whose(&principal, asked.agent.as_deref())?;
    let gone = app.writer.perform(move |tx, _, _| tx.drop_agent(&device)).await;
    gone.map_err(|_| Trouble::storage())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    topic: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    asked: Result<Query<About>, QueryRejection>,
) -> Result<Response, Trouble> {
    let Query(About { topic }) = asked.map_err(|_| bad("the query takes topic"))?;
    let topic = topic.map(|topic| Topic::parse(&topic)).transpose();
    let topic = topic.map_err(|_| bad("topic is a topic with its version, for example stall.help.v1"))?;
    let agents = match app.readers.ask(store::agents).await {
        Ok(agents) => agents,
        Err(error) => return Ok(failed(&error)),
    };
    let names = |pattern: &Pattern| topic.as_ref().is_none_or(|topic| pattern.names(topic.as_str()));
    let now = clock::now();
    let own = SERVICES.iter().filter(|(_, pattern)| Pattern::parse(pattern).is_some_and(|own| names(&own)));
    let own = own.map(|(name, pattern)| {
        json!({ "agent": name, "service": true, "topics": [pattern], "performatives": ["request"] })
    });
    let devices = agents.iter().filter(|agent| agent.until > now && agent.topics.iter().any(names));
    let all: Vec<Value> = own.chain(devices.map(described)).collect();
    Ok(json(StatusCode::OK, &json!({ "agents": all })))
}

fn described(agent: &Agent) -> Value {
    let topics: Vec<&str> = agent.topics.iter().map(Pattern::as_str).collect();
    let acts: Vec<&str> = agent.performatives.iter().map(|act| act.as_str()).collect();
    json!({
        "agent": agent.device.as_str(), "service": false, "topics": topics, "performatives": acts,
        "until": agent.until.0,
    })
}

/// A device speaks for itself, ops for anybody.
fn whose(principal: &Principal, agent: Option<&str>) -> Result<Device, Trouble> {
    let Some(agent) = agent else { return Ok(principal.device.clone()) };
    let device = Device::parse(agent).map_err(|_| bad("agent is the name of a device"))?;
    if device != principal.device && principal.role != Role::Ops {
        return Err(Trouble::new(StatusCode::FORBIDDEN, "role-forbids", "A device speaks for itself alone")
            .detail("leave agent out, or ask the people who run the market"));
    }
    Ok(device)
}

fn not_registered(problem: NotRegistered) -> Trouble {
    match problem {
        NotRegistered::Topics => bad(format!(
            "topics are 1 to {} patterns, for example stall.help.* or stall.>",
            limits::AGENT_TOPICS_MAX
        )),
        NotRegistered::Performatives => {
            bad("performatives are one or more of request, agree, refuse, inform and not-understood")
        }
        NotRegistered::Lease => bad(format!("leaseS is 1 to {}", limits::AGENT_LEASE_S_MAX)),
        NotRegistered::Role(pattern) => Trouble::new(
            StatusCode::FORBIDDEN,
            "role-forbids-topic",
            "This device may not hear what is asked there",
        )
        .detail(format!("{pattern} names topics its role does not write on")),
        NotRegistered::Full => {
            Trouble::new(StatusCode::CONFLICT, "directory-full", "The directory takes no more agents")
                .detail(format!("there are {} of them; let some withdraw", limits::AGENTS_MAX))
        }
    }
}
