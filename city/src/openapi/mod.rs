//! The city's addresses as OpenAPI 3.1, made from the table, so that what is published is what the tests hold against the
//! router and its answers.

mod board;
mod breaks;
mod table;

pub(crate) use breaks::breaks;

use axum::http::StatusCode;
use city_domain::contracts::all;
use city_domain::limits::SOURCE_BYTES_MAX;
use conch::event::contract::Writer;
use conch::limits::ATTEMPT_MAX;
use conch::wire::headers;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use table::{Bad, Good, Is, KEY, Parameter, ROUTES, Route, SCHEMAS, Schema, Who};

/// Where it lies below `contracts/`.
pub(crate) const FILE: &str = "openapi.json";

const ABOUT: &str = "An event outbox's other end. Delivery is at least once and the effect once: send the same id and \
    bytes again until there is a verdict. Only an answer that carries conch-city is the city's; anything else is the \
    network's. Errors are RFC 9457 problem documents whose types outlive their wording.";

/// The document.
pub(crate) fn text() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        paths.entry(route.path).or_default().insert(route.method.to_owned(), operation(route));
    }
    let mut schemas: BTreeMap<&str, Value> =
        SCHEMAS.iter().chain(board::SCHEMAS).map(|schema| (schema.name, shape(schema))).collect();
    schemas.extend([("Problem", problem()), ("Envelope", envelope()), ("Event", event())]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Conch: the city",
            "version": "1",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "POST /v1/enrol gives one for a one-time code. The words beside it are the roles it needs.",
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let security: &[&str] = match route.who {
        Who::Anybody | Who::Device => &[],
        Who::Vendor => &["vendor", "ops"],
        Who::Gate => &["gate", "ops"],
        Who::Ops => &["ops"],
    };
    let parameters: Vec<Value> = route.takes.iter().map(parameter).collect();
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "security": if route.who == Who::Anybody { json!([]) } else { json!([{ "token": security }]) },
        "parameters": parameters,
        "responses": answers(route),
    });
    if !route.body.is_empty()
        && let Value::Object(members) = &mut operation
    {
        let content: BTreeMap<&str, Value> =
            route.body.iter().map(|(kind, is)| (*kind, json!({ "schema": schema(*is) }))).collect();
        members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "in": parameter.place,
        "name": parameter.name,
        "required": parameter.needed,
        "schema": schema(parameter.is),
        "description": parameter.says,
    })
}

fn answers(route: &Route) -> BTreeMap<String, Value> {
    let good = route.good.iter().map(|good| (good.status.to_string(), good_answer(good)));
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let who: &[Bad] = match route.who {
        Who::Anybody => &[],
        Who::Device | Who::Vendor | Who::Gate => &[(401, &["unauthenticated"])],
        Who::Ops => &[(401, &["unauthenticated"]), (403, &["ops-only"])],
    };
    for (status, own) in who.iter().chain(route.bad.iter().copied().flatten()) {
        let all = codes.entry(*status).or_default();
        all.extend(own.iter().filter(|code| !all.contains(code)).collect::<Vec<_>>());
    }
    good.chain(codes.iter().map(|(status, codes)| (status.to_string(), bad_answer(*status, codes)))).collect()
}

fn good_answer(good: &Good) -> Value {
    let mut answer = json!({ "description": good.says, "headers": own_headers(good.headers) });
    if !matches!(good.is, Is::Nothing)
        && let Value::Object(members) = &mut answer
    {
        let content = BTreeMap::from([(good.kind, json!({ "schema": schema(good.is) }))]);
        members.insert("content".to_owned(), json!(content));
    }
    answer
}

/// A problem whose type is one of these.
fn bad_answer(status: u16, codes: &[&str]) -> Value {
    let kinds: Vec<String> = codes.iter().map(|code| format!("{}{code}", headers::PROBLEM_PREFIX)).collect();
    let told: &[(&str, &str)] = match status {
        401 => &[("www-authenticate", "Bearer")],
        409 | 429 | 503 => &[(headers::RETRY_AFTER, "Seconds to wait at least, when waiting helps.")],
        _ => &[],
    };
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let schema = json!({
        "allOf": [{ "$ref": "#/components/schemas/Problem" }],
        "properties": { "type": { "enum": kinds }, "status": { "const": status } },
    });
    json!({
        "description": reason.unwrap_or("A problem"),
        "headers": own_headers(told),
        "content": { headers::PROBLEM: { "schema": schema } },
    })
}

/// What an answer carries besides its body; the city's identity always.
fn own_headers(more: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let city = json!({
        "required": true,
        "schema": schema(Is::Uuid),
        "description": "Whose answer it is.",
    });
    let more =
        more.iter().map(|(name, says)| (*name, json!({ "schema": schema(Is::Text), "description": says })));
    std::iter::once((headers::CITY, city)).chain(more).map(|(name, is)| (name.to_owned(), is)).collect()
}

