//! What a change of the addresses would break: for whoever asks the city, and for whoever reads its answers.

use city_domain::contracts::Break;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const SHAPES: &[&str] = &["components", "schemas"];
const REFERENCE: &str = "#/components/schemas/";
const BODY: &[&str] = &["requestBody", "content"];

/// Compares a released document with the one of today.
pub(crate) fn breaks(released: &str, today: &str) -> Vec<Break> {
    let (Ok(old), Ok(new)) = (serde_json::from_str::<Value>(released), serde_json::from_str::<Value>(today))
    else {
        return vec![Break::Unreadable];
    };
    let mut found = Vec::new();
    for (path, methods) in members(at(&old, &["paths"])) {
        for (method, operation) in members(methods) {
            let name = format!("{} {path}", method.to_uppercase());
            match at(&new, &["paths", path]).get(method) {
                None => found.push(Break::Address(name)),
                Some(now) => operation_breaks(&name, operation, now, &mut found),
            }
        }
    }
    let (asked, said) = (reached(&new, "requestBody"), reached(&new, "responses"));
    for (name, schema) in members(at(&old, SHAPES)) {
        match at(&new, SHAPES).get(name) {
            None => found.push(Break::Member(name.clone())),
            Some(now) => {
                member_breaks(name, schema, now, &mut found);
                let (before, after) = (needed(schema), needed(now));
                if asked.contains(name.as_str()) {
                    found.extend(after.difference(&before).map(|own| Break::Needed(format!("{name}.{own}"))));
                }
                if said.contains(name.as_str()) {
                    let loose =
                        before.difference(&after).filter(|own| at(now, &["properties", own]) != &Value::Null);
                    found.extend(loose.map(|own| Break::Promised(format!("{name}.{own}"))));
                }
            }
        }
    }
    found
}

/// What lies below these names; null where nothing does.
fn at<'a>(value: &'a Value, names: &[&str]) -> &'a Value {
    names.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn operation_breaks(name: &str, old: &Value, new: &Value, found: &mut Vec<Break>) {
    for (status, answer) in members(at(old, &["responses"])).filter(|(status, _)| status.starts_with('2')) {
        match at(new, &["responses"]).get(status) {
            None => found.push(Break::Member(format!("{name} {status}"))),
            Some(now) if now.get("content") != answer.get("content") => {
                found.push(Break::Retyped(format!("{name} {status}")));
            }
            Some(_) => {}
        }
    }
    for (kind, body) in members(at(old, BODY)) {
        match at(new, BODY).get(kind) {
            None => found.push(Break::Member(format!("{name} {kind}"))),
            Some(now) if now.get("schema") != body.get("schema") => {
                found.push(Break::Retyped(format!("{name} {kind}")))
            }
            Some(_) => {}
        }
    }
    let open = |operation| at(operation, &["security"]).as_array().is_none_or(Vec::is_empty);
    if open(old) && !open(new) {
        found.push(Break::Needed(format!("{name} token")));
    }
    parameter_breaks(name, old, new, found);
}

fn parameter_breaks(name: &str, old: &Value, new: &Value, found: &mut Vec<Break>) {
    let list = |operation: &Value| at(operation, &["parameters"]).as_array().cloned().unwrap_or_default();
    let same =
        |one: &Value, other: &Value| one.get("name") == other.get("name") && one.get("in") == other.get("in");
    let of = |parameter: &Value| format!("{name} {}", at(parameter, &["name"]).as_str().unwrap_or_default());
    let (old, new) = (list(old), list(new));
    for parameter in &old {
        match new.iter().find(|now| same(now, parameter)) {
            None => found.push(Break::Member(of(parameter))),
            Some(now) if now.get("schema") != parameter.get("schema") => {
                found.push(Break::Retyped(of(parameter)))
            }
            Some(_) => {}
        }
    }
    let needed = |parameter: &Value| at(parameter, &["required"]) == true;
    for parameter in new.iter().filter(|parameter| needed(parameter)) {
        if !old.iter().any(|before| same(before, parameter) && needed(before)) {
            found.push(Break::Needed(of(parameter)));
        }
    }
}

fn member_breaks(name: &str, old: &Value, new: &Value, found: &mut Vec<Break>) {
    for (member, is) in members(at(old, &["properties"])) {
        match at(new, &["properties"]).get(member) {
            None => found.push(Break::Member(format!("{name}.{member}"))),
            Some(now) if now != is => found.push(Break::Retyped(format!("{name}.{member}"))),
            Some(_) => {}
        }
    }
}

