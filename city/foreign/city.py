"""The running city, as a stranger meets it: an address and nothing of ours."""

import os
import uuid
from datetime import UTC, datetime

import requests

URL = os.environ["CONCH_CITY_URL"]
SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def ask(method, path, token=None, headers=None, **more):
    """Asks; fails where no city answered or one failed."""
    headers = dict(headers or {})
    if token:
        headers["authorization"] = f"Bearer {token}"
    answer = requests.request(method, URL + path, headers=headers, timeout=30, **more)
    assert answer.status_code < 500, answer.text
    assert "conch-city" in answer.headers, "not the city's answer"
    return answer


def enrol(device, role):
    """The token of a device."""
    return ask("POST", "/v1/dev/enrol", json={"device": device, "role": role}).json()["token"]


def send(token, key, body, headers=None):
    """Sends one event under its key."""
    headers = {"content-type": SINGLE, **(headers or {}), "idempotency-key": f'"{key}"'}
    body = body.encode() if isinstance(body, str) else body
    return ask("POST", "/v1/events", token, headers, data=body)


def note(device, **members):
    """The attributes of a good event on a topic of nobody's."""
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"conch://device/{device}/life-1",
        "type": "stall.note.v1.said",
        "time": datetime.now(UTC),
        "partitionkey": "n-1",
        **members,
    }


def word(answer):
    """The verdict on one event, or the code of the problem."""
    body = answer.json()
    if answer.status_code >= 400:
        return body["type"].removeprefix("urn:conch:problem:")
    verdict = body["verdicts"][0]
    return verdict.get("problem", {}).get("type", verdict["verdict"]).removeprefix("urn:conch:problem:")