fn schema(is: Is) -> Value {
    match is {
        Is::Nothing | Is::Anything => json!(true),
        Is::Text => json!({ "type": "string" }),
        Is::Short(most) => json!({ "type": "string", "pattern": "\\S", "maxLength": most }),
        Is::Form(pattern) => json!({ "type": "string", "pattern": pattern }),
        Is::Uuid => json!({ "type": "string", "format": "uuid" }),
        Is::Moment => json!({ "type": "string", "format": "date-time" }),
        Is::Bool => json!({ "type": "boolean" }),
        Is::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Is::OneOf(words) => json!({ "type": "string", "enum": words }),
        Is::Of(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
        Is::Some(of, most) => {
            json!({ "type": "array", "items": schema(*of), "minItems": 1, "maxItems": most })
        }
        Is::List(of, most) => json!({ "type": "array", "items": schema(*of), "maxItems": most }),
        Is::OrNull(of) => json!({ "anyOf": [schema(*of), { "type": "null" }] }),
    }
}

fn shape(own: &Schema) -> Value {
    let members = own.always.iter().chain(own.maybe);
    let properties: BTreeMap<&str, Value> = members.map(|(name, is)| (*name, schema(*is))).collect();
    let required: Vec<&str> = own.always.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": !own.closed,
    })
}

fn problem() -> Value {
    json!({
        "description": "RFC 9457. The type is urn:conch:problem: and a code that outlives its wording.",
        "type": "object",
        "properties": {
            "type": schema(Is::Form("^urn:conch:problem:[a-z-]+$")),
            "title": schema(Is::Text),
            "status": schema(Is::Whole(400, 599)),
            "detail": schema(Is::Text),
            "retryAfterMs": schema(table::COUNT),
        },
        "required": ["type", "title", "detail"],
        "additionalProperties": true,
    })
}

/// A CloudEvent with the attributes the city reads, whoever said it.
fn envelope() -> Value {
    let attempt = Is::Whole(1, u64::from(ATTEMPT_MAX));
    let attributes: BTreeMap<&str, Value> = [
        ("id", Is::Uuid),
        ("source", Is::Short(SOURCE_BYTES_MAX as u64)),
        ("type", Is::Form("^([a-z0-9_]+\\.)+v[1-9][0-9]*\\.[a-z][a-z0-9_]{0,39}$")),
        ("time", Is::Moment),
        ("subject", KEY),
        ("partitionkey", KEY),
        ("idempotencykey", Is::Uuid),
        ("attempt", attempt),
        ("sequence", Is::Form("^[0-9]{1,16}$")),
        ("correlationid", KEY),
        ("causationid", KEY),
        ("traceparent", KEY),
        ("datacontenttype", Is::OneOf(&["application/json"])),
    ]
    .into_iter()
    .map(|(name, is)| (name, schema(is)))
    .chain([("specversion", json!({ "const": "1.0" })), ("data", schema(Is::Anything))])
    .collect();
    json!({
        "description": "A CloudEvent 1.0 in JSON. Unknown attributes are kept.",
        "type": "object",
        "properties": attributes,
        "required": ["specversion", "id", "source", "type"],
        "anyOf": [{ "required": ["partitionkey"] }, { "required": ["subject"] }],
        "propertyNames": { "pattern": "^[a-z0-9]+$" },
        "additionalProperties": { "type": ["string", "integer", "boolean", "null"] },
    })
}

/// What a device sends: under contract with its payload, or on a topic of its own. Held against the reader's schema,
/// because the city takes members it does not know.
fn event() -> Value {
    let known = |topic: &str, kind: &str| {
        json!({
            "properties": {
                "type": { "const": format!("{topic}.{kind}") },
                "data": { "$ref": format!("./{topic}/{kind}.reader.schema.json") },
            },
            "required": ["data"],
        })
    };
    let mut kinds: Vec<Value> = all()
        .filter(|contract| contract.writer == Writer::Device)
        .map(|contract| known(contract.topic, contract.kind))
        .collect();
    let mut families: Vec<String> =
        all().filter_map(|contract| Some(contract.topic.rsplit_once('.')?.0.replace('.', "\\."))).collect();
    families.sort_unstable();
    families.dedup();
    let reserved = format!("^({})\\.v[0-9]+\\.", families.join("|"));
    kinds.push(json!({ "properties": { "type": { "not": { "pattern": reserved } } } }));
    json!({
        "description": "One event of this device: source is conch://device/<device>/<incarnation>.",
        "allOf": [{ "$ref": "#/components/schemas/Envelope" }, { "anyOf": kinds }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Path and method of each `.route("…", get(…))` in the router's own text.
    fn routed() -> BTreeSet<(String, String)> {
        let router = include_str!("../http/mod.rs");
        let mut found = BTreeSet::new();
        for call in router.split(".route(\"").skip(1) {
            let (path, rest) = call.split_once("\", ").unwrap();
            // Several methods of one path are chained: get(a).put(b).
            let handlers = rest.split([';', '\n']).next().unwrap();
            for method in ["get", "post", "put", "delete", "patch"] {
                if handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}(")) {
                    found.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn the_table_has_the_routers_addresses_and_no_others() {
        let table: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method, route.path))
            .chain(table::DEVELOPMENT.iter().copied())
            .map(|(method, path)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(table, routed());
    }

    #[test]
    fn an_address_takes_the_parameters_its_path_names() {
        for route in ROUTES {
            let named: Vec<_> =
                route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            let taken: Vec<_> =
                route.takes.iter().filter(|own| own.place == "path").map(|own| own.name).collect();
            assert_eq!(named, taken, "{}", route.path);
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_what_is_there_is_referred_to() {
        let text = text();
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let referred: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(referred, schemas.keys().map(String::as_str).collect());
        let files: BTreeSet<String> =
            city_domain::contracts::files().into_iter().map(|(path, _)| format!("./{path}")).collect();
        let payloads = text.split("\"$ref\": \"./").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(payloads.map(|path| format!("./{path}")).all(|path| files.contains(&path)));
    }

    #[test]
    fn names_are_used_once() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.name).collect();
        assert_eq!(names.len(), ROUTES.len());
    }
}
