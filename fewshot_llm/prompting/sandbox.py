"""`BoundedEnvironment`: Jinja whose work and results are bounded, whoever wrote the template.

Everything that a template can do again and again, or that makes more than it was given, is paid for from the
`RenderBudget` of the rendering, and paid before it is done: passes of loops, calls, operators, filters, comparisons,
what is printed. What remains is bounded by the length of the source. The budget grows with the texts that are laid
out, so a long prompt is never refused for its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from functools import wraps
from typing import Any, Never

from jinja2 import Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.visitor import NodeTransformer

from fewshot_llm.prompting.fields import Fields

__all__ = [
    "BoundedEnvironment",
    "RenderBudget",
    "TooMuch",
]

WORK = 2_000_000
"""Units of one rendering: about one for a character that is made or read, `STEP` for a node of the template."""

WORK_PER_CHARACTER = 40
"""Further units for each character of the texts that are laid out."""

STEP = 10
SLICE = 50_000
"""The clock is read each time that so many units are used up."""

SECONDS = 0.5
"""CPU time of one rendering, for what costs more than its units say."""

SECONDS_PER_CHARACTER = 1e-6

MOST_NUMBERS = 100_000
MOST_BITS = 2048
MOST_WIDTH = 9_999

_STEP_FILTER, _SEEN_FILTER, _CONCAT_FILTER = "~step", "~seen", "~concat"
"""Names that no template can write."""


class TooMuch(Exception):
    """What a template wanted too much of, as a sentence without its end."""


class RenderBudget:
    """What a rendering may still do.

    Attributes:
        left: units until the clock is looked at; negative calls for `refill`.
    """

    __slots__ = ("_given", "_limit", "_longer", "_names", "_started", "left")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.left = SLICE
        self._given = SLICE
        self._limit = WORK
        self._longer = False
        self._names = names
        self._started = 0.0

    def spend(self, units: int, what: str = "") -> None:
        """Pay for something, before it is done where `what` names it.

        Raises:
            TooMuch: it costs more than is left.
        """
        self.left -= units
        if self.left < 0:
            self._refill(units, what)

    def weigh(self, value: Any) -> int:
        """How long a value would be in print, about; all of it is paid for while it is looked at.

        Raises:
            TooMuch: more than is left.
        """
        if isinstance(value, str):
            weight = len(value)
            self.spend(weight)
            return weight
        if isinstance(value, int):
            _check_bits(value.bit_length())
            return 1
        if isinstance(value, range):
            self.spend(2 * len(value))
            return len(value)
        if isinstance(value, (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)):
            parts: Iterable[Any] = value
        elif isinstance(value, dict):
            parts = value.items()
        elif isinstance(value, Fields):
            parts = (str(value),)
        else:
            return 1
        weight = 2
        for part in parts:
            self.spend(STEP)
            weight += 2 + self.weigh(part)
        return weight

    def counted(self, items: Iterator[Any], each: int) -> Iterator[Any]:
        """The same items, each paid for when it comes: `each` units, and its length."""
        for item in items:
            self.spend(each)
            self.weigh(item)
            yield item

    def _refill(self, units: int, what: str) -> None:
        used = self._given - self.left
        now = time.thread_time()
        if self._started == 0.0:
            self._started = now
        seconds = SECONDS
        if used > self._limit or now - self._started > seconds:
            # Counted only now: for nearly every rendering it is never asked for.
            texts = _characters(self._names)
            self._limit = WORK + WORK_PER_CHARACTER * texts
            seconds += SECONDS_PER_CHARACTER * WORK_PER_CHARACTER * texts
        if used > self._limit:
            if what:
                raise TooMuch(f"{what} would make {units:,} characters or items, more than a prompt can use")
            raise TooMuch(
                f"its loops, calls and repetitions come to more than {self._limit:,} steps and characters, more than "
                "these texts can need"
            )
        if now - self._started > seconds:
            raise TooMuch(f"it takes longer than {seconds:.1f} s")
        # A large step is paid at once, whatever it is; the next look at the clock comes after another slice.
        self._given = used + SLICE
        self.left = SLICE


def _characters(names: Mapping[str, Any]) -> int:
    """Length of all texts that are laid out; labels, instruction, query and demonstrations have no cycles."""

    def length(value: Any) -> int:
        if isinstance(value, str):
            return len(value)
        if isinstance(value, Fields):
            return len(str(value))
        if isinstance(value, dict):
            return sum(map(length, value.values()))
        return sum(map(length, value)) if isinstance(value, (list, tuple)) else 0

    return length(dict(names))


def _check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise TooMuch(f"a number would have about {round(bits * 0.30103):,} digits")


class _BoundedContext(Context):
    """The names of one rendering, with its budget."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.budget = RenderBudget(self.parent)

    def derived(self, locals: dict[str, Any] | None = None) -> Context:
        context = super().derived(locals)
        if isinstance(context, _BoundedContext):
            context.budget = self.budget
        return context


