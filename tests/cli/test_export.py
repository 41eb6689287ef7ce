from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file, save_file

from fewshot_llm.cli.serve import HERE, VerifyCommand
from fewshot_llm.export import read_bundle
from tests.export import conftest as adapters
from tests.export.trained import write_record

base_folder, make_adapter = adapters.base_folder, adapters.make_adapter


@pytest.fixture
def adapter(make_adapter, base_folder):
    return write_record(make_adapter("qwen2", name="reviews", use_rslora=True), base_folder("qwen2"))


def test_export_writes_a_bundle_and_says_what_it_mended(run, adapter, tmp_path):
    done = run("export", adapter, "--to", "peft", "--out", tmp_path / "bundle")
    assert done.exit_code == 0, done.output
    assert "mended: padded rank 4 with zeros to 8" in done.output
    assert "serve.sh" in done.output
    assert read_bundle(tmp_path / "bundle").rank == 8


@pytest.mark.server
def test_export_with_verify_alone_starts_a_server_and_certifies(run, adapter, tmp_path):
    done = run("export", adapter, "--to", "gguf-lora", "--out", tmp_path / "bundle", "--verify")
    assert done.exit_code == 0, done.output
    assert "labels agree on 100.0%" in done.output
    assert json.loads((tmp_path / "bundle" / "certificate.json").read_text())["passed"] is True


@pytest.mark.server
def test_a_failed_certificate_is_exit_code_1_and_names_the_link(run, adapter, tmp_path):
    assert run("export", adapter, "--to", "gguf-lora", "--out", tmp_path / "bundle").exit_code == 0
    script = tmp_path / "bundle" / "serve.sh"
    script.write_text(script.read_text().replace('--lora "$HERE"/reviews.gguf', ""))
    refused = run("verify", tmp_path / "bundle")
    assert refused.exit_code == 1
    assert "not run unasked" in refused.output
    done = run("verify", tmp_path / "bundle", "--allow-scripts")
    assert done.exit_code == 1
    assert "adapter" in done.output

    template = tmp_path / "bundle" / "template.jinja"
    template.write_text(template.read_text() + "\n")
    assert run("export", adapter, "--to", "gguf-lora", "--out", tmp_path / "b2").exit_code == 0
    (tmp_path / "b2" / "template.jinja").write_text(template.read_text())
    done = run("verify", tmp_path / "b2")
    assert done.exit_code == 1
    assert "template" in done.output
    assert json.loads((tmp_path / "b2" / "certificate.json").read_text())["broken"] == "template"


def test_verify_of_a_bundle_whose_server_is_absent(run, adapter, tmp_path, monkeypatch):
    assert run("export", adapter, "--to", "peft", "--out", tmp_path / "bundle").exit_code == 0
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = run("verify", tmp_path / "bundle", "--server", "vllm")
    assert done.exit_code == 1
    assert "before it was healthy" in done.output
    assert run("verify", tmp_path / "bundle", "--server", "llama.cpp").exit_code == 1


def test_lint_shows_what_is_mended_and_fails_for_a_server_that_was_asked_for(run, adapter):
    done = run("lint", adapter)
    assert done.exit_code == 0, done.output
    assert "rsLoRA" in done.output
    assert "mended" in done.output
    assert run("lint", adapter, "--server", "vllm").exit_code == 0
    assert run("lint", adapter, "--server", "transformers").exit_code == 1
    found = json.loads(run("lint", adapter, "--json").output)
    assert {row["status"] for row in found} == {"pass", "mended", "mend"}


def test_lint_of_a_folder_with_a_pickle(run, adapter):
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file(tensors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    done = run("lint", adapter, "--server", "vllm")
    assert done.exit_code == 1
    assert "pickle" in done.output


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["A", "--verify"], HERE),
        (["A", "--verify", "--overwrite"], HERE),
        (["A", "--verify", "http://127.0.0.1:8000/v1#n"], "http://127.0.0.1:8000/v1#n"),
        (["--verify", "A"], HERE),
        (["A"], None),
    ],
)
def test_verify_takes_an_address_or_nothing(given, read):
    import typer

    seen = []
    app = typer.Typer()

    @app.command(cls=VerifyCommand)
    def command(name: str, verify: str | None = typer.Option(None, "--verify"), overwrite: bool = False) -> None:
        seen.append(verify)

    app(given, standalone_mode=False)
    assert seen == [read]
