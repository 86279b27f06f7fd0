"""Lets every other event of the fuzzer through the door: by its device, new, and under its key, so that it is judged."""

import json
import uuid

import schemathesis

SOURCE = "conch://device/fuzz-vendor/life-1"


def let_in(event):
    """Gives an event an id made of what it is: the same run makes the same ids."""
    if isinstance(event, dict) and isinstance(event.get("id"), str) and "source" in event:
        id = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(event, sort_keys=True, default=str))
        if id.int % 2:
            event.update(id=str(id), source=SOURCE)
            return event.get("idempotencykey") or event["id"]
    return None


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if case.operation.label != "POST /v1/events":
        return
    for event in case.body if isinstance(case.body, list) else []:
        let_in(event)
    key = let_in(case.body)
    if isinstance(key, str) and key.isascii() and key.isprintable():
        case.headers["idempotency-key"] = f'"{key}"'