def _bounded_range(*bounds: int) -> range:
    """`range` of at most `MOST_NUMBERS` numbers, none of them astronomical."""
    for bound in bounds:
        if isinstance(bound, int) and abs(bound) > 10**12:
            raise TooMuch("range is given a number beyond 1,000,000,000,000")
    numbers = range(*bounds)
    if len(numbers) > MOST_NUMBERS:
        raise TooMuch(f"range would count {len(numbers):,} numbers; at most {MOST_NUMBERS:,} are allowed")
    return numbers


@dataclass(frozen=True)
class _Format:
    """A text's `format` or `format_map`, callable through the environment alone."""

    text: str
    by_map: bool


class _BoundedFormatter(SandboxedFormatter):
    def __init__(self, environment: BoundedEnvironment, budget: RenderBudget) -> None:
        super().__init__(environment)
        self._budget = budget

    def format_field(self, value: Any, format_spec: str) -> Any:
        _check_widths(format_spec)
        self._budget.weigh(value)
        made = super().format_field(value, format_spec)
        self._budget.spend(len(made))
        return made

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._budget.weigh(value)
        return super().convert_field(value, conversion)


def _check_widths(spec: str) -> None:
    digits = 0
    for character in spec:
        digits = digits + 1 if character.isdigit() else 0
        if digits > len(str(MOST_WIDTH)):
            raise TooMuch(f"a format asks for a width or precision over {MOST_WIDTH:,}")


def _check_number(number: Any, what: str, most: int = MOST_WIDTH) -> None:
    if isinstance(number, (int, float)) and abs(number) > most:
        number = min(number, 1e300)
        raise TooMuch(
            f"{what} is given {number if abs(number) < 10**15 else 'a huge number'}; at most {most:,} allowed"
        )


def _percent(budget: RenderBudget, text: str, values: Any) -> str:
    """`text % values`, paid for first."""
    values = tuple(values) if isinstance(values, tuple) else values
    weight = budget.weigh(values)
    width, fields, starred, at = 0, 0, False, 0
    while (at := text.find("%", at)) >= 0:
        at += 1
        if text[at : at + 1] == "(":
            depth = 1
            while depth and (at := at + 1) < len(text):
                depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        end = at
        while text[end : end + 1] and text[end] in "#0- +.*123456789":
            end += 1
        spec = text[at:end]
        _check_widths(spec)
        starred |= "*" in spec
        width += sum(int(part) for part in spec.replace("*", " ").replace(".", " ").split() if part.isdigit())
        fields += 1
        at = end + 1
    if starred:
        for value in values if isinstance(values, tuple) else (values,):
            _check_number(value, "a format's width")
        width += MOST_WIDTH * fields
    budget.spend(len(text) + width + fields * weight, "a format")
    made: str = text % values
    return made


def _times(budget: RenderBudget, value: Any, number: Any) -> None:
    if isinstance(value, (str, list, tuple)) and isinstance(number, int):
        budget.spend(len(value) * max(number, 0), "the repetition with *")
    elif isinstance(value, int) and isinstance(number, int):
        _check_bits(value.bit_length() + number.bit_length())


