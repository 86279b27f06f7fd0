//! The market the city serves: its name, gates, stalls and what they sell, read once from the operator's file.
//!
//! What a scanner or a till shows of the market comes from here, so that nobody types a stall's name on a phone. The
//! answer is made when the file is read and never changes while the city runs.

use city_domain::{Plan, limits};
use conch::event::json::Json;
use conch::event::{Device, Key};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A name in both languages of the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) zh_hant: String,
    pub(crate) en: String,
}

/// A gate; scans name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) id: Key,
    pub(crate) name: Name,
}

/// Something a stall sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dish {
    pub(crate) id: Key,
    pub(crate) name: Name,
    /// In minor units of the market's currency.
    pub(crate) price: u64,
}

/// A stall; its till and its meter speak under its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    pub(crate) id: Device,
    pub(crate) name: Name,
    /// The circuit it draws its power from, if it draws any.
    pub(crate) circuit: Option<Key>,
    pub(crate) menu: Vec<Dish>,
}

/// The whole market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Market {
    pub(crate) name: Name,
    pub(crate) gates: Vec<Gate>,
    pub(crate) stalls: Vec<Stall>,
    /// The circuits, when the file has them, in the form of `--circuits`.
    pub(crate) circuits: Option<Plan>,
}

/// The market as it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) text: String,
    /// Of the text, in quotes, as the header has it.
    pub(crate) tag: String,
}

impl Market {
    /// Reads the file. The error names the member that is wrong: `stalls[2].menu[0].price is 1 to 100000000`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.len() > limits::MARKET_BYTES_MAX {
            return Err(format!("it is larger than {} bytes", limits::MARKET_BYTES_MAX));
        }
        let json =
            Json::parse(text).map_err(|problem| format!("at byte {}: {}", problem.at, problem.what))?;
        let whole = At { path: "the market".to_owned(), json: &json };
        let name = name(&At { path: "name".to_owned(), json: whole.member("name")?.json })?;
        let gates = list(&json, "gates", limits::MARKET_GATES_MAX, gate)?;
        let stalls = list(&json, "stalls", limits::MARKET_STALLS_MAX, stall)?;
        alone("gates", gates.iter().map(|gate| gate.id.as_str()))?;
        alone("stalls", stalls.iter().map(|stall| stall.id.as_str()))?;
        let circuits =
            json.get("circuits").map(Plan::of_list).transpose().map_err(|why| format!("circuits: {why}"))?;
        if let Some(plan) = &circuits {
            for (place, stall) in stalls.iter().enumerate() {
                if stall.circuit.as_ref().is_some_and(|circuit| plan.of(circuit).is_none()) {
                    return Err(format!("stalls[{place}].circuit is none of `circuits`"));
                }
            }
        }
        Ok(Self { name, gates, stalls, circuits })
    }

    /// The answer to whoever asks.
    pub(crate) fn publish(&self) -> Published {
        let gates: Vec<Value> = self
            .gates
            .iter()
            .map(|gate| json!({ "id": gate.id.as_str(), "name": gate.name.said() }))
            .collect();
        let stalls: Vec<Value> = self.stalls.iter().map(Stall::said).collect();
        let text = json!({ "name": self.name.said(), "gates": gates, "stalls": stalls }).to_string();
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Published { text, tag: format!("\"{hex}\"") }
    }
}

impl Name {
    fn said(&self) -> Value {
        json!({ "zh-Hant": self.zh_hant, "en": self.en })
    }
}

impl Stall {
    fn said(&self) -> Value {
        let dish =
            |dish: &Dish| json!({ "id": dish.id.as_str(), "name": dish.name.said(), "price": dish.price });
        let mut said = json!({
            "id": self.id.as_str(),
            "name": self.name.said(),
            "menu": self.menu.iter().map(dish).collect::<Vec<_>>(),
        });
        if let (Some(circuit), Some(members)) = (&self.circuit, said.as_object_mut()) {
            members.insert("circuit".to_owned(), json!(circuit.as_str()));
        }
        said
    }
}

/// A value and where in the file it stands.
struct At<'a> {
    path: String,
    json: &'a Json,
}

impl<'a> At<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("{} {what}", self.path)
    }

    fn member(&self, name: &str) -> Result<At<'a>, String> {
        let path = format!("{}.{name}", self.path);
        match self.json.get(name) {
            Some(json) => Ok(At { path, json }),
            None => Err(format!("{} has no `{name}`", self.path)),
        }
    }

    fn key(&self) -> Result<Key, String> {
        let key = self.json.as_text().and_then(|text| Key::parse(text).ok());
        key.ok_or_else(|| self.wrong("is a key: 1 to 128 printable ASCII characters, no personal data"))
    }
}

