"""Make a study's folder from a study.toml: everything is read, encoded and checked before anything is written."""

from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import digest_json, folder_atomically, is_vacant, sha256_file, write_json
from workbench.locks import hold
from workbench.partials import clear_gone
from workbench.studies.checkpoints import INFO_FILE, Checkpoint
from workbench.studies.corpus import Corpus, save_corpus
from workbench.studies.loading import load_config
from workbench.studies.one_tokenizer import require_one_tokenizer
from workbench.studies.series import STUDY_FILE, find_series
from workbench.studies.study_file import StudyFile, load_study_file, study_to_toml
from workbench.studies.table_facts import read_facts
from workbench.studies.table_study import STUDY_TOML, TableStudy, open_table_study
from workbench.tokens.config_file import CONFIG_FILE
from workbench.tokens.encoding import EncodedEntries, encode_entries, encode_questions
from workbench.tokens.positions import find_places
from workbench.tokens.reading import Column, Reading
from workbench.tokens.spans import Start
from workbench.tokens.targets import make_targets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def create_study(source: Path | str, folder: Path | str) -> tuple[TableStudy, list[str]]:
    """Make a study's folder from a study.toml, or open it where it exists; and what was left out, in words.

    A folder that holds another study, or something else, is refused: results of two studies never mix. All texts are
    encoded on the way, so a text that cannot be read by these models is refused before any work.
    """
    source, folder = Path(source), Path(folder)
    file = load_study_file(source)
    series = find_series(
        _place(file.series.models, source.parent), file.series.checkpoints, file.series.revisions
    )
    for one, two in pairwise(series):  # in the order of their steps
        if one.step == two.step:
            raise WorkbenchError(
                f"The series has two models of step {one.step}, {one.label!r} and {two.label!r}, and results are kept "
                "by step; choose others with series.checkpoints, or give each series a study of its own."
            )
    file, corpus, notes = read_facts(file, source.parent)
    tokenizer = _load_tokenizer(file, source.parent, series)
    start = _find_start(file, tokenizer, series[-1], corpus.entries[0].text)
    entries = encode_entries(tokenizer, corpus.entries, corpus.schema, start)
    if file.series.tokenizer is None:
        require_one_tokenizer(
            series,
            series[-1].path,
            lambda other: encode_entries(other, corpus.entries, corpus.schema, start).ids,
        )
    if not file.read:
        file = file.model_copy(update={"read": _default_places(corpus, file.table.entity)})
    labels, places = find_places(entries, file.read, file.table.entity)
    empty = [label for number, label in enumerate(labels) if not (places[:, number] >= 0).any()]
    if empty:
        raise WorkbenchError(
            f"No text has the place {empty[0]!r}; leave it out of `read`, or state it in a template."
        )
    configs = [load_config(one) for one in series]
    for one, config in zip(series, configs, strict=True):
        _check_fits(config, entries, corpus, tokenizer, start, one)
    make_targets(corpus.entities, corpus.schema, tokenizer)  # refuses facts of which nothing can be probed
    models = [_describe(one) for one in series]
    content = {"corpus": _digest(corpus), "start": start, "read": list(file.read)}
    experiment = digest_json({**content, "series": [one["sha256"] for one in models]})
    info: dict[str, Any] = {
        "digest": digest_json({"experiment": experiment, "seed": file.seed}),
        "experiment": experiment,
        "start": start,
        "series": models,
        "model": _describe_config(configs[-1]),
        "entities": len(corpus.entities),
        "texts": len(corpus.entries),
        "groups": {group: _texts_in_words(file) for group in sorted({e.group for e in corpus.entities})},
        "left_out": notes,
    }
    if not (folder / STUDY_FILE).is_file():
        # One that is there and empty is filled in place, by one process at a time; of two new ones the first stays.
        with hold(folder, "study", "made") if folder.is_dir() else nullcontext():
            if not (folder / STUDY_FILE).is_file():
                _fill(folder, file, corpus, tokenizer, info)
    clear_gone(folder)  # what is left of one that was killed when all of it was there
    return _open_same(folder, info["digest"]), notes


def _fill(
    folder: Path,
    file: StudyFile,
    corpus: Corpus,
    tokenizer: "PreTrainedTokenizerFast",
    info: dict[str, Any],
) -> None:
    if folder.exists() and not (folder.is_dir() and is_vacant(folder)):
        raise WorkbenchError(
            f"{folder} exists and is not a study (it has no {STUDY_FILE}); give --out another folder."
        )
    with folder_atomically(folder, last=STUDY_FILE, replace=False) as partial:
        (partial / STUDY_TOML).write_text(study_to_toml(file), encoding="utf-8")
        save_corpus(partial / "corpus", corpus)
        tokenizer.save_pretrained(str(partial / "tokenizer"))
        write_json(partial / STUDY_FILE, {**info, "toml_sha256": sha256_file(partial / STUDY_TOML)})


