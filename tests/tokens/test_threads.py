"""Threads that encode with one tokenizer, whatever state an earlier call has left on it, read what one alone reads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from tests.studies.towns import TEMPLATES, make_tokenizer, make_towns
from workbench.tokens.spans import iterate_encodings

N_THREADS, TIMES = 4, 150
TEXTS = [template.format(**row) for row in make_towns()[:3] for template in TEMPLATES]


def test_a_tokenizer_that_pads_is_shared_by_threads() -> None:
    tokenizer = make_tokenizer()
    alone = [ids for ids, _, _ in iterate_encodings(tokenizer, TEXTS)]
    backend: Any = tokenizer.backend_tokenizer
    backend.enable_padding(length=40)
    backend.enable_truncation(3)
    together = Barrier(N_THREADS)

    def encode(_: int) -> list[list[int]]:
        together.wait()
        found = []
        for _ in range(TIMES):
            found += [ids for ids, _, _ in iterate_encodings(tokenizer, TEXTS)]
        return found

    with ThreadPoolExecutor(N_THREADS) as pool:
        for found in pool.map(encode, range(N_THREADS)):
            assert found == alone * TIMES
    assert backend.padding["length"] == 40
    assert backend.truncation["max_length"] == 3
