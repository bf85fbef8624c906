"""The attention that an export writes out, against timm's own, in a network of milliseconds."""

from collections import Counter
from typing import Any

import pytest

from ropewatch.errors import ModelError

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
model_module = pytest.importorskip("export.classifier_model")
attention = pytest.importorskip("export.attention")
frame = pytest.importorskip("export.frame")
to_onnx = pytest.importorskip("export.to_onnx").to_onnx

pytestmark = pytest.mark.export

DEPTH, HEAD_DIM = 3, 12
CROP_CELLS, FRAME_CELLS, PREFIX = 3 * 5, 10 * 6, 5


def build(*, backbone: str = "vit_small_patch16_dinov3", **kwargs: Any) -> Any:
    torch.manual_seed(8)
    shape = {"embed_dim": 2 * HEAD_DIM, "depth": DEPTH, "num_heads": 2, "init_values": 0.5}
    architecture = model_module.Architecture(
        labels=("rope_ok", "rope_not_ok"),
        crop_wh=(48, 80),
        backbone=backbone,
        backbone_kwargs={**shape, **kwargs},
    )
    return model_module.build_roi_classifier(architecture).eval()


def crop_graph() -> Any:
    return to_onnx(
        model_module.ForNvinfer(attention.with_explicit_attention(build())).eval(),
        size_wh=(48, 80),
        input_name="images",
        output_name="probabilities",
        batch="dynamic",
    )


def frame_graph(batch: Any) -> Any:
    return frame.frame_graph(build(), frame.Frames((160, 96)), batch=batch)


@pytest.mark.parametrize("backbone", ["vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb"])
def test_explicit_attention_gives_what_timm_gives(backbone: str) -> None:
    model = build(backbone=backbone)
    with torch.no_grad():
        for block in model.backbone.blocks:
            for bias in (block.attn.q_bias, block.attn.k_bias, block.attn.v_bias):
                if bias is not None:
                    bias.normal_()
    images = torch.randn(2, 3, 80, 48)

    with torch.no_grad():
        expected = model.feature_map(images)
        actual = attention.with_explicit_attention(model).feature_map(images)

    assert expected.std() > 0.5
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_the_model_itself_keeps_its_own_attention() -> None:
    model = build()

    explicit = attention.with_explicit_attention(model)

    assert type(model.backbone.blocks[0].attn).__name__ == "EvaAttention"
    assert type(explicit.backbone.blocks[0].attn).__name__ == "ExplicitAttention"
    assert {name for name, _ in model.named_parameters()} >= {"backbone.blocks.0.attn.qkv.weight"}


@pytest.mark.parametrize(
    ("make", "cells"),
    [
        (crop_graph, CROP_CELLS),
        (lambda: frame_graph("dynamic"), FRAME_CELLS),
        (lambda: frame_graph(1), FRAME_CELLS),
    ],
    ids=["crop", "frame", "frame of batch 1"],
)
def test_graph_holds_products_and_softmax_and_two_tables(make: Any, cells: int) -> None:
    graph = make().graph
    makers = {output: node for node in graph.node for output in node.output}
    softmaxes = [node for node in graph.node if node.op_type == "Softmax"]
    operators = Counter(node.op_type for node in graph.node)

    # One a block, and the one that gives the probabilities.
    assert len(softmaxes) == DEPTH + 1
    # Nothing between the product and the softmax: the queries were scaled before.
    assert [makers[node.input[0]].op_type for node in softmaxes[:-1]] == ["MatMul"] * DEPTH
    assert not operators.keys() & {"Sin", "Cos", "Attention", "MultiHeadAttention", "Einsum"}
    tables = [
        tensor.name
        for tensor in graph.initializer
        if tuple(tensor.dims)[-2:] == (PREFIX + cells, HEAD_DIM)
    ]
    assert len(tables) == 2
    uses = Counter(name for node in graph.node for name in node.input if name in tables)
    assert set(uses.values()) == {2 * DEPTH}  # queries and keys of each block


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rope_rotate_half": False}, "interleaved rotary positions"),
        ({"qk_norm": True}, "normalised queries and keys"),
        ({"qkv_fused": False}, "separate projections"),
        ({"attn_type": "rope"}, "class AttentionRope"),
    ],
)
def test_other_attention_is_refused_by_name(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"attention with {message}, want that of timm's DINOv3"):
        attention.with_explicit_attention(build(**kwargs))


def test_a_gate_is_refused() -> None:
    model = build()
    model.backbone.blocks[1].attn.gate = torch.nn.Linear(24, 24)

    with pytest.raises(ModelError, match="attention with a gate, want"):
        attention.with_explicit_attention(model)
