"""Training rows as packs of one token tree, and a pack's way through the model: hidden states, label scores, loss.

`layers = "top:N"`: the lower layers never change, so each row goes through them once. The layers below the cut pass
their input on unread and the last of them hands over the kept hidden states. That works for every decoder that keeps
its layers in a list, whatever it does around them (embedding scales, learned positions, one mask per kind of layer),
because everything else still runs as written.

A linear layer and its LoRA update are one step of the gradient. As peft writes it, W x + (B A x) · s is five steps,
each with a tensor as large as the layer's output to make, keep and read again. Here the update is added within the
matrix products, forwards and backwards, and only x and A x are kept: about .96 of a training step's time on a CPU. It
is for plain float32 layers there; elsewhere peft's own code runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.models.linear import Product, product_of
from fewshot_llm.models.load import decoder_layers
from fewshot_llm.scoring.attention import within_window
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network, last_layer_at, token_log_probs
from fewshot_llm.scoring.token_tree import TokenTree, build_tree
from fewshot_llm.types import IntArray

__all__ = [
    "Pack",
    "PackLoss",
    "TrainingRows",
    "check_attention",
    "frozen_hidden",
    "fused_lora",
    "handed_over",
    "label_scores",
    "labels_loss",
    "listed_layers",
    "ordinal_loss",
    "pack_hidden",
    "split_rows",
]


@dataclass(frozen=True)
class Pack:
    """Some training rows, flattened for one forward pass of n tokens and s scored places.

    A batch is a set of paths through the tree of all rows. What several rows share, the instruction, perhaps the
    demonstrations, and the text that every candidate label follows, is computed once, and nothing is padded.

    Attributes:
        nodes: the tree's node at each place, shape [n], parents before children.
        tokens: token ids, shape [n].
        positions: depth of each token in its row, shape [n].
        visible: whether place i attends to place j, shape [n, n].
        scored: places whose next token is scored, shape [s].
        terms: for each scored token (place among `scored`, token id, row in the pack, label), shape [t, 4].
        rows: the rows of the tree, in order.
        labels: labels per row.
    """

    nodes: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    scored: torch.Tensor
    terms: torch.Tensor
    rows: tuple[int, ...]
    labels: int

    def to(self, device: torch.device) -> Pack:
        """The same pack with its tensors on `device`."""
        return Pack(
            self.nodes.to(device),
            self.tokens.to(device),
            self.positions.to(device),
            self.visible.to(device),
            self.scored.to(device),
            self.terms.to(device),
            self.rows,
            self.labels,
        )


@dataclass(frozen=True)
class TrainingRows:
    """All rows of an epoch.

    Attributes:
        tree: their tokens.
        paths: per row its nodes of the tree, ascending, see `TokenTree.path`.
        labels: answers per row, the same for all rows.
    """

    tree: TokenTree
    paths: tuple[IntArray, ...]
    labels: int

    @classmethod
    def of(cls, rows: Sequence[Encoded]) -> TrainingRows:
        """Lay rows into a tree.

        Raises:
            TuningError: no rows, a row without context, or rows with different numbers of answers.
        """
        if not rows:
            raise TuningError("There is nothing to train on: 0 rows were given. Give at least one labelled row.")
        if len({len(row.answers) for row in rows}) != 1:
            raise TuningError("The rows have different numbers of candidate labels; encode all with one label set.")
        for number, row in enumerate(rows):
            if not row.context or not all(row.answers):
                raise TuningError(f"Row {number} has an empty prompt or an empty answer, so no token can be scored.")
        tree = build_tree(rows)
        return cls(tree, tuple(tree.path(row) for row in range(len(rows))), len(rows[0].answers))

    def pack(self, rows: Sequence[int]) -> Pack:
        """Flatten the paths of `rows` into one sequence."""
        nodes = np.unique(np.concatenate([self.paths[row] for row in rows]))
        part = self.tree.part(nodes, rows)
        terms = np.concatenate([_terms(part, row) for row in range(len(rows))])
        scored, which = np.unique(terms[:, 0], return_inverse=True)
        places = np.arange(len(nodes))
        return Pack(
            nodes=torch.from_numpy(nodes),
            tokens=torch.from_numpy(part.ids),
            positions=torch.from_numpy(part.depths),
            visible=torch.from_numpy(part.sees(places, places)),
            scored=torch.from_numpy(scored),
            terms=torch.from_numpy(np.column_stack([which, terms[:, 1:]])),
            rows=tuple(rows),
            labels=self.labels,
        )


def _terms(tree: TokenTree, row: int) -> IntArray:
    """A row's scored tokens: (node before it, token id, row, label), shape [t, 4]."""
    trie = tree.tries[row]
    labels, steps = np.nonzero(trie.paths < len(trie.edge_nodes))
    edges = trie.paths[labels, steps]
    nodes = tree.places[row][trie.edge_nodes[edges]]
    return np.column_stack([nodes, trie.edge_tokens[edges], np.full(len(edges), row), labels])