def _binary(budget: RenderBudget, operator: str, left: Any, right: Any) -> None:
    """Pay for an operator."""
    budget.spend(STEP)
    for side in (left, right):
        if isinstance(side, int):
            _check_bits(side.bit_length())
    if operator == "*":
        _times(budget, left, right)
        _times(budget, right, left)
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 0:
            _check_bits(left.bit_length() * min(right, 10**12))
    elif operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        budget.spend(len(left) + len(right), "the sum with +")


# fmt: off
STRING_METHODS = frozenset((
    "capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "index", "isalnum",
    "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace",
    "istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix",
    "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines",
    "startswith", "strip", "swapcase", "title", "upper", "zfill",
))
# fmt: on
METHODS: Mapping[type, frozenset[str]] = {
    str: STRING_METHODS,
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    LoopContext: frozenset(("changed", "cycle")),
}
"""What may be called, by the type it is called on."""


def _grows(budget: RenderBudget, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
    """Pay for what a filter or a method of that name makes beyond what it is given."""
    given = [*args, *kwargs.values()]
    numbers = [part for part in given if isinstance(part, (int, float))]
    what = name
    if name in ("center", "ljust", "rjust", "zfill"):
        budget.spend(int(max(numbers, default=0)), what)
    elif name in ("split", "rsplit", "splitlines", "list", "sort", "unique", "map", "select", "reject"):
        if isinstance(value, str):
            budget.spend(STEP * len(value), what)  # a list of its parts
    elif name in ("truncate", "round", "tojson", "slice"):
        for number in numbers:
            _check_number(number, what, 100 if name in ("round", "tojson") else MOST_NUMBERS)
    elif name == "expandtabs":
        budget.spend(str(value).count("\t") * int(max(numbers, default=8)), what)
    elif name == "indent":
        width = max((len(part) if isinstance(part, str) else int(part) for part in given), default=4)
        budget.spend(width * (len(str(value).splitlines()) + 1), what)
    elif name == "wordwrap":
        between = max((len(part) for part in given if isinstance(part, str)), default=1)
        width = int(min((number for number in numbers if not isinstance(number, bool)), default=79))
        text = str(value)
        lines = 2 * len(text) // max(width, 1) + text.count("\n") + 1
        budget.spend(lines * between + 20 * len(text), what)
    elif name == "batch":
        budget.spend(int(max(numbers, default=1)), what)
    elif name == "replace" and len(args) >= 2:
        times = str(value).count(str(args[0])) + 1
        budget.spend(times * len(str(args[1])), what)
    elif name == "join":
        items = value if not isinstance(value, str) or not args or not isinstance(args[0], (list, tuple)) else args[0]
        between = max((len(part) for part in (value, *given) if isinstance(part, str)), default=0)
        budget.spend(between * (len(items) if hasattr(items, "__len__") else 1), what)
    elif name == "striptags":
        text = str(value)
        budget.spend(len(text) * (1 + text.count("<")) // 8, what)
    elif name == "sum":
        for part in given:
            if not isinstance(part, (int, float, str)):
                raise TooMuch("sum adds numbers only, and is given something else to start from")


_BY_ATTRIBUTE = frozenset(("dictsort", "groupby", "max", "min", "rejectattr", "selectattr", "sort", "sum", "unique"))
_FREE_FILTERS = frozenset(("default", "d"))
# fmt: off
_FREE_TESTS = frozenset((
    "boolean", "callable", "defined", "escaped", "false", "filter", "float", "integer", "iterable",
    "mapping", "none", "number", "sameas", "sequence", "string", "test", "true", "undefined",
))
# fmt: on
_NOT_FOR_PROMPTS = ("random", "pprint", "urlize", "xmlattr")
"""Filters that are left out: a prompt is the same every time, and it is no HTML."""


def _bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is paid for; see `RenderBudget`."""
    passed = getattr(getattr(function, "jinja_pass_arg", None), "name", None)

    @wraps(function)
    def bounded(context: _BoundedContext, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget = context.budget
        budget.spend(2 * STEP)
        if (name == "join" or name in _BY_ATTRIBUTE) and hasattr(value, "__next__"):
            value = list(value)
        budget.weigh(value)
        each = STEP * budget.weigh((*args, *kwargs.values()))  # an attribute's path is followed for every item
        if name in _BY_ATTRIBUTE and hasattr(value, "__len__"):
            budget.spend((10 * STEP + each) * len(value), name)  # sorted, grouped or looked into, item by item
        _grows(budget, name, value, *args, **kwargs)
        if name == "format":
            return _percent(budget, str(value), kwargs or args)
        first = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        leading = () if passed is None else (first[passed],)
        made = function(*leading, value, *args, **kwargs)
        if hasattr(made, "__next__"):
            return budget.counted(made, STEP + each)
        budget.weigh(made)
        return made

    return pass_context(bounded)


def _bounded_test(function: Any) -> Callable[..., Any]:
    passed = getattr(getattr(function, "jinja_pass_arg", None), "name", None)

    @wraps(function)
    def bounded(context: _BoundedContext, *args: Any) -> Any:
        context.budget.spend(STEP)
        context.budget.weigh(args)
        return function(*args) if passed is None else function(context.environment, *args)

    return pass_context(bounded)


@pass_context
def _printed(context: _BoundedContext, value: Any) -> Any:
    """Pay for what is printed; called by the template for every `{{ … }}`."""
    budget = context.budget
    if type(value) is str:
        budget.left -= len(value)
        if budget.left < 0:
            budget.spend(0)
    else:
        budget.weigh(value)
    return value


@pass_context
def _step(context: _BoundedContext, value: Any, units: int) -> Any:
    budget = context.budget
    budget.left -= units
    if budget.left < 0:
        budget.spend(0)
    return value


@pass_context
def _seen(context: _BoundedContext, value: Any) -> Any:
    context.budget.weigh(value)
    return value


@pass_context
def _concatenated(context: _BoundedContext, values: list[Any]) -> str:
    context.budget.spend(sum(map(context.budget.weigh, values)), "the joining with ~")
    return "".join(map(str, values))


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox whose templates end soon and stay small.

    A template's tree goes through `instrumented` before it is compiled; nothing is computed while it is.

    Raises (while rendering):
        TooMuch: with what there was too much of.
        SecurityError: a call of something that templates have no use for.
    """

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)
    context_class = _BoundedContext

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_printed, optimized=False, **options)
        self.globals.clear()
        self.globals["range"] = _bounded_range
        for name in _NOT_FOR_PROMPTS:
            del self.filters[name]
        for name, function in self.filters.items():
            if name not in _FREE_FILTERS:
                self.filters[name] = _bounded_filter(name, function)
        for name, function in self.tests.items():
            if name not in _FREE_TESTS:
                self.tests[name] = _bounded_test(function)
        self.filters |= {_STEP_FILTER: _step, _SEEN_FILTER: _seen, _CONCAT_FILTER: _concatenated}

    def instrumented(self, tree: nodes.Template) -> nodes.Template:
        """The tree with counters in its loops, macros, comparisons, slices and `~`."""
        _Instrument(self).visit(tree)
        tree.set_environment(self)
        return tree

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator, paid for."""
        if operator == "%" and isinstance(left, str):
            return _percent(context.budget, left, right)
        _binary(context.budget, operator, left, right)
        made = self.binop_table[operator](left, right)
        context.budget.weigh(made)
        return made

    def wrap_str_format(self, value: Any) -> Any:
        """`format` and `format_map` of a text as something that only `call` can call."""
        owner = getattr(value, "__self__", None)
        if isinstance(owner, str) and getattr(value, "__name__", "") in ("format", "format_map"):
            return _Format(str(owner), value.__name__ == "format_map")
        return None

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, `range`, or a method that prompts have a use for."""
        budget: RenderBudget = __context.budget
        # Jinja's code gives these two to every call, for functions that take its context.
        kwargs.pop("_loop_vars", None)
        kwargs.pop("_block_vars", None)
        if type(__obj) is Macro:
            # Its body pays for itself, and whatever prints the result for that; `varargs` would grow unseen.
            budget.left -= STEP * (1 + len(args))
            for part in (*args, *kwargs.values()) if kwargs else args:
                if type(part) is not str and type(part) is not Fields:
                    budget.weigh(part)
            return __obj(*args, **kwargs)
        budget.spend(2 * STEP)
        budget.weigh((*args, *kwargs.values()))
        if isinstance(__obj, _Format):
            formatter = _BoundedFormatter(__self, budget)
            if not __obj.by_map:
                return formatter.vformat(__obj.text, args, kwargs)
            if len(args) != 1 or kwargs:
                raise TypeError("format_map takes exactly one mapping")
            return formatter.vformat(__obj.text, (), args[0])
        if __obj is _bounded_range or isinstance(__obj, (LoopContext, BlockReference, Undefined)):
            return __context.call(__obj, *args, **kwargs)
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if not any(isinstance(owner, kind) and name in names for kind, names in METHODS.items()):
            _refuse_call(__obj, name)
        budget.weigh(owner)
        if isinstance(owner, str):
            if name == "join" and args and hasattr(args[0], "__next__"):
                args = (list(args[0]), *args[1:])
            _grows(budget, name, owner, *args, **kwargs)
        made = __obj(*args, **kwargs)
        budget.weigh(made)
        return made


