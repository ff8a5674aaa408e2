"""An OpenAI-compatible server that misbehaves on purpose, in a thread: what it does is drawn, so each run differs not.

It answers with a text about the person in the prompt, made by the function it is given; or is slow, drops the
connection, says 429 or 500, sends half a JSON, no choice, no text, a refusal, or the prompt again.
"""

import contextlib
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = (
    "slow", "dropped", "half a body", "429", "500", "503 page", "half a JSON", "no choice", "no text", "refusal",
    "prompt", "other json",
)  # fmt: skip


class FaultyServer(ThreadingHTTPServer):
    """write: prompt → a text. share: how often something goes wrong. done: how often what was done."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, write: Callable[[str], str], share: float, slow: float, faults: tuple[str, ...] = FAULTS
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.write, self.share, self.slow, self.faults = write, share, slow, faults
        self.draw, self.lock = random.Random(0), threading.Lock()
        self.done: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: object) -> None:
        """A client that went away is nothing to tell of."""


@contextlib.contextmanager
def serve(server: FaultyServer) -> Iterator[FaultyServer]:
    """Run it in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked["messages"][-1]["content"]
        with self.server.lock:
            self.server.keys.add(self.headers["Authorization"])
            wrong = self.server.draw.random() < self.server.share
            what = self.server.draw.choice(self.server.faults) if wrong else "good"
            self.server.done[what] += 1
        match what:
            case "slow":
                self.server.stopping.wait(self.server.slow)
                self.close_connection = True
            case "dropped":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "429" | "500":
                self._send(int(what), json.dumps({"error": {"message": "not now"}}), {"Retry-After": "0.01"})
            case "503 page":
                self._send(503, "<html>Bad gateway</html>", {"Content-Type": "text/html"})
            case "half a body":
                body = self._completion(self.server.write(prompt))
                self._send(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
                self.close_connection = True
            case "half a JSON":
                body = self._completion(self.server.write(prompt))
                self._send(200, body[: len(body) // 2])
            case "no choice":
                self._send(200, json.dumps({**json.loads(self._completion("")), "choices": []}))
            case "no text":
                self._send(200, self._completion(None))
            case "refusal":
                self._send(200, self._completion("I'm sorry, but I can't help with that."))
            case "prompt":
                self._send(200, self._completion(prompt))
            case "other json":
                self._send(200, '{"detail": "warming up"}')
            case _:
                self._send(200, self._completion(self.server.write(prompt)))

    def _completion(self, text: str | None) -> str:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        return json.dumps(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
        )

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)
