"""Training and judging: the corpus expands the same way, weights are made again, figures add up."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from graphs.router import measures
from graphs.router.baselines import by_keywords, by_length, by_tf_idf
from graphs.router.classifier import Classifier, WeightsError, pack, two_heads, unpack
from graphs.router.policy import SHIPPED, Policies, load_policies
from graphs.router.router import Router
from graphs.router.templates import CorpusError, corpus_examples, expand, slip
from graphs.router.train import (
    DataError,
    calibrations,
    fit_heads,
    folds,
    load_turns,
    own_examples,
    packed,
    prepare,
)  # fmt: skip
from graphs.router.walks import read_subjects, walked_examples
from graphs.state import Ask
from tests.graphs.fakes_router import DEV, ToyEncoder


def test_the_corpus_expands_the_same_way_each_time() -> None:
    assert corpus_examples() == corpus_examples()
    alone = corpus_examples(each=1)
    assert walked_examples(alone, walks=2) == walked_examples(alone, walks=2)


def test_the_corpus_holds_every_kind_in_both_languages_alone_and_in_context() -> None:
    examples = [item.example for item in own_examples()]
    for lang in ("en", "zh"):
        for kind in ("casual", "complex", "commercial"):
            of_kind = [e for e in examples if (e.lang, e.kind) == (lang, kind)]
            assert len(of_kind) >= 400
            assert any(e.context for e in of_kind)
            assert any(not e.context for e in of_kind)
    assert not any("{" in e.text and "}" in e.text and "name" in e.text for e in examples)


def test_no_corpus_line_is_a_sentence_of_the_labelled_data() -> None:
    """Weights may learn from the data; its sentences stay out of the project."""
    theirs = {t.example.text.strip().lower() for t in load_turns(DEV) if len(t.example.text) > 40}
    ours = {e.text.strip().lower() for e in corpus_examples()}
    assert not theirs & ours


def test_no_corpus_line_is_a_labelled_sentence_in_other_clothes() -> None:
    """What is nearly a test item in the training data makes families left out look easy."""
    theirs = [frozenset(_words(t.example.text)) for t in load_turns(DEV)]
    having: dict[str, set[int]] = {}
    for number, words in enumerate(theirs):
        for word in words:
            having.setdefault(word, set()).add(number)
    near = []
    for example in corpus_examples(each=2):
        ours = frozenset(_words(example.text))
        if len(ours) < 8:
            continue
        # Of two so alike, one of the three rarest words is in both.
        rare = sorted(ours, key=lambda word: len(having.get(word, ())))[:3]
        candidates = set().union(*(having.get(word, set()) for word in rare))
        near += [
            (example.text, number)
            for number in candidates
            if len(ours & theirs[number]) / len(ours | theirs[number]) >= 0.8
        ]
    assert near == []


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+|[\u3400-\u9fff]", text.lower())


def test_an_unknown_slot_is_named() -> None:
    import random

    with pytest.raises(KeyError, match="nowhere"):
        expand("fly to {nowhere}", {"city": ["Oslo"]}, random.Random(1))


def test_a_broken_conversation_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "conversations.txt"
    path.write_text("@ hotel commercial\nopen: a room\nshout: hey\n", "utf-8")
    with pytest.raises(CorpusError, match=r"conversations.txt:3.*shout"):
        read_subjects(path)


def test_slips_leave_chinese_alone() -> None:
    import random

    assert slip("订一间房", random.Random(3), rate=1.0) == "订一间房"
    assert slip("reservation", random.Random(3), rate=1.0) != "reservation"


def test_labelled_turns_know_what_synthetic_ones_were_made_of() -> None:
    turns = load_turns(DEV)
    assert len(turns) > 4000
    made = {t.origin for t in turns if t.example.family == "synthetic"}
    assert {"clinc150", "webshop", "gsm8k"} <= made


def test_a_broken_line_of_the_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    good = {"id": "1", "text": "hi", "label": "casual", "lang": "en", "family": "a"}
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "label": "odd"}), "utf-8")
    with pytest.raises(DataError, match=r"dev.jsonl:2.*odd"):
        load_turns(path)


def test_a_fold_leaves_out_a_family_and_all_that_was_made_of_it() -> None:
    dev = prepare(load_turns(DEV)[::40], ToyEncoder())
    for name, train, test in folds(dev):
        assert not (train & test).any()
        assert all(dev.labelled[i].origin != name for i in np.flatnonzero(train))


def test_a_tiny_router_is_trained_twice_alike_and_routes() -> None:
    encoder = ToyEncoder()
    data = prepare(load_turns(DEV)[::12], encoder)
    made = []
    for _ in range(2):
        heads = fit_heads(data, nets=1)
        network, grams = heads.network(data), heads.n_grams(data)
        made.append(packed(heads, calibrations(data, network, grams)))
    assert str(made[0]["version"]) == str(made[1]["version"])
    assert all(np.array_equal(made[0][name], made[1][name]) for name in made[0])
    router = Router(encoder, Classifier(made[0]), Policies(load_policies(SHIPPED), encoder))
    kinds = [router.route(Ask(i.example.text, i.example.context)).kind for i in data.labelled]
    right = np.mean([k == i.example.kind for k, i in zip(kinds, data.labelled, strict=True)])
    assert right > 0.8


def test_eight_bits_keep_the_weights() -> None:
    values = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    back = unpack({f"w.{k}": v for k, v in pack(values).items()}, "w")
    assert float(np.abs(back - values).max()) < 0.02


def test_two_heads_say_what_a_softmax_says() -> None:
    logits = np.array([0.3, 1.7, -0.4], dtype=np.float32)
    commercial, difficulty = 1 / (1 + np.exp(-two_heads(logits)))
    shares = np.exp(logits) / np.exp(logits).sum()
    assert commercial == pytest.approx(shares[2], abs=1e-6)
    assert (1 - commercial) * difficulty == pytest.approx(shares[1], abs=1e-6)


def test_missing_and_damaged_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="emptor router train"):
        Classifier.load(tmp_path / "none.npz")
    path = tmp_path / "bad.npz"
    path.write_bytes(b"PK not a zip")
    with pytest.raises(WeightsError, match="cannot be read"):
        Classifier.load(path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    with np.load(Path(SHIPPED).parent / "weights" / "router.npz") as found:
        arrays = {name: found[name] for name in found.files}
    arrays["net0.w1.q"] = arrays["net0.w1.q"][:-1]
    with pytest.raises(WeightsError, match="another version"):
        Classifier(arrays)


def test_shipped_weights_are_small_and_of_the_stated_version() -> None:
    path = Path(SHIPPED).parent / "weights" / "router.npz"
    assert path.stat().st_size < 6_000_000
    card = (path.parent / "MODEL_CARD.md").read_text("utf-8")
    assert Classifier.load(path).version in card


def test_figures_are_right_on_a_small_table() -> None:
    truth = np.array(["casual", "casual", "commercial", "commercial", "complex"])
    chosen = np.array(["casual", "commercial", "commercial", "casual", "complex"])
    hard = np.array(["", "", "tricky", "tricky", ""])
    found = measures.figures(measures.Outcome(truth, chosen, np.full(5, 0.6)), hard)
    assert found.accuracy == pytest.approx(0.6)
    assert found.macro_f1 == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert (found.commercial_recall, found.commercial_precision) == (0.5, 0.5)
    assert found.false_commercial == pytest.approx(1 / 3)
    assert found.ece == pytest.approx(0.48, abs=0.2)
    assert found.hard == {"tricky": 0.5}


def test_calibration_error_is_zero_for_an_honest_and_large_for_a_boastful_router() -> None:
    truth = np.array(["casual"] * 100)
    chosen = np.array(["casual"] * 80 + ["complex"] * 20)
    draw = np.random.default_rng(2).permutation(100)
    honest = measures.Outcome(truth, chosen[draw], np.full(100, 0.8))
    boastful = measures.Outcome(truth, chosen[draw], np.full(100, 1.0))
    assert measures.calibration_error(honest, bins=1) == pytest.approx(0)
    assert measures.calibration_error(boastful, bins=1) == pytest.approx(0.2)


def test_a_paired_interval_holds_the_difference() -> None:
    truth = np.array(["casual", "complex", "commercial"] * 60)
    worse = truth.copy()
    worse[:30] = "casual"
    gain, low, high = measures.paired_interval(truth, truth, worse, draws=200)
    assert 0 < low < gain < high
    assert measures.paired_interval(truth, worse, worse, draws=50)[0] == 0


def test_baselines_decide() -> None:
    assert [by_keywords(t) for t in ("buy a tent", "prove it", "hi")] == [
        "commercial", "complex", "casual",
    ]  # fmt: skip
    assert [by_length("x" * n) for n in (10, 400)] == ["casual", "complex"]
    texts = ["buy a red tent", "buy blue shoes", "prove the lemma", "prove a theorem"]
    found = by_tf_idf(texts, ["commercial", "commercial", "complex", "complex"], ["buy a lamp"])
    assert found.tolist() == ["commercial"]


def test_flips_and_percentiles_count() -> None:
    assert measures.flips(["a", "b"], ["a", "c"]) == 0.5
    assert measures.percentiles([0.001] * 99 + [0.1])["p50_ms"] == pytest.approx(1)
