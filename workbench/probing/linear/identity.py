"""What a probe of the user's own is: what it was made with and the code it is made of, the same in every process.

A kept result is read again only for the very probe that made it. Its class's name does not tell that, nor does what
it prints: most objects print an address, and a class that was edited in a notebook prints what it printed before.
"""

import dis
import functools
import inspect
import re
import sys
import sysconfig
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import torch

from workbench.files import digest_json

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)
ANNOTATING = ("__annotate__", "__annotate_func__")  # Python 3.14's; they hold the number of the class's line
SHOWN = 60  # letters of a value in a description


def describe_probe(probe: Any) -> str:
    """What a probe prints; where that is an address, its class and what it holds: `MassMean(k=2)`."""
    if isinstance(probe, functools.partial):  # before routines: from Python 3.14 on it counts as one
        told = [f"{key}={_short(value)}" for key, value in probe.keywords.items()]
        return f"{describe_probe(probe.func)}({', '.join([*map(_short, probe.args), *told])})"
    if isinstance(probe, type) or inspect.isroutine(probe):
        return f"{probe.__module__}.{probe.__qualname__}"
    printed = str(probe)
    if not ADDRESS.search(printed):
        return printed
    if any("__repr__" in vars(base) for base in type(probe).__mro__[:-1]):
        return ADDRESS.sub("", printed)
    held = {key: value for key, value in _state(probe).items() if not key.startswith("_")}
    return f"{type(probe).__qualname__}({', '.join(f'{key}={_short(value)}' for key, value in held.items())})"


def digest_probe(probe: Any) -> str:
    """Hex sha256 of what a probe holds and of the code of its classes, with the functions and constants these name.

    What installed packages bring counts by its name alone.
    """
    return digest_json(_Teller().tell(probe))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray | torch.Tensor):
        return f"{type(value).__name__}{list(value.shape)}"
    told = ADDRESS.sub("", repr(value))
    return told if len(told) <= SHOWN else f"{told[: SHOWN - 1]}…"


def _state(value: Any) -> dict[str, Any]:
    """What a copy of an object takes over: its parameters where it knows them, as scikit-learn's `clone`."""
    if callable(getattr(value, "get_params", None)):
        return dict(value.get_params(deep=False))
    slots = [
        name
        for base in type(value).__mro__
        for name in np.atleast_1d(getattr(base, "__slots__", ())).tolist()
    ]
    return {name: getattr(value, name) for name in slots if hasattr(value, name)} | dict(
        getattr(value, "__dict__", {})
    )


class _Teller:
    """Turns objects and code into plain lists; what was told already is not told again."""

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}  # by identity; the values keep the objects, and so the numbers, alive

    def tell(self, value: Any) -> Any:
        """Plain content of anything: lists and texts."""
        if isinstance(value, PLAIN):
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, ModuleType):
            return value.__name__
        if id(value) in self.seen:
            return "again"
        self.seen[id(value)] = value
        if isinstance(value, np.ndarray) and value.dtype != object:
            return [
                str(value.dtype),
                list(value.shape),
                sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
            ]
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            return [str(value.dtype), list(value.shape), sha256(plain.tobytes()).hexdigest()]
        if isinstance(value, Mapping):
            return [[self.tell(key), self.tell(one)] for key, one in value.items()]
        if isinstance(value, set | frozenset):
            return sorted(str(self.tell(one)) for one in value)
        if isinstance(value, list | tuple | np.ndarray):
            return [self.tell(one) for one in value]
        if isinstance(value, CodeType):
            return [value.co_code.hex(), list(value.co_names), [self.tell(one) for one in value.co_consts]]
        if isinstance(value, functools.partial):  # before routines, as above
            return [self.tell(part) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, type):
            return [self._name(value), *self._class(value)]
        if inspect.isroutine(value):
            return [self._name(value), *self._function(value)]
        if isinstance(value, property | staticmethod | classmethod | functools.cached_property):
            parts = (getattr(value, name, None) for name in ("fget", "fset", "__func__", "func"))
            return [self.tell(part) for part in parts if part is not None]
        if isinstance(value, np.random.Generator):
            return self.tell(value.bit_generator.state)
        if isinstance(value, np.random.RandomState):
            return self.tell(value.get_state())
        return [self.tell(type(value)), self.tell(_state(value)) or ADDRESS.sub("", repr(value))]

    def _name(self, value: Any) -> str:
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"

    def _class(self, value: type) -> list[Any]:
        """The bases and, of a class that no package brought, what stands in it."""
        if _is_installed(value):
            return []
        own = [[name, self.tell(one)] for name, one in vars(value).items() if _is_code(name, one)]
        return [[self.tell(base) for base in value.__bases__], own]

    def _function(self, value: Any) -> list[Any]:
        """The code, defaults and closure, and what the code names of its module."""
        function = inspect.unwrap(getattr(value, "__func__", value))
        code = getattr(function, "__code__", None)
        if code is None or _is_installed(function):
            return []
        held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        named = [[name, function.__globals__[name]] for name in _names(code) if name in function.__globals__]
        defaults = [function.__defaults__, function.__kwdefaults__]
        return [self.tell(part) for part in (code, defaults, held, named)]


def _is_code(name: str, value: Any) -> bool:
    """Whether something in a class says what it does, and is not what Python keeps there (some of it after a copy)."""
    if name in ANNOTATING:
        return False
    kept_by_python = (name.startswith("__") and name.endswith("__")) or name == "_abc_impl"
    return not kept_by_python or inspect.isroutine(value)


def _names(code: CodeType) -> list[str]:
    """The names a piece of code and the functions inside it look up outside themselves, in order."""
    own = [
        str(one.argval) for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    ]
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _names(one)]
    return list(dict.fromkeys([*own, *inner]))


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a name that nothing was given to yet
        return False
    return True


@functools.cache
def _libraries() -> tuple[Path, ...]:
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platlib", "purelib")})


def _is_installed(value: Any) -> bool:
    """Whether a package or Python itself brought a class or function, and not the user's own file or notebook."""
    name = str(getattr(value, "__module__", ""))
    module = sys.modules.get(name)
    if (
        module is None or name == "__main__"
    ):  # a notebook's, though its kernel was started from an installed file
        return False
    file = getattr(module, "__file__", None)
    return file is None or any(Path(file).resolve().is_relative_to(library) for library in _libraries())
