//! What a reply means: one pure function, one table.
//!
//! **Only the city may judge an event.** Without the city's identity header an answer is the link's trouble,
//! whatever its status, and kills nothing.

use super::answer::{Answer, EdgeConfig, FeedPage, Problem};
use super::retry_after;
use crate::event::json::Json;
use crate::event::{EventId, UnixMillis};
use crate::limits::RETRY_AFTER_MAX_MS;

/// What came back for one request, as the driver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No answer: network error, refused redirect, broken body.
    NoAnswer,
    /// No answer within the time a request may take.
    Timeout,
    /// The page could not get credentials, so nothing was sent.
    NoCredentials,
    /// An answer.
    Http {
        /// Status code.
        status: u16,
        /// `conch-city`, when there.
        city: Option<String>,
        /// `retry-after`, when there.
        retry_after: Option<String>,
        /// `date`, when readable.
        date: Option<UnixMillis>,
        /// The body, at most `ANSWER_BYTES_MAX`.
        body: String,
        /// Whether it is called HTML.
        html: bool,
    },
}

/// Why events are still owed after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// The try may have reached the city.
    Unknown,
    /// The same, after a timeout: the batch was perhaps too large for the link.
    TimedOut,
    /// A proxy or portal answered in the city's place with a page.
    Captive,
    /// Something answered that is not a city: wrong address or a proxy's refusal.
    Misconfigured,
}

/// What a reply means for the events of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyClass {
    /// The city judged: these verdicts, each of an event we sent. Events without one are unknown.
    Judged(Answer),
    /// The city's offer, for a request that asked for it.
    Offer(EdgeConfig),
    /// The city told us when to come back, in ms; nothing was judged.
    Told(Option<u64>),
    /// The city keeps a moment free for this device alone: in so many ms.
    Slot(u64),
    /// The city wants credentials first.
    Hold,
    /// The city is still working on the same key; ask again after so many ms.
    InFlight(Option<u64>),
    /// What the city says to this device, for a request that asked for it.
    Feed(FeedPage),
    /// The city does not know the place in its feed we asked from.
    CursorGone,
    /// The city could not read or take the request as a whole.
    Rejected(Problem),
    /// The city itself failed.
    ServerFault,
    /// The link's trouble.
    Link(Unsettled),
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Verdicts for these events.
    Verdicts(&'a [EventId]),
    /// The city's offer.
    Offer,
    /// What the city has to say.
    Feed,
}

/// Classifies a reply to a request.
///
/// `now` is only used for `Retry-After` dates when the answer has no `Date` of its own.
pub fn classify(reply: &Reply, asked: Asked<'_>, now: UnixMillis) -> ReplyClass {
    let (status, city, retry_after, date, body) = match reply {
        Reply::Http { status, city, retry_after, date, body, .. } => (*status, city, retry_after, date, body),
        _ => return without_answer(reply),
    };
    if city.as_deref().is_none_or(str::is_empty) {
        return ReplyClass::Link(stranger(status));
    }
    let wait = retry_after.as_deref().and_then(|value| retry_after::wait_ms(value, date.unwrap_or(now)));
    let parsed = Json::parse(body).ok();
    match status {
        200..=299 => said(parsed.as_ref(), asked),
        410 if asked == Asked::Feed => ReplyClass::CursorGone,
        401 | 403 => ReplyClass::Hold,
        409 => ReplyClass::InFlight(wait),
        429 | 503 => match parsed.as_ref().and_then(|told| told.whole("retryAfterMs")) {
            Some(slot) => ReplyClass::Slot(slot.min(RETRY_AFTER_MAX_MS)),
            None => ReplyClass::Told(wait),
        },
        400 | 413 | 415 | 422 => match parsed.as_ref().and_then(Problem::read) {
            Some(problem) => ReplyClass::Rejected(problem),
            None => ReplyClass::Link(Unsettled::Unknown),
        },
        408 | 425 => ReplyClass::Link(Unsettled::Unknown),
        500..=599 => ReplyClass::ServerFault,
        _ => ReplyClass::Link(Unsettled::Misconfigured),
    }
}

/// What it means that nothing came back.
pub(super) fn without_answer(reply: &Reply) -> ReplyClass {
    match reply {
        Reply::NoCredentials => ReplyClass::Hold,
        Reply::Timeout => ReplyClass::Link(Unsettled::TimedOut),
        _ => ReplyClass::Link(Unsettled::Unknown),
    }
}

