"""What breaks, by inclusion of schemas (jsonsubschema): a second opinion on `city contracts check`.

A change breaks when an older writer's payload is no longer taken by today's reader, or, for what the city writes, when
today's payload is not taken by an older reader. The city's own check may be stricter, and may never be milder.
"""

import copy
import json
import os
import pathlib
import subprocess

import pytest
from jsonsubschema import isSubschema

CONTRACTS = pathlib.Path(__file__).parents[2] / "contracts"
RELEASED = CONTRACTS / "released" / "1"
READERS = sorted(str(path.relative_to(RELEASED)) for path in RELEASED.rglob("*.reader.schema.json"))
ASKED = json.loads((CONTRACTS / "asyncapi.json").read_text())["operations"]


def plain(schema, closed):
    """In the words the checker knows: no empty lists, no conditions. What holds without a condition is compared."""
    schema = {name: value for name, value in schema.items() if name not in ("$schema", "$id", "if", "then")}
    if not schema.get("required"):
        schema.pop("required", None)
    return {**schema, "additionalProperties": not closed}


def breaks(name, old, new):
    """By the checker from outside. Who writes fills in the closed form, who reads takes the open one."""
    kind = name.removesuffix(".reader.schema.json").replace("/", ".")
    if f"receive.{kind}" in ASKED:
        return not isSubschema(plain(old, closed=True), plain(new, closed=False))
    return not isSubschema(plain(new, closed=True), plain(old, closed=False))


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", READERS)
def test_today_breaks_no_release(name):
    assert not breaks(name, read(RELEASED / name), read(CONTRACTS / name))


def needed(schema):
    free = [name for name in schema["properties"] if name not in schema["required"]]
    schema["required"] = schema["required"] + free[:1]


def retyped(schema):
    schema["properties"][next(iter(schema["properties"]))] = {"type": "boolean"}


def narrowed(schema):
    for shape in schema["properties"].values():
        if "maxLength" in shape:
            shape["maxLength"] -= 1


def removed(schema):
    schema["properties"].pop(next(iter(schema["properties"])))


def more(schema):
    schema["properties"]["example"] = {"type": "string"}


@pytest.mark.parametrize("change", [needed, retyped, narrowed, removed, more])
def test_a_break_by_the_checker_from_outside_is_one_by_ours(change, tmp_path):
    """Today's schemas are changed by what was released before instead: the city can only say today's."""
    ours = subprocess.run([os.environ["CONCH_CITY"], "contracts", "write", "--out", tmp_path], check=True)
    assert ours.returncode == 0
    theirs = []
    for name in READERS:
        today = read(tmp_path / name)
        before = copy.deepcopy(today)
        change(before)
        place = tmp_path / "released" / "9" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(before))
        if breaks(name, before, today):
            theirs.append(name)
    ours = subprocess.run(
        [os.environ["CONCH_CITY"], "contracts", "check", "--dir", tmp_path], capture_output=True, text=True
    ).stderr
    milder = [name for name in theirs if f"{name} breaks release 9" not in ours]
    assert milder == []
    # And the opinion is one: by it some of these changes break. A member less that nobody needs breaks by ours alone.
    assert bool(theirs) == (change in (needed, retyped, narrowed)), theirs
