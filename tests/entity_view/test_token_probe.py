"""The token probe finds what is planted, where it is planted, and is the linear P-probe at the positions."""

import numpy as np
import pytest

from workbench.attention.roles import RoleLegend
from workbench.entity_view.token_probe import SIDES, label_tokens, probe_layer
from workbench.entity_view.tokens import TokenTexts, choose_entities, kinds_of, read_shown, sample_tokens
from workbench.probing.linear.fit import fit_probes
from workbench.studies.runs import Run
from workbench.tokens.targets import Target, make_targets
from workbench.worlds.biographies.schema import SCHEMA

KINDS = kinds_of(RoleLegend(SCHEMA.keys))

WIDTH = 12


@pytest.fixture(scope="module")
def texts(small_run: Run) -> dict[str, TokenTexts]:
    shown = choose_entities(small_run, 6, [], seed=0)
    return {
        "fit": sample_tokens(small_run, "train", shown, entities=1000, one_entry=False, seed=0),
        "test": sample_tokens(small_run, "test", shown, entities=1000, one_entry=True, seed=0),
        "shown": read_shown(small_run, shown, seed=0),
    }


@pytest.fixture(scope="module")
def target(small_run: Run) -> Target:
    targets = make_targets(small_run.corpus.entities, SCHEMA, small_run.tokenizer)
    return next(target for target in targets if target.name == "company/whole")


def plant(texts: dict[str, TokenTexts], target: Target, where) -> dict[str, np.ndarray]:
    """Noise [S, entries, D], plus eight times the class's own direction at tokens where `where` holds."""
    rng = np.random.default_rng(0)
    features = {}
    for name, found in texts.items():
        noise = rng.normal(size=(*found.positions.T.shape, WIDTH)).astype(np.float32)
        labels_N = target.labels_N[found.entities]
        planted_SN = where(found).T
        noise[..., : len(target.classes)] += (
            8 * planted_SN[..., None] * np.eye(len(target.classes), dtype=np.float32)[labels_N]
        )
        features[name] = noise
    return features


def test_a_value_is_read_at_the_kind_of_token_that_holds_it_and_nowhere_else(texts, target) -> None:
    last = KINDS.index("name_last")
    features = plant(texts, target, lambda found: found.kinds == last)
    readings, scores = probe_layer(features, texts, [target])
    shown = texts["shown"]
    true_NS = readings.true_NSK[..., 0]
    assert (true_NS[shown.kinds == last] > 0.6).all()
    elsewhere = (shown.kinds >= 0) & (shown.kinds != last) & ~np.isnan(true_NS)
    assert true_NS[elsewhere].mean() < 0.4
    before = SIDES.index("before")
    assert scores["accuracy"][last, before, 0] > 0.9
    assert (
        scores["accuracy"][KINDS.index("start"), before, 0]
        <= scores["chance"][KINDS.index("start"), before, 0]
    )


def test_an_echo_behind_the_value_does_not_reach_the_probe_in_front(texts, target) -> None:
    def said(found: TokenTexts) -> np.ndarray:
        start_N1 = found.value_start(target)[:, None]
        return (found.positions >= start_N1) & (start_N1 >= 0)

    features = plant(texts, target, said)
    readings, scores = probe_layer(features, texts, [target])
    template = KINDS.index("template")
    before, after = (scores["accuracy"][template, SIDES.index(side), 0] for side in ("before", "after"))
    assert after > 0.9
    assert before < 0.6
    shown, true_NS = texts["shown"], readings.true_NSK[..., 0]
    here = shown.kinds == template
    assert true_NS[here & said(shown)].mean() > 0.6 > 0.45 > true_NS[here & ~said(shown)].mean()


def test_top_five_are_sorted_and_hold_the_true_value(texts, target) -> None:
    readings, _ = probe_layer(plant(texts, target, lambda found: found.kinds == 0), texts, [target])
    top, shares = readings.top_NSKR[:, :, 0], readings.top_probability_NSKR[:, :, 0]
    read = ~np.isnan(readings.true_NSK[..., 0])
    number = len(target.classes)
    assert (top[read][:, :number] >= 0).all()
    assert (np.diff(shares[read][:, :number], axis=1) <= 0).all()
    assert np.allclose(shares[read][:, :number].sum(1), 1, atol=1e-5)  # four classes: all are told
    labels = np.broadcast_to(target.labels_N[texts["shown"].entities][:, None], read.shape)[read]
    place = (top[read] == labels[:, None]).argmax(1)
    assert np.allclose(shares[read][np.arange(len(place)), place], readings.true_NSK[..., 0][read])


def test_at_a_position_it_is_the_linear_p_probe(texts, target) -> None:
    """Fitted and scored on the same vectors, `fit_probes` gives the same accuracy."""
    rng = np.random.default_rng(1)
    features = plant(texts, target, lambda found: (found.kinds == 0) & (rng.random(found.kinds.shape) < 0.7))
    _, scores = probe_layer(features, texts, [target])
    parts = [label_tokens(texts[name], [target], 0) for name in ("fit", "test")]
    vectors = [
        part.take(features[name])[0].numpy() for name, part in zip(("fit", "test"), parts, strict=True)
    ]
    labels, entities = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels_NJ", "entities_N")
    )
    train = np.arange(len(entities)) < len(parts[0].entities_N)
    plain = fit_probes(np.concatenate(vectors), labels[:, :1], entities, train, controls=False)
    before = scores["accuracy"][0, SIDES.index("before"), 0]
    assert before == pytest.approx(float(plain["accuracy"].squeeze()), abs=1e-9)
    assert scores["n"][0, SIDES.index("before"), 0] == int(plain["n"].squeeze())


def test_shown_entities_change_no_probe(texts, target) -> None:
    features = plant(texts, target, lambda found: found.kinds == 0)
    changed = {**features, "shown": features["shown"] + 7}
    (first, scores), (second, again) = (probe_layer(part, texts, [target]) for part in (features, changed))
    assert all(np.array_equal(scores[name], again[name], equal_nan=True) for name in scores)
    assert not np.array_equal(first.true_NSK, second.true_NSK, equal_nan=True)