def split_rows(data: TrainingRows, rows: Sequence[int], token_limit: int) -> list[list[int]]:
    """Split rows into groups whose packs hold at most `token_limit` tokens (a longer row stands alone).

    Rows are taken by length, so that a group that must be split wastes little, and a row's shared beginning is
    counted once per group.
    """
    groups: list[list[int]] = []
    held: set[int] = set()
    for row in sorted(rows, key=lambda row: len(data.paths[row])):
        path = set(data.paths[row].tolist())
        if groups and len(held | path) <= token_limit:
            groups[-1].append(row)
            held |= path
        else:
            groups.append([row])
            held = path
    return groups


def check_attention(network: Any) -> None:
    """Refuse an attention that cannot take a tree's mask.

    Raises:
        TuningError: the model runs flash or flex attention.
    """
    kind = getattr(network.config, "_attn_implementation", "eager")
    if kind not in ("sdpa", "eager"):
        raise TuningError(
            f"The model was loaded with attention {kind!r}, which takes no custom mask. Load it with "
            'attn_implementation="sdpa" to train it here.'
        )


def _attention_masks(network: Any, pack: Pack, dtype: torch.dtype) -> torch.Tensor | dict[str, torch.Tensor]:
    """The tree's mask in the form the network wants: additive, shape [1, 1, n, n], one per kind of layer.

    A sliding window counts distances in the row (depths), not in the flattened sequence.
    """

    def additive(allowed: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
        return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[None, None]

    config = network.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if window is None or getattr(config, "use_sliding_window", True) is False:
        return additive(pack.visible)
    near = pack.visible & within_window(pack.positions, pack.positions, window)
    if not kinds:
        return additive(near)
    return {kind: additive(near if kind == "sliding_attention" else pack.visible) for kind in kinds}


def pack_hidden(network: Any, pack: Pack) -> torch.Tensor:
    """Hidden states after the final norm, shape [n, width].

    Args:
        network: a `transformers` causal model; its body is run, its head is not.
        pack: on the network's device.
    """
    output = network.base_model(
        input_ids=pack.tokens[None],
        position_ids=pack.positions[None],
        attention_mask=_attention_masks(network, pack, network.dtype),
        use_cache=False,
    )
    hidden: torch.Tensor = output.last_hidden_state[0]
    return hidden


def label_scores(network: Any, pack: Pack, hidden: torch.Tensor) -> torch.Tensor:
    """Log P(answer | prompt), summed over the answer's tokens.

    Args:
        network: a `transformers` causal model whose output head is frozen.
        pack: on the network's device.
        hidden: of `pack_hidden`, shape [n, width].

    Returns:
        Natural logarithms, float32, shape [rows, labels].
    """
    places, tokens, rows, labels = pack.terms.unbind(1)
    logs = token_log_probs(network, hidden[pack.scored], places, tokens)
    scores = torch.zeros(len(pack.rows) * pack.labels, dtype=logs.dtype, device=logs.device)
    return scores.index_add(0, rows * pack.labels + labels, logs).view(len(pack.rows), pack.labels)


@contextmanager
def _replaced_forwards(forwards: Mapping[torch.nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Within it, each module runs the given function in place of its own `forward`; its hooks run as ever.

    >>> layer = torch.nn.Linear(2, 2)
    >>> with _replaced_forwards({layer: lambda x: x}):
    ...     layer(torch.ones(2))
    tensor([1., 1.])
    """
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module in forwards:
            del module.forward


def listed_layers(network: Any) -> Sequence[Any]:
    """The decoder's layers, bottom first.

    Raises:
        TuningError: the network does not keep its layers in one list.
    """
    if not (layers := decoder_layers(network)):
        count = network.config.get_text_config().num_hidden_layers
        raise TuningError(f'{type(network).__name__} keeps its {count} layers in no list; use layers = "all".')
    return layers


@contextmanager
def _replaced(layers: Sequence[Any], value: torch.Tensor | None) -> Iterator[None]:
    """Let `layers` hand on `value` (None: what they are given) for a while."""

    def handing(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return hidden if value is None else value

    with _replaced_forwards(dict.fromkeys(layers, handing)):
        yield


@contextmanager
def handed_over(layers: Sequence[Any], cut: int, hidden: torch.Tensor) -> Iterator[None]:
    """Run the network above layer `cut` only, on `hidden` [n, width] as what the layers below it gave."""
    with _replaced(layers[:cut], hidden[None]):
        yield


@torch.no_grad()
def frozen_hidden(network: Any, data: TrainingRows, cut: int, token_limit: int) -> torch.Tensor:
    """What the layers below `cut` give for every node of the tree, computed once.

    A node's state depends on its ancestors only, so one vector per node serves every batch.

    Returns:
        Shape [N, width], on the network's device.
    """
    layers = listed_layers(network)
    states: torch.Tensor | None = None
    kept: list[torch.Tensor] = []
    hook = layers[cut - 1].register_forward_hook(
        lambda module, inputs, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    try:
        with _replaced(layers[cut:], None):
            for rows in split_rows(data, range(len(data.paths)), token_limit):
                pack = data.pack(rows).to(network.device)
                pack_hidden(network, pack)
                found = kept.pop()[0]
                if states is None:
                    states = found.new_empty(len(data.tree.ids), found.shape[-1])
                states[pack.nodes] = found
    finally:
        hook.remove()
    if states is None:
        raise TuningError("There is nothing to train on: 0 rows were given.")
    return states


@contextmanager
def fused_lora(network: Any) -> Iterator[None]:
    """Within it, LoRA layers that can do so work out their product and its update together.

    Args:
        network: a `transformers` causal model whose layers carry at most one adapter, "default".
    """
    from peft.tuners import lora

    layers = (module for module in network.modules() if type(module) is lora.Linear and _plain(module))
    with _replaced_forwards({layer: _product(layer) for layer in layers}):
        yield


def _plain(layer: Any) -> bool:
    """Whether the layer below is plain, without dropout on its update, float32 on a CPU."""
    base = layer.base_layer
    weights = (base.weight, layer.lora_A["default"].weight)
    return (
        product_of(base) is not None
        and isinstance(layer.lora_dropout["default"], torch.nn.Identity)
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    )


def _product(layer: Any) -> Any:
    base, down, up = layer.base_layer, layer.lora_A["default"].weight, layer.lora_B["default"].weight
    multiply, scale = product_of(base), layer.scaling["default"]

    def forward(x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = _Updated.apply(x, base.weight, base.bias, down, up, scale, multiply)  # type: ignore[no-untyped-call]
        return product

    return forward


class _Updated(torch.autograd.Function):
    """y = x Wᵀ + b + s (x Aᵀ) Bᵀ, shapes x [..., in], W [out, in], A [r, in], B [out, r]; W and b are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
        multiply: Product,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        inner = rows @ down.T
        out = multiply(rows, weight, bias).addmm_(inner, up.T, alpha=scale)
        ctx.save_for_backward(rows, inner, weight, down, up)
        ctx.scale, ctx.multiply = scale, multiply
        return out.view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, inner, weight, down, up = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, len(weight))
        by_inner = (gradient @ up).mul_(ctx.scale)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = ctx.multiply(gradient, weight.T, None).addmm_(by_inner, down).view(*gradients[0].shape[:-1], -1)
        return by_x, None, None, by_inner.T @ rows, (gradient.T @ inner).mul_(ctx.scale), None, None


LabelsLoss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def labels_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log softmax over the candidate labels of the true one: what inference compares.

    Args:
        scores: log P(answer | prompt), shape [rows, labels].
        targets: the true label of each row, shape [rows].

    Returns:
        Shape [rows], nats.

    >>> labels_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """
    return torch.nn.functional.cross_entropy(scores, targets, reduction="none")


def ordinal_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """As `labels_loss`, where labels have an order: the true one's neighbours are right by e⁻², e⁻⁴, … of its share.

    A model that says 4 where 5 is right has nearly understood; plain cross-entropy tells it that it might as well have
    said 1. Soft targets q_j ∝ exp(−2 |j − t|) (SORD: Díaz and Marathe, "Soft Labels for Ordinal Regression", 2019).

    Args:
        scores: log P(answer | prompt), answers in their order, shape [rows, labels].
        targets: the true label of each row, shape [rows].

    Returns:
        Shape [rows], nats.

    >>> near, far = ordinal_loss(torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0]]), torch.tensor([2, 2]))
    >>> bool(near < far)
    True
    """
    positions = torch.arange(scores.shape[1], device=scores.device)
    soft = torch.softmax(-2.0 * (positions - targets[:, None]).abs().to(scores.dtype), dim=1)
    return torch.nn.functional.cross_entropy(scores, soft, reduction="none")


def _tokens_loss(scores: torch.Tensor) -> torch.Tensor:
    """-log P(true answer | prompt): cross-entropy on the true label's tokens.

    Args:
        scores: of the true answer alone, shape [rows, 1].

    Returns:
        Shape [rows], nats.
    """
    return -scores[:, 0]


class PackLoss(torch.nn.Module):
    """Scores of one pack as a module, so that data-parallel training sees one forward call.

    Args:
        model: a `peft.PeftModel`.
        cut: layers below it are frozen; 0 for none.
        over_labels: the loss of a pack with several labels: (scores, targets) → shape [rows].
    """

    def __init__(self, model: Any, cut: int = 0, over_labels: LabelsLoss = labels_loss) -> None:
        super().__init__()
        self.model = model
        self.cut = cut
        self.over_labels = over_labels

    def forward(self, pack: Pack, targets: torch.Tensor, lower: torch.Tensor | None = None) -> torch.Tensor:
        """Loss of each row, shape [rows]; `lower` [n, width] is what the frozen layers gave.

        A pack of true answers only (one label) is trained on its tokens, any other on its labels.
        """
        network = causal_network(self.model)
        below = nullcontext() if lower is None else handed_over(listed_layers(network), self.cut, lower)
        with below, fused_lora(network), last_layer_at(network, pack.scored):
            hidden = pack_hidden(network, pack)
        scores = label_scores(network, pack, hidden)
        return _tokens_loss(scores) if pack.labels == 1 else self.over_labels(scores, targets)