/// Up to `most` things under a name; none when the name is not there.
fn list<T>(
    of: &Json,
    name: &str,
    most: usize,
    read: impl Fn(&At<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let Some(json) = of.get(name) else { return Ok(Vec::new()) };
    within(&At { path: name.to_owned(), json }, most, read)
}

fn within<T>(
    at: &At<'_>,
    most: usize,
    read: impl Fn(&At<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = at.json.as_array().ok_or_else(|| at.wrong("is a list"))?;
    if items.len() > most {
        return Err(at.wrong(&format!("has more than {most} entries")));
    }
    items
        .iter()
        .enumerate()
        .map(|(place, json)| read(&At { path: format!("{}[{place}]", at.path), json }))
        .collect()
}

fn name(at: &At<'_>) -> Result<Name, String> {
    let one = |language: &str| {
        let own = at.member(language)?;
        let text = own.json.as_text().map(str::trim).unwrap_or_default();
        let fits = (1..=limits::MARKET_NAME_CHARS_MAX).contains(&text.chars().count());
        let plain = !text.chars().any(char::is_control);
        if fits && plain {
            return Ok(text.to_owned());
        }
        Err(own.wrong(&format!("is a text of 1 to {} characters", limits::MARKET_NAME_CHARS_MAX)))
    };
    Ok(Name { zh_hant: one("zh-Hant")?, en: one("en")? })
}

fn gate(at: &At<'_>) -> Result<Gate, String> {
    Ok(Gate { id: at.member("id")?.key()?, name: name(&at.member("name")?)? })
}

fn stall(at: &At<'_>) -> Result<Stall, String> {
    let own = at.member("id")?;
    let id = own.json.as_text().and_then(|text| Device::parse(text).ok());
    let id = id.ok_or_else(|| own.wrong("is a device: 1 to 64 of a-z, 0-9 and -"))?;
    let circuit = match at.json.get("circuit") {
        None => None,
        Some(_) => Some(at.member("circuit")?.key()?),
    };
    let menu = match at.json.get("menu") {
        None => Vec::new(),
        Some(_) => within(&at.member("menu")?, limits::MARKET_DISHES_MAX, dish)?,
    };
    alone(&format!("{}.menu", at.path), menu.iter().map(|dish| dish.id.as_str()))?;
    Ok(Stall { id, name: name(&at.member("name")?)?, circuit, menu })
}

fn dish(at: &At<'_>) -> Result<Dish, String> {
    let price = at.member("price")?;
    let fits = price.json.as_whole().filter(|price| (1..=limits::MARKET_PRICE_MAX).contains(price));
    let price = fits.ok_or_else(|| {
        price.wrong(&format!("is 1 to {}, in minor units: 8000 is NT$80", limits::MARKET_PRICE_MAX))
    })?;
    Ok(Dish { id: at.member("id")?.key()?, name: name(&at.member("name")?)?, price })
}

/// Two things of one id could not be told apart.
fn alone<'a>(path: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (place, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(format!("{path}[{place}].id stands there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
        "name": { "zh-Hant": "蒼螺夜市", "en": "Canglu Night Market" },
        "gates": [{ "id": "n1", "name": { "zh-Hant": "北門", "en": "North gate" } }],
        "stalls": [{ "id": "stall-1", "name": { "zh-Hant": "阿蓮蚵仔煎", "en": "Lian's oyster omelette" }, "circuit": "c1",
            "menu": [{ "id": "omelette", "name": { "zh-Hant": "蚵仔煎", "en": "Oyster omelette" }, "price": 8000 }] }],
        "circuits": [{ "circuit": "c1", "limitWatts": 3500, "stalls": { "stall-1": 2 } }]
    }"#;

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        assert!(Market::read(SMALL).is_ok());
        for (from, to, says) in [
            ("\"price\": 8000", "\"price\": 0", "stalls[0].menu[0].price is 1 to"),
            ("\"price\": 8000", "\"price\": 80.5", "stalls[0].menu[0].price is 1 to"),
            ("\"id\": \"n1\"", "\"id\": \"北門\"", "gates[0].id is a key"),
            ("\"id\": \"stall-1\"", "\"id\": \"Stall 1\"", "stalls[0].id is a device"),
            ("\"en\": \"North gate\"", "\"fr\": \"Porte nord\"", "gates[0].name has no `en`"),
            ("\"蚵仔煎\"", "\" \"", "stalls[0].menu[0].name.zh-Hant is a text"),
            ("\"circuit\": \"c1\",", "\"circuit\": \"c2\",", "stalls[0].circuit is none of `circuits`"),
            ("3500", "\"much\"", "circuits: circuit 1: `limitWatts`"),
            ("\"gates\": [", "\"gates\": 3, \"doors\": [", "gates is a list"),
            (
                "\"name\": { \"zh-Hant\": \"蒼螺夜市\"",
                "\"title\": { \"zh-Hant\": \"x\"",
                "the market has no `name`",
            ),
            ("{", "[", "at byte"),
        ] {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL, "{from}");
            let said = Market::read(&text).unwrap_err();
            assert!(said.starts_with(says), "{said}");
        }
    }

    #[test]
    fn one_id_stands_for_one_thing() {
        let dish = r#"{ "id": "omelette", "name": { "zh-Hant": "蚵仔煎", "en": "Oyster omelette" }, "price": 8000 }"#;
        let twice = Market::read(&SMALL.replace(dish, &format!("{dish}, {dish}"))).unwrap_err();
        assert_eq!(twice, "stalls[0].menu[1].id stands there twice");
    }

    #[test]
    fn another_market_has_another_tag() {
        let (one, other) =
            (Market::read(SMALL).unwrap(), Market::read(&SMALL.replace("8000", "8500")).unwrap());
        assert_ne!(one.publish().tag, other.publish().tag);
        assert_eq!(one.publish().tag, Market::read(SMALL).unwrap().publish().tag);
    }
}
