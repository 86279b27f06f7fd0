"""Schemathesis on every address the city publishes, once as ops and once as a vendor.

The requests are the same each time. CONCH_FUZZ names how many of each to draw anew instead; a failure prints the request
that shows it.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import city

HERE = pathlib.Path(__file__).parent
many = os.environ.get("CONCH_FUZZ")
anew = ["--max-examples", many, "--generation-database", "none"]
ever_the_same = ["--max-examples", "8", "--generation-deterministic"]
worst = 0
for role in ("ops", "vendor"):
    token = city.enrol(f"fuzz-{role}", role)
    with tempfile.TemporaryDirectory() as place:
        run = subprocess.run(
            [
                *(pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml"),
                *("run", HERE.parents[1] / "contracts" / "openapi.json", "--url", city.URL),
                *("--header", f"Authorization: Bearer {token}", "--workers", "1", "--request-timeout", "30"),
                *(anew if many else ever_the_same),
            ],
            # What it remembers of one run must not change the next.
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "hooks"},
        )
    worst = max(worst, run.returncode)
sys.exit(worst)
