"""Surgery on exports of every form, drawn by chance: the serving form answers as the export does, whatever it looks like."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.preparing.export import read_export, serving_form
from models.proving.proof import ServingNetwork, difference
from models.proving.reference import Reference
from models.served.anchors import output_names
from tests.networks import Form, random_network

#: Of inputs: one, two and three cells of the coarsest stride.
SIDES = (32, 64, 96)
FORMS = st.builds(
    Form,
    side=st.sampled_from(SIDES),
    fixed_size=st.booleans(),
    fixed_batch=st.booleans(),
    rank=st.sampled_from((2, 3)),
    landmarks=st.booleans(),
    reshape=st.sampled_from(("constant", "computed", "baked")),
    names=st.sampled_from(("plain", "numbers", "clashing")),
    order=st.sampled_from(("kind", "level")),
    opset=st.sampled_from((11, 12, 13, 17)),
)
NETWORKS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "channels": st.sampled_from((4, 8, 12)),
        "resize": st.sampled_from(("scales", "computed", "baked")),
        "sigmoid": st.sampled_from(("before", "after")),
    }
)


@settings(max_examples=settings.default.max_examples // 4)  # each is prepared
@given(form=FORMS, network=NETWORKS, batch=st.integers(1, 3))
def test_an_export_of_any_form_answers_alike_once_it_is_in_serving_form(
    form: Form, network: dict[str, Any], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = random_network(Path(folder) / "export.onnx", form, **network)
        served = serving_form(read_export(path), form.side, 1)
        original = Reference(path)
        pictures = np.random.default_rng(network["seed"]).integers(0, 256, (batch, form.side, form.side, 3), np.uint8)
        expected = [original.heads(picture) for picture in pictures]
    assert tuple(value.name for value in served.graph.output) == output_names(landmarks=form.landmarks)
    found = ServingNetwork(served.SerializeToString()).heads(pictures)
    for one, truth in zip(found, expected, strict=True):
        assert difference(one, truth).small