def _refuse_call(called: Any, name: str) -> Never:
    raise SecurityError(f"{name or type(called).__name__!r} cannot be called in a template; a filter may do it")


class _Instrument(NodeTransformer):
    """Writes into a template's tree what pays for its work."""

    def __init__(self, environment: BoundedEnvironment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.For:
        units = _units(node)
        self.generic_visit(node)
        node.body.insert(0, self._payment(units, node.lineno))
        if node.test is not None:
            node.test = self._filter(node.test, _STEP_FILTER, nodes.Const(units))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        self._pay_in_body(node)
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        self._pay_in_body(node)
        return node

    def visit_Block(self, node: nodes.Block) -> nodes.Block:
        self._pay_in_body(node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = self._seen(node.expr)
        for operand in node.ops:
            operand.expr = self._seen(operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        # After the visit: this list is ours.
        return self._filter(nodes.List(node.nodes, lineno=node.lineno), _CONCAT_FILTER)

    def visit_List(self, node: nodes.List) -> nodes.Filter:
        # One that holds another twice, again and again, is short in the source and endless in print.
        self.generic_visit(node)
        return self._filter(node, _SEEN_FILTER)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Filter:
        for pair in node.items:
            self.generic_visit(pair)
            pair.key = self._seen(pair.key)
        return self._filter(node, _SEEN_FILTER)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return self._filter(node, _SEEN_FILTER) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return self._filter(node, _SEEN_FILTER) if isinstance(node.arg, nodes.Slice) else node

    def _pay_in_body(self, node: nodes.Macro | nodes.CallBlock | nodes.Block) -> None:
        units = _units(node)
        self.generic_visit(node)
        node.body.insert(0, self._payment(units, node.lineno))

    def _payment(self, units: int, lineno: int) -> nodes.ExprStmt:
        paid = self._filter(nodes.Const(None, lineno=lineno), _STEP_FILTER, nodes.Const(units, lineno=lineno))
        return nodes.ExprStmt(paid, lineno=lineno)

    def _seen(self, node: nodes.Expr) -> nodes.Expr:
        return node if isinstance(node, nodes.Const) else self._filter(node, _SEEN_FILTER)

    def _filter(self, node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno or 1)


def _units(tree: nodes.Node) -> int:
    """What one pass through the tree costs, apart from what is paid for where it happens."""
    below = list(tree.find_all(nodes.Node))
    return STEP * len(below) + sum(len(data.data) for data in below if isinstance(data, nodes.TemplateData))
