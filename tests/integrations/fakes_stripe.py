"""The simulated processor as its own process, and a place that collects its webhooks."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

_MODULE = "integrations.simulators.stripe"
ROOT = Path(__file__).resolve().parents[2]


class Simulator:
    """`python -m integrations.simulators.stripe` on a free port, ended with its test."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, "--home", str(home), "--leash", *more],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line.startswith("READY "):
            raise RuntimeError(f"the simulator did not start: {line!r}")
        self.url = line.split()[1]

    def post(self, path: str, /, **given) -> dict:
        answer = httpx.post(self.url + path, json=given)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind: str, path: str, **more) -> None:
        self.post("/_sim/faults", kind=kind, method="POST", path=path, **more)

    def payments(self, purchase_id: str) -> list[dict]:
        params = {"purchase_id": purchase_id}
        return httpx.get(f"{self.url}/_sim/payment_intents", params=params).json()["data"]

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.stop()


@contextmanager
def inbox(secret_status: int = 200) -> Iterator[tuple[str, list[tuple[bytes, str]]]]:
    """An address that takes webhooks: (its URL, what came as body and signature)."""
    received: list[tuple[bytes, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((body, self.headers["stripe-signature"]))
            self.send_response(secret_status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhooks/stripe", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def types(received: list[tuple[bytes, str]]) -> list[str]:
    return [json.loads(body)["type"] for body, _ in received]
