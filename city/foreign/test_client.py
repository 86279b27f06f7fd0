"""The CloudEvents SDK of PyPI as a client of the city."""

import json
import os
import sqlite3
import uuid

import city
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

DEVICE = "python-1"
DATA = {"text": "the ice is out"}


@pytest.fixture(scope="module")
def token():
    return city.enrol(DEVICE, "vendor")


def test_an_event_of_the_sdk_in_structured_mode_is_accepted_and_once(token):
    event = CloudEvent(city.note(DEVICE), DATA)
    message = to_structured_event(event)
    first = city.send(token, event.get_id(), message.body, message.headers)
    assert (first.status_code, city.word(first)) == (202, "accepted")
    again = city.send(token, event.get_id(), message.body, message.headers)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"


def test_a_batch_of_the_sdks_events_is_judged_one_by_one(token):
    events = [CloudEvent(city.note(DEVICE), DATA), CloudEvent(city.note(DEVICE, type="pay.txn.v2.requested"), {})]
    body = b"[" + b",".join(to_structured_event(event).body for event in events) + b"]"
    answer = city.ask("POST", "/v1/events", token, {"content-type": city.BATCH}, data=body)
    assert answer.status_code == 200
    verdicts = [(verdict["id"], verdict["verdict"]) for verdict in answer.json()["verdicts"]]
    assert verdicts == [(events[0].get_id(), "accepted"), (events[1].get_id(), "refused")]


def test_binary_mode_is_refused_with_what_to_send_instead(token):
    event = CloudEvent(city.note(DEVICE), DATA)
    message = to_binary_event(event)
    answer = city.send(token, event.get_id(), message.body, {"content-type": "application/json", **message.headers})
    assert (answer.status_code, city.word(answer)) == (415, "media-type")
    assert city.SINGLE in answer.json()["detail"]


def test_bytes_as_payload_are_refused_with_the_reason(token):
    event = CloudEvent(city.note(DEVICE, datacontenttype="application/octet-stream"), b"\x00\x01")
    message = to_structured_event(event)
    assert b"data_base64" in message.body
    answer = city.send(token, event.get_id(), message.body, message.headers)
    assert (answer.status_code, city.word(answer)) == (400, "unreadable-event")


def test_unknown_extensions_are_kept(token):
    event = CloudEvent(city.note(DEVICE, partitionkey=f"n-{uuid.uuid4()}", exampleextension="kept", examplenumber=7), DATA)
    message = to_structured_event(event)
    assert city.word(city.send(token, event.get_id(), message.body, message.headers)) == "accepted"
    books = os.path.join(os.environ["CONCH_CITY_DATA"], "city.sqlite")
    with sqlite3.connect(f"file:{books}?mode=ro", uri=True) as connection:
        query = "SELECT body FROM events WHERE key = ?"
        (body,) = connection.execute(query, (event.get_extension("partitionkey"),)).fetchone()
    kept = json.loads(body)
    assert (kept["exampleextension"], kept["examplenumber"]) == ("kept", 7)


def test_what_the_city_says_is_cloudevents_to_the_sdk(token):
    report = city.note(DEVICE, type="civic.events.v1.reported", partitionkey=f"case-{uuid.uuid4()}")
    message = to_structured_event(CloudEvent(report, {"kind": "noise", "place": "gate n1"}))
    assert city.word(city.send(token, report["id"], message.body, message.headers)) == "accepted"
    heard = city.ask("GET", "/v1/feed?wait=10", token).json()["events"]
    assert heard
    for said in heard:
        message = HTTPMessage({"content-type": city.SINGLE}, json.dumps(said).encode())
        event = from_http_event(message)
        assert event.get_id() == said["id"] and event.get_data() == said["data"]