def _open_same(folder: Path, digest: str) -> TableStudy:
    """Open a study's folder; one that holds another study is refused."""
    found = open_table_study(folder)
    if found.digest != digest:
        raise WorkbenchError(
            f"{folder} holds a study of other models, facts or texts; give --out another folder, or "
            "delete this one."
        )
    return found


def _place(models: str, beside: Path) -> Path | str:
    """A path relative to study.toml where there is one, else what it says: a path, or a hub name."""
    return beside / models if (beside / models).exists() else models


def _load_tokenizer(file: StudyFile, beside: Path, series: list[Checkpoint]) -> "PreTrainedTokenizerFast":
    from workbench.tokens.opening import load_tokenizer

    own = file.series.tokenizer
    tokenizer = load_tokenizer(series[-1].path if own is None else Path(_place(own, beside)))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _find_start(file: StudyFile, tokenizer: "PreTrainedTokenizerFast", model: Checkpoint, text: str) -> Start:
    """What goes before a text: what the file says, else what the tokenizer puts before this one.

    A model this project trained has never seen a text without end-of-text before it.
    """
    if file.start != "tokenizer":
        return file.start
    if (model.path / INFO_FILE).is_file():
        return "eos"
    try:
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        head = tokenizer(text)["input_ids"]
    except Exception:  # a word that the vocabulary lacks: the encoding of all texts names it
        return "none"
    head = head[: head.index(plain[0])] if plain and plain[0] in head else []
    if not head:
        return "none"
    for start, token in (("bos", tokenizer.bos_token_id), ("eos", tokenizer.eos_token_id)):
        if head == [token]:
            return cast(Start, start)
    raise WorkbenchError(
        f"The tokenizer puts {tokenizer.convert_ids_to_tokens(head)} before a text; set start to bos, eos or none."
    )


def _default_places(corpus: Corpus, entity: str) -> tuple[str, ...]:
    """The entity's last token, and the token before each value that some text states, in the facts' order."""
    stated = {key for entry in corpus.entries for key in entry.values}
    return (f"end:{entity}", *(f"before:{key}" for key in corpus.schema.keys if key in stated))


def _check_fits(
    config: Any,
    entries: EncodedEntries,
    corpus: Corpus,
    tokenizer: "PreTrainedTokenizerFast",
    start: Start,
    model: Checkpoint,
) -> None:
    """Refuse texts and questions longer than the context, and ids beyond the vocabulary."""
    texts = [("texts", entries)]
    if corpus.questions:
        questions = encode_questions(tokenizer, corpus.questions, corpus.schema, start, False)
        texts.append(("questions", questions))  # type: ignore[arg-type]
    for what, encoded in texts:
        last = (encoded.lengths - 1).astype(np.int32)[:, None]
        reading = Reading(encoded.ids, encoded.offsets, last, ("last",), {"entity": Column(encoded.entities)})
        try:
            reading.check_fits(config)
        except WorkbenchError as error:
            raise WorkbenchError(f"Of the {what}, read by {model.label}: {error}") from error


def _describe(model: Checkpoint) -> dict[str, Any]:
    files = [*model.weight_files, model.path / CONFIG_FILE]
    return {
        "path": str(model.path.resolve()),
        "label": model.label,
        "step": model.step,
        "counted": model.counted,
        "sha256": {file.name: sha256_file(file) for file in files},
    }


def _describe_config(config: Any) -> dict[str, Any]:
    from workbench_models import is_bidirectional, text_config

    language = text_config(config)
    return {
        "architecture": str(config.model_type),
        "blocks": int(language.num_hidden_layers),
        "width": int(language.hidden_size),
        "bidirectional": is_bidirectional(config),
    }


def _digest(corpus: Corpus) -> str:
    """Hex sha256 of facts, texts and questions, the split left out: it follows from the seed."""
    return digest_json(
        {
            "schema": repr(corpus.schema),
            "entities": [[e.name, e.group, e.values] for e in corpus.entities],
            "entries": [[e.entity, e.text, e.names, list(e.values.items())] for e in corpus.entries],
            "questions": [[q.entity, q.attribute, q.prompt, q.answer] for q in corpus.questions],
        }
    )


def _texts_in_words(file: StudyFile) -> str:
    if file.texts.file is not None:
        return f"texts of {Path(file.texts.file).name}"
    number = len(file.texts.templates)
    return "one template" if number == 1 else f"{number} templates"