fn said(parsed: Option<&Json>, asked: Asked<'_>) -> ReplyClass {
    let answer = parsed.and_then(|parsed| match asked {
        Asked::Offer => EdgeConfig::read(parsed).map(ReplyClass::Offer),
        Asked::Feed => FeedPage::read(parsed).map(ReplyClass::Feed),
        Asked::Verdicts(sent) => {
            let mut answer = Answer::read(parsed)?;
            answer.verdicts.retain(|verdict| sent.contains(&verdict.id));
            (!answer.verdicts.is_empty()).then_some(ReplyClass::Judged(answer))
        }
    });
    answer.unwrap_or(ReplyClass::Link(match asked {
        Asked::Verdicts(_) => Unsettled::Unknown,
        _ => Unsettled::Misconfigured,
    }))
}

pub(super) fn stranger(status: u16) -> Unsettled {
    match status {
        200..=399 | 511 => Unsettled::Captive,
        408 | 425 | 429 | 500..=599 => Unsettled::Unknown,
        _ => Unsettled::Misconfigured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::VerdictWord;
    use crate::wire::answer::FeedEvent;

    const NOW: UnixMillis = UnixMillis(784_111_777_000);
    const PROBLEM: &str = r#"{"type":"urn:conch:problem:unreadable","title":"Unreadable","detail":"x"}"#;

    fn id(n: u8) -> EventId {
        EventId::mint(UnixMillis(1), [n; 10])
    }

    fn http(status: u16, city: bool, body: &str) -> Reply {
        Reply::Http {
            status,
            city: city.then(|| "c1".into()),
            retry_after: None,
            date: None,
            body: body.into(),
            html: false,
        }
    }

    fn told(status: u16, retry_after: &str) -> Reply {
        let Reply::Http { status, city, date, body, .. } = http(status, true, "") else { panic!() };
        Reply::Http { status, city, retry_after: Some(retry_after.into()), date, body, html: false }
    }

    fn verdicts(words: &[(u8, &str)]) -> String {
        let list: Vec<String> =
            words.iter().map(|(n, word)| format!(r#"{{"id":"{}","verdict":"{word}"}}"#, id(*n))).collect();
        format!(r#"{{"verdicts":[{}]}}"#, list.join(","))
    }

    fn class(reply: &Reply) -> ReplyClass {
        classify(reply, Asked::Verdicts(&[id(1), id(2)]), NOW)
    }

    #[test]
    fn row_verdicts_are_per_event_and_a_missing_one_stays_owed() {
        for (word, expected) in [
            ("accepted", VerdictWord::Accepted),
            ("duplicate", VerdictWord::Duplicate),
            ("retry", VerdictWord::Retry),
            ("hold", VerdictWord::Hold),
            ("refused", VerdictWord::Refused),
        ] {
            let ReplyClass::Judged(Answer { verdicts: list, .. }) =
                class(&http(200, true, &verdicts(&[(1, word)])))
            else {
                panic!("{word}")
            };
            assert_eq!(list.iter().map(|v| (v.id, v.word)).collect::<Vec<_>>(), [(id(1), expected)]);
        }
    }

    #[test]
    fn row_verdicts_for_ids_we_did_not_send_judge_nothing() {
        assert_eq!(
            class(&http(200, true, &verdicts(&[(9, "accepted")]))),
            ReplyClass::Link(Unsettled::Unknown)
        );
    }

    #[test]
    fn row_a_city_2xx_without_verdicts_is_unknown() {
        for body in ["", "{}", "ok", "{\"verdicts\":[]}"] {
            assert_eq!(class(&http(202, true, body)), ReplyClass::Link(Unsettled::Unknown), "{body}");
        }
    }

    #[test]
    fn row_overload_is_told() {
        assert_eq!(class(&told(429, "7")), ReplyClass::Told(Some(7_000)));
        assert_eq!(class(&told(503, "Sun, 06 Nov 1994 08:50:37 GMT")), ReplyClass::Told(Some(60_000)));
        assert_eq!(class(&told(503, "-3")), ReplyClass::Told(None));
        assert_eq!(class(&http(429, true, "")), ReplyClass::Told(None));
        let slot = |body| class(&http(503, true, body));
        assert_eq!(slot(r#"{"retryAfterMs":1250}"#), ReplyClass::Slot(1_250));
        assert_eq!(slot(r#"{"retryAfterMs":9007199254740991}"#), ReplyClass::Slot(RETRY_AFTER_MAX_MS));
        assert_eq!(slot(r#"{"retryAfterMs":-1}"#), ReplyClass::Told(None));
        assert_eq!(class(&http(503, false, r#"{"retryAfterMs":1}"#)), ReplyClass::Link(Unsettled::Unknown));
    }

    #[test]
    fn row_credentials_hold() {
        assert_eq!(class(&http(401, true, "")), ReplyClass::Hold);
        assert_eq!(class(&http(403, true, PROBLEM)), ReplyClass::Hold);
        assert_eq!(class(&Reply::NoCredentials), ReplyClass::Hold);
    }

    #[test]
    fn row_in_flight_asks_again() {
        assert_eq!(class(&told(409, "1")), ReplyClass::InFlight(Some(1_000)));
    }

    #[test]
    fn row_a_problem_of_ours_rejects_the_request() {
        for status in [400, 413, 415, 422] {
            assert!(matches!(class(&http(status, true, PROBLEM)), ReplyClass::Rejected(_)), "{status}");
            assert_eq!(class(&http(status, true, "{}")), ReplyClass::Link(Unsettled::Unknown), "{status}");
        }
    }

    #[test]
    fn row_the_citys_own_failure_is_a_server_fault() {
        for status in [500, 502, 504] {
            assert_eq!(class(&http(status, true, "")), ReplyClass::ServerFault);
        }
    }

    #[test]
    fn row_no_answer_is_unknown() {
        assert_eq!(class(&Reply::NoAnswer), ReplyClass::Link(Unsettled::Unknown));
        assert_eq!(class(&Reply::Timeout), ReplyClass::Link(Unsettled::TimedOut));
        for status in [408, 425] {
            assert_eq!(class(&http(status, true, "")), ReplyClass::Link(Unsettled::Unknown));
        }
    }

    #[test]
    fn row_what_does_not_prove_to_be_the_city_judges_nothing() {
        let good = verdicts(&[(1, "accepted"), (2, "refused")]);
        assert_eq!(class(&http(200, false, &good)), ReplyClass::Link(Unsettled::Captive));
        assert_eq!(class(&http(200, false, "<html>")), ReplyClass::Link(Unsettled::Captive));
        assert_eq!(class(&http(302, false, "")), ReplyClass::Link(Unsettled::Captive));
        assert_eq!(class(&http(511, false, "")), ReplyClass::Link(Unsettled::Captive));
        for status in [400, 401, 403, 404, 407, 413, 422, 451] {
            assert_eq!(
                class(&http(status, false, PROBLEM)),
                ReplyClass::Link(Unsettled::Misconfigured),
                "{status}"
            );
        }
        for status in [429, 500, 502, 503, 504] {
            assert_eq!(class(&http(status, false, "")), ReplyClass::Link(Unsettled::Unknown), "{status}");
        }
    }

    #[test]
    fn row_a_city_without_this_endpoint_is_misconfigured() {
        assert_eq!(class(&http(404, true, PROBLEM)), ReplyClass::Link(Unsettled::Misconfigured));
    }

    #[test]
    fn row_a_question_is_answered_with_the_offer() {
        let body = r#"{"city":"c1","batch":{"maxEvents":100,"maxBytes":65536},"pace":{"windowMs":5}}"#;
        let ReplyClass::Offer(offer) = classify(&http(200, true, body), Asked::Offer, NOW) else { panic!() };
        assert_eq!((offer.batch_events_max, offer.batch_bytes_max, offer.window_ms), (100, 65_536, Some(5)));
        assert_eq!(
            classify(&http(200, true, "{}"), Asked::Offer, NOW),
            ReplyClass::Link(Unsettled::Misconfigured)
        );
    }

    #[test]
    fn a_feed_is_what_the_city_says_and_a_lost_cursor_starts_over() {
        let class = |status, body: &str| classify(&http(status, true, body), Asked::Feed, NOW);
        let event = format!(r#"{{"id":"{}","causationid":"{}","type":"a.b.v1.said"}}"#, id(1), id(2));
        let page = format!(r#"{{"events":[{event}],"cursor":"c1.7"}}"#);
        let own = FeedEvent { id: id(1), cause: Some(id(2)), body: event };
        let expected = FeedPage { events: vec![own], cursor: "c1.7".into() };
        assert_eq!(class(200, &page), ReplyClass::Feed(expected));
        assert_eq!(class(410, PROBLEM), ReplyClass::CursorGone);
        assert_eq!(
            classify(&http(410, true, ""), Asked::Offer, NOW),
            ReplyClass::Link(Unsettled::Misconfigured)
        );
        for body in ["{}", r#"{"events":[],"cursor":"a b"}"#, r#"{"events":[{}],"cursor":"c"}"#, "<html>"] {
            assert_eq!(class(200, body), ReplyClass::Link(Unsettled::Misconfigured), "{body}");
        }
        let stranger = classify(&http(200, false, &page), Asked::Feed, NOW);
        assert_eq!(stranger, ReplyClass::Link(Unsettled::Captive), "only the city speaks for the city");
    }
}
