"""Any OpenAI-compatible server as an engine: many requests at once, patience with its faults, the key unseen.

The key comes from an environment variable alone and goes nowhere but into the client's header; the client's own log is
left off. A request that fails is asked again after a pause that doubles; what cannot succeed stops the run with a
sentence.
"""

import asyncio
import json
import logging
import os
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, first_line
from workbench.rewriting.engines import Answer, Keep, Manner, MayStart, Request
from workbench.rewriting.prompts import Prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEY_VARIABLE = "OPENAI_API_KEY"
CHARACTERS_PER_TOKEN = 4  # of English, where a server does not say
LONGEST_PAUSE = 60.0
RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 529}

log = logging.getLogger("workbench.rewriting")


class Server:
    """An engine behind an address such as http://localhost:8000/v1.

    concurrency: requests in flight. seconds: patience with one. retries: how often a request is asked again before the
    run stops. pause: seconds before the first time.
    """

    batch = 1

    def __init__(
        self,
        address: str,
        model: str,
        manner: Manner,
        *,
        concurrency: int = 8,
        seconds: float = 120.0,
        retries: int = 8,
        pause: float = 1.0,
        key_variable: str = KEY_VARIABLE,
    ) -> None:
        require_client()
        self.address, self.model, self.manner = address, model, manner
        self.concurrency, self.seconds, self.retries, self.pause = concurrency, seconds, retries, pause
        self._key = os.environ.get(key_variable) or "none"
        self.faults: dict[str, int] = {}

    def count_tokens(self, prompt: Prompt) -> int:
        """About so many; see `count_about`."""
        return count_about(prompt)

    def run(self, requests: Iterable[Request], keep: Keep, may_start: MayStart) -> None:
        """Answer requests side by side; each answer is kept before another one is looked at.

        Where a loop of asyncio runs already, as in a notebook, it is done in a thread of its own.
        """
        work = self._run(requests, keep, may_start)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(work)
        else:
            with ThreadPoolExecutor(1, thread_name_prefix="rewriting") as pool:
                pool.submit(asyncio.run, work).result()

    async def _run(self, requests: Iterable[Request], keep: Keep, may_start: MayStart) -> None:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        coming = iter(requests)
        async with AsyncOpenAI(
            api_key=self._key,
            base_url=self.address,
            timeout=self.seconds,
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(trust_env=False) if _is_near(self.address) else None,
        ) as client:

            async def work() -> None:
                for request in coming:
                    if not may_start(request):
                        return
                    keep(request, await self._ask(client, request))

            workers = [asyncio.create_task(work()) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, client: "AsyncOpenAI", request: Request) -> Answer:
        for attempt in range(self.retries + 1):
            fault, wait = await self._try(client, request)
            if isinstance(fault, Answer):
                return fault
            self.faults[fault] = self.faults.get(fault, 0) + 1
            if attempt < self.retries:
                log.info("The server: %s; asked again.", fault)
                doubled = min(LONGEST_PAUSE, self.pause * 2**attempt)
                await asyncio.sleep(max(wait, doubled * (0.5 + random.random() / 2)))
        raise WorkbenchError(
            f"The server {self.address} failed {self.retries + 1} times in a row at one request, last with: {fault}; "
            "see that it works, and run the same command again: everything answered so far is kept."
        )

    async def _try(self, client: "AsyncOpenAI", request: Request) -> tuple[Answer | str, float]:
        """The answer; or what went wrong, and for how many seconds the server wants to be left alone."""
        import openai

        try:
            async with asyncio.timeout(
                self.seconds
            ):  # of the whole: the client's own is of each wait for bytes
                made: Any = await client.chat.completions.create(
                    model=self.model,
                    messages=request.prompt.messages,  # type: ignore[arg-type]
                    temperature=self.manner.temperature,
                    top_p=self.manner.top_p,
                    max_tokens=self.manner.max_tokens,
                    seed=request.seed % 2**31,
                )
        except openai.APIStatusError as error:
            if error.status_code not in RETRIED:
                raise WorkbenchError(
                    f"The server {self.address} refuses the request ({error.status_code}: "
                    f"{self._hide(first_line(error))}); see the model's name, the key in the environment, the options."
                ) from None
            return f"status {error.status_code}", _seconds_to_wait(error.response.headers.get("retry-after"))
        except (openai.APITimeoutError, TimeoutError):
            return "no answer in time", 0.0
        except openai.APIConnectionError:
            return "no connection, or a broken one", 0.0
        except (openai.APIResponseValidationError, json.JSONDecodeError, UnicodeDecodeError):
            return "an answer that is no JSON", 0.0
        return self._read(made, request), 0.0

    def _read(self, made: Any, request: Request) -> Answer | str:
        """An answer from what the server sent, whatever is missing in it."""
        choices = getattr(made, "choices", None)
        if not isinstance(choices, list):
            return "an answer of another form"
        message = getattr(choices[0], "message", None) if choices else None
        content = getattr(message, "content", None)
        text = content if isinstance(content, str) else None
        finished = bool(choices) and getattr(choices[0], "finish_reason", None) == "stop"
        usage = getattr(made, "usage", None)
        prompt_tokens, answer_tokens = (
            getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")
        )
        if isinstance(prompt_tokens, int) and isinstance(answer_tokens, int):
            return Answer(text, finished, prompt_tokens, answer_tokens)
        about = len(text or "") // CHARACTERS_PER_TOKEN
        return Answer(text, finished, count_about(request.prompt), about, estimated=True)

    def _hide(self, words: str) -> str:
        """A server's words without the key, which some repeat."""
        return words if self._key == "none" else words.replace(self._key, "…")


def count_about(prompt: Prompt) -> int:
    """A prompt's tokens, about: a quarter of its characters, and a few for each message."""
    return sum(8 + len(message["content"]) // CHARACTERS_PER_TOKEN for message in prompt.messages)


def require_client() -> None:
    """Refuse where the client library is missing, and keep its log from being written."""
    import importlib.util

    if importlib.util.find_spec("openai") is None:
        raise WorkbenchError(
            "A model behind a server needs the client `openai`; install it with "
            "`pip install 'probing-workbench[rewrite]'`, or give a local model without --server."
        )
    for name in ("openai", "httpx", "httpx2", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _seconds_to_wait(header: str | None) -> float:
    try:
        return min(LONGEST_PAUSE, max(0.0, float(header or 0)))
    except ValueError:  # a date, which is rare: the usual pause must do
        return 0.0


def _is_near(address: str) -> bool:
    return any(f"//{host}" in address for host in ("localhost", "127.0.0.1", "[::1]"))