fn needed(schema: &Value) -> BTreeSet<&str> {
    at(schema, &["required"]).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The shapes that this part of the operations is made of. In requests a member more that is required refuses an older
/// asker; in answers one less is missed by an older reader.
fn reached<'a>(document: &'a Value, part: &str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let mut open: Vec<&Value> = members(at(document, &["paths"]))
        .flat_map(|(_, methods)| members(methods))
        .map(|(_, operation)| at(operation, &[part]))
        .collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(inner) => open.extend(inner.values()),
            Value::Array(inner) => open.extend(inner),
            Value::String(text) => {
                if let Some(name) = text.strip_prefix(REFERENCE)
                    && names.insert(name)
                {
                    open.push(at(at(document, SHAPES), &[name]));
                }
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn released() -> Value {
        json!({
            "paths": { "/v1/a": {
                "post": {
                    "security": [],
                    "parameters": [{ "in": "query", "name": "q", "required": false, "schema": { "type": "string" } }],
                    "requestBody": { "content": { "application/json": {
                        "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Outer" } },
                    } } },
                    "responses": {
                        "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Answer" } } } },
                        "404": {},
                    },
                },
                "get": { "responses": { "200": {} } },
            } },
            "components": { "schemas": {
                "Outer": { "properties": { "inner": { "$ref": "#/components/schemas/Inner" } }, "required": [] },
                "Inner": { "properties": { "a": { "type": "integer" }, "b": { "type": "string" } }, "required": ["a"] },
                "Answer": { "properties": { "x": { "type": "string" } }, "required": ["x"] },
            } },
        })
    }

    /// What breaks when the value at `place` becomes another, or goes.
    fn broken(place: &str, to: Option<Value>) -> Vec<Break> {
        let mut today = released();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = today.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match to {
            Some(value) => drop(parent.insert(name.replace("~1", "/"), value)),
            None => drop(parent.remove(&name.replace("~1", "/")).unwrap()),
        }
        breaks(&released().to_string(), &today.to_string())
    }

    #[test]
    fn the_same_breaks_nobody() {
        assert_eq!(breaks(&released().to_string(), &released().to_string()), []);
    }

    #[test]
    fn break_a_path_is_removed() {
        let gone = [Break::Address("GET /v1/a".into()), Break::Address("POST /v1/a".into())];
        assert_eq!(broken("/paths/~1v1~1a", None), gone);
    }

    #[test]
    fn break_a_method_is_removed() {
        assert_eq!(broken("/paths/~1v1~1a/get", None), [Break::Address("GET /v1/a".into())]);
    }

    #[test]
    fn break_a_shape_is_removed() {
        assert_eq!(broken("/components/schemas/Answer", None), [Break::Member("Answer".into())]);
    }

    #[test]
    fn break_a_member_is_removed_or_renamed() {
        assert_eq!(
            broken("/components/schemas/Answer/properties/x", None),
            [Break::Member("Answer.x".into())]
        );
        let renamed = json!({ "y": { "type": "string" } });
        assert_eq!(
            broken("/components/schemas/Answer/properties", Some(renamed)),
            [Break::Member("Answer.x".into())]
        );
    }

    #[test]
    fn break_a_member_is_retyped() {
        let number = Some(json!({ "type": "integer" }));
        assert_eq!(
            broken("/components/schemas/Inner/properties/b", number),
            [Break::Retyped("Inner.b".into())]
        );
    }

    #[test]
    fn break_a_member_of_a_request_is_needed_now() {
        let needed =
            |name: &str| broken(&format!("/components/schemas/{name}/required"), Some(json!(["a", "z"])));
        assert_eq!(needed("Inner"), [Break::Needed("Inner.z".into())], "however deep it lies");
        assert_eq!(broken("/components/schemas/Answer/required", Some(json!(["x", "z"]))), []);
    }

    #[test]
    fn break_a_member_of_an_answer_may_be_missing_now() {
        let loose = |name: &str| broken(&format!("/components/schemas/{name}/required"), Some(json!([])));
        assert_eq!(loose("Answer"), [Break::Promised("Answer.x".into())]);
        assert_eq!(loose("Inner"), [], "a request may need less");
    }

    #[test]
    fn break_a_parameter_is_removed_retyped_or_needed_now() {
        let place = "/paths/~1v1~1a/post/parameters";
        let with = |required: bool, kind: &str| json!([{ "in": "query", "name": "q", "required": required, "schema": { "type": kind } }]);
        let name = || "POST /v1/a q".to_owned();
        assert_eq!(broken(place, Some(json!([]))), [Break::Member(name())]);
        assert_eq!(broken(place, Some(with(false, "integer"))), [Break::Retyped(name())]);
        assert_eq!(broken(place, Some(with(true, "string"))), [Break::Needed(name())]);
    }

    #[test]
    fn break_a_good_answer_is_removed_or_another() {
        let place = "/paths/~1v1~1a/post/responses/200";
        assert_eq!(broken(place, None), [Break::Member("POST /v1/a 200".into())]);
        assert_eq!(broken(place, Some(json!({}))), [Break::Retyped("POST /v1/a 200".into())]);
        assert_eq!(broken("/paths/~1v1~1a/post/responses/404", None), [], "a problem less is no loss");
    }

    #[test]
    fn break_a_kind_of_body_is_no_longer_taken() {
        let place = "/paths/~1v1~1a/post/requestBody/content/application~1json";
        assert_eq!(broken(place, None), [Break::Member("POST /v1/a application/json".into())]);
    }

    #[test]
    fn break_a_token_is_needed_now() {
        let place = "/paths/~1v1~1a/post/security";
        assert_eq!(broken(place, Some(json!([{ "token": [] }]))), [Break::Needed("POST /v1/a token".into())]);
    }

    #[test]
    fn an_address_and_an_optional_member_more_break_nobody() {
        assert_eq!(broken("/paths/~1v1~1b", Some(json!({ "get": {} }))), []);
        let more = json!({ "x": { "type": "string" }, "y": { "type": "string" } });
        assert_eq!(broken("/components/schemas/Answer/properties", Some(more)), []);
    }

    #[test]
    fn a_released_file_that_cannot_be_read_is_told() {
        assert_eq!(breaks("{", "{}"), [Break::Unreadable]);
    }
}
