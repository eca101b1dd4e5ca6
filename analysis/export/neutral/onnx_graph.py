"""The ONNX form of the classifiers of a window, written node by node (extra `onnx`).

Converters of xgboost models are known for thresholds rounded to other floats, lost branches of missing values and a
wrong base score, so none is used. Scores are computed with the float32 operations of xgboost in their order, thresholds
are part of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from analysis.errors import ResultsError
from analysis.export.neutral.document import LARGEST_EXPONENT, Document

__all__ = ["onnx_model", "run_onnx"]

_OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR_VERSION = 9
_MISSING = "ONNX needs the extra onnx ({error}): pip install 'cwola-dijet[onnx]'."


class _Graph:
    """Nodes and constants, with generated names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: Iterator[int] = count()

    def add(self, operation: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415 - an extra

        name = output or f"{operation.lower()}{next(self._names)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, values: Any, kind: type[np.generic]) -> str:
        from onnx import numpy_helper  # noqa: PLC0415 - an extra

        name = f"constant{next(self._names)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name


def onnx_model(document: Document) -> bytes:
    """Return the graph of a window.

    Parameters
    ----------
    document : dict
        From `trees_document`.

    Returns
    -------
    bytes
        Inputs `features` (n, n_features) float32, NaN where undefined, `mjj` (n, 1) float64, GeV, and `tie` (n, 1)
        float64 from 0 to 1. Outputs `scores` (n, n_folds) float32 and `passes` (n, n_selections) float64, the fraction
        of folds that let the event pass.

    Raises
    ------
    ResultsError
        Without the extra.
    """
    try:
        from onnx import TensorProto, helper  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ResultsError(_MISSING.format(error=error)) from error
    graph = _Graph()
    scores, passes = [], []
    for fold in document["folds"]:
        members = [_member(graph, member) for member in fold["members"]]
        scores.append(_mean(graph, members))
        cut = scores[-1] if document["cut"] == "mean" else graph.add("Concat", *members, axis=1)
        passes.append(_votes(graph, cut, fold["thresholds"]))
    graph.add("Concat", *scores, axis=1, output="scores")
    _decide(graph, graph.add("Sum", *passes), document)
    shapes = {"features": (TensorProto.FLOAT, len(document["features"]))}
    shapes |= dict.fromkeys(("mjj", "tie"), (TensorProto.DOUBLE, 1))
    results = {"scores": (TensorProto.FLOAT, len(scores)), "passes": (TensorProto.DOUBLE, len(document["selections"]))}
    inputs, outputs = (
        [helper.make_tensor_value_info(name, kind, ["n", width]) for name, (kind, width) in each.items()]
        for each in (shapes, results)
    )
    low, high = document["window"]
    model = helper.make_model(
        helper.make_graph(graph.nodes, f"cwola_{low:g}_{high:g}", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()],
        ir_version=_IR_VERSION,
        producer_name="cwola-dijet",
    )
    helper.set_model_props(
        model, {"features": ",".join(document["features"]), "selections": ",".join(document["selections"])}
    )
    content: bytes = model.SerializeToString()
    return content


def _member(graph: _Graph, member: dict[str, Any]) -> str:
    """Score of a member: the trees are added one by one to the base, which is a tree of one leaf, as in xgboost."""
    from onnx import TensorProto  # noqa: PLC0415 - an extra

    margin = graph.add("TreeEnsembleRegressor", "features", domain="ai.onnx.ml", **_ensemble(member))
    exponent = graph.add("Min", graph.add("Neg", margin), graph.constant([LARGEST_EXPONENT], np.float32))
    wide = graph.add("Cast", exponent, to=TensorProto.DOUBLE)
    power = graph.add("Cast", graph.add("Exp", wide), to=TensorProto.FLOAT)
    one = graph.constant([1], np.float32)
    return graph.add("Div", one, graph.add("Add", power, one))


def _ensemble(member: dict[str, Any]) -> dict[str, Any]:
    stump = {"feature": [-1], "value": [member["base"]], "left": [-1], "right": [-1], "missing_left": [0]}
    nodes: dict[str, list[Any]] = {name: [] for name in ("tree", "node", *stump)}
    for number, tree in enumerate([stump, *member["trees"]]):
        nodes["tree"] += [number] * len(tree["feature"])
        nodes["node"] += range(len(tree["feature"]))
        for name in stump:
            nodes[name] += tree[name]
    leaf = [feature < 0 for feature in nodes["feature"]]
    leaves = [index for index, is_leaf in enumerate(leaf) if is_leaf]
    return {
        "n_targets": 1,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": nodes["tree"],
        "nodes_nodeids": nodes["node"],
        "nodes_featureids": [max(feature, 0) for feature in nodes["feature"]],
        "nodes_modes": ["LEAF" if is_leaf else "BRANCH_LT" for is_leaf in leaf],
        "nodes_values": [0.0 if is_leaf else value for is_leaf, value in zip(leaf, nodes["value"], strict=True)],
        "nodes_truenodeids": [max(node, 0) for node in nodes["left"]],
        "nodes_falsenodeids": [max(node, 0) for node in nodes["right"]],
        "nodes_missing_value_tracks_true": nodes["missing_left"],
        "target_treeids": [nodes["tree"][index] for index in leaves],
        "target_nodeids": [nodes["node"][index] for index in leaves],
        "target_ids": [0] * len(leaves),
        "target_weights": [nodes["value"][index] for index in leaves],
    }


def _mean(graph: _Graph, members: list[str]) -> str:
    from onnx import TensorProto  # noqa: PLC0415 - an extra

    wide = graph.add("Cast", graph.add("Concat", *members, axis=1), to=TensorProto.DOUBLE)
    return graph.add("Cast", graph.add("ReduceMean", wide, axes=[1], keepdims=1), to=TensorProto.FLOAT)


def _votes(graph: _Graph, cut: str, thresholds: Any) -> str:
    """(n, n_selections) float64: fraction of the cuts of a fold that let events pass."""
    from onnx import TensorProto  # noqa: PLC0415 - an extra

    limits = np.array(thresholds, object).astype(np.float64)[None]
    low, high, share = (graph.constant(limits[..., index], np.float64) for index in range(3))
    last = graph.constant([2], np.int64)
    score = graph.add("Unsqueeze", graph.add("Cast", cut, to=TensorProto.DOUBLE), last)
    tie = graph.add("Unsqueeze", "tie", last)
    equal = graph.add("And", graph.add("GreaterOrEqual", score, low), graph.add("Greater", tie, share))
    above = graph.add("Or", graph.add("Greater", score, high), equal)
    return graph.add("ReduceMean", graph.add("Cast", above, to=TensorProto.DOUBLE), axes=[1], keepdims=0)


def _decide(graph: _Graph, total: str, document: Document) -> None:
    from onnx import TensorProto  # noqa: PLC0415 - an extra

    low, high = (graph.constant([edge], np.float64) for edge in document["fit_range"])
    inside = graph.add("And", graph.add("GreaterOrEqual", "mjj", low), graph.add("Less", "mjj", high))
    share = graph.add("Div", total, graph.constant([document["n_folds"]], np.float64))
    kept = graph.add("Mul", share, graph.add("Cast", inside, to=TensorProto.DOUBLE))
    inclusive = graph.constant([[index == 0 for index in range(len(document["selections"]))]], np.bool_)
    graph.add("Where", inclusive, graph.constant([1], np.float64), kept, output="passes")


def run_onnx(content: bytes, X: Any, mjj: Any, tie: Any) -> tuple[Any, Any]:
    """Return `scores` and `passes` of events by onnxruntime, on one thread.

    Raises
    ------
    ResultsError
        Without the extra.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ResultsError(_MISSING.format(error=error)) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    scores, passes = session.run(["scores", "passes"], {"features": X, "mjj": mjj[:, None], "tie": tie[:, None]})
    return scores, passes
