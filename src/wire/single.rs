//! Transport `single`: any server that takes a POST and knows nothing of us.
//!
//! Each event is a request of its own in the binary mode of the CloudEvents HTTP binding 1.0.2: the body is the payload,
//! the attributes travel as `ce-*` headers, which such a server may ignore. What it must know is one header,
//! `idempotency-key`: the same value means the same effect, once.

use super::answer::{Answer, Problem, Verdict, VerdictWord};
use super::classify::{Reply, ReplyClass, Unsettled, stranger};
use super::headers::{self, PROBLEM_PREFIX};
use super::retry_after;
use crate::event::json::Json;
use crate::event::{EventId, UnixMillis};

/// Attributes of an event and the headers they travel in.
const ATTRIBUTES: [(&str, &str); 6] = [
    ("specversion", "ce-specversion"),
    ("id", "ce-id"),
    ("source", "ce-source"),
    ("type", "ce-type"),
    ("time", "ce-time"),
    ("subject", "ce-subject"),
];
/// Statuses that refuse an event for good, unless the page names others.
pub const REFUSED: [u16; 2] = [400, 422];

/// Headers and body of the request for one encoded event; the same ones on every try. None when it is no event.
pub fn request(encoded: &str) -> Option<(Vec<(&'static str, String)>, String)> {
    let event = Json::parse(encoded).ok()?;
    let intent = event.text("idempotencykey")?;
    let mut list = vec![
        (headers::IDEMPOTENCY_KEY, format!("\"{intent}\"")),
        ("content-type", "application/json".to_owned()),
    ];
    for (attribute, header) in ATTRIBUTES {
        if let Some(value) = event.text(attribute) {
            list.push((header, percent_encoded(value)));
        }
    }
    let mut body = String::new();
    event.get("data")?.write(&mut body);
    Some((list, body))
}

/// What a header of the binary mode cannot hold as it is (CloudEvents HTTP binding 3.1.3.2).
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

/// What a reply means for the one event of its request. A 2xx settles it, a status of `refused` with a JSON body refuses
/// it, and all else is trouble that kills nothing. `now` is only used for `Retry-After` dates without a `Date`.
pub fn classify(reply: &Reply, id: EventId, refused: &[u16], now: UnixMillis) -> ReplyClass {
    let Reply::Http { status, retry_after, date, body, html, .. } = reply else {
        return super::classify::without_answer(reply);
    };
    let judged = |word, problem| {
        let verdicts = vec![Verdict { id, word, problem, retry_after_ms: None }];
        ReplyClass::Judged(Answer { verdicts, window_ms: None })
    };
    let wait = retry_after.as_deref().and_then(|value| retry_after::wait_ms(value, date.unwrap_or(now)));
    match status {
        200..=299 if is_page(body, *html) => ReplyClass::Link(Unsettled::Captive),
        200..=299 => judged(VerdictWord::Accepted, None),
        401 => ReplyClass::Hold,
        429 | 503 if wait.is_some() => ReplyClass::Told(wait),
        _ => match (Json::parse(body), stranger(*status), *status) {
            (Ok(said), ..) if refused.contains(status) => {
                judged(VerdictWord::Refused, Some(problem(*status, &said)))
            }
            (_, Unsettled::Captive, _) => ReplyClass::Link(Unsettled::Captive),
            (_, _, 404 | 405 | 410) => ReplyClass::Link(Unsettled::Misconfigured),
            // It answers, so the link is not what fails.
            (Ok(_), _, ..500) => ReplyClass::ServerFault,
            _ => ReplyClass::Link(Unsettled::Unknown),
        },
    }
}

/// A portal answers with a page, in whatever encoding; nobody answers a POST of JSON so. What is only called HTML may be
/// a server that says so of everything: then what it says is JSON, or nothing.
fn is_page(body: &str, html: bool) -> bool {
    if html && !body.is_empty() && Json::parse(body).is_err() {
        return true;
    }
    let blank = |sign: char| sign.is_whitespace() || matches!(sign, '\0' | '\u{feff}' | '\u{fffd}');
    body.trim_start_matches(blank).starts_with('<')
}

/// The server's own words, wherever it put them.
fn problem(status: u16, said: &Json) -> Problem {
    let text = |names: [&str; 3]| {
        let found = names.iter().find_map(|name| said.text(name));
        found.unwrap_or_default().to_owned()
    };
    Problem {
        kind: format!("{PROBLEM_PREFIX}refused"),
        title: match text(["title", "error", "code"]) {
            none if none.is_empty() => format!("HTTP {status}"),
            title => title,
        },
        status: Some(status),
        detail: text(["detail", "message", "description"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(784_111_777_000);

    fn id() -> EventId {
        EventId::mint(UnixMillis(1), [7; 10])
    }

    fn http(status: u16, body: &str, retry_after: Option<&str>) -> Reply {
        let retry_after = retry_after.map(str::to_owned);
        Reply::Http { status, city: None, retry_after, date: None, body: body.into(), html: false }
    }

    fn class(status: u16, body: &str) -> ReplyClass {
        classify(&http(status, body, None), id(), &REFUSED, NOW)
    }

    fn word(class: &ReplyClass) -> Option<(VerdictWord, Option<Problem>)> {
        let ReplyClass::Judged(answer) = class else { return None };
        answer.verdicts.first().map(|verdict| (verdict.word, verdict.problem.clone()))
    }

    #[test]
    fn a_request_is_the_payload_with_the_attributes_beside_it() {
        let encoded = r#"{"specversion":"1.0","sequence":"0000000000000001","id":"i","source":"conch://device/t/l","type":"shop.order.v1.made","time":"2026-01-01T00:00:00Z","subject":"a\"b%c","partitionkey":"a\"b%c","idempotencykey":"k","attempt":1,"data":{"b":1,"a":"é"}}"#;
        let (list, body) = request(encoded).unwrap();
        assert_eq!(body, r#"{"b":1,"a":"é"}"#);
        let header = |name| list.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        assert_eq!(header("idempotency-key"), Some("\"k\""));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("ce-type"), Some("shop.order.v1.made"));
        assert_eq!(header("ce-subject"), Some("a%22b%25c"));
        assert_eq!(header("ce-time"), Some("2026-01-01T00:00:00Z"));
        assert_eq!(request("{}"), None);
    }

    #[test]
    fn row_any_success_settles() {
        for status in [200, 201, 202, 204] {
            assert_eq!(word(&class(status, "")), Some((VerdictWord::Accepted, None)), "{status}");
        }
        assert_eq!(word(&class(200, "{\"ok\":true}")), Some((VerdictWord::Accepted, None)));
    }

    #[test]
    fn row_a_page_instead_of_an_answer_is_a_portal() {
        assert_eq!(class(200, "\n <!doctype html>"), ReplyClass::Link(Unsettled::Captive));
        // As the browser reads what is not UTF-8, or begins with a byte order mark.
        for page in ["\u{feff}<html>", "\u{fffd}\u{fffd}<\0h\0", "\0<\0h"] {
            assert_eq!(class(200, page), ReplyClass::Link(Unsettled::Captive), "{page:?}");
        }
        assert_eq!(class(511, "{}"), ReplyClass::Link(Unsettled::Captive));
    }

    #[test]
    fn row_what_is_called_html_settles_only_with_json_or_nothing_in_it() {
        let html = |body: &str| {
            let Reply::Http { status, city, retry_after, date, body, .. } = http(200, body, None) else {
                panic!()
            };
            classify(&Reply::Http { status, city, retry_after, date, body, html: true }, id(), &REFUSED, NOW)
        };
        for page in ["Please log in at http://portal.example", "Welcome! <a href='/in'>log in</a>"] {
            assert_eq!(html(page), ReplyClass::Link(Unsettled::Captive), "{page}");
            assert_eq!(
                word(&class(200, page)),
                Some((VerdictWord::Accepted, None)),
                "plain text may be an answer"
            );
        }
        for answer in ["", r#"{"ok":true}"#, "\"taken\""] {
            assert_eq!(word(&html(answer)), Some((VerdictWord::Accepted, None)), "{answer}");
        }
    }

    #[test]
    fn row_a_listed_status_with_json_refuses_in_the_servers_words() {
        let (said, problem) = word(&class(422, r#"{"error":"sold out","message":"no seat"}"#)).unwrap();
        let problem = problem.unwrap();
        assert_eq!((said, problem.status), (VerdictWord::Refused, Some(422)));
        assert_eq!(
            (problem.code(), problem.title.as_str(), problem.detail.as_str()),
            ("refused", "sold out", "no seat")
        );
        assert_eq!(
            class(400, "<html>proxy"),
            ReplyClass::Link(Unsettled::Unknown),
            "a proxy refuses nothing"
        );
        assert_eq!(class(409, "{}"), ReplyClass::ServerFault, "not listed");
        let (_, problem) = word(&class(422, r#"{"error":{"message":"no seat"}}"#)).unwrap();
        assert_eq!(problem.unwrap().title, "HTTP 422", "no words of its own");
        assert!(word(&classify(&http(409, "{}", None), id(), &[409], NOW)).is_some(), "listed by the page");
    }

    #[test]
    fn row_all_else_kills_nothing() {
        for status in [403, 408, 413, 425, 429, 451] {
            assert_eq!(class(status, "{}"), ReplyClass::ServerFault, "{status}");
        }
        for status in [404, 405, 410] {
            assert_eq!(class(status, "{}"), ReplyClass::Link(Unsettled::Misconfigured), "{status}");
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(class(status, "{}"), ReplyClass::Link(Unsettled::Unknown), "{status}");
        }
        assert_eq!(class(401, "{}"), ReplyClass::Hold);
        assert_eq!(classify(&http(429, "", Some("7")), id(), &REFUSED, NOW), ReplyClass::Told(Some(7_000)));
        assert_eq!(classify(&Reply::NoAnswer, id(), &REFUSED, NOW), ReplyClass::Link(Unsettled::Unknown));
        assert_eq!(classify(&Reply::Timeout, id(), &REFUSED, NOW), ReplyClass::Link(Unsettled::TimedOut));
        assert_eq!(classify(&Reply::NoCredentials, id(), &REFUSED, NOW), ReplyClass::Hold);
    }
}
